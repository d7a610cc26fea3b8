"""Compare rows of the table of models: test NLL on binarised MNIST, and conditional samples.

    python benchmarks/models.py                    # every row below, three seeds each,
                                                   # then the table of docs/models.md
    python benchmarks/models.py vamp --seeds 5     # one row
    python benchmarks/models.py labels             # cvae: are the samples of a digit that digit?
    python benchmarks/models.py --table            # only the table, from the result files

All rows train as the recipe `binary-40d` does, with the same images, order, epochs and seeds; only
the row differs. The best epoch is chosen on validation images, by the bound that the row optimises;
test images are used once. NLL is -log of the mean of 500 importance weights, in nats per image,
over all 10,000 test images. A finished run of the same recipe under --runs is reused.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

import vaelab
from vaelab import devices
from vaelab.data import Batches
from vaelab.data import load as load_data
from vaelab.evaluation.likelihood import log_likelihood
from vaelab.workflows.studies import trained

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "results", HERE.parent / "docs" / "models.md"
BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
ROWS = ("vae", "vamp", "gmm-prior", "flow-prior", "iaf", "full-cov", "iwae", "two-level", "ladder")
SAMPLES = 500  # importance weights an image
ASKED = 200  # conditional samples of each digit


def measure(row: str, seed: int, runs: Path, threads: int) -> dict[str, Any]:
    """One run, and its negative log-likelihood on the test images."""
    settings = {"model.variant": row, "train.seed": seed, "train.threads": threads}
    run = trained(vaelab.recipe("binary-40d", settings), runs / f"{row}-{seed}")
    data = load_data(run.recipe.data)
    with devices.using(threads):
        images = Batches(data.test.x, data.levels, run.recipe.data, torch.device("cpu"))
        nll = -log_likelihood(run.vae, images, SAMPLES, seed).double()
    return {
        "seed": seed,
        "nll": float(nll.mean()),
        "nll_error": float(nll.std() / len(nll) ** 0.5),
        "results": run.results,
        "epochs": len(run.history),
    }


def labels(runs: Path, threads: int) -> dict[str, Any]:
    """Classify conditional samples of each digit.

    The classifier was trained on images and never saw a sample.
    """
    from sklearn.neural_network import MLPClassifier

    settings = {"model.variant": "cvae", "data.treatment": "grey", "train.threads": threads}
    run = trained(vaelab.recipe("binary-40d", settings), runs / "cvae")
    data = load_data(run.recipe.data)
    judge = MLPClassifier((256,), early_stopping=True, random_state=0)
    judge.fit(data.train.x.flatten(1).numpy() / 255, data.train.y.numpy())
    images, truth = data.test.x.flatten(1).numpy() / 255, data.test.y.numpy()
    found = {
        str(digit): float(
            (judge.predict(run.vae.sample(ASKED, 0, digit).flatten(1).numpy()) == digit).mean()
        )
        for digit in run.vae.classes.tolist()
    }
    return {
        "judge_on_test_images": float(judge.score(images, truth)),
        "samples": found,
        "all": mean(found.values()),
    }


def table() -> str:
    """A line for each result file, the plain VAE first; without its file there is no table.

    Differences are paired by seed.
    """
    files = {row: RESULTS / f"models-{row}.json" for row in ROWS}
    found = {
        row: json.loads(path.read_text())["runs"] for row, path in files.items() if path.exists()
    }
    if "vae" not in found:
        return "python benchmarks/models.py\n"
    lines = [
        "| row | parameters | -ELBO | NLL | NLL against `vae` | seeds |",
        "|---|---|---|---|---|---|",
    ]
    plain = {run["seed"]: run for run in found["vae"]}
    for row, runs in found.items():
        gains = [run["nll"] - plain[run["seed"]]["nll"] for run in runs if run["seed"] in plain]
        spread = f" ± {stdev(gains) / len(gains) ** 0.5:.2f}" if len(gains) > 1 else ""
        cells = [
            f"`{row}`",
            f"{runs[0]['results']['parameters']:,}",
            f"{mean(run['results']['loss'] for run in runs):.2f}",
            f"{mean(run['nll'] for run in runs):.2f}",
            "" if row == "vae" else f"{mean(gains):+.2f}{spread}",
            f"{len(runs)}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", default=[*ROWS, "labels"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/models"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    setting = {"threads": asked.threads, "torch": version("torch"), "samples": SAMPLES}
    for row in [] if asked.table else asked.rows:
        found = setting | (
            labels(asked.runs, asked.threads)
            if row == "labels"
            else {
                "runs": [
                    measure(row, seed, asked.runs, asked.threads) for seed in range(asked.seeds)
                ]
            }
        )
        (RESULTS / f"models-{row}.json").write_text(json.dumps(found, indent=2) + "\n")
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
