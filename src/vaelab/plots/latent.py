"""Latent codes: densities of one dimension, scatters of two, PCA and t-SNE of more.

Codes are (N, L), labels (N,) or None.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke

from vaelab.errors import UserError
from vaelab.evaluation.metrics.codes import principal_axes
from vaelab.plots.classes import NO_CLASSES, Classes, draw_key
from vaelab.plots.style import COLOURS, Array, Labels, Look, grid, localise, page, plain

_WRITTEN = 10  # characters of a name, on average, up to which names are written into a scatter
_ENOUGH = 5  # points of a class without which its name would hide them


class Embedding(NamedTuple):
    """A t-SNE of codes, not necessarily of all."""

    points: Array  # (M, 2)
    y: Labels  # (M,)


def checked(z: Array, y: Labels) -> Array:
    """Return codes as float64 (N, L). Raises `UserError` where they cannot be shown."""
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 2 or not z.size or not np.isfinite(z).all():
        raise UserError(
            f"figures: expected finite latent codes (N, L), got {z.shape}; flatten them, or train "
            "the run again"
        )
    if y is not None and len(y) != len(z):
        raise UserError(
            f"figures: {len(z)} latent codes but {len(y)} labels; give one label for each"
        )
    return z


def pca(z: Array) -> tuple[Array, Array]:
    """Project codes (N, L), L >= 2, on their two principal axes.

    Returns the points (N, 2) and the share of the variance of every axis (L,). The axes are those
    of the centred codes; the points are not centred: their origin is z = 0, the prior's mean.
    """
    z = checked(z, None)
    if z.shape[1] < 2:
        raise UserError("figures: codes of one dimension have no principal plane; use latent()")
    shares, axes = principal_axes(torch.from_numpy(z))
    return z @ axes[:, :2].numpy(), shares.numpy()


def draw_points(ax: Axes, points: Array, y: Labels, classes: Classes, look: Look) -> None:
    """Draw a scatter of points (N, 2) with equal axes, and short names at the classes' medians."""
    n, groups = len(points), classes.groups(y, len(points))
    size = float(np.clip(9000 / n, 2, 12)) * look.scale
    alpha = float(np.clip(60 / n**0.5, 0.5, 0.9))
    order = np.random.default_rng(0).permutation(n)  # so that no class hides another
    for marker in dict.fromkeys(group[2] for group in groups):
        colours = np.full(n, "", dtype=object)
        for _, colour, shape, mask in groups:
            if shape == marker:
                colours[mask] = colour
        these = order[colours[order] != ""]
        a, b = points[these].T
        ax.scatter(a, b, size, list(colours[these]), marker=marker, alpha=alpha, linewidths=0)
    ax.set_aspect("equal", adjustable="datalim")
    if np.ptp(points, axis=0).max() <= 1e-6 * max(1, np.abs(points).max()):
        a, b = points[0]  # all in one place: what differs is rounding, which is not enlarged
        ax.update_datalim([(a - 1, b - 1), (a + 1, b + 1)])
    named = [group for group in groups if group[0] and group[3].sum() >= _ENOUGH]
    if len(named) > 1 and sum(len(group[0]) for group in named) <= _WRITTEN * len(named):
        _write_names(ax, points, named)


def _write_names(ax: Axes, points: Array, named: list[tuple[str, str, str, Array]]) -> None:
    middles = np.array([np.median(points[mask], axis=0) for _, _, _, mask in named])
    places = apart(middles, 0.06 * (float(np.ptp(points, axis=0).max()) or 1))
    halo = [withStroke(linewidth=2.5, foreground="white")]
    for (name, colour, _, _), (a, b) in zip(named, places, strict=True):
        ax.text(
            a, b, name, color=colour, weight="bold", ha="center", va="center", path_effects=halo
        )


def apart(places: Array, distance: float) -> Array:
    """Push places (N, 2) away from one another until neighbours are `distance` apart."""
    noise = np.random.default_rng(0).standard_normal(places.shape)
    places = places + 1e-3 * distance * noise  # no two at the same place
    for _ in range(200):
        gaps = places[:, None] - places  # (N, N, 2)
        own = np.eye(len(places))[..., None] * (2 * distance + 1)
        lengths = np.linalg.norm(gaps, axis=-1, keepdims=True) + own
        push = np.clip(distance - lengths, 0, None) * gaps / lengths
        places = places + 0.5 * push.sum(1)
    return places


def draw_densities(ax: Axes, z: Array, y: Labels, classes: Classes, look: Look) -> None:
    """Draw a density for each class, one ridge above the other, of codes (N,)."""
    low, high = float(z.min()), float(z.max())
    room = 0.1 * (high - low) or 1.0
    at = np.linspace(low - room, high + room, 300)
    groups = classes.groups(y, len(z))
    curves = [density(z[mask], at) for _, _, _, mask in groups]
    step = 0.6 * max(float(curve.max()) for curve in curves)
    for i, ((_, colour, _, _), curve) in enumerate(zip(groups, curves, strict=True)):
        base, order = -i * step, 2 * i
        ax.fill_between(at, base, base + curve, color=colour, alpha=0.35, lw=0, zorder=order + 2)
        ax.plot(at, base + curve, color=colour, lw=1.2 * look.scale, zorder=order + 3)
    if len(groups) > 1:
        names = [name or look.text("others", count=classes.others) for name, *_ in groups]
        ax.set_yticks(-step * np.arange(len(groups)), names)
        ax.tick_params(axis="y", length=0)
        ax.spines.left.set_visible(False)
    else:
        ax.set_ylim(bottom=0)
    ax.set(xlabel="z₁", ylabel=look.text("class" if len(groups) > 1 else "density"))


