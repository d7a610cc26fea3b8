"""Statistics of a column of a table, updated chunk by chunk."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress

import numpy as np

from vaelab.data.notation import Notation, notation_of, number_of
from vaelab.data.reading import natural
from vaelab.data.schema import Array
from vaelab.data.sources import ABSENT, DASHES, Numbers, Source

MANY = 1000  # categories at most
PADDED = re.compile(r"[-+]?0\d+|\+\d{7,}")  # post codes and telephone numbers
PRECISE = 8  # digits behind the point, above which a number has no fixed precision
LOOKED = 50  # cells of a chunk whose digits are looked at
CODE = re.compile(r"[A-Z]{2}")  # of a country, a continent or a state


class Seen:
    """What is known of a column from the cells that have gone by.

    Args:
        source: The table.
        missing: More texts, in lower case, that stand for an empty cell.
    """

    def __init__(self, source: Source, missing: frozenset[str]) -> None:
        self.source, self.asked, self.missing = source, missing, source.missing | missing
        self.notation: Notation | None = None
        self.rows = self.holes = self.numbers = self.decimals = 0
        self.low, self.high, self.sum = math.inf, -math.inf, 0.0
        self.whole, self.padded, self.different = True, False, True
        self.word, self.line = "", 0  # the first cell that is no number, and its line
        self.infinite = 0  # the line of the first infinite number
        self.distinct: set[str] = set()
        self.marks: Counter[str] = Counter()  # texts that stand for an empty cell
        self._absent: Counter[str] = Counter()  # texts that do so in a column of numbers
        self._keys: list[Array] = []  # numbers or hashes, which differ where the cells do

    def add(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Look at the next cells, which stand in these lines."""
        filled, values = cells, self._plain(cells)
        if values is None:
            filled = self._filled(cells)
            values = self._plain(filled)
        if values is None:
            values = self._some(filled, cells, lines)
        self.rows, self.numbers = self.rows + len(filled), self.numbers + len(values)
        if len(self.distinct) <= MANY:
            self.distinct.update(filled.different() if isinstance(filled, Numbers) else filled)
        if len(values):
            self._measure(values, cells, lines)
            for cell in filled[:: max(1, len(filled) // LOOKED)]:
                self.padded = self.padded or bool(PADDED.fullmatch(cell))
                self.decimals = max(self.decimals, self._decimals(cell))
        if self.different and len(values) == len(filled) and not self.whole:
            self.different, self._keys = False, []  # fractions name no rows
        if self.different:
            self._compare(
                values
                if len(values) == len(filled)
                else np.fromiter(map(hash, filled), np.int64, len(filled))
            )

    def _plain(self, cells: Sequence[str]) -> Array | None:
        """The cells as numbers; None where one is no plain number."""
        if self.notation:
            return None
        with suppress(ValueError):  # not all are numbers
            return self.source.numbers(cells)
        return None

    def _filled(self, cells: Sequence[str]) -> Sequence[str]:
        """The cells that are not empty."""
        if isinstance(cells, Numbers):
            self.holes += len(cells) - len(found := cells.filled())
            return found
        empty = {cell for cell in {*cells} if cell.lower() in self.missing}
        if not empty:
            return cells
        counts = Counter(cell for cell in cells if cell in empty)
        self.marks += counts
        self.holes += counts.total()
        return [cell for cell in cells if cell not in empty]

    def _some(self, filled: Sequence[str], cells: Sequence[str], lines: Sequence[int]) -> Array:
        """The numbers among the filled cells; notes the first cell that is none."""
        texts = {*filled}
        absent = {text for text in texts if text.lower() in ABSENT}
        known = self._known(texts - absent)
        if not self.notation and len(known) < len(texts - absent):
            found = notation_of(texts - absent, self.source.decimal)
            if found and (found.plain or not self.numbers):
                self.notation, known = found, {text: found.number(text) for text in texts - absent}
        self._absent.update(cell for cell in filled if cell in absent)
        if not self.line and (strange := texts - absent - known.keys()):
            at = next(i for i, cell in enumerate(cells) if cell in strange)
            self.word, self.line = cells[at], lines[at]
        return np.array([known[cell] for cell in filled if cell in known], float)

    def _known(self, texts: Collection[str]) -> dict[str, float]:
        known, number = {}, number_of(self.source.number, self.notation)
        for text in texts:
            with suppress(ValueError):  # a word
                known[text] = number(text)
        return known

    def _measure(self, values: Array, cells: Sequence[str], lines: Sequence[int]) -> None:
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        self.sum += float(values.sum())
        self.whole = self.whole and not (values != np.rint(values)).any()
        if not self.infinite and not np.isfinite(values).all():
            infinite = {text for text, v in self._known({*cells}).items() if math.isinf(v)}
            self.infinite = next(
                line for cell, line in zip(cells, lines, strict=True) if cell in infinite
            )

    def _compare(self, keys: Array) -> None:
        if len(np.unique(keys)) == len(keys):
            self._keys.append(keys)
        else:
            self.different, self._keys = False, []

    def _decimals(self, cell: str) -> int:
        if self.notation:
            return self.notation.decimals(cell)
        if "e" in cell.lower():
            return PRECISE + 1
        point = max(cell.rfind("."), cell.rfind(","))
        return len(cell) - point - 1 if point >= 0 else 0

    def finish(self) -> None:
        """Decide what marks mean once all cells are seen: "None" is an empty cell among numbers,
        "-" anywhere but beside "+", and "NA" a value among codes of two letters, such as Namibia.
        """
        absent = self._absent
        if not self.numbers or self.numbers + absent.total() < self.rows:  # a column of words
            known = DASHES if "+" not in self.distinct else ()
            absent = Counter({text: n for text, n in absent.items() if text in known})
        self.rows, self.holes = self.rows - absent.total(), self.holes + absent.total()
        self.marks += absent
        self.distinct -= {*absent}
        count = self.marks["NA"]
        codes = len(self.distinct) > 1 and all(map(CODE.fullmatch, self.distinct))
        if count and codes and "na" not in self.asked:
            self.rows, self.holes = self.rows + count, self.holes - count
            self.distinct.add("NA")
            self.different = self.different and count == 1
            del self.marks["NA"]

    @property
    def numeric(self) -> bool:
        return self.numbers == self.rows > 0

    @property
    def unique(self) -> bool:
        """Whether all cells differ."""
        if not self.different or self.rows < 2 or not self._keys:
            return False
        return len(np.unique(np.concatenate(self._keys))) == sum(map(len, self._keys))

    def sorted(self) -> list[str]:
        """The distinct texts: by value where they are numbers, else in natural order."""
        known = self._known(self.distinct) if self.numeric else {}
        return sorted(self.distinct, key=known.__getitem__ if known else natural)
