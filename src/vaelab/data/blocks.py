"""Lines of plain numbers, which are most of a large table, as numbers at once."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vaelab.data.schema import Array

OTHER = '"_(nN'  # quotes, 1_000, nan and inf: what NumPy and the csv module read differently


class Lines(Iterator[str]):
    """Lines that are counted as they are taken, and that can be given back."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.count, self._lines, self._back = 0, iter(lines), deque[str]()

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.count += 1
        return line

    def back(self, lines: Sequence[str]) -> None:
        """Give the last lines back."""
        self.count -= len(lines)
        self._back.extendleft(reversed(lines))


def parsed(lines: Sequence[str], width: int, separator: str, decimal: str) -> Array | None:
    """Return lines as numbers (width, N), NaN where a cell is empty.

    None where a line is anything but `width` plain numbers: then every cell has to be looked at.
    """
    text = "".join(lines)
    if separator == " " or not text.isascii() or any(mark in text for mark in OTHER):
        return None
    if any(line.count(separator) != width - 1 for line in lines):
        return None
    if decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    elif separator != "," and "," in text:
        return None
    text = text.rstrip("\r\n").replace("\r\n", "\n").replace("\r", "\n")
    text = "," + text.replace(separator, ",").replace("\n", ",") + ","
    while ",," in text:
        text = text.replace(",,", ",nan,")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = np.fromstring(text[1:-1], sep=",")
        except (ValueError, DeprecationWarning):
            return None
    if len(values) != len(lines) * width:
        return None
    table = values.reshape(len(lines), width)
    if np.isnan(table).all(1).any():  # a blank row is no row
        return None
    return np.ascontiguousarray(table.T)
