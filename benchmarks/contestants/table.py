"""Medians, ratios, and the table of a result in Markdown."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- peers: begin -->\n", "<!-- peers: end -->"
HEADS = (
    "program", "epoch, s", "to {target}, s", "memory, MiB", "import, s", "IW-NLL, ms",
    "command, s",
)  # fmt: skip


def summary(values: Sequence[float], ours: Sequence[float] = ()) -> dict[str, Any]:
    """The median and the range of seconds, and of their ratios to vaelab's in the same rounds."""
    numbers = _summary("", values)
    pairs = [theirs / own for theirs, own in zip(values, ours, strict=False)]
    return numbers | (_summary("ratio_", pairs) if pairs else {})


def _summary(prefix: str, values: Sequence[float]) -> dict[str, Any]:
    least, most = min(values), max(values)
    middle = statistics.median(values)
    return {
        f"{prefix}median": round(middle, 4),
        f"{prefix}range": [round(least, 4), round(most, 4)],
    }


def table(result: dict[str, Any]) -> str:
    """The contestants, slowest first, with a line above about the measurement."""
    contestants = result["contestants"]
    order = sorted(contestants, key=lambda name: -contestants[name]["epoch"]["median"])
    heads = [head.format(target=result["target"]) for head in HEADS]
    lines = [
        f"Processor: {result['processor']}, {_threads(result['threads'])}, {result['date']}; "
        f"{result['images']:,} training images. "
        "Medians; ratios to vaelab's epochs, with their range.",
        "",
        f"| {' | '.join(heads)} |",
        "|---" * len(heads) + "|",
    ]
    for name in order:
        lines.append(f"| {' | '.join([name, *_cells(contestants[name])])} |")
    packages = {one for each in contestants.values() for one in each["versions"].items()}
    lines += ["", f"With {', '.join(' '.join(one) for one in sorted(packages))}."]
    if reasons := [f"{name} ({why})" for name, why in result["left_out"].items()]:
        lines += ["", f"Left out: {'; '.join(reasons)}."]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    epoch, nothing = row["epoch"], "–"
    seconds = f"{epoch['median']:.2f}"
    if "ratio_median" in epoch:
        least, most = epoch["ratio_range"]
        seconds += f", {epoch['ratio_median']:.2f} times ({least:.2f} to {most:.2f})"
    reached = nothing
    if losses := row.get("test_losses"):
        reached = f"not in {_epochs(len(losses))} ({losses[-1]:.2f})"
        if target := row.get("target"):
            reached = f"{target['seconds']:.1f} ({_epochs(target['epochs'])})"
    memory, command = row.get("memory_mib"), row.get("command")
    return [
        seconds,
        reached,
        f"{memory['most']}" if memory else nothing,
        f"{row['import']['median']:.2f}" if "import" in row else nothing,
        f"{row['nll']['median']:.1f}" if "nll" in row else nothing,
        f"{command['seconds']:.0f} ({_epochs(command['epochs'])})" if command else nothing,
    ]


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' * (count > 1)}"


def put(text: str, page: Path) -> None:
    """Write the table between the marks of a page.

    Raises:
        SystemExit: The page has no marks.
    """
    marked, before = re.compile(f"({BEGIN}).*?(?={END})", re.DOTALL), page.read_text("utf-8")
    if not marked.search(before):
        raise SystemExit(f"{page}: has no place for the table; add the lines {BEGIN}{END}")
    page.write_text(marked.sub(lambda marks: marks[1] + text, before), "utf-8")
