"""The tables of models and of numbers in words: for the command line and the documents.

``python -m vaelab.cli.catalogue README.md docs/models.md docs/numbers.md`` brings their tables up to date. Only the table
of numbers imports torch.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vaelab.cli.rooms import tree
from vaelab.recipes import AXES, ROWS, Model, Objective, Row, idle, reference, refusal


def listing() -> dict[str, str]:
    """The rows by name: likelihood, prior, posterior and objective in columns, what it is, where it comes from."""
    axes = {
        name: (row.likelihood or "any", row.prior, row.posterior, row.objective)
        for name, row in ROWS.items()
    }
    widths = [max(map(len, column)) for column in zip(*axes.values(), strict=True)]
    return {
        name: "  ".join(
            f"{choice:<{width}}" for choice, width in zip(axes[name], widths, strict=True)
        )
        + f"  {describe(row)} ({_references(row.cites)})"
        for name, row in ROWS.items()
    }


def table() -> str:
    """The rows as a Markdown table; a likelihood that the row leaves open is "any"."""
    lines = [
        "| row | likelihood | prior | posterior | objective | what it is | reference |",
        "|---" * 7 + "|",
    ]
    for name, row in ROWS.items():
        axes = (name, row.likelihood or "any", row.prior, row.posterior, row.objective)
        cells = [f"`{cell}`" if cell != "any" else cell for cell in axes]
        lines.append(f"| {' | '.join([*cells, describe(row), _references(row.cites)])} |")
    return "\n".join(lines) + "\n"


def parts(axis: str) -> str:
    """The parts of an axis such as ``model.prior`` as a Markdown list."""
    sources = {
        name: f" ({_references(part.cites)})" if part.cites else ""
        for name, part in AXES[axis].items()
    }
    return "".join(
        f"- `{name}`: {part.about}{sources[name]}\n" for name, part in AXES[axis].items()
    )


def combinations() -> str:
    """For each posterior the priors that it can have and the objectives that it cannot, as a Markdown table."""
    lines = ["| posterior | goes with the priors | refuses the objectives |", "|---|---|---|"]
    for posterior in AXES["model.posterior"]:
        models = {
            p: Model(posterior=posterior, prior=p, conditional=p == "per-class")
            for p in AXES["model.prior"]
        }
        priors = [
            p
            for p, model in models.items()
            if not refusal(model, Objective()) and not idle(model, Objective())
        ]
        model = models[priors[0]]
        goals = [goal for goal in AXES["objective.name"] if refusal(model, Objective(name=goal))]
        lines.append(f"| `{posterior}` | {', '.join(priors)} | {', '.join(goals) or 'none'} |")
    return "\n".join(lines) + "\n"


def numbers(section: str) -> str:
    """What `vaelab evaluate` finds in one of its sections, as a Markdown table."""
    from vaelab.evaluation.evaluate import METRICS  # here, for it imports torch

    lines = ["| number | unit | better | what it is | reference |", "|---|---|---|---|---|"]
    for name, metric in METRICS[section].items():
        cells = (f"`{name}`", metric.unit, metric.better, metric.about, _references(metric.cites))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def filled(text: str) -> str:
    """The text with the tables and the lists of parts as they are now, each between its two marks."""
    marked = r"(<!-- table of (\S+) -->\n).*?(?=<!-- end of the table -->)"
    blocks = {"models": table, "combinations": combinations, "rooms": tree}

    def block(name: str) -> str:
        return blocks[name]() if name in blocks else parts(name) if name in AXES else numbers(name)

    return re.sub(marked, lambda found: found[1] + block(found[2]), text, flags=re.DOTALL)


def describe(row: Row) -> str:
    """What it is, and the numbers that it sets."""
    numbers = {
        key.partition(".")[2]: value
        for key, value in row.settings.items()
        if not isinstance(value, bool | list)
    }
    return row.about + "".join(f", {name} {value:g}" for name, value in numbers.items())


def _references(keys: str) -> str:
    return "; ".join(map(reference, keys.split()))


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
