"""Files of one's own: .npy, .npz, .csv, folders of images and of IDX files -> arrays, unchecked.

Nothing is ever unpickled, and whatever is wrong with a file leaves here as one `UserError` that names it.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import warnings
import zipfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

from vaelab.data.dataset import Array, Arrays
from vaelab.data.sprites import FACTORS
from vaelab.errors import UserError

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
LABELS = (
    "label",
    "class",
    "target",
    "y",
)  # a column of any of these names, the first that there is
KINDS = ".npy, .npz or .csv file, or a folder of images or IDX files"


def read(path: Path) -> Arrays:
    """The arrays of a file or a folder. Raises `UserError` where it is none that can be read."""
    if path.is_dir():
        with reading(path, "folder"):
            entries = _visible(path)
        images = [entry for entry in entries if fnmatch(entry.name, "*images*idx3*")]
        return _idx_folder(path, images, entries) if images else _image_folder(path, entries)
    match path.suffix.lower():
        case ".npy":
            remedy = "write it anew with numpy.save, plain numbers only"
            with reading(path, ".npy file", remedy), path.open("rb") as file:
                return Arrays(_npy(file))
        case ".npz":
            return _npz(path)
        case ".csv":
            return _csv(path)
        case suffix:
            raise UserError(
                f"{path}: cannot read {suffix or 'a file without extension'}; give a {KINDS}"
            )


@contextmanager
def reading(
    path: Path, kind: str, remedy: str = "replace it with an undamaged one"
) -> Iterator[None]:
    """Whatever goes wrong inside becomes one `UserError` that names `path`; what is only warned of stays quiet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except PermissionError:
        raise UserError(f"{path}: permission denied; make it readable for yourself") from None
    except (
        Exception
    ) as error:  # on damaged bytes gzip, zipfile, numpy and Pillow raise nearly anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: not a readable {kind} ({reason}); {remedy}") from None


def unpack(path: Path) -> bytes:
    """The content of a file, decompressed where its first bytes say gzip, whatever its name says."""
    with reading(path, "gzip file"):
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def idx(content: bytes, rank: int, origin: str) -> Array:
    """The unsigned bytes of an IDX file: rank 3 for images (N, H, W), rank 1 for labels (N,).

    Magic number 0x08 << 8 | rank, then `rank` sizes, big-endian 32 bits each, then the values.
    Raises `UserError` on another magic number or another length than the sizes tell.
    """
    what = {0x0801: "labels", 0x0803: "images"}
    magic, expected = int.from_bytes(content[:4]), 0x0800 | rank
    if magic != expected:
        found = f"{what.get(magic, 'something else')} where IDX {what[expected]} should be"
        raise UserError(f"{origin}: {found} (magic number {magic}, not {expected}); replace it")
    shape = tuple(int.from_bytes(content[4 * i : 4 * i + 4]) for i in range(1, rank + 1))
    values = np.frombuffer(content[4 + 4 * rank :], np.uint8)
    if values.size != math.prod(shape):
        raise UserError(
            f"{origin}: {values.size} bytes of values for shape {shape}; replace the damaged file"
        )
    return values.reshape(shape)


def _visible(folder: Path) -> list[Path]:
    return sorted(
        (entry for entry in folder.iterdir() if not entry.name.startswith(".")),
        key=lambda p: p.name,
    )


def _npy(file: IO[bytes]) -> Array:
    # Not numpy.load, which takes for a pickle whatever it does not recognise.
    return np.lib.format.read_array(file, allow_pickle=False)


def _npz(path: Path) -> Arrays:
    """Arrays named as in `Arrays`; or dSprites as published, with the factors of `sprites` after a constant colour."""
    found: dict[str, Any] = {}
    remedy = "write it anew with numpy.savez(path, x=images, y=labels), plain numbers only"
    with reading(path, ".npz file", remedy), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        dsprites = ("imgs", "latents_classes")
        for name in (
            dsprites if set(dsprites) <= set(names) else ("x", "y", "x_test", "y_test", "factors")
        ):
            if name in names:
                with archive.open(f"{name}.npy") as member:
                    found[name] = _npy(member)
        if "imgs" in found:
            factors = found["latents_classes"].reshape(-1, 1 + len(FACTORS))[:, 1:]
            return Arrays(found["imgs"], factors[:, 0], factors=factors, names=tuple(FACTORS))
    if "x" not in found:
        raise UserError(f"{path}: holds no array x (only {names}); {remedy}")
    return Arrays(**found)


