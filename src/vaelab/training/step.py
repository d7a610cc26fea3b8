"""One step: the loss of a batch and its terms."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from vaelab.models import VAE, Goal
from vaelab.recipes import Objective


class Step(nn.Module):
    """A VAE and its objective, which may have weights of its own: all that is trained.

    It is what a wrapper for devices, precision or several processes wraps.
    """

    def __init__(self, vae: VAE, settings: Objective | None = None) -> None:
        super().__init__()
        self.settings = settings or Objective()
        self.model, self.objective = vae, Goal(self.settings, vae)
        self.samples = self.settings.k * self.settings.m  # posterior samples an image

    def forward(
        self,
        x: Tensor,
        y: Tensor | None,
        numbers: Mapping[str, float],
        weights: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The loss to differentiate; and distortion, rate and loss (3,), means over the images.

        With weights w the mean of values v is sum_i w_i v_i / B. As w is 1 on average over the
        training set, the gradient is in expectation that of sum_i w_i loss_i / sum_i w_i: a row of
        weight 2 counts like two rows. Statistics of the whole batch, which some objectives add, are
        not weighted.

        Args:
            x: images (B, *shape).
            y: labels (B,) of a conditional model.
            numbers: the weights of the objective at this step (`schedules.numbers`), and "images",
                the size of the training set.
            weights: how much each image counts (B,); None: all the same.
        """
        draw = self.model.draw(x, self.samples, y)
        kind = x.device.type
        # Under mixed precision the networks run in 16 bits, densities and objective in 32.
        mixed = torch.is_autocast_enabled(kind)
        with torch.autocast(kind, enabled=False) if mixed else nullcontext():
            loss = -mean(self.objective(draw, numbers), weights)
            each = draw.distortion.detach(), draw.rate.detach()
            terms = torch.stack([*(mean(values, weights) for values in each), loss.detach()])
        return loss, terms


def mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean of values (B,), each times its weight (B,) where there are weights."""
    return (values if weights is None else values * weights).mean()
