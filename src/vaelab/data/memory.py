"""Data in memory: arrays and data frames, each different row once, with its weight."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import torch
from torch import Tensor

from vaelab.data.batches import Batches
from vaelab.data.checking import check
from vaelab.data.dataset import Arrays, Dataset
from vaelab.data.files import source_of
from vaelab.data.schema import Array
from vaelab.data.splitting import build
from vaelab.data.tables import read_table
from vaelab.errors import UserError, needed
from vaelab.recipes import Data
from vaelab.seeding import generator

NAME = "X"  # what messages call the data


def distinct(x: Any, weights: Array) -> tuple[Any, Array]:
    """Return each different row of x once, and the sum of the weights of its copies.

    The rows come in an order that depends on their content alone. So it makes no difference to what
    follows in which order they were, and whether a row was repeated or had a larger weight. Rows of
    weight 0 are left out.

    Args:
        x: An array (N, D) or a data frame of N rows.
        weights: The weights (N,).

    Raises:
        UserError: No row has a weight above 0, or one has a negative weight.

    >>> rows, weights = distinct(np.array([[2.0], [1.0], [2.0]]), np.array([1.0, 1.0, 2.0]))
    >>> rows.tolist(), weights.tolist()
    ([[2.0], [1.0]], [3.0, 1.0])
    """
    if (weights < 0).any():
        raise UserError(f"sample_weight: the weight {weights.min():g} is negative; use 0 or more")
    counting = np.flatnonzero(weights)
    if not len(counting):
        raise UserError("sample_weight: all weights are zero; give some row a weight above 0")
    found = _rows(x, counting)
    _, first, inverse = np.unique(_keys(found), return_index=True, return_inverse=True)
    return _rows(found, first), np.bincount(inverse.ravel(), weights[counting])


def _rows(x: Any, which: Array) -> Any:
    return x.iloc[which].reset_index(drop=True) if hasattr(x, "iloc") else x[which]


def _keys(x: Any) -> Array:
    """A key (N,) for each row: of an array its bytes, of a data frame a hash."""
    if hasattr(x, "iloc"):
        return np.asarray(needed("pandas", "for data frames").util.hash_pandas_object(x, False))
    if x.dtype.kind == "f":
        x = np.where(np.isnan(x), np.nan, x + 0.0)  # one NaN, and one zero
    x = np.ascontiguousarray(x)
    keys: Array = x.view(np.dtype((np.void, x.dtype.itemsize * x.shape[1]))).ravel()
    return keys


def in_memory(x: Any, settings: Data, weights: Array | None = None) -> Dataset:
    """Return rows in memory as a data set; see `vaelab.data.load` for those of files.

    Args:
        x: An array (N, *shape), or for the treatment "columns" an array (N, D) or a data frame. The
            memory of an array is used again.
        settings: The data section of a recipe; its source is not read.
        weights: How much each row counts, (N,); None where all count the same.
    """
    by_columns = settings.treatment == "columns"
    arrays = read_table(source_of(x), settings) if by_columns else Arrays(x)
    return build(arrays._replace(weights=weights), settings, NAME, NAME)


def checked(x: Array, settings: Data, levels: int | None) -> Tensor:
    """Return new rows, not by "columns", as a split holds them.

    Args:
        x: The rows (N, *shape).
        settings: The data section of a recipe.
        levels: The number of grey levels of the data that the model learned.

    Raises:
        UserError: They have other grey levels, or real values in their place.
    """
    found = check(Arrays(x, levels=levels), settings, NAME)
    if found.levels != levels:
        kinds = [f"{n} grey levels" if n else "real values" for n in (found.levels, levels)]
        raise UserError(f"{NAME}: has {kinds[0]}, the model learned {kinds[1]}; give it those")
    return found.train.x[:]


def treated(x: Tensor, settings: Data, levels: int | None, seed: int) -> Tensor:
    """Return rows of a split as a model sees them, each by the same random numbers.

    Args:
        x: The rows (N, *shape).
        settings: The data section of the recipe of the model.
        levels: The number of grey levels, None for real values.
        seed: The random seed of treatments that are random.
    """
    if settings.treatment == "fixed":  # which has random numbers for its own images only
        settings = msgspec.structs.replace(settings, treatment="dynamic")
    batches = Batches(x, levels, settings, torch.device("cpu"))
    random = settings.treatment in ("dynamic", "dequantised")
    each = torch.arange(len(batches)).split(1 if random else len(batches))
    return torch.cat([batches(index, generator(seed, "rows of X")) for index in each])
