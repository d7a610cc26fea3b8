"""A sweep of 8 seeds against 8 single commands, with all that a run does.

    python benchmarks/sweep.py                  # writes benchmarks/results/sweep.json

For each recipe, `vaelab sweep RECIPE --seeds 8` and 8 times `vaelab train RECIPE --train.seed S`
run in turn, as commands of their own, so importing torch and reading the data count. The number of
epochs is that of the option; figures, report and results are those of any run. A single run has a
thread for each core, as on an idle machine, or as many as --threads says: on a busy one, fewer are
faster. The order within each pair alternates. Quote the median of the ratios, never a single time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from vaelab import devices


def seconds(commands: list[list[str]]) -> float:
    """Run commands of vaelab one after the other; how long that takes."""
    begun = time.perf_counter()
    for words in commands:
        subprocess.run([sys.executable, "-m", "vaelab", *words, "--quiet"], check=True)
    return time.perf_counter() - begun


def pair(recipe: str, seeds: int, epochs: int, threads: int, first: str) -> dict[str, float]:
    """The seconds of a sweep and of single runs, the `first` of them first."""
    settings = [f"--train.epochs={epochs}"]
    taken = {}
    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "sweep": [["sweep", recipe, "--seeds", str(seeds), "--out", f"{folder}/s", *settings]],
            "single": [
                [
                    *("train", recipe, f"--train.seed={42 + i}", "--out", f"{folder}/{i}"),
                    *(f"--train.threads={threads}", *settings),
                ]
                for i in range(seeds)
            ],
        }
        for name in (first, *(ways.keys() - {first})):
            taken[name] = round(seconds(ways[name]), 2)
    return taken | {"ratio": round(taken["sweep"] / taken["single"], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=0, help="of each run (0: a few)")
    parser.add_argument("--threads", type=int, default=devices.cores(), help="of a single run")
    parser.add_argument("--recipes", nargs="+", default=["mlp-2d", "quickstart"])
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "sweep.json"
    )
    arguments = parser.parse_args()

    recipes = {}
    for recipe in arguments.recipes:
        epochs = arguments.epochs or {"mlp-2d": 3, "quickstart": 80}.get(recipe, 3)
        rows = []
        for i in range(arguments.pairs):
            first = ("sweep", "single")[i % 2]
            rows.append(pair(recipe, arguments.seeds, epochs, arguments.threads, first))
            print(f"{recipe}, pair {i + 1}: {rows[-1]}", flush=True)
        ratios = [row["ratio"] for row in rows]
        median = statistics.median(ratios)
        recipes[recipe] = {"epochs": epochs, "median_ratio": median, "pairs": rows}
        print(f"{recipe}: median ratio {median:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    result = {
        "what": f"seconds of a sweep of {arguments.seeds} seeds / of as many single runs",
        "recipes": recipes,
        "threads_of_single_runs": arguments.threads,
        "cores": devices.cores(),
        "processor": devices.processor(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(arguments.out)


if __name__ == "__main__":
    main()
