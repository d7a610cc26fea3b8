"""The generated tables of the documents, each between its two marks.

``python -m vaelab.cli.catalogue PAGE ...`` brings those of a page up to date.
Only the tables of numbers and of files import torch.
"""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from vaelab.cli.help import CODES, VARIABLES, shown
from vaelab.cli.listing import describe, references
from vaelab.cli.main import COMMANDS
from vaelab.cli.rooms import tree
from vaelab.recipes import AXES, ROWS, Model, Objective, fields, idle, refusal


def table() -> str:
    """The published variants; a likelihood that a row leaves open is "any"."""
    lines = [
        "| row | likelihood | prior | posterior | objective | what it is | reference |",
        "|---" * 7 + "|",
    ]
    for name, row in ROWS.items():
        axes = (name, row.likelihood or "any", row.prior, row.posterior, row.objective)
        cells = [f"`{cell}`" if cell != "any" else cell for cell in axes]
        lines.append(f"| {' | '.join([*cells, describe(row), references(row.cites)])} |")
    return "\n".join(lines) + "\n"


def parts(axis: str) -> str:
    """The parts of an axis such as ``model.prior`` as a Markdown list."""
    sources = {
        name: f" ({references(part.cites)})" if part.cites else ""
        for name, part in AXES[axis].items()
    }
    return "".join(
        f"- `{name}`: {part.about}{sources[name]}\n" for name, part in AXES[axis].items()
    )


def combinations() -> str:
    """For each posterior the priors that it can have and the objectives that it cannot."""
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


def settings() -> str:
    """Every setting with its default, its meaning and its choices."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for field in fields():
        choices = ", ".join(f"`{name}`" for name in field.choices)
        meaning = f"{field.about}: {choices}" if choices else field.about
        lines.append(
            f"| `{field.key}` | `{shown(field.default)}` | {meaning.replace('|', chr(92) + '|')} |"
        )
    return "\n".join(lines) + "\n"


def numbers(section: str) -> str:
    """The numbers of one section of `vaelab evaluate`."""
    from vaelab.evaluation import METRICS, about  # here, for it imports torch

    lines = ["| number | unit | better | what it is | reference |", "|---|---|---|---|---|"]
    for name, metric in METRICS[section].items():
        what, source = about(section, name), references(metric.cites)
        cells = (f"`{name}`", metric.unit, metric.better, what, source)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def files() -> str:
    """The named data sets with their licences, and the files of those that are downloaded."""
    lines = ["| data set | what it is | licence | reference |", "|---|---|---|---|"]
    named = {name: part for name, part in AXES["data.source"].items() if part.licence}
    for name, part in named.items():
        cells = (f"`{name}`", part.about, part.licence, references(part.cites))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| data set | file | MD5 or SHA-256 | published by |", "|---|---|---|---|"]
    for name, part in named.items():
        module = pkgutil.resolve_name(f"vaelab.{part.code}".partition(":")[0])
        if source := getattr(module, "SOURCES", {}).get(name):
            for file in source.files:
                cells = (f"[{name}]({source.page})", file.name, f"`{file.hash}`", source.hashes)
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def commands() -> str:
    """The commands, each with what it does."""
    return meanings("command", {name: command.about for name, command in COMMANDS.items()})


def documents() -> str:
    """The keys of what each command prints with ``--json``."""
    lines = ["| command | key | what it holds |", "|---|---|---|"]
    for name, command in COMMANDS.items():
        lines += [f"| `{name}` | `{key}` | {about} |" for key, about in command.keys.items()]
    return "\n".join(lines) + "\n"


def meanings(head: str, rows: Mapping[str, str]) -> str:
    """Names, each with its meaning."""
    lines = [f"| {head} | meaning |", "|---|---|", *(f"| `{k}` | {v} |" for k, v in rows.items())]
    return "\n".join(lines) + "\n"


def filled(text: str) -> str:
    """The text with its tables as they are now."""
    marked = r"(<!-- table of (\S+) -->\n).*?(?=<!-- end of the table -->)"
    blocks: dict[str, Callable[[], str]] = {
        "models": table, "combinations": combinations, "settings": settings, "files": files,
        "rooms": tree, "commands": commands, "documents": documents,
        "variables": partial(meanings, "variable", VARIABLES),
        "codes": partial(meanings, "code", CODES),
    }  # fmt: skip

    def block(name: str) -> str:
        return blocks[name]() if name in blocks else parts(name) if name in AXES else numbers(name)

    return re.sub(marked, lambda found: found[1] + block(found[2]), text, flags=re.DOTALL)


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(filled(path.read_text("utf-8")), "utf-8")
