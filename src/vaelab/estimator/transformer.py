"""`VAETransformer`: a VAE as an estimator of scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from vaelab.data import Array
from vaelab.data.memory import distinct
from vaelab.errors import UserError
from vaelab.estimator.inputs import form_of, prepared, recipe_of, seed_of, validated, whole
from vaelab.estimator.model import Model
from vaelab.estimator.saving import opened, saved
from vaelab.estimator.thresholds import offset_of
from vaelab.estimator.training import continued, fitted
from vaelab.recipes import Recipe
from vaelab.runs import Run, load
from vaelab.training import History
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job


class VAETransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, OutlierMixin, BaseEstimator
):
    """A variational autoencoder that transforms rows to codes, scores them and makes rows up.

    The model is p(x) = int p(x|z) p(z) dz with the encoder q(z|x), trained to maximise
    E_q[log p(x|z)] - beta KL(q(z|x) || p(z)) by the settings of a recipe. The default recipe,
    `table`, gives each column the distribution of its kind (numbers, counts, words, dates; see
    docs/tables.md), takes empty cells (NaN), and needs no scaling of X.

    A share of the different rows (``data.validation`` of the recipe, 10 %) is held out and chooses
    the best epoch; of fewer than 20 different rows none is. Training depends on the different rows
    and their weights alone: neither on the order of the rows, nor on whether a row was repeated or
    weighted.

    Estimators may be fitted and used in several threads with the same results as one after the
    other. A lock lets one of them train at a time, because training draws from torch's global
    generators, which are restored afterwards.

    Args:
        recipe: The name of a recipe (`vaelab list recipes`), a TOML file, or a `Recipe`.
        latent: The number of dimensions of z; None for that of the recipe, as for all of these.
        beta: The weight of the KL divergence in the objective.
        epochs: The number of passes over the rows. By default the recipe says it, as `table` does
            by a number of steps and early stopping.
        shape: The shape of a row of X, for images (H, W) or (C, H, W) and signals (L,) or (C, L).
        settings: Any other settings of the recipe, such as ``{"model.hidden": [64, 64]}``
            (`vaelab train --help-all` lists them).
        samples: The number K of importance samples per row of `score_samples`.
        contamination: What `predict` calls an outlier. "auto": rows that are less probable than
            95 % of held-out rows (of all rows, where fewer than 19 are held out). A number in
            (0, 0.5]: the share of the rows of `fit`, by weight, that lie below the threshold.
        random_state: An int for the same result again, a RandomState, or None.

    Attributes:
        n_features_in_ (int): The number of columns.
        feature_names_in_ (Array): Their names, where X was a data frame.
        n_iter_: The number of epochs trained.
        history_: An entry for each epoch: distortion and rate in nats per row.
        notes_: How the columns were read, one line each.
        offset_ (float): The threshold of log p(x), in nats.
        model_ (Model): The model; ``model_.vae`` is the `vaelab.VAE`.

    References:
        Kingma & Welling, Auto-encoding variational Bayes, 2013, arXiv:1312.6114.
        Higgins et al., beta-VAE, 2017, ICLR.
        Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, 2016, arXiv:1509.00519.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> from vaelab.estimator import VAETransformer
        >>> X = load_iris().data
        >>> vae = VAETransformer(latent=2, epochs=2, random_state=0).fit(X)
        >>> vae.transform(X).shape, vae.sample(3).shape, vae.score_samples(X[:5]).shape
        ((150, 2), (3, 4), (5,))
    """

    def __init__(
        self,
        recipe: str | Path | Recipe = "table",
        *,
        latent: int | None = None,
        beta: float | None = None,
        epochs: int | None = None,
        shape: tuple[int, ...] | None = None,
        settings: Mapping[str, Any] | None = None,
        samples: int = 100,
        contamination: float | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.recipe = recipe
        self.latent = latent
        self.beta = beta
        self.epochs = epochs
        self.shape = shape
        self.settings = settings
        self.samples = samples
        self.contamination = contamination
        self.random_state = random_state

    # --- training

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> VAETransformer:
        """Train a model.

        Args:
            X: An array (N, D) or a data frame; with the recipe `table` a data frame may contain
                words and dates, and cells may be empty.
            y: Ignored.
            sample_weight: Weights (N,): a row of weight 2 counts like two equal rows, one of weight
                0 is left out.

        Raises:
            ValueError: Parameters or data cannot be used, or do not go together.
        """
        recipe = recipe_of(self, seed_of(self.random_state))
        by_columns = recipe.data.treatment == "columns"
        rows, weights = validated(self, X, sample_weight, first=True, by_columns=by_columns)
        form = form_of(rows, self.shape, by_columns=by_columns)
        job = prepared(*distinct(rows, weights), recipe, form)
        self.model_ = fitted(job, form)
        self.offset_ = offset_of(self.model_, job, self.contamination, self.samples)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> VAETransformer:
        """Train one epoch on these rows.

        The first call decides the kinds of the columns, their categories and their scales, so its
        rows must be like all later ones; a category that it has not seen stays unseen. No rows are
        held out, the learning rate is constant, and weights are relative to the rows of a call. For
        data that fit into memory, `fit` gives better models.

        Args:
            X: An array (N, D) or a data frame.
            y: Ignored.
            sample_weight: Weights (N,).
        """
        before: Model | None = getattr(self, "model_", None)
        seed = before.seed if before else seed_of(self.random_state)
        recipe = whole(before.recipe if before else recipe_of(self, seed))
        by_columns, first = recipe.data.treatment == "columns", before is None
        rows, weights = validated(self, X, sample_weight, first=first, by_columns=by_columns)
        form = before.kept.form if before else form_of(rows, self.shape, by_columns=by_columns)
        rows, weights = distinct(rows, weights)
        job = before.job(rows, weights) if before else prepared(rows, weights, recipe, form)
        self.model_ = continued(job, before, form)
        self.offset_ = offset_of(self.model_, job, self.contamination, self.samples)
        return self

    @property
    def _by_columns(self) -> bool:
        """Whether the recipe reads each column by its kind, so that cells may be empty."""
        if hasattr(self, "model_"):
            return self.model_.schema is not None
        try:
            return recipe_of(self, 0).data.treatment == "columns"
        except UserError:  # which `fit` raises
            return False

    # --- use

    def transform(self, X: Any) -> Array:
        """Return the posterior means E[z|x], (N, L) float64; of other posteriors their centres."""
        x, _ = self._seen(X)
        codes: Array = self.model_.vae.encode(x).numpy()
        return codes

    def inverse_transform(self, Z: Any) -> Any:
        """Return E[x|z] for codes (N, L): an array (N, D), or a data frame if `fit` got one.

        Of categories it is the most probable one. Columns that are no part of the model (names of
        rows, free text) are empty.
        """
        check_is_fitted(self)
        codes = torch.from_numpy(check_array(Z, dtype=np.float64))
        return self.model_.table(self.model_.vae.decode(codes))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Return samples x ~ p(x|z), z ~ p(z), in the form of the rows of `fit`.

        Numbers of tables are rounded as in the rows of `fit`, and set to the ends of their range
        where they lie beyond it.

        Args:
            n_samples: The number of rows.
            random_state: An int, a RandomState, or None for that of the estimator.
        """
        check_is_fitted(self)
        seed = seed_of(self.random_state if random_state is None else random_state)
        x = self.model_.vae.sample(n_samples, seed, noise=True)
        if self.model_.schema:
            x = torch.from_numpy(self.model_.schema.within(x.numpy()))
        return self.model_.table(x)

    def score_samples(self, X: Any) -> Array:
        """Return log p(x), (N,), in nats and in the units of X; higher is more usual.

            log p(x) ~ log (1/K) sum_k p(x, z_k) / q(z_k|x),    z_k ~ q(z|x)

        It is a lower bound in expectation that tightens as K (the parameter `samples`) grows. All
        rows get the same random numbers, so a score does not depend on the other rows. Empty cells
        are left out. A row with a value that its column cannot have, such as a count of -3, gets
        -inf.

        Raises:
            UserError: The model is an autoencoder, which has no p(x).
        """
        x, impossible = self._seen(X)
        log_p = self.model_.log_p(x, self.samples)
        log_p[impossible] = -np.inf
        return log_p

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of log p(x), in nats per row; see `score_samples`."""
        return float(self.score_samples(X).mean())

    def decision_function(self, X: Any) -> Array:
        """Return log p(x) - `offset_`, (N,), in nats; negative for outliers."""
        found: Array = self.score_samples(X) - self.offset_
        return found

    def predict(self, X: Any) -> Array:
        """Return 1 for usual rows and -1 for outliers, (N,); see the parameter `contamination`."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _seen(self, X: Any) -> tuple[torch.Tensor, Array]:
        """Rows as the model sees them, and which of them are impossible."""
        check_is_fitted(self)
        rows, _ = validated(self, X, None, first=False, by_columns=self._by_columns)
        x, impossible = self.model_.rows(rows)
        return self.model_.treated(x), impossible

    # --- runs

    def to_run(
        self, folder: str | Path, X: Any, sample_weight: Any = None, *, overwrite: bool = False
    ) -> Run:
        """Write the estimator as a run folder, which all commands of vaelab take.

        Args:
            folder: The run folder.
            X: The rows of `fit`. They are kept in the cache folder, each different row once.
            sample_weight: The weights of `fit`. The run itself has none: it measures all rows
                alike.
            overwrite: Whether to replace a run in the folder.

        Raises:
            UserError: The rows are not those of `fit`, or the folder is in use.
        """
        check_is_fitted(self)
        by_columns = self._by_columns
        rows, _ = distinct(*validated(self, X, sample_weight, first=False, by_columns=by_columns))
        if self.model_.schema is None:
            rows = rows.reshape(-1, *self.model_.kept.form.shape)
        return saved(self.model_, rows, Path(folder), overwrite)

    @classmethod
    def from_run(
        cls, run: Run | str | Path, *, samples: int = 100, contamination: float | str = "auto"
    ) -> VAETransformer:
        """Return a fitted estimator with the best weights of a run.

        X is then what the run's data are: a table with its columns in their order without that of
        the labels, or rows of images, flat.

        Args:
            run: The run or its folder.
            samples: See the parameters of the class.
            contamination: The same; the threshold is read off the run's data.

        Raises:
            UserError: The data are not there; a model card has none.
        """
        run = load(run) if isinstance(run, str | Path) else run
        found = cls(
            run.recipe,
            shape=None if run.schema else tuple(run.vae.shape),
            samples=samples,
            contamination=contamination,
            random_state=run.recipe.train.seed,
        )
        found.model_ = opened(run)
        found.n_features_in_ = len(found.model_.columns) or math.prod(run.vae.shape)
        if found.model_.kept.form.framed:
            names = [column.name for column in found.model_.columns]
            found.feature_names_in_ = np.array(names, dtype=object)
        job = Job(run.recipe, Console(quiet=True), data=run.data)
        found.offset_ = offset_of(found.model_, job, found.contamination, found.samples)
        return found

    # --- what scikit-learn asks for

    @property
    def n_iter_(self) -> int:
        """The number of epochs trained."""
        return len(self.model_.history)

    @property
    def history_(self) -> History:
        """An entry for each epoch, as in metrics.jsonl."""
        return self.model_.history

    @property
    def notes_(self) -> tuple[str, ...]:
        """How the columns were read, one line each."""
        return self.model_.kept.notes

    @property
    def _n_features_out(self) -> int:
        return self.model_.vae.latent

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._by_columns
        return tags
