"""What all readers share: errors that name the file, bounds on memory, pieces."""

from __future__ import annotations

import gzip
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from vaelab.data.schema import Array
from vaelab.errors import UserError

PIECE = 2**24  # bytes that are read and converted at once


@contextmanager
def reading(
    path: Path, kind: str, remedy: str = "replace it with an undamaged copy"
) -> Iterator[None]:
    """Turn what goes wrong inside into one `UserError` that names `path`; silence warnings."""
    with warnings.catch_warnings(), named(path, kind, remedy):
        warnings.simplefilter("ignore")
        yield


@contextmanager
def named(
    path: Path, kind: str, remedy: str = "replace it with an undamaged copy"
) -> Iterator[None]:
    """Do as `reading`, but leave warnings, which belong to all threads, as they are."""
    try:
        yield
    except UserError:
        raise
    except PermissionError:
        raise UserError(
            f"{path}: cannot be read (permission denied); change its permissions"
        ) from None
    except MemoryError as error:
        raise UserError(lack_of_memory(str(path), error)) from None
    except Exception as error:  # damaged bytes make gzip, zipfile, numpy and Pillow raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: not a readable {kind} ({reason}); {remedy}") from None


def lack_of_memory(origin: str, error: MemoryError) -> str:
    """Return the message about data that do not fit, with the size that numpy asked for."""
    shape, kind = getattr(error, "shape", None), getattr(error, "dtype", None)
    needed = f" ({math.prod(shape) * kind.itemsize / 1e6:,.0f} MB needed)" if shape and kind else ""
    return (
        f"{origin}: not enough memory for the data{needed}; "
        "use fewer images, or store them as float32 or uint8"
    )


def visible(folder: Path) -> list[Path]:
    """The entries of a folder that the user put there, by name."""
    ignored = {"thumbs.db", "desktop.ini", "__macosx"}
    entries = (e for e in folder.iterdir() if not e.name.startswith("."))
    return sorted((e for e in entries if e.name.lower() not in ignored), key=lambda e: e.name)


def classes(count: int) -> str:
    """
    >>> classes(1), classes(3)
    ('1 class', '3 classes')
    """
    return f"{count} class{'es' * (count != 1)}"


def counted(count: int, noun: str) -> str:
    """
    >>> counted(1, "row"), counted(3000, "row")
    ('1 row', '3,000 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers within names by their value: a2 before a10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The content of a file as a stream, decompressed if its first bytes say gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if not packed:
            yield file
            return
        with gzip.open(file) as unpacked:
            yield unpacked  # type: ignore[misc]  # a GzipFile is an IO[bytes] in all that is used


def exactly(file: IO[bytes], size: int, origin: str) -> bytearray:
    """`size` bytes, and an error where the stream holds fewer or more; never reads beyond them."""
    content = bytearray()
    while len(content) < size and (piece := file.read(min(PIECE, size - len(content)))):
        content += piece
    more = bool(file.read(1))
    if len(content) < size or more:
        found = f"more than {size:,}" if more else f"only {len(content):,}"
        raise UserError(
            f"{origin}: {found} bytes of values where {size:,} were announced; replace it"
        )
    return content


def npy(file: IO[bytes], size: int, origin: str) -> Array:
    """The array of a .npy stream; floats become float32 on the way, so that memory is taken once.

    Nothing is ever unpickled. Memory is taken only where the header announces no more than the
    `size` of the stream, in bytes.
    """
    version = np.lib.format.read_magic(file)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = header(file)
    if dtype.hasobject:
        raise UserError(
            f"{origin}: contains Python objects; store numbers, or words as array.astype(str)"
        )
    wanted = np.dtype(np.float32) if dtype.kind == "f" else dtype.newbyteorder("=")
    count = int(np.prod(shape, dtype=object))
    each = max(1, dtype.itemsize)
    if not 0 <= count * each <= size:
        raise UserError(f"{origin}: ends before the {count:,} values of its header; replace it")
    x = np.empty(count, wanted)
    step = max(1, PIECE // each)
    with np.errstate(all="ignore"):  # what overflows float32 is refused when the values are checked
        for start in range(0, count, step):
            n = min(step, count - start)
            piece = bytearray()
            while len(piece) < n * each and (more := file.read(n * each - len(piece))):
                piece += more
            if len(piece) < n * each:
                raise UserError(
                    f"{origin}: ends before the {count:,} values of its header; replace it"
                )
            x[start : start + n] = np.frombuffer(piece, dtype)
    return x.reshape(shape, order="F" if fortran else "C")
