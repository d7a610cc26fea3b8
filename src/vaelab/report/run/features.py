"""Tables: rows of features, which have no picture. Each feature gets a small chart."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaelab.data.dataset import spread
from vaelab.plots import Array, density
from vaelab.plots.series import FEATURES
from vaelab.report.run.prepared import Prepared

SIDE = 120.0  # of a small chart, in the units of the SVG
ROWS = 400  # points of a chart
MADE = 1000  # samples whose density is shown


def features(prepared: Prepared) -> dict[str, Any]:
    """Return for each feature its reconstructions against the originals, and two densities."""
    view, run = prepared.view, prepared.run
    n = len(view.data.test.x)
    x, y = view.rows(spread(n, MADE))
    again = run.vae.reconstruct(x, y).numpy().astype(np.float64)
    made = run.vae.sample(MADE, run.recipe.train.seed).numpy().astype(np.float64)
    real = x.numpy().astype(np.float64)
    few, names = spread(len(real), ROWS), view.data.features
    return {
        "side": SIDE,
        "each": [
            {
                "name": names[i] if names else prepared.t("feature", n=i + 1),
                "points": _points(real[few, i], again[few, i]),
                "correlation": _correlation(prepared, real[:, i], again[:, i]),
                "densities": _densities(real[:, i], made[:, i]),
                "range": _range(prepared, real[:, i]),
            }
            for i in range(min(FEATURES, real.shape[1]))
        ],
    }


def _range(prepared: Prepared, values: Array) -> str:
    low, high = (prepared.say(f"{value:.3g}") for value in (values.min(), values.max()))
    return prepared.t("from_to", low=low, high=high)


def _points(real: Array, again: Array) -> list[tuple[float, float]]:
    """Return originals across, reconstructions upwards; both axes have one scale."""
    low, high = float(min(real.min(), again.min())), float(max(real.max(), again.max()))
    reach = (high - low) or 1.0
    a, b = ((part - low) / reach * (SIDE - 8) + 4 for part in (real, again))
    return [(round(float(x), 1), round(SIDE - float(y), 1)) for x, y in zip(a, b, strict=True)]


def _correlation(prepared: Prepared, real: Array, again: Array) -> str:
    if not (np.ptp(real) and np.ptp(again)):
        return "–"
    return prepared.say(f"{np.corrcoef(real, again)[0, 1]:.2f}")


def _densities(real: Array, made: Array) -> tuple[str, str]:
    """Return the outlines of the density of the data and of the samples."""
    low, high = min(real.min(), made.min()), max(real.max(), made.max())
    at = np.linspace(low, high if high > low else low + 1, 80)
    curves = [density(part, at) for part in (real, made)]
    top = max(float(curve.max()) for curve in curves) or 1.0
    across = np.linspace(0, SIDE, len(at))
    lines = [
        " ".join(
            f"{x:.1f},{SIDE * (1 - 0.92 * value / top):.1f}"
            for x, value in zip(across, curve, strict=True)
        )
        for curve in curves
    ]
    return f"0,{SIDE:g} {lines[0]} {SIDE:g},{SIDE:g}", lines[1]
