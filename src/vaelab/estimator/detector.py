"""`VAEDetector`: a VAE as a detector of outliers in the convention of PyOD."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erf
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from vaelab.data import Array
from vaelab.errors import UserError
from vaelab.estimator.inputs import check_share
from vaelab.estimator.transformer import VAETransformer


class VAEDetector(BaseEstimator):
    """Scores -log p(x) in nats: higher is odder, and the label of an outlier is 1.

    It has the methods and attributes of the detectors of PyOD (Zhao, Nasrullah & Li, 2019,
    arXiv:1901.01588) and does not need PyOD.

    Args:
        contamination: The share of outliers among the rows of `fit`, in (0, 0.5].
        estimator: A `VAETransformer`, which is cloned; by default one with its default parameters.

    Attributes:
        estimator_ (VAETransformer): The fitted estimator.
        decision_scores_ (Array): The scores of the rows of `fit`, (N,).
        threshold_ (float): The score that a share `contamination` of them exceeds.
        labels_ (Array): 1 for the rows of `fit` above the threshold, else 0, (N,).
        classes_ (int): The number of classes, 2.

    Example:
        >>> import numpy as np
        >>> X = np.random.default_rng(0).normal(size=(50, 3))
        >>> detector = VAEDetector(estimator=VAETransformer(epochs=2, random_state=0)).fit(X)
        >>> detector.labels_.sum(), detector.predict([[9.0, 9.0, 9.0]])
        (np.int64(5), array([1]))
    """

    def __init__(self, contamination: float = 0.1, estimator: VAETransformer | None = None) -> None:
        self.contamination = contamination
        self.estimator = estimator

    def fit(self, X: Any, y: Any = None) -> VAEDetector:
        """Train on X, (N, D) or a data frame, and score its rows; y is ignored."""
        check_share(self.contamination)
        self.estimator_ = clone(VAETransformer() if self.estimator is None else self.estimator)
        self.estimator_.fit(X)
        self.n_features_in_ = self.estimator_.n_features_in_
        self.decision_scores_ = self.decision_function(X)
        self.threshold_ = float(np.quantile(self.decision_scores_, 1 - self.contamination))
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        self.classes_ = 2
        return self

    def decision_function(self, X: Any) -> Array:
        """Return -log p(x), (N,), in nats."""
        check_is_fitted(self, "estimator_")
        scores: Array = -self.estimator_.score_samples(X)
        return scores

    def predict(self, X: Any) -> Array:
        """Return 1 for rows that score above the threshold, else 0, (N,)."""
        scores = self.decision_function(X)
        return (scores > self.threshold_).astype(int)

    def fit_predict(self, X: Any, y: Any = None) -> Array:
        """Train on X and return `labels_`."""
        return self.fit(X).labels_

    def predict_proba(self, X: Any, method: str = "linear") -> Array:
        """Return the probabilities of a usual row and of an outlier, (N, 2).

        Args:
            X: The rows.
            method: "linear", (s - min) / (max - min) over the scores s of the rows of `fit`, cut to
                [0, 1]; or "unify", max(0, erf((s - mean) / (deviation sqrt(2)))).

        References:
            Kriegel, Kröger, Schubert & Zimek, Interpreting and unifying outlier scores, 2011,
            doi:10.1137/1.9781611972818.2.
        """
        scores, known = self.decision_function(X), self.decision_scores_
        match method:
            case "linear":
                low, high = known.min(), known.max()
                odd = (scores - low) / (high - low or 1.0)
            case "unify":
                odd = erf((scores - known.mean()) / (known.std() * np.sqrt(2)))
            case _:
                raise UserError(f"method: expected 'linear' or 'unify', got {method!r}")
        odd = odd.clip(0, 1)
        return np.stack([1 - odd, odd], 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(VAETransformer() if self.estimator is None else self.estimator)
        tags.input_tags.allow_nan = inner.input_tags.allow_nan
        return tags
