"""The BibTeX entries of what a run used, from references.bib. Nothing here imports torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import resources

from vaelab.recipes import table
from vaelab.recipes.reading import Recipe, flatten

# What the table of models does not name, most specific first, and which runs use it
METHODS: dict[str, Callable[[Recipe], bool]] = {
    "sohn2015learning": lambda run: run.model.conditional,
    "bowman2016generating": lambda run: run.objective.warmup > 0 and "beta" in run.objective.grows,
    "fu2019cyclical": lambda run: run.objective.cycles > 0 and "beta" in run.objective.grows,
    "he2016identity": lambda run: run.model.network == "resnet",
    "ioffe2015batch": lambda run: run.model.batch_norm,
    "srivastava2014dropout": lambda run: run.model.dropout > 0,
    "loshchilov2017sgdr": lambda run: run.train.schedule == "cosine",
    "smith2019super": lambda run: run.train.schedule == "one-cycle",
    "kingma2015adam": lambda run: True,
    "salakhutdinov2008quantitative": lambda run: run.data.treatment == "fixed",
    "burda2016importance": lambda run: run.data.treatment == "dynamic",
    "theis2016note": lambda run: run.data.treatment == "dequantised",
    "lecun1998gradient": lambda run: run.data.source == "mnist",
    "matthey2017dsprites": lambda run: run.data.source == "sprites",
    "alpaydin1998optical": lambda run: run.data.source == "digits",
    "pedregosa2011scikit": lambda run: run.data.source == "digits",
    "vaelab": lambda run: True,
}
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
    """The entries of the run's row, of its four parts and of all else it used, each once, most specific first.

    `fitted`: the prior was fitted afterwards (`refit.fit_prior`).
    """
    settings = flatten(recipe)
    keys = table.row(recipe.model.variant).cites.split()
    keys += [key for axis in table.AXES for key in table.part(axis, settings[axis]).cites.split()]
    keys += ["ghosh2020variational", "dai2019diagnosing"] if fitted else []
    keys += [key for key, used in METHODS.items() if used(recipe)]
    known = entries()
    return "\n\n".join(
        known.get(key, f"% {key}: not in vaelab's bibliography") for key in dict.fromkeys(keys)
    )


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
    """references.bib by key; an entry begins with an @ at the start of a line, and each field is one line."""
    text = (resources.files("vaelab.recipes") / "references.bib").read_text("utf-8")
    return {
        key: entry
        for entry, key in re.findall(r"^(@\w+\{(.+?),$.*?^\})$", text, re.MULTILINE | re.DOTALL)
    }
