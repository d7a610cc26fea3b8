"""Custom data: the path of a file or folder -> arrays, by the reader that fits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data import arrays, idx, images, stored, tables
from vaelab.data.dataframes import ArrayTable, Frame, Parquet
from vaelab.data.dataset import Arrays
from vaelab.data.reading import reading, visible
from vaelab.data.sources import Source, TextFile
from vaelab.data.storage import MEMORY, Storage
from vaelab.errors import UserError, nearest
from vaelab.recipes import AXES, Data

TABLES = (".csv", ".tsv", ".txt", ".parquet")
TEXTS = (".csv", ".tsv", ".txt")
KINDS = ".npy, .npz, .csv, .tsv or .parquet file, or a folder of images or IDX files"


def read(settings: Data, storage: Storage = MEMORY) -> Arrays:
    """The arrays of `settings.source`, kept in `storage` where its format allows to read a piece
    at a time. Raises `UserError` where it cannot be read.
    """
    path = find(settings.source)
    if path.is_dir():
        with reading(path, "folder"):
            entries = visible(path)
        if any(idx.is_idx(entry) for entry in entries):
            return idx.read_folder(path, entries)
        return images.read_images(path, settings.resize, storage)
    match path.suffix.lower():
        case ".npy" if settings.treatment == "columns":
            x = storage.npy(path)
            if x.ndim != 2:
                raise UserError(
                    f"{path}: shape {x.shape} is no table (N, D); reshape it, or set "
                    "data.treatment to grey"
                )
            return tables.read_table(ArrayTable(x, str(path)), settings, storage)
        case ".npy":
            return Arrays(storage.npy(path))
        case ".npz":
            return arrays.read_npz(path)
        case suffix if suffix in TEXTS:
            return tables.read_table(TextFile(path, settings.labels), settings, storage)
        case ".parquet":
            return tables.read_table(Parquet(path), settings, storage)
        case suffix:
            raise UserError(
                f"{path}: cannot read {suffix or 'a file without extension'}; give a {KINDS}"
            )


def source_of(data: Any) -> Source:
    """The table that a path, a pandas data frame or an array (N, D) stands for.

    Raises `UserError` for anything else.
    """
    if isinstance(data, str | Path):
        path = find(str(data))
        match path.suffix.lower():
            case suffix if suffix in TEXTS:
                return TextFile(path)
            case ".parquet":
                return Parquet(path)
            case ".npy":
                data = MEMORY.npy(path)
            case suffix:
                raise UserError(f"{path}: {suffix or 'a folder'} is no table; give a .csv, .tsv, "
                    ".parquet or .npy file")  # fmt: skip
    if isinstance(data, np.ndarray) and data.ndim == 2:
        return ArrayTable(data, "the array")
    if hasattr(data, "columns") and hasattr(data, "dtypes"):
        return Frame(data, "the data frame")
    raise UserError(
        f"data: expected a path, a pandas data frame or an array (N, D), got {type(data).__name__}"
    )


def find(source: str) -> Path:
    """The absolute path of a source. Raises `UserError` where nothing is there."""
    with reading(Path(source), "path", "check data.source"):
        path = Path(source).expanduser().resolve()
        there = source != "" and path.exists()
    if not there:
        names = [name for name in AXES["data.source"] if name != "PATH"]
        known = f"{nearest(source, names)} (or give a path)"
        moved = "put the data back, or give a path that is there (for a run: in its recipe.toml)"
        if path.parent == stored.folder():
            moved = "give the data frame again: vaelab.recipe(NAME, {'data.source': frame})"
        raise UserError(
            f"data.source: there is no data set or path {source!r}; "
            f"{moved if '/' in source else known}"
        )
    return path
