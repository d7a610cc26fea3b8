"""How the columns of a table change along the latent dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from vaelab.data import Array, Schema
from vaelab.data.dataset import spread
from vaelab.plots.charts import COLUMNS, scaled
from vaelab.plots.style import Labels
from vaelab.plots.view import View
from vaelab.recipes import table

DIMENSIONS = 16  # at most, the most informative ones
ROWS = 50  # test rows from whose codes a dimension is moved
VALUES = 4  # categories of a column at most, the most frequent ones
SIDE = 2.0  # standard deviations to both sides


class Quantity(NamedTuple):
    """What is followed of a column: its mean, or the probability of one of its values.

    Attributes:
        name: The name of the column.
        column: Its index in x.
        value: The index of the value; None for the mean.
        spread: The standard deviation of the quantity over the data.
    """

    name: str
    column: int
    value: int | None
    spread: float


class Effects(NamedTuple):
    """The change (R, Q) of quantities along dimensions (R,), in standard deviations of the data."""

    dimensions: Array
    quantities: list[Quantity]
    change: Array


def effects(view: View) -> Effects | None:
    """Return how the columns change along the most informative dimensions.

    A dimension moves from -2 to 2 standard deviations while the others stay at the codes of test
    rows; the change is averaged over these. None where no dimension of a code can change alone.
    """
    run, found = view.run, view.posterior
    space = table.part("model.posterior", run.recipe.model.posterior).space
    if space != "reals":
        return None
    schema = view.tabular.schema
    quantities = _quantities(schema, view.tabular.data)
    x, y = view.rows(spread(len(view.data.test.x), ROWS))
    codes = run.vae.encode(x, y)
    chosen = found.order[:DIMENSIONS]
    change = np.zeros((len(chosen), len(quantities)))
    for row, j in zip(change, chosen.tolist(), strict=True):
        ends = []
        for value in found.axis(j, np.array([-SIDE, SIDE])).tolist():
            z = codes.clone()
            z[:, j] = value
            ends.append(_expected(schema, quantities, _decoded(view, z, y)))
        row[:] = (ends[1] - ends[0]).mean(0) / [quantity.spread for quantity in quantities]
    return Effects(chosen, quantities, change)


@torch.no_grad()
def _decoded(view: View, z: Tensor, y: Labels) -> Distribution:
    vae = view.run.vae
    found: Distribution = vae.decoder(z, *vae.given(None if y is None else torch.from_numpy(y)))
    return found


def _quantities(schema: Schema, x: Array) -> list[Quantity]:
    found = []
    for i, column in enumerate(schema.modelled[:COLUMNS]):
        cells = x[:, i][np.isfinite(x[:, i])].astype(float)
        values: Sequence[int | None] = [None]
        if column.kind == "binary":
            values = [1]
        elif column.kind == "categorical":
            counts = np.bincount(cells.astype(int), minlength=len(column.values))
            values = np.argsort(-counts[: len(column.values)], kind="stable")[:VALUES].tolist()
        for value in values:
            measured = scaled(column, cells) if value is None else cells == value
            deviation = float(np.std(measured)) if len(cells) else 0.0
            found.append(Quantity(column.name, i, value, deviation or 1.0))
    return found


def _expected(schema: Schema, quantities: Sequence[Quantity], px: Distribution) -> Array:
    """The quantities (N, Q) of p(x|z) of N codes."""
    mean, found = px.mean.double().numpy(), []
    for quantity in quantities:
        column = schema.modelled[quantity.column]
        if quantity.value is not None:
            found.append(_probability(px, quantity.column, quantity.value))
        elif column.kind == "ordinal":
            places = np.arange(len(column.values))
            chances = [_probability(px, quantity.column, k) for k in places.tolist()]
            found.append(places @ np.stack(chances))
        else:
            found.append(scaled(column, mean[:, quantity.column]))
    return np.stack([np.asarray(one) for one in found], 1)


def _probability(px: Distribution, column: int, value: int) -> Array:
    """P(x_j = v|z), (N,)."""
    assert isinstance(px, Independent)
    row = torch.full(px.event_shape, torch.nan)
    row[column] = value
    each: Array = px.base_dist.log_prob(row)[:, column].double().exp().numpy()
    return each
