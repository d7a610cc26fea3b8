"""From arrays as they were read to tensors of one layout and type, or a refusal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelab.data.dataset import Arrays, Split
from vaelab.data.forms import channels_first, form_of
from vaelab.data.reading import classes
from vaelab.data.schema import Array
from vaelab.errors import UserError
from vaelab.recipes import Data
from vaelab.recipes.parts import Form

COARSE = 256  # steps of float32 that a column should span


class Laid(NamedTuple):
    """A source in one layout, of which no value is converted yet."""

    parts: dict[str, Array]  # x, and x_validation and x_test if there are any
    levels: int | None
    y: dict[str, Tensor | None]  # the labels of each
    factors: Tensor | None  # of x
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    form: Form
    by_columns: bool  # whether it is a table, whose cells may be empty

    def converted(self, part: Array, origin: str, first: int = 0) -> Array:
        """Some of the values as they are learned from: uint8 levels, or float32.

        Their memory is used again where that can be. Raises `UserError` where values are not
        finite; row `first` of the source is their first. Empty cells of tables are NaN.
        """
        if self.by_columns:
            return part
        if self.levels is None:
            return _real(part, origin, first)
        if part.dtype == bool:  # a damaged file can hold a byte above 1, which astype would keep
            return np.minimum(part.view(np.uint8), 1)
        return part.astype(np.uint8, copy=not part.flags.writeable)


class Checked(NamedTuple):
    """A source in one layout and one type, not yet split; parts that the source lacks are None."""

    train: Split
    validation: Split | None
    test: Split | None
    levels: int | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    form: Form


def check(arrays: Arrays, settings: Data, origin: str) -> Checked:
    """The images of `origin` in one layout, with its own validation and test sets if any."""
    laid = lay(arrays, settings, origin)
    splits = {
        key: Split(_tensor(laid.converted(part, f"{origin}: {key}")), laid.y[key])
        for key, part in laid.parts.items()
    }
    images = splits["x"]._replace(factors=laid.factors)
    if arrays.weights is not None:
        images = images._replace(weights=torch.from_numpy(arrays.weights).double())
    own = splits.get("x_validation"), splits.get("x_test")
    return Checked(images, *own, laid.levels, laid.class_names, laid.notes, laid.form)


def lay(arrays: Arrays, settings: Data, origin: str) -> Laid:
    """The arrays of `origin` in one layout, which copies none of them, and what they contain."""
    sets = {"x": arrays.x, "x_validation": arrays.x_validation, "x_test": arrays.x_test}
    notes: list[str] = []
    parts = {
        key: _layout(part, arrays.channels_first, f"{origin}: {key}", notes)
        for key, part in sets.items()
        if part is not None
    }
    form = form_of(parts["x"].shape[1:], settings.form, arrays.form, origin)
    if form != "image" and (settings.rotate or settings.shift):
        raise UserError(
            f"data.rotate, data.shift: {form}s have no height and width; "
            "set data.rotate and data.shift to 0"
        )
    if form == "signal":
        parts = {
            key: channels_first(part, arrays.channels_first, notes) for key, part in parts.items()
        }
    if len({(part.dtype, part.shape[1:]) for part in parts.values()}) > 1:
        stored = " but ".join(f"{key} {part.dtype} {part.shape[1:]}" for key, part in parts.items())
        raise UserError(f"{origin}: {stored}; store all with one type and one shape")
    levels = None if arrays.schema else _levels(parts, arrays.levels, settings.scale, origin)
    if levels is None and not arrays.schema:
        notes += _coarse(parts["x"])
    labels = {"x": arrays.y, "x_validation": arrays.y_validation, "x_test": arrays.y_test}
    labels, names = _named(labels, arrays.class_names, notes)
    y = {}
    for key, given in labels.items():
        label = key.replace("x", "y", 1)
        if key in parts:
            y[key] = _labels(given, len(parts[key]), f"{origin}: {label}")
        elif given is not None:
            raise UserError(f"{origin}: {label} without {key}; add {key} or leave {label} out")
    factors = None
    if arrays.factors is not None:
        if "x_test" in parts:
            raise UserError(
                f"{origin}: factors beside x_test; leave x_test out, data.test holds out images"
            )
        factors = _factors(arrays.factors, len(parts["x"]), f"{origin}: factors")
    said = (*arrays.notes, *dict.fromkeys(notes))
    return Laid(parts, levels, y, factors, names, said, form, bool(arrays.schema))


def _layout(x: Array, channels_first: bool, origin: str, notes: list[str]) -> Array:
    """(N, H, W), (N, C, H, W) or (N, D), from any of them, channels last, or a single channel."""
    if x.dtype.kind not in "biuf":
        raise UserError(
            f"{origin}: cannot learn from values of type {x.dtype}; "
            "store integers, booleans or floats"
        )
    if x.ndim not in (2, 3, 4):
        raise UserError(
            f"{origin}: shape {x.shape} is not (N, H, W), (N, C, H, W), (N, H, W, C) or (N, D); "
            "reshape it"
        )
    if not x.size:
        raise UserError(f"{origin}: shape {x.shape} contains nothing; store at least one image")
    if x.ndim == 4:
        if not channels_first and _channels_last(x.shape[1:], origin):
            notes.append(f"channels last: {x.shape[3]} channels of {x.shape[1]} x {x.shape[2]}")
            x = np.moveaxis(x, 3, 1)
        elif not channels_first and len({*x.shape[1:]}) == 1:
            notes.append(f"channels first: {x.shape[1]} channels of {x.shape[2]} x {x.shape[3]}")
        if x.shape[1] == 1:
            x = x[:, 0]
    return x


def _channels_last(shape: tuple[int, ...], origin: str) -> bool:
    """Whether the channels of images (a, b, c) are their last axis.

    The two axes of equal length are height and width; where that does not tell, the axis that is 1,
    3 or 4 long, or else the shorter one of the first and the last, holds the channels. Raises
    `UserError` where nothing tells.
    """
    a, b, c = shape
    if a == b != c:
        return True
    if b == c:
        return False
    usual = (1, 3, 4)
    if (a in usual) != (c in usual):
        return c in usual
    if min(a, c) < b and a != c:
        return c < a
    raise UserError(
        f"{origin}: images of shape {shape}: is the first or the last axis the channels? "
        "store square images, or channels first as (N, C, H, W) with fewer channels than pixels"
    )


def _levels(parts: dict[str, Array], levels: int | None, scale: float, origin: str) -> int | None:
    """The number of grey levels, None for real values; all parts decide together."""
    x = parts["x"]
    low, high = (
        min(part.min() for part in parts.values()),
        max(part.max() for part in parts.values()),
    )
    if x.dtype == bool:
        found = 2
    elif x.dtype == np.uint8 or (x.dtype.kind in "iu" and x.ndim > 2 and low >= 0 and high <= 255):
        # Zeros and ones are yes and no, not two nearly black levels of 256.
        found = levels or (2 if high == 1 else 256)
    else:
        return None
    if scale != 1:
        raise UserError(
            f"data.scale: {origin} has {found} grey levels, not real values; set data.scale to 1"
        )
    return found


def _coarse(x: Array) -> list[str]:
    """Columns far from 0, of whose variation float32 keeps little."""
    if x.ndim != 2:
        return []
    with np.errstate(all="ignore"):  # of values that are refused later
        low, high = x.min(0).astype(np.float32), x.max(0).astype(np.float32)
        step = np.spacing(np.maximum(abs(low), abs(high)))
        constant = (low == high) & (step > 1)
        few = constant | ((low < high) & (high - low < COARSE * step))
    return [
        f"column {i + 1} is near {high[i]:.6g}, where float32 has steps of {step[i]:.2g}: "
        "subtract a constant from it"
        for i in np.flatnonzero(few)[:3]
    ]


def _real(x: Array, origin: str, row: int) -> Array:
    """float32 and finite; the same memory where the values are float32 already."""
    with np.errstate(all="ignore"):  # what overflows is named below
        x = x.astype(np.float32, copy=not (x.dtype == np.float32 and x.flags.writeable))
    bad, first = 0, tuple[int, ...]()
    for start in range(0, len(x), 4096):
        finite = np.isfinite(x[start : start + 4096])
        if not (whole := finite.all()) and not bad:
            at = np.unravel_index(np.argmin(finite), finite.shape)
            first = (int(at[0]) + start + row, *map(int, at[1:]))
        bad += 0 if whole else finite.size - int(np.count_nonzero(finite))
    if bad:
        raise UserError(
            f"{origin}: NaN or infinite in float32: {bad} values, first at {first}; "
            "replace missing values, or remove their rows"
        )
    return x


def _named(
    labels: dict[str, Array | None], names: tuple[str, ...], notes: list[str]
) -> tuple[dict[str, Array | None], tuple[str, ...]]:
    """Labels as a number for each image: (N, 1) flattened, one-hot decoded, words numbered."""
    found = dict(labels)
    for key, y in labels.items():
        if y is None or y.ndim != 2:
            continue
        if y.shape[1] == 1:
            found[key] = y[:, 0]
        elif y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
            found[key] = y.argmax(1)
            notes.append(f"labels are one-hot rows of {y.shape[1]} classes")
    for key, y in found.items():
        if y is not None and y.dtype.kind == "S":
            found[key] = np.char.decode(y, "utf-8", "replace")
    words = [y for y in found.values() if y is not None and y.dtype.kind == "U"]
    if words and len(words) == sum(y is not None for y in found.values()):
        names = tuple(str(word) for word in np.unique(np.concatenate(words)))
        number = {name: i for i, name in enumerate(names)}
        for key, y in found.items():
            if y is not None:
                found[key] = np.array([number[str(word)] for word in y])
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        notes.append(f"{classes(len(names))}: {shown}")
    return found, names


def _tensor(x: Array) -> Tensor:
    plain = x.flags.c_contiguous and x.flags.writeable
    return torch.from_numpy(x if plain else np.array(x, order="C"))


def _labels(y: Array | None, n: int, origin: str) -> Tensor | None:
    if y is None:
        return None
    if y.shape != (n,):
        raise UserError(
            f"{origin}: labels of shape {y.shape} for {n} images; store one integer for each image"
        )
    if y.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):
            labels = y.astype(np.int64)
        if np.array_equal(labels, y):
            return torch.from_numpy(labels)
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
