"""Seconds of whole commands, beside what bounds them.

    python benchmarks/commands.py               # writes benchmarks/results/commands.json

`vaelab train mlp-20d` is compared with the sum of its epochs (times.jsonl), each with its test
pass; checkpoints, pictures and the report are what it does besides. `vaelab sample` of its run is
compared with ``import torch``, and `vaelab list` and `vaelab --help` with a Python that does
nothing. The short commands alternate, so that a busy moment meets all of them. Quote the medians of
the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import vaelab
from vaelab import devices


def seconds(*words: str | Path) -> float:
    """The seconds that a Python with these arguments takes, from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def trained(folder: Path, threads: int) -> dict[str, float]:
    """Train mlp-20d by the command line; the seconds of all, and of its epochs."""
    settings = ("--train.device", "cpu", "--train.threads", str(threads), "--overwrite", "--quiet")
    whole = seconds("-m", "vaelab", "train", "mlp-20d", "--out", folder, *settings)
    epochs = sum(epoch["seconds"] for epoch in vaelab.load(folder).times)
    return {
        "seconds": round(whole, 2),
        "epochs": round(epochs, 2),
        "besides": round(whole - epochs, 2),
        "ratio": round(whole / epochs, 3),
    }


def short(run: Path, out: Path, repeats: int) -> dict[str, Any]:
    """Medians of the seconds of the short commands, and of their ratios to what bounds them."""
    vaelab_ = ("-m", "vaelab")
    sample = (*vaelab_, "sample", run, "--quiet", "--out")
    commands: dict[str, tuple[tuple[str | Path, ...], str]] = {
        "python -c pass": (("-c", "pass"), ""),
        "import torch": (("-c", "import torch"), ""),
        "vaelab list": ((*vaelab_, "list"), "python -c pass"),
        "vaelab --help": ((*vaelab_, "--help"), "python -c pass"),
        "vaelab sample, numbers": ((*sample, out / "samples.npy"), "import torch"),
        "vaelab sample, a picture": ((*sample, out / "samples.png"), "import torch"),
    }
    for words, _ in commands.values():
        seconds(*words)  # once, so that all files are in memory
    rounds = [
        {name: seconds(*words) for name, (words, _) in commands.items()} for _ in range(repeats)
    ]
    medians: dict[str, Any] = {}
    for name, (_, bound) in commands.items():
        medians[name] = {"seconds": round(statistics.median(one[name] for one in rounds), 3)}
        if bound:
            ratio = statistics.median(one[name] / one[bound] for one in rounds)
            medians[name] |= {"bound": bound, "ratio": round(ratio, 2)}
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainings", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/commands.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        trainings = [trained(run, arguments.threads) for _ in range(arguments.trainings)]
        commands = short(run, Path(scratch), arguments.repeats)
    machine = {"processor": devices.processor(), "threads": arguments.threads}
    ratio = statistics.median(training["ratio"] for training in trainings)
    result = {
        **machine, "train mlp-20d": {"ratio": ratio, "trainings": trainings}, "commands": commands
    }  # fmt: skip
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
