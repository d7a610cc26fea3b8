"""A run as its figures see it: which rows of its data are shown, as what, under which names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from torch import Tensor

from vaelab.data import Dataset, Form, Schema
from vaelab.data.dataset import spread
from vaelab.models import VAE
from vaelab.plots import manifold, pixels
from vaelab.plots.charts import plain_schema
from vaelab.plots.classes import MOST, Classes, classes_of
from vaelab.plots.pixels import Pixels, picture
from vaelab.plots.posterior import Posterior, posterior_of
from vaelab.plots.style import Array, Labels, Look
from vaelab.recipes import table
from vaelab.runs import Run
from vaelab.runs.rows import treated

STEPS = 11  # of an interpolation, both ends counted
GRID = 20  # pictures along each side of a manifold
ROW = 10  # samples of a class at most
TABLE = 1000  # rows of a table, and samples, whose columns are shown


NO_PRIOR = ("elbo", "rae-gp", "rae-l2")  # objectives that leave a point's codes free of the prior


class Tabular(NamedTuple):
    """Rows of a table as its figures and its report show them.

    Attributes:
        schema: The columns; of a table of plain numbers they are all real.
        data: Training rows (N, D), with whose columns those of samples are compared; an empty cell
            is NaN.
        x: Test rows (N, D).
        again: Their reconstructions (N, D).
        made: Rows (M, D) sampled from the model, with the noise of p(x|z).
    """

    schema: Schema
    data: Array
    x: Array
    again: Array
    made: Array


@dataclass(frozen=True)
class View:
    """A run, its data, and what several of its figures and its report need, computed once."""

    run: Run
    data: Dataset

    @property
    def look(self) -> Look:
        return look_of(self.run)

    @property
    def unit(self) -> str:
        return unit_of(self.data.form)

    @cached_property
    def classes(self) -> Classes:
        return classes_in(self.data, self.run.class_names)

    @cached_property
    def labels(self) -> Labels:
        """The labels of the test images."""
        return None if self.data.test.y is None else self.data.test.y.numpy()

    def rows(self, which: Array) -> tuple[Tensor, Labels]:
        """Test images as the model sees them, (N, *shape), and their labels."""
        return treated(self.run, self.data.levels, self.data.test, which)

    @cached_property
    def codes(self) -> tuple[Array, Labels]:
        """The codes of figures.points test images, (N, L), and their labels."""
        return self.posterior.means, None if self.labels is None else self.labels[self.points]

    @cached_property
    def posterior(self) -> Posterior:
        """The posteriors of these images."""
        return posterior_of(self.run, *self.rows(self.points))

    @property
    def points(self) -> Array:
        return spread(len(self.data.test.x), self.run.recipe.figures.points)

    @property
    def first(self) -> Array:
        """The index (1,) of the first example."""
        return chosen(self.labels, len(self.data.test.x), 1)

    @cached_property
    def pairs(self) -> tuple[Tensor, Tensor]:
        """Test images and their reconstructions; one of each class first."""
        count = self.run.recipe.figures.examples
        x, y = self.rows(chosen(self.labels, len(self.data.test.x), count))
        return x, self.run.vae.reconstruct(x, y)

    @cached_property
    def samples(self) -> Tensor:
        """Samples of the prior; of a conditional model as many of every class."""
        n, _ = sample_count(self.run, self.run.vae)
        return self.run.vae.sample(n, self.run.recipe.train.seed)

    @cached_property
    def examples(self) -> tuple[Tensor, list[str]]:
        """Test images, one of each class first, and the names of their classes."""
        count = int(np.clip(-(-len(self.classes.labels) // 5) * 5, 10, MOST))
        x, y = self.rows(chosen(self.labels, len(self.data.test.x), count))
        return x, self.classes.named(y)

    @cached_property
    def tabular(self) -> Tabular:
        """Rows of a table, evenly spread, and as many samples."""
        run, data = self.run, self.data
        names = data.features or tuple(
            self.look.text("feature", n=i + 1) for i in range(run.vae.shape[0])
        )
        x, y = self.rows(spread(len(data.test.x), TABLE))
        train, _ = treated(run, data.levels, data.train, spread(len(data.train.x), TABLE))
        made = run.vae.sample(TABLE, run.recipe.train.seed, noise=True)
        again = run.vae.reconstruct(x, y)
        schema = run.schema or plain_schema(names)
        return Tabular(schema, train.numpy(), x.numpy(), again.numpy(), made.numpy())

    @property
    def walks(self) -> Array:
        """Indices (R, 2) of up to five pairs of test images, of different classes if labelled."""
        ends = chosen(self.labels, len(self.data.test.x), 10)
        if len(ends) < 2:
            ends = np.array([0, len(self.data.test.x) - 1])
        return ends[: len(ends) // 2 * 2].reshape(-1, 2)


def unit_of(form: Form) -> str:
    """Return the key of the unit of losses: nats per image, or per row."""
    return "nats" if form == "image" else "nats_row"


def latent_title(run: Run) -> str:
    """Return what the codes of a run are called."""
    traits = table.part("model.posterior", run.recipe.model.posterior).traits
    return look_of(run).text("latent" if "random" in traits else "latent_point")


def sample_title(run: Run) -> str:
    """Return what the samples of a run are called."""
    model, objective = run.recipe.model, run.recipe.objective.name
    if model.posterior != "point" or objective not in NO_PRIOR:
        return look_of(run).text("samples")
    return look_of(run).text("samples_point" if model.prior == "normal" else "samples_fitted")


def look_of(run: Run) -> Look:
    """Return language and size of the figures of a run."""
    return Look(run.recipe.figures.lang, run.recipe.figures.size)


def classes_in(data: Dataset, names: tuple[str, ...] = ()) -> Classes:
    """Return the classes that occur in any split, so that a class keeps its colour in all."""
    given = [split.y.numpy() for split in data.splits().values() if split.y is not None]
    return classes_of(np.concatenate(given) if given else None, names)


def classes_of_runs(runs: Iterable[Run]) -> Classes:
    """Return the classes of several runs, under the names that the first run has for them."""
    runs = list(runs)
    given = [s.y.numpy() for run in runs for s in run.data.splits().values() if s.y is not None]
    names = next((run.class_names for run in runs if run.class_names), ())
    return classes_of(np.concatenate(given) if given else None, names)


def chosen(y: Labels, n: int, count: int) -> Array:
    """Return `count` of the indices 0 .. n - 1: one of each class first, then evenly spread."""
    if y is None:
        return spread(n, count)
    first = np.unique(y, return_index=True)[1]
    first = first[spread(len(first), count)]
    return np.concatenate([first, np.setdiff1d(spread(n, count), first)])[:count]


def displayed(run: Run, x: Tensor, side: int = pixels.SIDE) -> Pixels:
    """Return pictures of rows of data: black to white is the range of the training images."""
    low, high = run.contract.get("display", run.contract["range"])
    return picture(x.detach().cpu().numpy(), (low, high), side, run.form)


def decoded(run: Run, z: Array, y: Labels = None, side: int = pixels.SIDE) -> Pixels:
    """Decode codes (N, L) into pictures, as many at once as memory allows."""
    count = run.vae.rows_at_once()
    parts = (slice(i, i + count) for i in range(0, len(z), count))
    return np.concatenate(
        [displayed(run, run.vae.decode(z[i], None if y is None else y[i]), side) for i in parts]
    )


def drawable(run: Run) -> bool:
    """Return whether rows of its data have a picture each: images and signals, not tables."""
    return run.form != "table"


def latent_grid(run: Run, longest: int = pixels.SIDE) -> tuple[Pixels, Array] | None:
    """Return the latent plane, or the latent line, decoded, and its axis; None for other models.

    A picture of a line is at most `longest` pixels wide and high, one of a plane half of that.
    """
    settings = run.recipe.figures
    if not is_plane(run, (1, 2)):
        return None
    side = GRID if run.form == "image" else GRID // 2
    axis = manifold.grid_axis(GRID if run.vae.latent == 1 else side, settings.grid, settings.span)
    points = axis[:, None] if run.vae.latent == 1 else manifold.grid_points(axis)
    return decoded(run, points, side=longest // run.vae.latent), axis


def is_plane(run: Run, latent: tuple[int, ...] = (2,)) -> bool:
    """Return whether the latent space is a plane (or a line) that decoded codes can show."""
    settings = run.recipe.model
    everywhere = table.part("model.posterior", settings.posterior).space == "reals"
    return run.vae.latent in latent and everywhere and not settings.conditional


def sample_count(run: Run, vae: VAE) -> tuple[int, int]:
    """Return the number of samples in figures, and how many stand in a row (0: as it fits).

    Of a conditional model a row holds the samples of a class, at most `ROW`.
    """
    n, k = run.recipe.figures.samples, len(vae.classes)
    each = min(ROW, max(1, n // k)) if 0 < k <= MOST else 0
    return each * k or n, each


def class_rows(vae: VAE, n: int) -> Array | None:
    """Return how many of n samples belong to each class of a conditional model, (K,).

    None where the samples are better shown as a grid.
    """
    k = len(vae.classes)
    if not 0 < k <= MOST or n < k or n > 2 * ROW * k:
        return None
    return np.bincount(np.arange(n) * k // n, minlength=k)


def between(run: Run, ends: Tensor, y: Labels) -> Array:
    """Return codes between those of two images, (STEPS, L), along the space that codes live in."""
    codes = run.vae.encode(ends, y)  # (2, L)
    return np.asarray(run.vae.interpolate(codes[:1], codes[1:], STEPS)[0].numpy())


def half_each(ends: Array) -> Array:
    """Return the labels (STEPS,) of the steps between two ends (2,): half those of each."""
    return ends[np.arange(STEPS) * 2 // STEPS]


def is_discrete(run: Run) -> bool:
    """Return whether there is nothing between two codes."""
    return table.part("model.posterior", run.recipe.model.posterior).space in ("codes", "classes")
