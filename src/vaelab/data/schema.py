"""The columns of a table: what each contains, and how its cells become numbers and cells again.

A cell is one number of x: a real value less the column's origin, the index of a category, or NaN
where the cell is empty. Whatever a later command needs of a table is in its `Schema`, which the run
keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from vaelab.data.dates import written
from vaelab.data.notation import Notation

Array: TypeAlias = NDArray[Any]
Kind: TypeAlias = Literal[
    "real", "heavy", "positive", "count", "binary", "categorical", "ordinal", "date",
    "constant", "identifier", "text", "label", "ignored",
]  # fmt: skip

Cells: TypeAlias = dict[str, list[str]]  # a table as texts, by column; "" is an empty cell


class About(NamedTuple):
    """What a kind of column is, and the distribution of its cells."""

    about: str
    likelihood: str = ""  # "" where the column is no part of x
    words: bool = False  # whether a cell is the index of one of the column's values


KINDS: dict[str, About] = {
    "real": About("real numbers", "Gaussian"),
    "heavy": About("real numbers with heavy tails", "Student-t"),
    "positive": About("positive, skewed numbers", "log-normal"),
    "count": About("whole numbers from 0", "negative binomial"),
    "binary": About("two values", "Bernoulli", words=True),
    "categorical": About("categories without an order", "categorical", words=True),
    "ordinal": About("categories in an order", "ordinal", words=True),
    "date": About("dates or times, as days", "Gaussian"),
    "constant": About("always the same value: no part of the model"),
    "identifier": About("names the row: carried through, no part of the model"),
    "text": About("words, hardly one of them twice: carried through, no part of the model"),
    "label": About("the labels: no part of the model"),
    "ignored": About("left out by data.ignore: carried through"),
}
MODELLED = tuple(kind for kind, about in KINDS.items() if about.likelihood)


class Column(Struct, frozen=True, kw_only=True):
    """One column of a table.

    Attributes:
        name: Its name.
        kind: What its cells contain: a key of `KINDS`.
        values: The texts of its categories, by index; of a constant column, its one value.
        origin: What is subtracted from its numbers, so that float32 keeps their digits.
        decimals: The digits behind the point of its numbers, -1 where they have no common number.
        format: How a date is written.
        notation: How numbers are written that are no plain ones.
        low, high: The least and the greatest number of the table, less the origin.
        holes: The number of empty cells.
        rows: The number of cells that are not empty.
        dtype: The dtype of the column of the data frame that it came from.
    """

    name: str
    kind: Kind
    values: tuple[str, ...] = ()
    origin: float = 0.0
    decimals: int = -1
    format: str = ""
    notation: Notation | None = None
    low: float = 0.0
    high: float = 0.0
    holes: int = 0
    rows: int = 0
    dtype: str = ""

    @property
    def modelled(self) -> bool:
        return self.kind in MODELLED

    @property
    def step(self) -> float:
        """The distance of neighbouring values, 0 for numbers of any precision."""
        return 0.0 if self.decimals < 0 or self.kind == "date" else 10.0**-self.decimals

    def numbers(self, x: Array) -> Array:
        """Return the numbers (N,) float64 that x (N,) stands for, at the precision of the column.

        Of a column of categories they are its indices.
        """
        values = np.asarray(x, np.float64) + self.origin
        return np.round(values, self.decimals) if self.decimals >= 0 else values

    def cells(self, x: Array) -> list[str]:
        """Return the texts that x (N,) stands for; "" for an empty cell."""
        if self.kind == "constant":
            return [self.values[0] if self.values else ""] * len(x)
        if KINDS[self.kind].words:
            return ["" if np.isnan(v) else self._value(int(v)) for v in x]
        values = self.numbers(x)
        if self.kind == "date":
            return ["" if np.isnan(v) else written(float(v), self.format) for v in values]
        return ["" if np.isnan(v) else self._number(float(v)) for v in values]

    def _value(self, index: int) -> str:
        return self.values[index] if 0 <= index < len(self.values) else ""

    def _number(self, value: float) -> str:
        if self.notation:
            return self.notation.text(value, self.decimals)
        if self.decimals >= 0:
            return f"{value:.{self.decimals}f}"
        return f"{value:.12g}" if self.origin else str(np.float32(value))  # the shortest text


class Schema(Struct, frozen=True):
    """The columns of a table in their order, those that are no part of x among them.

    `missing` are texts, in lower case, that stand for an empty cell beside the usual ones.
    """

    columns: tuple[Column, ...]
    missing: tuple[str, ...] = ()

    @property
    def modelled(self) -> tuple[Column, ...]:
        """The columns of x, by index."""
        return tuple(column for column in self.columns if column.modelled)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns of x."""
        return tuple(column.name for column in self.modelled)

    def of(self, *kinds: str) -> list[int]:
        """The indices in x of the columns of these kinds."""
        return [i for i, column in enumerate(self.modelled) if column.kind in kinds]

    @property
    def incomplete(self) -> tuple[Column, ...]:
        """The columns of x that have empty cells."""
        return tuple(column for column in self.modelled if column.holes)

    def within(self, x: Array) -> Array:
        """Return x (N, D) with the numbers beyond the range of the table set to its ends."""
        found = x.copy()
        for i, column in enumerate(self.modelled):
            if not KINDS[column.kind].words:
                found[:, i] = x[:, i].clip(column.low, column.high)
        return found

    def cells(self, x: Array, others: Mapping[str, Sequence[str]] | None = None) -> Cells:
        """Return the table that x (N, D) stands for, in the order of the columns.

        Args:
            x: The rows.
            others: The cells of columns that are no part of x, by name; those that are missing here
                are left out, but for constant ones.
        """
        others, found, at = others or {}, dict[str, list[str]](), 0
        for column in self.columns:
            if column.modelled:
                found[column.name] = column.cells(x[:, at])
                at += 1
            elif column.name in others:
                found[column.name] = [*others[column.name]]
            elif column.kind == "constant":
                found[column.name] = column.cells(x[:, 0])
        return found
