"""Disentanglement scores from mutual information and from prediction of the factors.

Codes are real, (N, L). Factors are integers from 0, (N, F). Scores are in [0, 1], and higher is
better. They are invariant to permuting, scaling and negating dimensions. Scores that train a
predictor are measured on a second pair, `others` (M, L) and `truth` (M, F). A perfect code can
score below 1: see `mig` and `sap`.

References:
    Locatello et al., Challenging common assumptions in the unsupervised learning of disentangled
    representations, 2019, arXiv:1811.12359.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vaelab.evaluation.metrics.estimates import Estimate, mean

Reals = NDArray[np.float64]
Integers = NDArray[np.int64]
BINS = 20  # of equal width over the range of a dimension, as in Locatello et al.
TREES, LEAF = 20, 10  # trees of a forest, and the fewest images in a leaf


class DCI(NamedTuple):
    """The three scores of Eastwood & Williams, with accuracies and importances."""

    disentanglement: float
    completeness: float
    informativeness: Estimate  # mean accuracy; `each` is the share of factors right, by image
    accuracy: list[Estimate]  # of each factor, (F,)
    importance: Reals  # (L, F), each column sums to 1


def mutual_information(codes: Reals, factors: Integers) -> Reals:
    """Mutual information I(z_i; v_j) of every dimension and factor: (L, F), in nats, at least 0.

        I = H(z) + H(v) - H(z, v)

    z is discretised into 20 bins of equal width. For independent variables the plug-in estimate is
    too high by about (bins - 1) (values - 1) / 2N: 0.04 nats for 40 values and 10,000 images, 0.2
    nats for 2,000 images. The bias is much smaller for informative dimensions, so gaps would be
    underestimated. Each entropy therefore has the first-order correction of Miller & Madow 1955
    (see `_entropy`), which Locatello et al. omit. The remaining bias is below 0.01 nats for 10,000
    images, and 0.06 nats for 2,000, where many cells are empty.
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
    """Return -sum_k p_k ln p_k + (K - 1) / 2N, in nats, for K distinct values among N."""
    counts = np.bincount(values)
    shares = counts[counts > 0] / len(values)
    return float(-(shares * np.log(shares)).sum() + (len(shares) - 1) / (2 * len(values)))


def mig(codes: Reals, factors: Integers) -> float:
    """Mutual information gap (MIG), in [0, 1].

        mean_j (I(z_a; v_j) - I(z_b; v_j)) / H(v_j)

    a and b are the two dimensions with the highest mutual information with v_j. The score is 0 if
    for every factor two dimensions are equally informative, or none is; independent codes score 0.
    It is 1 if one dimension determines a factor completely, and the others carry no information
    about it. A single dimension is compared with 0. With 20 bins, a factor with V > 20 values
    contributes at most ln 20 / ln V. Factors with a single value are left out.

    References:
        Chen, Li, Grosse & Duvenaud, Isolating sources of disentanglement in variational
        autoencoders, 2018, arXiv:1802.04942, who use samples of q(z|x). The means carry more
        information.
    """
    entropies = np.array([_entropy(values) for values in factors.T])
    nothing = np.zeros((1, factors.shape[1]))
    second, best = np.sort(np.vstack([mutual_information(codes, factors), nothing]), 0)[-2:]
    gaps = (best - second)[entropies > 0] / entropies[entropies > 0]
    return float(gaps.mean()) if len(gaps) else 0.0


def modularity(codes: Reals, factors: Integers) -> float:
    """Modularity, in [0, 1]: whether each dimension is informative about one factor only.

        mean_i 1 - sum_{j != a} I(z_i; v_j)^2 / (I(z_i; v_a)^2 (F - 1))

    a is the factor with the highest mutual information with z_i. The score is 0 if every dimension
    is equally informative about all factors, and 1 if each is informative about one factor only. It
    does not matter how many dimensions describe the same factor, or how informative they are: a
    dimension of noise scores about as high as a good one. Dimensions without any information are
    left out; the score is 0 if there are no others.

    References:
        Ridgeway & Mozer, Learning deep disentangled embeddings with the F-statistic loss, 2018,
        arXiv:1802.05312.
    """
    squares = mutual_information(codes, factors) ** 2
    squares = squares[squares.any(1)]
    if not len(squares):
        return 0.0
    return float(1 - np.mean((squares.sum(1) / squares.max(1) - 1) / max(1, factors.shape[1] - 1)))


def sap(codes: Reals, factors: Integers, others: Reals, truth: Integers) -> float:
    """Separated attribute predictability (SAP): mean_j (S_aj - S_bj), in [0, 1 - mean_j 1 / V_j].

    a and b are the two dimensions with the highest S_ij. S_ij is the balanced accuracy on `truth`
    of predicting v_j from z_i by the nearest class mean, that is, by thresholds halfway between
    neighbouring means. All values of factor j have the same weight.

    Factors are classes, as in Locatello et al., because rotations have no order. Their
    one-against-all support vector machine cannot separate a middle value on a line (0.1 for a
    perfect code of 32 values); thresholds can. Kumar et al. also fit thresholds for classes, but
    use R^2 for continuous factors.

    The score is 0 if two dimensions predict equally well; independent codes score 0, too. The
    accuracy of the second dimension counts as at least 1 / V, that of a constant dimension, for a
    factor with V values.

    References:
        Kumar, Sattigeri & Balakrishnan, Variational inference of disentangled latent concepts from
        unlabeled observations, 2018, arXiv:1711.00848.
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
    """Disentanglement, completeness and informativeness (DCI), each in [0, 1].

    A random forest for each factor predicts it from z. R_ij is the importance of z_i for factor j:
    its share of the entropy reduction by the splits. `disentanglement_completeness` computes two
    scores from R. Informativeness is the mean accuracy on `truth`.

    Eastwood & Williams use forests. Locatello et al. use boosted trees, which take ten times as
    long for 40 classes. The forests here differ from the defaults in three ways:

    - Every split considers all dimensions. Otherwise perfect codes would be split along
      uninformative dimensions.
    - Splits minimise the entropy. With many classes, Gini impurity gives nearly all weight to the
      last splits, which noise determines.
    - A leaf has at least 10 images, for the same reason.

    The importance of a factor that cannot be predicted is spread evenly, which lowers both scores.

    References:
        Eastwood & Williams, A framework for the quantitative evaluation of disentangled
        representations, 2018, ICLR.
    """
    from sklearn.ensemble import RandomForestClassifier  # imported here because it takes a second

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
    """Return disentanglement D and completeness C of importances R (L, F), each in [0, 1].

        D = sum_i rho_i (1 - H(R_i. / sum_j R_ij) / ln F)

    rho_i is the share of row i in the sum of R. D is 1 if each dimension matters to one factor
    only, and 0 if each matters equally to all. C is the same for columns, with ln L: 1 if each
    factor depends on one dimension only, and 0 if all L dimensions, including unused ones, matter
    equally. With a single factor D is always 1, and with a single dimension C is always 1; these
    values are not informative.
    """
    return _concentration(importance), _concentration(importance.T)


def _concentration(rows: Reals) -> float:
    rows = rows[rows.any(1)]
    if not len(rows):
        return 0.0
    shares = rows / rows.sum(1, keepdims=True)
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)
    return float(np.average(1 - entropy / np.log(max(2, rows.shape[1])), weights=rows.sum(1)))
