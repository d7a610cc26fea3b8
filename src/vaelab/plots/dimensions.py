"""Figures of latent dimensions: their KL divergence, their codes, and the posterior's width.

Dimensions are shown in the order (L,) that is given, the most informative first.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from vaelab.evaluation.metrics.information import ACTIVE
from vaelab.language import decimal
from vaelab.plots.latent import density
from vaelab.plots.style import Array, Look, localise, page

HISTOGRAMS = 24  # dimensions whose codes are shown, at most
NAMED = 40  # dimensions that have their names below a bar, at most
POINTS = 3000  # points of a scatter
_ACTIVE, _INACTIVE, _PRIOR = "#149dd8", "0.6", "#d88900"
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def named(dimension: int) -> str:
    """Return the name of a dimension, counted from 1.

    >>> named(0), named(41)
    ('z₁', 'z₄₂')
    """
    return "z" + str(dimension + 1).translate(_SUBSCRIPTS)


def _mark(ax: Axes, order: Array, look: Look, most: int = NAMED) -> None:
    """Name the dimensions below an axis with a place for each; of many, only count them."""
    n = len(order)
    room = max(0.7, 2.5 - 0.3 * n)  # a single bar is not as wide as the page
    ax.set_xlim(-room, n - 1 + room)
    if n <= most:
        ax.set_xticks(range(n), [named(int(j)) for j in order])
        ax.tick_params(axis="x", length=0, labelsize=(0.9 if n <= 24 else 0.7) * look.points)
        ax.set_xlabel(look.text("dimension"))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
        ax.set_xlabel(look.text("dimensions"))


def _width(n: int, look: Look) -> float:
    return look.width * float(np.clip((n + 8) / 24, 0.5, 1))


@page
def kl(rates: Array, activity: Array, order: Array, *, look: Look, unit: str = "nats") -> Figure:
    """KL(q(z_j|x) || p(z_j)), mean over images, (L,), as sorted bars; active dimensions in colour.

    A dimension is active where the variance (L,) of its posterior means exceeds 0.01 (Burda,
    Grosse & Salakhutdinov 2016, arXiv:1509.00519).
    """
    n, active = len(order), activity[order] > ACTIVE
    figure = Figure(figsize=(_width(n, look), 0.42 * look.width), layout="constrained")
    ax = figure.subplots()
    colours = np.where(active, _ACTIVE, _INACTIVE)
    ax.bar(np.arange(n), rates[order], 0.8 if n <= NAMED else 1.0, color=list(colours))
    ax.set(ylabel=look.text(unit), title=look.text("kl", total=float(rates.sum())))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    ax.set_ylim(bottom=min(0.0, float(rates.min())))
    _grid(ax)
    localise(ax, look)
    _mark(ax, order, look)
    count = int(active.sum())
    keys = [(_ACTIVE, "active", count), (_INACTIVE, "inactive", n - count)]
    patches = [
        Patch(color=colour, label=look.text(key, count=number, of=n))
        for colour, key, number in keys
        if number
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=2)
    return figure


def _grid(ax: Axes) -> None:
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)


@page
def spread(means: Array, scales: Array, order: Array, *, look: Look, normal: bool = True) -> Figure:
    """Standard deviations of posteriors (N, L) by dimension, and against their means (N, L).

    Where the prior is N(0, I) (`normal`), its standard deviation 1 is drawn.
    """
    n, active = len(order), means.var(0) > ACTIVE
    figure = Figure(figsize=(look.width, 0.46 * look.width), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    low, middle, high = np.percentile(scales[:, order], [10, 50, 90], axis=0)
    colours = np.where(active[order], _ACTIVE, _INACTIVE)
    thick = float(np.clip(90 / n, 1, 4)) * look.scale
    left.vlines(np.arange(n), low, high, colors=list(colours), linewidths=thick, alpha=0.5)
    left.scatter(np.arange(n), middle, (1.3 * thick) ** 2, list(colours), zorder=3)
    left.set(ylabel=look.text("deviation"))
    some = _points(len(means), n)
    for mask, colour in ((~active, _INACTIVE), (active, _ACTIVE)):
        a, b = means[some][:, mask].ravel(), scales[some][:, mask].ravel()
        right.scatter(a, b, 3 * look.scale**2, color=colour, alpha=0.4, linewidths=0)
    right.set(xlabel=look.text("mean"))
    right.tick_params(axis="y", labelleft=False)
    top = max(1.0 if normal else 0.0, float(np.percentile(scales, 99.9)))
    left.set_ylim(0, 1.06 * top)
    for ax in (left, right):
        _grid(ax)
        if normal:
            ax.axhline(1, color=_PRIOR, linestyle="--", linewidth=look.scale)
        localise(ax, look)
    _mark(left, order, look, NAMED // 2)
    figure.suptitle(look.text("spread"))
    lines = [
        Line2D([], [], color=colour, marker="o", ms=3 * look.scale, label=look.text(key))
        for key, colour, some in (
            ("range_active", _ACTIVE, active),
            ("range_inactive", _INACTIVE, ~active),
        )
        if some.any()
    ]
    if normal:
        line = Line2D([], [], color=_PRIOR, linestyle="--", label=look.text("prior_deviation"))
        lines.append(line)
    figure.legend(handles=lines, loc="outside lower center", ncols=3)
    return figure


def _points(images: int, dimensions: int) -> Array:
    """Images, evenly spaced, of which all dimensions are about `POINTS` points."""
    count = max(1, min(images, POINTS // dimensions))
    return np.linspace(0, images - 1, count).astype(int)


@page
def histograms(
    z: Array, prior: Array | None, order: Array, *, look: Look, names: tuple[str, str]
) -> Figure:
    """The aggregate posterior of each dimension, from samples z (N, L), against the prior.

    `prior` are samples (M, L) of the prior, None for N(0, I). `names` are those of the two
    distributions in the legend. Every cell has its own vertical scale; they share the other.
    """
    shown = order[:HISTOGRAMS]
    n = len(shown)
    columns = min(n, 6)
    rows = -(-n // columns)
    width = look.width * min(1.0, 0.4 + 0.2 * n)
    cell = min(0.62 * width / columns, (look.height - 0.09 * look.points) / rows)  # inches
    figure = Figure(figsize=(width, rows * cell + 0.09 * look.points), layout="constrained")
    ax = figure.subplots()
    left, right = _range(z[:, shown], None if prior is None else prior[:, shown])
    at = np.linspace(left, right, 160)
    bars, curves = [], []
    for i, j in enumerate(shown):
        x, y = i % columns, -(i // columns)
        steps, heights = _outline(z[:, j], left, right)
        curve = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
        curve = curve if prior is None else density(prior[:, j], at)
        scale = np.array([0.9 / (right - left), 0.7 / max(heights.max(), curve.max())])
        bars.append((x, y) + np.stack([steps - left, heights], 1) * scale)
        curves.append((x, y) + np.stack([at - left, curve], 1) * scale)
        ax.text(x + 0.02, y + 0.8, named(int(j)), fontsize=0.95 * look.points, va="center")
    ax.add_collection(PolyCollection(bars, facecolor=_ACTIVE, alpha=0.55, linewidths=0))
    ax.add_collection(LineCollection(curves, colors=_PRIOR, linewidths=1.2 * look.scale))
    _draw_scales(ax, n, columns, (left, right), look)
    ax.set(xlim=(-0.05, columns), ylim=(1 - rows - 0.025 * look.points / cell, 0.92))
    ax.axis("off")
    key = "histograms" if n == len(order) else "histograms_some"
    figure.suptitle(look.text(key, count=n, of=len(order)))
    keys = [
        Patch(color=_ACTIVE, alpha=0.55, label=names[0]),
        Line2D([], [], color=_PRIOR, label=names[1]),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=2)
    return figure


def _range(z: Array, prior: Array | None) -> tuple[float, float]:
    """The values that all cells show: nearly all codes, and nearly all of the prior."""
    ends = [np.percentile(z, [0.1, 99.9])]
    ends.append(np.array([-3.3, 3.3]) if prior is None else np.percentile(prior, [0.1, 99.9]))
    low, high = float(np.min(ends)), float(np.max(ends))
    return low, high if high > low else low + 1


def _outline(values: Array, low: float, high: float) -> tuple[Array, Array]:
    """The outline of a histogram as a density: corners (2 B + 2,), and their heights."""
    bins = int(np.clip(len(values) ** 0.5, 12, 60))
    counts, edges = np.histogram(values, np.linspace(low, high, bins + 1))
    heights = counts / (len(values) * (edges[1] - edges[0]))
    return np.repeat(edges, 2), np.concatenate([[0], np.repeat(heights, 2), [0]])


def _draw_scales(ax: Axes, n: int, columns: int, ends: tuple[float, float], look: Look) -> None:
    """Draw the base line of each cell, and below the lowest of each column its values."""
    low, high = ends
    locator = MaxNLocator(nbins=4, steps=[1, 2, 5, 10])
    ticks = [
        float(tick) for tick in np.asarray(locator.tick_values(low, high)) if low < tick < high
    ]
    lines: list[list[tuple[float, float]]] = []
    for i in range(n):
        x, y = i % columns, -(i // columns)
        lines.append([(x, y), (x + 0.9, y)])
        for tick in ticks:
            at = x + 0.9 * (tick - low) / (high - low)
            lines.append([(at, y), (at, y - 0.03)])
            if i + columns >= n:
                name = decimal(f"{tick + 0.0:g}", look.lang)
                size = 0.8 * look.points
                ax.text(at, y - 0.06, name, ha="center", va="top", fontsize=size)
    ax.add_collection(LineCollection(lines, colors="0.3", linewidths=0.7 * look.scale))
