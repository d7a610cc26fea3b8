"""Rows that a user gives to a trained run: a file, a folder, a data frame, an array, or a split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from torch import Tensor

from vaelab.data import Array, Cells, Schema, Source, load_all, read_rows, source_of
from vaelab.errors import UserError
from vaelab.models import support
from vaelab.runs import Run
from vaelab.runs.rows import treated


class Given(NamedTuple):
    """Rows as the model sees them, and what came with them."""

    x: Tensor  # (N, *shape)
    y: Array | None  # (N,) labels, where there are some
    others: Cells  # the cells of a table's columns that are no part of x, by name
    notes: tuple[str, ...] = ()
    source: Source | None = None  # a table as it was given
    impossible: Array | None = None  # (N, D) cells of a table that cannot be, NaN in x


def given(run: Run, data: Any, split: str = "test") -> Given:
    """Return the rows of `data` as the model of a run sees them.

    Args:
        run: The run.
        data: A path, or for a run of a table also a pandas data frame or an array (N, D); None for
            the run's own data.
        split: Which of the run's own images or rows.

    Raises:
        UserError: The rows do not fit the model.
    """
    if data is None:
        splits = run.data.splits()
        if not len(splits[split].x):
            raise UserError(
                f"--split {split}: the run held none of its data out for it; choose another split"
            )
        return Given(*treated(run, run.data.levels, splits[split]), {})
    if run.schema is not None:
        return _table(run, run.schema, data)
    if isinstance(data, str | Path):
        return _images(run, str(data))
    x = torch.as_tensor(np.asarray(data), dtype=torch.float32)
    if x.shape[1:] != run.vae.shape:
        raise UserError(
            f"data: rows of shape {tuple(x.shape[1:])}, but the run learned {run.vae.shape}"
        )
    return Given(x, None, {})


def _table(run: Run, schema: Schema, data: Any) -> Given:
    source = source_of(data)
    found = read_rows(source, schema)
    label = next((column.name for column in schema.columns if column.kind == "label"), "")
    y = _labels(run, found.others.get(label))
    return Given(torch.from_numpy(found.x), y, found.others, found.notes, source, found.impossible)


def _labels(run: Run, cells: list[str] | None) -> Array | None:
    """The labels in a column of a table; None where there are none that the run knows.

    Raises:
        UserError: The model is conditional, and a label is none of its classes.
    """
    if cells is None:
        return None
    names = {name: i for i, name in enumerate(run.class_names)}
    found = []
    for row, cell in enumerate(cells, 1):
        try:
            found.append(names[cell] if names else int(float(cell)))
        except (KeyError, ValueError):
            if len(run.vae.classes):
                known = ", ".join([*names][:8] or map(str, run.vae.classes.tolist()[:8]))
                raise UserError(
                    f"row {row}: the model knows no class {cell!r}; it learned {known}"
                ) from None
            return None
    return np.array(found)


def _images(run: Run, other: str) -> Given:
    settings, shape = run.recipe.data, tuple(run.contract["shape"])
    found, levels, notes = load_all(
        msgspec.structs.replace(settings, source=other), run.contract["levels"]
    )
    if found.x.shape[1:] != shape:
        wanted, got = ("x".join(map(str, sizes)) for sizes in (shape, found.x.shape[1:]))
        raise UserError(
            f"{other}: images of shape {got}, but the run learned {wanted}; resize them"
        )
    x, y = treated(run, levels, found)
    (low, high), (least, most) = run.contract["range"], (float(x.min()), float(x.max()))
    unbounded = run.contract["levels"] is None and support(run.recipe.model) == "real"
    if not unbounded and (least < low or most > high):
        raise UserError(
            f"{other}: values from {least:g} to {most:g}, but the run learned {low:g} to "
            f"{high:g}; bring them to the same scale"
        )
    if unbounded and (least < 2 * low - high or most > 2 * high - low):
        notes = (
            *notes,
            f"values from {least:g} to {most:g} go far beyond those of the training, {low:g} to "
            f"{high:g}",
        )
    return Given(x, y, {}, notes)
