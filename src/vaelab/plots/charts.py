"""What a chart of a column of a table shows: how its cells are distributed, in data and samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vaelab.data import Array, Column, Schema

COLUMNS = 24  # of a table at most, the first ones
BINS = 30  # of numbers at most
VALUES = 8  # of categories at most
LONG = 30.0  # largest over smallest number, from which the axis of positive ones is logarithmic
RARE = {"heavy": 0.03}  # the share of cells at each end that an axis may leave out
FAR = 1.0  # times the range of the data, that samples may extend an axis


class Chart(NamedTuple):
    """The shares of a column's cells in each bin, empty ones left out.

    Attributes:
        column: The column.
        edges: The ends of the bins (B + 1,), in the user's units; of categories their places.
        data: The shares (B,) of the cells of the data.
        made: The shares (B,) of those of samples.
        names: The categories (B,), by falling frequency unless they have an order; () for numbers.
        others: The number of categories that are left out.
        log: Whether the axis is logarithmic.
    """

    column: Column
    edges: Array
    data: Array
    made: Array
    names: tuple[str, ...] = ()
    others: int = 0
    log: bool = False

    def place(self, values: Array) -> Array:
        """Return where values in the user's units lie on the axis, 0 at its start, 1 at its end."""
        ends, values = self.edges[[0, -1]], np.asarray(values, float)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                ends, values = np.log(ends), np.log(values)
        found: Array = (values - ends[0]) / (ends[1] - ends[0])
        return found


def plain_schema(names: tuple[str, ...]) -> Schema:
    """Return the schema of a table whose columns are all numbers of which nothing is known."""
    return Schema(tuple(Column(name=name, kind="real") for name in names))


def charts(schema: Schema, x: Array, made: Array) -> list[Chart]:
    """Return the charts of the first columns of rows x (N, D) and of samples (M, D)."""
    columns = schema.modelled[:COLUMNS]
    return [chart(column, x[:, i], made[:, i]) for i, column in enumerate(columns)]


def chart(column: Column, x: Array, made: Array) -> Chart:
    """Return the chart of a column for cells x (N,) and samples (M,)."""
    x, made = (cells[np.isfinite(cells)] for cells in (x, made))
    if column.values:
        return _categories(column, x, made)
    x, made = column.numbers(x), column.numbers(made)
    low, high = _range(column, x, made)
    log = column.kind == "positive" and low > 0 and high > LONG * low
    bins = int(np.clip(len(x) ** 0.5, 8, BINS))
    edges = np.geomspace(low, high, bins + 1) if log else _edges(column, low, high, bins)
    return Chart(column, edges, _shares(x, edges), _shares(made, edges), log=log)


def _categories(column: Column, x: Array, made: Array) -> Chart:
    size = len(column.values)
    data, samples = (_shares(cells, np.arange(size + 1) - 0.5) for cells in (x, made))
    order = np.arange(size)
    if column.kind == "categorical":
        order = np.argsort(-data, kind="stable")
    shown = order[:VALUES]
    names = tuple(column.values[i] for i in shown)
    edges = np.arange(len(shown) + 1) - 0.5
    return Chart(column, edges, data[shown], samples[shown], names, size - len(shown))


def _range(column: Column, x: Array, made: Array) -> tuple[float, float]:
    """The numbers that an axis shows: nearly all of the data, and of samples that are not far."""
    rare = RARE.get(column.kind, 0.001)
    if not len(x):
        x = made if len(made) else np.zeros(1)
    low, high = (float(v) for v in np.quantile(x, [rare, 1 - rare]))
    if column.kind not in RARE:
        low, high = float(x.min()), float(x.max())
    if len(made):
        first, last = (
            float(v) for v in np.quantile(made, [max(rare, 0.005), 1 - max(rare, 0.005)])
        )
        reach = FAR * (high - low)
        positive = column.kind in ("positive", "count")
        low = min(low, max(first, low / 10 if positive else low - reach))
        high = max(high, min(last, high + reach))
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _edges(column: Column, low: float, high: float, bins: int) -> Array:
    """The ends of bins of equal width, a multiple of the distance of neighbouring numbers."""
    step = 1.0 if column.kind == "date" and column.decimals == 0 else column.step
    width = (high - low) / bins
    if not step:
        return np.linspace(low, high, bins + 1)
    width = max(1, np.ceil(width / step - 1e-6)) * step
    if (high - low) / step < BINS:
        width = step
    count = int((high - low) / width + 1e-6) + 1
    return low - step / 2 + width * np.arange(count + 1)


def _shares(cells: Array, edges: Array) -> Array:
    found: Array = np.histogram(cells, edges)[0] / max(1, len(cells))
    return found


def correlation(column: Column, x: Array, xhat: Array) -> float | None:
    """Return Pearson's correlation of cells x (N,) and their reconstructions; of the logarithms of
    positive numbers. None where one of them does not vary.
    """
    known = np.isfinite(x) & np.isfinite(xhat)
    a, b = (scaled(column, cells[known].astype(float)) for cells in (x, xhat))
    if len(a) < 2 or not (np.ptp(a) and np.ptp(b)):
        return None
    return float(np.corrcoef(a, b)[0, 1])


def scaled(column: Column, cells: Array) -> Array:
    """Return cells (N,), of positive numbers the logarithms."""
    return np.log(np.maximum(cells, 1e-300)) if column.kind == "positive" else cells


class Recovered(NamedTuple):
    """How many cells of categories are recovered.

    Attributes:
        share: Of all cells that are not empty; None where all are empty.
        frequent: What the most frequent category would give.
        each: Of the cells of each category of a chart (B,), NaN where it has none.
    """

    share: float | None
    frequent: float
    each: Array


def recovered(shown: Chart, x: Array, xhat: Array) -> Recovered:
    """Return how many of the cells x (N,) of categories their reconstructions xhat (N,) recover."""
    known = np.isfinite(x)
    x, same = x[known], x[known] == xhat[known]
    places = [shown.column.values.index(name) for name in shown.names]
    each = [same[x == i].mean() if (x == i).any() else np.nan for i in places]
    if not len(x):
        return Recovered(None, 0.0, np.array(each))
    frequent = np.unique(x, return_counts=True)[1].max() / len(x)
    return Recovered(float(same.mean()), float(frequent), np.array(each))
