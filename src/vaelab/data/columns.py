"""Columns of a table by their names: which number the rows, and which hold the labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from vaelab.data.headers import INDEX, LABELS
from vaelab.data.reading import classes, natural
from vaelab.data.schema import Array
from vaelab.data.sources import Source
from vaelab.errors import UserError, nearest


class MissingLabelsError(UserError):
    """The table has no column of the name that data.labels gives."""


def indices(source: Source, names: Sequence[str], label: int | None) -> dict[int, str]:
    """The columns that number or name the rows, and why: saved again, a table has two of them."""

    def cells_of(column: int) -> list[str]:
        return [cell for chunk in source.chunks() for cell in chunk.columns[column]]

    found = _leading(source.origin, names, cells_of)
    for column, name in enumerate(names):
        if name.lower() in INDEX and column != label and column not in found:
            cells = cells_of(column)
            fractions = all(source.is_number(c) for c in cells) and not all(
                source.number(c).is_integer() for c in cells
            )
            if len({*cells}) == len(cells) > 1 and not fractions:
                found[column] = "its values all differ and name the rows"
    return found


def _leading(
    origin: str, names: Sequence[str], cells_of: Callable[[int], list[str]]
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
                f"{origin}: column {column + 1} has no name and is no index; name it, or remove it"
            )
    return found


def label_of(source: Source, names: Sequence[str], labels: str) -> int | None:
    """The column that is named for the labels, or that may hold them by its name."""
    lower = [name.lower() for name in names]
    if labels and lower.count(labels.lower()) > 1:
        raise UserError(
            f"data.labels: {source.origin} has several columns {labels!r}; rename all but one"
        )
    if labels:
        if labels.lower() not in lower:
            hint = nearest(labels, names) if names else "the table has no header"
            raise MissingLabelsError(
                f"data.labels: {source.origin} has no column {labels!r}; {hint}"
            )
        return lower.index(labels.lower())
    for name in LABELS:
        if name in lower and not (name == "y" and "x" in lower):  # x and y are coordinates
            return lower.index(name)
    return None


def classes_of(
    source: Source,
    names: Sequence[str],
    label: int | None,
    words: list[str],
    labels: str,
) -> tuple[Array | None, tuple[str, ...], list[str]]:
    """Labels as integers, or None where the values are none; names of classes; notes."""
    if label is None:
        lower = [name.lower() for name in names]
        if labels or "y" not in lower or "x" not in lower:
            return None, (), []
        return _feature(names[lower.index("y")], "x stands beside it")
    name, distinct = names[label], sorted(set(words), key=natural)
    numeric = all(source.is_number(word) for word in distinct)
    whole = numeric and all(source.number(word).is_integer() for word in distinct)
    many = len(distinct) > max(20, len(words) // 10)
    if not labels and numeric and (many or not whole):
        return _feature(
            name, f"{len(distinct)} different values" if whole else "values that are not whole"
        )
    if not labels and "" in distinct:
        return _feature(name, "it has empty cells")
    if "" in distinct:
        raise UserError(
            f"{source.origin}: column {name!r}, the labels, has empty cells; "
            "fill them, or use data.labels none"
        )
    if numeric and not whole:
        raise UserError(
            f"data.labels: column {name!r} of {source.origin} has values that are not whole "
            "numbers; choose another column, or none"
        )
    leave = "--data.labels none leaves them out"
    if whole:
        value = {
            word: int(word) if word.isdecimal() else int(source.number(word)) for word in distinct
        }
        count = len({*value.values()})
        said = f"labels: column {name!r} ({classes(count)}; {leave})"
        return np.array([value[word] for word in words]), (), [said]
    order = {word: i for i, word in enumerate(distinct)}
    shown = ", ".join(distinct[:5]) + (", ..." if len(distinct) > 5 else "")
    said = f"labels: column {name!r} ({classes(len(distinct))}: {shown}; {leave})"
    return np.array([order[word] for word in words]), tuple(distinct), [said]


def _feature(name: str, why: str) -> tuple[None, tuple[str, ...], list[str]]:
    """What is said of a column that is not taken as the labels after all."""
    remedy = f"--data.labels {name} makes it the labels"
    return None, (), [f"column {name!r} is read as a feature: {why} ({remedy})"]
