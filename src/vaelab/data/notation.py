"""Numbers as people write them: $1,200.50, 12 %, 1.234,5 kg.

A column has one notation: what stands before and behind every number, the mark between thousands,
and the decimal mark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import cache

from msgspec import Struct

CURRENCY = r"[A-Z]{0,3}[$€£¥₹₩₽]|USD|EUR|GBP|BRL|CHF|JPY|CNY|INR"
CELL = re.compile(
    rf"[-−]?(?P<prefix>(?:(?:{CURRENCY})[ \xa0]?)?)[-−]?"
    r"(?P<body>[\d.](?:[\d.,'’ \xa0\u202f]*\d)?)"
    rf"(?P<suffix>(?:[ \xa0\u202f]?(?:[%‰]|°[CF]?|{CURRENCY}|[A-Za-zµΩ²³/]{{1,6}}))?)"
)
GROUPS = ("", ",", " ", "'", "’", "\xa0", "\u202f", ".")  # marks between thousands
LETTERS = re.compile(r"[A-Za-z]")


class Notation(Struct, frozen=True):
    """How the numbers of a column are written."""

    prefix: str = ""
    suffix: str = ""
    thousands: str = ""
    point: str = "."

    @property
    def plain(self) -> bool:
        """Whether only marks between thousands tell its numbers from plain ones."""
        return not (self.prefix or self.suffix) and self.point == "."

    def number(self, cell: str) -> float:
        """Return the number that a cell stands for. Raises ValueError if it is none."""
        if not (found := _pattern(self).fullmatch(cell)):
            raise ValueError(cell)
        first, second, body = found.groups()
        body = body.replace(self.thousands, "") if self.thousands else body
        value = float(body.replace(self.point, "."))
        return -value if bool(first) != bool(second) else value

    def decimals(self, cell: str) -> int:
        """Return the digits behind the decimal mark of a cell."""
        body = cell.removesuffix(self.suffix)
        return len(body) - at - 1 if (at := body.rfind(self.point)) >= 0 else 0

    def text(self, value: float, decimals: int) -> str:
        """Return a number as it is written in the column."""
        body = f"{abs(value):,.{decimals if decimals >= 0 else 8}f}"
        body = body.translate({ord(","): self.thousands, ord("."): self.point})
        return f"{'-' * (value < 0)}{self.prefix}{body}{self.suffix}"


@cache
def _pattern(notation: Notation) -> re.Pattern[str]:
    return re.compile(
        rf"([-−])?{re.escape(notation.prefix)}([-−])?"
        rf"({_body(notation.thousands, notation.point)}){re.escape(notation.suffix)}"
    )


def _body(thousands: str, point: str) -> str:
    group, mark = re.escape(thousands), re.escape(point)
    whole = rf"(?:0|[1-9]\d{{0,2}}(?:{group}\d{{3}})*)" if thousands else r"\d*"
    return rf"(?=[\d.,]){whole}(?:{mark}\d+)?"


def notation_of(cells: Collection[str], decimal: str) -> Notation | None:
    """Return the notation that fits all cells, None where there is none.

    Where several do, as for 1,234, `decimal`, the decimal mark of the table, decides. A unit right
    behind its numbers has two letters at least, or one of the numbers is a fraction: 3a is a name.
    """
    found = [CELL.fullmatch(cell) for cell in cells]
    parts = {(match["prefix"], match["suffix"]) for match in found if match}
    if not found or not all(found) or len(parts) > 1:
        return None
    bodies = {match["body"] for match in found if match}
    ((prefix, suffix),) = parts
    other = "." if decimal == "," else ","
    for thousands, point in [(g, p) for p in (decimal, other) for g in GROUPS if g != p]:
        pattern = re.compile(_body(thousands, point))
        if all(map(pattern.fullmatch, bodies)):
            if LETTERS.fullmatch(suffix) and not any(point in body for body in bodies):
                return None
            return Notation(prefix, suffix, thousands, point)
    return None


def number_of(plain: Callable[[str], float], notation: Notation | None) -> Callable[[str], float]:
    """Return the function that reads a number of a column: in its notation, else as a plain one."""
    if notation is None:
        return plain

    def number(cell: str) -> float:
        try:
            return notation.number(cell)
        except ValueError:
            return plain(cell)

    return number
