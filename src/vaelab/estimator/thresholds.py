"""The value of log p(x) below which a row is called an outlier."""

from __future__ import annotations

import math

import numpy as np
import torch

from vaelab.data import Array, Split, spread
from vaelab.estimator.model import Model
from vaelab.models import Point
from vaelab.workflows.job import Job

RATE = 0.05  # of usual rows that "auto" calls outliers
ENOUGH = 19  # held-out rows that can tell so small a share: 1 / (n + 1) <= RATE
READ_OFF = 1000  # rows at most that the threshold of "auto" is read off


def offset_of(model: Model, job: Job, contamination: float | str, samples: int) -> float:
    """Return the threshold that a parameter `contamination` asks for.

    A number is the share of the training rows, by weight, that lie below the threshold. "auto"
    reads it off held-out rows, or off all rows where these are fewer than `ENOUGH`, so that at most
    `RATE` of usual rows lie below it in expectation (split conformal prediction: Vovk, Gammerman &
    Shafer, Algorithmic learning in a random world, 2005). It is NaN for an autoencoder, which has
    no p(x).
    """
    if isinstance(model.vae.encoder, Point):
        return math.nan
    splits = [job.data.train, job.data.validation]
    if contamination != "auto":
        log_p, weights = _scored(model, splits, samples)
        return lowest(log_p, weights, float(contamination) * weights.sum())
    if len(job.validation) >= ENOUGH:
        splits = splits[1:]
    log_p, weights = _scored(model, splits, samples, READ_OFF)
    weights = weights / weights.mean()
    return lowest(log_p, weights, (weights.sum() + 1) * RATE - 1)


def _scored(
    model: Model, splits: list[Split], samples: int, most: int | None = None
) -> tuple[Array, Array]:
    """Return log p(x) and the weights, both (N,), of at most so many rows, evenly spaced."""
    x = torch.cat([split.x[:] for split in splits])
    weights = [np.ones(len(s.x)) if s.weights is None else s.weights.numpy() for s in splits]
    some = spread(len(x), most or len(x))
    x = model.treated(x[torch.from_numpy(some)])
    return model.log_p(x, samples), np.concatenate(weights)[some]


def lowest(values: Array, weights: Array, mass: float) -> float:
    """Return the greatest of the values (N,) that have a weight of at most `mass` below them.

    >>> lowest(np.array([3.0, 1.0, 2.0, 4.0]), np.ones(4), 1.0)
    2.0
    """
    order = values.argsort()
    below = np.cumsum(weights[order])
    at = np.searchsorted(below, max(mass, 0.0) * (1 + 1e-9), side="right")
    return float(values[order[min(int(at), len(order) - 1)]])
