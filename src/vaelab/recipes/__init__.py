"""Recipes: what a run will be.

A recipe is settings by section (`settings`, `schema`), read from a name, a TOML file or a mapping
(`reading`). Settings that are chosen by name have their choices in `parts`; a published variant is
a row of them (`table`); `rules` says what does not go together and why, `citations` where it all
comes from. Nothing here imports torch.
"""

from vaelab.recipes.citations import bibtex, reference
from vaelab.recipes.custom import Code, file_of, permit, permitted
from vaelab.recipes.grid import Axis, Over, Range, Values, axes, grid, setting_of, text_of
from vaelab.recipes.parts import AXES, CHOICES, Part
from vaelab.recipes.reading import (
    available,
    built_in,
    changes,
    files_of,
    from_document,
    override,
    parse,
    recipe,
    study,
    to_toml,
)
from vaelab.recipes.rules import idle, refusal
from vaelab.recipes.schema import SWITCH, Field, Recipe, fields, flatten, sections
from vaelab.recipes.settings import Data, Figures, Model, Objective, Train
from vaelab.recipes.table import NUMBERS, ROWS, Row, code, part, row

__all__ = [
    "AXES",
    "CHOICES",
    "NUMBERS",
    "ROWS",
    "SWITCH",
    "Axis",
    "Code",
    "Data",
    "Field",
    "Figures",
    "Model",
    "Objective",
    "Over",
    "Part",
    "Range",
    "Recipe",
    "Row",
    "Train",
    "Values",
    "available",
    "axes",
    "bibtex",
    "built_in",
    "changes",
    "code",
    "fields",
    "file_of",
    "files_of",
    "flatten",
    "from_document",
    "grid",
    "idle",
    "override",
    "parse",
    "part",
    "permit",
    "permitted",
    "recipe",
    "reference",
    "refusal",
    "row",
    "sections",
    "setting_of",
    "study",
    "text_of",
    "to_toml",
]
