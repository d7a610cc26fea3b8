"""A run on one page, made of the panels of its single figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.typing import HashableList

from vaelab.plots.classes import NO_CLASSES, Classes, draw_key
from vaelab.plots.curves import History, draw_losses, has_rate
from vaelab.plots.images import draw_picture, mark_pairs
from vaelab.plots.latent import Embedding, checked, draw_embedding, draw_latent
from vaelab.plots.manifold import draw_manifold
from vaelab.plots.pixels import Pixels, pairs, square
from vaelab.plots.style import Array, Labels, Look, page, plain


class Pictures(NamedTuple):
    """The pictures of an overview."""

    x: Pixels  # originals
    xhat: Pixels  # their reconstructions
    samples: Pixels
    columns: int = 0  # of the samples; 0: a near-square grid


@page
def overview(
    history: History,
    pictures: Pictures,
    z: Array,
    y: Labels,
    classes: Classes = NO_CLASSES,
    embedding: Embedding | None = None,
    grid: tuple[Pixels, Array] | None = None,
    *,
    look: Look,
    titles: Sequence[str] = ("", "", ""),
    unit: str = "nats",
) -> Figure:
    """Reconstructions, loss, samples, latent space, and the manifold or the embedding.

    The last panel is the manifold where `grid` gives (pictures, axis), else the `embedding`, else
    the latent space takes its room. `titles` are those of the page, of the samples and of the
    latent space.
    """
    z, title = checked(z, y), plain(titles[0], 80)
    third = "latent" if grid is None and embedding is None else "third"
    wide = look.size == "slide"
    rows: list[HashableList[str]] = [["pairs"] * 2, ["samples", "loss"], ["latent", third]]
    heights = [3, 5, 5]
    if wide:
        rows, heights = [["pairs", "pairs", "loss"], ["samples", "latent", third]], [5, 7]
    height = look.height if wide else 0.94 * look.height
    figure = Figure(figsize=(look.width, height), layout="constrained")
    figure.suptitle(title)
    panels = figure.subplot_mosaic(rows, height_ratios=heights)
    sheet, middles = pairs(pictures.x, pictures.xhat)
    draw_picture(panels["pairs"], sheet)
    mark_pairs(panels["pairs"], middles.tolist(), look)
    draw_losses(panels["loss"], history, "loss" if has_rate(history) else "distortion", look, unit)
    panels["loss"].legend(loc="upper right", bbox_to_anchor=(1, 0.92))
    draw_picture(panels["samples"], square(pictures.samples, pictures.columns), titles[1])
    draw_latent(panels["latent"], z, y, classes, look, titles[2])
    if z.shape[1] > 1 and y is not None:
        draw_key(panels["latent"], classes, look)
    if grid is not None:
        draw_manifold(panels["third"], *grid, look, lines=4)
    elif embedding is not None:
        draw_embedding(panels["third"], embedding, classes, look)
    return figure
