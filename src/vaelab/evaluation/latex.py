r"""An evaluation as a LaTeX table, and what all LaTeX tables need: escaped texts and numbers.

The tables are those of the package booktabs. A document may need more than its usual font for names
in other scripts (LuaLaTeX or XeLaTeX).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vaelab.evaluation.sections import METRICS
from vaelab.evaluation.text import LINES, Sections, header, is_table, written
from vaelab.language import Lang, text

_ESCAPED = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\char34{}",
    "-": "{-}", "[": "{[}", "]": "{]}", "*": "{*}",
    "−": "$-$", "±": r"$\pm$", "≥": r"$\geq$", "≤": r"$\leq$", "→": r"$\to$", "×": r"$\times$",
    "β": r"$\beta$", "–": "--", "—": "---", "…": r"\ldots{}",
}  # fmt: skip
_POWER = re.compile(r"e\+?(-?)0*(\d+)")
_NUMBER = re.compile(r"[+−-]?\d[\d.,;e+−± \[\]-]*")
ARROWS = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "": ""}


def escaped(words: object) -> str:
    r"""Return text as LaTeX that prints it: no character of it is a command.

    >>> escaped("50% of $x_1$\\n -> a")
    '50\\% of \\$x\\_1\\$\\textbackslash{}n {-}\\textgreater{} a'
    """
    line = "".join(c if c.isprintable() else " " for c in str(words))
    return "".join(_ESCAPED.get(character, character) for character in line)


def number(words: str) -> str:
    r"""Return a number that was written for people in math mode; any other text is escaped.

    >>> number("−1,234.5 ± 2.5"), number("1.2e+05"), number("not recorded")
    ('$-1{,}234.5 \\pm 2.5$', '$1.2 \\times 10^{5}$', 'not recorded')
    """
    if not _NUMBER.fullmatch(words):
        return escaped(words)
    found = words.replace("−", "-").replace("±", r"\pm").replace(" [", r"\ [")
    found = _POWER.sub(lambda power: rf" \times 10^{{{power[1]}{power[2]}}}", found)
    return "$" + re.sub(r",(?=\d)", "{,}", found) + "$"


def tabular(columns: str, head: Sequence[str], groups: Sequence[Sequence[Sequence[str]]]) -> str:
    """Return a table of LaTeX cells: its columns (`lrr`), its head, and its rows in groups."""
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _line(head)]
    for rows in groups:
        lines += [r"\midrule", *map(_line, rows)]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def comment(*lines: str) -> str:
    """Return comments, each on one line, and what the preamble of a document needs."""
    whole = [*lines, r"Preamble: \usepackage{booktabs}"]
    return "\n".join(f"% {' '.join(line.split())}" for line in whole)


def table(
    protocol: Mapping[str, Any], sections: Sections, lang: Lang = "en", every: bool = False
) -> str:
    """Return the numbers of the summary, or every number, as a table with units, by section."""
    main = {key for keys in LINES.values() for key in keys}
    groups = []
    for name, section in sections.items():
        there = [key for key in METRICS[name] if key in section]
        chosen = [key for key in there if every or f"{name}.{key}" in main]
        table = is_table(protocol)
        rows = [row for key in chosen for row in _rows(name, key, section[key], lang, table)]
        groups += [rows] if rows else []
    head = [text("summary", key, lang) for key in ("number", "value", "unit")]
    return comment(header(protocol, lang)) + "\n" + tabular("lrl", head, groups)


def _rows(section: str, key: str, value: Any, lang: Lang, table: bool) -> list[list[str]]:
    """Return rows of name, value and unit; a dictionary has a row for each entry."""
    metric = METRICS[section][key]
    name = escaped(key.replace("_", " ")) + ARROWS[metric.better]
    unit = escaped(metric.unit and text("units", metric.unit, lang, table))
    if not isinstance(value, dict):
        return [[name, number(written(value, lang)), unit]]
    inner = [[rf"\quad {escaped(k)}", number(written(v, lang)), unit] for k, v in value.items()]
    return [[name, "", ""], *inner]
