"""A comparison as Markdown, as a summary for the terminal, and as one HTML file with pictures."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from vaelab.evaluation.entries import COST
from vaelab.evaluation.meanings import about
from vaelab.evaluation.paired import GENERATIVE, LEVEL, Comparison, Row
from vaelab.files import put
from vaelab.language import TEXTS, Lang, text
from vaelab.plots import encode
from vaelab.report import page
from vaelab.report.comparison import latex, sentences
from vaelab.report.comparison.cells import Cell, cells, cost, estimate
from vaelab.report.comparison.pictures import pictures
from vaelab.report.comparison.tables import record, table_csv

FILES = ("comparison.md", "comparison.csv", "comparison.json", "comparison.tex", "comparison.html")


def write(comparison: Comparison, out: Path, lang: Lang | None = None) -> list[Path]:
    """Write every file of a comparison into a folder and return their paths.

    Without a language, the page has that of the first run's figures, and the other files English.
    """
    runs = {name: entry.runs[0] for name, entry in comparison.entries.items()}
    settings = next(iter(runs.values())).recipe.figures
    shown = lang or settings.lang
    drawn = pictures(runs, shown)
    panels = {
        kind: {whose: encode(figure) for whose, figure in alone.items()}
        for kind, (_, alone) in drawn.items()
    }
    files = {
        f"figures/{kind}.{suffix}": encode(together, suffix)
        for kind, (together, _) in drawn.items()
        for suffix in settings.format
    }
    tables = (
        markdown(comparison, lang or "en"),
        table_csv(comparison),
        json.dumps(record(comparison), indent=1) + "\n",
        latex.comparison(_context(comparison, lang or "en")),
        html(comparison, panels, shown),
    )
    files |= {name: content.encode() for name, content in zip(FILES, tables, strict=True)}
    return [put(out, name, payload) for name, payload in files.items()]


def markdown(comparison: Comparison, lang: Lang = "en") -> str:
    """Return the whole comparison without pictures as Markdown with aligned columns."""
    return _plain("comparison.md", comparison, lang)


def brief(comparison: Comparison, lang: Lang = "en") -> str:
    """Return a summary for the terminal.

    It contains the findings, the judged metrics, the cost, and the scope of the intervals.
    """
    return _plain("comparison.txt", comparison, lang)


def html(
    comparison: Comparison, panels: Mapping[str, Mapping[str, bytes]], lang: Lang = "en"
) -> str:
    """Return an HTML page without scripts that contains the pictures (kind -> run -> PNG)."""
    encoded = {
        kind: {whose: base64.b64encode(png).decode() for whose, png in pages.items()}
        for kind, pages in panels.items()
    }
    return page.static("comparison", lang, **_context(comparison, lang), pictures=encoded)


def _plain(template: str, comparison: Comparison, lang: Lang) -> str:
    context = _context(comparison, lang) | {"aligned": aligned}
    return page.environment(escape=False).get_template(template).render(context)


class Shown(NamedTuple):
    """A row, what it is, its unit, and its numbers as text."""

    row: Row
    about: str
    unit: str
    cells: list[Cell]


def _context(comparison: Comparison, lang: Lang) -> dict[str, Any]:
    """Return the variables of the templates."""
    names, t = comparison.names, partial(_text, lang)
    judged = [row for row in comparison.rows if row.judged or _refused(row)]
    reasons = list(dict.fromkeys(one for row in judged for one in row.obstacles if one))
    sections: dict[str, list[Shown]] = {}
    for row in comparison.rows:
        own = row.metric.unit and text("units", row.metric.unit, lang)
        shown = Shown(row, _about(row, own, lang), own, cells(row, reasons, lang))
        sections.setdefault(t(f"section.{row.section}"), []).append(shown)
    verdicts = [
        row for rows in sections.values() for row in rows if any(cell.verdict for cell in row.cells)
    ]
    differing = {key: values for key, values in comparison.unlike.items() if key not in COST}
    machines = {key: values for key, values in comparison.unlike.items() if key in COST}
    count = sum(any(row.intervals) for row in judged)
    return {
        "t": t,
        "title": t("title", others=", ".join(names[1:]), first=names[0]),
        "names": names,
        "findings": [*comparison.sentences(lang).values()],
        "scope": sentences.scope(comparison.seeds, lang),
        "how": sentences.how(comparison, count, (1 - LEVEL) * count, lang),
        "sections": sections,
        "tables": {title: _lines(names, rows, lang) for title, rows in sections.items()},
        "judged": [[line[0], *line[3:]] for line in _lines(names, verdicts, lang)]
        if verdicts
        else [],
        "notes": [reason.text(lang) for reason in reasons],
        "unjudged": [
            f"{', '.join(_name(row) for row in judged if reason in row.obstacles)} "
            f"({reason.text(lang)})."
            for reason in reasons
        ],
        "all_unlike": sentences.all_unlike(names, differing, lang) if differing else "",
        "all_machines": sentences.all_unlike(names, machines, lang) if machines else "",
        "unlike": [sentences.unlike(key, values, lang) for key, values in differing.items()],
        "machines": [sentences.unlike(key, values, lang) for key, values in machines.items()],
        "compared": [
            sentences.unlike(key, values, lang) for key, values in comparison.compared.items()
        ],
        "same": "; ".join(
            f"{sentences.named(key, lang)} {sentences.value_of(key, value, lang)}"
            for key, value in comparison.same.items()
        ),
        "costs": (costs := _costs(comparison, lang)),
        "cost_lines": [["", *names], *([name, *values] for name, values in costs.values())],
        "noted": [
            (", ".join(of), sentences.named(note, lang), note in TEXTS["comparison"])
            for note, of in comparison.noted.items()
        ],
        "protocol": {
            sentences.named(key, lang): sentences.value_of(key, value, lang)
            for key, value in comparison.protocol.items()
        },
    }


def _text(lang: Lang, key: str, **slots: object) -> str:
    return text("comparison", key, lang, **slots)


def _costs(comparison: Comparison, lang: Lang) -> dict[str, tuple[str, list[str]]]:
    """Return what each cost of training is called, and its value for each run."""
    costs = [entry.cost for entry in comparison.entries.values()]
    return {
        key: (sentences.named(key, lang), [cost(one[key], key, lang) for one in costs])
        for key in costs[0]
    }


def _name(row: Row) -> str:
    return row.key.replace("_", " ")


def _refused(row: Row) -> bool:
    """Return whether a metric that is usually judged is not comparable between these runs."""
    return (row.section, row.key) in GENERATIVE and any(row.obstacles)


def _lines(names: Sequence[str], rows: Sequence[Shown], lang: Lang) -> list[list[str]]:
    """Return the rows of a section as a table of texts with a header."""
    t = partial(_text, lang)
    others = (w for name in names[1:] for w in (name, f"{name} − {names[0]}", ""))
    found = [[t("number"), t("better"), t("unit"), names[0], *others]]
    for row, _, own, (first, *rest) in rows:
        better = row.metric.better and t(row.metric.better)
        line = [_name(row), better, own, first.value]
        for cell in rest:
            mark = cell.verdict and t(f"mark.{cell.verdict}")
            line += [cell.value, cell.difference, f"({cell.note})" if cell.note else mark]
        found.append(line)
    return found


def _about(row: Row, unit: str, lang: Lang) -> str:
    """Describe a metric: meaning, unit, better side, and the value of real images."""
    better = row.metric.better and text("units", row.metric.better, lang)
    real = _text(lang, "real images", value=estimate(row.real, lang)) if row.real else ""
    parts = (about(row.section, row.key, lang), unit, better, real)
    return "; ".join(part for part in parts if part)


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
