"""Reading recipes: a built-in name, a TOML file, a Python mapping, or settings of the command line.

All take the same path: msgspec checks names, types and ranges; `rules` what does not go together.
Nothing here imports torch, so a bad setting is refused before torch is loaded.
"""

from __future__ import annotations

import reprlib
import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from numbers import Number
from pathlib import Path
from typing import Any, get_origin

import msgspec
import tomli_w

from vaelab.errors import UserError, nearest
from vaelab.files import absolute
from vaelab.recipes import custom, table
from vaelab.recipes.parts import AXES
from vaelab.recipes.schema import Field, Recipe, fields, flatten, sections

END = "# end of the recipe\n"  # closes a written recipe, so that a truncated one is noticed
INCIDENTAL = ("figures.", "data.dir", "train.threads", "train.device")  # a recipe stays what it is
SETTINGS = "vaelab train --help-all"  # where every setting is listed


def available() -> dict[str, str]:
    """The built-in recipes: name -> one line."""
    return {
        name: tomllib.loads(file.read_text("utf-8")).get("about", "")
        for name, file in _builtin().items()
    }


def _builtin() -> dict[str, Traversable]:
    """The files of the built-in recipes by name, in alphabetical order."""
    files = (resources.files("vaelab.recipes") / "builtin").iterdir()
    recipes = {f.name.removesuffix(".toml"): f for f in files if f.name.endswith(".toml")}
    return dict(sorted(recipes.items()))


def recipe(
    name: str | Path, overrides: Mapping[str, Any] | None = None, *, code: custom.Code = ()
) -> Recipe:
    """Read the recipe of a built-in name or of a TOML file, and apply `overrides` to it.

    `code` names the Python files that the recipe may run; those in `overrides` may run anyway.

    >>> recipe("mlp-20d", {"train.epochs": 40}).train.epochs
    40

    Raises:
        UserError: A name, type, value or combination is not valid, or the recipe trains several
            runs (that is a `study`).
    """
    runs = study(name, overrides, code=code)
    if len(runs) > 1:
        raise UserError(
            f"recipe {name}: trains several runs ({', '.join(runs)}); "
            "use vaelab.study and vaelab.train_all"
        )
    return next(iter(runs.values()))


def study(
    name: str | Path, overrides: Mapping[str, Any] | None = None, *, code: custom.Code = ()
) -> dict[str, Recipe]:
    """Read the runs of a recipe by name: one for most, several where it has ``[runs.NAME]`` tables.

    A ``[runs.NAME]`` table has precedence over the rest of the file, `overrides` over both.
    """
    custom.permit(code)
    title, text, origin = _read(name)
    document = _toml(text, origin, "correct it there")
    document.setdefault("name", title)
    runs = document.pop("runs", None)
    overrides = overrides or {}
    if runs is None:
        return {document["name"]: _build(document, overrides, origin)}
    known = {*sections(), "about"}
    if (
        not isinstance(runs, dict)
        or not runs
        or not all(isinstance(table, dict) and table.keys() <= known for table in runs.values())
    ):
        raise UserError(
            f"{origin}: runs: expected tables such as [runs.first.model]; correct it there"
        )
    return {
        run: _build(
            _merge(document, table | {"name": f"{document['name']}/{run}"}), overrides, origin
        )
        for run, table in runs.items()
    }


