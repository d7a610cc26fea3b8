"""From a source to a pack: every value is read, checked and converted once, a piece at a time."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import msgspec
import numpy as np

from vaelab.data.checking import Laid, lay
from vaelab.data.dataset import Arrays
from vaelab.data.packs import FORMAT, NAME, READING, Pack, Part, Shard
from vaelab.data.reading import PIECE
from vaelab.data.schema import Array
from vaelab.data.storage import Storage
from vaelab.errors import UserError, quoted
from vaelab.files import unwritable, write_atomic
from vaelab.recipes import Data

SHARD = 2**30  # bytes of a file
OURS = re.compile(
    r"(train|validation|test)-(\d+|labels|factors)\.npy|scratch-\d+\.npy|\.?pack\.json.*"
)
SPLITS = {"x": "train", "x_validation": "validation", "x_test": "test"}


def write(arrays: Arrays, settings: Data, origin: str, folder: Path, storage: Storage) -> Pack:
    """Write arrays, which may be larger than memory, as a pack into an empty folder.

    Raises `UserError` for values and labels that no model can learn from, as `load` does.
    """
    if arrays.weights is not None:
        raise UserError(
            f"data.source: {settings.source} has weights of its rows, which a pack does not hold; "
            "train on it as it is"
        )
    laid = lay(arrays, settings, origin)
    writer = _Writer(folder, laid, origin, storage)
    splits = {SPLITS[key]: writer.part(key) for key in laid.parts}
    defaults = Data()
    asked = {name: getattr(settings, name) for name in READING}
    pack = Pack(
        format=FORMAT,
        source=Path(settings.source).name,
        settings={k: v for k, v in asked.items() if v != getattr(defaults, k)},
        form=laid.form,
        shape=laid.parts["x"].shape[1:],
        dtype="uint8" if laid.levels else "float32",
        levels=laid.levels,
        low=writer.low,
        high=writer.high,
        whole=writer.whole,
        class_names=laid.class_names,
        features=arrays.features,
        factors=_names(laid, arrays),
        schema=arrays.schema,
        notes=laid.notes,
        splits=splits,
    )
    write_atomic(folder / NAME, msgspec.json.format(msgspec.json.encode(pack), indent=1))
    return pack


def fresh(out: Path, *, overwrite: bool) -> Path:
    """An empty folder beside `out`, in which a pack is made; what was left of another is deleted.

    Raises `UserError` where something else is in the way.
    """
    if out.exists() and not (out / NAME).is_file():
        raise UserError(f"{out}: is there and is no pack; choose another OUT")
    if out.exists() and not overwrite:
        raise UserError(f"{out}: holds a pack already; add overwrite=True, or choose another OUT")
    if out.exists():
        _check_removable(out)
    part = out.with_name(f"{out.name}.part")
    if part.exists():
        remove(part)
    try:
        part.mkdir(parents=True)
    except OSError as error:
        raise unwritable(part, error) from None
    return part


def remove(folder: Path) -> None:
    """Delete a pack with its folder; `UserError`, and nothing is deleted, where more lies there."""
    _check_removable(folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _check_removable(folder: Path) -> None:
    if others := sorted(p.name for p in folder.iterdir() if not OURS.fullmatch(p.name)):
        raise UserError(
            f"{folder}: holds files that are no part of a pack ({quoted(others[0])}); move them"
        )


def _names(laid: Laid, arrays: Arrays) -> tuple[str, ...]:
    if laid.factors is None:
        return ()
    return arrays.names or tuple(map(str, range(1, laid.factors.shape[1] + 1)))


class _Writer:
    """Writes the files of the splits, and notes what the values are."""

    def __init__(self, folder: Path, laid: Laid, origin: str, storage: Storage) -> None:
        self.folder, self.laid, self.origin, self.storage = folder, laid, origin, storage
        self.low, self.high, self.whole = np.inf, -np.inf, True

    def part(self, key: str) -> Part:
        """Write the files of a split."""
        x, name = self.laid.parts[key], SPLITS[key]
        row = int(np.prod(x.shape[1:])) * (1 if self.laid.levels else 4)
        most = max(1, SHARD // row)
        shards = [
            self._shard(f"{name}-{number:03}.npy", key, start, min(most, len(x) - start), row)
            for number, start in enumerate(range(0, len(x), most))
        ]
        y, factors = self.laid.y[key], self.laid.factors if key == "x" else None
        return Part(
            len(x),
            tuple(shards),
            None if y is None else self._whole(f"{name}-labels.npy", y.numpy()),
            None if factors is None else self._whole(f"{name}-factors.npy", factors.numpy()),
        )

    def _shard(self, file: str, key: str, first: int, rows: int, row: int) -> Shard:
        x = self.laid.parts[key]
        step, crc = max(1, PIECE // row), 0
        with (self.folder / file).open("wb") as target:
            shape, dtype = (rows, *x.shape[1:]), np.uint8 if self.laid.levels else np.float32
            header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(target, header)
            starts = range(first, first + rows, step)
            for start in self.storage.counted(starts, file, len(starts)):
                stop = min(start + step, first + rows)
                piece = self.laid.converted(x[start:stop], f"{self.origin}: {key}", start)
                values = np.ascontiguousarray(piece, dtype)
                self._look(values)
                target.write(values.data)
                crc = zlib.crc32(values.data, crc)
            target.flush()
        return Shard(file, rows, f"{crc:08x}")

    def _look(self, values: Array) -> None:
        low, high = float(np.fmin.reduce(values, None)), float(np.fmax.reduce(values, None))
        self.low, self.high = min(self.low, low), max(self.high, high)
        if self.whole and values.dtype == np.float32:
            self.whole = bool((values == np.rint(values)).all())

    def _whole(self, file: str, values: Array) -> Shard:
        values = np.ascontiguousarray(values, np.int64)
        np.save(self.folder / file, values)
        return Shard(file, len(values), f"{zlib.crc32(values.data):08x}")


def place(part: Path, out: Path) -> None:
    """Move a finished pack to its place."""
    try:
        if out.exists():
            remove(out)
        part.replace(out)
    except OSError as error:
        raise unwritable(out, error) from None
