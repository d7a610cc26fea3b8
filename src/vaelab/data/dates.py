"""Dates and times as people write them, as days since 1970."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta
from itertools import product

DAY = 86_400.0  # seconds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = -719_162, 2_932_896  # days of the years 1 and 9999
DATES = (
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d. %B %Y", "%d %B %Y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y"),
)
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMATS = (
    *(map("".join, product(DATES, TIMES))),
    *("%Y%m%d", "%Y-%m", "%m/%Y", "%b %Y", "%B %Y", "%H:%M", "%H:%M:%S", "iso"),
)
ISO = re.compile(
    r"\d{4}-\d\d-\d\d(?:(?P<T>[T ])\d\d:\d\d(?P<S>:\d\d(?P<f>\.\d+)?)?(?P<Z>Z|[+-]\d\d:?\d\d)?)?"
)
WORDS = {
    "%d": "day", "%m": "month", "%b": "month", "%B": "month", "%Y": "year", "%y": "year",
    "%H": "hour", "%I": "hour", "%M": "minute", "%S": "second", ".%f": "", "%p": "AM",
    "iso": "year-month-day",
}  # fmt: skip


def days(cell: str, form: str) -> float:
    """Return the days since 1970 of a date or time, in a format or as a data frame has it, by
    ISO 8601. Raises ValueError if it is none.
    """
    try:
        return _days(cell, form)
    except ValueError:
        return _days(cell, "iso")


def _days(cell: str, form: str) -> float:
    iso = form == "iso" or form.startswith("%Y-%m-%d")
    moment = datetime.fromisoformat(cell) if iso else datetime.strptime(cell, form)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH).total_seconds() / DAY


def resolution(form: str) -> float:
    """Return the seconds of the finest part of a format of dates and times.

    >>> resolution("%d.%m.%Y %H:%M")
    60.0
    """
    for part, seconds in (("%f", 1e-6), ("%S", 1.0), ("%M", 60.0), ("%H", 3600.0)):
        if part in form:
            return seconds
    return 1.0 if form == "iso" else DAY


def written(value: float, form: str) -> str:
    """Return the text of a number of days since 1970; "iso" is the shortest form of ISO 8601.

    >>> written(days("2024-02-29", "iso"), "iso")
    '2024-02-29'
    """
    moment = EPOCH + timedelta(microseconds=microseconds(value, form))
    if form == "iso":
        form = "%Y-%m-%dT%H:%M:%S" if moment.time() != time() else "%Y-%m-%d"
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))


def microseconds(value: float, form: str) -> int:
    """Return days since 1970 as microseconds, rounded to the finest part of the format."""
    step = resolution(form)
    return round(min(max(value, FIRST), LAST) * DAY / step) * round(step * 1e6)


def format_of(words: Collection[str]) -> str:
    """Return the format that fits all dates; "" where none does.

    A day and a month are told apart by any number above 12; else the day comes first.
    """
    if not words or not all(len(w) >= 4 and any(c.isdigit() for c in w) for w in words):
        return ""
    shapes = {_shape(word) for word in words}
    for form in shapes if len(shapes) == 1 and "" not in shapes else FORMATS:
        try:
            for word in words:
                _days(word, form)
        except (ValueError, OverflowError):
            continue
        minutes = form.startswith("%Y-%m-%d") and all(":00" in word[16:19] for word in words)
        return form.replace("%S", "00") if minutes else form
    return ""


def _shape(word: str) -> str:
    """The format of a date by ISO 8601; "" for another one. Zones become UTC."""
    found = ISO.fullmatch(word)
    if not found:
        return ""
    clock = f"{found['T']}%H:%M" if found["T"] else ""
    seconds = ":%S" * bool(found["S"]) + ".%f" * bool(found["f"]) + "Z" * bool(found["Z"])
    return f"%Y-%m-%d{clock}{seconds}"


def in_words(form: str) -> str:
    """Return a format as it is shown.

    >>> in_words("%d/%m/%Y %H:%M")
    'day/month/year hour:minute'
    """
    form = form.replace("dT", "d ").removesuffix("Z")
    form = form.replace(":00", "")
    for part, word in WORDS.items():
        form = form.replace(part, word)
    return form
