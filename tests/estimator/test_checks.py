"""scikit-learn's own checks, none of them excused, and how many the documents say there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from estimators import SMALL
from sklearn.utils.estimator_checks import parametrize_with_checks

from vaelab.estimator import VAETransformer

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "sklearn_checks.json"


@parametrize_with_checks([VAETransformer(**SMALL)])
def test_scikit_learns_checks(estimator: Any, check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Without it one check is skipped. SciPy reads it at its import, but the check passes NumPy
    # arrays, for which SciPy does the same; the benchmark sets it for SciPy too.
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    check(estimator)


@pytest.mark.parametrize("name", ["small", "network", "detector"])
def test_the_stored_counts_have_no_check_that_did_not_pass(name: str) -> None:
    found = json.loads(RESULT.read_text())[name]
    assert found["passed"] == found["checks"] > 30
    assert found["not passed"] == {}
