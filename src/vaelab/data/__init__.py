"""Data: a name or a path in, three splits out, and batches cut from them on the device."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import torch

from vaelab.data import mnist, sprites
from vaelab.data.batches import Batches, check_support
from vaelab.data.dataset import Arrays, Dataset, Split, build, check
from vaelab.data.files import read, reading
from vaelab.errors import UserError, nearest
from vaelab.recipes import AXES, Data

__all__ = [
    "Batches",
    "Dataset",
    "Split",
    "anchored",
    "check_support",
    "load",
    "load_all",
]


NAMED = [name for name in AXES["data.source"] if name != "PATH"]


def load(settings: Data) -> Dataset:
    """The training, validation and test split of `settings.source`, on the CPU.

    The same settings give the same splits on every machine. Raises `UserError` where the source is unknown,
    unreadable or holds what no model can learn from.
    """
    arrays, name, origin = _find(settings)
    return build(arrays, settings, name, origin)


def load_all(settings: Data, levels: int | None) -> tuple[Split, int | None]:
    """All images of `settings.source` in the order of the file, and their number of levels; nothing is held out.

    A test set of its own follows the training images. 8-bit images are read as `levels` grey levels where that is
    given, whatever values happen to occur in them. Raises as `load` does.
    """
    arrays, _, origin = _find(settings)
    images, test, found = check(arrays._replace(levels=arrays.levels or levels), settings, origin)
    if not test:
        return images, found
    y = None if images.y is None or test.y is None else torch.cat([images.y, test.y])
    return Split(torch.cat([images.x, test.x]), y), found


def anchored(settings: Data) -> Data:
    """The same settings with absolute paths, so that a run folder finds its data from anywhere."""
    folder = str(Path(settings.dir).expanduser().absolute()) if settings.dir else ""
    source = settings.source if settings.source in NAMED else str(_path(settings.source))
    return msgspec.structs.replace(settings, source=source, dir=folder)


def _find(settings: Data) -> tuple[Arrays, str, str]:
    """The arrays of a source, its name, and what messages call it."""
    match settings.source:
        case "mnist":
            return mnist.load(settings.dir), "mnist", "mnist"
        case "digits":
            return _digits(), "digits", "digits"
        case "sprites":
            return sprites.load(settings.images, settings.size), "sprites", "sprites"
        case source:
            path = _path(source)
            return read(path), path.name if path.is_dir() else path.stem, source


def _path(source: str) -> Path:
    with reading(Path(source), "path", "check data.source"):
        path = Path(source).expanduser().resolve()
        there = source != "" and path.exists()
    if not there:
        known = f"{nearest(source, NAMED)} (or give a path)"
        moved = "put the data back, or give a path that is there (a run: in recipe.toml)"
        raise UserError(
            f"data.source: there is no data set or path {source!r}; {moved if '/' in source else known}"
        )
    return path


def _digits() -> Arrays:
    from sklearn.datasets import load_digits  # here, for it takes a second to import

    bunch = load_digits()
    return Arrays(bunch.images.astype(np.uint8), bunch.target, levels=17)
