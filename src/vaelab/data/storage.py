"""Where arrays are kept while a source is read: in memory, or in files where they may be larger."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from vaelab.data.reading import PIECE, npy, reading
from vaelab.data.schema import Array
from vaelab.screen import bar

T = TypeVar("T")
REMEDY = "write it with numpy.save, numbers only"


class Storage(ABC):
    """Makes the arrays that readers fill.

    Attributes:
        counts: Whether the rows of a text are counted first, so that memory is taken once.
    """

    counts = False

    @abstractmethod
    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return an array to be filled, as `numpy.empty` does."""

    @abstractmethod
    def npy(self, path: Path) -> Array:
        """Return the array of a .npy file."""

    @abstractmethod
    def real(self, x: Array) -> Array:
        """Return the same values as float32."""

    @abstractmethod
    def windows(self, view: Array) -> Array:
        """Return windows that overlap as an array."""

    @abstractmethod
    def counted(self, rows: Iterable[T], name: str, total: int) -> Iterable[T]:
        """Return the same steps; where they may take long, a bar shows how many are done."""


class Memory(Storage):
    """Keeps arrays in memory."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return np.empty(shape, dtype)

    def npy(self, path: Path) -> Array:
        with reading(path, ".npy file", REMEDY), path.open("rb") as file:
            return npy(file, path.stat().st_size, str(path))

    def real(self, x: Array) -> Array:
        return x.astype(np.float32)

    def windows(self, view: Array) -> Array:
        return np.ascontiguousarray(view)

    def counted(self, rows: Iterable[T], name: str, total: int) -> Iterable[T]:
        return rows


class Disk(Storage):
    """Keeps arrays in scratch files of a folder, and maps those that are files already."""

    counts = True

    def __init__(self, folder: Path, quiet: bool) -> None:
        self.folder, self.quiet, self.count = folder, quiet, 0

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        self.count += 1
        path = self.folder / f"scratch-{self.count}.npy"
        array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and a signal later
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return np.asarray(array)

    def npy(self, path: Path) -> Array:
        with reading(path, ".npy file", REMEDY):
            return np.asarray(np.load(path, mmap_mode="r"))

    def real(self, x: Array) -> Array:
        if x.dtype == np.float32:
            return x
        floats, step = self.empty(x.shape, np.float32), max(1, PIECE // max(1, x[:1].nbytes))
        for start in range(0, len(x), step):
            floats[start : start + step] = x[start : start + step]
        return floats

    def windows(self, view: Array) -> Array:
        return view

    def counted(self, rows: Iterable[T], name: str, total: int) -> Iterable[T]:
        return bar(rows, name, total, quiet=self.quiet)

    def clear(self) -> None:
        """Delete the scratch files; arrays that are still in use keep their content."""
        for path in self.folder.glob("scratch-*.npy"):
            path.unlink()


MEMORY = Memory()
