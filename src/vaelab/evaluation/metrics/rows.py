"""Rows of tables: their distance to the closest training row, and whether they are possible.

A table is an array (N, D) of numbers, NaN where a cell is empty; `words` (D,) marks the columns
whose numbers are the indices of categories.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vaelab import devices
from vaelab.data import Array, Column
from vaelab.data.schema import KINDS
from vaelab.evaluation.metrics.estimates import Estimate

CLOSE = 0.05  # share of held-out rows that lie below the threshold
NORMAL = 1.349  # the interquartile range of a standard normal distribution


def words_of(columns: Sequence[Column]) -> Array:
    """Return which columns contain categories, (D,)."""
    return np.array([KINDS[column.kind].words for column in columns])


def deviations(x: Array, words: Array) -> Array:
    """Return a robust deviation of each column of x, (D,): the interquartile range over 1.349.

    Where half of the cells are equal it is the standard deviation. It is 1 for categories and for
    numbers that never vary.
    """
    found = np.ones(x.shape[1])
    for i in np.flatnonzero(~words):
        values = x[~np.isnan(x[:, i]), i]
        if len(values):
            first, third = np.quantile(values, [0.25, 0.75])
            found[i] = (third - first) / NORMAL or values.std() or 1.0
    return found


def closest(x: Array, among: Array, words: Array, scale: Array) -> Array:
    """Return the distance of each row of x (N, D) to the closest row of `among` (M, D): (N,).

        d(a, b) = mean_j |a_j - b_j| / scale_j    of numbers,    [a_j != b_j] of categories

    The mean is over the filled cells of a; a cell that b lacks counts 1, or a nearly empty row
    would be close to every other. d is 0 where a has no cells.
    Memory does not grow with N.

    References:
        Gower, A general coefficient of similarity and some of its properties, Biometrics 27, 1971,
        who divides numbers by their range, which a single outlier changes.
    """
    found = np.empty(len(x))
    size = devices.at_once(32 * len(among))
    for start in range(0, len(x), size):
        rows = x[start : start + size]
        total = np.zeros((len(rows), len(among)))
        for i, word in enumerate(words):
            apart = np.abs(rows[:, None, i] - among[None, :, i])
            apart = np.where(np.isnan(apart), 1.0, apart > 0 if word else apart / scale[i])
            total += np.where(np.isnan(rows[:, i]), 0.0, apart.T).T
        found[start : start + size] = total.min(1) / np.maximum((~np.isnan(rows)).sum(1), 1)
    return found


def share_closer(made: Array, real: Array) -> Estimate:
    """Return the share of distances `made` (N,) below the CLOSE quantile of `real` (M,).

    Both are distances to the same training rows, so the share is CLOSE where synthetic rows are as
    far from them as held-out rows are, and larger where rows are copied. The standard error covers
    the choice of both.
    """
    # "weibull" gives an unbiased share below the limit, down to 1 / (M + 1).
    limit = np.quantile(real, CLOSE, method="weibull")
    share = float((made < limit).mean())
    error = share * (1 - share) / len(made) + CLOSE * (1 - CLOSE) / len(real)
    return Estimate(share, error**0.5)


def share_of(flags: Array) -> Estimate:
    """Return the share of true flags (N,), with its binomial standard error."""
    share = float(flags.mean())
    return Estimate(share, (share * (1 - share) / len(flags)) ** 0.5)


def possible(x: Array, real: Array, words: Array, steps: Array) -> Array:
    """Return which cells of x (N, D) could stand in the table of the rows `real` (M, D): (N, D).

    A number must lie within the range of its column and be a multiple of its step (0: any), and a
    category must occur in it. Empty cells are possible.
    """
    found = np.ones(x.shape, bool)
    for i, word in enumerate(words):
        values = real[~np.isnan(real[:, i]), i]
        if word:
            found[:, i] = np.isin(x[:, i], values)
        elif len(values):
            found[:, i] = (x[:, i] >= values.min()) & (x[:, i] <= values.max())
            if steps[i]:
                off = (x[:, i] - values[0]) / steps[i]
                found[:, i] &= np.abs(off - np.rint(off)) < 1e-3
    return found | np.isnan(x)
