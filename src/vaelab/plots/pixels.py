"""From data to pixels: small pictures of images and of signals, one of each row.

A picture is (N, H, W, 3) uint8 with both sides at most `SIDE`, whatever the size of the data:
memory and files are proportional to what a page can show.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vaelab.data import Form
from vaelab.errors import UserError
from vaelab.plots.style import COLOURS, Array

Pixels = NDArray[np.uint8]

WHITE, GREY = 230, 200  # a mean above it is nearly white; the grey between such pictures
SIDE = 128  # pixels of the longer side of an image on a page: a tile at 200 dots per inch
LANES = 6  # of more channels of a signal, each is a row of grey values and not a curve
_CURVE = (72, 96)  # height and width of the small picture of a signal


def signals(x: Array) -> Array:
    """Return signals (N, L) or (N, C, L) as (N, steps, channels)."""
    x = np.asarray(x, dtype=np.float64)
    return x[:, :, None] if x.ndim == 2 else np.moveaxis(x, 1, 2)


def picture(
    x: Array, span: tuple[float, float] = (0, 1), side: int = SIDE, form: Form = "image"
) -> Pixels:
    """Return a picture of every row of x, (N, *shape): the image, or the curves of a signal.

    Images are (N, H, W) or (N, C, H, W), signals (N, L) or (N, C, L). `span` is what is black and
    what is white; values beyond are clipped, NaN is mid-grey. Transparency lies on white; of 2 or
    more than 4 channels the mean is shown. Images larger than `side` are reduced, each pixel the
    mean of those it replaces.
    """
    if form == "table" or not 3 - (form == "signal") <= np.ndim(x) <= 4 or not np.size(x):
        raise UserError(f"figures: expected images or signals (N, ...), got {np.shape(x)}")
    if form == "signal":
        many = signals(x)
        return _strips(many, span) if many.shape[2] > LANES else _curves(many, span)
    low, high = span
    raw = np.asarray(x, dtype=np.float32)
    raw = raw[:, None] if raw.ndim == 3 else raw
    raw = raw if raw.shape[1] in (1, 3, 4) else raw.mean(1, keepdims=True)
    y: Array = _reduced(raw, side) - low
    y /= (high - low) or 1.0  # in place from here: there may be thousands of images
    np.nan_to_num(y, copy=False, nan=0.5).clip(0, 1, out=y)
    y = np.moveaxis(y, 1, -1)
    if y.shape[-1] == 4:
        y = y[..., :3] * y[..., 3:] + (1 - y[..., 3:])
    y *= 255
    y += 0.5
    return np.broadcast_to(y.astype(np.uint8), (*y.shape[:3], 3))


def _reduced(x: Array, side: int) -> Array:
    """Images (N, C, H, W) with their longer side at most `side`; the sides keep their ratio."""
    longest = max(x.shape[2:])
    if longest <= side:
        return x
    for axis in (2, 3):
        n = x.shape[axis]
        starts = np.arange(few := max(1, round(n * side / longest))) * n // few
        counts = np.diff([*starts, n]).reshape([-1 if i == axis else 1 for i in range(4)])
        x = np.add.reduceat(x, starts, axis) / counts.astype(x.dtype)
    return x


def _curves(x: Array, span: tuple[float, float]) -> Pixels:
    """Small plots of signals (N, T, C): a line in its colour for every channel, in a thin frame."""
    (h, w), fine = _CURVE, 3  # drawn larger and reduced, for smooth lines
    low, high = span
    margin = 0.1 * ((high - low) or 1.0)
    sheets = []
    for one in (_thinned(signal, w) for signal in x):  # (T, C)
        across = np.linspace(0, w * fine - 1, len(one)).astype(int)
        unit = (one - (low - margin)) / ((high - low) + 2 * margin or 1.0)
        ups = ((1 - unit.clip(0, 1)) * (h * fine - 1)).astype(int)
        sheet = Image.new("RGB", (w * fine, h * fine), "white")
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((0, 0, w * fine - 1, h * fine - 1), outline="#bbbbbb", width=fine)
        for channel, heights in enumerate(ups.T):
            points = np.stack([across, heights], 1).ravel().tolist()
            pen.line(points, COLOURS[(channel + 1) % len(COLOURS)], 2 * fine, "curve")
        sheets.append(np.asarray(sheet.resize((w, h), Image.Resampling.BOX)))
    return np.stack(sheets)


def _strips(x: Array, span: tuple[float, float]) -> Pixels:
    """Pictures of signals (N, T, C) of many channels: a row for each, time to the right."""
    h, w = _CURVE
    low, high = span
    sheets = []
    for one in x.swapaxes(1, 2):  # (C, T)
        grey = (((one - low) / ((high - low) or 1.0)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
        reduced = Image.fromarray(grey).resize((w, len(one)), Image.Resampling.BOX)
        sheets.append(np.asarray(reduced.resize((w, h), Image.Resampling.NEAREST).convert("RGB")))
    return np.stack(sheets)


def _thinned(x: Array, columns: int) -> Array:
    """A signal (T, C) with at most the lowest and the highest value of each of the columns."""
    if len(x) <= 2 * columns:
        return x
    starts = np.arange(columns) * len(x) // columns
    ends = [extreme.reduceat(x, starts, axis=0) for extreme in (np.minimum, np.maximum)]
    return np.stack(ends, 1).reshape(2 * columns, -1)


def gap(pictures: Pixels) -> int:
    """Return the white pixels between tiles."""
    return 1 + int(max(pictures.shape[1:3])) // 40


def tiles(pictures: Pixels, columns: int, space: int | None = None) -> Pixels:
    """Return one picture of N in reading order, `space` white pixels between them (None: a few).

    Its shape is (R H + (R-1) space, columns W + (columns-1) space, 3) with R = ceil(N / columns);
    places without a picture are white. Between pictures that are nearly white the space is grey.
    """
    n, h, w, _ = pictures.shape
    between = GREY if n and pictures.mean() > WHITE else 255
    space, rows = gap(pictures) if space is None else space, -(-n // columns)
    sheet = np.full((rows * columns, h + space, w + space, 3), 255, np.uint8)
    sheet[:n] = between
    sheet[:n, :h, :w] = pictures
    sheet = sheet.reshape(rows, columns, h + space, w + space, 3).swapaxes(1, 2)
    whole = sheet.reshape(rows * (h + space), columns * (w + space), 3)
    return whole[: -space or None, : -space or None]


def square(pictures: Pixels, columns: int = 0) -> Pixels:
    """Return the grid of N pictures nearest to a square, or of so many columns where given.

    A full grid is taken where it is at most twice as wide as high.
    """
    if columns:
        return tiles(pictures, columns)
    return tiles(pictures, squarest(pictures))


def squarest(pictures: Pixels) -> int:
    """Return the number of columns of that grid."""
    n, h, w, _ = pictures.shape
    side = max(1, min(n, math.ceil(math.sqrt(n * h / w))))
    widest = max(side, math.isqrt(2 * n * h // w))
    full = (count for count in range(side, min(n, widest) + 1) if n % count == 0)
    return next(full, side)


def pairs(x: Pixels, xhat: Pixels, columns: int = 10) -> tuple[Pixels, Array]:
    """Return originals over reconstructions in double rows, and the middle of each row in pixels.

    There are at most `columns` in a row, as many in each as there can be.
    """
    if x.shape != xhat.shape:
        raise UserError(
            f"figures: originals {x.shape} and reconstructions {xhat.shape} must have one shape"
        )
    n, h = x.shape[:2]
    columns = -(-n // -(-n // columns))
    strips: list[Pixels] = []
    middles, top = [], 0
    for i in range(0, n, columns):
        for part, space in ((x, 4 * gap(x) if i else 0), (xhat, gap(x))):
            row = tiles(part[i : i + columns], columns)
            strips += [np.full((space, row.shape[1], 3), 255, np.uint8), row]
            middles.append(top + space + (h - 1) / 2)
            top += space + h
    return np.concatenate(strips), np.array(middles)


def enlarged(pixels: Pixels, scale: int) -> Pixels:
    """Return the picture with every pixel as `scale` x `scale` of them."""
    return pixels.repeat(scale, 0).repeat(scale, 1)
