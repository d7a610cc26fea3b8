"""Arrays: .npy and .npz files, under the names that people give to images and labels."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.reading import npy, reading
from vaelab.data.schema import Array
from vaelab.data.sprites import FACTORS
from vaelab.errors import UserError

# The names under which an archive may hold a part: the first that occurs is taken.
IMAGES = (
    *("x", "x_train", "train_images", "images", "data", "X", "X_train", "imgs", "image"),
    *("train_x", "train_X", "train_data", "arr_0"),
)
LABELS = (
    *("y", "y_train", "Y_train", "train_labels", "labels", "target", "targets", "Y", "label"),
    *("train_y", "arr_1"),
)
PARTS = {
    "x": IMAGES,
    "y": LABELS,
    "x_validation": ("x_validation", "x_val", "val_images", "X_val", "x_valid", "X_valid"),
    "y_validation": ("y_validation", "y_val", "val_labels", "Y_val", "y_valid", "Y_valid"),
    "x_test": ("x_test", "test_images", "X_test", "test_x", "test_X", "test_data"),
    "y_test": ("y_test", "Y_test", "test_labels", "test_y"),
    "factors": ("factors",),
}
REMEDY = "write it with numpy.savez(path, x=images, y=labels), numbers only"


def read_npz(path: Path) -> Arrays:
    """The arrays of a .npz file under the names of `PARTS`, or dSprites as published.

    Raises `UserError` where no array of images is found, and for sparse matrices.
    """
    with reading(path, ".npz file", REMEDY), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        if {"format", "data", "shape"} <= {*names}:  # as scipy.sparse.save_npz writes it
            raise UserError(f"{path}: a sparse matrix; store its rows with x.toarray() as a .npy")
        if {"imgs", "latents_classes"} <= {*names}:
            return _dsprites(path, archive)
        chosen = {
            part: next(name for name in known if name in names)
            for part, known in PARTS.items()
            if {*known} & {*names}
        }
        if len(names) == 1:
            chosen = {"x": names[0]}
        if "x" not in chosen:
            listed = ", ".join(names[:10])
            raise UserError(f"{path}: contains no array x (only {listed}); {REMEDY}")
        found = {part: _member(path, archive, name) for part, name in chosen.items()}
    return Arrays(
        found["x"],
        found.get("y"),
        found.get("x_test"),
        found.get("y_test"),
        factors=found.get("factors"),
        x_validation=found.get("x_validation"),
        y_validation=found.get("y_validation"),
        notes=_notes(chosen, names),
    )


def shape_of(path: Path) -> tuple[int, ...]:
    """The shape of the array of a .npy file, or of the images of a .npz file, from its header."""
    if path.suffix.lower() == ".npy":
        with reading(path, ".npy file", "write it with numpy.save, numbers only"):
            return _shape(path.open("rb"))
    with reading(path, ".npz file", REMEDY), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        name = next((known for known in IMAGES if known in names), names[0])
        return _shape(archive.open(f"{name}.npy"))


def _shape(file: IO[bytes]) -> tuple[int, ...]:
    with file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_2_0
        if version == (1, 0):
            read = np.lib.format.read_array_header_1_0
        return tuple(read(file)[0])


def _notes(chosen: Mapping[str, str], names: list[str]) -> tuple[str, ...]:
    """What was read as what, where the names are not our own, and what was left out."""
    said = [f"{name} is read as {part}" for part, name in chosen.items() if part != name]
    left = [name for name in names if name not in chosen.values()]
    said += [f"left out: {', '.join(left)}"] if left else []
    return ("; ".join(said),) if said else ()


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Array:
    with archive.open(f"{name}.npy") as member:
        return npy(member, archive.getinfo(f"{name}.npy").file_size, f"{path}: {name}")


def _dsprites(path: Path, archive: zipfile.ZipFile) -> Arrays:
    """The published file: images, and the factors of `sprites` after a constant colour."""
    classes = _member(path, archive, "latents_classes")
    factors = classes.reshape(-1, 1 + len(FACTORS))[:, 1:]
    x = _member(path, archive, "imgs")
    return Arrays(x, factors[:, 0], factors=factors, names=tuple(FACTORS))
