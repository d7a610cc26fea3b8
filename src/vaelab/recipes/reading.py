"""A recipe: everything that decides what a run will be, as frozen structures <-> TOML.

Nothing here imports torch, so the command line can answer ``--help`` and refuse a bad setting at once.
The same path checks a TOML file, a Python mapping and ``--section.field value`` on the command line:
unknown names, types and ranges are msgspec's work, what only makes sense together is checked beside it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import tomli_w
from msgspec import Meta, Struct

from vaelab.errors import UserError, nearest
from vaelab.recipes import rules, table
from vaelab.recipes.settings import Data, Figures, Model, Objective, Train

END = "# end of the recipe\n"  # closes a recipe that is written out, so that a truncated one is noticed

SWITCH = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run, decided."""

    name: Annotated[str, Meta(pattern=r"^[^/.][^/]*(/[^/.][^/]*)?$")] = (
        "recipe"  # and so the run folder's
    )
    about: str = ""
    data: Data = Data()
    model: Model = Model()
    objective: Objective = Objective()
    train: Train = Train()
    figures: Figures = Figures()

    def __post_init__(self) -> None:
        for key, value in flatten(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{key}: expected a finite number, got {value}")
            if isinstance(value, str) and not value.isprintable():
                raise ValueError(f"{key}: expected printable text, got {value!r}")
        if self.train.patience and not self.data.validation:
            raise ValueError(
                "train.patience: early stopping needs validation images; set data.validation above 0"
            )
        if self.objective.warmup and self.objective.cycles:
            raise ValueError(
                "objective.cycles: choose a warm-up or cycles, not both; set one of them to 0"
            )
        refused = rules.refusal(self.model, self.objective)
        if refused:
            raise ValueError(refused)
        if self.train.compile and self.objective.name in ("rae-gp", "piwae"):
            raise ValueError(
                f"train.compile: {self.objective.name!r} differentiates the decoder twice; leave it off"
            )


def sections() -> dict[str, type[Struct]]:
    """The sections of a recipe by name, in order: data, model, objective, train, figures."""
    hints = get_type_hints(Recipe)
    return {
        name: hint
        for name, hint in hints.items()
        if isinstance(hint, type) and issubclass(hint, Struct)
    }


class Field(Struct, frozen=True):
    """One setting as the help, the suggestions and the conversion of text need it."""

    key: str
    base: Any  # int, float, bool, str, a tuple or a Literal
    default: Any
    about: str
    choices: tuple[str, ...]

    def parse(self, text: str) -> Any:
        """The value that text on the command line stands for; text that stands for none is refused later, by name.

        >>> next(field for field in fields() if field.key == "model.hidden").parse("512,256")
        [512, 256]
        """
        try:
            if get_origin(self.base) is tuple:
                parts = text.strip("[]() ").replace(",", " ").split()
                return parts if self.choices else [int(part) for part in parts]
            if self.base is bool:
                return SWITCH[text.lower()]
            return self.base(text) if self.base in (int, float) else text
        except (KeyError, ValueError):
            return text


def fields() -> Iterator[Field]:
    """Every ``section.field`` with its default, its meaning and its choices."""
    for section, struct in sections().items():
        hints = get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            base, *metas = (
                get_args(hints[field.name])
                if get_origin(hints[field.name]) is Annotated
                else [field.type]
            )
            about = next(
                (m.description for m in metas if isinstance(m, Meta) and m.description), ""
            )
            inner = get_args(base)[0] if get_origin(base) is tuple else base
            choices = tuple(str(c) for c in get_args(inner)) if get_origin(inner) is Literal else ()
            yield Field(f"{section}.{field.name}", base, field.default, about, choices)


def flatten(recipe: Recipe) -> dict[str, Any]:
    """``{"train.epochs": 20, ...}``.

    >>> flatten(Recipe())["train.epochs"]
    20
    """
    document = msgspec.to_builtins(recipe)
    flat: dict[str, Any] = {}
    for key, value in document.items():
        flat |= (
            {f"{key}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        )
    return flat


def available() -> dict[str, str]:
    """The built-in recipes: name -> one line."""
    folder = resources.files("vaelab.recipes") / "builtin"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return {
        f.name.removesuffix(".toml"): tomllib.loads(f.read_text("utf-8")).get("about", "")
        for f in files
    }


def recipe(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a built-in name or of a TOML file, with ``{"train.epochs": 40}`` laid over it.

    >>> recipe("mlp-20d", {"train.epochs": 40}).train.epochs
    40

    Raises `UserError` where the recipe trains several runs: that is a `study`.
    """
    runs = study(name, overrides)
    if len(runs) > 1:
        raise UserError(
            f"recipe {name}: trains several runs ({', '.join(runs)}); use vaelab.study and vaelab.train_all"
        )
    return next(iter(runs.values()))


def study(name: str | Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Recipe]:
    """The runs of a recipe by name: one for most, several where the TOML has ``[runs.NAME]`` tables.

    A ``[runs.NAME]`` table is laid over the rest of the file, `overrides` over both.
    """
    title, text, origin = _read(name)
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"{origin}: not a TOML file ({error}); mend it there") from None
    document.setdefault("name", title)
    runs = document.pop("runs", None)
    if runs is None:
        return {document["name"]: _build(document, overrides or {}, origin)}
    known = {*sections(), "about"}
    if (
        not isinstance(runs, dict)
        or not runs
        or not all(isinstance(t, dict) and t.keys() <= known for t in runs.values())
    ):
        raise UserError(
            f"{origin}: runs: expected tables such as [runs.first.model]; mend it there"
        )
    return {
        run: _build(
            _merge(document, table | {"name": f"{document['name']}/{run}"}), overrides or {}, origin
        )
        for run, table in runs.items()
    }


def override(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe with ``{"train.epochs": 40}`` laid over it."""
    return _build(msgspec.to_builtins(recipe), overrides, recipe.name)


def parse(text: str, origin: str) -> Recipe:
    """The recipe that a run folder keeps as TOML; `origin` names the file in messages."""
    if not text.endswith(END):
        raise UserError(
            f"{origin}: is truncated, or no recipe that vaelab wrote; restore it, or train anew"
        )
    try:
        return _build(tomllib.loads(text), {}, origin)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{origin}: not a TOML file ({error}); restore it, or train anew") from None


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe, every field spelled out; `parse` reads it back."""
    return tomli_w.dumps(msgspec.to_builtins(recipe)) + END


def _read(name: str | Path) -> tuple[str, str, str]:
    """Title, text and origin of a built-in recipe or a TOML file."""
    path = Path(name)
    if path.suffix == ".toml":
        try:
            return path.stem, path.read_text("utf-8"), str(path)
        except (OSError, ValueError) as error:
            raise UserError(
                f"recipe {path}: cannot be read ({_reason(error)}); check the path"
            ) from None
    known = available()
    if str(name) not in known:
        raise UserError(
            f"recipe {name}: there is none of that name; {nearest(str(name), known, 'vaelab list')} "
            "(or name a .toml file)"
        )
    return (
        str(name),
        (resources.files("vaelab.recipes") / "builtin" / f"{name}.toml").read_text("utf-8"),
        f"recipe {name}",
    )


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = (
            _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
        )
    return merged


def _build(document: dict[str, Any], overrides: Mapping[str, Any], origin: str) -> Recipe:
    """Check every name in `document` and `overrides`, lay one over the other, convert."""
    known = {field.key: field for field in fields()}
    for key, value in document.items():
        if isinstance(value, dict) and value:
            for inner in value:
                _check_name(f"{key}.{inner}", known, origin)
        elif isinstance(value, dict) and key not in sections():
            raise UserError(f"{origin}: there is no section {key}; {nearest(key, sections())}")
        elif not isinstance(value, dict) and key not in ("name", "about", *sections()):
            _check_name(key, known, origin)
    given: dict[str, Any] = {}
    for key, value in overrides.items():
        field = _check_name(key, known, f"--{key}")
        given[key] = field.parse(value) if isinstance(value, str) else value
    document = _layered(document, given)
    try:
        return msgspec.convert(document, Recipe)
    except msgspec.ValidationError as error:
        raise UserError(f"{origin}: {_explain(str(error), document, known)}") from None


def _layered(document: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The document, `given` over it, and the settings of the model's row below whichever of the two names the row."""
    model = document.get("model", {})
    variant = given.get("model.variant", model.get("variant") if isinstance(model, dict) else None)
    if not isinstance(variant, str):
        return _merge(document, _nested(given))
    row = table.row(_anchored(variant)).laid_out()
    if "model.variant" in given:
        below = _merge(_without_unread(document, row["objective.name"]), _nested(row))
    else:
        below = _merge(_nested(row), document)
    layered = _merge(below, _nested(given))
    for axis in ("model.variant", *table.AXES):
        section, name = axis.split(".")
        value = layered.get(section, {}).get(name)
        if isinstance(value, str):
            layered = _merge(layered, _nested({axis: _anchored(value)}))
    return layered


def _without_unread(document: Mapping[str, Any], objective: str) -> dict[str, Any]:
    """The document less the numbers in [objective] that this objective does not take."""
    reads = ("k", *table.part("objective.name", objective).reads.split())
    section = {
        k: v
        for k, v in document.get("objective", {}).items()
        if k in reads or k not in table.NUMBERS
    }
    if not set(section.get("grows", ["beta"])) <= set(reads):
        section = {k: v for k, v in section.items() if k not in ("grows", "warmup", "cycles")}
    return {**document, "objective": section}


def _anchored(name: str) -> str:
    """The name of a part as it is; the path of a user's own made absolute, so that a run finds it from anywhere."""
    return str(Path(name).expanduser().absolute()) if ".py" in name else name


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train.epochs": 20}`` -> ``{"train": {"epochs": 20}}``."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = value
    return nested


def _check_name(key: str, known: Mapping[str, Field], origin: str) -> Field:
    if key not in known:
        initials = {
            "".join(word[0] for word in name.partition(".")[2].split("_")): name for name in known
        }
        wanted = initials.get(key.rpartition(".")[2], key)  # lr is a learning_rate
        raise UserError(f"{origin}: there is no setting {key}; {nearest(wanted, known)}")
    return known[key]


def _explain(message: str, document: Mapping[str, Any], known: Mapping[str, Field]) -> str:
    """msgspec's message with the field first, the value given, and the choices where there are any."""
    text, _, path = message.rpartition(" - at `$.") if " - at `$." in message else (message, "", "")
    key = path.rstrip("`").partition("[")[0]
    if not text.startswith(("Expected", "Invalid")):  # from a __post_init__, complete as it is
        return text
    value: Any = document
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    field = known.get(key)
    if field and field.choices:
        return f"{key}: there is no {value!r}; {nearest(str(value), field.choices)}"
    wanted = text.partition(", got")[0].removeprefix("Expected ").replace("`", "")
    if field and get_origin(field.base) is tuple:
        wanted = "whole numbers >= 1, as 512,256"
    default = f"; the default is {field.default!r}" if field else ""
    return f"{key}: expected {wanted}, got {value!r}{default}"
