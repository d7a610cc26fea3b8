"""Cells: how the text of a table is cut into rows and columns, inferred from its first rows."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vaelab.data.blocks import Lines
from vaelab.data.schema import Array
from vaelab.errors import UserError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
HINT = "sep="  # Excel's first line, which names the separator
LOOKED = 200  # rows by which separator, decimal mark and header are inferred
ALSO = "°²³µ€£§–—‘’“”"  # what words of Western Europe have besides letters
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")
GROUPED = re.compile(r"\s*[-+]?[1-9]\d{0,2}(\.\d{3})+\s*")  # thousands, or three decimals
ENDS = re.compile(r"\r\n|\r|\n")


class Layout(NamedTuple):
    """How the text of a table is cut into cells."""

    encoding: str
    separator: str
    decimal: str
    trailing: int  # empty cells at the end of every row


def layout_of(path: Path) -> Layout:
    """How a table is cut. Raises `UserError` for text in an encoding that cannot be told."""
    with path.open("rb") as file:
        start = file.read(2**16)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif 4 * start.count(b"\0") > len(start):
        raise UserError(f"{path}: contains zero bytes, as UTF-16 does; save it as UTF-8")
    else:
        encoding = "utf-8-sig" if _decodes(path, "utf-8") else "cp1252"
        if encoding == "cp1252" and not _decodes(path, encoding):
            raise UserError(f"{path}: is text in an unknown encoding; save it as UTF-8")
    lines = [line for line in ENDS.split(start.decode(encoding, "replace")) if line.strip()]
    if lines and lines[0].lower().startswith(HINT):
        del lines[0]
    lines = lines[:LOOKED] if len(lines) < 3 else lines[: min(LOOKED, len(lines) - 1)]
    separator = max(SEPARATORS, key=lambda mark: _consistency(lines, mark))
    if separator == "," and _is_one_column(lines):
        return Layout(encoding, ";", ",", 0)
    cells = list(_cut(lines, separator))
    empty = [len(row) - max([i for i, c in enumerate(row, 1) if c], default=0) for row in cells]
    trailing = min(empty) if len(cells) > 1 and len(cells[0]) > 1 else 0
    layout = Layout(encoding, separator, ".", trailing)
    return layout._replace(decimal=_decimal(path, layout, cells[1:] or cells))


def _decimal(path: Path, layout: Layout, sample: Sequence[Sequence[str]]) -> str:
    """The decimal mark of the numbers. Words and dates, which have points too, do not count."""
    flat = [cell for row in sample for cell in row]
    commas = any(DECIMAL_COMMA.fullmatch(cell) for cell in flat)
    points = any(map(_has_point, flat))
    if layout.separator == "," or points:
        return "."
    if commas:
        return ","
    with path.open("rb") as file:
        if not any(b"," in chunk for chunk in iter(lambda: file.read(2**20), b"")):
            return "."
    for _, row in rows_of(path, layout):  # the first rows are whole numbers: look further
        for cell in row:
            if DECIMAL_COMMA.fullmatch(cell) or _has_point(cell):
                return "," if "," in cell else "."
    return "."


def _has_point(cell: str) -> bool:
    """Whether a cell is a number with a decimal point; 1.234 may as well have thousands."""
    return "." in cell and _is_plain(cell) and not GROUPED.fullmatch(cell)


def _is_one_column(lines: Sequence[str]) -> bool:
    """Whether what looks like two columns of whole numbers is one of decimal commas.

    0,05 and -0,5 tell, and so does a header of one cell, unless the numbers before the commas all
    differ as names of rows do.
    """
    head, *rest = lines or [""]
    if not rest or not all(map(DECIMAL_COMMA.fullmatch, rest)):
        return False
    if "," in head and not DECIMAL_COMMA.fullmatch(head):
        return False
    pairs = [line.strip().split(",") for line in rest]
    if any(a.startswith("-0") or (len(b) > 1 and b[0] == "0") for a, b in pairs):
        return True
    return "," not in head and len({a for a, _ in pairs}) < len(pairs)


def check_words(path: Path, layout: Layout, words: Iterable[str]) -> None:
    """Raise `UserError` for names that are nonsense in an encoding that is only guessed."""
    if layout.encoding != "cp1252":
        return
    for word in words:
        foreign = [c for c in word if ord(c) > 127]
        letters = sum(c.isalpha() for c in word)
        odd = any(not c.isalpha() and c not in ALSO for c in foreign)
        if foreign and (odd or 2 * sum(c.isalpha() for c in foreign) > letters):
            raise UserError(
                f"{path}: is text in an unknown encoding ({word!r} if it were cp1252); "
                "save it as UTF-8"
            )


def _decodes(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(2**20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _cut(lines: Iterable[str], separator: str, whole: bool = True) -> Any:
    """A csv reader of lines; several spaces are one separator."""
    if separator == " ":
        lines = (" ".join(line.removeprefix("#").split()) for line in lines)
    lines = _uncommented(lines, separator) if whole else lines
    return csv.reader(lines, delimiter=separator)


def _uncommented(lines: Iterable[str], separator: str) -> Iterator[str]:
    """The lines; NumPy begins a header with a "#", which is no part of the first name."""
    for number, line in enumerate(lines):
        if number == 0 and line.startswith("#") and line.split(separator)[0].strip("# \n"):
            yield line.lstrip("# ")
        else:
            yield line


def _consistency(lines: Sequence[str], separator: str) -> tuple[float, float, int]:
    """How well a separator fits: shares of rows of one width and of numbers, and the width."""
    rows = list(_cut(lines, separator))
    widths = [len(row) for row in rows]
    width = max(set(widths), key=widths.count) if widths else 0
    if width < 2:
        return 0.0, 0.0, width
    cells = [cell for row in rows[1:] or rows for cell in row if cell.strip()]
    numbers = sum(bool(DECIMAL_COMMA.fullmatch(cell)) or _is_plain(cell) for cell in cells)
    return widths.count(width) / len(widths), numbers / max(1, len(cells)), width


def _is_plain(cell: str) -> bool:
    """Whether a cell is a number with a decimal point; 1_000, which Python reads, is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def rows_of(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows that are not blank."""
    with path.open(encoding=layout.encoding, newline="") as file:
        yield from rows_in(Lines(file), layout, str(path))


def rows_in(lines: Lines, layout: Layout, origin: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of the rows that are not blank; no line is taken ahead of its row."""
    kept: list[str] = []  # the lines of a row
    reader = _cut(_noted(lines, kept), layout.separator, whole=lines.count == 0)
    while True:
        kept.clear()
        begun = lines.count + 1
        try:
            row = next(reader, None)
            if len(kept) > 1:  # quotes with line breaks between them are complete, or refused
                list(csv.reader(kept, delimiter=layout.separator, strict=True))
        except csv.Error:
            raise UserError(
                f"{origin}: line {begun}: a quote is not closed, or stands within a cell; remove "
                "it, or double it there"
            ) from None
        if row is None:
            return
        if begun == 1 and row and row[0].lower().startswith(HINT):
            continue
        empty = layout.trailing and not any(row[-layout.trailing :])
        cells = row[: -layout.trailing] if empty else row
        if any(cell.strip() for cell in cells):
            yield begun, cells


def _noted(lines: Iterable[str], kept: list[str]) -> Iterator[str]:
    """The lines, which are put down in `kept`, too."""
    for line in lines:
        kept.append(line)
        yield line


def number(cell: str, decimal: str) -> float:
    """Return the plain number that a cell stands for. Raises ValueError if it is none."""
    if "_" in cell or (decimal == "," and "." in cell):  # Python would read 1_000
        raise ValueError(cell)
    value = float(cell.replace(",", ".") if decimal == "," else cell)
    if value != value:
        raise ValueError(cell)
    return value


def numbers(cells: Sequence[str], decimal: str) -> Array:
    """Return the plain numbers (N,) float64 of cells. Raises ValueError where one is none."""
    text = "\n".join(cells)
    if "_" in text or (decimal == "," and "." in text):
        raise ValueError
    if decimal == ",":
        commas, cells = cells, text.replace(",", ".").split("\n")
        if len(cells) != len(commas):  # a line break within a cell
            raise ValueError
    values = np.fromiter(map(float, cells), float, len(cells))
    if np.isnan(values).any():
        raise ValueError
    return values


def is_number(cell: str, layout: Layout) -> bool:
    try:
        number(cell, layout.decimal)
    except ValueError:
        return False
    return True
