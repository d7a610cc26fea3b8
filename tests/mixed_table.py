"""A small table with every kind of column, holes, and names and words that try to be code."""

from __future__ import annotations

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

ATTACK = '<img src=x onerror="window.hit=1">'
SETTINGS: dict[str, Any] = {
    "data.treatment": "columns",
    "data.ordinal": ["mark"],
    "model.likelihood": "mixed",
    "model.latent": 3,
}
HEAD = ["id", "when", "place", "income", "visits", "mark", "member", ATTACK, "region", "$x_1$"]
BEGIN = date(2020, 1, 1)
PLACES = ("Lisboa", "São Paulo", "<b>Rio</b>")


def write(path: Path, n: int = 160) -> Path:
    """Write n rows: a latent group decides on most columns, and a tenth of some cells is empty."""
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        for i in range(n):
            k = int(rng.integers(3))
            row: list[object] = [
                f"P{i:04d}",
                (BEGIN + timedelta(days=int(rng.integers(400) + 300 * k))).strftime("%d.%m.%Y"),
                PLACES[k],
                f"{np.exp(rng.normal(7 + k, 1.2)):.2f}",
                int(rng.poisson(1 + 2 * k)),
                int(np.clip(rng.integers(1, 4) + k, 1, 5)),
                ("no", "yes")[int(rng.random() < 0.3 + 0.2 * k)],
                f"{rng.normal(50 + k, 1):.1f}",
                "EU",
                f"{1e6 + rng.normal():.3f}",
            ]
            for j in (1, 2, 3, 7):
                if rng.random() < 0.1:
                    row[j] = ""
            table.writerow(row)
    return path
