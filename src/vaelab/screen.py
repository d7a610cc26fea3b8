"""What output looks like where it appears: lines that can be replaced, and progress bars."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def in_notebook() -> bool:
    """Return whether stdout is the output of a notebook's cell."""
    return type(sys.stdout).__module__.startswith("ipykernel.")


def replaces_lines() -> bool:
    """Return whether a carriage return on stdout goes back to the start of the line."""
    try:
        return in_notebook() or sys.stdout.isatty()
    except (AttributeError, ValueError):  # there is no stdout, or it is closed
        return False


def bar(
    rows: Iterable[Any] | None, name: str, total: int, unit: str = "it", quiet: bool = False
) -> tqdm[Any]:
    """Return a progress bar that vanishes at its end; a log has none.

    In a notebook it is text in the cell, which needs no widgets.

    Args:
        rows: What it counts while they are consumed; None where its `update` is called.
        name: The text before the bar.
        total: The number of rows.
        unit: What is counted.
        quiet: Whether to hide it.
    """
    cell = in_notebook()
    hidden = True if quiet else False if cell else None  # None: only where stderr is a terminal
    file, width = (sys.stdout, 79) if cell else (None, None)
    return tqdm(
        rows, name, total, leave=False, file=file, ncols=width, unit=unit, disable=hidden
    )  # fmt: skip