def density(values: Array, at: Array) -> Array:
    """Return the kernel density estimate of values (N,) at `at` (M,), ascending and evenly spaced.

    The kernel is Gaussian with Silverman's bandwidth; values are binned first.
    """
    step = at[1] - at[0]
    quartiles = np.subtract(*np.percentile(values, [75, 25])) / 1.34
    spread = min(values.std(), quartiles) if quartiles else values.std()
    width = max(0.9 * float(spread) * len(values) ** -0.2, step)
    counts = np.histogram(values, np.append(at - step / 2, at[-1] + step / 2))[0]
    kernel = np.exp(-0.5 * ((at - at.mean()) / width) ** 2)
    smooth: Array = np.convolve(counts, kernel / kernel.sum(), "same") / (len(values) * step)
    return smooth


def draw_latent(ax: Axes, z: Array, y: Labels, classes: Classes, look: Look, title: str) -> None:
    """Draw one dimension as densities, two as a scatter, more by two principal components."""
    if z.shape[1] == 1:
        draw_densities(ax, z[:, 0], y, classes, look)
    elif z.shape[1] == 2:
        draw_points(ax, z, y, classes, look)
        ax.set(xlabel="z₁", ylabel="z₂")
    else:
        points, ratio = pca(z)
        draw_points(ax, points, y, classes, look)
        first, second, both = (float(100 * part) for part in (*ratio[:2], ratio[:2].sum()))
        ax.set_xlabel(look.text("component", n=1, share=first))
        ax.set_ylabel(look.text("component", n=2, share=second))
        title = look.text("pca", share=both)
    ax.set_title(title)
    if not (z.shape[1] == 1 and y is not None):
        localise(ax, look)


def draw_embedding(ax: Axes, embedding: Embedding, classes: Classes, look: Look) -> None:
    """Draw a t-SNE and say of how many codes it is; its distances have no unit."""
    points, y = embedding
    draw_points(ax, checked(points, y), y, classes, look)
    ax.set(xticks=[], yticks=[], title=look.text("tsne", n=len(points)))


def _draw_prior(ax: Axes, dims: int) -> None:
    """One and two standard deviations of N(0, I): in any orthonormal plane the same circles."""
    for radius in (1, 2):
        if dims > 1:
            ax.add_patch(Circle((0, 0), radius, fill=False, linestyle="--", linewidth=1, zorder=3))
        else:
            for at in (-radius, radius):
                ax.axvline(at, color="black", linestyle="--", linewidth=1)


@page
def latent(
    z: Array,
    y: Labels,
    classes: Classes = NO_CLASSES,
    embedding: Embedding | None = None,
    *,
    look: Look,
    title: str,
) -> Figure:
    """Codes (N, L) by class, beside the t-SNE of some of them where it is given."""
    z = checked(z, y)
    panels = 1 if embedding is None else 2
    width = look.width * (0.75 if panels == 1 else 1)
    height = min(look.height, 0.8 * width if panels == 1 else 0.5 * width)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = grid(figure, panels, 2)
    draw_latent(axes[0], z, y, classes, look, title)
    if embedding is not None:
        draw_embedding(axes[1], embedding, classes, look)
    if z.shape[1] > 1 and y is not None:
        draw_key(figure, classes, look)
    return figure


@page
def side_by_side(
    runs: Mapping[str, tuple[Array, Labels]],
    normal: Collection[str],
    classes: Classes = NO_CLASSES,
    *,
    look: Look,
) -> Figure:
    """The codes (N, L) and labels of several runs, each on its own scale.

    Those whose prior is N(0, I), named in `normal`, have its circles.
    """
    columns = min(2 if look.size == "column" else 3, len(runs))
    width = look.width if columns > 1 else 0.75 * look.width
    lines = -(-len(runs) // columns)
    height = min(look.height, 0.85 * width / columns * lines + 0.06 * look.points)
    figure = Figure(figsize=(width, height), layout="constrained")
    for ax, (name, (z, y)) in zip(grid(figure, len(runs), columns), runs.items(), strict=True):
        z = checked(z, y)
        draw_latent(ax, z, y, classes, look, "")
        if name in normal:
            _draw_prior(ax, z.shape[1])
        ax.set_title(plain(name, 36))
    if any(y is not None for _, y in runs.values()):
        draw_key(figure, classes, look)
    if normal:
        circle = Line2D([], [], color=COLOURS[5], linestyle="--", linewidth=1)
        figure.legend([circle], [look.text("prior")], loc="outside lower center")
    return figure
