"""Tables on the page of a run: their columns, charts of them, rows, and what the dimensions do."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vaelab.data import Array, Column, Schema
from vaelab.data.dataset import spread
from vaelab.data.schema import KINDS
from vaelab.plots import TABLE, named
from vaelab.plots.charts import COLUMNS, VALUES, Chart, charts, correlation, recovered
from vaelab.plots.columns import quantity_name
from vaelab.plots.effects import effects
from vaelab.report.run.prepared import Prepared

SIDE = 120.0  # of a small chart, in the units of the SVG
EDGE = 4.0  # around its points
POINTS = 400  # of a chart, at most
EXAMPLES = 4  # rows beside their reconstructions, from the best to the worst
HOLED = 2  # and rows with empty cells, at most
SAMPLED = 8  # rows sampled from the model
DIGITS = 5  # of a number of any precision


class Described(NamedTuple):
    """A column of the table: its name, and what is said of it."""

    name: str
    kind: str
    likelihood: str
    empty: str
    values: str


def described(prepared: Prepared) -> list[Described]:
    """Return what is known of each column of a table that was read by its types; else nothing."""
    schema = None
    if prepared.trained:
        schema = prepared.run.schema
    elif not prepared.unread:
        schema = prepared.view.data.schema
    return [] if schema is None else [_described(prepared, one) for one in schema.columns]


def _described(prepared: Prepared, column: Column) -> Described:
    t, likelihood = prepared.t, KINDS[column.kind].likelihood
    empty = ""
    if column.holes:
        share = 100 * column.holes / (column.holes + column.rows)
        empty = t("empty_share", count=column.holes, share=share)
    return Described(
        column.name,
        t(f"kind_{column.kind}"),
        t(f"likelihood_{likelihood.replace(' ', '-').lower()}") if likelihood else "–",
        empty or "–",
        _values(prepared, column) or "–",
    )


def _values(prepared: Prepared, column: Column) -> str:
    """The categories of a column, or the least and the greatest of its numbers."""
    if column.values:
        shown, order = column.values[:VALUES], " < " if column.kind == "ordinal" else ", "
        more = len(column.values) - len(shown)
        line = order.join(shown)
        return f"{line}, {prepared.t('more_values', count=more)}" if more else line
    if not column.modelled:
        return ""
    low, high = (cell(prepared, column, end) for end in (column.low, column.high))
    return prepared.t("from_to", low=low, high=high)


def cell(prepared: Prepared, column: Column, value: float) -> str:
    """Return the text of a cell, in the user's units and as the language writes numbers; "" for an
    empty one.
    """
    if not np.isfinite(value):
        return ""
    if column.decimals < 0 and not KINDS[column.kind].words and column.kind != "date":
        return prepared.say(f"{float(column.numbers(np.array([value]))[0]):.{DIGITS}g}")
    text = column.cells(np.array([value]))[0]
    return text if KINDS[column.kind].words or column.kind == "date" else prepared.say(text)


# --- what the weights and the data show


def tables(prepared: Prepared) -> dict[str, Any]:
    """Return what a page shows of a table in place of pictures."""
    shown = prepared.view.tabular
    columns = len(shown.schema.modelled)
    return {
        "side": SIDE,
        "distributions": [
            _distribution(prepared, one) for one in charts(shown.schema, shown.data, shown.made)
        ],
        "pairs": [
            _pair(prepared, one, shown.x[:, i], shown.again[:, i])
            for i, one in enumerate(charts(shown.schema, shown.x, shown.again))
        ],
        "names": [column.name for column in shown.schema.modelled[:COLUMNS]],
        "left_out": prepared.t("columns_left_out", shown=COLUMNS, of=columns)
        if columns > COLUMNS
        else "",
        "examples": _examples(prepared),
        "sampled": [_cells(prepared, shown.schema, row) for row in shown.made[:SAMPLED]],
        "effects": _effects(prepared),
    }


def _distribution(prepared: Prepared, one: Chart) -> dict[str, Any]:
    """The shares of the bins of a column: outlines of numbers, bars of categories."""
    top = max(float(one.data.max()), float(one.made.max())) or 1.0
    found = {"name": one.column.name, "more": _more(prepared, one)}
    if one.names:
        bars = [
            (name, _percent(a), _percent(b), round(100 * a / top, 1), round(100 * b / top, 1))
            for name, a, b in zip(one.names, one.data.tolist(), one.made.tolist(), strict=True)
        ]
        return found | {"bars": bars}
    low, high = _ends(prepared, one)
    scale = prepared.t("log_scale") if one.log else ""
    said = prepared.t("from_to", low=low, high=high) + (f" ({scale})" if scale else "")
    outlines = [_outline(one, heights, top) for heights in (one.data, one.made)]
    return found | {"bars": [], "outlines": outlines, "range": said}


def _ends(prepared: Prepared, one: Chart) -> tuple[str, str]:
    """The first and the last number of an axis."""
    half = one.column.step / 2
    ends = (float(one.edges[0]) + half, float(one.edges[-1]) - half)
    first, last = (cell(prepared, one.column, end - one.column.origin) for end in ends)
    return first, last


def _outline(one: Chart, heights: Array, top: float) -> str:
    """The points of a histogram's outline, whose first and last ones are on the base line."""
    across = np.repeat(one.place(one.edges) * SIDE, 2)
    ups = np.concatenate([[0], np.repeat(heights, 2), [0]]) / top * 0.92 * SIDE
    return " ".join(f"{a:.1f},{SIDE - b:.1f}" for a, b in zip(across, ups, strict=True))


