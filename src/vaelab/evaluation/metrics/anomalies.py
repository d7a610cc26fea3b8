"""How odd rows are by simple models, and how well a score tells odd rows from others."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.stats import rankdata
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from vaelab.evaluation.metrics.estimates import Estimate

Array = NDArray[np.float64]
RIDGE = 1e-6  # added to the variances of standardised features
KEPT = 0.9  # of the variance by the components of PCA


def gaussian_scores(train: Array, x: Array) -> Array:
    """-log p(x), (N,), in nats, of one Gaussian with the mean and the covariance of `train` (M, D).

    The covariance is that of maximum likelihood, with `RIDGE` of the mean variance on its diagonal.
    """
    mean, covariance = train.mean(0), np.atleast_2d(np.cov(train.T, bias=True))
    ridge = RIDGE * float(np.trace(covariance)) / len(covariance) + 1e-300
    root = np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))
    u = solve_triangular(root, (x - mean).T, lower=True)  # (D, N)
    constant = np.log(np.diag(root)).sum() + len(covariance) / 2 * math.log(2 * math.pi)
    scores: Array = 0.5 * (u**2).sum(0) + constant
    return scores


def pca_scores(train: Array, x: Array) -> Array:
    """The squared error, (N,), of x reconstructed from the principal components of `train` that
    hold `KEPT` of its variance.
    """
    pca = PCA(KEPT, svd_solver="full").fit(train)
    errors: Array = ((x - pca.inverse_transform(pca.transform(x))) ** 2).sum(1)
    return errors


def forest_scores(train: Array, x: Array, seed: int) -> Array:
    """The score, (N,), of an isolation forest: 0.5 is usual, 1 is alone.

    Liu, Ting & Zhou, Isolation forest, 2008, doi:10.1109/ICDM.2008.17.
    """
    forest = IsolationForest(n_estimators=200, random_state=seed).fit(train)
    scores: Array = -forest.score_samples(x)
    return scores


def auc(scores: Array, odd: NDArray[np.bool_]) -> Estimate:
    """The area under the ROC curve: the probability that an odd row scores higher than another one,
    ties counted half; a random ranking has 0.5. The error is that of DeLong, DeLong &
    Clarke-Pearson, 1988.
    """
    a, b = scores[odd], scores[~odd]
    both, m, n = rankdata(np.concatenate([a, b])), len(a), len(b)
    wins_a = (both[:m] - rankdata(a)) / n  # of each odd row, the share of others below it
    wins_b = 1 - (both[m:] - rankdata(b)) / m
    variance = (np.var(wins_a, ddof=1) / m if m > 1 else 0.0) + (
        np.var(wins_b, ddof=1) / n if n > 1 else 0.0
    )
    return Estimate(float(wins_a.mean()), math.sqrt(variance))


class Threshold(NamedTuple):
    """The score above which a row is called odd."""

    value: float  # infinite where the held-out rows are too few for the rate
    rate: float  # the share of usual rows that it calls odd, in expectation
    rows: int  # held-out rows that it is read off


def threshold(held_out: Array, rate: float) -> Threshold:
    """The smallest held-out score that at most `rate` of usual rows exceed in expectation.

    It is the ceil((n + 1)(1 - rate))-th of n scores in order: a usual row, exchangeable with the
    held-out ones, exceeds it with a probability of at most `rate` (split conformal prediction:
    Vovk, Gammerman & Shafer, Algorithmic learning in a random world, 2005).
    """
    n = len(held_out)
    rank = math.ceil((n + 1) * (1 - rate))
    value = float(np.sort(held_out)[rank - 1]) if rank <= n else math.inf
    return Threshold(value, rate, n)


def p_values(scores: Array, held_out: Array) -> Array:
    """(1 + how many of n held-out rows score at least as high) / (n + 1), (N,)."""
    below = np.searchsorted(np.sort(held_out), scores, side="left")
    shares: Array = (1 + len(held_out) - below) / (len(held_out) + 1)
    return shares
