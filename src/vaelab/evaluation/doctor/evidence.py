"""What the rules judge by: `Evidence`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.data import Array, Column
from vaelab.data.dataset import spread
from vaelab.evaluation.doctor.cells import Cells, cells_of
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate, mean, number
from vaelab.models import InUnits
from vaelab.recipes import NUMBERS, Recipe
from vaelab.seeding import generator, seeded
from vaelab.training import History

LOOK = 1000  # test images whose decoder outputs are examined
LOOKED = 2000  # test images and samples that are measured if `evaluate` was not run
ROWS = 5000  # training rows of a table that are examined
IMAGES = 10_000  # the most images of a split whose loss is computed
SURE = 2.5  # standard errors of a significant difference; by chance 6 in 1000 exceed them
WORTH = 0.3  # nats; smaller gains or losses are not reported


@dataclass(frozen=True)
class Evidence:
    """The recipe, the training history, the prepared run and the sections of `evaluate`."""

    recipe: Recipe
    history: History
    evaluator: Evaluator
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    most: int = IMAGES  # images of a split whose loss is computed

    def number(self, key: str) -> Estimate | None:
        """Return the metric of a key such as ``latent.prior_gap``, or None."""
        section, _, name = key.partition(".")
        return number(self.sections.get(section, {}).get(name))

    @property
    def unseen(self) -> str:
        """The held-out split: validation, else test, else there is none and it is "train"."""
        return next(split for split in ("validation", "test", "train") if split in self.history[-1])

    def losses(self, split: str) -> list[float]:
        """Return the loss of every epoch in nats per image; with several samples, the bound."""
        return [entry[split].get("bound", entry[split]["loss"]) for entry in self.history]

    @property
    def kept(self) -> dict[str, Any]:
        """The history entry of the epoch whose weights are stored."""
        epoch = self.evaluator.run.contract["epoch"]
        return next((entry for entry in self.history if entry["epoch"] == epoch), self.history[-1])

    @property
    def numbers(self) -> dict[str, float]:
        """The values of the objective's weights at the end of that epoch."""
        return {name: self.kept.get(name, getattr(self.recipe.objective, name)) for name in NUMBERS}

    @torch.no_grad()
    def loss(self, split: str) -> Estimate:
        """Return distortion + rate of a split with the stored weights, in nats per image.

        Evaluation mode without augmentation makes training and held-out losses comparable.
        """
        vae, images, found = self.evaluator.vae, getattr(self.evaluator, split), []
        rng = generator(self.evaluator.seed, "doctor data", device=self.evaluator.device)
        with seeded(self.evaluator.seed, "doctor"):
            # Evenly spaced, because data may be sorted
            few = torch.from_numpy(spread(len(images), self.most)).to(self.evaluator.device)
            for index in few.split(vae.rows_at_once()):
                draw = vae.draw(images(index, rng), 1, images.labels(index))
                found.append(draw.distortion + draw.rate)
        return mean(torch.cat(found))

    @cached_property
    def look(self) -> tuple[Tensor, Distribution, float]:
        """Test images x (B, *shape), p(x_i|z) of each element (1, B, *shape), and the mean rate.

        p(x_i|z) uses one posterior sample z for each image.
        """
        few = torch.from_numpy(spread(len(self.evaluator.test), LOOK)).to(self.evaluator.device)
        vae, x, y = self.evaluator.vae, self.evaluator.x_test[few], self.evaluator.test.labels(few)
        with torch.no_grad(), seeded(self.evaluator.seed, "doctor"):
            draw = vae.draw(x, 1, y)
            px = cast(Distribution, getattr(draw.px, "base_dist", draw.px))
            if isinstance(px, InUnits):
                x, px = px.units.inward(x), px.base
            return x.float(), px, float(draw.rate.mean())

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table that is read by its columns; none of other data."""
        schema = self.evaluator.run.schema
        return schema.modelled if schema else ()

    @cached_property
    def rows(self) -> Array:
        """Training rows of such a table in the order of the file, (N, D), NaN where empty."""
        x = self.evaluator.x_train
        found: Array = x[torch.from_numpy(spread(len(x), ROWS))].cpu().double().numpy()
        return found

    @cached_property
    def cells(self) -> Cells | None:
        """What the code says of each column of such a table."""
        return cells_of(self.evaluator) if self.columns else None

    @property
    def quarter(self) -> int:
        """A quarter of the epochs, at least 1."""
        return max(1, self.recipe.train.epochs // 4)


def error_of(*each: Estimate) -> float:
    """Return the standard error of a sum of independent estimates; infinite if one is unknown."""
    return math.hypot(*(math.inf if one.error is None else one.error for one in each))
