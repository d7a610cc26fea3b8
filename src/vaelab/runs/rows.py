"""The rows of a split as the model of a run sees them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vaelab.data import Array, Batches, Split
from vaelab.runs.run import Run
from vaelab.seeding import generator


def treated(
    run: Run, levels: int | None, split: Split, which: Array | None = None
) -> tuple[Tensor, Array | None]:
    """Return images of a split (None: all) as the model sees them, on the CPU, and their labels."""
    batches = Batches(split.x, levels, run.recipe.data, torch.device("cpu"))
    index = torch.from_numpy(np.arange(len(batches)) if which is None else which)
    x = batches(index, generator(run.recipe.train.seed, "pictures"))
    return x, None if split.y is None else split.y[index].numpy()
