"""What a sweep would save at most if it trained its models stacked into one.

    python benchmarks/stacks.py                 # writes benchmarks/results/stacks.json

Three ways to train M models that differ in weights, batches and noise take turns, in one thread:

    single    M times `vaelab.epochs`, as a sweep does
    vmap      the gradient of all by torch.func.vmap of `Step`, then Adam on the stacked weights
    floor     only the affine maps, forward and backward, as batched products, then the same Adam

Neither stack does what the loop does for each model: the order of the images, schedules, the record
of the losses. The whole command is `vaelab sweep --seeds N`. A stack would save of it at most the
part of the training that it makes faster, whose seconds are in times.jsonl of the runs; importing,
saving, measuring and plotting remain as they are. Quote ratios of the median, never a single time.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

import vaelab
from vaelab import devices
from vaelab.data import Batches, load
from vaelab.models import build
from vaelab.seeding import seeded
from vaelab.training import Step, optimisers, schedules

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "quickstart": ("quickstart", {}),
    "quickstart, width 32": ("quickstart", {"model.hidden": "32"}),
    "quickstart, width 32, binary": (
        "quickstart",
        {"model.hidden": "32", "model.likelihood": "bernoulli"},
    ),
    "mlp-2d": ("mlp-2d", {"train.epochs": 3}),
}
STEPS = 20  # of a stack in a round


class Models:
    """M models of a recipe, single and stacked."""

    def __init__(self, recipe: vaelab.Recipe, members: int) -> None:
        self.recipe, data = recipe, load(recipe.data)
        self.data = Batches(data.train.x, data.levels, recipe.data, torch.device("cpu"))
        self.steps = []
        for seed in range(members):
            with seeded(seed, "weights"):
                model = build(recipe.model, data.shape, data.levels)
            self.steps.append(Step(model, recipe.objective).train())
        # torch asks for lists of modules and of parameters, where it takes their heirs as well.
        self.weights, self.buffers = stack_module_state(self.steps)  # type: ignore[arg-type]
        self.adam = optimisers.make(self.weights.values(), recipe.train)  # type: ignore[arg-type]
        self.streams = [torch.Generator().manual_seed(seed) for seed in range(members)]
        self.numbers = schedules.numbers(recipe.objective, 1.0, recipe.train.epochs)
        self.numbers["images"] = len(self.data)
        self.epochs = vaelab.epochs(self.steps[0], self.data, recipe.train)

    def single(self) -> float:
        """Seconds of a step of all models, one after the other."""
        epoch = next(self.epochs)
        return epoch.seconds / epoch.steps * len(self.steps)

    def vmap(self) -> float:
        def one(weights: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            given = (x, None, self.numbers)
            loss: Tensor = functional_call(self.steps[0], (weights, buffers), given)[0]
            return loss

        every = vmap(one, randomness="different")
        # torch's own fills a tensor in place that has no axis for the models, which vmap refuses.
        name = "torch.distributions.normal._standard_normal"
        with mock.patch(name, lambda shape, dtype, device: torch.randn(shape, dtype=dtype)):
            return self._seconds(lambda x: every(self.weights, self.buffers, x).sum())

    def floor(self) -> float:
        names = [n for n, part in self.steps[0].named_modules() if isinstance(part, nn.Linear)]
        encoder = [name for name in names if name.startswith("model.encoder")]
        decoder = [name for name in names if name.startswith("model.decoder")]

        def through(layers: list[str], y: Tensor) -> Tensor:
            for i, name in enumerate(layers):
                weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
                y = torch.baddbmm(bias[:, None], y.relu() if i else y, weight.mT)
            return y

        def loss(x: Tensor) -> Tensor:
            return through(decoder, through(encoder, x.flatten(2)).chunk(2, -1)[0]).sum()

        return self._seconds(loss)

    def _seconds(self, loss: Callable[[Tensor], Tensor]) -> float:
        """Seconds of a step that minimises the loss of batches (M, B, *shape)."""
        begun, batch = time.perf_counter(), self.recipe.train.batch
        for _ in range(STEPS):
            rows = [torch.randint(len(self.data), (batch,), generator=g) for g in self.streams]
            x = torch.stack([self.data(i, g) for i, g in zip(rows, self.streams, strict=True)])
            self.adam.zero_grad()
            loss(x).backward()
            self.adam.step()
        return (time.perf_counter() - begun) / STEPS


def milliseconds(recipe: vaelab.Recipe, members: int, rounds: int) -> dict[str, float]:
    """The time of a step of all models by each way, median of the rounds."""
    models = Models(recipe, members)
    ways = {"single": models.single, "vmap": models.vmap, "floor": models.floor}
    for way in ways.values():
        way()
    rows = [{name: way() for name, way in ways.items()} for _ in range(rounds)]
    return {name: round(1e3 * statistics.median(row[name] for row in rows), 3) for name in ways}


def whole(name: str, settings: dict[str, Any], seeds: int, jobs: int) -> tuple[float, float]:
    """Seconds of a sweep, and those of them in which a process trained."""
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--{key}={value}" for key, value in settings.items()]
        words += ["--seeds", str(seeds), "--jobs", str(jobs), "--out", folder, "--quiet"]
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "vaelab", "sweep", name, *words], check=True)
        seconds = time.perf_counter() - begun
        lines = [line for file in Path(folder).glob("*/times.jsonl") for line in file.open()]
        return seconds, sum(json.loads(line)["seconds"] for line in lines) / jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=devices.cores())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[*CASES])
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "stacks.json"
    )
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    jobs = min(arguments.jobs, arguments.seeds)
    members, rows = arguments.seeds // jobs, {}
    for case in arguments.cases:
        name, given = CASES[case]
        settings = given | {"train.threads": 1}
        recipe = vaelab.recipe(name, settings | {"train.epochs": arguments.rounds + 1})
        step = milliseconds(recipe, members, arguments.rounds)
        seconds, training = whole(name, settings, arguments.seeds, jobs)
        ratios = {way: step[way] / step["single"] for way in ("vmap", "floor")}
        rows[case] = {
            "step_ms": step,
            "sweep_seconds": round(seconds, 2),
            "training_share": round(training / seconds, 3),
            "whole_ratio_at_best": {
                way: round(1 - training / seconds * (1 - ratio), 3) for way, ratio in ratios.items()
            },
        }
        print(f"{case}: {rows[case]}", flush=True)
    result = {
        "what": f"a step of {members} models single and stacked, and what that would make of a "
        f"sweep of {arguments.seeds} seeds in {jobs} processes",
        "cases": rows,
        "processor": devices.processor(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(arguments.out)


if __name__ == "__main__":
    main()
