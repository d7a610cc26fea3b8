"""The terms of the ELBO as means over images, the same in training and in evaluation."""

from __future__ import annotations

from typing import NamedTuple

import torch

from vaelab import devices
from vaelab.data import Batches
from vaelab.models.core import CHUNK, VAE, evaluating, outputs
from vaelab.models.objectives import iwae
from vaelab.seeding import generator, seeded

FLOATS = 16  # bytes for each output of a decoder: its value, its log density, what leads to them


class Terms(NamedTuple):
    """Means over images, in nats per image; distortion + rate is -ELBO at beta = 1."""

    distortion: float
    rate: float
    bound: float | None = None  # -log of the mean of k importance weights, for k > 1 samples

    @property
    def loss(self) -> float:
        return self.distortion + self.rate

    def record(self) -> dict[str, float]:
        """The entry of metrics.jsonl and results.json."""
        bound = {} if self.bound is None else {"bound": self.bound}
        return {"loss": self.loss, "distortion": self.distortion, "rate": self.rate} | bound

    def __str__(self) -> str:
        bound = "" if self.bound is None else f", bound {self.bound:.2f}"
        return f"{self.loss:.2f} = {self.distortion:.2f} + {self.rate:.2f}{bound}"


@torch.no_grad()
def terms(vae: VAE, batches: Batches, seed: int, k: int = 1) -> Terms:
    """Distortion and rate from k posterior samples an image, and the bound that these make.

    The same seed gives the same noise and the same binarisation, so epochs can be compared.
    """
    device = batches.x.device
    total = torch.zeros(3, dtype=torch.float64)
    stream = generator(seed, "evaluation data", device=device)
    with evaluating(vae), seeded(seed, "evaluation"):
        for index in torch.arange(len(batches), device=device).split(_rows(vae, k)):
            draw = vae(batches(index, stream), k, batches.labels(index))
            bound = iwae(draw) if k > 1 else torch.zeros_like(draw.distortion)
            total += torch.stack([draw.distortion.sum(), draw.rate.sum(), -bound.sum()]).cpu()
    distortion, rate, bound = (total / len(batches)).tolist()
    return Terms(distortion, rate, bound if k > 1 else None)


def _rows(vae: VAE, k: int) -> int:
    """How many images pass through the networks at once, by the number of outputs of the decoder."""
    like = next(vae.parameters())
    numbers = outputs(vae, like.new_zeros(1, vae.latent), vae.given(vae.classes[:1]))
    return devices.at_once(FLOATS * k * numbers, max(1, CHUNK // k))
