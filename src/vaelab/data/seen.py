"""What is known of a column of a table while its cells go by."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np

from vaelab.data.reading import natural
from vaelab.data.schema import Array
from vaelab.data.sources import ABSENT

MANY = 1000  # categories at most
PADDED = re.compile(r"[-+]?0\d+")
PRECISE = 8  # digits behind the point, above which a number has no fixed precision


class Seen:
    """What is known of a column from the cells that have gone by.

    Args:
        number: The function that reads a number, or raises ValueError.
        missing: The texts, in lower case, that stand for an empty cell.
    """

    def __init__(self, number: Callable[[str], float], missing: frozenset[str]) -> None:
        self.number, self.missing = number, missing
        self.rows = self.holes = self.numbers = self.absent = self.decimals = 0
        self.low, self.high, self.sum = math.inf, -math.inf, 0.0
        self.whole, self.padded, self.different = True, False, True
        self.word, self.line = "", 0  # the first cell that is no number, and its line
        self.infinite = 0  # the line of the first infinite number
        self.distinct: set[str] = set()
        self.hashes: list[Array] = []

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Look at the next cells, which stand in these lines."""
        filled = [cell for cell in cells if cell.lower() not in self.missing]
        self.rows, self.holes = self.rows + len(filled), self.holes + len(cells) - len(filled)
        fresh = set(filled)
        if len(self.distinct) <= MANY:
            self.distinct |= fresh
        if self.different and len(fresh) == len(filled):
            self.hashes.append(np.fromiter(map(hash, filled), np.int64, len(filled)))
        elif filled:
            self.different, self.hashes = False, []
        values = self._numbers(filled, cells, lines)
        if not len(values):
            return
        self.numbers += len(values)
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        self.sum += float(values.sum())
        if self.whole and (values != np.rint(values)).any():
            self.whole = False
        if not self.infinite and not np.isfinite(values).all():
            self.infinite = next(
                line for cell, line in zip(cells, lines, strict=True) if self._is_infinite(cell)
            )
        for cell in filled[:: max(1, len(filled) // 500)]:
            self.padded = self.padded or bool(PADDED.fullmatch(cell))
            self.decimals = max(self.decimals, _decimals(cell))

    def _numbers(self, filled: list[str], cells: Sequence[str], lines: Sequence[int]) -> Array:
        """The numbers among the cells; notes the first cell that is none."""
        with suppress(ValueError):
            return np.fromiter(map(self.number, filled), float, len(filled))
        found = []
        for cell, line in zip(cells, lines, strict=True):
            if cell.lower() in self.missing:
                continue
            try:
                found.append(self.number(cell))
            except ValueError:
                if cell.lower() in ABSENT:
                    self.absent += 1
                elif not self.line:
                    self.word, self.line = cell, line
        return np.array(found)

    def _is_infinite(self, cell: str) -> bool:
        with suppress(ValueError):
            return math.isinf(self.number(cell))
        return False

    def finish(self) -> None:
        """Count the marks that stand for nothing in a column of numbers as empty cells."""
        if self.absent and self.numbers and self.numbers + self.absent == self.rows:
            self.rows, self.holes = self.numbers, self.holes + self.absent
            self.distinct = {cell for cell in self.distinct if cell.lower() not in ABSENT}

    @property
    def numeric(self) -> bool:
        return self.numbers == self.rows > 0

    @property
    def unique(self) -> bool:
        """Whether all cells differ."""
        if not self.different or self.rows < 2:
            return False
        return len(np.unique(np.concatenate(self.hashes))) == self.rows

    def sorted(self) -> list[str]:
        """The distinct texts: by value where they are numbers, else in natural order."""
        return sorted(self.distinct, key=self.number if self.numeric else natural)


def _decimals(cell: str) -> int:
    if "e" in cell.lower():
        return PRECISE + 1
    point = max(cell.rfind("."), cell.rfind(","))
    return len(cell) - point - 1 if point >= 0 else 0
