"""What the rules look at, and what they say: `Evidence` in, `Finding` out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.data.dataset import spread
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate, mean, number
from vaelab.models import InUnits
from vaelab.recipes import NUMBERS, Recipe
from vaelab.seeding import generator, seeded
from vaelab.training import History

LOOK = 1000  # test images whose outputs are judged
LOOKED = 2000  # test images and samples, where `evaluate` has not measured them
IMAGES = 10_000  # of each split, at most, whose loss is computed
SURE = 2.5  # standard errors of a difference that counts; at random 6 in 1000 exceed them
WORTH = 0.3  # nats, below which a gain or a loss is not reported


class Finding(NamedTuple):
    """What a rule says of a run."""

    rule: str
    verdict: Literal[
        "fault", "remark", "fine", "follows"
    ]  # follows: a consequence of a graver fault
    says: str  # sentences with their numbers
    remedy: str = ""  # what to try; a fault always has one


@dataclass(frozen=True)
class Evidence:
    """How the run was trained, what it is, and the numbers of `evaluate`."""

    recipe: Recipe
    history: History
    evaluator: Evaluator
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def number(self, key: str) -> Estimate | None:
        """The number under a key such as ``latent.prior_gap``; None where it is missing."""
        section, _, name = key.partition(".")
        return number(self.sections.get(section, {}).get(name))

    @property
    def unseen(self) -> str:
        """The held-out split: validation images, or test images where there are none."""
        return "validation" if "validation" in self.history[-1] else "test"

    def losses(self, split: str) -> list[float]:
        """The loss of every epoch in nats per image; the bound where it uses several samples."""
        return [entry[split].get("bound", entry[split]["loss"]) for entry in self.history]

    @property
    def kept(self) -> dict[str, Any]:
        """The history's entry of the epoch whose weights were kept."""
        epoch = self.evaluator.run.contract["epoch"]
        return next((entry for entry in self.history if entry["epoch"] == epoch), self.history[-1])

    @property
    def numbers(self) -> dict[str, float]:
        """The objective's weights at the end of that epoch."""
        return {name: self.kept.get(name, getattr(self.recipe.objective, name)) for name in NUMBERS}

    @torch.no_grad()
    def loss(self, split: str) -> Estimate:
        """Distortion + rate of a split under the kept weights, in nats per image.

        Measured in evaluation mode without augmentation, so that neither raises the training loss.
        """
        vae, images, found = self.evaluator.vae, getattr(self.evaluator, split), []
        chance = generator(self.evaluator.seed, "doctor data", device=self.evaluator.device)
        with seeded(self.evaluator.seed, "doctor"):
            few = torch.from_numpy(spread(len(images), IMAGES)).to(
                self.evaluator.device
            )  # data may be sorted
            for index in few.split(vae.rows_at_once()):
                draw = vae.draw(images(index, chance), 1, images.labels(index))
                found.append(draw.distortion + draw.rate)
        return mean(torch.cat(found))

    @cached_property
    def look(self) -> tuple[Tensor, Distribution, float]:
        """Test images x (B, *shape); p(x_i|z) of their elements by one sample z each, (1, B, *shape); their rate."""
        few = torch.from_numpy(spread(len(self.evaluator.test), LOOK)).to(self.evaluator.device)
        vae, x, y = self.evaluator.vae, self.evaluator.x_test[few], self.evaluator.test.labels(few)
        with torch.no_grad(), seeded(self.evaluator.seed, "doctor"):
            draw = vae.draw(x, 1, y)
            px = cast(Distribution, getattr(draw.px, "base_dist", draw.px))
            if isinstance(px, InUnits):
                x, px = px.units.inward(x), px.base
            return x.float(), px, float(draw.rate.mean())

    @property
    def quarter(self) -> int:
        """A quarter of the epochs, at least 1."""
        return max(1, self.recipe.train.epochs // 4)


def said(number: Estimate) -> str:
    error = number.error or 0
    places = 1 if error >= 0.05 else 2
    return (
        f"{number.value:.{places}f} ± {error:.{places}f}"
        if error >= 0.005
        else f"{number.value:.1f}"
    )


def error_of(*each: Estimate) -> float:
    """The standard error of a sum or difference of independent numbers; infinite if one is unknown."""
    return math.hypot(*(math.inf if one.error is None else one.error for one in each))
