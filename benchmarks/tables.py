"""Reproduce published tables: test NLL on dynamically binarised MNIST, ours beside the paper's.

    python benchmarks/tables.py burda-vae --seeds 0 1 2     # Burda et al., table 1: 1 layer, k = 1
    python benchmarks/tables.py burda-vae-5                 # the same with k = 5
    python benchmarks/tables.py burda-iwae-5 --seeds 0 1 2  # IWAE with k = 5
    python benchmarks/tables.py half-hour                   # the best model with one layer of z,
                                                            # prior N(0, I), that 30 minutes on
                                                            # two cores train
    python benchmarks/tables.py --table                     # only the table of the README, from
                                                            # the result files

Each is a recipe of vaelab; its file says what is as published and what differs. Under --runs, a
finished run of the same recipe is reused, an interrupted one is resumed, and one of another recipe
is refused. Seeds that were not requested stay in the result file if they belong to the same recipe;
otherwise they are removed. Nothing is chosen on the test images: the last weights count, and
settings were chosen on validation images (docs/LOG.md).

NLL is -log of the mean of 5,000 importance weights, in nats per image, over all 10,000 test images;
its error is the standard error over test images. Active units are those with Var(E[z|x]) > 0.01. A
result file holds these and -ELBO, the resolved recipe, seconds of training (of a machine that may
have been busy), threads and versions.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec

import vaelab
from vaelab.recipes import Recipe, flatten
from vaelab.workflows.evaluate import evaluate
from vaelab.workflows.studies import FREE, trained

HERE = Path(__file__).parent
RESULTS, README = HERE / "results", HERE.parent / "README.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
SAMPLES = 5000  # importance weights an image, as in the paper

# name: recipe, what is laid over it, what it is, the paper's NLL and active units
ROWS: dict[str, tuple[str, dict[str, Any], str, str, str]] = {
    "burda-vae": ("burda-1l", {}, "VAE, k = 1", "86.76", "19"),
    "burda-vae-5": ("burda-1l", {"objective.k": 5}, "VAE, k = 5", "86.47", "20"),
    "burda-iwae-5": (
        "burda-1l",
        {"model.variant": "iwae", "objective.k": 5},
        "IWAE, k = 5",
        "85.54",
        "22",
    ),
    "half-hour": ("half-hour", {}, "30 minutes on two cores", "–", "–"),
}


def measure(row: str, seed: int, runs: Path, threads: int) -> dict[str, Any]:
    """One seed: train, or take what is there, and measure."""
    name, variant = ROWS[row][:2]
    recipe = vaelab.recipe(name, variant | {"train.seed": seed, "train.threads": threads})
    run = trained(recipe, runs / f"{row}-{seed}")
    found = evaluate(run, samples=SAMPLES, sections=("likelihood", "latent"))
    environment = json.loads((run.folder / "environment.json").read_text())
    numbers, codes = found.sections["likelihood"], found.sections["latent"]
    return {
        "seed": seed,
        "nll": numbers["nll"].value,
        "nll_error": numbers["nll"].error,
        "effective_sample_size": numbers["ess"].value,
        "minus_elbo": numbers["loss"].value,
        "rate": numbers["rate"].value,
        "active_units": codes["active_units"],
        "epochs": len(run.history),
        "train": run.history[-1]["train"],
        "training_seconds": sum(row["seconds"] for row in run.times),
        "threads": environment["threads"],
        "protocol": found.protocol,
        "recipe": msgspec.to_builtins(run.recipe),
    }


def _numbers(run: dict[str, Any]) -> dict[str, Any]:
    """What decides the numbers of a run, but its seed."""
    recipe = flatten(msgspec.convert(run["recipe"], Recipe))
    return {key: value for key, value in recipe.items() if key not in FREE | {"train.seed"}}


def table() -> str:
    """The README's table.

    It shows the mean over seeds, the standard error over test images, and each seed.
    """
    lines = [
        "| | recipe | NLL | published | each seed | active units | published |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, (recipe, _, what, nll, units) in ROWS.items():
        path = RESULTS / f"tables-{row}.json"
        if not path.exists():
            lines.append(f"| {what} | `{recipe}` | not measured yet | {nll} | | | {units} |")
            continue
        runs = json.loads(path.read_text())["runs"]
        found = [run["nll"] for run in runs]
        error, each = (
            mean(run["nll_error"] for run in runs),
            ", ".join(f"{value:.2f}" for value in found),
        )
        counts = [run["active_units"] for run in runs]
        active = "–".join(map(str, sorted({min(counts), max(counts)})))
        lines.append(
            f"| {what} | `{recipe}` | {mean(found):.2f} ± {error:.2f} | {nll} | {each} "
            f"| {active} | {units} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/tables"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", action="store_true")
    asked = parser.parse_args()
    versions = {package: version(package) for package in ("vaelab", "torch")}
    for row in [] if asked.table else asked.rows or ROWS:
        path = RESULTS / f"tables-{row}.json"
        for seed in asked.seeds:
            new = measure(row, seed, asked.runs, asked.threads) | {"versions": versions}
            runs = json.loads(path.read_text())["runs"] if path.exists() else []
            kept = [run for run in runs if run["seed"] != seed and _numbers(run) == _numbers(new)]
            document = {"runs": sorted([*kept, new], key=lambda run: run["seed"])}
            path.write_text(json.dumps(document, indent=1) + "\n")
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
