"""Arrays as a source gives them, and the data set of three splits that is made of them."""

from __future__ import annotations

import math
import zlib
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from vaelab import devices
from vaelab.data.mapped import Mapped
from vaelab.data.schema import Array, Schema
from vaelab.recipes.parts import Form

Values: TypeAlias = Tensor | Mapped  # Mapped: the rows of a pack, which stay in its files


class Split(NamedTuple):
    """Images with or without labels and factors."""

    x: Values  # (N, *shape) uint8 levels 0 .. levels - 1, or float32 where levels is None
    y: Tensor | None  # (N,) int64
    factors: Tensor | None = None  # (N, F) int64, from 0: the known factors of each image
    weights: Tensor | None = None  # (N,) float64, how much each counts; None: all the same

    def take(self, which: Tensor) -> Split:
        """The images chosen by an index or a mask, with all that belongs to them."""
        x = self.x.part(which) if isinstance(self.x, Mapped) else self.x[which]
        return Split(x, *(None if part is None else part[which] for part in self[1:]))

    def in_memory(self) -> Split:
        """The same; of a pack as many images, evenly spaced, as the memory budget holds."""
        if not isinstance(self.x, Mapped):
            return self
        which = some(self.x)
        return Split(self.x[which], *(None if part is None else part[which] for part in self[1:]))

    def checksum(self) -> str:
        """CRC-32 of the images in their order, so that other images in their place are noticed."""
        if isinstance(self.x, Mapped):
            return self.x.checksum()
        return f"{zlib.crc32(self.x.numpy().data):08x}"


class Dataset(NamedTuple):
    """Three splits. A level v stands for the value v / (levels - 1) in [0, 1].

    Levels stay uint8 until a batch is cut: a quarter of the memory, and the treatment can still be
    chosen.
    """

    name: str  # "mnist", "digits", or the stem of the file
    shape: tuple[int, ...]  # an image (H, W) or (C, H, W), a signal (L,) or (C, L), a table (D,)
    levels: int | None  # 256 for 8-bit images, 17 for digits, 2 for binary ones; None: real values
    train: Split
    validation: Split  # may be empty
    test: Split  # may be empty
    factors: dict[str, int] | None = (
        None  # the number of values of each, in the order of Split.factors
    )
    class_names: tuple[str, ...] = ()  # label i is called class_names[i]; empty for plain numbers
    notes: tuple[str, ...] = ()  # one line each: how the source was read, and what was left out
    features: tuple[str, ...] = ()  # the names of a table's columns, where it has some
    form: Form = "image"  # what the rows are
    schema: Schema | None = None  # the columns of a table that is read by their types
    counts: dict[str, int] | None = None  # the images of each split, where it holds some of them

    def splits(self) -> dict[str, Split]:
        """The three by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def measured(self) -> str:
        """The images that results are measured on: test if there are any, else validation."""
        splits = {"test": self.test, "validation": self.validation, "training": self.train}
        return next((name for name, split in splits.items() if len(split.x)), "training")

    @property
    def note(self) -> str:
        """What is to be said of the images that are measured; "" where they are all of the test."""
        remarks = []
        if self.measured != "test":
            remarks.append(f"without test images the {self.measured} images are measured")
        name = "train" if self.measured == "training" else self.measured
        held, count = len(self.splits()[name].x), self.sizes[name]
        if held < count:
            remarks.append(
                f"of {count:,} {self.measured} images {held:,} are measured, evenly spaced"
            )
        return f"note: {'; '.join(remarks)}" if remarks else ""

    @property
    def sizes(self) -> dict[str, int]:
        """The number of images of each split, whether they are all here or not."""
        return self.counts or {name: len(split.x) for name, split in self.splits().items()}

    def in_memory(self) -> Dataset:
        """The same; of a pack as many images of each split as the memory budget holds."""
        if not any(isinstance(split.x, Mapped) for split in self.splits().values()):
            return self
        train, validation, test = (split.in_memory() for split in self.splits().values())
        return self._replace(train=train, validation=validation, test=test, counts=self.sizes)

    def with_measured(self) -> Dataset:
        """The same with the images that results are measured on in the place of the test set."""
        splits = {"test": self.test, "validation": self.validation, "training": self.train}
        return self._replace(test=splits[self.measured])

    def classes(self) -> tuple[int, ...]:
        """The labels that occur, in order; all named classes; none where there are no labels."""
        if self.class_names:
            return tuple(range(len(self.class_names)))
        labels = [split.y for split in self.splits().values() if split.y is not None]
        return tuple(torch.cat(labels).unique().tolist()) if labels else ()

    def span(self, treatment: str) -> tuple[float, float]:
        """The range of the treated values: [0, 1], or what the training images exceed it to."""
        if self.levels is not None and treatment != "counts":
            return 0.0, 1.0
        x = self.train.x
        if self.schema and isinstance(x, Tensor):
            x = x.nan_to_num()  # its cells may be empty
        return min(0.0, float(x.min())), max(1.0, float(x.max()))

    def display(self, treatment: str) -> tuple[float, float]:
        """The values that pictures show black and white: [0, 1] for grey levels, else the range of
        the training images but for one value in a thousand at either end."""
        if self.levels is not None and treatment != "counts":
            return 0.0, 1.0
        count = max(1, 10**6 // self.train.x[0].numel())
        values = self.train.x[torch.from_numpy(spread(len(self.train.x), count))].numpy()
        values = np.nan_to_num(values) if self.schema else values
        low, high = np.percentile(values, [0.1, 99.9])
        if low == high:
            low, high = values.min(), values.max()
        return float(low), float(high)


class Arrays(NamedTuple):
    """A source as it was read, nothing checked."""

    x: Array  # (N, ...) any dtype
    y: Array | None = None
    x_test: Array | None = None  # a test set of its own, where the source has one
    y_test: Array | None = None
    levels: int | None = None  # where the source knows; else the values tell
    factors: Array | None = None  # (N, F) of x
    names: tuple[str, ...] = ()  # of the factors, where they have some
    x_validation: Array | None = None  # a validation set of its own, where the source has one
    y_validation: Array | None = None
    class_names: tuple[str, ...] = ()  # by label, where labels are words or folders
    channels_first: bool = False  # where the source knows; else the shape tells
    notes: tuple[str, ...] = ()  # how the source was read
    features: tuple[str, ...] = ()  # the names of a table's columns
    schema: Schema | None = None  # the columns of a table that is read by their types
    form: Form | None = None  # what the rows are, where the source knows; else the shape tells
    weights: Array | None = None  # (N,) of x: how much each row counts; None: all the same


def spread(n: int, count: int) -> Array:
    """At most `count` of 0 .. n-1, evenly spaced: data sorted by class show every class."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int))


def some(x: Mapped) -> Tensor:
    """As many indices as the memory budget holds rows of float32, evenly spaced."""
    most = max(1, devices.BUDGET // (4 * math.prod(x.shape[1:])))
    return torch.from_numpy(spread(len(x), most))
