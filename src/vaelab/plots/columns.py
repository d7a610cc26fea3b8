"""Tables as small multiples: a panel for each column, with its values in the user's units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.dates import MICROSECONDLY, MONTHLY, YEARLY, AutoDateFormatter, AutoDateLocator
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from vaelab.data import Array, Schema
from vaelab.language import decimal
from vaelab.plots.charts import Chart, charts, correlation, recovered
from vaelab.plots.dimensions import named
from vaelab.plots.effects import Effects
from vaelab.plots.style import COLOURS, Look, grid, page, plain, short

ACROSS = 4  # panels in a row at most
_ORIGINAL, _MODEL = "0.75", COLOURS[1]


@page
def columns(schema: Schema, x: Array, made: Array, *, look: Look, title: str) -> Figure:
    """The distribution of each column in the data x (N, D) and in samples (M, D)."""
    shown = charts(schema, x, made)
    figure, axes = _panels(shown, look, title)
    for ax, one in zip(axes, shown, strict=True):
        if one.names:
            _bars(ax, one, one.data, look)
            ax.barh(
                np.arange(len(one.made)), one.made, 0.8, fill=False, edgecolor=_MODEL,
                linewidth=1.2 * look.scale,
            )  # fmt: skip
        else:
            ax.stairs(one.data, one.edges, fill=True, color=_ORIGINAL)
            ax.stairs(one.made, one.edges, color=_MODEL, linewidth=1.2 * look.scale)
            ax.set(ylim=(0, None), yticks=[], xlim=one.edges[[0, -1]])
            _scale(ax.xaxis, one, look)
    keys = [
        Patch(color=_ORIGINAL, label=look.text("data")),
        Line2D([], [], color=_MODEL, label=look.text("made")),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure


@page
def pairs(schema: Schema, x: Array, xhat: Array, *, look: Look) -> Figure:
    """Reconstructions xhat (N, D) against the originals x (N, D); the diagonal is exact.

    Of categories, the share of the cells of each that is recovered.
    """
    shown = charts(schema, x, xhat)
    figure, axes = _panels(shown, look, look.text("pairs"))
    for i, (ax, one) in enumerate(zip(axes, shown, strict=True)):
        if one.names:
            found = recovered(one, x[:, i], xhat[:, i])
            _bars(ax, one, np.nan_to_num(found.each), look)
            ax.set_xlim(0, 1)
            share, frequent = found.share or 0.0, found.frequent
            _say(ax, look.text("recovered", share=100 * share))
            lines = [look.text("frequent", share=100 * frequent), ax.get_xlabel()]
            ax.set_xlabel("\n".join(filter(None, lines)), fontsize="x-small")
        else:
            _scatter(ax, one, x[:, i], xhat[:, i], look)
    figure.supxlabel(look.text("original"), fontsize=look.points)
    figure.supylabel(look.text("reconstruction"), fontsize=look.points)
    return figure


def _scatter(ax: Axes, one: Chart, x: Array, xhat: Array, look: Look) -> None:
    known = np.isfinite(x) & np.isfinite(xhat)
    a, b = one.column.numbers(x[known]), one.column.numbers(xhat[known])
    for axis in (ax.xaxis, ax.yaxis):
        _scale(axis, one, look)
    ends = np.array(one.edges[[0, -1]])
    room = (ends[1] / ends[0]) ** 0.04 if one.log else 0.04 * (ends[1] - ends[0])
    ends = ends * [1 / room, room] if one.log else np.array([ends[0] - room, ends[1] + room])
    ax.set(xlim=ends, ylim=ends)
    ax.plot(ends, ends, color="0.8", lw=look.scale)
    ax.plot(a, b, ".", color=_MODEL, ms=3 * look.scale, alpha=0.6, mew=0)
    found = correlation(one.column, x, xhat)
    value = "–" if found is None else decimal(f"{found:.2f}", look.lang)
    _say(ax, f"r = {value}")


@page
def changes(found: Effects, schema: Schema, *, look: Look, title: str) -> Figure:
    """How quantities of the columns change along each dimension: a heat map (R, Q)."""
    rows, count = found.change.shape
    names = [quantity_name(schema, found, q) for q in range(count)]
    width = look.width * float(np.clip((count + 8) / 30, 0.5, 1))
    height = min(look.height, (0.028 * rows + 0.36) * look.width)
    figure = Figure(figsize=(width, height), layout="constrained")
    ax = figure.subplots()
    top = max(1.0, float(np.abs(found.change).max()))
    image = ax.imshow(found.change, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto")
    ax.set_xticks(range(count), [plain(name, 34) for name in names], rotation=90)
    ax.set_yticks(range(rows), [named(int(j)) for j in found.dimensions])
    ax.tick_params(length=0, labelsize="small")
    ax.spines[:].set_visible(False)
    figure.suptitle(title)
    bar = figure.colorbar(image, ax=ax, location="bottom", fraction=0.05, aspect=40, pad=0.02)
    bar.set_label(look.text("change"), fontsize=0.9 * look.points)
    bar.ax.tick_params(labelsize="small")
    bar.ax.xaxis.set_major_formatter(_number(look))
    bar.outline.set_visible(False)
    return figure


def quantity_name(schema: Schema, found: Effects, q: int) -> str:
    """Return what a column of the heat map follows: a column, or one of its values."""
    quantity = found.quantities[q]
    if quantity.value is None:
        return quantity.name
    value = schema.modelled[quantity.column].values[quantity.value]
    return f"{short(quantity.name, 18)} = {short(value, 18)}"


# --- panels


def _panels(shown: Sequence[Chart], look: Look, title: str) -> tuple[Figure, list[Axes]]:
    """A panel for each chart, under the name of its column."""
    across = min(len(shown), ACROSS)
    rows = -(-len(shown) // across)
    height = min(look.height, rows * 0.23 * look.width + 0.08 * look.points)
    width = look.width * max(0.5, across / ACROSS)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title)
    axes = grid(figure, len(shown), across)
    for ax, one in zip(axes, shown, strict=True):
        ax.set_title(plain(one.column.name, 22))
        ax.tick_params(labelsize="x-small")
    return figure, axes


def _say(ax: Axes, line: str) -> None:
    """Write a line below the name of a panel."""
    ax.set_title(f"{ax.get_title()}\n{line}", fontsize="small")


def _bars(ax: Axes, one: Chart, values: Array, look: Look) -> None:
    """Horizontal bars for categories, the first on top."""
    ax.barh(np.arange(len(values)), values, 0.8, color=_ORIGINAL)
    ax.set_yticks(range(len(values)), [plain(name, 12) for name in one.names])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(values) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
    if one.others:
        ax.set_xlabel(look.text("more_values", count=one.others), fontsize="x-small")


def _scale(axis: XAxis | YAxis, one: Chart, look: Look) -> None:
    """The ticks of an axis of numbers: dates as such, logarithms where the chart says so."""
    if one.column.kind == "date":
        # With 4 for months, days and so on, some ranges fit none of the intervals of matplotlib.
        most = dict.fromkeys(range(MONTHLY, MICROSECONDLY + 1), 5) | {YEARLY: 4}
        locator = AutoDateLocator(minticks=2, maxticks=most)  # type: ignore[no-untyped-call]  # untyped
        axis.set_major_locator(locator)
        axis.set_major_formatter(AutoDateFormatter(locator))  # type: ignore[no-untyped-call]  # untyped
        axis.set_tick_params(rotation=20 if axis.axis_name == "x" else 0)  # 2025-07 beside 2026-01
    elif one.log:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(numticks=4))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(_number(look))
    else:
        axis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(_number(look))


def _number(look: Look) -> FuncFormatter:
    """Tick labels as the language writes numbers."""

    def write(value: float, _: object) -> str:
        return decimal(f"{value:.6g}", look.lang)

    return FuncFormatter(write)
