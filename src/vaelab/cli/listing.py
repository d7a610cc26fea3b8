"""vaelab list, cite: what there is, and where it comes from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import vaelab
from vaelab.cli.arguments import CODE, RUN, RUN_KEY, Command, Document, Option
from vaelab.cli.help import LISTS, columns
from vaelab.errors import UserError, nearest
from vaelab.recipes import AXES, ROWS, Row, available, bibtex, reference

USUAL = ("recipes", "data", "models")


def list_names(arguments: argparse.Namespace) -> Document:
    """Print the names of one kind, or of the three that a training begins with."""
    kind = arguments.kind
    if kind not in (None, *LISTS):
        raise UserError(f"list: there is no list of {kind}; {nearest(kind, LISTS)}")
    kinds = [kind] if kind else USUAL
    for one in kinds:
        print("\n".join(listing(one)))
    if not kind:
        others = [other for other in LISTS if other not in USUAL]
        print("\n".join(columns("also:", f"vaelab list {' | '.join(others)}", 6)))
    return {"lists": {one: dict(_texts(one)) for one in kinds}}


def listing(kind: str) -> Iterator[str]:
    """A title, then the names of a kind with what each is, in lines of at most 80 columns."""
    yield f"{kind} (--{LISTS[kind]}):" if LISTS[kind] else f"{kind} (vaelab train NAME):"
    texts = dict(_texts(kind))
    width = max(map(len, texts)) + 2
    for name, text in texts.items():
        yield from columns(name, text, width)


def _texts(kind: str) -> Iterator[tuple[str, str]]:
    if kind == "recipes":
        yield from available().items()
    elif kind == "models":
        for name, row in ROWS.items():
            yield name, "; ".join([describe(row), *_unusual(row), references(row.cites)])
    else:
        for name, part in AXES[LISTS[kind]].items():
            cited = f" ({references(part.cites)})" if part.cites else ""
            licence = f"; licence: {part.licence}" if part.licence else ""
            yield name, part.about + cited + licence


def describe(row: Row) -> str:
    """What the row is, and the numbers that it sets."""
    numbers = {
        key.partition(".")[2]: value
        for key, value in row.settings.items()
        if not isinstance(value, bool | list)
    }
    return row.about + "".join(f", {name} {value:g}" for name, value in numbers.items())


def references(keys: str) -> str:
    """Authors, year and place of each key of references.bib."""
    return "; ".join(map(reference, keys.split()))


def _unusual(row: Row) -> list[str]:
    """The parts in which the row differs from the plain VAE."""
    plain = ROWS["vae"]
    axes = ("likelihood", "prior", "posterior", "objective")
    parts = [
        f"{axis} {getattr(row, axis)}"
        for axis in axes
        if getattr(row, axis) != getattr(plain, axis)
    ]
    return [", ".join(parts)] if parts else []


def cite(arguments: argparse.Namespace) -> Document:
    """Print the BibTeX entries of what a run used."""
    run = vaelab.load(arguments.run)
    entries = bibtex(run.recipe, fitted=run.finished and "prior_gain" in run.results)
    print(entries)
    return {"run": run.folder, "bibtex": entries}


COMMANDS = {
    "list": Command(
        "recipes, data sets and models, or the choices of one kind",
        [Option("KIND", f"one of: {', '.join(LISTS)}", number="?")],
        list_names,
        ["vaelab list [KIND]"],
        {"lists": "kind -> name -> what it is, its numbers and its reference"},
    ),
    "cite": Command(
        "BibTeX for the methods that a run used",
        [RUN, CODE],
        cite,
        ["vaelab cite RUN [options]"],
        {"run": RUN_KEY, "bibtex": "the entries, as one text"},
    ),
}
