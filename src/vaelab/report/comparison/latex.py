r"""A comparison as LaTeX: one table of the package booktabs for each section, and the cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vaelab.evaluation.latex import ARROWS, comment, escaped, number, tabular
from vaelab.evaluation.paired import Row
from vaelab.report.comparison.cells import Cell


def comparison(context: dict[str, Any]) -> str:
    """Return the tables of a comparison, from the variables of its templates.

    Below the value of a run stands its difference to the first with its interval. The value of a
    run that is judged better is bold.
    """
    t, names = context["t"], [escaped(name) for name in context["names"]]
    columns = "l" + "r" * len(names) + "l"
    head = [t("number"), *names, t("unit")]
    tables = []
    for title, shown in context["sections"].items():
        rows = [line for one in shown for line in _rows(one.row, one.unit, one.cells)]
        noted = sorted({cell.note for one in shown for cell in one.cells if cell.note})
        notes = [f"{_mark(note)} {escaped(context['notes'][note - 1])}" for note in noted]
        tables.append(_captioned(title, tabular(columns, head, [rows]), notes))
    costs = [[escaped(name), *map(number, values)] for name, values in context["costs"].values()]
    cost = tabular("l" + "r" * len(names), [t("cost"), *names], [costs])
    tables.append(_captioned(t("heading.cost"), cost))
    about = [context["title"], *context["findings"], context["scope"], *context["how"]]
    return "\n\n".join([comment(*about), *tables]) + "\n"


def _rows(row: Row, unit: str, cells: Sequence[Cell]) -> list[list[str]]:
    """Return the values of a metric, and below them the differences where there are any."""
    name = escaped(row.key.replace("_", " ")) + ARROWS[row.metric.better]
    values = [_value(cell) for cell in cells]
    differences = [
        rf"{{\footnotesize {number(cell.difference)}}}" if cell.difference else "" for cell in cells
    ]
    return [[name, *values, escaped(unit)], *([["", *differences, ""]] if any(differences) else [])]


def _value(cell: Cell) -> str:
    found = number(cell.value) if cell.value else "--"
    found = rf"{{\boldmath {found}}}" if cell.verdict == "better" else found
    return found + _mark(cell.note) if cell.note else found


def _mark(note: int) -> str:
    return f"$^{{{note}}}$"


def _captioned(title: str, table: str, notes: Sequence[str] = ()) -> str:
    """Return a table with its caption, and below it why numbers are not judged."""
    below = [rf"\par\smallskip{{\footnotesize {' '.join(notes)}}}"] if notes else []
    caption = rf"\caption{{{escaped(title)}}}"
    return "\n".join([r"\begin{table}", r"\centering", caption, table, *below, r"\end{table}"])
