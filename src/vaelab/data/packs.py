"""Packs: data that were read once, as `.npy` files that stay on the disk, and their description.

pack.json                 what the files hold, written last
train-000.npy, ...        the training rows, (n, *shape) uint8 or float32, in several files
train-labels.npy          their labels (N,) int64, where they have some
train-factors.npy         their factors (N, F) int64, where they have some
validation-000.npy, ...   the sets that the source has of its own, likewise
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import torch
from msgspec import Struct

from vaelab.data.checking import Checked
from vaelab.data.dataset import Arrays, Split
from vaelab.data.forms import form_of
from vaelab.data.mapped import Mapped, mapped
from vaelab.data.reading import reading
from vaelab.data.schema import Array, Schema
from vaelab.errors import UserError
from vaelab.recipes import Data
from vaelab.recipes.parts import Form

NAME = "pack.json"
FORMAT = 1
# The settings that decide how a source is read; those of a training have to agree with the pack.
READING = (
    "labels", "real", "heavy", "positive", "count", "categorical", "ordinal", "date", "ignore",
    "missing", "window", "stride",
)  # fmt: skip
REPLACE = "pack its source again (vaelab pack SOURCE OUT --overwrite)"


class Shard(Struct, frozen=True):
    """A file of rows."""

    file: str
    rows: int
    crc32: str  # of its values


class Part(Struct, frozen=True):
    """The files of a split."""

    rows: int
    shards: tuple[Shard, ...]
    labels: Shard | None = None
    factors: Shard | None = None


class Pack(Struct, frozen=True, kw_only=True):
    """What pack.json says."""

    format: int
    source: str  # what was packed, as it was called
    settings: dict[str, object]  # of `READING`, where they are not the defaults
    form: Form
    shape: tuple[int, ...]  # of a row
    dtype: Literal["uint8", "float32"]
    levels: int | None
    low: float  # the least and the greatest value
    high: float
    whole: bool  # whether all values are whole numbers
    class_names: tuple[str, ...]
    features: tuple[str, ...]
    factors: tuple[str, ...]  # their names
    schema: Schema | None
    notes: tuple[str, ...]  # how the source was read
    splits: dict[str, Part]  # by name: train, and those that the source has of its own


def is_pack(path: Path) -> bool:
    """Whether a folder is a pack."""
    return (path / NAME).is_file()


def description(path: Path) -> Pack:
    """What the pack in a folder holds. Raises `UserError` where it cannot be told."""
    file = path / NAME
    with reading(file, "pack", REPLACE):
        content = file.read_bytes()
        fields = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        version = msgspec.json.decode(fields.get("format", b"0"))
    if version != FORMAT:
        raise UserError(
            f"{file}: has format {version}, this vaelab reads {FORMAT}; {REPLACE}, or use the "
            "vaelab that wrote it"
        )
    with reading(file, "pack", REPLACE):
        return msgspec.json.decode(content, type=Pack)


def opened(path: Path, settings: Data) -> tuple[Checked, Arrays]:
    """The rows of a pack, which stay in its files, and the names of what belongs to them.

    Raises `UserError` where files are missing or damaged, and where `settings` ask for another
    way of reading than that of the pack.
    """
    pack = description(path)
    _check(path, pack, settings)
    splits = {name: _split(path, pack, part) for name, part in pack.splits.items()}
    if settings.labels == "none":
        splits = {name: split._replace(y=None) for name, split in splits.items()}
    form = form_of(pack.shape, settings.form, pack.form, str(path))
    names = () if settings.labels == "none" else pack.class_names
    own = splits.get("validation"), splits.get("test")
    first = f"a pack of {pack.source}, whose rows stay in its files"
    checked = Checked(splits["train"], *own, pack.levels, names, (first, *pack.notes), form)
    empty = np.empty(0)
    return checked, Arrays(empty, names=pack.factors, features=pack.features, schema=pack.schema)


def _check(path: Path, pack: Pack, settings: Data) -> None:
    for name in READING:
        default = getattr(Data(), name)
        given, packed = getattr(settings, name), pack.settings.get(name, msgspec.UNSET)
        packed = default if packed is msgspec.UNSET else msgspec.convert(packed, type(default))
        if given not in (default, packed) and (name, given) != ("labels", "none"):
            raise UserError(
                f"data.{name}: the pack {path} was read with {packed!r}, not with {given!r}; leave "
                "it out, or pack the source again with it"
            )
    columns = settings.treatment == "columns"
    if columns and pack.schema is None:
        raise UserError(
            f"data.treatment: the pack {path} holds no columns of a table; set data.treatment to "
            "grey, or pack the table with --data.treatment columns"
        )
    if pack.schema is not None and not columns:
        raise UserError(
            f"data.treatment: the pack {path} holds a table that was read by its columns; set "
            "data.treatment to columns, or pack the table with --data.treatment grey"
        )
    if settings.scale != 1 and pack.levels is not None:
        raise UserError(
            f"data.scale: {path} has {pack.levels} grey levels, not real values; set data.scale "
            "to 1"
        )
    if pack.form != "image" and (settings.rotate or settings.shift):
        raise UserError(
            f"data.rotate, data.shift: {pack.form}s have no height and width; "
            "set data.rotate and data.shift to 0"
        )


def _split(path: Path, pack: Pack, part: Part) -> Split:
    shards = [_mapped(path, one, (one.rows, *pack.shape), pack.dtype) for one in part.shards]
    checksum = f"{zlib.crc32(' '.join(one.crc32 for one in part.shards).encode()):08x}"
    x = Mapped(shards, pack.low, pack.high, pack.whole, checksum)
    y, factors = (
        None
        if one is None
        else torch.from_numpy(np.array(_mapped(path, one, (one.rows, *more), "int64")))
        for one, more in ((part.labels, ()), (part.factors, (len(pack.factors),)))
    )
    return Split(x, y, factors)


def _mapped(path: Path, shard: Shard, shape: tuple[int, ...], dtype: str) -> Array:
    file = path / Path(shard.file).name
    with reading(file, "file of a pack", REPLACE):
        rows = mapped(file)
        if rows.shape != shape or rows.dtype != dtype or len(rows) != shard.rows:
            raise UserError(
                f"{file}: holds {rows.dtype} {rows.shape}, not {dtype} {shape} as {NAME} says; "
                f"{REPLACE}"
            )
    return rows
