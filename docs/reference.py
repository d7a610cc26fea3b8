"""The pages of the reference that are made of the package: commands, settings, sources, names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module, util

from vaelab.cli.arguments import Option
from vaelab.cli.catalogue import settings
from vaelab.cli.main import COMMANDS
from vaelab.recipes.citations import entries
from vaelab.recipes.citations import reference as cited

PUBLIC = (  # the package itself, then its public subpackages
    "vaelab", "vaelab.estimator", "vaelab.recipes", "vaelab.data", "vaelab.models",
    "vaelab.training", "vaelab.runs", "vaelab.evaluation", "vaelab.export", "vaelab.tracking",
)  # fmt: skip


def reference() -> dict[str, str]:
    """The text of each page by its file name."""
    pages = {
        "command-line.md": "\n".join(_commands()),
        "settings.md": _settings(),
        "bibliography.md": "\n".join(_bibliography()),
    }
    for name in PUBLIC:
        if util.find_spec(name):
            pages[f"{name}.md"] = "\n".join(_names(name))
    return pages


def _commands() -> Iterator[str]:
    yield "# Commands\n\nThe options of every command, as `vaelab COMMAND --help` prints them. "
    yield "The [settings](settings.md) `--SECTION.NAME VALUE` belong to `train`, `sweep`, "
    yield "`compare` and, those of the section `data`, to `pack`.\n"
    for name, command in COMMANDS.items():
        yield f"## vaelab {name}\n\n{command.about[0].upper()}{command.about[1:]}.\n"
        yield "\n".join(["```text", *command.usage, "```\n"])
        yield "| argument | meaning |\n|---|---|"
        for option in command.options:
            yield _row(option)
        yield ""


def _row(option: Option) -> str:
    choices = "".join(f"<br>`{name}`: {meaning}" for name, meaning in option.choices.items())
    default = "" if option.default in (None, "", (), 0) else f" (default: {option.default})"
    meaning = f"{option.about}{default}{choices}".replace("|", "\\|")
    return f"| `{f'{option.name} {option.value}'.strip()}` | {meaning} |"


def _settings() -> str:
    """The table of all settings, cut where a section begins."""
    head, ruler, *rows = settings().splitlines()
    lines = [
        "# Settings\n\nEvery setting of a training with its default. On the command line: "
        "`--train.epochs 40`; in a recipe file: `epochs = 40` below `[train]`; in Python: "
        '`vaelab.recipe("mlp-20d", {"train.epochs": 40})`.'
    ]
    section = ""
    for row in rows:
        if (found := row.removeprefix("| `").partition(".")[0]) != section:
            section = found
            lines += [f"\n## {section}\n", head, ruler]
        lines.append(row)
    return "\n".join([*lines, ""])


def _bibliography() -> Iterator[str]:
    yield "# Bibliography\n\nThe sources of the methods in vaelab. `vaelab cite RUN` prints BibTeX "
    yield "entries of those of a run; see [Cite vaelab and the methods](../how-to/cite.md).\n"
    listed = []
    for key, entry in entries().items():
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
        title = re.sub(r"[{}]", "", fields["title"]).replace(r"\&", "&")
        source = re.sub(r"arXiv:(\S+)$", r"[arXiv:\1](https://arxiv.org/abs/\1)", cited(key))
        source = re.sub(r"doi:(\S+)$", r"[doi:\1](https://doi.org/\1)", source)
        listed.append(f"- {source}. *{title}*.")
    yield from sorted(listed)


def _names(name: str) -> Iterator[str]:
    """The names that a package exports; those without a docstring of their own in one line."""
    package = import_module(name)
    yield f"# {name}\n\n{_about(package)}\n"
    described = [member for member in package.__all__ if _documented(getattr(package, member))]
    others = [f"`{member}`" for member in package.__all__ if member not in described]
    if others:
        yield f"Also exported, as values and types: {', '.join(others)}.\n"
    for member in described:
        place = f"{name}.{member}"
        if util.find_spec(place):  # a module has the same name, and griffe finds that
            place = f"{getattr(package, member).__module__}.{member}"
        yield f"::: {place}\n"


def _documented(member: object) -> bool:
    return (inspect.isclass(member) or inspect.isroutine(member)) and bool(member.__doc__)


def _about(package: object) -> str:
    """The docstring without its examples and listings, which are indented."""
    paragraphs = (inspect.getdoc(package) or "").split("\n\n")
    return "\n\n".join(p for p in paragraphs if not p.startswith("    "))
