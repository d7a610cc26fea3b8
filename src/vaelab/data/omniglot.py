"""Omniglot: 1,623 characters of 50 alphabets, each written by 20 people."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from vaelab.data.dataset import Arrays
from vaelab.data.download import File, Source, fetched
from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.errors import UserError
from vaelab.recipes import Data

SIDE = 28  # of the images where data.resize does not say; they are published with 105
LARGEST = 2**16  # bytes of an image file
SOURCES = {
    "omniglot": Source(
        page="https://github.com/brendenlake/omniglot",
        mirrors=(
            "https://github.com/brendenlake/omniglot/raw/master/python/",
            "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",
        ),
        files=(
            File(
                "images_background.zip",
                9_464_212,
                "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
            ),
            File(
                "images_evaluation.zip",
                6_462_886,
                "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
            ),
        ),
        hashes="TensorFlow Datasets (url_checksums/omniglot.txt)",
    )
}


def load(settings: Data) -> Arrays:
    """32,460 images, white ink on black, 28 x 28 with 256 levels, labelled by alphabet.

    The images of both files are one set, of which `data.test` holds out some at random, so that
    every alphabet occurs in training and testing: density estimation splits Omniglot so (Burda et
    al. 2016), where one-shot learning (Lake et al. 2015) has other alphabets for testing. Each
    pixel is the share of ink in its part of the 105 x 105 original. The 28 x 28 images of Burda et
    al. are another file, chardata.mat: likelihoods are not comparable with theirs.
    """
    side = settings.resize or SIDE
    images: list[Array] = []
    alphabets: list[str] = []
    for path in fetched(SOURCES, settings):
        for alphabet, image in _images(path, side):
            images.append(image)
            alphabets.append(alphabet)
    names, y = np.unique(alphabets, return_inverse=True)
    notes = (f"shrunk from 105 x 105 to {side} x {side} pixels",)
    return Arrays(np.stack(images), y, levels=256, class_names=tuple(map(str, names)), notes=notes)


def _images(path: Path, side: int) -> Iterator[tuple[str, Array]]:
    """The alphabet and the image (side, side) of .../ALPHABET/CHARACTER/IMAGE.png, by name."""
    with reading(path, "zip archive"), zipfile.ZipFile(path) as archive:
        for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
            parts = Path(entry.filename).parts
            if not entry.filename.endswith(".png") or parts[0] == "__MACOSX":
                continue
            if entry.file_size > LARGEST:
                raise UserError(f"{path}: {entry.filename} is too large; replace the archive")
            with archive.open(entry) as file, Image.open(file, formats=("PNG",)) as image:
                grey = image.convert("L").resize((side, side), Image.Resampling.BOX)
            yield parts[-3].replace("_", " "), 255 - np.asarray(grey)
