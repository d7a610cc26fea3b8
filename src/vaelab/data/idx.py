"""IDX, the format of MNIST: a magic number, the sizes, then unsigned bytes."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.reading import exactly, opened, reading
from vaelab.data.schema import Array
from vaelab.errors import UserError

LARGEST = 2**36  # bytes that a header may announce


def read_idx(path: Path, rank: int) -> Array:
    """The values of an IDX file: rank 3 for images (N, H, W), rank 1 for labels (N,)."""
    with reading(path, "IDX file"), opened(path) as file:
        return idx(file, rank, str(path))


def idx(file: IO[bytes], rank: int, origin: str) -> Array:
    """The unsigned bytes of an IDX stream.

    Magic number 0x08 << 8 | rank, then `rank` sizes, big-endian 32 bits each, then the values. No
    more is read than the sizes announce. Raises `UserError` on another magic number or another
    length.
    """
    what = {0x0801: "labels", 0x0803: "images"}
    head = file.read(4 + 4 * rank)
    magic, expected = int.from_bytes(head[:4]), 0x0800 | rank
    if magic != expected:
        found = f"{what.get(magic, 'something else')} where IDX {what[expected]} should be"
        raise UserError(f"{origin}: {found} (magic number {magic}, not {expected}); replace it")
    shape = tuple(int.from_bytes(head[4 * i : 4 * i + 4]) for i in range(1, rank + 1))
    size = int(np.prod(shape, dtype=object))
    if size > LARGEST:
        raise UserError(f"{origin}: announces {size:,} bytes; replace the damaged file")
    return np.frombuffer(exactly(file, size, origin), np.uint8).reshape(shape)


def is_idx(entry: Path) -> bool:
    """Whether a file is called like the images of an IDX folder."""
    return fnmatch(entry.name, "*images*idx3*")


def read_folder(folder: Path, entries: list[Path]) -> Arrays:
    """Images and, where there are any, labels; names with t10k or test are the test set."""
    found: dict[tuple[str, int], Path] = {}
    images = [entry for entry in entries if is_idx(entry)]
    labels = [entry for entry in entries if fnmatch(entry.name, "*labels*idx1*")]
    for rank, paths in ((3, images), (1, labels)):
        for path in paths:
            role = "test" if re.search(r"(^|[-_.])(t10k|test)", path.name) else "train"
            other = found.setdefault((role, rank), path)
            # The same file packed and unpacked is no conflict.
            if other.name.removesuffix(".gz") != path.name.removesuffix(".gz"):
                raise UserError(
                    f"{folder}: {other.name} and {path.name} are both {role}ing files; "
                    "keep one of them"
                )

    def load(role: str, rank: int) -> Array | None:
        path = found.get((role, rank))
        return None if path is None else read_idx(path, rank)

    x = load("train", 3)
    if x is None:
        raise UserError(
            f"{folder}: only a test set; add the training images or rename {images[0].name}"
        )
    return Arrays(x, load("train", 1), load("test", 3), load("test", 1))
