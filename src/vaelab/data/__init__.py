"""Data: a name or a path in, three splits out, and batches cut from them on the device.

A data set is a function from the `Data` settings to `Arrays`, and a row of the recipes' table;
everything after it (layout, levels, labels, splits) is the same for all.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from vaelab.data import packing, packs
from vaelab.data.batches import Batches, check_support
from vaelab.data.checking import Checked, check
from vaelab.data.columns import MissingLabelsError
from vaelab.data.dataset import Arrays, Dataset, Split, Values, some, spread
from vaelab.data.files import TABLES, find, read, source_of
from vaelab.data.forms import fits, guess
from vaelab.data.packs import READING, Pack
from vaelab.data.reading import lack_of_memory
from vaelab.data.schema import KINDS, Array, Cells, Column, Schema
from vaelab.data.sources import Source
from vaelab.data.splitting import divided
from vaelab.data.storage import MEMORY, Disk, Storage
from vaelab.data.tables import Rows, read_rows
from vaelab.data.windows import series, windowed
from vaelab.errors import UserError
from vaelab.files import unwritable
from vaelab.recipes import AXES, Data, code
from vaelab.recipes.parts import Form

__all__ = [
    "KINDS",
    "READING",
    "Array",
    "Arrays",
    "Batches",
    "Cells",
    "Column",
    "Dataset",
    "Form",
    "Rows",
    "Schema",
    "Source",
    "Split",
    "Values",
    "anchored",
    "check_support",
    "fits",
    "guess",
    "load",
    "load_all",
    "load_series",
    "pack",
    "read_rows",
    "some",
    "source_of",
    "spread",
]

NAMED = AXES["data.source"].keys() - {"PATH"}


def load(settings: Data) -> Dataset:
    """The training, validation and test split of `settings.source`, on the CPU.

    The same settings give the same splits on every machine. Raises `UserError` where the source is
    unknown, unreadable, too large for the memory, or contains what no model can learn from.
    """
    try:
        _check_applies(settings)
        data = divided(*_checked(settings), settings, *_names(settings.source))
        _check_size(data, settings)
        return data
    except MemoryError as error:
        raise UserError(lack_of_memory(f"data.source: {settings.source}", error)) from None


def load_all(settings: Data, levels: int | None) -> tuple[Split, int | None, tuple[str, ...]]:
    """All images of `settings.source` in order, their number of levels, and notes on the reading.

    Nothing is held out; validation and test sets of the source follow the training images. All of
    a pack is read into memory. 8-bit
    images are read as `levels` grey levels where that is given, whatever values occur in them.
    Raises as `load` does.
    """
    settings = msgspec.structs.replace(settings, test=0, validation=0)
    try:
        checked, _ = _checked(settings, levels)
    except MissingLabelsError:  # of new data, as a rule
        checked, _ = _checked(msgspec.structs.replace(settings, labels="none"), levels)
    parts = [part for part in (checked.train, checked.validation, checked.test) if part is not None]
    if len(parts) == 1:
        return parts[0], checked.levels, checked.notes
    labels = [part.y for part in parts if part.y is not None]
    y = torch.cat(labels) if len(labels) == len(parts) else None
    return Split(torch.cat([part.x[:] for part in parts]), y), checked.levels, checked.notes


def pack(settings: Data, out: Path, *, overwrite: bool = False, quiet: bool = True) -> Pack:
    """Write `settings.source` into the folder `out`, as files that a training need not load.

    Folders of images, tables, .npy files and long signals are read a piece at a time, and may be
    larger than memory. What is written lies in a folder OUT.part until it is whole.

    Args:
        settings: How the source is read; only `packs.READING` and what else belongs to it counts.
        out: The folder of the pack.
        overwrite: Whether to replace a pack that is there.
        quiet: Whether to show no bars of progress.

    Raises:
        UserError: The source cannot be read, or there is something in the way.
    """
    _check_applies(settings)
    if not _named(settings) and packs.is_pack(find(settings.source)):
        raise UserError(f"data.source: {settings.source} is a pack already; train on it")
    part = packing.fresh(out, overwrite=overwrite)
    try:
        pack = _written(settings, part, quiet)
    except Exception:  # whatever it was, it is raised again; Ctrl-C keeps what is written
        packing.remove(part)
        raise
    packing.place(part, out)
    return pack


def _written(settings: Data, part: Path, quiet: bool) -> Pack:
    """Read the source, and write the files of its pack."""
    storage = Disk(part, quiet)
    try:
        arrays = _read(settings, storage)
        pack = packing.write(arrays, settings, _names(settings.source)[1], part, storage)
        storage.clear()
        return pack
    except OSError as error:
        raise unwritable(part, error) from None
    except MemoryError as error:
        raise UserError(lack_of_memory(f"data.source: {settings.source}", error)) from None


def load_series(settings: Data) -> tuple[Tensor, tuple[str, ...]]:
    """The long signal of `settings.source`, (T, C) float32, uncut, and notes on the reading.

    Raises as `load` does.
    """
    arrays = _read(msgspec.structs.replace(settings, window=0, stride=0))
    notes: list[str] = []
    values = series(arrays.x, settings.source, notes)
    if values.dtype != np.float32 or not np.isfinite(values).all():
        raise UserError(
            f"{settings.source}: not all values are finite numbers; replace those that are missing"
        )
    return torch.from_numpy(values), (*arrays.notes, *notes)


def anchored(settings: Data) -> Data:
    """The same settings with absolute paths, so that a run folder finds its data from anywhere."""
    folder = str(Path(settings.dir).expanduser().absolute()) if settings.dir else ""
    source = settings.source
    if source not in NAMED and ".py:" not in source:
        source = str(find(source))
    return msgspec.structs.replace(settings, source=source, dir=folder)


def _named(settings: Data) -> bool:
    """Whether the source is no path."""
    return settings.source in NAMED or ".py:" in settings.source


def _check_applies(settings: Data) -> None:
    """Refuse settings of tables where the source is none."""
    path = None if _named(settings) else find(settings.source)
    if settings.labels not in ("", "none") and not (path and path.suffix.lower() in TABLES):
        raise UserError(
            f"data.labels: only a table has columns, {settings.source} is none; "
            'set data.labels to none to leave its labels out, or to ""'
        )


def _check_size(data: Dataset, settings: Data) -> None:
    """Refuse data of another size than that asked for: only folders of images are resized."""
    wanted = (settings.resize, settings.resize)
    if settings.resize and data.shape[-2:] != wanted:
        raise UserError(
            f"data.resize: only folders of images are resized, {settings.source} is none, and has "
            f"shape {'x'.join(map(str, data.shape))}; set data.resize to 0"
        )


def _checked(settings: Data, levels: int | None = None) -> tuple[Checked, Arrays]:
    """The rows of a source, checked, and the names of what belongs to them."""
    if not _named(settings) and packs.is_pack(path := find(settings.source)):
        return packs.opened(path, settings)
    arrays = _read(settings)
    arrays = arrays._replace(levels=arrays.levels or levels)
    return check(arrays, settings, _names(settings.source)[1]), arrays


def _read(settings: Data, storage: Storage = MEMORY) -> Arrays:
    reader = (
        code("data.source", settings.source) if _named(settings) else partial(read, storage=storage)
    )
    arrays = _called(reader, settings)
    if not isinstance(arrays, Arrays):
        raise UserError(
            f"data.source: {settings.source} returns {type(arrays).__name__}; "
            "return vaelab.data.Arrays"
        )
    if settings.labels == "none" and arrays.y is not None:
        notes = (*arrays.notes, "the labels are left out (data.labels none)")
        arrays = arrays._replace(
            y=None, y_validation=None, y_test=None, class_names=(), notes=notes
        )
    if settings.window:
        return windowed(arrays, settings, settings.source, storage)
    return _lent(arrays) if ".py:" in settings.source else arrays


def _called(reader: Callable[[Data], Any], settings: Data) -> Any:
    """What the reader returns; an error in a custom one is named with its place in that file."""
    try:
        return reader(settings)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a reader of the user's may raise anything
        if ".py:" not in settings.source:
            raise
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"data.source: {settings.source} failed with {type(error).__name__}: {error} "
            f"({Path(place.filename).name}, line {place.lineno}); correct it there"
        ) from error


def _lent(arrays: Arrays) -> Arrays:
    """The same arrays, read only: splitting moves images within memory, but not within a user's."""
    return arrays._replace(
        x=_read_only(arrays.x),
        x_validation=None if arrays.x_validation is None else _read_only(arrays.x_validation),
        x_test=None if arrays.x_test is None else _read_only(arrays.x_test),
    )


def _read_only(x: Array) -> Array:
    x = np.asarray(x).view()
    x.flags.writeable = False
    return x


def _names(source: str) -> tuple[str, str]:
    """The name of a source, and what messages call it."""
    if source in NAMED or ".py:" in source:
        return source.rpartition(":")[2], source
    path = find(source)
    return path.name if path.is_dir() else path.stem, source
