"""Tables: text files of rows and columns -> arrays, with a note on everything that was inferred.

What people have: commas, semicolons, tabs or bars between columns, decimal commas, a byte order
mark, headers of words or of numbers, the index that pandas writes, a column of labels. Whatever is
ambiguous is refused with the remedy.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from vaelab.data.cells import (
    DECIMAL_COMMA,
    LOOKED,
    SEPARATORS,
    Layout,
    check_words,
    is_number,
    layout_of,
    number,
    rows_of,
)
from vaelab.data.columns import classes_of, header, indices, label_of, names_of
from vaelab.data.dataset import Array, Arrays
from vaelab.data.reading import reading
from vaelab.errors import UserError

THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?|[-+]?[1-9]\d{0,2}([. ']\d{3})+(,\d+)?")
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")


def read_table(path: Path, labels: str = "") -> Arrays:
    """The numbers of a table (N, D) as float32, its labels (N,), and notes on how it was read.

    `labels` names the column of the labels; "none" says that there is none, and "" takes a column
    called label, class, target or y if its values look like labels. Raises `UserError` for cells
    that are no numbers and for ragged rows.
    """
    with reading(path, "table"):
        layout = layout_of(path)
        first = [row for _, row in zip(range(LOOKED), rows_of(path, layout), strict=False)]
    if not first:
        raise UserError(f"{path}: contains no rows; write one row of numbers per line into it")
    headed, why = header(first, layout, labels)
    names = names_of(first) if headed else []
    width = len(names) if headed else len(first[0][1])
    check_words(path, layout, names)
    label = label_of(path, names, labels) if labels != "none" else None
    index = indices(path, layout, names, label)
    notes = [why] if why else []
    for column, reason in index.items():
        name = repr(names[column]) if names[column] else str(column + 1)
        notes.append(f"column {name} is left out: {reason}")
    x, words = _values(path, layout, names, width, index, label)
    check_words(path, layout, set(words))
    y, classes, said = classes_of(path, layout, names, label, words, labels)
    notes += said
    if label is not None and y is None:  # not labels after all
        x, _ = _values(path, layout, names, width, index, None)
    if len(x) > 9 and not index and (np.diff(x[:, 0]) == 1).all():
        notes.append("column 1 counts the rows, and is read as a feature")
    commas = ", decimal commas" if layout.decimal == "," else ""
    how = f"{SEPARATORS[layout.separator]} between columns{commas}"
    if layout.encoding not in ("utf-8-sig", "utf-8"):
        how += f", encoding {layout.encoding}"
    said_first = f"{len(x):,} rows of {x.shape[1]} columns ({how})"
    kept = (i for i in range(len(names)) if i not in index and (i != label or y is None))
    return Arrays(
        x,
        y,
        class_names=classes,
        notes=("; ".join([said_first, *notes]),),
        features=tuple(names[i] for i in kept),
        form="table",
    )


def _values(
    path: Path,
    layout: Layout,
    names: Sequence[str],
    width: int,
    index: Collection[int],
    label: int | None,
) -> tuple[Array, list[str]]:
    """Numbers (N, D) of all columns but index and label, and the cells of the label."""
    values, words = array("f"), list[str]()
    keep = [i for i in range(width) if i not in index and i != label]
    with reading(path, "table"):
        for i, (line, row) in enumerate(rows_of(path, layout)):
            if names and i == 0:
                continue
            if len(row) != width:
                raise UserError(
                    f"{path}: line {line} has {len(row)} columns, the first row has {width}; "
                    "give every row the same number"
                )
            if label is not None:
                words.append(row[label].strip())
            try:
                values.extend([number(row[k], layout) for k in keep])
            except ValueError:
                raise UserError(_no_number(path, layout, names, line, row, keep)) from None
    if not keep:
        raise UserError(f"{path}: contains no column of numbers beside the labels; add some")
    if not values:
        raise UserError(f"{path}: contains no row of numbers; write one row per line into it")
    return np.frombuffer(values, np.float32).reshape(-1, len(keep)), words


def _no_number(
    path: Path, layout: Layout, names: Sequence[str], line: int, row: list[str], keep: list[int]
) -> str:
    """Which cell is no number, and what can be done about it."""
    k = next(i for i in keep if not is_number(row[i], layout))
    column = f"column {names[k]!r}" if names else f"column {k + 1}"
    where, cell = f"{path}: line {line}, {column}", row[k].strip()
    if cell.lower() in MISSING:
        return (
            f"{where}: the cell is empty ({cell!r}); fill the missing values, or remove their rows"
        )
    remedy = (
        f"remove the column, encode it as numbers, or take it as the labels: data.labels {names[k]}"
        if names
        else "correct it, or remove the column"
    )
    if DECIMAL_COMMA.fullmatch(cell):
        remedy = "write decimal points" + (
            ", or separate columns by semicolons" if layout.separator == "," else ""
        )
    if THOUSANDS.fullmatch(cell):
        remedy = "write numbers without separators of thousands"
    return f"{where}: {cell[:40]!r} is not a number; {remedy}"
