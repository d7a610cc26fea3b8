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
        self, x: Tensor, y: Tensor | None, numbers: Mapping[str, float]
    ) -> tuple[Tensor, Tensor]:
        """The loss to differentiate; and distortion, rate and loss (3,), means over the images.

        Args:
            x: images (B, *shape).
            y: labels (B,) of a conditional model.
            numbers: the weights of the objective at this step (`schedules.numbers`), and "images",
                the size of the training set.
        """
        draw = self.model.draw(x, self.samples, y)
        kind = x.device.type
        # Under mixed precision the networks run in 16 bits, densities and objective in 32.
        mixed = torch.is_autocast_enabled(kind)
        with torch.autocast(kind, enabled=False) if mixed else nullcontext():
            loss = -self.objective(draw, numbers).mean()
            terms = torch.stack([draw.distortion.mean(), draw.rate.mean(), loss]).detach()
        return loss, terms
