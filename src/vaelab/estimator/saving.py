"""An estimator as a run folder, and a run as what an estimator keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import torch

from vaelab import devices
from vaelab.data import load
from vaelab.data.memory import NAME
from vaelab.data.stored import stored
from vaelab.errors import UserError
from vaelab.estimator.model import Form, Kept, Model
from vaelab.files import locked
from vaelab.recipes import override, to_toml
from vaelab.runs import Run, check_free, create
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job
from vaelab.workflows.train import measure


def saved(model: Model, rows: Any, folder: Path, overwrite: bool) -> Run:
    """Write a model as a run folder with these data, its training rows.

    The data are kept in the cache folder, like those of every run whose data were in memory.
    """
    check_free(folder, overwrite)
    recipe = override(model.recipe, {"data.source": str(stored(rows))})
    recipe = msgspec.structs.replace(recipe, name=folder.name)
    job = Job(recipe, Console(quiet=True), data=load(recipe.data))
    if job.fingerprint != model.kept.fingerprint:
        raise UserError(f"{NAME}: is not what the estimator was fitted to; give it the same rows, "
            "and the same sample_weight")  # fmt: skip
    with locked(folder):
        run = create(folder, recipe, overwrite)
        machine = devices.environment(job.device, torch.get_num_threads(), "torch")
        run.write("environment.json", json.dumps(machine, indent=2).encode())
        run.write_lines("metrics.jsonl", model.history)
        run.write("best.safetensors", model.kept.weights)
        run.data = job.data
        run.write_lines("results.json", [measure(job, run)])
    return run


def opened(run: Run) -> Model:
    """Return the model of a run."""
    if run.recipe.model.conditional:
        raise UserError(
            f"{run.folder}: is a model of rows given their labels, which an estimator does not "
            "know; open a run of another model.variant"
        )
    weights = (run.folder / "best.safetensors").read_bytes() if run.vae else b""
    form = Form(run.schema is not None and bool(run.data.features), tuple(run.vae.shape))
    fingerprint = f"{tuple(run.data.train.x.shape)} {run.data.train.checksum()}"
    history = json.dumps(run.history)
    kept = Kept(to_toml(run.recipe), weights, b"", history, run.data.notes, form, fingerprint)
    return Model(kept)
