"""Synthetic rows of a table against held-out ones: columns, associations, and closest rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vaelab.evaluation.metrics.rows import CLOSE
from vaelab.plots import density
from vaelab.report.run.prepared import Prepared

COLUMNS = 30  # of a table whose associations are shown, at most
CELL, LETTERS, LETTER = 16, 16, 7  # side of a cell, letters of a name, width of a letter
WIDTH, HEIGHT = 420, 140  # of the chart of distances
LEVELS = 10  # shades of an association
STATISTICS = ("kolmogorov_smirnov", "total_variation")  # both are shares, from 0 to 1


class Line(NamedTuple):
    """A column in the table of statistics; numbers are texts, shares are in percent."""

    name: str
    kind: str  # the key of the name of the statistic
    value: str
    chance: str
    wide: float
    tick: float
    apart: str  # Wasserstein-1 in deviations, "" of categories
    apart_chance: str


def synthetic(prepared: Prepared) -> dict[str, Any] | None:
    """Return what the evaluation stored of synthetic rows; None where it did not measure any."""
    sections = prepared.evaluation.sections if prepared.evaluation else {}
    found = sections.get("rows", {})
    if "columns" not in found:
        return None
    return {
        "compared": found["compared"],
        "lines": [_line(prepared, column) for column in found["columns"]],
        "matrices": _matrices(found) if "pairs" in found else [],
        "left_out": max(0, len(found["columns"]) - COLUMNS),
        "distances": _distances(prepared, found["distances"]),
        "closer": prepared.say(f"{100 * found['closer'].value:.0f}"),
        "level": f"{100 * CLOSE:.0f}",
    }


def _line(prepared: Prepared, column: Mapping[str, Any]) -> Line:
    kind = next((key for key in STATISTICS if key in column), "")

    def number(key: str) -> str:
        return prepared.say(f"{column[key]:.3f}") if key in column else ""

    return Line(
        column["name"],
        kind,
        number(kind),
        number(f"{kind}_real"),
        round(100 * column.get(kind, 0), 1),
        round(100 * column.get(f"{kind}_real", 0), 1),
        number("wasserstein"),
        number("wasserstein_real"),
    )


def _matrices(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the matrices of associations as cells by shade, real rows first."""
    names = [_short(column["name"]) for column in found["columns"][:COLUMNS]]
    left = LETTER * max(map(len, names)) + 6
    size = left + CELL * len(names)
    return [
        {
            "key": key,
            "left": left,
            "size": size,
            "names": [(name, left + CELL * (i + 0.5)) for i, name in enumerate(names)],
            "shades": _shades(found["pairs"][key], left, len(names)),
        }
        for key in ("real", "synthetic")
    ]


def _shades(matrix: Sequence[Sequence[float]], left: int, n: int) -> list[tuple[str, float, str]]:
    """Return the sign, the opacity and the cells of each shade, as a path of SVG."""
    cells: dict[tuple[str, int], list[str]] = defaultdict(list)
    for i in range(n):
        for j in range(n):
            level = round(LEVELS * abs(matrix[i][j] or 0))
            if i != j and level:
                sign = "minus" if matrix[i][j] < 0 else "plus"
                x, y = left + CELL * j, left + CELL * i
                cells[sign, level].append(f"M{x} {y}h{CELL}v{CELL}h-{CELL}z")
    return [(sign, level / LEVELS, "".join(path)) for (sign, level), path in sorted(cells.items())]


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"


def _distances(prepared: Prepared, quantiles: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return the outlines of the distances to the closest training row, real and synthetic."""
    sets = [np.array(quantiles[key], float) for key in ("real", "synthetic")]
    high = max(float(each[-2]) for each in sets) or 1.0  # the largest may be far away
    at = np.linspace(0, high, 120)
    curves = [density(each, at) for each in sets]
    top = max(float(curve.max()) for curve in curves) or 1.0
    across = np.linspace(0, WIDTH, len(at))
    outlines = [
        " ".join(
            f"{x:.1f},{HEIGHT * (1 - 0.92 * value / top):.1f}"
            for x, value in zip(across, curve, strict=True)
        )
        for curve in curves
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "real": f"0,{HEIGHT} {outlines[0]} {WIDTH},{HEIGHT}",
        "made": outlines[1],
        "range": prepared.t("from_to", low="0", high=prepared.say(f"{high:.3g}")),
    }
