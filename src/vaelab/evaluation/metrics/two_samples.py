"""Classifier two-sample test: can a classifier tell synthetic rows from real ones?"""

from __future__ import annotations

import numpy as np

from vaelab.data import Array
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.seeding import derive, numpy_generator

FOLDS = 5
BINS = 255  # the most categories of a column that the classifier takes; more are taken as numbers
LEAF = 20  # rows in a leaf, at least; of few rows a twentieth


def classifier_test(
    made: Array, real: Array, words: Array, seed: int = 0
) -> tuple[Estimate, Estimate]:
    """Return accuracy and AUC of a classifier that tells rows `made` from rows `real` (N, D).

    Gradient boosting is trained on four fifths of the rows and tells the others apart, five times.
    Both values are 0.5 if the rows come from one distribution, and 1 if every row is recognised.
    Both sets should have the same size. The standard error of the accuracy is binomial; that of the
    AUC is from the placements of each row among the other set (DeLong, DeLong & Clarke-Pearson
    1988), within the folds.

    References:
        Lopez-Paz & Oquab, Revisiting classifier two-sample tests, 2017, arXiv:1610.06545.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # here, for it takes a second

    rng = numpy_generator(seed, "two samples")
    x = np.concatenate([made, real])
    label = np.repeat([1, 0], [len(made), len(real)])
    fold = np.concatenate([rng.permutation(len(part)) % FOLDS for part in (made, real)])
    codes = words & (np.nan_to_num(x).max(0) < BINS)
    score = np.empty(len(x))
    for held in range(FOLDS):
        out = fold == held
        learner = HistGradientBoostingClassifier(
            max_leaf_nodes=15,
            min_samples_leaf=min(LEAF, max(2, len(x) // LEAF)),
            categorical_features=codes,
            early_stopping=False,
            random_state=derive(seed, "two samples") % 2**32,
        )
        score[out] = learner.fit(x[~out], label[~out]).decision_function(x[out])
    right = (np.sign(score) * (label - 0.5) + 0.5).mean()  # a score of 0 is a guess
    accuracy = Estimate(float(right), float((right * (1 - right) / len(x)) ** 0.5))
    return accuracy, _area(score, label, fold)


def _area(score: Array, label: Array, fold: Array) -> Estimate:
    """Return the mean AUC of the folds, with DeLong's standard error."""
    placed = np.empty(len(score))  # share of the other set in the fold that a row is rightly beyond
    for held in np.unique(fold):
        one, other = (np.flatnonzero((fold == held) & (label == y)) for y in (1, 0))
        wins = np.sign(score[one][:, None] - score[other][None]) / 2 + 0.5
        placed[one], placed[other] = wins.mean(1), wins.mean(0)
    one, other = placed[label == 1], placed[label == 0]
    error = (one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)) ** 0.5
    return Estimate(float((one.mean() + other.mean()) / 2), float(error))
