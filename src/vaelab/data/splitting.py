"""From checked tensors to the three splits of a data set."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab.data.checking import Checked, check
from vaelab.data.dataset import Arrays, Dataset, Split
from vaelab.data.mapped import Mapped
from vaelab.errors import UserError
from vaelab.recipes import Data
from vaelab.seeding import numpy_generator


def build(arrays: Arrays, settings: Data, name: str, origin: str) -> Dataset:
    """What `origin` contains, checked, in one layout, split.

    Held out are round(fraction * N) images chosen at random by `settings.split_seed`; every split
    keeps the order of the file. Raises `UserError` on shapes, types, values or labels that cannot
    be used, and on too few images.
    """
    return divided(check(arrays, settings, origin), arrays, settings, name, origin)


def divided(found: Checked, arrays: Arrays, settings: Data, name: str, origin: str) -> Dataset:
    """The splits of checked images; `arrays` has the names of what belongs to them."""
    factors = None
    if found.train.factors is not None:
        sizes = [int(size) for size in found.train.factors.amax(0) + 1]
        factors = dict(zip(arrays.names or map(str, range(1, len(sizes) + 1)), sizes, strict=True))
    train, test, validation = found.train, found.test, found.validation
    if test is None:
        train, test = _hold_out(train, "test", settings.test, settings, origin)
    if validation is None:
        train, validation = _hold_out(train, "validation", settings.validation, settings, origin)
    shape = tuple(train.x.shape[1:])
    return Dataset(
        name,
        shape,
        found.levels,
        train,
        validation,
        test,
        factors,
        found.class_names,
        found.notes,
        arrays.features,
        found.form,
        arrays.schema,
    )


def _hold_out(
    split: Split, purpose: str, fraction: float, settings: Data, origin: str
) -> tuple[Split, Split]:
    """(kept, held out), both in the order of the file."""
    n, count = len(split.x), round(fraction * len(split.x))
    if count == n or (fraction and not count):
        what = f"{n} rows of {origin} are too few to hold out {fraction:g} of them"
        raise UserError(f"data.{purpose}: {what}; add some or set data.{purpose} to 0")
    held = torch.zeros(n, dtype=torch.bool)
    chosen = numpy_generator(settings.split_seed, purpose).permutation(n)[:count]
    held[torch.from_numpy(chosen)] = True
    if not count:
        return split, split.take(held)
    out = split.take(held)
    return _compacted(split, (~held).nonzero()[:, 0]), out


def _compacted(split: Split, keep: Tensor) -> Split:
    """Move the images `keep`, ascending, to the front of the same memory."""
    x = split.x
    if isinstance(x, Mapped):
        return split.take(keep)
    for start in range(0, len(keep), 4096):
        index = keep[start : start + 4096]
        x[start : start + len(index)] = x[index]
    return Split(x[: len(keep)], *(None if part is None else part[keep] for part in split[1:]))
