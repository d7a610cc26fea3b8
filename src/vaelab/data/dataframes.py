"""Data frames of pandas, Parquet files and arrays as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.data.sources import CELLS, Chunk, Numbers, Source
from vaelab.errors import UserError, needed

EXACT = 2**53  # whole numbers below this are exact in float64


class ArrayTable(Source):
    """An array of numbers (N, D)."""

    headed = False

    def __init__(self, x: Array, origin: str) -> None:
        if x.dtype.kind not in "biuf":
            raise UserError(f"{origin}: has values of type {x.dtype}, not numbers; convert them")
        self.origin, self.x, self.rows = origin, x, len(x)
        self.names = [f"column {i + 1}" for i in range(x.shape[1])]
        self.dtypes = (str(x.dtype),) * x.shape[1]

    def chunks(self) -> Iterator[Chunk]:
        most = max(1, CELLS // max(1, len(self.names)))
        for start in range(0, len(self.x), most):
            part = self.x[start : start + most]
            yield Chunk(range(start + 1, start + len(part) + 1), [_cells(c) for c in part.T])


class Frame(Source):
    """A data frame of pandas."""

    def __init__(self, frame: Any, origin: str) -> None:
        self.origin, self.frame, self.rows = origin, frame, len(frame)
        self.names = [str(name) for name in frame.columns]
        columns = [frame.iloc[:, i] for i in range(len(self.names))]
        self.dtypes = tuple(map(_dtype, columns))
        self.forms = [_form(column) for column in columns]
        self.orders = {
            name: tuple(map(str, column.cat.categories))
            for name, column in zip(self.names, columns, strict=True)
            if str(column.dtype) == "category" and column.cat.ordered
        }

    def chunks(self) -> Iterator[Chunk]:
        most = max(1, CELLS // max(1, len(self.names)))
        for start in range(0, len(self.frame), most):
            part = self.frame.iloc[start : start + most]
            columns = [_column(part.iloc[:, i], form) for i, form in enumerate(self.forms)]
            yield Chunk(range(start + 1, start + len(part) + 1), columns)


def _dtype(column: Any) -> str:
    """The dtype of a column; "object" only where all its values are texts, else ""."""
    name = str(column.dtype)
    if name == "category":
        return f"category[{column.cat.categories.dtype}]"
    if name == "object" and not all(isinstance(value, str) for value in column.dropna()):
        return ""
    return name


def _form(column: Any) -> str:
    """The format of the moments of a column; "" for other values. Zones become UTC."""
    if column.dtype.kind != "M":
        return ""
    zone = column.dt.tz is not None
    filled = column.dropna()
    if not zone and (filled == filled.dt.normalize()).all():
        return "%Y-%m-%d"
    seconds, fractions = (bool((filled != filled.dt.floor(unit)).any()) for unit in ("min", "s"))
    return "%Y-%m-%dT%H:%M" + ":%S" * seconds + ".%f" * fractions + "Z" * zone


def _column(column: Any, form: str) -> Sequence[str]:
    """The cells of a column; "" where one is missing."""
    missing = column.isna().to_numpy()
    if form:
        column = column.dt.tz_convert("UTC") if column.dt.tz is not None else column
        texts = column.dt.strftime(form)
        return ["" if m else str(t) for t, m in zip(texts, missing, strict=True)]
    if column.dtype.kind == "f":
        return _cells(column.to_numpy(column.dtype.type, na_value=np.nan))
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        return _cells(column.to_numpy())
    return ["" if m else str(v).strip() for v, m in zip(column.tolist(), missing, strict=True)]


def _cells(values: Array) -> Sequence[str]:
    """Numbers as cells; whole ones that float64 does not hold as texts."""
    whole = values.dtype.kind in "iu"
    if values.dtype == bool or (whole and len(values) and np.abs(values).max() > EXACT):
        return [str(v) for v in values.tolist()]
    return Numbers(values)


class Parquet(Source):
    """A Parquet file, of which a piece of a row group is in memory at a time."""

    def __init__(self, path: Path) -> None:
        needed("pandas", "to read Parquet files")
        self.reader = needed("pyarrow.parquet", "to read Parquet files")
        self.origin, self.path = str(path), path
        with reading(path, "Parquet file"), self.reader.ParquetFile(path) as file:
            schema = file.schema_arrow
            index = (schema.pandas_metadata or {}).get("index_columns", [])
            self.names = [name for name in schema.names if name not in index]
            self.rows = file.metadata.num_rows
        kinds = [_Kind() for _ in self.names]
        for frame in self._frames():
            for kind, name in zip(kinds, self.names, strict=True):
                kind.add(frame[name])
        self.dtypes = tuple(kind.dtype for kind in kinds)
        self.forms = [kind.form for kind in kinds]
        self.orders = {n: k.order for n, k in zip(self.names, kinds, strict=True) if k.order}

    def _frames(self) -> Iterator[Any]:
        most = max(1, CELLS // max(1, len(self.names)))
        with reading(self.path, "Parquet file"), self.reader.ParquetFile(self.path) as file:
            for batch in file.iter_batches(most, columns=self.names, use_threads=False):
                yield batch.to_pandas()

    def chunks(self) -> Iterator[Chunk]:
        first = 1
        for frame in self._frames():
            columns = [
                _column(_cast(frame[name], dtype), form)
                for name, dtype, form in zip(self.names, self.dtypes, self.forms, strict=True)
            ]
            yield Chunk(range(first, first + len(frame)), columns)
            first += len(frame)


class _Kind:
    """What all pieces of a column of a Parquet file have in common."""

    def __init__(self) -> None:
        self.dtype, self.form, self.order, self.seen = "", "", tuple[str, ...](), set[str]()

    def add(self, column: Any) -> None:
        self.seen.add(_dtype(column))
        self.form = max(self.form, _form(column), key=len)
        if str(column.dtype) == "category" and column.cat.ordered:
            self.order = tuple(map(str, column.cat.categories))
        self.dtype, *others = sorted(self.seen)
        if others:  # whole numbers with empty cells are floats, truth values with them no texts
            numbers = all(name.startswith(("int", "uint", "float")) for name in self.seen)
            self.dtype = "float64" if numbers else ""


def _cast(column: Any, dtype: str) -> Any:
    """A piece of a column with the dtype of all of it."""
    return column.astype(dtype) if dtype == "float64" and column.dtype.kind in "iu" else column
