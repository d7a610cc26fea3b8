"""Turn data into a pack, on which a training runs that needs no memory for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaelab import data
from vaelab.errors import UserError
from vaelab.files import absolute
from vaelab.recipes import Data, Recipe, override
from vaelab.workflows.console import Console
from vaelab.workflows.fitting import recipe_for

# What decides how a source is read, beside `data.packs.READING`.
READ = ("source", "form", "resize", "dir", "images", "size", "test", "validation")

SPLITS = {"train": "training", "validation": "validation", "test": "test"}


def pack(
    source: str | Path,
    out: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    overwrite: bool = False,
    quiet: bool = False,
) -> Path:
    """Write data as a pack: `.npy` files that a training reads row by row, and pack.json.

    Folders of images, tables, .npy files and long signals are read a piece at a time, so they may
    be larger than memory; so may the pack. An interrupted call leaves the folder OUT.part, which
    the next one deletes.

    Args:
        source: The data, as `vaelab.recipe_for` takes them.
        out: The folder of the pack.
        overrides: Settings of the section ``[data]`` that decide how the source is read, such as
            ``{"data.resize": 64}``; the others are those of the recipe that fits the data.
        overwrite: Whether to replace a pack in the folder.
        quiet: Whether to print nothing.

    Returns:
        The folder: a ``data.source``.

    Raises:
        UserError: The data cannot be read, or something else is in the way; no pack is left.
    """
    for key in overrides or ():
        if key not in KEYS:
            raise UserError(
                f"{key}: is no setting of how data are read, which a pack is for; set it when you "
                "train on the pack"
            )
    console, out = Console(quiet), absolute(out, "OUT")
    fits = recipe_for(source).data
    kept = {name: getattr(fits, name) for name in (*READ, *data.READING)}
    if fits.treatment == "columns":
        kept["treatment"] = "columns"
    settings = data.anchored(override(Recipe(data=Data(**kept)), overrides or {}).data)
    pack = data.pack(settings, out, overwrite=overwrite, quiet=quiet)
    for note in pack.notes:
        console.say(f"  {note}")
    rows = ", ".join(f"{part.rows:,} {SPLITS[name]}" for name, part in pack.splits.items())
    size = sum(file.stat().st_size for file in out.glob("*.npy"))
    shape = "x".join(map(str, pack.shape))
    console.say(f"{out}: {rows} rows of {shape} {pack.dtype}, {size / 2**20:,.1f} MiB")
    return out


KEYS = {f"data.{name}" for name in (*READ, *data.READING, "treatment")} - {"data.source"}