def _pair(prepared: Prepared, one: Chart, x: Array, again: Array) -> dict[str, Any]:
    """Originals and reconstructions of a column: points, or of categories the recovered shares."""
    found = {"name": one.column.name, "more": _more(prepared, one)}
    if one.names:
        shares = recovered(one, x, again)
        bars = [
            (name, "–" if np.isnan(share) else _percent(share), round(100 * share, 1))
            for name, share in zip(one.names, np.nan_to_num(shares.each).tolist(), strict=True)
        ]
        share = "–" if shares.share is None else _percent(shares.share)
        said = prepared.t("recovered", share=share, frequent=_percent(shares.frequent))
        return found | {"bars": bars, "said": said}
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(again))
    known = known[spread(len(known), POINTS)] if len(known) else known
    places = (one.place(one.column.numbers(cells[known])).clip(0, 1) for cells in (x, again))
    a, b = (EDGE + (SIDE - 2 * EDGE) * place for place in places)
    points = [(round(float(p), 1), round(SIDE - float(q), 1)) for p, q in zip(a, b, strict=True)]
    value = correlation(one.column, x, again)
    said = "–" if value is None else prepared.say(f"{value:.2f}")
    return found | {"bars": [], "points": points, "said": prepared.t("correlation", value=said)}


def _more(prepared: Prepared, one: Chart) -> str:
    return prepared.t("more_values", count=one.others) if one.others else ""


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


# --- rows


class Cell(NamedTuple):
    """A cell: its text, "" where it is empty, and whether the model filled it in or missed it."""

    text: str
    state: str = ""  # "empty", "filled" or "missed"


class Example(NamedTuple):
    """A test row: its number, its distortion, its cells, and those of its reconstruction."""

    name: str
    about: str
    original: list[Cell]
    again: list[Cell]


def _cells(prepared: Prepared, schema: Schema, row: Array) -> list[Cell]:
    pairs = zip(schema.modelled[:COLUMNS], row.tolist(), strict=False)
    texts = (cell(prepared, column, value) for column, value in pairs)
    return [Cell(text, "" if text else "empty") for text in texts]


def _examples(prepared: Prepared) -> list[Example]:
    """Rows from the best to the worst reconstruction, then rows with empty cells."""
    view = prepared.view
    indices, distortion = prepared.distortions
    nats = dict(zip(indices.tolist(), distortion.tolist(), strict=True))
    order = np.argsort(distortion, kind="stable")
    chosen = indices[order[spread(len(order), EXAMPLES)]]
    holed = spread(len(view.data.test.x), TABLE)[np.isnan(view.tabular.x).any(1)]
    chosen = np.concatenate([chosen, np.setdiff1d(holed, chosen)[:HOLED]])
    x, y = view.rows(chosen)
    again, schema = view.run.vae.reconstruct(x, y), view.tabular.schema
    found = []
    for index, row, other in zip(chosen.tolist(), x.numpy(), again.numpy(), strict=True):
        original, made = (_cells(prepared, schema, one) for one in (row, other))
        about = prepared.say(f"{nats[index]:.1f}") if index in nats else ""
        both = zip(schema.modelled, original, made, strict=False)
        name = prepared.t("row_number", n=str(index))
        found.append(Example(name, about, original, [_judged(*one) for one in both]))
    return found


def _judged(column: Column, original: Cell, made: Cell) -> Cell:
    if original.state == "empty":
        return Cell(made.text, "filled")
    missed = KINDS[column.kind].words and original.text != made.text
    return Cell(made.text, "missed") if missed else made


# --- dimensions


def _effects(prepared: Prepared) -> dict[str, Any] | None:
    """The heat map of changes as a table: shares of the largest one, with their sign."""
    found = effects(prepared.view)
    if found is None:
        return None
    schema = prepared.view.tabular.schema
    top = max(1.0, float(np.abs(found.change).max()))
    return {
        "names": [quantity_name(schema, found, q) for q in range(len(found.quantities))],
        "rows": [
            (named(int(j)), [_change(prepared, value, top) for value in row])
            for j, row in zip(found.dimensions, found.change.tolist(), strict=True)
        ],
    }


def _change(prepared: Prepared, value: float, top: float) -> tuple[str, str, int]:
    """A change: its text, its sign, and how strong its colour is in per cent."""
    text = prepared.say(f"{value:+.1f}".replace("-", "−"))
    strength = round(45 * abs(value) / top)
    return (text if abs(value) >= 0.05 else ""), "up" if value > 0 else "down", strength
