"""Which epoch is the best, and when to stop looking for a better one."""

from __future__ import annotations

from typing import Any

from vaelab.training.checkpoint import History


def best_epoch(history: History, warmup: float = 0.0) -> int:
    """The epoch with the lowest validation value of distortion + rate, at beta = 1.

    With several samples an image their bound counts instead: it is closer to -log p(x).
    Epochs of a warm-up do not count once it is over, because they optimise another objective.
    Without validation images it is the last epoch, because a choice on the test images would bias
    the result.

    >>> losses = (3.0, 1.0, 2.0)
    >>> best_epoch([{"epoch": i, "validation": {"loss": x}} for i, x in enumerate(losses, 1)])
    2
    """
    if "validation" not in history[-1]:
        return int(history[-1]["epoch"])

    return int(min(counting(history, warmup) or history, key=validated)["epoch"])


def counting(history: History, warmup: float) -> History:
    """The entries of the epochs after a warm-up."""
    return [entry for entry in history if entry["epoch"] > warmup]


def validated(entry: dict[str, Any]) -> float:
    """The validation value of an epoch at beta = 1, in nats: the bound, or distortion + rate."""
    return float(entry["validation"].get("bound", entry["validation"]["loss"]))


def exhausted(history: History, patience: int, warmup: float = 0.0) -> bool:
    """Whether `patience` epochs (0: any number) have passed without a better validation value."""
    if not (patience and history):
        return False
    return int(history[-1]["epoch"]) - best_epoch(history, warmup) >= patience
