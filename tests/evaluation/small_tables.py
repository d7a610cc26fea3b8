"""Small tables with planted properties, and models that are trained on them in seconds."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import vaelab

Columns: TypeAlias = Mapping[str, NDArray[Any]]
SETTINGS: dict[str, Any] = {
    "model.hidden": [32],
    "model.latent": 2,
    "train.steps": 400,
    "train.learning_rate": 5e-3,
    "train.threads": 1,
}


def planted(n: int = 400, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Columns of one factor, one of noise, and some that the doctor should notice."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    length = (10 + 3 * z + 0.5 * rng.normal(size=n)).round(2)
    return {
        "length": length,
        "width": holes((5 - z + 0.3 * rng.normal(size=n)).round(2), 0.1, rng),
        "colour": np.array(["blue", "green", "red"])[np.digitize(z, [-0.5, 0.5])],
        "noise": rng.normal(size=n).round(3),
    }


def holes(x: NDArray[Any], share: float, rng: np.random.Generator) -> NDArray[Any]:
    return np.where(rng.random(len(x)) < share, "", x.astype(str))


def write(path: Path, columns: Columns) -> Path:
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))
    return path


def trained(
    folder: Path, columns: Columns, settings: Mapping[str, Any] | None = None
) -> vaelab.Run:
    """Train the recipe `table` on these columns."""
    source = {"data.source": str(write(folder / "table.csv", columns))}
    recipe = vaelab.recipe("table", SETTINGS | source | dict(settings or {}))
    return vaelab.train(recipe, folder / "run", quiet=True)
