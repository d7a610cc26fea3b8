"""Runs that are only read: model cards, and folders that a .zip was unpacked into.

In a card, which `vaelab card` writes, config.json and model.safetensors stand for recipe.toml and
best.safetensors. It has neither the training history nor the data of the run.
"""

from __future__ import annotations

import json
from pathlib import Path

from vaelab.errors import UserError
from vaelab.files import opened
from vaelab.recipes import Recipe, from_document
from vaelab.runs.archives import origin

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def is_card(folder: Path) -> bool:
    """Return whether a folder is a model card, and no run."""
    return (folder / CONFIG).is_file() and not (folder / "recipe.toml").exists()


def closed(folder: Path) -> str:
    """Return what keeps a folder from being continued and written to, "" where nothing does."""
    if is_card(folder):
        return "is a model card, which is only read"
    return "is an archive, which is only read" if origin(folder) != folder else ""


def recipe_of(folder: Path) -> Recipe:
    """Return the recipe of a card.

    Raises:
        UserError: config.json was not written by vaelab, or is damaged.
    """
    path = origin(folder) / CONFIG
    with opened(folder / CONFIG, "check the path", path) as file:
        content = file.read()
    try:
        document = json.loads(content)["recipe"]
        _ = document["name"], document["data"], document["model"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise UserError(
            f"{path}: is damaged, or not written by vaelab card; get another copy of the folder"
        ) from None
    return from_document(document, str(path))
