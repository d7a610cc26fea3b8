"""What a run will be: settings, the table of parts and rows, the rules between them. Imports no torch."""

from vaelab.recipes.citations import bibtex, reference
from vaelab.recipes.reading import (
    SWITCH,
    Field,
    Recipe,
    available,
    fields,
    flatten,
    override,
    parse,
    recipe,
    sections,
    study,
    to_toml,
)
from vaelab.recipes.rules import idle, refusal
from vaelab.recipes.settings import Data, Figures, Model, Objective, Train
from vaelab.recipes.table import AXES, NUMBERS, ROWS, Part, Row, code, part, row

__all__ = [
    "AXES",
    "NUMBERS",
    "ROWS",
    "SWITCH",
    "Data",
    "Field",
    "Figures",
    "Model",
    "Objective",
    "Part",
    "Recipe",
    "Row",
    "Train",
    "available",
    "bibtex",
    "code",
    "fields",
    "flatten",
    "idle",
    "override",
    "parse",
    "part",
    "recipe",
    "reference",
    "refusal",
    "row",
    "sections",
    "study",
    "to_toml",
]
