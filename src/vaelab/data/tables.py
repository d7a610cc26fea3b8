"""Tables -> arrays: all columns as numbers, or each by its type, with a note on what was inferred.

What people have: commas, semicolons, tabs or bars between columns, decimal commas, a byte order
mark, headers of words or of numbers, the index that pandas writes, a column of labels, words, dates
and empty cells. Whatever is ambiguous is refused with the remedy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from vaelab.data.cells import check_words
from vaelab.data.columnar import Reader
from vaelab.data.columns import classes_of, indices, label_of
from vaelab.data.dataset import Arrays
from vaelab.data.inference import column_of, described, extreme, overrides, ranged, shaped
from vaelab.data.reading import counted
from vaelab.data.schema import KINDS, Array, Cells, Column, Schema
from vaelab.data.seen import Seen
from vaelab.data.sources import Source, TextFile
from vaelab.data.storage import MEMORY, Storage
from vaelab.errors import UserError
from vaelab.recipes import Data

FAR = 1e6  # ranges of a column, beyond which a number is brought nearer


class Rows(NamedTuple):
    """The rows of a table, read by the schema of another one."""

    x: Array  # (N, D) float32
    impossible: Array  # (N, D) bool: cells with values that their column cannot have, NaN in x
    others: Cells  # the cells of the columns that are no part of x, by name
    notes: tuple[str, ...]


def read_table(source: Source, settings: Data, storage: Storage = MEMORY) -> Arrays:
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
        _check_names(source)
    forced = overrides(settings, source.titles)
    index = {} if typed else indices(source, names, label)
    notes = [*source.notes]
    for column, reason in index.items():
        name = repr(names[column]) if names[column] else str(column + 1)
        notes.append(f"column {name} is left out: {reason}")
    if typed:
        columns, said = _inferred(source, forced, settings, label)
        notes += said
    else:
        columns = [
            Column(name=name, kind="ignored" if i in index or name in forced else "real")
            for i, name in enumerate(source.names)
        ]
    if label is not None:
        columns[label] = Column(name=source.titles[label], kind="label")
    words_of_holes = tuple(word.lower() for word in settings.missing)
    schema = Schema(tuple(columns), words_of_holes)
    x, others = _values(source, schema, [] if label is None else [label], typed, storage)
    words = [] if label is None else others[schema.columns[label].name]
    _check_encoding(source, set(words))
    y, classes, said = classes_of(source, names, label, words, settings.labels)
    notes += said
    if label is not None and y is None:  # not labels after all
        if typed:
            columns[label] = _inferred(source, forced, settings, None)[0][label]
        else:
            columns[label] = Column(name=source.titles[label], kind="real")
        schema = Schema(tuple(columns), words_of_holes)
        x, _ = _values(source, schema, [], typed, storage)
    if typed:
        schema = _shaped(schema, x, forced)
        notes += [*described(schema.columns), *_extremes(schema, x)]
    elif len(x) > 9 and not index and (np.diff(x[:, 0]) == 1).all():
        notes.append("column 1 counts the rows, and is read as a feature")
    dialect = f" ({source.dialect})" if isinstance(source, TextFile) else ""
    first = f"{counted(len(x), 'row')} of {counted(x.shape[1], 'column')}{dialect}"
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
    if not source.headed and len(source.names) == len(modelled):
        source.names = modelled
    _check_names(source)
    names, notes = source.titles, [*source.notes]
    there = {*names}
    missing = [name for name in modelled if name not in there]
    if len(missing) == len(modelled):
        raise UserError(
            f"{source.origin}: has none of the columns of the run "
            f"({', '.join(modelled[:6])}, ...); give a table with the same header"
        )
    if missing:
        notes.append(f"columns that are not there are read as empty: {', '.join(missing)}")
    known = {column.name: column for column in schema.columns}
    extra = [name for name in names if name not in known]
    if extra:
        notes.append(f"columns that the run does not know are carried along: {', '.join(extra)}")
    columns = [known.get(name, Column(name=name, kind="ignored")) for name in names]
    order = [name for name in names if name in {*modelled}]
    if order != [name for name in modelled if name in there]:
        notes.append("the columns are in another order than in training, and are matched by name")
    carried = [i for i, column in enumerate(columns) if not column.modelled]
    x, others = _values(source, Schema(tuple(columns), schema.missing), carried, typed=True)
    matched = np.full((len(x), len(modelled)), np.nan, np.float32)
    for at, name in enumerate(order):
        matched[:, modelled.index(name)] = x[:, at]
    impossible = _impossible(matched, schema, notes)
    notes += [*_unseen(matched, schema), *_far(matched, schema)]
    return Rows(matched, impossible, others, tuple(notes))


def _impossible(x: Array, schema: Schema, notes: list[str]) -> Array:
    """Empty the cells (N, D) of values that their column cannot have; which ones, and notes."""
    found = np.zeros(x.shape, bool)
    for i, column in enumerate(schema.modelled):
        values = x[:, i]
        if column.kind == "count":
            found[:, i] = (values < 0) | (values != np.rint(values)) & ~np.isnan(values)
        elif column.kind == "positive":
            found[:, i] = values <= 0
        if count := int(found[:, i].sum()):
            notes.append(
                f"column {column.name!r}: values that are not {KINDS[column.kind].about} are read "
                f"as empty, and their rows get an infinite score: {count:,}"
            )
    x[found] = np.nan
    return found


def _unseen(x: Array, schema: Schema) -> Iterator[str]:
    for i, column in enumerate(schema.modelled):
        if KINDS[column.kind].words and (count := int((x[:, i] == len(column.values)).sum())):
            yield f"column {column.name!r}: values that training never saw: {count:,}"


def _far(x: Array, schema: Schema) -> Iterator[str]:
    """Bring numbers that are further away than `FAR` ranges of training to that distance, as the
    square of one such number would be infinite.
    """
    for i, column in enumerate(schema.modelled):
        span = FAR * max(column.high - column.low, abs(column.low), abs(column.high))
        far = np.abs(x[:, i]) > span
        if not KINDS[column.kind].words and span and far.any():
            x[:, i] = x[:, i].clip(-span, span)
            yield (
                f"column {column.name!r}: {int(far.sum()):,} cells are further than {FAR:g} ranges "
                "of the training table away, and are read as at that distance"
            )


def _check_names(source: Source) -> None:
    names = source.titles
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{source.origin}: has two columns {twice!r}; rename one of them")


def _check_encoding(source: Source, words: Sequence[str] | set[str]) -> None:
    if isinstance(source, TextFile):
        check_words(source.path, source.layout, words)


def _inferred(
    source: Source, forced: Mapping[str, str], settings: Data, label: int | None
) -> tuple[list[Column], list[str]]:
    """The columns of a table by type, from one look at all its cells, and what is to be said."""
    missing = frozenset(word.lower() for word in settings.missing)
    seen = [Seen(source, missing) for _ in source.names]
    for chunk in source.chunks():
        for one, cells in zip(seen, chunk.columns, strict=True):
            one.add(cells, chunk.lines)
    if not any(one.rows + one.holes for one in seen):
        raise UserError(f"{source.origin}: contains no row of values; write one per line into it")
    found, notes, marks = [], list[str](), Counter[str]()
    dtypes = source.dtypes or [""] * len(seen)
    for i, (name, one, dtype) in enumerate(zip(source.titles, seen, dtypes, strict=True)):
        if i == label:
            found.append(Column(name=name, kind="label", dtype=dtype))
            continue
        one.finish()
        column = column_of(source.origin, name, one, forced.get(name), i == 0, dtype)
        found.append(replace(column, dtype=dtype))
        marks += one.marks
        if alike := _alike(column.values):
            notes.append(f"column {name!r}: {alike[0]!r} and {alike[1]!r} differ only in case")
        if "NA" in column.values:
            notes.append(
                f"column {name!r}: 'NA' is read as a value among codes of two letters "
                "(--data.missing NA reads it as an empty cell)"
            )
    del marks[""]
    if marks:
        listed = ", ".join(f"{mark!r} {count:,}" for mark, count in marks.most_common(6))
        notes.append(f"read as empty cells: {listed}")
    return found, notes


def _alike(words: Sequence[str]) -> tuple[str, str] | None:
    """Two words that differ only in case; None where there are none."""
    first: dict[str, str] = {}
    return next(((first[w.lower()], w) for w in words if first.setdefault(w.lower(), w) != w), None)


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


def _extremes(schema: Schema, x: Array) -> Iterator[str]:
    for i, column in enumerate(schema.modelled):
        if not KINDS[column.kind].words and (said := extreme(column, x[:, i])):
            yield said


def _values(
    source: Source, schema: Schema, carried: Sequence[int], typed: bool, storage: Storage = MEMORY
) -> tuple[Array, Cells]:
    """Numbers (N, D) of the columns of x, and the cells of the carried columns, by name."""
    keep = [i for i, column in enumerate(schema.columns) if column.modelled]
    if not keep:
        found = "of numbers beside the labels"
        if typed:
            found = f"to learn from ({'; '.join(described(schema.columns))})"
        raise UserError(f"{source.origin}: contains no column {found}; add some")
    missing = source.missing | {*schema.missing}
    readers = [Reader(source, i, schema.columns[i], missing, typed) for i in keep]
    if source.rows is None and storage.counts:
        source.rows = sum(len(chunk.lines) for chunk in source.chunks())
    table = Growing(source.rows, len(keep), storage)
    others: Cells = {schema.columns[i].name: [] for i in carried}
    same: dict[str, str] = {}  # equal texts are kept once
    for chunk in source.chunks():
        piece = table.grown(len(chunk.lines))
        for at, reader in enumerate(readers):
            with np.errstate(over="ignore"):  # what overflows float32 is refused later
                piece[:, at] = reader(chunk)
        for i in carried:
            cells = chunk.columns[i]
            others[schema.columns[i].name] += [same.setdefault(cell, cell) for cell in cells]
    if not len(table):
        raise UserError(
            f"{source.origin}: contains no row of numbers; write one row per line into it"
        )
    return table.joined(), others


class Growing:
    """An array (N, D) float32 that rows are added to; memory is taken once where N is known."""

    def __init__(self, rows: int | None, width: int, storage: Storage) -> None:
        self.x = None if rows is None else storage.empty((rows, width), np.float32)
        self.width, self.rows, self.pieces = width, 0, list[Array]()

    def __len__(self) -> int:
        return self.rows

    def grown(self, rows: int) -> Array:
        """Return the part (rows, D) that was added."""
        start, self.rows = self.rows, self.rows + rows
        if self.x is not None:
            return self.x[start : self.rows]
        self.pieces.append(np.empty((rows, self.width), np.float32))
        return self.pieces[-1]

    def joined(self) -> Array:
        """Return the array; each piece is freed once it is copied."""
        if self.x is not None:
            return self.x
        x, end = np.empty((self.rows, self.width), np.float32), self.rows
        while self.pieces:
            piece = self.pieces.pop()
            x[end - len(piece) : end] = piece
            end -= len(piece)
        return x
