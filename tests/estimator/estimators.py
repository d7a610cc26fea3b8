"""What the tests of the estimators share: small ones, and a table of words and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from vaelab.estimator import VAETransformer

SMALL: dict[str, Any] = {
    "latent": 2,
    "epochs": 2,
    "samples": 5,
    "settings": {"model.hidden": [8], "train.batch": 512, "train.learning_rate": 0.01},
}


def small(**parameters: Any) -> VAETransformer:
    """An estimator that is fitted in a blink, with the seed 0."""
    return VAETransformer(**{**SMALL, "random_state": 0, **parameters})


def numbers(n: int = 60, seed: int = 0) -> np.ndarray:
    """Two columns that depend on each other, and a third."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return np.stack([z + 0.1 * rng.normal(size=n), 100 + 5 * z, rng.normal(size=n)], 1)


def people(n: int = 80) -> pd.DataFrame:
    """Names, numbers, words, truth values, dates, an order, a constant; two cells are empty."""
    rng = np.random.default_rng(0)
    days = pd.to_timedelta(rng.integers(0, 300, n), "D")
    frame = pd.DataFrame(
        {
            "name": [f"p{i}" for i in range(n)],
            "height": rng.normal(170, 9, n).round(1),
            "visits": rng.poisson(2, n),
            "city": rng.choice(["Faro", "Porto", "Lisboa"], n),
            "member": rng.choice([True, False], n),
            "seen": pd.Timestamp("2024-01-01") + days,
            "size": pd.Categorical(rng.choice(["s", "m", "l"], n), ["s", "m", "l"], ordered=True),
            "zone": 1,
        }
    )
    frame.loc[3, "height"] = np.nan
    frame.loc[5, "city"] = None
    return frame
