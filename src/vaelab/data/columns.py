"""Columns of a table: which row names them, which number the rows, and which hold the labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vaelab.data.cells import Layout, is_number, number, rows_of
from vaelab.data.dataset import Array
from vaelab.data.reading import classes, natural
from vaelab.errors import UserError, nearest

LABELS = ("label", "labels", "class", "target", "y")  # names of a column that may hold labels
INDEX = ("index", "id", "row", "#", "unnamed: 0")  # names of a column that may number the rows


class MissingLabelsError(UserError):
    """The table has no column of the name that data.labels gives."""


def names_of(first: Sequence[tuple[int, list[str]]]) -> list[str]:
    """The names in a header, one for each column; of a column without name it is "".

    R writes no name above those of the rows, and some programs end the header with a separator.
    """
    names = [cell.strip() for cell in first[0][1]]
    widths = [len(row) for _, row in first[1:]]
    width = max(widths, key=widths.count, default=len(names))
    if len(names) == width - 1:
        return ["", *names]
    return names[:-1] if len(names) == width + 1 and not names[-1] else names


def header(first: Sequence[tuple[int, list[str]]], layout: Layout, labels: str) -> tuple[bool, str]:
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


def indices(path: Path, layout: Layout, names: Sequence[str], label: int | None) -> dict[int, str]:
    """The columns that number or name the rows, and why: saved again, a table has two of them."""

    def cells_of(column: int) -> list[str]:
        rows = (row for _, row in rows_of(path, layout))
        return [row[column].strip() for row in rows if column < len(row)][1:]

    found = _leading(path, names, cells_of)
    for column, name in enumerate(names):
        if name.lower() in INDEX and column != label and column not in found:
            cells = cells_of(column)
            fractions = all(is_number(c, layout) for c in cells) and not all(
                number(c, layout).is_integer() for c in cells
            )
            if len({*cells}) == len(cells) > 1 and not fractions:
                found[column] = "its values all differ and name the rows"
    return found


def _leading(
    path: Path, names: Sequence[str], cells_of: Callable[[int], list[str]]
) -> dict[int, str]:
    """Those before the first column of values."""
    found: dict[int, str] = {}
    for column, name in enumerate(names[:-1]):
        if name and name.lower() not in INDEX and not name.lower().startswith("unnamed: 0"):
            break
        cells = cells_of(column)
        if cells[:1] in (["0"], ["1"]) and all(
            cell == str(i) for i, cell in enumerate(cells, int(cells[0]))
        ):
            found[column] = "it numbers the rows"
        elif name and not name.lower().startswith("unnamed"):
            break
        elif len({*cells}) == len(cells) and all(re.fullmatch(r"\d+(\.0)?", c) for c in cells):
            found[column] = "it has no name, and its whole numbers all differ: an index"
        elif len({*cells}) == len(cells) and not any(re.match(r"[-+.\d]", c) for c in cells):
            found[column] = "it has no name, and its words all differ: names of the rows"
        else:
            raise UserError(
                f"{path}: column {column + 1} has no name and is no index; name it, or remove it"
            )
    return found


def label_of(path: Path, names: Sequence[str], labels: str) -> int | None:
    """The column that is named for the labels, or that may hold them by its name."""
    lower = [name.lower() for name in names]
    if labels and lower.count(labels.lower()) > 1:
        raise UserError(f"data.labels: {path} has several columns {labels!r}; rename all but one")
    if labels:
        if labels.lower() not in lower:
            hint = nearest(labels, names) if names else "the table has no header"
            raise MissingLabelsError(f"data.labels: {path} has no column {labels!r}; {hint}")
        return lower.index(labels.lower())
    for name in LABELS:
        if name in lower and not (name == "y" and "x" in lower):  # x and y are coordinates
            return lower.index(name)
    return None


def classes_of(
    path: Path,
    layout: Layout,
    names: Sequence[str],
    label: int | None,
    words: list[str],
    labels: str,
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
        value = {
            word: int(word) if word.isdecimal() else int(number(word, layout)) for word in distinct
        }
        count = len({*value.values()})
        leave = "--data.labels none leaves them out"
        said = f"labels: column {name!r} ({classes(count)}; {leave})"
        return np.array([value[word] for word in words]), (), [said]
    order = {word: i for i, word in enumerate(distinct)}
    shown = ", ".join(distinct[:5]) + (", ..." if len(distinct) > 5 else "")
    said = f"labels: column {name!r} ({classes(len(distinct))}: {shown})"
    return np.array([order[word] for word in words]), tuple(distinct), [said]
