"""Tables compared column by column and pair by pair: marginal distributions and associations.

As in `metrics.rows`, a table is an array (N, D), NaN where a cell is empty, and `words` (D,) marks
columns of categories.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vaelab.data import Array


def marginal_distances(a: Array, b: Array) -> tuple[float, float]:
    """Return the Wasserstein-1 distance and the Kolmogorov-Smirnov statistic of two sets of
    numbers.

        W = integral |F_a(t) - F_b(t)| dt,    KS = max_t |F_a(t) - F_b(t)|

    with the empirical distribution functions F of the cells that are not empty. Both are NaN where
    a set has none.
    """
    a, b = (np.sort(values[~np.isnan(values)]) for values in (a, b))
    if not len(a) or not len(b):
        return np.nan, np.nan
    at = np.sort(np.concatenate([a, b]))
    apart = np.abs(
        np.searchsorted(a, at, "right") / len(a) - np.searchsorted(b, at, "right") / len(b)
    )
    return float(apart[:-1] @ np.diff(at)), float(apart.max())


def total_variation(a: Array, b: Array) -> float:
    """Return 1/2 sum_v |p_a(v) - p_b(v)| over the categories v; NaN where a set has no cells."""
    a, b = (values[~np.isnan(values)] for values in (a, b))
    if not len(a) or not len(b):
        return np.nan
    values = np.union1d(a, b)
    shares = ((np.searchsorted(values, part), len(part)) for part in (a, b))
    p, q = (np.bincount(index, minlength=len(values)) / n for index, n in shares)
    return float(np.abs(p - q).sum() / 2)


def associations(x: Array, words: Sequence[bool] | Array) -> Array:
    """Return how strongly each pair of columns of x (N, D) is associated: (D, D), symmetric.

        two numbers             Spearman's rank correlation, in [-1, 1]
        two categories          Cramer's V, sqrt(chi^2 / (N min(r - 1, c - 1))), in [0, 1]
        a number, a category    correlation ratio of the number's ranks, sqrt(between / total), in
                                [0, 1]

    Ranks are those among all filled cells of a column. Rows count for a pair where both cells are
    filled. A column that does not vary has no associations (0). Of few rows, V and the correlation
    ratio are too high: only tables with the same number of rows can be compared.
    """
    words = np.asarray(words, bool)
    found = np.eye(x.shape[1])
    numbers, categories = np.flatnonzero(~words), np.flatnonzero(words)
    ranks, filled = _ranks(x[:, numbers])
    found[np.ix_(numbers, numbers)] = _correlations(ranks, filled)
    codes = {i: _codes(x[:, i]) for i in categories}
    for place, i in enumerate(categories):
        found[i, numbers] = found[numbers, i] = _ratios(codes[i], ranks, filled)
        for j in categories[:place]:
            found[i, j] = found[j, i] = _cramer(codes[i], codes[j])
    np.fill_diagonal(found, 1.0)
    return found


def association_gap(a: Array, b: Array) -> float:
    """Return the mean absolute difference of two matrices of associations over all pairs."""
    pairs = np.triu_indices(len(a), 1)
    return float(np.abs(a - b)[pairs].mean()) if len(pairs[0]) else 0.0


def _ranks(x: Array) -> tuple[Array, Array]:
    """Return the centred ranks of each column, 0 where a cell is empty, and which are filled."""
    from scipy.stats import rankdata  # imported here because it takes a second

    filled, ranks = ~np.isnan(x), np.zeros(x.shape)
    for i, which in enumerate(filled.T):
        if which.any():
            ranks[which, i] = rankdata(x[which, i]) / which.sum() - 0.5
    return ranks, filled.astype(float)


def _correlations(ranks: Array, filled: Array) -> Array:
    n = np.maximum(filled.T @ filled, 1)
    first, second = ranks.T @ filled, (ranks**2).T @ filled  # of the column that the row names
    variances = n * second - first**2
    covariances = n * (ranks.T @ ranks) - first * first.T
    return _over(covariances, np.sqrt(np.maximum(variances * variances.T, 0)))


def _codes(x: Array) -> Array:
    """Return categories as 0 .. K - 1, and -1 for empty cells."""
    found: Array = np.full(len(x), -1)
    filled = ~np.isnan(x)
    found[filled] = np.unique(x[filled], return_inverse=True)[1]
    return found


def _ratios(code: Array, ranks: Array, filled: Array) -> Array:
    """Return the correlation ratio of each number with a category."""
    known = code >= 0
    if not known.any():
        return np.zeros(ranks.shape[1])
    ranks, filled, code = ranks[known], filled[known], code[known]
    group = np.eye(code.max() + 1)[code]  # (N, K)
    counts, sums = group.T @ filled, group.T @ ranks  # (K, numbers)
    middle = sums.sum(0) ** 2 / np.maximum(filled.sum(0), 1)
    between = (sums**2 / np.maximum(counts, 1)).sum(0) - middle
    ratios: Array = np.sqrt(np.clip(_over(between, (ranks**2).sum(0) - middle), 0, 1))
    return ratios


def _cramer(a: Array, b: Array) -> float:
    both = (a >= 0) & (b >= 0)
    a, b = (np.unique(code[both], return_inverse=True)[1] for code in (a, b))
    if not len(a) or min(a.max(), b.max()) < 1:
        return 0.0
    rows, columns = a.max() + 1, b.max() + 1
    counts = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)
    expected = np.outer(counts.sum(1), counts.sum(0)) / len(a)
    squared = ((counts - expected) ** 2 / expected).sum()
    return float(np.sqrt(squared / len(a) / (min(rows, columns) - 1)))


def _over(a: Array, b: Array) -> Array:
    """Return a / b, and 0 where b is 0 to rounding."""
    found: Array = np.where(b > 1e-9, a / np.where(b > 1e-9, b, 1.0), 0.0)
    return found
