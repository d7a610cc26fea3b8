"""The BibTeX entries of what a run used, from references.bib. Nothing here imports torch."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from vaelab.recipes import table
from vaelab.recipes.parts import CHOICES
from vaelab.recipes.schema import Recipe, fields, flatten

FITTED = "ghosh2020variational dai2019diagnosing"  # a prior that was fitted after the training
WARMUP, CYCLES = "bowman2016generating", "fu2019cyclical"  # of the weight of the KL
ITSELF = "vaelab"
LETTERS = {  # of the surnames
    r"{\"o}": "ö",
    r"{\"a}": "ä",
    r"{\'e}": "é",
    r"{\'n}": "ń",
    r"{\l}": "ł",
    r"{\o}": "ø",
    "{": "",
    "}": "",
}


def bibtex(recipe: Recipe, fitted: bool = False) -> str:
    """The entries of the run's variant, of its parts and of all else that it used, each once.

    Args:
        recipe: The recipe of the run.
        fitted: Whether its prior was fitted after the training (`fit_prior`).
    """
    known = entries()
    return "\n\n".join(
        known.get(key, f"% {key}: not in vaelab's bibliography")
        for key in dict.fromkeys(_keys(recipe, fitted))
    )


def _keys(recipe: Recipe, fitted: bool) -> list[str]:
    """Keys of references.bib, the most specific first; some of them several times."""
    flat = flatten(recipe)
    cited = [table.row(recipe.model.variant).cites, FITTED if fitted else ""]
    objective = recipe.objective
    cited += [table.part(key, flat[key]).cites for key in CHOICES if isinstance(flat[key], str)]
    if "beta" in objective.grows:
        cited += [WARMUP if objective.warmup else "", CYCLES if objective.cycles else ""]
    cited += [field.cites for field in fields() if flat[field.key] != field.default]
    return " ".join([*cited, ITSELF]).split()


def reference(key: str) -> str:
    """One line: surnames, year, and where to find it: the arXiv number, the DOI or else the venue.

    >>> reference("kingma2014auto")
    'Kingma & Welling 2014, arXiv:1312.6114'
    >>> reference("sonderby2016ladder")
    'Sønderby et al. 2016, arXiv:1602.02282'
    """
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entries()[key], re.MULTILINE))
    surnames = [author.partition(",")[0] for author in fields["author"].split(" and ")]
    others, _, last = ", ".join(surnames).rpartition(", ")
    names = (
        f"{surnames[0]} et al." if len(surnames) > 3 else f"{others} & {last}" if others else last
    )
    for latex, letter in LETTERS.items():
        names = names.replace(latex, letter)
    places = {"eprint": "arXiv:", "doi": "doi:", "booktitle": "", "journal": "", "url": ""}
    where = next(
        (f", {prefix}{fields[place]}" for place, prefix in places.items() if place in fields), ""
    )
    return f"{names} {fields['year']}{where}"


@cache
def entries() -> dict[str, str]:
    """references.bib by key; an entry begins with @ at the start of a line, a field is one line."""
    text = (resources.files("vaelab.recipes") / "references.bib").read_text("utf-8")
    return {
        key: entry
        for entry, key in re.findall(r"^(@\w+\{(.+?),$.*?^\})$", text, re.MULTILINE | re.DOTALL)
    }
