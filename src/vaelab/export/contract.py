"""The data contract: what a program that runs an exported model must know of it, as JSON."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

import vaelab
from vaelab.data import KINDS, Schema
from vaelab.export.functions import Function
from vaelab.models import VAE, Units
from vaelab.recipes import Recipe
from vaelab.runs import Run

Contract: TypeAlias = dict[str, Any]


def contract(run: Run) -> Contract:
    """Return the data contract of a run (docs/how-to/export.md describes every entry)."""
    known, data = run.contract, run.recipe.data
    return {
        "vaelab": vaelab.__version__,
        "name": run.recipe.name,
        "epoch": known["epoch"],
        "model": _model(run.recipe, run.vae),
        "data": {
            "form": run.form,
            "shape": known["shape"],
            "levels": known["levels"],
            "treatment": data.treatment,
            "range": known["range"],
            "classes": known["classes"],
            "class_names": [*run.class_names],
            "scaling": _scaling(run.vae),
            "columns": [] if run.schema is None else columns(run.schema),
        },
        "unit": "nats",
    }


def signature(function: Function) -> Contract:
    """Return what a function takes and returns: for each name its type, its shape and meaning."""
    given = function.example()
    inputs = dict(zip((function.takes, "label"), given, strict=False))
    both = {"inputs": inputs, "outputs": function(*given)}
    return {"function": function.name} | {
        key: {
            name: {
                "type": str(tensor.dtype).removeprefix("torch."),
                "shape": ["N", *tensor.shape[1:]],
                "meaning": function.meanings[name],
            }
            for name, tensor in tensors.items()
        }
        for key, tensors in both.items()
    }


def columns(schema: Schema) -> list[dict[str, Any]]:
    """Return the columns of x in their order, and how each turns a cell into a number.

    `probabilities` are the places of a column's values in the decoder's output of that name.
    """
    found, at = [], 0
    for column in schema.modelled:
        entry = {
            "name": column.name,
            "kind": column.kind,
            "likelihood": KINDS[column.kind].likelihood,
            "values": list(column.values),
            "origin": column.origin,
            "decimals": column.decimals,
            "format": column.format,
            "notation": msgspec.to_builtins(column.notation),
        }
        if KINDS[column.kind].words:
            entry["probabilities"] = [at, at + len(column.values)]
            at += len(column.values)
        found.append(entry)
    return found


def _model(recipe: Recipe, vae: VAE) -> dict[str, Any]:
    """The settings of the model; those that name files of the user's name the part alone."""
    settings: dict[str, Any] = msgspec.to_builtins(recipe.model)
    for name, value in settings.items():
        if isinstance(value, str) and ".py" in value:
            settings[name] = value.replace("\\", "/").rpartition("/")[2]
    return settings | {"size": vae.latent}


def _scaling(vae: VAE) -> dict[str, Any] | None:
    """The shift and the scale of each element, which the functions apply themselves."""
    units = next((part for part in vae.encoder.modules() if isinstance(part, Units)), None)
    return None if units is None else {"shift": units.shift.tolist(), "scale": units.scale.tolist()}
