"""The cells of one column of a table as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from vaelab.data.cells import DECIMAL_COMMA
from vaelab.data.dates import days
from vaelab.data.notation import number_of
from vaelab.data.schema import KINDS, Array, Column
from vaelab.data.sources import ABSENT, DASHES, Chunk, Numbers, Source, TextFile
from vaelab.errors import UserError

THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?|[-+]?[1-9]\d{0,2}([. ']\d{3})+(,\d+)?")
TRUTH = ("true", "false"), ("1", "0")  # how truth values are written


class Reader:
    """Reads the cells of one column as numbers, less its origin; NaN where a cell is empty.

    Args:
        source: The table.
        at: Which of its columns.
        column: What the column contains.
        missing: The texts, in lower case, that stand for an empty cell.
        typed: Whether cells may be empty.
    """

    def __init__(
        self, source: Source, at: int, column: Column, missing: frozenset[str], typed: bool
    ) -> None:
        self.source, self.at, self.column, self.typed = source, at, column, typed
        self.words = KINDS[column.kind].words
        self.empty = missing | (DASHES if self.words else ABSENT)
        texts = not source.dtypes or source.dtypes[at] in ("object", "str", "string", "category")
        self.notation = column.notation if texts else None
        self.number = number_of(source.number, self.notation)
        self.code = {value: float(i) for i, value in enumerate(column.values)}
        for value, i in [*self.code.items()]:  # 1 and 1.0 are the same category
            with suppress(ValueError):  # a word has one way of writing
                self.code.setdefault(str(float(source.number(value))), i)
        for these, those in (TRUTH, TRUTH[::-1]):  # and so are TRUE, True and 1
            if {value.lower() for value in column.values} <= {*these}:
                lower = {value.lower(): i for value, i in self.code.items()}
                for this, that in zip(these, those, strict=True):
                    for same in (this, this.title(), this.upper(), that, that.title()):
                        if this in lower:
                            self.code.setdefault(same, lower[this])

    def __call__(self, chunk: Chunk) -> Array:
        cells = chunk.columns[self.at]
        if self.words or self.column.kind == "date" or self.notation:
            return self._by_text(chunk, cells) - (0.0 if self.words else self.column.origin)
        try:
            values = self.source.numbers(cells)
        except ValueError:
            values = self._with_holes(chunk, cells)
        return self._finite(chunk, values - self.column.origin)

    def _by_text(self, chunk: Chunk, cells: Sequence[str]) -> Array:
        """Values of cells that often occur again: every text is read once."""
        read = self._category if self.words else self._days_or_number
        known = {}
        for text in {*cells}:
            try:
                known[text] = read(text)
            except (ValueError, OverflowError):
                line = chunk.lines[cells.index(text)]
                raise UserError(self._refusal(text, line)) from None
        return np.fromiter(map(known.__getitem__, cells), np.float64, len(cells))

    def _category(self, cell: str) -> float:
        found = self.code.get(cell)
        if found is not None:
            return found
        if cell.lower() in self.empty:
            return np.nan
        unseen = float(len(self.column.values))
        try:
            return self.code.get(str(self.source.number(cell)), unseen)
        except ValueError:
            return unseen

    def _days_or_number(self, cell: str) -> float:
        if cell.lower() in self.empty:
            return np.nan
        date = self.column.kind == "date"
        return days(cell, self.column.format) if date else self.number(cell)

    def _with_holes(self, chunk: Chunk, cells: Sequence[str]) -> Array:
        if isinstance(cells, Numbers) and self.typed:
            return cells.values.astype(np.float64)
        filled = [i for i, cell in enumerate(cells) if cell]
        values = np.full(len(cells), np.nan)
        if self.typed:
            with suppress(ValueError):  # some cells are no plain numbers: one by one below
                values[filled] = self.source.numbers([cells[i] for i in filled])
                return values
        for k, (cell, line) in enumerate(zip(cells, chunk.lines, strict=True)):
            try:
                values[k] = self.source.number(cell)
            except ValueError:
                if not self.typed or cell.lower() not in self.empty:
                    raise UserError(self._refusal(cell, line)) from None
        return values

    def _finite(self, chunk: Chunk, values: Array) -> Array:
        """Refuse infinite numbers."""
        infinite = np.isinf(values)
        if infinite.any():
            raise UserError(
                f"{self.source.origin}: column {self.column.name!r}: line "
                f"{chunk.lines[int(infinite.argmax())]} has an infinite number; empty the cell or "
                "correct it"
            )
        return values

    def _refusal(self, cell: str, line: int) -> str:
        """Which cell is no number, and what can be done about it."""
        name = self.column.name
        named = f"column {name!r}" if self.source.headed else name
        where = f"{self.source.origin}: line {line}, {named}"
        if self.column.kind == "date":
            return f"{where}: {cell[:40]!r} is no date as in the rest of the column; correct it"
        if cell.lower() in self.empty | ABSENT:
            return (
                f"{where}: the cell is empty ({cell!r}); fill the missing values, remove their "
                "rows, or train the recipe table, which takes empty cells"
            )
        if self.typed:
            return (
                f"{where}: {cell[:40]!r} is not a number as in the rest of the column; correct it, "
                "or empty the cell"
            )
        remedy = (
            "remove the column, encode it as numbers, train the recipe table, which takes words, "
            f"or take it as the labels: data.labels {name}"
            if self.source.headed
            else "correct it, remove the column, or train the recipe table, which takes words"
        )
        if DECIMAL_COMMA.fullmatch(cell):
            commas = isinstance(self.source, TextFile) and self.source.layout.separator == ","
            remedy = "write decimal points" + (", or separate columns by semicolons" * commas)
        if THOUSANDS.fullmatch(cell):
            remedy = "write numbers without separators of thousands"
        return f"{where}: {cell[:40]!r} is not a number; {remedy}"
