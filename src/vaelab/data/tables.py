"""Tables -> arrays: all columns as numbers, or each by its type, with a note on what was inferred.

What people have: commas, semicolons, tabs or bars between columns, decimal commas, a byte order
mark, headers of words or of numbers, the index that pandas writes, a column of labels, words, dates
and empty cells. Whatever is ambiguous is refused with the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from vaelab.data.cells import DECIMAL_COMMA, check_words
from vaelab.data.columns import classes_of, indices, label_of
from vaelab.data.dataset import Arrays
from vaelab.data.inference import column_of, described, overrides, ranged, shaped
from vaelab.data.schema import KINDS, Array, Column, Schema, days
from vaelab.data.seen import Seen
from vaelab.data.sources import ABSENT, Chunk, Source, TextFile
from vaelab.errors import UserError
from vaelab.recipes import Data

THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?|[-+]?[1-9]\d{0,2}([. ']\d{3})+(,\d+)?")


class Rows(NamedTuple):
    """The rows of a table, read by the schema of another one."""

    x: Array  # (N, D) float32
    others: dict[str, list[str]]  # the cells of the columns that are no part of x, by name
    notes: tuple[str, ...]


def read_table(source: Source, settings: Data) -> Arrays:
    """The rows of a table (N, D) as float32, its labels (N,), its columns, and how it was read.

    With the treatment "columns" each column is read by its type, and cells may be empty; otherwise
    all are numbers. ``data.labels`` names the column of the labels; "none" says that there is none,
    and "" takes a column called label, class, target or y if its values look like labels. Raises
    `UserError` for cells that do not fit their column, and for ragged rows.
    """
    names = source.names if source.headed else []
    _check_encoding(source, names)
    label = label_of(source, names, settings.labels) if settings.labels != "none" else None
    typed = settings.treatment == "columns"
    if typed:
        _check_names(source, names)
    forced = overrides(settings, source.names)
    index = {} if typed else indices(source, names, label)
    notes = [*source.notes]
    for column, reason in index.items():
        name = repr(names[column]) if names[column] else str(column + 1)
        notes.append(f"column {name} is left out: {reason}")
    if typed:
        columns = _inferred(source, forced, settings, label)
    else:
        columns = [
            Column(name=name, kind="ignored" if i in index or name in forced else "real")
            for i, name in enumerate(source.names)
        ]
    if label is not None:
        columns[label] = Column(name=source.names[label], kind="label")
    words_of_holes = tuple(word.lower() for word in settings.missing)
    schema = Schema(tuple(columns), words_of_holes)
    x, words = _values(source, schema, label, typed)
    _check_encoding(source, set(words))
    y, classes, said = classes_of(source, names, label, words, settings.labels)
    notes += said
    if label is not None and y is None:  # not labels after all
        if typed:
            columns[label] = _inferred(source, forced, settings, None)[label]
        else:
            columns[label] = Column(name=source.names[label], kind="real")
        schema = Schema(tuple(columns), words_of_holes)
        x, _ = _values(source, schema, None, typed)
    if typed:
        schema = _shaped(schema, x, forced)
        notes += described(schema.columns)
    elif len(x) > 9 and not index and (np.diff(x[:, 0]) == 1).all():
        notes.append("column 1 counts the rows, and is read as a feature")
    dialect = f" ({source.dialect})" if isinstance(source, TextFile) else ""
    first = f"{len(x):,} rows of {x.shape[1]} columns{dialect}"
    return Arrays(
        x,
        y,
        class_names=classes,
        notes=(first, *notes) if typed else ("; ".join([first, *notes]),),
        features=schema.names if source.headed else (),
        schema=schema if typed else None,
        form="table",
    )


def read_rows(source: Source, schema: Schema) -> Rows:
    """The rows of another table, its columns matched by name with those of `schema`.

    Columns in another order are found; those that are missing are read as empty, those that the
    schema does not know are carried along, and both are said. A word that no row of the schema's
    table had is counted as unseen: its cell becomes the number of the column's categories.

    Raises:
        UserError: No column of x is there, or a cell is no number.
    """
    modelled = [column.name for column in schema.modelled]
    there = {*source.names}
    missing = [name for name in modelled if name not in there]
    notes = [*source.notes]
    if not source.headed and len(source.names) == len(modelled):
        source.names, missing = modelled, []
    if len(missing) == len(modelled):
        raise UserError(
            f"{source.origin}: has none of the columns of the run "
            f"({', '.join(modelled[:6])}, ...); give a table with the same header"
        )
    if missing:
        notes.append(f"columns that are not there are read as empty: {', '.join(missing)}")
    known = {column.name: column for column in schema.columns}
    extra = [name for name in source.names if name not in known]
    if extra:
        notes.append(f"columns that the run does not know are carried along: {', '.join(extra)}")
    columns = [known.get(name, Column(name=name, kind="ignored")) for name in source.names]
    order = [name for name in source.names if name in {*modelled}]
    if order != [name for name in modelled if name in there]:
        notes.append("the columns are in another order than in training, and are matched by name")
    x, _ = _values(source, Schema(tuple(columns), schema.missing), None, typed=True)
    matched = np.full((len(x), len(modelled)), np.nan, np.float32)
    for at, name in enumerate(order):
        matched[:, modelled.index(name)] = x[:, at]
    notes += _unseen(matched, schema)
    return Rows(matched, carried(source, columns), tuple(notes))


def carried(source: Source, columns: Sequence[Column]) -> dict[str, list[str]]:
    """The cells of the columns that are no part of x, by name."""
    keep = [i for i, column in enumerate(columns) if not column.modelled]
    found: dict[str, list[str]] = {columns[i].name: [] for i in keep}
    if keep:
        for chunk in source.chunks():
            for i in keep:
                found[columns[i].name] += chunk.columns[i]
    return found


def _unseen(x: Array, schema: Schema) -> Iterator[str]:
    for i, column in enumerate(schema.modelled):
        if KINDS[column.kind].words and (count := int((x[:, i] == len(column.values)).sum())):
            yield f"column {column.name!r}: {count:,} cells have values that training never saw"


def _check_names(source: Source, names: Sequence[str]) -> None:
    named = [name for name in names if name]
    if len({*named}) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise UserError(f"{source.origin}: has two columns {twice!r}; rename one of them")


def _check_encoding(source: Source, words: Sequence[str] | set[str]) -> None:
    if isinstance(source, TextFile):
        check_words(source.path, source.layout, words)


def _inferred(
    source: Source, forced: Mapping[str, str], settings: Data, label: int | None
) -> list[Column]:
    """The columns of a table by type, from one look at all its cells."""
    missing = source.missing | {word.lower() for word in settings.missing}
    seen = [Seen(source.number, missing) for _ in source.names]
    for chunk in source.chunks():
        for one, cells in zip(seen, chunk.columns, strict=True):
            one.add(cells, chunk.lines)
    found = []
    for i, (name, one) in enumerate(zip(source.names, seen, strict=True)):
        if i == label:
            found.append(Column(name=name, kind="label"))
            continue
        column = column_of(source.origin, name or f"column {i + 1}", one, forced.get(name), i == 0)
        found.append(column)
    return [
        replace(c, dtype=dtype)
        for c, dtype in zip(found, source.dtypes or [""] * len(found), strict=True)
    ]


def _shaped(schema: Schema, x: Array, forced: Mapping[str, str]) -> Schema:
    """The schema with the kinds that the values of inferred real columns suggest."""
    at = {column.name: i for i, column in enumerate(schema.modelled)}
    found = []
    for column in schema.columns:
        if column.modelled and not KINDS[column.kind].words:
            values = x[:, at[column.name]]
            column = ranged(column, values)
            if column.kind == "real" and column.name not in forced:
                column = shaped(column, values)
        found.append(column)
    return Schema(tuple(found), schema.missing)


def _values(
    source: Source, schema: Schema, label: int | None, typed: bool
) -> tuple[Array, list[str]]:
    """Numbers (N, D) of the columns of x, and the cells of the label."""
    keep = [i for i, column in enumerate(schema.columns) if column.modelled]
    if not keep:
        raise UserError(
            f"{source.origin}: contains no column of numbers beside the labels; add some"
        )
    missing = source.missing | {*schema.missing}
    readers = [Reader(source, schema.columns[i], missing, typed) for i in keep]
    pieces, words = [], list[str]()
    same: dict[str, str] = {}
    for chunk in source.chunks():
        piece = np.empty((len(chunk.lines), len(keep)), np.float32)
        for at, (i, reader) in enumerate(zip(keep, readers, strict=True)):
            piece[:, at] = reader(chunk, i)
        pieces.append(piece)
        if label is not None:
            words += [same.setdefault(cell, cell) for cell in chunk.columns[label]]
    if not pieces:
        raise UserError(
            f"{source.origin}: contains no row of numbers; write one row per line into it"
        )
    return _joined(pieces), words


def _joined(pieces: list[Array]) -> Array:
    """The pieces as one array; each is freed once it is copied."""
    x = np.empty((sum(map(len, pieces)), pieces[0].shape[1]), np.float32)
    end = len(x)
    while pieces:
        piece = pieces.pop()
        x[end - len(piece) : end] = piece
        end -= len(piece)
    return x


class Reader:
    """Reads the cells of one column as numbers."""

    def __init__(
        self, source: Source, column: Column, missing: frozenset[str], typed: bool
    ) -> None:
        self.source, self.column, self.typed = source, column, typed
        self.words = KINDS[column.kind].words
        self.code = {value: float(i) for i, value in enumerate(column.values)}
        if self.words:  # 1 and 1.0 are the same category
            for i, value in enumerate(column.values):
                try:
                    self.code.setdefault(str(float(source.number(value))), float(i))
                except ValueError:
                    break
        self.empty = missing | (frozenset() if self.words else ABSENT)

    def __call__(self, chunk: Chunk, i: int) -> Array:
        cells = chunk.columns[i]
        if self.words:
            return np.fromiter(map(self._category, cells), np.float64, len(cells))
        if self.column.kind == "date":
            return np.fromiter(map(self._days, cells), np.float64, len(cells))
        try:
            values = np.fromiter(map(self.source.number, cells), np.float64, len(cells))
        except ValueError:
            values = self._one_by_one(chunk, cells)
        return values - self.column.origin

    def _category(self, cell: str) -> float:
        found = self.code.get(cell)
        if found is not None:
            return found
        if cell.lower() in self.empty:
            return np.nan
        try:
            return self.code.get(
                str(float(self.source.number(cell))), float(len(self.column.values))
            )
        except ValueError:
            return float(len(self.column.values))

    def _days(self, cell: str) -> float:
        if cell.lower() in self.empty:
            return np.nan
        try:
            return days(cell, self.column.format) - self.column.origin
        except (ValueError, OverflowError):
            raise UserError(
                f"{self.source.origin}: column {self.column.name!r}: {cell[:40]!r} is no date as "
                "in the rest of the column; correct it"
            ) from None

    def _one_by_one(self, chunk: Chunk, cells: Sequence[str]) -> Array:
        values = np.empty(len(cells))
        for k, (cell, line) in enumerate(zip(cells, chunk.lines, strict=True)):
            try:
                values[k] = self.source.number(cell)
            except ValueError:
                if not self.typed or cell.lower() not in self.empty:
                    raise UserError(self._refusal(cell, line)) from None
                values[k] = np.nan
        return values

    def _refusal(self, cell: str, line: int) -> str:
        """Which cell is no number, and what can be done about it."""
        name = self.column.name
        named = f"column {name!r}" if self.source.headed else name
        where = f"{self.source.origin}: line {line}, {named}"
        if cell.lower() in self.empty | ABSENT:
            return (
                f"{where}: the cell is empty ({cell!r}); fill the missing values, remove their "
                "rows, or train the recipe table, which takes empty cells"
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
