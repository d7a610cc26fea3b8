"""The records of a run as trackers get them: flat, with names like train/loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABOUT = {
    "loss": "negative objective at beta 1, an upper bound on -log p(x), in nats",
    "distortion": "-E[log p(x|z)], in nats",
    "rate": "KL divergence of q(z|x) from the prior, in nats",
    "bound": "bound on -log p(x) that the objective optimises, in nats",
    "optimised": "value that the optimiser lowers, in nats",
    "bits_per_dim": "loss in bits per element of x",
    "beta": "weight of the rate",
    "learning_rate": "learning rate of the last step",
    "seconds": "duration of the epoch with its validation, in seconds",
    "peak_mib": "memory that the training took at most, in MiB",
}


def flat(entry: Mapping[str, Any], time: Mapping[str, float]) -> dict[str, float]:
    """Return an entry of metrics.jsonl, and the seconds of times.jsonl, as one dictionary.

    >>> flat({"epoch": 1, "beta": 1.0, "train": {"loss": 9.5}}, {"epoch": 1, "seconds": 0.2})
    {'beta': 1.0, 'train/loss': 9.5, 'seconds': 0.2}
    """
    values: dict[str, float] = {}
    for name, value in entry.items():
        if isinstance(value, Mapping):
            values |= {f"{name}/{term}": number for term, number in value.items()}
        elif name != "epoch":
            values[name] = value
    return values | {name: number for name, number in time.items() if name != "epoch"}


def about(name: str) -> str:
    """Return what a value is and its unit.

    >>> about("train/rate")
    'KL divergence of q(z|x) from the prior, in nats'
    """
    return ABOUT.get(name.rpartition("/")[2], "")
