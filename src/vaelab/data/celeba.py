"""CelebA: photographs of celebrities, aligned by the positions of the eyes."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence

import numpy as np
from PIL import Image

from vaelab.data.dataset import Arrays
from vaelab.data.download import File, Source, fetched
from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.errors import UserError
from vaelab.recipes import Data
from vaelab.screen import bar

SIDE = 64  # of the images where data.resize does not say
SIZE = (178, 218)  # width and height of the photographs
CROP = (15, 35, 163, 183)  # left, upper, right and lower edge of the central 148 x 148 pixels
LARGEST = 2**20  # bytes of an image file
# 1 .. 162,770 are for training, .. 182,637 for validation: so says list_eval_partition.txt.
SPLIT = (162_770, 19_867, 19_962)
SOURCES = {
    "celeba": Source(
        page="http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        mirrors=(),  # its folder at Google Drive asks a person to confirm
        files=(
            File(
                "img_align_celeba.zip",
                1_443_490_838,
                "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
            ),
        ),
        hashes="TensorFlow Datasets (url_checksums/celeb_a.txt)",
    )
}


def load(settings: Data) -> Arrays:
    """162,770 training, 19,867 validation and 19,962 test images (3, 64, 64), without labels.

    The split is the official one, by number. The central square of 148 x 148 pixels is cut out of
    the 178 x 218 and resized to `data.resize` pixels (64 where that is 0). The photographs are read
    one by one out of the archive.
    """
    side = settings.resize or SIDE
    (path,) = fetched(SOURCES, settings)
    with reading(path, "zip archive"), zipfile.ZipFile(path) as archive:
        paths = [f"img_align_celeba/{number:06d}.jpg" for number in range(1, 1 + sum(SPLIT))]
        train, validation, test = (
            _photographs(archive, paths[end - count : end], side)
            for end, count in zip(np.cumsum(SPLIT), SPLIT, strict=True)
        )
    notes = (f"the central 148 x 148 pixels, resized to {side} x {side}",)
    return Arrays(
        train,
        x_test=test,
        levels=256,
        x_validation=validation,
        channels_first=True,
        notes=notes,
    )


def _photographs(archive: zipfile.ZipFile, names: Sequence[str], side: int) -> Array:
    """The squares (N, 3, side, side) of the photographs of those names."""
    x = np.empty((len(names), 3, side, side), np.uint8)
    for target, name in zip(x, bar(names, "celeba", len(names), " images"), strict=True):
        if archive.getinfo(name).file_size > LARGEST:
            raise UserError(f"{archive.filename}: {name} is too large; replace the archive")
        with archive.open(name) as file, Image.open(file, formats=("JPEG",)) as image:
            if image.size != SIZE:
                raise UserError(f"{archive.filename}: {name} has {image.size} pixels; replace it")
            square = image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS, CROP)
        target[...] = np.moveaxis(np.asarray(square), -1, 0)
    return x
