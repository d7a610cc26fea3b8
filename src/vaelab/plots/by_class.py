"""A quantity of each class with its standard errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vaelab.plots.style import COLOURS, Array, Look, localise, page, plain

MOST = 30  # classes on a page


@page
def by_class(
    names: Sequence[str],
    values: Array,
    errors: Array,
    mean: float,
    *,
    look: Look,
    title: str,
    unit: str = "nats",
) -> Figure:
    """A dot for each class with its standard error, the largest value at the top.

    Of more than `MOST` classes, those with the largest and with the smallest values are shown. The
    mean of all images is a dashed line. Errors that are unknown are NaN.
    """
    order = np.argsort(-values, kind="stable")
    if len(order) > MOST:
        order = np.concatenate([order[: MOST // 2], order[-(MOST // 2) :]])
    n, gap = len(order), len(values) > MOST
    rows = -(np.arange(n) + gap * (np.arange(n) >= n // 2))  # a free row between the two parts
    height = min(look.height, (0.022 * (n + gap) + 0.12) * look.points)
    figure = Figure(figsize=(0.75 * look.width, height), layout="constrained")
    ax = figure.subplots()
    ax.axvline(mean, color="0.55", linestyle="--", linewidth=look.scale)
    ax.errorbar(
        values[order], rows, xerr=errors[order], fmt="o", color=COLOURS[1], ms=4 * look.scale,
        capsize=2 * look.scale,
    )  # fmt: skip
    localise(ax, look)
    shown = [plain(names[i], 24) for i in order]
    ticks = [*rows, *([-(n // 2)] if gap else [])]
    ax.set_yticks(ticks, [*shown, *(["⋮"] if gap else [])])
    ax.set_ylim(-(n + gap) + 0.3, 1.1)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    key = "by_class_some" if gap else "by_class"
    ax.set(title=title, xlabel=look.text(key, unit=look.text(unit), count=n, of=len(values)))
    ax.annotate(
        look.text("all_images"), (mean, 1), (3, -2), xycoords=("data", "axes fraction"),
        textcoords="offset points", va="top", fontsize="small", color="0.35",
    )  # fmt: skip
    return figure
