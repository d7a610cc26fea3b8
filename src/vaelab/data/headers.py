"""The first row of a table: does it name the columns?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vaelab.data.cells import Layout, is_number, number
from vaelab.data.schema import Array

LABELS = ("label", "labels", "class", "target", "y")  # names of a column that may hold labels
INDEX = ("index", "id", "row", "#", "unnamed: 0")  # names of a column that may number the rows


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
    head = np.array([number(c, layout.decimal) for c, n in zip(cells, numeric, strict=True) if n])
    keep = [i for i, n in enumerate(numeric) if n]
    others = [
        [number(row[i], layout.decimal) for i in keep]
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
    return False, "no header: row 1 is read as data"


def _ascends(row: Array) -> bool:
    """Whether numbers go up or down in equal steps, but for rounding."""
    steps = np.diff(row)
    if len(steps) and steps[0] < 0:
        steps = -steps
    return bool(len(steps) and (steps > 0).all() and np.ptp(steps) <= 0.05 * steps.mean())
