"""VAEDetector has the interface of PyOD's detectors, and their signs."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from estimators import numbers, small
from pyod.models.base import BaseDetector

from vaelab.errors import UserError
from vaelab.estimator import VAEDetector

X = numbers(60)
NEW = np.concatenate([numbers(20, 1), [[9.0, 50.0, 9.0]]])


@pytest.fixture(scope="module")
def detector() -> VAEDetector:
    return VAEDetector(0.1, small(epochs=5)).fit(X)


def test_higher_is_odder_and_1_is_an_outlier(detector: VAEDetector) -> None:
    scores = detector.decision_function(NEW)
    assert np.array_equal(scores, -detector.estimator_.score_samples(NEW))
    assert scores.argmax() == 20
    assert detector.predict(NEW)[20] == 1
    assert detector.labels_.sum() == 6
    assert np.array_equal(detector.labels_, (detector.decision_scores_ > detector.threshold_) * 1)
    assert np.array_equal(VAEDetector(0.1, small(epochs=5)).fit_predict(X), detector.labels_)


def test_it_agrees_with_the_base_class_of_pyod(detector: VAEDetector) -> None:
    """A detector of PyOD with the same scores has the same threshold, labels, probabilities."""

    class Theirs(BaseDetector):  # type: ignore[misc]  # PyOD has no types
        def __init__(self, contamination: float = 0.1) -> None:
            super().__init__(contamination=contamination)

        def fit(self, X: Any, y: Any = None) -> Any:
            self._set_n_classes(y)
            self.decision_scores_ = self.decision_function(X)
            self._process_decision_scores()
            return self

        def decision_function(self, X: Any) -> np.ndarray:
            return detector.decision_function(X)

    theirs = Theirs().fit(X)
    assert theirs.threshold_ == pytest.approx(detector.threshold_, rel=1e-12)
    assert np.array_equal(theirs.labels_, detector.labels_)
    assert np.array_equal(theirs.predict(NEW), detector.predict(NEW))
    for method in ("linear", "unify"):
        ours = detector.predict_proba(NEW, method=method)
        np.testing.assert_allclose(theirs.predict_proba(NEW, method=method), ours, atol=1e-12)
    for name in ("fit", "decision_function", "predict", "predict_proba", "fit_predict"):
        named = [*inspect.signature(getattr(detector, name)).parameters]
        assert named == [*inspect.signature(getattr(theirs, name)).parameters][: len(named)]


def test_what_cannot_be_is_refused(detector: VAEDetector) -> None:
    with pytest.raises(UserError, match="contamination: expected a share"):
        VAEDetector(0.8).fit(X)
    with pytest.raises(UserError, match="method: expected 'linear'"):
        detector.predict_proba(NEW, method="other")
