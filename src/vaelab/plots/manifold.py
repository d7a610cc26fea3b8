"""The latent plane, or the latent line, decoded."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vaelab.errors import UserError
from vaelab.language import decimal
from vaelab.plots.images import draw_picture
from vaelab.plots.pixels import Pixels, gap, tiles
from vaelab.plots.style import Array, Look, page


def grid_axis(n: int, grid: Literal["quantile", "linear"] = "quantile", span: float = 3.0) -> Array:
    """Return n ascending values of one latent coordinate.

    ``quantile``: Phi^-1((i + 1/2) / n), the quantiles of the standard normal, so that every cell
    of the grid has the same prior probability. ``linear``: from -span to span.
    """
    if n < 1:
        raise UserError(f"figures: a latent grid needs at least 1 image a side, got {n}")
    if grid == "linear":
        return np.linspace(-span, span, n) if n > 1 else np.zeros(1)
    return np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])


def grid_points(axis: Array) -> Array:
    """Return the points (z1, z2) of the grid, (n*n, 2), in reading order, z2 upwards."""
    z2, z1 = np.meshgrid(axis[::-1], axis, indexing="ij")
    return np.stack([z1.ravel(), z2.ravel()], axis=1)


def draw_manifold(ax: Axes, pictures: Pixels, axis: Array, look: Look, lines: int = 2) -> None:
    """Draw the pictures decoded at `grid_points(axis)`; or, decoded at `axis` itself, in lines."""
    n, (_, h, w, _) = len(axis), pictures.shape
    if len(pictures) not in (n, n * n):
        raise UserError(f"figures: a grid of {n} x {n} needs {n * n} images, got {len(pictures)}")
    if len(pictures) == n > 1:
        _draw_line(ax, pictures, axis, look, -(-n // lines))
        return
    space = 1 if min(h, w) < 16 else 0  # small images run into one another without it
    draw_picture(ax, tiles(pictures, n, space))
    values = _round_values(axis)
    at, names = np.interp(values, axis, np.arange(n)), _texts(values, look)
    ax.set_xticks(at * (w + space) + (w - 1) / 2, names)
    ax.set_yticks((n - 1 - at) * (h + space) + (h - 1) / 2, names)
    ax.set(xlabel="z₁", ylabel="z₂", title=look.text("manifold"))
    ax.set_aspect(float(np.clip(1, 0.5 * w / h, 2 * w / h)))  # long images: at most twice as long


def _draw_line(ax: Axes, pictures: Pixels, axis: Array, look: Look, columns: int) -> None:
    h, w = pictures.shape[1:3]
    space = max(gap(pictures), h // 3)
    draw_picture(ax, tiles(pictures, columns, space))
    texts = _texts(axis.round(1), look)
    for i, text in enumerate(texts):
        row, column = divmod(i, columns)
        at = (column * (w + space) + w / 2 - 0.5, row * (h + space) - 0.5)
        ax.annotate(text, at, (0, 2), textcoords="offset points", ha="center", fontsize="x-small")
    ax.set_title(look.text("traversal") + ", z₁", pad=2 * look.points)


def _round_values(axis: Array) -> Array:
    """Round numbers within the axis, the same on both sides of 0; its ends where there is none."""
    low, high = float(axis[0]), float(axis[-1])
    ticks = np.asarray(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low, high))
    values: Array = ticks[(ticks >= low) & (ticks <= high)]
    return values if len(values) else np.unique(axis[[0, -1]])


def _texts(values: Sequence[float] | Array, look: Look) -> list[str]:
    return [decimal(f"{round(float(value), 6) + 0.0:g}", look.lang) for value in values]


@page
def manifold(pictures: Pixels, axis: Array, *, look: Look) -> Figure:
    """The pictures decoded at `grid_points(axis)`, (n*n, H, W, 3), in latent coordinates.

    With as many pictures as `axis` has values: a walk along the only latent dimension.
    """
    h, w = pictures.shape[1:3]
    width, rows = 0.8 * look.width, float(np.clip(h / w, 0.5, 2))
    if len(pictures) == len(axis) > 1:
        width, rows = look.width, 2 * h / w / -(-len(axis) // 2)
    height = min(look.height, width * rows + 0.06 * look.points)
    figure = Figure(figsize=(width, height), layout="constrained")
    draw_manifold(figure.subplots(), pictures, axis, look)
    return figure
