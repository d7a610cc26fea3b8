"""How far a mean may be trusted: intervals for the mean of paired differences."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 4000  # resamples of a bootstrap: at level 0.95 a hundred of them lie beyond each end
LEAST = 10  # values that must not all be alike before resampling them says anything
BLOCK = 2_000_000  # values resampled at once: bounds the memory


class Interval(NamedTuple):
    """A mean, and where it may lie."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """-1 or 1 where the interval lies on one side of zero, else 0."""
        return (self.low > 0) - (self.high < 0)


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """mean +- t sd / sqrt(N), t the quantile of Student's distribution at N - 1 degrees of freedom; N at least 2.

    Exact for independent normal values (Student 1908, Biometrika 6), such as differences of two runs seed by seed. None
    where all values are equal: these are no normal values, and say nothing about how far the next may lie.
    """
    from scipy.stats import t  # here, for it takes a second to import

    x = np.asarray(values, dtype=np.float64)
    if (x == x[0]).all():
        return None
    reach = float(t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / len(x) ** 0.5)
    return Interval(float(x.mean()), float(x.mean()) - reach, float(x.mean()) + reach)


def unpaired(
    first: float, second: float, errors: tuple[float, float], level: float = 0.95
) -> Interval:
    """second - first +- z sqrt(e1^2 + e2^2) of two numbers with standard errors, as if they were independent.

    Numbers that share their test images are not: their errors go up and down together, and the interval is too long.
    """
    reach = NormalDist().inv_cdf((1 + level) / 2) * float(np.hypot(*errors))
    return Interval(second - first, second - first - reach, second - first + reach)


def bootstrap(
    values: ArrayLike, level: float = 0.95, draws: int = DRAWS, seed: int = 0
) -> Interval | None:
    """The studentised bootstrap (bootstrap-t) for the mean of N independent values.

    Each resample x* of N values, drawn with replacement, gives t* = (mean(x*) - mean) / sd(x*); the interval is
    mean - sd q, q the upper and the lower quantile of t*. It is longer on the side to which the values are skewed: what
    each side covers errs by O(1/N), of plain percentiles by O(1/sqrt(N)) (Hall 1988, Annals of Statistics 16). None
    where some values, but fewer than `LEAST`, differ from the most frequent one: two models that are right about the
    same images but for three leave nothing to resample. Where all are equal, so is every resample: an interval of no
    length. The same seed, the same interval.
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
    """means / deviations, 0 where all the values were alike."""
    return np.divide(means, deviations, out=np.zeros_like(means), where=deviations > 0)
