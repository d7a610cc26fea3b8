"""Disentanglement scores from mutual information and from predicting the factors.

Codes are (N, L), real; factors (N, F), integers from 0. Scores lie in [0, 1], higher is better, and do not
change when dimensions are permuted, scaled or negated. Scores that train a predictor are measured on a
second pair, `others` (M, L) and `truth` (M, F). A perfect code can score below 1: see `mig` and `sap`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vaelab.evaluation.metrics.estimates import Estimate, mean

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
BINS = 20  # of equal width over the range of a dimension, as Locatello et al.
TREES, LEAF = 20, 10  # of a forest: how many, and the fewest images in a leaf


class DCI(NamedTuple):
    """Eastwood & Williams' three numbers, and what they are made of."""

    disentanglement: float
    completeness: float
    informativeness: (
        Estimate  # each: the share of its factors that are read right, for each held-out image
    )
    accuracy: list[Estimate]  # the same for each factor, (F,)
    importance: Reals  # (L, F), each column sums to 1


def mutual_information(codes: Reals, factors: Integers) -> Reals:
    """I(z_i; v_j) of every dimension and every factor, (L, F), in nats, at least 0.

    I = H(z) + H(v) - H(z, v) by a histogram of z in 20 bins of equal width. The plug-in estimate is too high, by about
    (bins - 1) (values - 1) / 2N for independent variables: 0.04 nats for 40 values and 10,000 images, 0.2 for 2,000;
    and by much less where there is information, so that gaps come out too small. Every entropy here therefore carries
    its first correction (Miller & Madow 1955; see `_entropy`), which Locatello et al. leave out. What remains is below
    0.01 nats for 10,000 images; for 2,000, with many cells empty, 0.06.
    """
    low = codes.min(0)
    width = np.where(np.ptp(codes, 0) > 0, np.ptp(codes, 0), 1)
    bins = np.minimum((codes - low) / width * BINS, BINS - 1).astype(np.int64)  # (N, L)
    information = np.empty((codes.shape[1], factors.shape[1]))
    for i, column in enumerate(bins.T):
        for j, values in enumerate(factors.T):
            together = _entropy(column * (values.max() + 1) + values)
            information[i, j] = max(0.0, _entropy(column) + _entropy(values) - together)
    return information


def _entropy(values: Integers) -> float:
    """-sum_k p_k ln p_k + (K - 1) / 2N in nats, p the shares of the K values that occur among N."""
    counts = np.bincount(values)
    shares = counts[counts > 0] / len(values)
    return float(-(shares * np.log(shares)).sum() + (len(shares) - 1) / (2 * len(values)))


def mig(codes: Reals, factors: Integers) -> float:
    """Mutual information gap: mean_j (I(z_a; v_j) - I(z_b; v_j)) / H(v_j), a and b the two best dimensions for v_j.

    0: for every factor two dimensions know the same, or nothing is known; a single dimension is held against 0.
    1: each factor is known in full by one dimension, and not at all by others. With 20 bins a factor of V > 20
    values cannot come above ln 20 / ln V. Independent codes: 0. Chen, Li, Grosse & Duvenaud 2018, arXiv:1802.04942,
    who use samples of q(z|x); the means know more. Factors of a single value are left out.
    """
    entropies = np.array([_entropy(values) for values in factors.T])
    nothing = np.zeros((1, factors.shape[1]))
    second, best = np.sort(np.vstack([mutual_information(codes, factors), nothing]), 0)[-2:]
    gaps = (best - second)[entropies > 0] / entropies[entropies > 0]
    return float(gaps.mean()) if len(gaps) else 0.0


def modularity(codes: Reals, factors: Integers) -> float:
    """mean_i 1 - sum_{j != a} I(z_i; v_j)^2 / (I(z_i; v_a)^2 (F - 1)), a the factor that z_i knows best.

    0: every dimension knows all factors alike. 1: each knows one only; how many know the same does not matter, nor
    does how little: a dimension of noise has a value of its own, about as high as that of a good one. Dimensions
    that know nothing of any factor are left out; 0 where all are. Ridgeway & Mozer 2018, arXiv:1802.05312.
    """
    squares = mutual_information(codes, factors) ** 2
    squares = squares[squares.any(1)]
    if not len(squares):
        return 0.0
    return float(1 - np.mean((squares.sum(1) / squares.max(1) - 1) / max(1, factors.shape[1] - 1)))