def _csv(path: Path) -> Arrays:
    """Rows of numbers; the first may be a header, and a column in it hold the labels: integers, or words.

    Words are numbered in alphabetical order.
    """
    values, width, label, words = array("d"), 0, None, list[str]()
    with reading(path, "CSV file"), path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for row in filter(None, reader):
            where = f"{path}: row {reader.line_num}"
            if not width:
                width, names = len(row), [cell.strip().lower() for cell in row]
                label = next((names.index(name) for name in LABELS if name in names), None)
                # One word among numbers is a mistake in the data; only where it names the labels a header.
                if label is not None or not any(map(_is_number, row)):
                    continue
            if len(row) != width:
                raise UserError(
                    f"{where} has {len(row)} columns, the first has {width}; give every row as many"
                )
            if label is not None:
                words.append(row[label].strip())
                row[label] = "0"  # read apart, below
            try:
                values.extend(map(float, row))
            except ValueError:
                column = next(i for i, cell in enumerate(row) if not _is_number(cell))
                what = f"{where}, column {column + 1}: {row[column][:40]!r} is not a number"
                hint = f"commas separate columns, and words may stand only in one called {', '.join(LABELS)}"
                raise UserError(f"{what}; mend it ({hint})") from None
    if not values:
        raise UserError(f"{path}: holds no row of numbers; put comma-separated numbers into it")
    table = np.array(values).reshape(-1, width)
    if label is None:
        return Arrays(table)
    classes = {word: number for number, word in enumerate(sorted(set(words)))}
    numbers = (
        [float(word) for word in words]
        if all(map(_is_number, words))
        else [classes[word] for word in words]
    )
    return Arrays(np.delete(table, label, axis=1), np.array(numbers))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _idx_folder(folder: Path, images: list[Path], entries: list[Path]) -> Arrays:
    """Images and, where there are any, labels; names with t10k or test are the test set."""
    found: dict[tuple[str, int], Path] = {}
    labels = [entry for entry in entries if fnmatch(entry.name, "*labels*idx1*")]
    for rank, paths in ((3, images), (1, labels)):
        for path in paths:
            role = "test" if re.search(r"(^|[-_.])(t10k|test)", path.name) else "train"
            other = found.setdefault((role, rank), path)
            # The same file packed and unpacked is no conflict.
            if other.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
                raise UserError(
                    f"{folder}: {other.name} and {path.name} are both {role}ing files; keep one of them"
                )

    def load(role: str, rank: int) -> Array | None:
        path = found.get((role, rank))
        return None if path is None else idx(unpack(path), rank, str(path))

    x = load("train", 3)
    if x is None:
        raise UserError(
            f"{folder}: only a test set; add the training images or rename {images[0].name}"
        )
    return Arrays(x, load("train", 1), load("test", 3), load("test", 1))


def _image_folder(folder: Path, entries: list[Path]) -> Arrays:
    """Images in the order of their names; sub-folders with images in them are classes, numbered likewise."""
    loose = [entry for entry in entries if entry.suffix.lower() in IMAGES]
    classes = []
    for entry in entries:
        if entry.is_dir():
            with reading(entry, "folder"):
                inside = [path for path in _visible(entry) if path.suffix.lower() in IMAGES]
            classes += [inside] if inside else []
    if loose and classes:
        raise UserError(
            f"{folder}: images beside sub-folders of images; move {loose[0].name} and the like into one"
        )
    paths = [path for group in classes or [loose] for path in group]
    if not paths:
        raise UserError(f"{folder}: no usable file; put {', '.join(IMAGES)} or IDX files into it")
    pictures = [_picture(path) for path in paths]
    sizes: dict[tuple[int, ...], Path] = {}
    for path, picture in zip(paths, pictures, strict=True):
        sizes.setdefault(picture.shape[:2], path.relative_to(folder))
    if len(sizes) > 1:
        found = ", ".join(f"{path} has {h} x {w}" for (h, w), path in list(sizes.items())[:2])
        raise UserError(f"{folder}: {found} pixels (height x width); bring all images to one size")
    if any(picture.ndim == 3 for picture in pictures):  # one in colour, all in colour
        pictures = [p if p.ndim == 3 else np.repeat(p[:, :, None], 3, axis=2) for p in pictures]
    x = np.stack(pictures)  # (N, H, W) or (N, H, W, 3)
    y = np.repeat(np.arange(len(classes)), [len(group) for group in classes]) if classes else None
    return Arrays(np.moveaxis(x, 3, 1) if x.ndim == 4 else x, y)


def _picture(path: Path) -> Array:
    """(H, W) where the image is grey, else (H, W, 3); uint8, transparency dropped."""
    with reading(path, "image"), Image.open(path, formats=FORMATS) as image:
        if image.mode in ("I", "F") or image.mode.startswith("I;"):
            raise UserError(
                f"{path}: more than 8 bits per pixel; convert it to 8 bits or store all images in a .npy"
            )
        if image.mode in ("1", "L", "LA"):
            return np.asarray(image.convert("L"))
        x = np.asarray(image.convert("RGB"))
        # A GIF has no greys, only a palette that happens to be grey.
        return x[:, :, 0] if image.mode == "P" and (x == x[:, :, :1]).all() else x