def override(recipe: Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """Return the recipe with settings such as ``{"train.epochs": 40}`` changed."""
    return _build(msgspec.to_builtins(recipe), overrides, recipe.name, resolved=True)


def built_in(recipe: Recipe) -> Recipe | None:
    """Return the built-in recipe of this name, or None if there is none."""
    name = recipe.name.partition("/")[0]
    if name not in _builtin():
        return None
    return next((one for one in study(name).values() if one.name == recipe.name), None)


def changes(recipe: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ from the built-in recipe of that name: its value, and ours.

    >>> changes(override(study("mlp-20d")["mlp-20d"], {"train.epochs": 40}))
    {'train.epochs': (20, 40)}
    """
    old, new = flatten(built_in(recipe) or recipe), flatten(recipe)
    return {key: (old[key], new[key]) for key in new if "." in key and new[key] != old[key]}


def files_of(recipe: Recipe) -> list[str]:
    """Return the Python files that a recipe names for its variant and its parts."""
    settings = flatten(recipe)
    files = {custom.file_of(str(settings[key])) for key in ("model.variant", *AXES)}
    return sorted(files - {""})


def parse(text: str, origin: str) -> Recipe:
    """Read the recipe that a run folder keeps as TOML; `origin` names the file in messages."""
    if not text.endswith(END):
        raise UserError(
            f"{origin}: is truncated, or not a recipe that vaelab wrote; restore it, or train again"
        )
    return from_document(_toml(text, origin, "restore it, or train again"), origin)


def from_document(document: dict[str, Any], origin: str) -> Recipe:
    """Read a resolved recipe from its sections; those of vaelab 0.1.0 leave parts to their row."""
    model = document.get("model")
    resolved = not isinstance(model, dict) or "posterior" in model
    return _build(document, {}, origin, resolved=resolved)


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe with every field spelled out; `parse` reads it back."""
    return tomli_w.dumps(msgspec.to_builtins(recipe)) + END


def _read(name: str | Path) -> tuple[str, str, str]:
    """Title, text and origin of a built-in recipe or a TOML file."""
    path = Path(name)
    if path.suffix == ".toml":
        try:
            return path.stem, path.read_text("utf-8"), str(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"recipe {path}: cannot be read ({reason}); check the path") from None
    known = _builtin()
    if str(name) not in known:
        hint = nearest(str(name), known, "vaelab list recipes")
        raise UserError(
            f"recipe {name}: there is no such recipe; {hint} "
            "(or name a .toml file, or the path of data)"
        )
    return str(name), known[str(name)].read_text("utf-8"), f"recipe {name}"


def _toml(text: str, origin: str, remedy: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{origin}: is nested too deeply; {remedy}") from None
    except ValueError as error:  # also for an integer of more digits than Python reads
        reason = str(error).partition(";")[0]
        raise UserError(f"{origin}: not a TOML file ({reason}); {remedy}") from None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            value = _merge(old, value)
        merged[key] = value
    return merged


def _build(
    document: dict[str, Any], overrides: Mapping[str, Any], origin: str, resolved: bool = False
) -> Recipe:
    """Check every name in `document` and `overrides`, put one over the other, convert.

    A `resolved` document spells every setting out, so it is read without the row that it names.
    """
    known = {field.key: field for field in fields()}
    for key, value in document.items():
        if isinstance(value, dict) and value:
            for inner in value:
                check_name(f"{key}.{inner}", known, f"{origin}: ")
        elif isinstance(value, dict) and key not in sections():
            raise UserError(f"{origin}: there is no section {key}; {nearest(key, sections())}")
        elif not isinstance(value, dict) and key not in ("name", "about", *sections()):
            check_name(key, known, f"{origin}: ")
    given: dict[str, Any] = {}
    for key, value in overrides.items():
        field = check_name(key, known, "")
        if isinstance(value, Number) and hasattr(value, "item"):  # of NumPy, as searches have
            value = value.item()
        given[key] = field.parse(value) if isinstance(value, str) else value
    if "train.epochs" in given:
        given.setdefault("train.steps", 0)  # who names the epochs wants no more
    for key in ("model.variant", *AXES):
        if file := custom.file_of(str(given.get(key, ""))):
            custom.permit(file)  # the caller names it
    document = _layered(document, given, resolved)
    if not all(key.startswith(INCIDENTAL) for key in given):
        document["about"] = ""  # it describes the recipe as it was
    try:
        return msgspec.convert(document, Recipe)
    except msgspec.ValidationError as error:
        key, text = _explain(str(error), document, known)
        raise UserError(text if key in given else f"{origin}: {text}") from None


def _layered(
    document: Mapping[str, Any], given: Mapping[str, Any], resolved: bool
) -> dict[str, Any]:
    """`given` over the document, and the row of the variant below the one of them that names it."""
    model = document.get("model", {})
    variant = given.get("model.variant", model.get("variant") if isinstance(model, dict) else None)
    below = document
    if "model.variant" in given and isinstance(variant, str):
        row = table.row(_anchored(variant)).laid_out()
        below = _merge(_without_unread(document, row["objective.name"]), _nested(row))
    elif isinstance(variant, str) and not resolved:
        below = _merge(_nested(table.row(_anchored(variant)).laid_out()), document)
    layered = _merge(below, _nested(given))
    for axis in ("model.variant", *AXES):
        section, name = axis.split(".")
        there = layered.get(section)
        value = there.get(name) if isinstance(there, dict) else None
        if isinstance(value, str):
            layered = _merge(layered, _nested({axis: _anchored(value)}))
    return layered


def _without_unread(document: Mapping[str, Any], objective: str) -> dict[str, Any]:
    """The document without the weights in [objective] that this objective does not take."""
    reads = ("k", *table.part("objective.name", objective).reads.split())
    section = {
        name: value
        for name, value in document.get("objective", {}).items()
        if name in reads or name not in table.NUMBERS
    }
    if not set(section.get("grows", ["beta"])) <= set(reads):
        section = {k: v for k, v in section.items() if k not in ("grows", "warmup", "cycles")}
    return {**document, "objective": section}


def _anchored(name: str) -> str:
    """The name of a part; a Python file gets an absolute path, so that a run finds it anywhere."""
    return str(absolute(name, "model")) if custom.file_of(name) else name


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train.epochs": 20}`` -> ``{"train": {"epochs": 20}}``."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = value
    return nested


def check_name(key: str, known: Mapping[str, Field], origin: str) -> Field:
    if key not in known:
        last = key.rpartition(".")[2]
        initials = {"".join(w[0] for w in k.partition(".")[2].split("_")): k for k in known}
        same = [k for k in known if k.endswith(f".{last}")]
        hint = nearest(initials.get(last, key), same or known, SETTINGS)  # lr is a learning_rate
        raise UserError(f"{origin}{key}: there is no such setting; {hint}")
    return known[key]


def _explain(
    message: str, document: Mapping[str, Any], known: Mapping[str, Field]
) -> tuple[str, str]:
    """The setting at fault, and msgspec's message with that first and the value that was given."""
    text, _, path = message.rpartition(" - at `$.") if " - at `$." in message else (message, "", "")
    if not text.startswith(("Expected", "Invalid")):  # from a __post_init__, complete as it is
        return text.partition(":")[0], text
    key = path.rstrip("`").partition("[")[0]
    value: Any = document
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    field = known.get(key)
    if field and text.startswith("Invalid enum"):
        hint = nearest(str(value), field.choices)
        return key, f"{key}: there is no {_short(value)}; {hint}"
    wanted = text.partition(", got")[0].removeprefix("Expected ").replace("`", "")
    if field and get_origin(field.base) is tuple:
        wanted = "names such as beta" if field.choices else "whole numbers >= 1, as 512,256"
    default = f"; the default is {field.default!r}" if field else ""
    return key, f"{key}: expected {wanted}, got {_short(value)}{default}"


def _short(value: Any) -> str:
    """The value for a message: one of thousands of digits or letters is cut in its middle."""
    if isinstance(value, int) and abs(value) >= 2**63:
        return f"a number of {value.bit_length()} bits"
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(value)
