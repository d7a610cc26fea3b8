"""Pictures of a page: PNG files at the size of the data, which the browser enlarges."""

from __future__ import annotations

import base64
import io
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from vaelab.data.dataset import spread
from vaelab.plots import Pixels, gap
from vaelab.plots.frames import HEAD, MARGIN, TILE

FRAMES = 30  # of the evolution, at most
FRAMES_ROOM = 1_000_000  # bytes of all of them, at most
FIGURES = (
    "reconstructions", "samples", "columns", "latent", "manifold", "traversals", "interpolation",
)  # fmt: skip
STORED = 2_000_000  # bytes of these figures, at most
EDGE = 56  # pixels of the longer side of an image on the page, about


class Picture(NamedTuple):
    """An image of the page: its data, its size in its own pixels, and what it shows."""

    src: str
    width: int
    height: int
    alt: str
    scale: float = 1.0  # how much the page enlarges it


def sheet(pictures: Pixels, columns: int) -> Pixels:
    """Return N pictures (N, H, W, 3) in reading order as one (H', W', 4), transparent between."""
    n, h, w, _ = pictures.shape
    space, rows = gap(pictures), -(-n // columns)
    cells = np.zeros((rows * columns, h + space, w + space, 4), np.uint8)
    cells[:n, :h, :w, :3], cells[:n, :h, :w, 3] = pictures, 255
    cells = cells.reshape(rows, columns, h + space, w + space, 4).swapaxes(1, 2)
    whole = cells.reshape(rows * (h + space), columns * (w + space), 4)
    return whole[:-space, :-space]


def picture(pixels: Pixels, alt: str, scale: float = 1.0) -> Picture:
    """Return pixels (H, W, 3), or (H, W, 4) with transparent ones, as a picture."""
    return Picture(png(pixels), pixels.shape[1], pixels.shape[0], alt, scale)


def png(pixels: Pixels) -> str:
    """Return pixels (H, W, 3 or 4) as the address of a PNG file that is part of the page."""
    grey = not np.ptp(pixels[..., :3], axis=-1).any()
    bands = {3: "L", 4: "LA"} if grey else {3: "RGB", 4: "RGBA"}
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert(bands[pixels.shape[-1]])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return _address(buffer.getvalue())


def _address(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def scale_of(pictures: Pixels) -> float:
    """Return by how much a page enlarges these pictures (N, H, W, 3): a whole number, or 1."""
    return float(max(1, round(EDGE / max(pictures.shape[1:3]))))


def stored(folder: Path) -> list[tuple[str, Picture]]:
    """Return name and picture of the figures in a run folder that a page without data shows."""
    found, room = [], STORED
    for name in FIGURES:
        path = folder / "figures" / f"{name}.png"
        with suppress(OSError, ValueError), Image.open(path) as image:  # a damaged one is left out
            image.verify()
            content = path.read_bytes()
            if (room := room - len(content)) >= 0:
                src = _address(content)
                found.append((name, Picture(src, image.width, image.height, "", 0.5)))
    return found


def frames(folder: Path, shape: tuple[int, int], most: int) -> list[tuple[int, Picture]]:
    """Return epoch and picture of the frames of a run whose pictures have this height and width.

    There are at most `most`, and fewer where they are large, the last one among them. In the files
    each pixel of the pictures is a square of `scale` pixels (see `plots.frames`), of which one is
    kept. Of different sizes, which a run has whose settings were changed, those of the last one are
    kept.
    """
    paths = sorted((folder / "figures" / "epochs").glob("*.png"))
    scale = max(1, round(TILE / max(shape)))
    found = []
    for path in [paths[-1 - i] for i in spread(len(paths), most)][::-1] if paths else []:
        with suppress(OSError, ValueError), Image.open(path) as image:  # a damaged one is left out
            pixels = np.asarray(image.convert("RGB"))[HEAD:-MARGIN, MARGIN:-MARGIN]
            found.append((int(path.stem), pixels[::scale, ::scale]))
    last = found[-1][1].shape if found else ()
    drawn = [(epoch, picture(pixels, "", scale)) for epoch, pixels in found if pixels.shape == last]
    size = max((len(one.src) * 3 // 4 for _, one in drawn), default=1)
    return [drawn[-1 - i] for i in spread(len(drawn), FRAMES_ROOM // size)][::-1] if drawn else []
