"""A run that is prepared for its page: what is known of it, in the language of its figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import torch

from vaelab.data import Form
from vaelab.data.dataset import spread
from vaelab.evaluation import Estimate, Evaluation, damage, number, read
from vaelab.language import Lang, decimal, text
from vaelab.plots import SIGMAS, Array, Labels, View, displayed, is_plane, squarest, unit_of
from vaelab.plots.view import GRID, STEPS
from vaelab.recipes import part
from vaelab.report.run.images import png, sheet
from vaelab.runs import Run
from vaelab.seeding import seeded
from vaelab.training import History

EXTREMES = 5  # best and worst reconstructions
DIMENSIONS = 8  # whose traversals are shown, at most
ROOM = 1_100_000  # bytes of all pictures, about: larger images come reduced
PROBED = 1000  # images of a split, at most, whose losses a page computes itself


def in_language(run: Run, lang: Lang) -> Run:
    """Return a run whose pages have this language; its data need not be there."""
    figures = msgspec.structs.replace(run.recipe.figures, lang=lang)
    return Run(run.folder, msgspec.structs.replace(run.recipe, figures=figures))


@dataclass(frozen=True)
class Prepared:
    """A run, and what several parts of its page need; each is read or computed once."""

    run: Run
    given: View | None = None  # where its figures were drawn just before

    @property
    def lang(self) -> Lang:
        return self.run.recipe.figures.lang

    def t(self, key: str, **values: object) -> str:
        """Return a text of the report in the language of the page."""
        return text("report", key, self.lang, **values)

    def say(self, value: object) -> str:
        """Return a number as the language writes it."""
        return decimal(str(value), self.lang)

    @cached_property
    def history(self) -> History:
        """The epochs so far; none where the first one is not finished."""
        return self.run.history if (self.run.folder / "metrics.jsonl").exists() else []

    @cached_property
    def trained(self) -> bool:
        """Whether there are weights."""
        return self.run.weights.is_file()

    @cached_property
    def results(self) -> dict[str, Any]:
        return self.run.results if self.run.finished else {}

    @cached_property
    def evaluation(self) -> Evaluation | None:
        """What `vaelab evaluate` measured of these weights on all test images, if it did."""
        return read(self.run) if self.trained else None

    def number(self, key: str) -> Estimate | None:
        """Return a number of the evaluation, such as ``likelihood.nll``."""
        section, _, name = key.partition(".")
        found = self.evaluation.sections.get(section, {}) if self.evaluation else {}
        return number(found.get(name))

    @property
    def unread(self) -> str:
        """Why the data cannot be read, "" where they can."""
        return self.run.unread

    @property
    def notes(self) -> list[str]:
        """What is said on the screen of a run whose page lacks something."""
        lost = [f"{self.unread}; the report lacks all that needs the data"] if self.unread else []
        return lost + damage(self.run)

    @cached_property
    def view(self) -> View:
        return self.given or View(self.run, self.run.data.with_measured())

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an example; () where there are neither weights nor data."""
        if self.trained:
            return tuple(self.run.contract["shape"])
        return () if self.unread else self.view.data.shape

    @property
    def form(self) -> Form | None:
        """What an example is; None where there are neither weights nor data."""
        if self.trained:
            return self.run.form
        return None if self.unread else self.view.data.form

    @cached_property
    def side(self) -> int:
        """Return the longer side of a picture in pixels, such that all of a page fit into `ROOM`.

        They compress at least as well as test images, because decoded images are smoother.
        """
        settings, view = self.run.recipe.figures, self.view
        full = displayed(self.run, view.pairs[0])
        each = len(png(sheet(full, squarest(full)))) * 3 / 4 / len(full)
        count = 2 * settings.examples + 4 * EXTREMES + 2 * settings.samples
        count += DIMENSIONS * len(SIGMAS) + len(view.walks) * (STEPS + 2)
        count += GRID**2 // 4 if is_plane(self.run) else 0
        longest = max(full.shape[1:3])
        return int(max(1, longest * min(1, (ROOM / (count * each)) ** 0.5)))

    @property
    def unit(self) -> str:
        return text("figures", unit_of(self.form) if self.form else "nats", self.lang)

    @property
    def space(self) -> str:
        """Where the codes live: reals, levels, sphere, codes or classes."""
        return part("model.posterior", self.run.recipe.model.posterior).space

    @property
    def is_point(self) -> bool:
        """Whether it is an autoencoder, whose code is a point without a rate."""
        return self.run.recipe.model.posterior == "point"

    def classes_of(self, y: Labels) -> list[str]:
        """Return the names of classes, "" for each where there are no labels."""
        return self.view.classes.named(y)

    @cached_property
    def distortions(self) -> tuple[Array, Array]:
        """The indices (N,) of some test images, and their distortion (N,).

        That is the one of the evaluation, else of at most `PROBED` images, evenly spaced, with one
        posterior sample for each.
        """
        measured = self.number("likelihood.distortion")
        if measured is not None and measured.each is not None:
            return np.arange(len(measured.each)), measured.each
        which = spread(len(self.view.data.test.x), PROBED)
        x, y = self.view.rows(which)
        labels = None if y is None else torch.from_numpy(y)
        found = []
        with torch.no_grad(), seeded(self.run.recipe.train.seed, "report"):
            for index in torch.arange(len(x)).split(self.run.vae.rows_at_once()):
                given = None if labels is None else labels[index]
                found.append(self.run.vae.draw(x[index], 1, given).distortion)
        return which, torch.cat(found).numpy()
