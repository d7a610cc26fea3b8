"""What the columns of a table contain, inferred from their cells and overridden by name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

import numpy as np
from msgspec.structs import replace

from vaelab.data.dates import days, format_of, in_words
from vaelab.data.notation import Notation
from vaelab.data.schema import KINDS, Array, Column, Kind
from vaelab.data.seen import MANY, PRECISE, Seen
from vaelab.errors import UserError, nearest
from vaelab.recipes import Data

FEW = 10  # neighbouring whole numbers of at most so many values are an order, such as marks
RARE = 20.0  # counts have a mean of at most this; larger whole numbers are real ones
ENOUGH = 20  # rows in which different words name the rows
IDENTIFIES = re.compile(  # a name of a column
    r"(^|[\W_])(id|ids|uuid|guid|index|#|key|nr|no|number|ssn|phone|e-?mail)$|[a-z]I[dD]$|nummer$",
    re.IGNORECASE,
)
LARGEST, SMALLEST = 1e18, 1e-18  # a number and a range whose squares float32 holds
FAR = 1000.0  # times the range, above which an origin is subtracted
TAILS = 12.0  # (q99.5 - q0.5) / (q75 - q25) of heavy tails; a Gaussian has 3.8
SKEWED = 1.0  # skewness, from which positive numbers are log-normal if that halves it
SAMPLE = 20_000  # evenly spaced values that decide on tails and skewness
EXTREME = 100.0  # interquartile ranges from the least to the greatest number, from which one is far
# The settings that override the kind of a column.
OVERRIDES: dict[str, Kind] = {
    "real": "real", "heavy": "heavy", "positive": "positive", "count": "count",
    "categorical": "categorical", "ordinal": "ordinal", "date": "date", "ignore": "ignored",
}  # fmt: skip


def column_of(
    path: str, name: str, seen: Seen, forced: str | None, first: bool, dtype: str = ""
) -> Column:
    """Return the column that the cells of `seen` make up.

    Args:
        path: The table, for messages.
        name: The name of the column.
        seen: All its cells.
        forced: The kind that the settings name, as ``kind`` or ``ordinal=a<b<c``; None to infer it.
        first: Whether it is the first column.
        dtype: Its dtype in a data frame.

    Raises:
        UserError: The cells do not fit the kind, or nothing fits them.
    """
    kind, _, named = (forced or "").partition("=")
    order = tuple(word.strip() for word in named.split("<")) if named else ()
    where = f"{path}: column {name!r}"
    if not forced and name in seen.source.orders and len(seen.distinct) > 1:
        kind, order = "ordinal", seen.source.orders[name]
    if seen.infinite:
        raise UserError(
            f"{where}: line {seen.infinite} has an infinite number; empty the cell or correct it"
        )
    form = ""
    if kind and KINDS[kind].likelihood and len(seen.distinct) <= 1:
        kind, order = "constant", ()
    if kind == "date" or (not kind and (not seen.numeric or _compact(seen))):
        form = format_of(seen.distinct)
    if not kind:
        kind = "date" if form else _kind(where, name, seen, first)
    if dtype.startswith("category") and kind in ("real", "count", "ordinal") and not order:
        kind = "categorical"
    if kind in ("real", "heavy", "positive", "count") and not seen.numeric:
        raise UserError(
            f"{where}: line {seen.line}: {seen.word[:40]!r} is not a number, which data.{kind} "
            "needs; correct it, or name it in data.missing if it stands for an empty cell"
        )
    if kind == "positive" and seen.low <= 0:
        raise UserError(f"{where}: has {seen.low:g}, but data.positive needs numbers above 0")
    if kind == "count" and not (seen.whole and seen.low >= 0):
        raise UserError(f"{where}: data.count needs whole numbers from 0; choose data.real")
    if kind == "date" and not form:
        raise UserError(f"{where}: no format of dates fits all its cells; write them as 2024-12-31")
    column = Column(
        name=name, kind=cast(Kind, kind), holes=seen.holes, rows=seen.rows, format=form,
        notation=seen.notation if KINDS[kind].likelihood and not KINDS[kind].words else None,
    )  # fmt: skip
    if kind == "constant":
        return replace(column, values=tuple(seen.sorted()))
    if KINDS[kind].words:
        return replace(column, values=_categories(where, seen, order))
    if kind in ("real", "heavy", "positive", "count"):
        return _measured(where, column, seen)
    if kind == "date":
        return replace(column, origin=float(round(min(days(w, form) for w in seen.distinct))))
    return column


def _compact(seen: Seen) -> bool:
    """Whether whole numbers may be dates such as 20241231."""
    return seen.whole and seen.low >= 19000101 and seen.high <= 21001231


def _kind(where: str, name: str, seen: Seen, first: bool) -> str:
    """The kind of a column that is no date."""
    if len(seen.distinct) <= 1:
        return "constant"
    dense = seen.high - seen.low + 1 == seen.rows and seen.low in (0, 1) and first
    mixed = not seen.numeric and 2 * seen.numbers > seen.rows
    if (not seen.numeric or seen.whole) and seen.unique:
        named = bool(IDENTIFIES.search(name.strip()))
        if named or (dense if seen.numeric else seen.rows >= ENOUGH and not mixed):
            return "identifier"
    if len(seen.distinct) == 2 < seen.rows:
        return "binary"
    if mixed:
        raise UserError(
            f"{where}: line {seen.line}: {seen.word[:40]!r} is not a number, most other cells "
            "are; correct it, name it in data.missing if it stands for an empty cell, or name "
            "the column in data.categorical or data.ignore"
        )
    if not seen.numeric or seen.padded:  # padded with zeros are post codes and the like
        few = len(seen.distinct) <= min(MANY, max(FEW, seen.rows / 2)) and not seen.unique
        return "categorical" if few else "text"
    if not seen.whole:
        return "real"
    if seen.low != 0 and len(seen.distinct) == seen.high - seen.low + 1 <= FEW:
        return "ordinal"
    return "count" if seen.low == 0 and seen.sum <= RARE * seen.rows else "real"


def _categories(where: str, seen: Seen, order: tuple[str, ...]) -> tuple[str, ...]:
    """The texts of a column of categories, in their order."""
    if len(seen.distinct) > MANY:
        raise UserError(
            f"{where}: has more than {MANY:,} different values; group them, or name it in "
            "data.ignore"
        )
    if not order:
        return tuple(seen.sorted())
    if missed := seen.distinct - {*order}:
        raise UserError(
            f"data.ordinal: {where}: {min(missed)!r} has no place in {'<'.join(order)!r}; add it "
            "there"
        )
    return order


def _measured(where: str, column: Column, seen: Seen) -> Column:
    """The column with the origin and the precision of its numbers."""
    span, middle = seen.high - seen.low, seen.low / 2 + seen.high / 2
    if max(-seen.low, seen.high) > LARGEST or 0 < span < SMALLEST:
        raise UserError(
            f"{where}: has numbers from {seen.low:g} to {seen.high:g}, which float32 does not "
            "resolve; give them in another unit, or name the column in data.ignore"
        )
    origin = float(np.round(middle)) if abs(middle) > FAR * max(span, 1e-300) else 0.0
    if column.kind in ("positive", "count"):
        origin = 0.0
    plain = seen.whole and not column.notation
    decimals = -1 if seen.decimals > PRECISE else 0 if plain else seen.decimals
    return replace(column, origin=origin, decimals=decimals)


def ranged(column: Column, x: Array) -> Column:
    """Return the column with the range of its values x (N,), and whether its dates are whole."""
    values = x[~np.isnan(x)]
    column = replace(column, low=float(values.min()), high=float(values.max()))
    if column.kind == "date" and (values == np.rint(values)).all():
        return replace(column, decimals=0)
    return column


def shaped(column: Column, x: Array) -> Column:
    """Return a column of inferred real numbers as heavy or positive, where its values x (N,) are.

    The tails are heavy where (q99.5 - q0.5) / (q75 - q25) is above `TAILS`; positive numbers are
    log-normal where the logarithm halves a skewness above `SKEWED`.
    """
    values = _some(x)
    if len(values) < ENOUGH or values.std() == 0:
        return column
    skewness = abs(_skewness(values))
    skewed = column.origin == 0 and values.min() > 0 and skewness > SKEWED
    if skewed and abs(_skewness(np.log(values))) < skewness / 2:
        return replace(column, kind="positive")
    low, first, third, high = np.quantile(values, [0.005, 0.25, 0.75, 0.995])
    heavy = high - low > TAILS * (third - first) or extreme(column, x)
    return replace(column, kind="heavy") if heavy else column


def extreme(column: Column, x: Array) -> str:
    """Return what is to be said of a column with a number far from the others x (N,); "" without.

    The range is above `EXTREME` interquartile ranges; that of a Gaussian is 7 in a million rows.
    """
    values = _some(x)
    if len(values) < ENOUGH or column.kind == "positive":
        return ""
    first, third = np.quantile(values, [0.25, 0.75])
    if not 0 < EXTREME * (third - first) < column.high - column.low:
        return ""
    ends = column.cells(np.array([column.low, column.high, first, third]))
    return (
        f"column {column.name!r} has cells far from the others: it goes from {ends[0]} to "
        f"{ends[1]}, but half of it lies between {ends[2]} and {ends[3]}; correct them if they are "
        "mistakes"
    )


def _some(x: Array) -> Array:
    """The values that are not empty, at most about `SAMPLE` of them, evenly spaced."""
    values = x[~np.isnan(x)]
    return values[:: max(1, len(values) // SAMPLE)].astype(float)


def _skewness(values: Array) -> float:
    centred = values - values.mean()
    return float((centred**3).mean() / max(centred.std(), 1e-300) ** 3)


def overrides(settings: Data, names: Sequence[str]) -> dict[str, str]:
    """Return the kind that the settings force on a column, by its name.

    Raises:
        UserError: There is no such column, or two settings name it.
    """
    forced: dict[str, str] = {}
    for setting, kind in OVERRIDES.items():
        for entry in getattr(settings, setting):
            name, equals, order = entry.partition("=")
            name = name.strip()
            if name not in names:
                raise UserError(f"data.{setting}: there is no column {name!r}; "
                    f"{nearest(name, names, '')}")  # fmt: skip
            if name in forced:
                raise UserError(f"data.{setting}: another setting names column {name!r}, too; "
                    "keep one")  # fmt: skip
            forced[name] = f"{kind}={order}" if equals else kind
    return forced


def described(columns: Sequence[Column]) -> list[str]:
    """Return lines that say what was inferred: one for each kind, and one for the empty cells."""
    by_kind: dict[str, list[str]] = {}
    for column in columns:
        by_kind.setdefault(column.kind, []).append(_brief(column))
    lines = [f"{kind}{_likelihood(kind)}: {', '.join(names)}" for kind, names in by_kind.items()]
    lines += [
        f"column {c.name!r}: {c.cells(np.array([c.high]))[0]!r} is read as {c.high + c.origin:.10g}"
        for c in columns
        if c.notation and c.notation != Notation()
    ]
    holes = sum(column.holes for column in columns if column.modelled)
    if holes:
        listed = sorted((c for c in columns if c.modelled and c.holes), key=lambda c: -c.holes)
        shown = ", ".join(f"{c.name} {c.holes:,}" for c in listed[:6])
        more = ", ..." if len(listed) > 6 else ""
        lines.append(f"{holes:,} empty cells: {shown}{more}")
    return lines


def _likelihood(kind: str) -> str:
    said = KINDS[kind].likelihood or KINDS[kind].about
    return "" if said == kind else f" ({said})"


def _brief(column: Column) -> str:
    name = " ".join(column.name.split())  # a header may have line breaks
    if column.kind == "date" and column.format:
        return f"{name} [{in_words(column.format)}]"
    if not KINDS[column.kind].words:
        return name
    shown = "<".join(column.values) if column.kind == "ordinal" else "|".join(column.values)
    return f"{name} [{shown if len(shown) < 40 else len(column.values)}]"
