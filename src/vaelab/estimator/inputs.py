"""What an estimator is given: its parameters as a recipe, and its rows, both checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from vaelab.data import Array
from vaelab.data.memory import NAME, in_memory
from vaelab.errors import UserError
from vaelab.estimator.model import Form
from vaelab.recipes import Recipe, override, recipe
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job

# The parameters that are settings of the recipe.
SETTINGS = {"latent": "model.latent", "beta": "objective.beta", "epochs": "train.epochs"}
# The settings that the parameter `settings` does not take, and what does in its place.
TAKEN = {
    "data.source": "the argument X",
    "data.labels": "X without the column of labels",
    "data.test": "sklearn.model_selection.train_test_split",
    "data.split_seed": "the parameter random_state",
    "train.seed": "the parameter random_state",
} | {key: f"the parameter {name}" for name, key in SETTINGS.items()}
FEWEST = 20  # different rows, below which none is held out


def recipe_of(estimator: Any, seed: int) -> Recipe:
    """Return the recipe with all that the parameters of an estimator say, but for its random state.

    Raises:
        UserError: A parameter is not valid, or parameters do not go together.
    """
    given, settings = estimator.recipe, estimator.settings or {}
    if not isinstance(given, str | Path | Recipe):
        raise UserError(f"recipe: expected a name, a path or a Recipe, got {given!r}")
    if not isinstance(settings, Mapping):
        raise UserError(f"settings: expected a dictionary, got {settings!r}")
    settings = dict(settings)
    if estimator.contamination != "auto":
        check_share(estimator.contamination, "'auto' or ")
    check_count("samples", estimator.samples)
    for key in settings.keys() & TAKEN.keys():
        raise UserError(f"settings: {key} has another place; use {TAKEN[key]}")
    for name, key in SETTINGS.items():
        if (value := getattr(estimator, name)) is not None:
            settings[key] = value
    settings |= {"data.source": NAME, "data.labels": "none", "data.test": 0.0}
    settings |= {"data.split_seed": seed, "train.seed": seed}
    return override(given, settings) if isinstance(given, Recipe) else recipe(given, settings)


def check_count(name: str, value: Any) -> None:
    """Raise `UserError` where a parameter is no whole number of at least 1."""
    if not (isinstance(value, Integral) and int(value) >= 1):
        raise UserError(f"{name}: expected a whole number of at least 1, got {value!r}")


def check_share(value: Any, others: str = "") -> None:
    """Raise `UserError` where `contamination` is no share in (0, 0.5]."""
    if not (isinstance(value, Real) and 0 < float(value) <= 0.5):
        raise UserError(f"contamination: expected {others}a share in (0, 0.5], got {value!r}")


def form_of(rows: Any, shape: Any, *, by_columns: bool) -> Form:
    """Return the form of an array (N, D) or a data frame, whose rows may have a shape.

    Raises:
        UserError: It is no shape of these rows.
    """
    framed, size = hasattr(rows, "iloc"), rows.shape[1]
    if shape is None:
        return Form(framed, (size,))
    if by_columns:
        raise UserError(f"shape: the recipe reads rows by columns; leave {shape!r} out, or choose "
            "a recipe for images or signals")  # fmt: skip
    if not isinstance(shape, tuple | list) or not all(isinstance(n, Integral) for n in shape):
        raise UserError(f"shape: expected a tuple of whole numbers, got {shape!r}")
    if min(shape, default=0) < 1 or math.prod(shape) != size:
        raise UserError(f"shape: {shape!r} is not the shape of rows of {size} values")
    return Form(framed, tuple(shape))


def whole(recipe: Recipe) -> Recipe:
    """Return the recipe without held-out rows, and so without what they decide."""
    return override(recipe, {"data.validation": 0.0, "train.patience": 0})


def prepared(rows: Any, weights: Array, recipe: Recipe, form: Form) -> Job:
    """Return a job that trains on rows, each different one once, with their weights (N,)."""
    if len(rows) < FEWEST:
        recipe = whole(recipe)
    if recipe.data.treatment != "columns":
        rows = rows.reshape(-1, *form.shape)
    return Job(recipe, Console(quiet=True), data=in_memory(rows, recipe.data, weights))


def validated(
    estimator: Any, x: Any, sample_weight: Any, *, first: bool, by_columns: bool
) -> tuple[Any, Array]:
    """Return X as an array or a data frame, checked as scikit-learn does, and the weights (N,).

    Args:
        estimator: The estimator, which remembers the number and the names of the columns.
        x: What the user gave.
        sample_weight: The weights, None for equal ones.
        first: Whether the rows are those of `fit`.
        by_columns: Whether each column is read by its kind, so that data frames may contain words
            and cells may be empty.
    """
    if hasattr(x, "to_pandas"):  # data frames of polars and others
        x = x.to_pandas()
    if by_columns and hasattr(x, "columns"):
        validate_data(estimator, x, reset=first, skip_check_array=True)
        if len(x) < 1 + first:
            raise UserError(f"{NAME}: has {len(x)} sample(s); give it at least {1 + first}")
    else:
        x = validate_data(
            estimator, x, reset=first, dtype=np.float64 if by_columns else "numeric",
            ensure_all_finite="allow-nan" if by_columns else True, ensure_min_samples=1 + first,
        )  # fmt: skip
    return x, _check_sample_weight(sample_weight, x, dtype=np.float64)


def seed_of(random_state: Any) -> int:
    """Return a seed: an int as it is, else a random number."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))
