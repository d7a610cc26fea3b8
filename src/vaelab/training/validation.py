"""The terms of the ELBO as means over images, the same in training and in evaluation."""

from __future__ import annotations

from typing import NamedTuple

import torch

from vaelab.data import Batches
from vaelab.models import VAE, iwae
from vaelab.seeding import generator, seeded


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
    rows = max(1, vae.rows_at_once() // k)
    with seeded(seed, "evaluation"):
        for index in batches.ahead(torch.arange(len(batches), device=device).split(rows)):
            draw = vae.draw(batches(index, stream), k, batches.labels(index))
            bound = iwae(draw) if k > 1 else torch.zeros_like(draw.distortion)
            found = torch.stack([draw.distortion, draw.rate, -bound])  # (3, B)
            weights = batches.weights(index)
            total += (found if weights is None else found * weights).sum(1).cpu()
    distortion, rate, bound = (total / len(batches)).tolist()
    return Terms(distortion, rate, bound if k > 1 else None)
