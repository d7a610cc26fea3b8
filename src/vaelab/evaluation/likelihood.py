"""Distortion, rate and log p(x), in nats per image unless a docstring says otherwise."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vaelab.core import CHUNK, VAE, evaluating
from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.objectives import iwae
from vaelab.posteriors import Point
from vaelab.seeding import generator, seeded

ROWS = 10_000  # codes that are decoded at once: bounds the memory


class Terms(NamedTuple):
    """Means over images, in nats per image; distortion + rate is -ELBO at beta = 1."""

    distortion: float
    rate: float
    bound: float | None = None  # -log of the mean of k importance weights, where k samples were drawn

    @property
    def loss(self) -> float:
        return self.distortion + self.rate

    def record(self) -> dict[str, float]:
        bound = {} if self.bound is None else {"bound": self.bound}
        return {"loss": self.loss, "distortion": self.distortion, "rate": self.rate} | bound

    def __str__(self) -> str:
        bound = "" if self.bound is None else f", bound {self.bound:.2f}"
        return f"{self.loss:.2f} = {self.distortion:.2f} + {self.rate:.2f}{bound}"


@torch.no_grad()
def terms(vae: VAE, batches: Batches, seed: int, k: int = 1) -> Terms:
    """Distortion and rate with k posterior samples an image, and the bound they make, over all images of `batches`.

    The same seed draws the same noise and the same binarisation every time, so epochs can be compared.
    """
    device = batches.x.device
    total = torch.zeros(3, dtype=torch.float64)
    chance = generator(seed, "evaluation data", device=device)
    with evaluating(vae), seeded(seed, "evaluation"):
        for index in torch.arange(len(batches), device=device).split(max(1, CHUNK // k)):
            draw = vae(batches(index, chance), k, batches.labels(index))
            bound = iwae(draw) if k > 1 else torch.zeros_like(draw.distortion)
            total += torch.stack([draw.distortion.sum(), draw.rate.sum(), -bound.sum()]).cpu()
    distortion, rate, bound = (total / len(batches)).tolist()
    return Terms(distortion, rate, bound if k > 1 else None)


@torch.no_grad()
def log_likelihood(vae: VAE, batches: Batches, k: int, seed: int) -> Tensor:
    """log (1/k) sum_k p(x, z_k) / q(z_k|x), (N,), in nats: for k -> infinity log p(x), below it in expectation.

    Each image is encoded once, and its k samples are decoded in bulk. Burda, Grosse & Salakhutdinov 2016,
    arXiv:1509.00519. Raises `UserError` for a k below 1, and for an autoencoder, whose point has no density.
    """
    if k < 1:
        raise UserError(f"k: expected a number of samples of at least 1, got {k}")
    if isinstance(vae.encoder, Point):
        raise UserError("an autoencoder has no likelihood: its code is a point and has no density to weigh it by")
    device = batches.x.device
    chance = generator(seed, "evaluation data", device=device)
    found = []
    with evaluating(vae), seeded(seed, "likelihood"):
        for index in torch.arange(len(batches), device=device).split(max(1, ROWS // k)):
            x, y = batches(index, chance), batches.labels(index)
            q = vae.encoder(x, *vae.given(y))
            total = x.new_full((len(x),), -torch.inf)
            for start in range(0, k, ROWS):
                some = min(ROWS, k - start)
                total = total.logaddexp(vae.draw_from(q, x, some, y).log_weight.logsumexp(0))
            found.append(total - math.log(k))
    return torch.cat(found).cpu()
