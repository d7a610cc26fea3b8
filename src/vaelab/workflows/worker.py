"""What a worker of a sweep does: train a run, or continue it, and evaluate it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

from vaelab import devices
from vaelab.recipes import Recipe
from vaelab.workflows.evaluate import evaluate
from vaelab.workflows.studies import trained


class Task(NamedTuple):
    """A run to train, or to continue."""

    folder: Path
    recipe: Recipe
    overwrite: bool  # whether it replaces a run of another recipe
    weights: int  # importance weights per image of the evaluation that follows; 0: none


class Answer(NamedTuple):
    """How a task ended, and why."""

    status: Literal["finished", "failed", "interrupted"]
    text: str = ""


def work(task: Task) -> Answer:
    """Train the run of a task.

    Raises:
        UserError: What the user is to correct; the task has failed.
    """
    try:
        # Else each part of the work looks for idle cores, for 0.2 s.
        with devices.using(task.recipe.train.threads):
            run = trained(task.recipe, task.folder, task.overwrite, quiet=True)
            if task.weights:
                evaluate(run, samples=task.weights, quiet=True)
    except (MemoryError, RuntimeError, OSError) as error:
        return Answer("failed", f"{type(error).__name__}: {error}")
    return Answer("finished")
