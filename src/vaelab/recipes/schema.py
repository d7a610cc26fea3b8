"""The structure of a recipe: its sections, and each of its settings as help and checks need it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from vaelab.recipes import rules, table
from vaelab.recipes.parts import CHOICES, Part
from vaelab.recipes.settings import Data, Figures, Model, Objective, Train

SWITCH = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides what a run will be."""

    name: Annotated[str, Meta(pattern=r"^[^/.][^/]*(/[^/.][^/]*)?$")] = "recipe"
    about: str = ""
    data: Data = Data()
    model: Model = Model()
    objective: Objective = Objective()
    train: Train = Train()
    figures: Figures = Figures()

    def __post_init__(self) -> None:
        flat = flatten(self)
        for key, value in flat.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{key}: expected a finite number, got {value}")
            if isinstance(value, int) and abs(value) >= 2**63:
                raise ValueError(f"{key}: expected a whole number below 2**63; write a smaller one")
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"{key}: expected printable text, got {value!r}")
        for key in CHOICES:
            for name in [flat[key]] if isinstance(flat[key], str) else flat[key]:
                table.part(key, name)
        if self.train.patience and not self.data.validation:
            raise ValueError(
                "train.patience: early stopping needs validation images; set data.validation to 0.1"
            )
        if self.objective.warmup and self.objective.cycles:
            raise ValueError(
                "objective.cycles: choose a warm-up or cycles, not both; "
                "set objective.warmup to 0, or objective.cycles to 0"
            )
        if refused := rules.refusal(self.model, self.objective):
            raise ValueError(refused)
        if refused := rules.of_training(self.train):
            raise ValueError(refused)
        if self.train.compile and self.objective.name in ("rae-gp", "piwae"):
            raise ValueError(
                f"train.compile: {self.objective.name!r} differentiates the decoder twice; "
                "set train.compile to false"
            )


class Field(Struct, frozen=True):
    """One setting: its type, its default, its meaning."""

    key: str  # section.name
    base: Any  # int, float, bool, str or a tuple
    default: Any
    about: str
    choices: Mapping[str, Part]  # by name; empty where the setting is not chosen by name
    common: bool  # whether it stands in the short help
    cites: str  # keys of the papers that a run uses where it is not at its default

    def parse(self, text: str) -> Any:
        """The value that text on the command line stands for.

        Text that stands for none is returned as it is; the check of the type refuses it by name.

        >>> next(field for field in fields() if field.key == "model.hidden").parse("512,256")
        [512, 256]
        """
        try:
            if get_origin(self.base) is tuple:
                if get_args(self.base)[0] is str and not self.choices:  # names may have blanks
                    return [name.strip() for name in text.split(",")] if text.strip() else []
                items = text.strip("[]() ").replace(",", " ").split()
                return items if self.choices else [int(item) for item in items]
            if self.base is bool:
                return SWITCH[text.lower()]
            return self.base(text) if self.base in (int, float) else text
        except (KeyError, ValueError):
            return text


def sections() -> dict[str, type[Struct]]:
    """The sections of a recipe by name, in order: data, model, objective, train, figures."""
    hints = get_type_hints(Recipe)
    return {
        name: hint
        for name, hint in hints.items()
        if isinstance(hint, type) and issubclass(hint, Struct)
    }


@cache
def fields() -> tuple[Field, ...]:
    """Every ``section.field`` of a recipe."""
    return tuple(_fields())


def _fields() -> Iterator[Field]:
    for section, struct in sections().items():
        hints = get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            key = f"{section}.{field.name}"
            base, *metas = get_args(hints[field.name])
            doc = next(meta for meta in metas if isinstance(meta, Meta) and meta.description)
            yield Field(
                key=key,
                base=base,
                default=field.default,
                about=doc.description or "",
                choices=CHOICES.get(key, {}),
                common=bool(doc.extra and doc.extra["common"]),
                cites=str(doc.extra["cites"]) if doc.extra else "",
            )


def flatten(recipe: Recipe) -> dict[str, Any]:
    """``{"train.epochs": 20, ...}``.

    >>> flatten(Recipe())["train.epochs"]
    20
    """
    flat: dict[str, Any] = {}
    for key, value in msgspec.to_builtins(recipe).items():
        inner = {f"{key}.{name}": v for name, v in value.items()} if isinstance(value, dict) else {}
        flat |= inner or {key: value}
    return flat
