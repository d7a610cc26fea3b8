"""Seconds per epoch of mlp-20d, with its test pass: vaelab's loop against the conventional one.

    python benchmarks/epoch.py                  # writes benchmarks/results/epoch.json

Both loops run in one process, in turn. The conventional loop is that of conventional.py, what most
tutorials do. Both loops train the same 784-400-20-400-784 network with Adam at batch 128 on the
60,000 training images and then score the 10,000 test images. The order within each pair alternates.
Quote the median of the ratios, never a single time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path

import torch
from conventional import Conventional, Pictures

import vaelab
from vaelab import devices
from vaelab.data import load
from vaelab.runs import load as load_run


class Ours:
    """`vaelab train mlp-20d`, one epoch at a time.

    The seconds come from times.jsonl and include the frame and the checkpoint.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.epochs = folder, 0
        # With 100 points there is no t-SNE of 10,000.
        self.settings = {"train.device": "cpu", "train.threads": threads, "figures.points": 100}

    def epoch(self) -> tuple[float, float]:
        self.epochs += 1
        if self.epochs == 1:
            recipe = vaelab.recipe("mlp-20d", self.settings | {"train.epochs": 1})
            run = vaelab.train(recipe, self.folder, quiet=True)
        else:
            vaelab.resume(self.folder, {"train.epochs": self.epochs}, quiet=True)
            run = load_run(self.folder)
        return run.times[-1]["seconds"], run.history[-1]["test"]["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--pairs", type=int, default=5, help="measured pairs, after one that is not counted"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "epoch.json"
    )
    arguments = parser.parse_args()

    data = load(vaelab.recipe("mlp-20d").data)
    threads, warning = devices.threads(0)
    if warning:
        print(f"warning: {warning}")
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    theirs = Conventional(*(Pictures(split.x, split.y) for split in (data.train, data.test)))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(Path(folder) / "run", threads)

        def conventional() -> tuple[float, float]:
            begun = time.perf_counter()
            theirs.epoch()
            loss = theirs.test_loss()
            return time.perf_counter() - begun, loss

        for pair in range(arguments.pairs + 1):
            order = [("vaelab", ours.epoch), ("conventional", conventional)]
            row = {}
            for name, epoch in order if pair % 2 else reversed(order):
                seconds, loss = epoch()
                row[name] = {"seconds": round(seconds, 3), "test_loss": round(loss, 2)}
            row_ratio = row["conventional"]["seconds"] / row["vaelab"]["seconds"]
            print(
                f"pair {pair}{' (not counted)' if not pair else ''}: {row}, ratio {row_ratio:.2f}",
                flush=True,
            )
            if pair:
                rows.append(row | {"ratio": round(row_ratio, 3)})
    ratios = [row["ratio"] for row in rows]
    result = {
        "what": "seconds an epoch of mlp-20d with its test pass, conventional loop / vaelab",
        "median_ratio": statistics.median(ratios),
        "range": [min(ratios), max(ratios)],
        "pairs": rows,
        "threads": threads,
        "processor": devices.processor(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(
        f"median ratio {result['median_ratio']:.2f} ({min(ratios):.2f} to {max(ratios):.2f}); "
        f"{arguments.out}"
    )


if __name__ == "__main__":
    main()
