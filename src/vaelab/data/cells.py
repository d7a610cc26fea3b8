"""Cells: how the text of a table is cut into rows and columns, inferred from its first rows."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars", " ": "spaces"}
HINT = "sep="  # Excel's first line, which names the separator
LOOKED = 200  # rows by which separator, decimal mark and header are inferred
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*")


class Layout(NamedTuple):
    """How the text of a table is cut into cells."""

    encoding: str
    separator: str
    decimal: str
    trailing: bool  # every row ends with a separator


def layout_of(path: Path) -> Layout:
    with path.open("rb") as file:
        start = file.read(2**16)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        encoding = "utf-8-sig" if _decodes(path, "utf-8") else "cp1252"
    lines = [line for line in start.decode(encoding, "replace").splitlines() if line.strip()]
    if lines and lines[0].lower().startswith(HINT):
        del lines[0]
    lines = lines[:LOOKED] if len(lines) < 3 else lines[: min(LOOKED, len(lines) - 1)]
    separator = max(SEPARATORS, key=lambda mark: _consistency(lines, mark))
    cells = list(_cut(lines, separator))
    flat = [cell for row in cells[1:] or cells for cell in row]
    commas = sum(bool(DECIMAL_COMMA.fullmatch(cell)) for cell in flat)
    decimal = "," if separator != "," and commas and not any("." in c for c in flat) else "."
    trailing = len(cells) > 1 and len(cells[0]) > 1 and all(row and not row[-1] for row in cells)
    return Layout(encoding, separator, decimal, trailing)


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


def _cut(lines: Iterable[str], separator: str) -> Any:
    """A csv reader of lines; several spaces are one separator."""
    if separator == " ":
        lines = (" ".join(line.removeprefix("#").split()) for line in lines)
    return csv.reader(lines, delimiter=separator)


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
        reader = _cut(file, layout.separator)
        for row in reader:
            if reader.line_num == 1 and row and row[0].lower().startswith(HINT):
                continue
            cells = row[:-1] if layout.trailing and row and not row[-1] else row
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells


def number(cell: str, layout: Layout) -> float:
    if "_" in cell:  # Python would read 1_000
        raise ValueError(cell)
    return float(cell.replace(",", ".") if layout.decimal == "," else cell)


def is_number(cell: str, layout: Layout) -> bool:
    try:
        number(cell, layout)
    except ValueError:
        return False
    return True
