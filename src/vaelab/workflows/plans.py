"""Plans: which runs are to be trained next. `run_plan` trains them, several at the same time."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Protocol

from vaelab.recipes import Recipe
from vaelab.runs import load
from vaelab.workflows.console import Console, duration
from vaelab.workflows.interruptions import interruptions
from vaelab.workflows.worker import Answer, Task
from vaelab.workflows.workers import Workers

TICK = 0.2  # seconds between two looks at the runs in progress


class Plan(Protocol):
    """Runs by name, each with its recipe; what comes next may depend on how others ended."""

    total: int
    weights: int  # importance weights per image of the evaluation of each run; 0: none

    @property
    def done(self) -> int:
        """How many of them have ended."""

    def next(self) -> tuple[str, Recipe] | None:
        """Return the next run, None if there is none (now)."""

    def told(self, name: str, answer: Answer) -> str:
        """Take note of how a run ended; return a remark if the plan ended it."""

    def hopeless(self, names: Collection[str]) -> Collection[str]:
        """Return those of the runs in progress that are to be stopped."""


class Listed:
    """Runs that are all known beforehand."""

    def __init__(self, recipes: Mapping[str, Recipe], weights: int = 0) -> None:
        self.left, self.total, self.weights = list(recipes.items()), len(recipes), weights
        self.done = 0

    def next(self) -> tuple[str, Recipe] | None:
        return self.left.pop(0) if self.left else None

    def told(self, name: str, answer: Answer) -> str:
        self.done += 1
        return ""

    def hopeless(self, names: Collection[str]) -> Collection[str]:
        return ()


def run_plan(
    plan: Plan, out: Path, workers: Workers, console: Console, overwrite: bool = False
) -> dict[str, str]:
    """Train the runs of a plan in the folders ``out/NAME``; return by name why runs failed.

    Raises:
        KeyboardInterrupt: After Ctrl-C, SIGTERM or SIGHUP. The processes save what they do when
            the context of the workers ends.
    """
    failed: dict[str, str] = {}
    begun: dict[str, float] = {}
    with interruptions() as stopping:
        while not stopping():
            while workers.free and (following := plan.next()):
                name, recipe = following
                begun[name] = time.monotonic()
                workers.give(Task(out / name, recipe, overwrite, plan.weights))
            if not workers.busy:
                return failed
            _show(
                plan,
                {task.folder.name: epochs_done(task.folder) for task in workers.busy},
                console,
            )
            for task, answer in workers.answers(TICK):
                name = task.folder.name
                remark = plan.told(name, answer)
                if answer.status != "finished" and not remark:
                    failed[name] = answer.text or "interrupted"
                    remark = f"{answer.status}: {failed[name]}"
                said = remark or ("evaluated" if plan.weights else _results(out / name))
                seconds = duration(time.monotonic() - begun[name])
                console.say(f"{name}: {said} ({plan.done} of {plan.total}, {seconds})")
            names = {task.folder.name: task for task in workers.busy}
            workers.stop([names[name] for name in plan.hopeless(names)])
    raise KeyboardInterrupt


def _results(folder: Path) -> str:
    """The results of a finished run in a few words."""
    results = load(folder).results
    value = results.get("bound", results["loss"])
    return f"{results['split']} {'bound' if 'bound' in results else 'loss'} {value:.2f}"


def epochs_done(folder: Path) -> int:
    """How many epochs of a run in progress are saved."""
    try:
        return (folder / "times.jsonl").read_bytes().count(b"\n")
    except OSError:
        return 0


def _show(plan: Plan, epochs: Mapping[str, int], console: Console) -> None:
    """The live line of a plan: how many of its runs have ended, and where the others are."""
    if console.due():
        bar = "#" * (20 * plan.done // max(1, plan.total))
        each = ", ".join(f"{name} epoch {number}" for name, number in epochs.items())
        console.live(f"[{bar:.<20}] {plan.done} of {plan.total}; {each}")