def sap(codes: Reals, factors: Integers, others: Reals, truth: Integers) -> float:
    """Separated attribute predictability: mean_j (S_aj - S_bj), a and b the two dimensions with the highest S_ij.

    S_ij is the balanced accuracy on `truth`, each value of factor j weighing the same, of telling v_j from z_i by
    the nearest class mean: thresholds halfway between neighbouring means, a linear classifier of one dimension. Every
    factor is a set of classes, as for Locatello et al., because rotations have no first and last; their one-against-
    all support vector machine cannot cut a middle value out of a line (0.1 for a perfect code of 32 values), thresholds
    can. Kumar et al. too fit thresholds where factors are classes, but use R^2 where they are not.

    0: two dimensions tell the same; so do independent codes. A constant dimension would score 1 / V, and that is the
    least the second best counts for, so at most 1 - mean_j 1 / V_j. Kumar, Sattigeri & Balakrishnan 2018,
    arXiv:1711.00848.
    """
    gaps = []
    for values, wanted in zip(factors.T, truth.T, strict=True):
        classes, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        means = np.stack([np.bincount(which, column) for column in codes.T]) / counts  # (L, V)
        present, row, counts = np.unique(wanted, return_inverse=True, return_counts=True)
        weight = 1 / (len(present) * counts[row])  # (M,)
        scores = [1 / len(present)]
        for column, centres in zip(others.T, means, strict=True):
            order = centres.argsort()
            thresholds = (centres[order][1:] + centres[order][:-1]) / 2
            scores.append(weight @ (classes[order][np.searchsorted(thresholds, column)] == wanted))
        second, best = np.sort([0.0, *scores])[-2:]
        gaps.append(best - second)
    return float(np.mean(gaps))


def dci(codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0) -> DCI:
    """Disentanglement, completeness and informativeness, by a random forest for each factor that reads it off z.

    R_ij is the importance of z_i to the forest of factor j: its share of the entropy that the splits take away; from it
    `disentanglement_completeness`. Informativeness is the mean accuracy on `truth`.

    Eastwood & Williams 2018 (A Framework for the Quantitative Evaluation of Disentangled Representations, ICLR) use
    forests, Locatello et al. boosted trees, which for 40 classes take ten times as long. Here every split looks at all
    dimensions, or perfect codes would be split along dimensions that know nothing; by entropy, because Gini impurity
    gives nearly all weight to the last splits of many classes, where noise decides; and no leaf holds fewer than 10
    images, for the same reason. A factor that cannot be predicted spreads its importance evenly and lowers both scores.
    """
    from sklearn.ensemble import RandomForestClassifier  # here, for it takes a second to import

    importance, right = [], []
    for values, wanted in zip(factors.T, truth.T, strict=True):
        forest = RandomForestClassifier(
            TREES, criterion="entropy", max_features=None, min_samples_leaf=LEAF, random_state=seed
        )
        forest.fit(codes, values)
        importance.append(forest.feature_importances_)
        right.append(torch.from_numpy(forest.predict(others) == wanted).double())
    found = np.stack(importance, 1)
    return DCI(
        *disentanglement_completeness(found),
        mean(torch.stack(right).mean(0)),
        [*map(mean, right)],
        found,
    )


def disentanglement_completeness(importance: Reals) -> tuple[float, float]:
    """D and C of importances R (L, F), at least 0.

    D = sum_i rho_i (1 - H(R_i. / sum_j R_ij) / ln F), rho_i the share of row i in all of R: 1 where each dimension
    matters to one factor only, 0 where each matters to all alike. C is the same of the columns, with ln L: 1 where one
    dimension holds all there is of a factor, 0 where all L hold the same, unused ones included. With a single factor D,
    with a single dimension C, is 1 and says nothing.
    """
    return _concentration(importance), _concentration(importance.T)


def _concentration(rows: Reals) -> float:
    rows = rows[rows.any(1)]
    if not len(rows):
        return 0.0
    shares = rows / rows.sum(1, keepdims=True)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)
    return float(np.average(1 - entropy / np.log(max(2, rows.shape[1])), weights=rows.sum(1)))
