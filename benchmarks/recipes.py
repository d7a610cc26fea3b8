"""Train recipes on real data; write result files and the table of docs/systems.md.

    python benchmarks/recipes.py                      # every recipe with its own seed,
                                                      # then the table
                                                      # (published tables: benchmarks/tables.py)
    python benchmarks/recipes.py mlp-20d --seeds 10   # also seeds 0 to 9: how much do results vary?
    python benchmarks/recipes.py --table              # only the table, from the result files

The result files are in benchmarks/results. A finished run of the same recipe under --runs is
reused. Nothing is chosen here, so nothing is tuned on the test images: every recipe is used as it
is in src/vaelab/recipes.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import vaelab
from vaelab.recipes import available
from vaelab.report.comparison import record
from vaelab.workflows.compare import compare
from vaelab.workflows.studies import trained

HERE = Path(__file__).parent
PUBLISHED = {"burda-1l", "half-hour"}  # of benchmarks/tables.py
RESULTS, PAGE = HERE / "results", HERE.parent / "docs" / "systems.md"
BEGIN, END = "<!-- recipes: begin -->\n", "<!-- recipes: end -->\n"


def numbers(name: str, run: vaelab.Run) -> dict[str, Any]:
    """The table's columns and the whole history of one run."""
    return {
        "recipe": name,
        "seed": run.recipe.train.seed,
        "epochs": len(run.history),
        "results": run.results,
        "history": run.history,
        "seconds_per_epoch": median(row["seconds"] for row in run.times),
        "threads": json.loads((run.folder / "environment.json").read_text())["threads"],
    }


def table() -> str:
    """The table of docs/systems.md.

    It has a line for every run of the result files with the recipe's own seed.
    """
    lines = [
        "| recipe | parameters | epochs | train | test = distortion + rate | PCA, 2 components |",
        "|---|---|---|---|---|---|",
    ]
    for path in sorted(RESULTS.glob("recipe-*.json")):
        for run in json.loads(path.read_text())["runs"]:
            results = run["results"]
            train = run["history"][results["epoch"] - 1]["train"]["loss"]
            epochs = f"{run['epochs']}" + (
                f" (best: {results['epoch']})" if results["epoch"] < run["epochs"] else ""
            )
            test = f"{results['loss']:.2f} = {results['distortion']:.2f} + {results['rate']:.2f}"
            share = results["explained_variance_2"]
            variance = f"{100 * share:.1f} %" if share < 0.9999 else "–"  # all of a plane
            cells = (
                f"`{run['recipe']}`",
                f"{results['parameters']:,}",
                epochs,
                f"{train:.2f}",
                test,
                variance,
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(runs: list[dict[str, Any]], split: str, epoch: int) -> tuple[float, float]:
    """Mean and standard deviation of a loss over seeds, in nats per image."""
    losses = [run["history"][epoch - 1][split]["loss"] for run in runs]
    return mean(losses), stdev(losses)


def write(name: str, runs: dict[str, vaelab.Run]) -> list[dict[str, Any]]:
    """One result file."""
    found = [numbers(key, run) for key, run in runs.items()]
    versions = {package: version(package) for package in ("vaelab", "torch")}
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"versions": versions, "runs": found}, indent=1) + "\n")
    print(path)
    return found


def own_seed(name: str, folder: Path, threads: int) -> None:
    """The recipe as it stands; of a study, the comparison too."""
    recipes = vaelab.study(name, {"train.threads": threads})
    many = len(recipes) > 1
    places = {key: folder / key if many else folder for key in recipes}
    runs = {key: trained(recipe, places[key]) for key, recipe in recipes.items()}
    write(f"recipe-{name}", {recipes[key].name: run for key, run in runs.items()})
    if many:
        found = record(compare(list(runs.values()), folder))
        (RESULTS / f"comparison-{name}.json").write_text(json.dumps(found, indent=1) + "\n")


def many_seeds(name: str, folder: Path, threads: int, seeds: int) -> None:
    """The recipe with seeds 0, 1, ...; prints mean and standard deviation after some epochs."""
    settings = {"figures.points": 500, "train.threads": threads}
    recipes = {
        f"seed-{seed}": vaelab.recipe(name, settings | {"train.seed": seed})
        for seed in range(seeds)
    }
    runs = {key: trained(recipe, folder / key) for key, recipe in recipes.items()}
    found = write(f"seeds-{name}", runs)
    for split in found[0]["history"][0].keys() & {"train", "validation", "test"}:
        epochs = [epoch for epoch in (1, 2, 3, 10, 20) if epoch <= len(found[0]["history"])]
        print(
            split,
            {epoch: "{:.2f} ± {:.2f}".format(*spread(found, split, epoch)) for epoch in epochs},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="train recipes and write down what they reach")
    parser.add_argument("names", nargs="*", help="recipes (default: all)")
    parser.add_argument(
        "--seeds", type=int, default=0, help="instead of the recipe's own seed: seeds 0 to N - 1"
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="CPU threads (0: what suits the machine)"
    )
    parser.add_argument(
        "--runs", type=Path, default=Path("runs") / "recipes", help="where the run folders are"
    )
    parser.add_argument("--table", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    for name in (
        [] if arguments.table else arguments.names or sorted(available().keys() - PUBLISHED)
    ):
        if arguments.seeds:
            many_seeds(name, arguments.runs / f"{name}-seeds", arguments.threads, arguments.seeds)
        else:
            own_seed(name, arguments.runs / name, arguments.threads)
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
