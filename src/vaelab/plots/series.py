"""Signals as curves against time, and tables as one panel for each feature.

Signals are (N, T, C): T steps of C channels, which share one axis as lines. Tables are (N, D).
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, ScalarFormatter, SymmetricalLogLocator

from vaelab.plots.latent import density
from vaelab.plots.style import COLOURS, Array, Look, grid, localise, page, plain

PANELS = 20  # at most on a page
FEATURES = 24  # of a table at most, the first ones
_ORIGINAL, _MODEL = "0.55", COLOURS[1]


def _colours(channels: int) -> list[str]:
    return [COLOURS[(i + 1) % len(COLOURS)] for i in range(channels)]


def _panels(n: int, columns: int, look: Look, title: str, names: bool) -> tuple[Figure, list[Axes]]:
    """Small axes that share both scales, at most `columns` in a row."""
    columns = min(n, columns)
    rows = -(-n // columns)
    height = min(look.height, rows * (0.14 + 0.02 * names) * look.width + 0.09 * look.points)
    figure = Figure(figsize=(look.width, height), layout="constrained")
    axes = grid(figure, n, columns, sharex=True, sharey=True)
    figure.suptitle(title)
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=3, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
        ax.tick_params(labelsize="x-small")
        localise(ax, look)
    return figure, axes


def _scale(ax: Axes, *shown: Array) -> None:
    """Choose the visible values: all but one in a thousand, and some room."""
    low, high = np.percentile(np.concatenate([x.ravel() for x in shown]), [0.1, 99.9])
    room = 0.08 * (high - low) or 1.0
    ax.set_ylim(low - room, high + room)


def _key(
    figure: Figure,
    axes: Sequence[Axes],
    channels: int,
    look: Look,
    xlabel: str,
    extra: Sequence[Line2D] = (),
) -> None:
    """Name the horizontal axis below the lowest panels; draw the legend, where there is one."""
    for ax in axes:
        if (place := ax.get_subplotspec()) and place.is_last_row():
            ax.set_xlabel(xlabel, fontsize="small")
    lines = list(extra)
    if 1 < channels <= len(COLOURS):
        names = [look.text("channel", n=i + 1) for i in range(channels)]
        pairs = zip(_colours(channels), names, strict=True)
        lines += [Line2D([], [], color=colour, label=name) for colour, name in pairs]
    if lines:
        figure.legend(handles=lines, loc="outside lower center", ncols=4)


@page
def signals(x: Array, names: Sequence[str] = (), *, look: Look, title: str) -> Figure:
    """Curves of signals (N, T, C) against time, a panel for each, under its name where given."""
    x = x[:PANELS]
    figure, axes = _panels(len(x), 5, look, title, bool(names))
    for i, (ax, one) in enumerate(zip(axes, x, strict=True)):
        for line, colour in zip(one.T, _colours(x.shape[2]), strict=True):
            ax.plot(line, color=colour, lw=0.8 * look.scale)
        if names:
            ax.set_title(plain(names[i], 18), fontsize="small")
    _scale(axes[0], x)
    _key(figure, axes, x.shape[2], look, look.text("step"))
    return figure


@page
def signal_pairs(x: Array, xhat: Array, *, look: Look) -> Figure:
    """Signals (N, T, C), pale, and their reconstructions over them in the same colours."""
    x, xhat = x[:PANELS], xhat[:PANELS]
    figure, axes = _panels(len(x), 5, look, look.text("pairs"), names=False)
    for ax, one, again in zip(axes, x, xhat, strict=True):
        for before, after, colour in zip(one.T, again.T, _colours(x.shape[2]), strict=True):
            ax.plot(before, color=colour, lw=2.4 * look.scale, alpha=0.35)
            ax.plot(after, color=colour, lw=0.8 * look.scale)
    _scale(axes[0], x, xhat)
    thick = Line2D([], [], color="0.3", lw=2.4 * look.scale, alpha=0.35)
    thick.set_label(look.text("original"))
    thin = Line2D([], [], color="0.3", lw=0.8 * look.scale, label=look.text("reconstruction"))
    _key(figure, axes, x.shape[2], look, look.text("step"), [thick, thin])
    return figure


@page
def signal_steps(steps: Array, names: Sequence[str] = (), *, look: Look, title: str) -> Figure:
    """R walks of S signals, (R, S, T, C): the signals of a walk overlaid, dark to light.

    There is a row of panels for each walk, named where given, and a column for each channel, four
    at most.
    """
    r, s, _, c = steps.shape
    c = min(c, 4)
    figure, axes = _panels(r * c, c, look, title, names=False)
    shades = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, s))
    for i, ax in enumerate(axes):
        for one, shade in zip(steps[i // c, :, :, i % c], shades, strict=True):
            ax.plot(one, color=shade, lw=0.8 * look.scale)
        if c > 1 and i < c:
            ax.set_title(look.text("channel", n=i + 1), fontsize="small")
        if names and i % c == 0:
            ax.set_ylabel(plain(names[i // c], 24), fontsize="small")
    _scale(axes[0], steps)
    _key(figure, axes, 1, look, look.text("step"))
    return figure


@page
def signal_scores(
    x: Array,
    scores: Array,
    marked: Array | None = None,
    threshold: float | None = None,
    *,
    look: Look,
) -> Figure:
    """A signal (T, C) above its score (T,) in nats per time step; `marked` steps (T,) are shaded.

    The threshold is a dashed line. Scores above 10 nats are on a logarithmic scale: one anomaly may
    have a thousand times the score of another.
    """
    figure = Figure(figsize=(look.width, 0.42 * look.width), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    figure.suptitle(look.text("signal_scores"))
    if marked is not None:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], marked, [0]]).astype(int)))
        for ax in (above, below):
            for start, end in edges.reshape(-1, 2):
                ax.axvspan(start, end - 1, color=COLOURS[0], alpha=0.25, lw=0)
    for line, colour in zip(x.T, _colours(x.shape[1]), strict=True):
        above.plot(line, color=colour, lw=0.7 * look.scale)
    below.plot(scores, color="0.25", lw=0.7 * look.scale)
    lines = []
    if threshold is not None:
        below.axhline(threshold, color=COLOURS[3], lw=0.9 * look.scale, ls="--")
        label = look.text("threshold")
        lines += [Line2D([], [], color=COLOURS[3], ls="--", label=label)]
    if marked is not None:
        label = look.text("anomaly")
        lines += [Line2D([], [], color=COLOURS[0], lw=5, alpha=0.25, label=label)]
    below.set_yscale("symlog", linthresh=10, linscale=1)
    below.yaxis.set_major_locator(SymmetricalLogLocator(linthresh=10, base=10))
    below.yaxis.set_major_formatter(ScalarFormatter())
    below.set_ylim(float(np.nanmin(scores)) - 1, None)
    below.set_ylabel(look.text("nats_step"))
    above.set_ylabel(look.text("value"))
    above.margins(x=0)
    for ax in (above, below):
        localise(ax, look)
    _key(figure, [below], x.shape[1], look, look.text("step"), lines)
    return figure


@page
def feature_densities(x: Array, made: Array, names: Sequence[str] = (), *, look: Look) -> Figure:
    """The density of each feature in the data x (N, D) and in samples (M, D)."""
    x, made = x[:, :FEATURES], made[:, :FEATURES]
    figure, axes = _feature_panels(x.shape[1], names, look, look.text("samples"))
    wide = x.T.astype(np.float64), made.T.astype(np.float64)  # squares of 1e30, steps at 1e9
    for ax, real, sampled in zip(axes, *wide, strict=True):
        low, high = min(real.min(), sampled.min()), max(real.max(), sampled.max())
        at = np.linspace(low, high if high > low else low + 1, 200)
        ax.fill_between(at, density(real, at), color=_ORIGINAL, alpha=0.5, lw=0)
        ax.plot(at, density(sampled, at), color=_MODEL, lw=look.scale)
        ax.set(ylim=(0, None), yticks=[])
    lines = [
        Line2D([], [], color=_ORIGINAL, lw=5, alpha=0.5, label=look.text("data")),
        Line2D([], [], color=_MODEL, label=look.text("made")),
    ]
    _key(figure, axes, 1, look, look.text("value"), lines)
    return figure


@page
def feature_pairs(x: Array, xhat: Array, names: Sequence[str] = (), *, look: Look) -> Figure:
    """Each feature of reconstructions xhat (N, D) against the originals; the diagonal is exact."""
    x, xhat = x[:, :FEATURES], xhat[:, :FEATURES]
    figure, axes = _feature_panels(x.shape[1], names, look, "")
    for ax, real, again in zip(axes, x.T, xhat.T, strict=True):
        ax.axline((float(real.mean()), float(real.mean())), slope=1, color="0.8", lw=look.scale)
        ax.plot(real, again, ".", color=_MODEL, ms=3 * look.scale, alpha=0.6, mew=0)
        ax.margins(0.08)
    figure.supxlabel(look.text("original"), fontsize=look.points)
    figure.supylabel(look.text("reconstruction"), fontsize=look.points)
    return figure


@page
def feature_steps(
    values: Array, steps: Array, names: Sequence[str], *, look: Look, title: str, xlabel: str
) -> Figure:
    """Each feature of decoded walks (R, S, D) at the values (R, S): a line for each walk."""
    steps = steps[..., :FEATURES]
    figure, axes = _feature_panels(steps.shape[2], (), look, title)
    for i, ax in enumerate(axes):
        for across, walk, colour in zip(values, steps, _colours(len(steps)), strict=True):
            ax.plot(across, walk[:, i], color=colour, lw=1.2 * look.scale)
        ax.margins(0.04)
    lines = [
        Line2D([], [], color=colour, label=name)
        for colour, name in zip(_colours(len(names)), names, strict=True)
    ]
    _key(figure, axes, 1, look, xlabel, lines)
    return figure


def _feature_panels(
    n: int, names: Sequence[str], look: Look, title: str
) -> tuple[Figure, list[Axes]]:
    """A panel for each feature, each on its own scale, under its name or number."""
    columns = min(n, 4)
    height = min(look.height, -(-n // columns) * 0.23 * look.width + 0.08 * look.points)
    width = look.width * max(0.5, columns / 4)
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title)
    axes = grid(figure, n, columns)
    for i, ax in enumerate(axes):
        ax.set_title(plain(names[i], 20) if names else look.text("feature", n=i + 1))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=3))
        ax.tick_params(labelsize="x-small")
        localise(ax, look)
    return figure, axes
