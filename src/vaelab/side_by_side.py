"""Several runs from one recipe file: the same images, order and budget, then one picture and one table of them all.

OUT/study.toml          what each run is, so that an interrupted study can go on
OUT/NAME/               a run folder each
OUT/side_by_side.json   the numbers     OUT/figures/latents.png, samples.png, manifolds.png
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tomli_w
import torch

from vaelab import figures, gallery
from vaelab.data import load as load_data
from vaelab.errors import UserError
from vaelab.evaluate import nearest_distance
from vaelab.recipe import Recipe
from vaelab.run import Run, load, write_atomic
from vaelab.training import resume, train

SAMPLES = 1000  # decoded samples of the prior whose distance to the data is measured
COLUMNS = {
    "loss": "test nats",
    "samples": "prior samples",
    "reconstructions": "reconstructions",
    "real": "test images",
    "outside": "codes beyond the prior",
}


def train_all(recipes: Mapping[str, Recipe], out: Path, *, overwrite: bool = False) -> dict[str, Run]:
    """Train each recipe into ``out/NAME``, then `compare` them."""
    write_atomic(
        out / "study.toml", tomli_w.dumps({name: msgspec.to_builtins(r) for name, r in recipes.items()}).encode()
    )
    runs = {name: train(recipe, out / name, overwrite=overwrite) for name, recipe in recipes.items()}
    compare(runs, out)
    return runs
