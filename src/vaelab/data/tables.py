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
    is_number,
    layout_of,
    number,
    rows_of,
)
from vaelab.data.dataset import Array, Arrays
from vaelab.data.reading import natural, reading
from vaelab.errors import UserError, nearest

LABELS = ("label", "labels", "class", "target", "y")  # names of a column that may hold labels
INDEX = ("index", "id", "row", "unnamed: 0")  # names of a column that may number the rows
THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?|[-+]?\d{1,3}([. ']\d{3})+(,\d+)?")
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")


class MissingLabelsError(UserError):
    """The table has no column of the name that data.labels gives."""


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
    header, why = _header(first, layout, labels)
    names = [cell.strip() for cell in first[0][1]] if header else []
    width = len(first[0][1])
    index, label = _index(path, layout, names), None
    if labels != "none":
        label = _label(path, layout, names, labels)
    notes = [why] if why else []
    for column, reason in index.items():
        name = repr(names[column]) if names[column] else str(column + 1)
        notes.append(f"column {name} is left out: {reason}")
    x, words = _values(path, layout, names, width, index, label, header)
    y, classes, said = _classes(path, layout, names, label, words, labels, x)
    notes += said
    if label is not None and y is None:  # not labels after all
        x, _ = _values(path, layout, names, width, index, None, header)
    if len(x) > 9 and not index and (np.diff(x[:, 0]) == 1).all():
        notes.append("column 1 counts the rows, and is read as a feature")
    commas = ", decimal commas" if layout.decimal == "," else ""
    how = f"{SEPARATORS[layout.separator]} between columns{commas}"
    if layout.encoding not in ("utf-8-sig", "utf-8"):
        how += f", encoding {layout.encoding}"
    said_first = f"{len(x):,} rows of {x.shape[1]} columns ({how})"
    return Arrays(x, y, class_names=classes, notes=("; ".join([said_first, *notes]),))


def _header(
    first: Sequence[tuple[int, list[str]]], layout: Layout, labels: str
) -> tuple[bool, str]:
    """Whether the first row names the columns, and what is to be said of that."""
    cells = [cell.strip() for cell in first[0][1]]
    numeric = [is_number(cell, layout) for cell in cells]
    named = {cell.lower() for cell in cells} & {*LABELS, labels.lower()} - {""}
    words = [c for c, n in zip(cells, numeric, strict=True) if c and not n]
    if named or (words and not any(numeric)):
        return True, ""
    indexed = words == cells[:1] and cells[0].lower() in INDEX and all(numeric[1:])
    if len(first) < 3 or not any(numeric):
        return False, ""
    head = np.array([number(c, layout) for c, n in zip(cells, numeric, strict=True) if n])
    keep = [i for i, n in enumerate(numeric) if n]
    others = [
        [number(row[i], layout) for i in keep]
        for _, row in first[1:]
        if len(row) == len(cells) and all(is_number(row[i], layout) for i in keep)
    ]
    if not others:
        return False, ""
    table = np.array(others)
    if indexed or not (words or all(numeric)):  # pandas leaves the cell above its index empty
        return True, "row 1 is read as the header (its first cell names the index)"
    if _ascends(head) and len(head) > 2 and np.mean([_ascends(row) for row in table]) < 0.5:
        return True, "row 1 is read as the header (its numbers ascend evenly)"
    low, high = table.min(0), table.max(0)
    span = np.maximum(high - low, 1e-12 + 1e-6 * np.abs(high))
    if len(table) > 9 and np.all((head < low - 3 * span) | (head > high + 3 * span)):
        return True, "row 1 is read as the header (its numbers lie far outside all other rows)"
    return False, "" if words else "no header: row 1 is read as data"  # a word is refused later


def _ascends(row: Array) -> bool:
    """Whether numbers go up or down in equal steps, but for rounding."""
    steps = np.diff(row)
    if len(steps) and steps[0] < 0:
        steps = -steps
    return bool(len(steps) and (steps > 0).all() and np.ptp(steps) <= 0.05 * steps.mean())


def _index(path: Path, layout: Layout, names: Sequence[str]) -> dict[int, str]:
    """The leading columns that number the rows, and why: saved again, a table has two of them."""
    found: dict[int, str] = {}
    for column, name in enumerate(names[:-1]):
        if name and name.lower() not in INDEX and not name.lower().startswith("unnamed: 0"):
            break
        cells = [row[column].strip() for _, row in rows_of(path, layout) if column < len(row)][1:]
        if cells[:1] in (["0"], ["1"]) and all(
            cell == str(i) for i, cell in enumerate(cells, int(cells[0]))
        ):
            found[column] = "it numbers the rows"
        elif name and not name.lower().startswith("unnamed"):
            break
        elif len({*cells}) == len(cells) and all(re.fullmatch(r"\d+(\.0)?", c) for c in cells):
            found[column] = "it has no name, and its whole numbers all differ: an index"
        else:
            raise UserError(
                f"{path}: column {column + 1} has no name and is no index; name it, or remove it"
            )
    return found


def _label(path: Path, layout: Layout, names: Sequence[str], labels: str) -> int | None:
    """The column that is named for the labels, or that may hold them by its name."""
    lower = [name.lower() for name in names]
    if labels:
        if labels.lower() not in lower:
            hint = nearest(labels, names) if names else "the table has no header"
            raise MissingLabelsError(f"data.labels: {path} has no column {labels!r}; {hint}")
        return lower.index(labels.lower())
    for name in LABELS:
        if name in lower and not (name == "y" and "x" in lower):  # x and y are coordinates
            return lower.index(name)
    return None


def _values(
    path: Path,
    layout: Layout,
    names: Sequence[str],
    width: int,
    index: Collection[int],
    label: int | None,
    header: bool,
) -> tuple[Array, list[str]]:
    """Numbers (N, D) of all columns but index and label, and the cells of the label."""
    values, words = array("f"), list[str]()
    keep = [i for i in range(width) if i not in index and i != label]
    with reading(path, "table"):
        for i, (line, row) in enumerate(rows_of(path, layout)):
            if header and i == 0:
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
    if layout.separator == "," and DECIMAL_COMMA.fullmatch(cell):
        remedy = "write decimal points, or separate columns by semicolons"
    if THOUSANDS.fullmatch(cell):
        remedy = "write numbers without separators of thousands"
    return f"{where}: {cell[:40]!r} is not a number; {remedy}"


def _classes(
    path: Path,
    layout: Layout,
    names: Sequence[str],
    label: int | None,
    words: list[str],
    labels: str,
    x: Array,
) -> tuple[Array | None, tuple[str, ...], list[str]]:
    """Labels as integers, or None where the values are none; names of classes; notes."""
    if label is None:
        if (
            names
            and "y" in (lower := [name.lower() for name in names])
            and "x" in lower
            and not labels
        ):
            return (
                None,
                (),
                ["column 'y' is read as a feature (--data.labels y makes it the labels)"],
            )
        return None, (), []
    name, distinct = names[label], sorted(set(words), key=natural)
    numeric = all(is_number(word, layout) for word in distinct)
    whole = numeric and all(number(word, layout).is_integer() for word in distinct)
    many = len(distinct) > max(20, len(words) // 10)
    if not labels and numeric and (many or not whole):
        why = f"{len(distinct)} different values" if whole else "values that are not whole"
        return (
            None,
            (),
            [
                f"column {name!r} is read as a feature: {why} (--data.labels {name} makes it the "
                "labels)"
            ],
        )
    if "" in distinct:
        raise UserError(
            f"{path}: column {name!r}, the labels, has empty cells; "
            "fill them, or use data.labels none"
        )
    if numeric and not whole:
        raise UserError(
            f"data.labels: column {name!r} of {path} has values that are not whole numbers; "
            "choose another column, or none"
        )
    if whole:
        said = (
            f"labels: column {name!r} ({len(distinct)} classes; --data.labels none leaves them out)"
        )
        return np.array([int(number(word, layout)) for word in words]), (), [said]
    order = {word: i for i, word in enumerate(distinct)}
    shown = ", ".join(distinct[:5]) + (", ..." if len(distinct) > 5 else "")
    said = f"labels: column {name!r} ({len(distinct)} classes: {shown})"
    return np.array([order[word] for word in words]), tuple(distinct), [said]
