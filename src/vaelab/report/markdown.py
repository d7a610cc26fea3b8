"""Text of a run in Markdown: escaped where it could mean something, tables, and blocks of code."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence


def escaped(text: str) -> str:
    r"""Return a line of Markdown that shows the text as it is, whatever characters it has.

    >>> escaped("<b>a_b|c & [d](e)")
    '&lt;b&gt;a\\_b\\|c &amp; \\[d\\](e)'
    """
    flat = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\|`*_\[\]#~$])", r"\\\1", flat)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table; `numbers` are the columns that are aligned to the right."""
    rule = ["--:" if column in numbers else ":--" for column in range(len(head))]
    lines = [[*map(escaped, head)], rule, *([*map(escaped, row)] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def block(text: str, language: str = "") -> str:
    """Return a block of code, between fences that are longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"
