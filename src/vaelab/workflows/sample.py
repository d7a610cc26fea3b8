"""`sample_rows`: rows of a table from a model, with the columns and types of the training table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vaelab.data import KINDS, Cells, Schema
from vaelab.data.frames import frame
from vaelab.errors import UserError
from vaelab.runs import Run
from vaelab.runs import load as load_run


@dataclass(frozen=True)
class Sampled:
    """Sampled rows of a table.

    Attributes:
        schema: The columns.
        x: The rows, (N, D).
        others: The labels of a conditional model, by the name of their column.
        notes: Lines for the user.
    """

    schema: Schema
    x: NDArray[np.float32]
    others: Cells
    notes: tuple[str, ...] = ()

    def table(self) -> Cells:
        """Return the rows as texts, in the order of the training table."""
        return self.schema.cells(self.x, self.others)

    def frame(self) -> Any:
        """Return the rows as a pandas data frame with the dtypes of the training table."""
        return frame(self.schema, self.x, self.others)


def sample_rows(
    run: Run | str | Path, n: int, *, seed: int = 0, label: int | None = None
) -> Sampled:
    """Sample rows x ~ p(x|z), z ~ p(z), of a table.

    Numbers are rounded as in the training table, and set to the ends of its range where they lie
    beyond it. Identifiers and free text are not generated.

    Args:
        run: A run of a table, or its folder.
        n: The number of rows.
        seed: The random seed.
        label: The class to sample, for conditional models; None for all of them in turn.

    Raises:
        UserError: The run was not trained on a table whose columns are read by their types.
    """
    run = load_run(run) if isinstance(run, str | Path) else run
    schema = run.schema
    if schema is None:
        raise UserError(f"{run.origin}: was not trained on a table by its columns; use vae.sample")
    x = run.vae.sample(n, seed, label, noise=True).numpy()
    notes = [
        f"column {column.name!r} is left out: {KINDS[column.kind].about}"
        for column in schema.columns
        if column.kind in ("identifier", "text", "ignored")
    ]
    within = schema.within(x)
    if beyond := int((within != x).sum()):
        notes.append(
            f"{beyond:,} of {x.size:,} cells lay beyond the range of the training table, and are "
            "set to its ends"
        )
    return Sampled(schema, within, _labels(run, schema, n, label, notes), tuple(notes))


def _labels(run: Run, schema: Schema, n: int, label: int | None, notes: list[str]) -> Cells:
    """The labels of the samples of a conditional model."""
    name = next((column.name for column in schema.columns if column.kind == "label"), "")
    if not name:
        return {}
    classes = run.vae.classes
    if not len(classes):
        notes.append(
            f"column {name!r}, the labels, is left out: the model does not know them "
            "(--model.variant cvae does)"
        )
        return {}
    y = classes[torch.arange(n) * len(classes) // n] if label is None else [label] * n
    names = run.class_names
    return {name: [names[int(i)] if names else str(int(i)) for i in y]}
