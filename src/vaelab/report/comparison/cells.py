"""The numbers of a comparison as text: values, differences with their intervals, costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from vaelab.evaluation.intervals import Interval
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.paired import Row
from vaelab.language import Lang, Said, text
from vaelab.language import local as localised


class Cell(NamedTuple):
    """The metric of one run in a row, as text."""

    value: str  # "" if it is missing
    difference: str  # to the first run, with its interval
    verdict: str  # better, worse, no difference shown, or ""
    note: int  # number, from 1, of the reason why it is not judged; 0 if there is none


def cells(row: Row, notes: Sequence[Said], lang: Lang = "en") -> list[Cell]:
    """Return the cells of a row. The first run is marked better if all others are worse."""
    verdicts = row.verdicts
    verdicts[0] = "better" if all(verdict == "worse" for verdict in verdicts[1:]) else ""
    return [
        Cell(
            estimate(value, lang) if value else "",
            interval(difference, lang) if difference else "",
            verdict,
            notes.index(obstacle) + 1 if obstacle and obstacle in notes else 0,
        )
        for value, difference, verdict, obstacle in zip(
            row.values, row.intervals, verdicts, row.obstacles, strict=True
        )
    ]


def estimate(value: Estimate, lang: Lang = "en") -> str:
    """Return a value with its error, to two digits of the error."""
    digits = _digits(value.value, value.error)
    written = _number(value.value, digits, lang)
    return written if value.error is None else f"{written} ± {_number(value.error, digits, lang)}"


def interval(found: Interval, lang: Lang = "en") -> str:
    """Return a difference and the ends of its interval, to two digits of half the interval."""
    digits = _digits(found.value, (found.high - found.low) / 2)
    nearest = min(found.low, found.high, key=abs)
    # The rounded ends of an interval that excludes zero must not be zero.
    while found.sign and not round(nearest, digits):
        digits += 1
    low, high = _number(found.low, digits, lang), _number(found.high, digits, lang)
    between = "; " if lang == "pt" else ", "  # a decimal comma needs another mark between the ends
    return f"{_number(found.value, digits, lang, '+')} [{low}{between}{high}]"


def _digits(value: float, spread: float | None) -> int:
    """Return the number of decimals, at most four.

    They give two digits of the error or of half the interval, or else four digits of the value.
    """
    if not spread and value == round(value):
        return 0
    return min(4, max(0, (1 if spread else 3) - math.floor(math.log10(spread or abs(value)))))


def _number(value: float, digits: int, lang: Lang, sign: str = "") -> str:
    """Format with thousands separators and a minus sign (U+2212); zero has no sign."""
    rounded = round(value, digits) + 0.0
    written = localised(f"{rounded:{sign if rounded else ''},.{digits}f}", lang)
    return written.replace("-", "−")


def cost(value: float | None, key: str, lang: Lang = "en") -> str:
    """Return a cost of training as text."""
    if value is None:
        return text("comparison", "not recorded", lang)
    short = key.startswith("seconds") and value < 1000
    return localised(f"{value:.3g}" if short else f"{value:,.0f}", lang)
