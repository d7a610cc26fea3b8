"""What an estimator is given: its parameters as a recipe, and its rows, both checked."""

from __future__ import annotations

from numbers import Integral, Real
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
    share, settings = estimator.contamination, dict(estimator.settings or {})
    if share != "auto" and not (isinstance(share, Real) and 0 < float(share) <= 0.5):
        raise UserError(f"contamination: expected 'auto' or a share in (0, 0.5], got {share!r}")
    for key in settings.keys() & TAKEN.keys():
        raise UserError(f"settings: {key} has another place; use {TAKEN[key]}")
    for name, key in SETTINGS.items():
        if (value := getattr(estimator, name)) is not None:
            settings[key] = value
    settings |= {"data.source": NAME, "data.labels": "none", "data.test": 0.0}
    settings |= {"data.split_seed": seed, "train.seed": seed}
    if isinstance(estimator.recipe, Recipe):
        return override(estimator.recipe, settings)
    return recipe(estimator.recipe, settings)


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
