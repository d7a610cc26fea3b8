"""Where the rows of a table come from: text files, Parquet files, data frames and arrays.

All give the same: chunks of rows as texts, column by column, so that one set of rules reads them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, overload

import numpy as np

from vaelab.data.blocks import Lines, parsed
from vaelab.data.cells import LOOKED, SEPARATORS, layout_of, number, numbers, rows_in, rows_of
from vaelab.data.headers import header, names_of
from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.errors import UserError

CELLS = 2**18  # cells of a chunk
MISSING = frozenset(("", "na", "n/a", "#n/a", "n.a.", "nan", "<na>", "null", "?", "nat"))
# Texts that stand for an empty cell in a column of numbers, but may be categories among words.
DASHES = frozenset(("-", "--", ".", "#value!", "#div/0!", "#ref!"))  # and among words but for "+"
ABSENT = DASHES | {"none", "missing", "unknown"}


class Numbers(Sequence[str]):
    """Cells that are numbers already, and are written only where their texts are asked for.

    Args:
        values: The numbers (N,), NaN where a cell is empty.
        rows: Their rows in `texts` (N,); by default all in order.
        texts: A function that returns the text of a row; by default the number is written.
    """

    def __init__(
        self, values: Array, rows: Array | None = None, texts: Callable[[int], str] | None = None
    ) -> None:
        self.values, self.texts = values, texts
        self.rows = np.arange(len(values)) if rows is None else rows

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> Numbers: ...
    def __getitem__(self, at: int | slice) -> str | Numbers:
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        if self.texts:
            return self.texts(int(self.rows[at]))
        value = self.values[at]
        return "" if value != value else str(value)

    def take(self, at: Array) -> Numbers:
        """Return the cells at these places."""
        return Numbers(self.values[at], self.rows[at], self.texts)

    def filled(self) -> Numbers:
        """Return the cells that are not empty."""
        return self.take(np.flatnonzero(~np.isnan(self.values)))

    def different(self) -> Numbers:
        """Return the first of the cells of each number."""
        return self.take(np.unique(self.values, return_index=True)[1])


class Chunk(NamedTuple):
    """Some rows: the line of each, and the cells of each column, without blanks around them."""

    lines: Sequence[int]
    columns: Sequence[Sequence[str]]


class Source(ABC):
    """A table as texts.

    Attributes:
        origin: What messages call it.
        names: The names of the columns; "" where one has none.
        headed: Whether the names are its own.
        missing: Texts, in lower case, that stand for an empty cell.
        notes: How it was read.
        dtypes: The dtype of each column of a data frame.
        orders: The values, in their order, of columns of ordered categories, by name.
        decimal: The decimal mark.
        rows: The number of rows, where it is known before they are read.
    """

    origin: str
    names: list[str]
    headed = True
    missing: frozenset[str] = frozenset(("", "nan"))
    decimal = "."
    rows: int | None = None
    notes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    orders: Mapping[str, tuple[str, ...]] = MappingProxyType({})

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
        if not isinstance(cells, Numbers):
            return numbers(cells, self.decimal)
        if np.isnan(cells.values).any():
            raise ValueError
        values: Array = cells.values.astype(np.float64)
        return values

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
        with np.errstate(all="ignore"):  # of infinite numbers
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
        most = max(1, CELLS // len(self.names))
        with (
            reading(self.path, "table"),
            self.path.open(encoding=self.layout.encoding, newline="") as file,
        ):
            lines = Lines(file)
            if self.headed:
                next(rows_in(lines, self.layout, self.origin))
            while block := [*islice(lines, most)]:
                if chunk := self._plain(block, lines.count - len(block) + 1):
                    yield chunk
                    continue
                lines.back(block)
                if chunk := self._cut(lines, lines.count + len(block)):
                    yield chunk

    def _plain(self, block: list[str], first: int) -> Chunk | None:
        """A block of lines from line number `first` on; None where not all are plain numbers."""
        layout, width = self.layout, len(self.names)
        if layout.trailing:
            return None
        values = parsed(block, width, layout.separator, layout.decimal)
        if values is None:
            return None
        cells = cache(lambda row: [cell.strip() for cell in block[row].split(layout.separator)])
        columns = [
            Numbers(column, texts=lambda row, i=i: cells(row)[i])  # type: ignore[misc]  # i=i
            for i, column in enumerate(values)
        ]
        return Chunk(range(first, first + len(block)), columns)

    def _cut(self, lines: Lines, last: int) -> Chunk | None:
        """The rows that begin up to the line number `last`; None where all are blank."""
        width = len(self.names)
        begun, rows = list[int](), list[list[str]]()
        for line, row in rows_in(lines, self.layout, self.origin):
            if len(row) != width:
                raise UserError(
                    f"{self.path}: line {line} has {len(row)} columns, the first row has "
                    f"{width}; give every row the same number"
                )
            begun.append(line)
            rows.append(row)
            if lines.count >= last:
                break
        return Chunk(begun, _turned(rows)) if rows else None


def _turned(rows: list[list[str]]) -> list[list[str]]:
    return [_stripped(column) for column in zip(*rows, strict=True)]


def _stripped(cells: Sequence[str]) -> list[str]:
    """The cells without blanks around them; a column without any blank is the common one."""
    text = "".join(cells)
    return [*cells] if text.split(None, 1) == [text] else [cell.strip() for cell in cells]
