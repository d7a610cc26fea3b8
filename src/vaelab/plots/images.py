"""Figures that are made of small pictures: examples, reconstructions, samples, interpolations.

They take pictures (N, H, W, 3) uint8, which `picture` makes of images and of signals. No page is
larger than `Look.width` by `Look.height`, whatever the number and the shape of the pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.transforms import Affine2D
from PIL import Image

from vaelab.errors import UserError
from vaelab.plots.pixels import Pixels, enlarged, gap, pairs, square, tiles
from vaelab.plots.style import Look, grid, page, plain

TILE = 0.58  # inches along the longer side of a picture in a column


class Sheet(AxesImage):
    """Pixels that fill their axes, each at the same size.

    They are enlarged by a whole number and then only reduced. matplotlib does so with four floats
    a pixel, which takes several times as long.
    """

    def make_image(
        self, renderer: Any, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[Pixels, float, float, Affine2D]:
        pixels = np.asarray(self.get_array())
        left, bottom, right, top = (
            np.asarray(self.axes.bbox.extents) * magnification + 0.5
        ).astype(int)
        size = max(1, right - left), max(1, top - bottom)  # a dot of the thinnest pictures
        scale = max(-(-size[0] // pixels.shape[1]), -(-size[1] // pixels.shape[0]))
        sheet = Image.fromarray(enlarged(pixels, scale)).resize(size, Image.Resampling.HAMMING)
        upwards = np.asarray(sheet.convert("RGBA"))[::-1].copy()
        return upwards, left / magnification, bottom / magnification, Affine2D()


def draw_picture(ax: Axes, pixels: Pixels, title: str = "") -> None:
    """Show pixels, whose coordinates are their indices: (0, 0) is the centre of the top left."""
    h, w, _ = pixels.shape
    sheet = Sheet(ax, extent=(-0.5, w - 0.5, h - 0.5, -0.5))
    sheet.set_data(pixels)
    ax.add_image(sheet)
    ax.set(xlim=(-0.5, w - 0.5), ylim=(h - 0.5, -0.5), aspect="equal")
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)


def mark_rows(ax: Axes, middles: Sequence[float], names: Sequence[str]) -> None:
    """Write names at the left of rows."""
    ax.set_yticks(middles, list(names))
    ax.tick_params(length=0)


def mark_pairs(ax: Axes, middles: Sequence[float], look: Look) -> None:
    """Write "original" and "reconstruction" at the left of double rows."""
    names = [look.text("original"), look.text("reconstruction")]
    mark_rows(ax, middles, names * (len(middles) // 2))


def _page(
    pixels: Pixels, tile: int, look: Look, title: str = "", names: Sequence[str] = (), top: int = 0
) -> tuple[Figure, Axes]:
    """A figure that holds `pixels`, made of tiles whose longer side has `tile` pixels.

    There is room for `names` at the left, and for `top` lines of text besides the title above.
    """
    letter, line, edge = 0.0085 * look.points, 0.019 * look.points, 0.05
    left = edge + (letter * max(map(len, names)) + 0.1 if names else 0)
    above = edge + line * (top + 1.3 * bool(title))
    h, w, _ = pixels.shape
    inch = TILE * look.scale / tile  # inches of a pixel
    inch *= min(
        1, (look.width - left - edge) / (w * inch), (look.height - above - edge) / (h * inch)
    )
    width, height = w * inch, h * inch
    room = max(0.0, 1.15 * letter * len(title) - left - width - edge) / 2  # a title may be wider
    across, down = left + width + edge + 2 * room, above + height + edge
    figure = Figure(figsize=(across, down))
    place = ((left + room) / across, edge / down, width / across, height / down)
    ax = figure.add_axes(place)
    draw_picture(ax, pixels)
    ax.set_aspect("auto")  # the place has the aspect of the picture but for rounding
    size = 1.1 * look.points
    figure.text(0.5, 1 - edge / down, title, ha="center", va="top", fontsize=size)
    return figure, ax


def _above(
    ax: Axes, text: str, at: tuple[float, float], side: Literal["left", "center", "right"]
) -> None:
    ax.annotate(text, at, (0, 2.5), textcoords="offset points", ha=side, fontsize="small")


def _longer(pictures: Pixels) -> int:
    return int(max(pictures.shape[-3:-1]))


@page
def examples(pictures: Pixels, names: Sequence[str], *, look: Look, columns: int = 5) -> Figure:
    """Examples of the data, `columns` in a row, each under its name (names may be empty)."""
    n, h, w, _ = pictures.shape
    columns = min(n, max(columns, columns * h // w))  # more of narrow images
    space = max(round(0.3 * _longer(pictures)), 1)
    sheet = tiles(pictures, columns, space)
    figure, ax = _page(sheet, _longer(pictures), look, look.text("examples"), top=bool(names))
    for i, name in enumerate(names[:n]):
        row, column = divmod(i, columns)
        at = (column * (w + space) + w / 2 - 0.5, row * (h + space) - 0.5)
        _above(ax, plain(name, 12), at, "center")
    return figure


@page
def reconstructions(x: Pixels, xhat: Pixels, *, look: Look) -> Figure:
    """Originals over their reconstructions, in double rows of at most ten."""
    sheet, middles = pairs(x, xhat)
    names = [look.text("original"), look.text("reconstruction")]
    figure, ax = _page(sheet, _longer(x), look, names=names)
    mark_pairs(ax, middles.tolist(), look)
    return figure


@page
def rows(pictures: Mapping[str, Pixels], *, look: Look, title: str = "") -> Figure:
    """Rows of pictures, named at the left: a row for each run, or for each class."""
    first = next(iter(pictures.values()))
    n, h = max(map(len, pictures.values())), first.shape[1]
    names = [plain(name, 24) for name in pictures]
    white = np.full_like(first[:1], 255)
    full = [np.concatenate([row, *[white] * (n - len(row))]) for row in pictures.values()]
    sheet = tiles(np.concatenate(full), n)
    figure, ax = _page(sheet, _longer(first), look, title, names)
    mark_rows(ax, ((h - 1) / 2 + (h + gap(first)) * np.arange(len(names))).tolist(), names)
    return figure


@page
def samples(pictures: Pixels, *, look: Look, title: str) -> Figure:
    """N pictures in a near-square grid."""
    return _page(square(pictures), _longer(pictures), look, title)[0]


@page
def interpolation(steps: Pixels, *, look: Look, originals: Pixels | None = None) -> Figure:
    """R rows of S steps between the codes of two images, (R, S, H, W, 3).

    The first and the last step are the reconstructions of the two images, which stand at the ends
    of the row where `originals`, (R, 2, H, W, 3), gives them.
    """
    if steps.ndim != 5:
        raise UserError(f"figures: expected rows of pictures (R, S, H, W, 3), got {steps.shape}")
    sheet, inset = tiles(steps.reshape(-1, *steps.shape[2:]), steps.shape[1]), {"reconstruction": 0}
    if originals is not None:
        first, last = (tiles(originals[:, i], 1) for i in (0, 1))
        white = np.full((len(sheet), 6 * gap(steps[0]), 3), 255, np.uint8)
        sheet = np.concatenate([first, white, sheet, white, last], axis=1)
        inset = {"original": 0, "reconstruction": first.shape[1] + white.shape[1]}
    figure, ax = _page(sheet, _longer(steps), look, look.text("interpolation"), top=1)
    for key, pixels in inset.items():
        _above(ax, look.text(key), (pixels - 0.5, -0.5), "left")
        _above(ax, look.text(key), (sheet.shape[1] - pixels - 0.5, -0.5), "right")
    return figure


@page
def strips(
    steps: Pixels, names: Sequence[str], heads: Sequence[str] = (), *, look: Look, title: str
) -> Figure:
    """R named rows of S steps, (R, S, H, W, 3), each column under its head where given."""
    r, s, h, w, _ = steps.shape
    sheet = tiles(steps.reshape(-1, *steps.shape[2:]), s)
    names = [plain(name, 24) for name in names]
    figure, ax = _page(sheet, _longer(steps), look, title, names, top=bool(heads))
    space = gap(steps[0])
    mark_rows(ax, ((h - 1) / 2 + (h + space) * np.arange(r)).tolist(), names)
    for i, head in enumerate(heads):
        _above(ax, head, (i * (w + space) + (w - 1) / 2, -0.5), "center")
    return figure


@page
def side_by_side_images(runs: Mapping[str, Pixels], *, look: Look, title: str = "") -> Figure:
    """The pictures of several runs as near-square grids next to each other, named above.

    The title is left out for a single run, which is a panel of a page that has the title.
    """
    sheets = {name: square(pictures) for name, pictures in runs.items()}
    columns = min(3, len(runs))
    width = look.width / columns if len(runs) > 1 else look.width / 2
    tallest = max(sheet.shape[0] / sheet.shape[1] for sheet in sheets.values())
    lines = -(-len(runs) // columns)
    height = min(look.height, (width * tallest + 0.035 * look.points) * lines)
    figure = Figure(figsize=(width * columns, height), layout="constrained")
    if len(runs) > 1:
        figure.suptitle(title)
    for ax, (name, sheet) in zip(grid(figure, len(runs), columns), sheets.items(), strict=True):
        draw_picture(ax, sheet, plain(name, 36 if columns == 1 else 24))
    return figure
