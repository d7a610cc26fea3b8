"""The frames of the animation of a training, drawn by Pillow alone in a few milliseconds.

A frame has no words, so it belongs to every language; its size does not depend on that of the data.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vaelab.errors import UserError
from vaelab.plots.pixels import Pixels, enlarged, pairs, square

TILE = 56  # pixels of the longer side of an image, about: larger images come reduced to it
MARGIN, HEAD = 16, 46  # around the blocks of pictures; above them, for the number


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def frame(x: Pixels, xhat: Pixels, samples: Pixels, epoch: int, columns: int = 0) -> Image.Image:
    """Return one epoch: its number, originals over reconstructions, and samples below.

    The samples stand in so many columns, or in a near-square grid. Mode L if it is grey, else RGB.
    """
    scale = max(1, round(TILE / max(x.shape[1:3])))
    blocks = [enlarged(pairs(x, xhat)[0], scale), enlarged(square(samples, columns), scale)]
    width = max(120, *(block.shape[1] for block in blocks)) + 2 * MARGIN
    height = HEAD + sum(len(block) + MARGIN for block in blocks)
    sheet = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(sheet).text((MARGIN, 14), f"{epoch}", "black", _font(20))
    top = HEAD
    for block in blocks:
        sheet.paste(Image.fromarray(block), (MARGIN, top))
        top += len(block) + MARGIN
    red, green, blue = sheet.split()
    return red if red == green == blue else sheet


def animation(frames: Sequence[Image.Image]) -> bytes:
    """Return the frames as a GIF that loops: four a second, the last one for two seconds.

    One palette, adapted to all frames, serves every frame; else the colours would flicker.
    """
    if not frames or len({image.size for image in frames}) > 1:
        raise UserError("figures: an animation needs at least one frame, all of one size")
    if all(image.mode == "L" for image in frames):
        first, *others = frames  # grey frames are kept exactly
    else:
        frames = [image.convert("RGB") for image in frames]
        some = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, 8).astype(int))]
        sheet = np.concatenate([np.asarray(image) for image in some])
        palette = Image.fromarray(sheet).quantize(256)
        first, *others = (
            image.quantize(palette=palette, dither=Image.Dither.NONE) for image in frames
        )
    buffer = io.BytesIO()
    durations = [250] * len(others) + [2000]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return buffer.getvalue()
