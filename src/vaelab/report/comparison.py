"""A comparison as Markdown, as a summary for the terminal, and as one HTML file with pictures."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from vaelab.evaluation.entries import COST
from vaelab.evaluation.intervals import Interval
from vaelab.evaluation.meanings import about
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.paired import GENERATIVE, LEVEL, Comparison, Row
from vaelab.files import put
from vaelab.plots import encode
from vaelab.report.pictures import pictures
from vaelab.report.tables import record, table_csv

# Headings of sections; the others are the capitalised names.
TITLES = {"latent": "Latent space", "samples": "Samples and reconstructions"}
MARKS = {"better": "✓ better", "worse": "✗ worse", "no difference shown": "≈ no difference shown"}


FILES = ("comparison.md", "comparison.csv", "comparison.json", "comparison.html")


def write(comparison: Comparison, out: Path) -> list[Path]:
    """Write every file of a comparison into a folder and return their paths."""
    runs = {name: entry.runs[0] for name, entry in comparison.entries.items()}
    drawn = pictures(runs)
    panels = {
        kind: {whose: encode(page) for whose, page in alone.items()}
        for kind, (_, alone) in drawn.items()
    }
    files = {f"figures/{kind}.png": encode(together) for kind, (together, _) in drawn.items()}
    tables = (
        markdown(comparison),
        table_csv(comparison),
        json.dumps(record(comparison), indent=1) + "\n",
        html(comparison, panels),
    )
    files |= {name: text.encode() for name, text in zip(FILES, tables, strict=True)}
    return [put(out, name, payload) for name, payload in files.items()]


def markdown(comparison: Comparison) -> str:
    """Return the whole comparison without pictures as Markdown with aligned columns."""
    return _templates(False).get_template("comparison.md").render(_context(comparison))


def brief(comparison: Comparison) -> str:
    """Return a summary for the terminal.

    It contains the findings, the judged metrics, the cost, and the scope of the intervals.
    """
    return _templates(False).get_template("comparison.txt").render(_context(comparison))


def html(comparison: Comparison, panels: Mapping[str, Mapping[str, bytes]]) -> str:
    """Return an HTML page without scripts that contains the pictures (kind -> run -> PNG)."""
    encoded = {
        kind: {whose: base64.b64encode(page).decode() for whose, page in pages.items()}
        for kind, pages in panels.items()
    }
    return (
        _templates(True)
        .get_template("comparison.html")
        .render(_context(comparison), pictures=encoded)
    )


@cache
def _templates(escape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("vaelab.report"),
        autoescape=escape,  # also for the sentences that the page shares with Markdown
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["aligned"] = aligned
    return environment


def _context(comparison: Comparison) -> dict[str, Any]:
    """Return the variables of the templates."""
    names = comparison.names
    judged = [row for row in comparison.rows if row.judged or _refused(row)]
    notes = list(dict.fromkeys(reason for row in judged for reason in row.reasons if reason))
    sections: dict[str, list[tuple[Row, str, list[Cell]]]] = {}
    for row in comparison.rows:
        title = TITLES.get(row.section, row.section.capitalize())
        sections.setdefault(title, []).append((row, _about(row), cells(row, notes)))
    verdicts = [
        row for rows in sections.values() for row in rows if any(cell.verdict for cell in row[2])
    ]
    costs = {name: entry.cost for name, entry in comparison.entries.items()}
    unlike = {key: values for key, values in comparison.unlike.items() if key not in COST}
    unjudged = {reason: [row.key for row in judged if reason in row.reasons] for reason in notes}
    return {
        "names": names,
        "seeds": comparison.seeds,
        "level": f"{100 * comparison.level:.4g} %",
        "marks": MARKS,
        "findings": comparison.findings,
        "with_interval": (count := sum(any(row.intervals) for row in judged)),
        "by_chance": f"{(1 - LEVEL) * count:.2g}",
        "sections": sections,
        "tables": {title: _lines(names, rows) for title, rows in sections.items()},
        "judged": [[line[0], *line[3:]] for line in _lines(names, verdicts)] if verdicts else [],
        "notes": notes,
        "unjudged": unjudged,
        "unlike": unlike,
        "unlike_cost": {key: values for key, values in comparison.unlike.items() if key in COST},
        "compared": comparison.compared,
        "same": comparison.same,
        "cost": [
            ["", *names],
            *([key, *(_cost(costs[name][key], key) for name in names)] for key in costs[names[0]]),
        ],
        "noted": comparison.noted,
        "protocol": comparison.protocol,
    }


def _refused(row: Row) -> bool:
    """Return whether a metric that is usually judged is not comparable between these runs."""
    return (row.section, row.key) in GENERATIVE and any(row.reasons)


class Cell(NamedTuple):
    """The metric of one run in a row, as text."""

    value: str  # "" if it is missing
    difference: str  # to the first run, with its interval
    verdict: str  # a key of MARKS, or ""
    note: int  # number, from 1, of the reason why it is not judged; 0 if there is none


def cells(row: Row, notes: Sequence[str]) -> list[Cell]:
    """Return the cells of a row. The first run is marked better if all others are worse."""
    verdicts = row.verdicts
    verdicts[0] = "better" if all(verdict == "worse" for verdict in verdicts[1:]) else ""
    return [
        Cell(
            _estimate(value) if value else "",
            _interval(interval) if interval else "",
            verdict,
            notes.index(reason) + 1 if reason in notes else 0,
        )
        for value, interval, verdict, reason in zip(
            row.values, row.intervals, verdicts, row.reasons, strict=True
        )
    ]


def _lines(names: Sequence[str], rows: Sequence[tuple[Row, str, list[Cell]]]) -> list[list[str]]:
    """Return the rows of a section as a table of texts with a header."""
    found = [
        [
            "number",
            "better",
            "unit",
            names[0],
            *(w for name in names[1:] for w in (name, f"{name} − {names[0]}", "")),
        ]
    ]
    for row, _, (first, *others) in rows:
        line = [row.key.replace("_", " "), row.metric.better, row.metric.unit, first.value]
        for cell in others:
            line += [
                cell.value,
                cell.difference,
                f"({cell.note})" if cell.note else MARKS.get(cell.verdict, ""),
            ]
        found.append(line)
    return found


def _about(row: Row) -> str:
    """Describe a metric: meaning, unit, better side, and the value of real images."""
    better = f"{row.metric.better} is better" if row.metric.better else ""
    real = f"real images: {_estimate(row.real)}" if row.real else ""
    parts = (about(row.section, row.key), row.metric.unit, better, real)
    return "; ".join(part for part in parts if part)


def _estimate(value: Estimate) -> str:
    digits = _digits(value.value, value.error)
    return _number(value.value, digits) + (
        f" ± {_number(value.error, digits)}" if value.error is not None else ""
    )


def _interval(found: Interval) -> str:
    digits = _digits(found.value, (found.high - found.low) / 2)
    nearest = min(found.low, found.high, key=abs)
    # The rounded ends of an interval that excludes zero must not be zero.
    while found.sign and not round(nearest, digits):
        digits += 1
    ends = f"[{_number(found.low, digits)}, {_number(found.high, digits)}]"
    return f"{_number(found.value, digits, '+')} {ends}"


def _digits(value: float, spread: float | None) -> int:
    """Return the number of decimals, at most four.

    They give two digits of the error or of half the interval, or else four digits of the value.
    """
    if not spread and value == round(value):
        return 0
    return min(4, max(0, (1 if spread else 3) - math.floor(math.log10(spread or abs(value)))))


def _number(value: float, digits: int, sign: str = "") -> str:
    """Format with thousands separators and a minus sign (U+2212); zero has no sign."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:{sign if rounded else ''},.{digits}f}".replace("-", "−")


def _cost(value: float | None, key: str) -> str:
    if value is None:
        return "not recorded"
    return f"{value:.3g}" if key.startswith("seconds") and value < 1000 else f"{value:,.0f}"


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a Markdown table; `rows` begins with the header.

    The first `left` columns are left-aligned, the others right-aligned. A | in a cell is escaped.

    >>> print(aligned([["number", "a"], ["loss", "1.5"]]))
    | number |   a |
    | ------ | --: |
    | loss   | 1.5 |
    """
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [
        [
            f"{c:<{w}}" if i < left else f"{c:>{w}}"
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
