"""Which recipe fits data that were named in place of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from vaelab.data import guess
from vaelab.data.arrays import shape_of
from vaelab.data.files import TABLES, find
from vaelab.data.idx import is_idx
from vaelab.data.images import sizes
from vaelab.data.packs import description, is_pack
from vaelab.data.reading import reading, visible
from vaelab.recipes import AXES, Recipe, recipe

NAMED = {
    "digits": "quickstart",
    "ecg": "signal",
    "cifar10": "images-32",
    "cifar100": "images-32",
    "svhn": "images-32",
    "celeba": "images-64",
}
SMALL_IMAGES = "improved-32d"  # for named sets of the size of MNIST
SIDE = 48  # pixels, from which images are cut to 64 x 64, else to 32 x 32
WINDOW = 256  # steps, of one long signal


class Fitting(NamedTuple):
    """A recipe for data, the settings that the data need, and why."""

    recipe: str
    settings: dict[str, Any]
    why: str


def fitting(source: str) -> Fitting:
    """Return the recipe that fits a named data set or a path, from a look at its first bytes.

    Raises:
        UserError: There is no such data, or no recipe fits them.
    """
    if source in AXES["data.source"].keys() - {"PATH"}:
        return Fitting(NAMED.get(source, SMALL_IMAGES), {}, f"the data set {source}")
    path = find(source)
    if path.suffix.lower() in TABLES:
        return Fitting("table", {}, "a table")
    if path.is_dir() and is_pack(path):
        return _pack(path)
    if path.is_dir():
        with reading(path, "folder"):
            if any(is_idx(entry) for entry in visible(path)):
                return Fitting(SMALL_IMAGES, {}, "a folder of IDX files")
        return _folder(path)
    if path.suffix.lower() in (".npy", ".npz"):
        return _array(shape_of(path))
    return Fitting("table", {}, "a file")  # whose reader says what it cannot read


def _folder(path: Path) -> Fitting:
    """The recipe for a folder of images."""
    seen, coloured = sizes(path)
    shortest = min(min(size) for size in seen)
    name, side = ("images-64", 64) if shortest >= SIDE else ("images-32", 32)
    alike = len(seen) == 1 and max(next(iter(seen))) <= side
    settings: dict[str, Any] = {"data.resize": 0 if alike else side}
    height, width = next(iter(seen))
    size = f"{height}x{width} pixels" if len(seen) == 1 else "different sizes"
    kind = "colour" if coloured else "grey"
    if not coloured:
        settings["data.flip"] = False
    return Fitting(name, settings, f"a folder of {kind} images of {size}")


def _pack(path: Path) -> Fitting:
    """The recipe for a pack: that for an array of its rows, or for the table that it was."""
    pack = description(path)
    rows = sum(part.rows for part in pack.splits.values())
    why = f"a pack of {rows:,} rows"
    if pack.schema is not None:
        return Fitting("table", {}, f"{why} of a table")
    if pack.form == "signal":
        return Fitting("signal", {}, f"{why}: signals")
    return _array((rows, *pack.shape))._replace(why=f"{why} of shape {pack.shape}")


def _array(shape: tuple[int, ...]) -> Fitting:
    """The recipe for an array of rows of this shape; one number a row is a long signal."""
    why = f"an array of shape {shape}"
    if len(shape) == 1:
        return Fitting("signal", {"data.window": WINDOW}, f"{why}: one long signal")
    match guess(shape[1:]):
        case "table":
            return Fitting("table", {}, f"{why}: a table")
        case "signal":
            return Fitting("signal", {}, f"{why}: signals")
        case _:
            side = sorted(shape[1:])[-2]
            name = "images-64" if side >= SIDE else "images-32"
            return Fitting(name, {"data.resize": 0, "data.flip": False}, f"{why}: images")


def recipe_for(source: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Return a recipe that fits data: a path or the name of a data set.

    Args:
        source: A file, a folder or a named data set.
        overrides: Settings that are changed, such as ``{"train.epochs": 40}``.

    Raises:
        UserError: There is no such data, no recipe fits them, or a setting is invalid.
    """
    fit = fitting(str(source))
    settings = {"data.source": str(source)} | fit.settings | dict(overrides or {})
    chosen = recipe(fit.recipe, settings)
    name = Path(source).stem.lstrip(".").replace("/", "-") or "data"
    about = chosen.about or f"{fit.why}, by the recipe {fit.recipe}"
    return msgspec.structs.replace(chosen, name=name, about=about)
