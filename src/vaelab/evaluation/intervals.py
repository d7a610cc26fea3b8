"""Confidence intervals for the mean of paired differences."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 4000  # bootstrap resamples; at level 0.95, 100 of them lie beyond each end
LEAST = 10  # the bootstrap needs this many values, and as many that differ from the mode
BLOCK = 2_000_000  # values resampled at once, which bounds the memory


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """-1 or 1 where the interval lies on one side of zero, else 0."""
        return (self.low > 0) - (self.high < 0)


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """Return the t interval for the mean of N >= 2 values.

        mean +- t sd / sqrt(N),    t the quantile of Student's t with N - 1 degrees of freedom

    The interval is exact for independent normal values, such as differences of two runs by seed.
    It is None where all values are equal: they are not normal and do not show how much another
    value would vary.

    References:
        Student, The probable error of a mean, 1908, Biometrika 6.
    """
    from scipy.special import stdtrit  # scipy.stats takes a second to import

    x = np.asarray(values, dtype=np.float64)
    if (x == x[0]).all():
        return None
    reach = float(stdtrit(len(x) - 1, (1 + level) / 2) * x.std(ddof=1) / len(x) ** 0.5)
    return Interval(float(x.mean()), float(x.mean()) - reach, float(x.mean()) + reach)


def unpaired(
    first: float, second: float, errors: tuple[float, float], level: float = 0.95
) -> Interval:
    """Return second - first +- z sqrt(e1^2 + e2^2) for two numbers with independent errors.

    Numbers that are measured on the same test images have positively correlated errors, for which
    the interval is too long (conservative).
    """
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(np.hypot(*errors))
    return Interval(second - first, second - first - reach, second - first + reach)


def bootstrap(
    values: ArrayLike, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Interval | None:
    """Return the studentised bootstrap (bootstrap-t) interval for the mean of N independent values.

    Each resample x* of N values with replacement gives t* = (mean(x*) - mean) / sd(x*). The
    interval is mean - sd q, with q the upper and the lower quantile of t*. It is longer on the side
    to which the values are skewed. The coverage error of each side is O(1/N), that of percentile
    intervals O(1/sqrt(N)) (Hall 1988).

    Args:
        values: The values, (N,).
        level: The coverage.
        draws: The number of resamples.
        seed: The random seed; the same seed gives the same interval.

    Returns:
        The interval, of length 0 where all values are equal. None where N is below `LEAST`, or
        where some values, but fewer than `LEAST`, differ from the most frequent one: if two models
        disagree on only three images, there is too little to resample.

    References:
        Hall, Theoretical comparison of bootstrap confidence intervals, 1988, Annals of
        Statistics 16.
    """
    x = np.asarray(values, dtype=np.float64)
    alike = int(np.unique(x, return_counts=True)[1].max(initial=0))
    if len(x) < LEAST or 0 < len(x) - alike < LEAST:
        return None
    centred = x - x.mean()
    found, rng = np.empty(draws), np.random.default_rng(seed)
    for start in range(0, draws, max(1, BLOCK // len(x))):
        block = found[start : start + max(1, BLOCK // len(x))]
        resampled = centred[rng.integers(0, len(x), (len(block), len(x)))]  # (draws, N)
        block[:] = _studentised(resampled.mean(1), resampled.std(1))
    low, high = np.quantile(found, [(1 + level) / 2, (1 - level) / 2])
    return Interval(
        float(x.mean()), float(x.mean() - x.std() * low), float(x.mean() - x.std() * high)
    )


def _studentised(
    means: NDArray[np.float64], deviations: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return means / deviations, 0 where the deviation is 0."""
    return np.divide(means, deviations, out=np.zeros_like(means), where=deviations > 0)
