"""scikit-learn's own checks of estimators, counted.

    python benchmarks/sklearn_checks.py            # few epochs: two minutes
    python benchmarks/sklearn_checks.py --default  # the default parameters: half an hour

into benchmarks/results/sklearn_checks.json. No check is excused: `expected_failed_checks` is empty.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported; else a check is skipped

import sklearn
from sklearn.utils.estimator_checks import check_estimator

from vaelab.estimator import VAEDetector, VAETransformer

RESULT = Path(__file__).parent / "results" / "sklearn_checks.json"
SMALL: dict[str, Any] = {
    "latent": 2,
    "epochs": 2,
    "samples": 5,
    "settings": {"model.hidden": [8], "train.batch": 512, "train.learning_rate": 0.01},
}


def counted(estimator: Any) -> dict[str, Any]:
    """Run all checks of an estimator; how many there are, and which did not pass."""
    begun = time.perf_counter()
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    statuses = Counter(str(one["status"]) for one in found)
    bad = {one["check_name"]: repr(one["exception"]) for one in found if one["status"] != "passed"}
    for name, exception in bad.items():
        print(f"{estimator}: {name}: {exception}", file=sys.stderr)
    return {
        "estimator": repr(estimator).replace("\n", ""),
        "checks": len(found),
        **statuses,
        "not passed": {name: bad[name] for name in sorted(bad)},
        "seconds": round(time.perf_counter() - begun),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    estimators: dict[str, Any] = {
        "small": VAETransformer(**SMALL),
        "network": VAETransformer(epochs=2),  # the default network and samples
        "detector": VAEDetector(estimator=VAETransformer(**SMALL, random_state=0)),
    }
    if "--default" in sys.argv:
        estimators = {"default": VAETransformer()}
    found = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    found["scikit-learn"] = sklearn.__version__
    for name, estimator in estimators.items():
        found[name] = counted(estimator)
        print(f"{name}: {found[name].get('passed', 0)} of {found[name]['checks']} checks passed")
        RESULT.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
