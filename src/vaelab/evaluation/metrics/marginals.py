"""The simplest model of a table: independent columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from vaelab.data import KINDS, Column, Schema
from vaelab.evaluation.metrics.rows import NORMAL

FREEDOM = 3.0  # of the Student-t distribution of heavy-tailed columns


def marginal_scores(
    schema: Schema, train: NDArray[np.float32], x: NDArray[np.float32]
) -> NDArray[np.float64]:
    """-log p(x), (N,), in nats, of independent columns fitted to `train` (M, D).

    Real numbers and dates are Gaussian, positive ones log-normal, heavy-tailed ones Student-t with
    3 degrees of freedom about the median, counts negative binomial by their mean and variance;
    categories have their frequencies with one half added to each, values that were never seen
    1 / (n + 1). Empty cells contribute nothing.
    """
    total = np.zeros(len(x))
    for i, column in enumerate(schema.modelled):
        seen, new = (part[:, i].astype(float) for part in (train, x))
        seen = seen[~np.isnan(seen)]
        if len(seen):
            total -= np.where(np.isnan(new), 0.0, _log_p(column, seen, np.nan_to_num(new)))
    return total


def _log_p(column: Column, seen: NDArray[np.float64], x: NDArray[np.float64]) -> Any:
    if KINDS[column.kind].words:
        counts = np.bincount(
            seen[seen < len(column.values)].astype(int), minlength=len(column.values)
        )
        shares = np.append((counts + 0.5) / (counts.sum() + len(counts) / 2), 1 / (len(seen) + 1))
        return np.log(shares)[np.clip(x, 0, len(column.values)).astype(int)]
    match column.kind:
        case "positive":
            y = np.log(np.maximum(x, 1e-300))
            logs = np.log(np.maximum(seen, 1e-300))
            return stats.norm.logpdf(y, logs.mean(), logs.std() or 1.0) - y
        case "heavy":
            first, middle, third = np.quantile(seen, [0.25, 0.5, 0.75])
            return stats.t.logpdf(x, FREEDOM, middle, (third - first) / NORMAL or seen.std() or 1.0)
        case "count":
            mean, variance = max(seen.mean(), 1e-3), seen.var()
            if variance <= mean * (1 + 1e-6):
                return stats.poisson.logpmf(x, mean)
            r = mean**2 / (variance - mean)
            return stats.nbinom.logpmf(x, r, r / (r + mean))
        case _:
            return stats.norm.logpdf(x, seen.mean(), seen.std() or 1.0)
