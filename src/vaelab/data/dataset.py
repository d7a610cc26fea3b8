"""From arrays as they were found to checked tensors in three splits."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelab.errors import UserError
from vaelab.recipes import Data

Array: TypeAlias = NDArray[Any]


class Split(NamedTuple):
    """Images with or without labels and factors."""

    x: Tensor  # (N, *shape) uint8 levels 0 .. levels - 1, or float32 where levels is None
    y: Tensor | None  # (N,) int64
    factors: Tensor | None = (
        None  # (N, F) int64, from 0: what each image was made from, where that is known
    )

    def take(self, which: Tensor) -> Split:
        """The images chosen by an index or a mask, with all that belongs to them."""
        return Split(self.x[which], *(None if part is None else part[which] for part in self[1:]))

    def checksum(self) -> str:
        """CRC-32 of the images in their order, to notice others in their place."""
        return f"{zlib.crc32(self.x.numpy().tobytes()):08x}"


class Dataset(NamedTuple):
    """Three splits. A level v stands for the value v / (levels - 1) in [0, 1].

    Levels stay uint8 until a batch is cut: a quarter of the memory, and the treatment can still be chosen.
    """

    name: str  # "mnist", "digits", or the stem of the file
    shape: tuple[int, ...]  # (H, W), (C, H, W) or (D,)
    levels: int | None  # 256 for 8-bit images, 17 for digits, 2 for yes and no; None: real values
    train: Split
    validation: Split  # may be empty
    test: Split
    factors: dict[str, int] | None = (
        None  # by name, in the order of Split.factors: how many values each has
    )

    def splits(self) -> dict[str, Split]:
        """The three by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def classes(self) -> tuple[int, ...]:
        """The labels that occur, in order; none where there are no labels."""
        labels = [split.y for split in self.splits().values() if split.y is not None]
        return tuple(torch.cat(labels).unique().tolist()) if labels else ()

    def span(self, treatment: str) -> tuple[float, float]:
        """The range of the treated values: [0, 1], or wider where counts or real values of the training images are."""
        if self.levels is not None and treatment != "counts":
            return 0.0, 1.0
        return min(0.0, float(self.train.x.min())), max(1.0, float(self.train.x.max()))

    def display(self, treatment: str) -> tuple[float, float]:
        """The values that pictures show black and white: [0, 1] for grey levels, else the range of
        the training images but for one value in a thousand at either end."""
        if self.levels is not None and treatment != "counts":
            return 0.0, 1.0
        count = max(1, 10**6 // self.train.x[0].numel())
        values = self.train.x[torch.from_numpy(spread(len(self.train.x), count))].numpy()
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


def build(arrays: Arrays, settings: Data, name: str, origin: str) -> Dataset:
    """What `origin` held, checked, in one layout, split.

    Held out are round(fraction * N) images drawn by `settings.split_seed`; every split keeps the order of the
    file. Raises `UserError` on shapes, types, values or labels that cannot be used, and on too few images.
    """
    train, own_test, levels = check(arrays, settings, origin)
    factors = None
    if train.factors is not None:
        sizes = [int(size) for size in train.factors.amax(0) + 1]
        factors = dict(zip(arrays.names or map(str, range(1, len(sizes) + 1)), sizes, strict=True))
    train, test = (
        (train, own_test) if own_test else _hold_out(train, "test", settings.test, settings, origin)
    )
    train, validation = _hold_out(train, "validation", settings.validation, settings, origin)
    return Dataset(name, tuple(train.x.shape[1:]), levels, train, validation, test, factors)


def check(arrays: Arrays, settings: Data, origin: str) -> tuple[Split, Split | None, int | None]:
    """All images of `origin` in one layout, its own test set where it has one, and the number of levels."""
    parts = {"x": arrays.x} if arrays.x_test is None else {"x": arrays.x, "x_test": arrays.x_test}
    parts = {key: _layout(part, f"{origin}: {key}") for key, part in parts.items()}
    if len({(part.dtype, part.shape[1:]) for part in parts.values()}) > 1:
        found = " but ".join(f"{key} {part.dtype} {part.shape[1:]}" for key, part in parts.items())
        raise UserError(f"{origin}: {found}; store both with one type and one shape")
    parts, levels = _levels(parts, arrays.levels, settings.scale, origin)
    images = _split(parts["x"], arrays.y, f"{origin}: y")
    if arrays.factors is not None:
        if "x_test" in parts:
            raise UserError(
                f"{origin}: factors beside x_test; leave x_test out, and data.test holds out images"
            )
        images = images._replace(
            factors=_factors(arrays.factors, len(images.x), f"{origin}: factors")
        )
    if "x_test" in parts:
        return images, _split(parts["x_test"], arrays.y_test, f"{origin}: y_test"), levels
    if arrays.y_test is not None:
        raise UserError(f"{origin}: y_test without x_test; add x_test or leave y_test out")
    return images, None, levels


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A PCG64 stream of its own for every (seed, purpose): one choice never moves another."""
    return np.random.Generator(np.random.PCG64([seed, *purpose.encode()]))


def _layout(x: Array, origin: str) -> Array:
    """(N, H, W), (N, C, H, W) or (N, D), from any of them, channels last, or a single channel."""
    if x.dtype.kind not in "biuf":
        raise UserError(
            f"{origin}: cannot learn from values of type {x.dtype}; store integers, booleans or floats"
        )
    if x.ndim not in (2, 3, 4):
        raise UserError(
            f"{origin}: shape {x.shape} is not (N, H, W), (N, C, H, W), (N, H, W, C) or (N, D); reshape it"
        )
    if not x.size:
        raise UserError(f"{origin}: shape {x.shape} holds nothing; store at least one image")
    if x.ndim == 4:
        if x.shape[3] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
            x = np.moveaxis(x, 3, 1)
        if x.shape[1] == 1:
            x = x[:, 0]
    return x


def _levels(
    parts: dict[str, Array], levels: int | None, scale: float, origin: str
) -> tuple[dict[str, Array], int | None]:
    """uint8 levels and their number, or float32 and None; training and test images decide together."""
    x = parts["x"]
    low, high = (
        min(part.min() for part in parts.values()),
        max(part.max() for part in parts.values()),
    )
    if x.dtype == bool:  # a damaged file can hold a "boolean" byte above 1, which astype would keep
        parts, levels = {key: np.minimum(part.view(np.uint8), 1) for key, part in parts.items()}, 2
    elif x.dtype == np.uint8 or (x.dtype.kind in "iu" and x.ndim > 2 and low >= 0 and high <= 255):
        # Zeros and ones are yes and no, not two nearly black levels of 256.
        parts, levels = (
            {key: part.astype(np.uint8) for key, part in parts.items()},
            levels or (2 if high == 1 else 256),
        )
    else:
        return {key: _real(part, f"{origin}: {key}") for key, part in parts.items()}, None
    if scale != 1:
        raise UserError(
            f"data.scale: {origin} has {levels} grey levels, not real values; leave data.scale at 1"
        )
    return parts, levels


def _real(x: Array, origin: str) -> Array:
    with np.errstate(all="ignore"):  # what overflows is named below
        x = x.astype(np.float32)
    finite = np.isfinite(x)
    if not finite.all():
        first = tuple(int(i) for i in np.unravel_index(np.argmin(finite), x.shape))
        count = x.size - np.count_nonzero(finite)
        raise UserError(
            f"{origin}: NaN or infinite in float32: {count} values, first at {first}; mend or remove them"
        )
    return x


def _split(x: Array, y: Array | None, origin: str) -> Split:
    images = torch.from_numpy(np.ascontiguousarray(x))
    if y is None:
        return Split(images, None)
    if y.shape != (len(x),):
        raise UserError(
            f"{origin}: labels of shape {y.shape} for {len(x)} images; store one integer for each image"
        )
    if y.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):
            labels = y.astype(np.int64)
        if np.array_equal(labels, y):
            return Split(images, torch.from_numpy(labels))
    raise UserError(
        f"{origin}: labels are not integers (type {y.dtype}); number the classes 0, 1, 2 ..."
    )


def _factors(factors: Array, n: int, origin: str) -> Tensor:
    if factors.ndim != 2 or len(factors) != n or not factors.shape[1]:
        raise UserError(
            f"{origin}: shape {factors.shape} for {n} images; store (N, F), a row for each image"
        )
    if factors.dtype.kind not in "iu" or factors.min() < 0:
        raise UserError(
            f"{origin}: not whole numbers from 0 on; number the values of each factor 0, 1, 2 ..."
        )
    return torch.from_numpy(factors.astype(np.int64))


def _hold_out(
    split: Split, purpose: str, fraction: float, settings: Data, origin: str
) -> tuple[Split, Split]:
    """(kept, held out), both in the order of the file."""
    n, count = len(split.x), round(fraction * len(split.x))
    if count == n or (fraction and not count):
        what = f"{n} images of {origin} are too few to hold out {fraction:g} of them"
        raise UserError(f"data.{purpose}: {what}; add images or set data.{purpose} to 0")
    held = torch.zeros(n, dtype=torch.bool)
    held[torch.from_numpy(generator(settings.split_seed, purpose).permutation(n)[:count])] = True
    return split.take(~held), split.take(held)


def spread(n: int, count: int) -> Array:
    """At most `count` of the indices 0 .. n-1, evenly spread: data sorted by class show every class."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int))
