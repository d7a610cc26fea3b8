"""Where the rows of a table come from: text files, Parquet files, data frames and arrays.

All give the same: chunks of rows as texts, column by column, so that one set of rules reads them.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaelab.data.cells import LOOKED, SEPARATORS, layout_of, number, numbers, rows_of
from vaelab.data.headers import header, names_of
from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.errors import UserError

CELLS = 2**18  # cells of a chunk
MISSING = frozenset(("", "na", "n/a", "#n/a", "n.a.", "nan", "<na>", "null", "?", "nat"))
# Texts that stand for an empty cell in a column of numbers, but may be categories among words.
DASHES = frozenset(("-", "--", ".", "#value!", "#div/0!", "#ref!"))  # and among words but for "+"
ABSENT = DASHES | {"none", "missing", "unknown"}


class Chunk(NamedTuple):
    """Some rows: the line of each, and the cells of each column, without blanks around them."""

    lines: Sequence[int]
    columns: list[list[str]]


class Source(ABC):
    """A table as texts.

    Attributes:
        origin: What messages call it.
        names: The names of the columns; "" where one has none.
        headed: Whether the names are its own.
        missing: Texts, in lower case, that stand for an empty cell.
        notes: How it was read.
        dtypes: The dtype of each column of a data frame.
        decimal: The decimal mark.
    """

    origin: str
    names: list[str]
    headed = True
    missing: frozenset[str] = frozenset(("", "nan"))
    decimal = "."
    notes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()

    @property
    def titles(self) -> list[str]:
        """The names of the columns; one without a name has its number."""
        return [name or f"column {i}" for i, name in enumerate(self.names, 1)]

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows, a chunk at a time."""

    def number(self, cell: str) -> float:
        """Return the plain number that a cell stands for. Raises ValueError if it is none."""
        return number(cell, self.decimal)

    def numbers(self, cells: Sequence[str]) -> Array:
        """Return the plain numbers (N,) of cells. Raises ValueError where one is none."""
        return numbers(cells, self.decimal)

    def is_number(self, cell: str) -> bool:
        """Return whether a cell is a number."""
        try:
            self.number(cell)
        except ValueError:
            return False
        return True


class TextFile(Source):
    """A file of rows of cells with a separator."""

    missing = MISSING

    def __init__(self, path: Path, labels: str = "") -> None:
        self.origin, self.path = str(path), path
        with reading(path, "table"):
            self.layout = layout_of(path)
            self.decimal = self.layout.decimal
            first = [row for _, row in zip(range(LOOKED), rows_of(path, self.layout), strict=False)]
        if not first:
            raise UserError(f"{path}: contains no rows; write one row of numbers per line into it")
        self.headed, why = header(first, self.layout, labels)
        width = len(first[0][1])
        self.names = names_of(first) if self.headed else [f"column {i + 1}" for i in range(width)]
        self.notes = (why,) if why else ()

    @property
    def dialect(self) -> str:
        """How the file is cut into cells, in words."""
        commas = ", decimal commas" if self.layout.decimal == "," else ""
        one = len(self.names) == 1
        how = "one column" if one else f"{SEPARATORS[self.layout.separator]} between columns"
        how += commas
        plain = self.layout.encoding in ("utf-8-sig", "utf-8")
        return how if plain else f"{how}, encoding {self.layout.encoding}"

    def chunks(self) -> Iterator[Chunk]:
        width, most = len(self.names), max(1, CELLS // len(self.names))
        lines: list[int] = []
        rows: list[list[str]] = []
        with reading(self.path, "table"):
            for i, (line, row) in enumerate(rows_of(self.path, self.layout)):
                if self.headed and i == 0:
                    continue
                if len(row) != width:
                    raise UserError(
                        f"{self.path}: line {line} has {len(row)} columns, the first row has "
                        f"{width}; give every row the same number"
                    )
                lines.append(line)
                rows.append(row)
                if len(rows) == most:
                    yield Chunk(lines, _turned(rows))
                    lines, rows = [], []
        if rows:
            yield Chunk(lines, _turned(rows))


def _turned(rows: list[list[str]]) -> list[list[str]]:
    return [_stripped(column) for column in zip(*rows, strict=True)]


def _stripped(cells: Sequence[str]) -> list[str]:
    """The cells without blanks around them; a column without any blank is the common one."""
    text = "".join(cells)
    return [*cells] if text.split(None, 1) == [text] else [cell.strip() for cell in cells]


class Frame(Source):
    """A pandas data frame, or a 2-D array of numbers."""

    def __init__(self, frame: Any, origin: str) -> None:
        self.origin, self.frame = origin, frame
        if isinstance(frame, np.ndarray):
            self.names = [f"column {i + 1}" for i in range(frame.shape[1])]
            self.headed, self.dtypes = False, (str(frame.dtype),) * frame.shape[1]
            return
        self.names = [str(name) for name in frame.columns]
        self.dtypes = tuple(str(dtype) for dtype in frame.dtypes)
        if len({*self.names}) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise UserError(f"{origin}: has two columns {twice!r}; rename one of them")

    def chunks(self) -> Iterator[Chunk]:
        most = max(1, CELLS // max(1, len(self.names)))
        for start in range(0, len(self.frame), most):
            if isinstance(self.frame, np.ndarray):
                part = self.frame[start : start + most]
                columns = [_texts(part[:, i]) for i in range(part.shape[1])]
            else:
                part = self.frame.iloc[start : start + most]
                columns = [_texts_of(part.iloc[:, i]) for i in range(len(self.names))]
            yield Chunk(range(start + 1, start + len(part) + 1), columns)


def _texts_of(column: Any) -> list[str]:
    """The cells of a pandas Series; "" where one is missing."""
    missing = column.isna().to_numpy()
    if column.dtype.kind == "M":
        zone = column.dt.tz is not None
        days = bool((column.dropna() == column.dropna().dt.normalize()).all())
        form = "%Y-%m-%d" if days and not zone else "%Y-%m-%dT%H:%M:%S.%f" + ("%z" if zone else "")
        texts = column.dt.strftime(form)
        return ["" if m else str(t) for t, m in zip(texts, missing, strict=True)]
    if column.dtype.kind == "f" and not missing.any():
        return _texts(column.to_numpy())
    return ["" if m else str(v).strip() for v, m in zip(column.tolist(), missing, strict=True)]


def _texts(values: Array) -> list[str]:
    if values.dtype.kind == "f":
        kind = values.dtype.type if values.dtype.itemsize < 8 else float
        return ["" if v != v else str(kind(v)) for v in values.tolist()]
    return [str(v) for v in values.tolist()]


def frame_of(path: Path) -> Any:
    """Return the pandas data frame of a Parquet file."""
    pandas = needed("pandas", "to read Parquet files")
    needed("pyarrow", "to read Parquet files")
    with reading(path, "Parquet file"):
        return pandas.read_parquet(path)


def needed(package: str, purpose: str) -> Any:
    """Import an optional package. Raises `UserError` where it is not installed."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UserError(
            f"{package} is needed {purpose}; install it: pip install 'vaelab[tables]'"
        ) from None
