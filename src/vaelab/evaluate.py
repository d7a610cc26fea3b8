"""Numbers of a trained model, in nats per image unless a docstring says otherwise."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelab.core import CHUNK, VAE, evaluating
from vaelab.data import Batches
from vaelab.seeding import generator, seeded


class Terms(NamedTuple):
    """Means over images, in nats per image; their sum is -ELBO at beta = 1."""

    distortion: float
    rate: float

    @property
    def loss(self) -> float:
        return self.distortion + self.rate

    def record(self) -> dict[str, float]:
        return {"loss": self.loss, "distortion": self.distortion, "rate": self.rate}

    def __str__(self) -> str:
        return f"{self.loss:.2f} = {self.distortion:.2f} + {self.rate:.2f}"


@torch.no_grad()
def terms(vae: VAE, batches: Batches, seed: int) -> Terms:
    """Distortion and rate with one posterior sample an image, over all images of `batches`.

    The same seed draws the same noise and the same binarisation every time, so epochs can be compared.
    """
    device = batches.x.device
    total = torch.zeros(2, dtype=torch.float64)
    chance = generator(seed, "evaluation data", device=device)
    with evaluating(vae), seeded(seed, "evaluation"):
        for index in torch.arange(len(batches), device=device).split(CHUNK):
            draw = vae(batches(index, chance))
            total += torch.stack([draw.distortion.sum(), draw.rate.sum()]).cpu()
    distortion, rate = (total / len(batches)).tolist()
    return Terms(distortion, rate)


def explained_variance(means: Tensor, components: int = 2) -> float:
    """Share of the variance of codes (N, L) that their first principal components hold, in [0, 1] (0: all equal)."""
    centred = (means - means.mean(0)).double()
    variances = torch.linalg.svdvals(centred) ** 2
    return float(variances[:components].sum() / variances.sum()) if variances.any() else 0.0


def nearest_distance(x: Tensor, among: Tensor) -> Tensor:
    """Euclidean distance, in pixel values, of each of x (N, *shape) to the nearest of `among` (M, *shape): (N,)."""
    # In double, or the matrix products that make cdist fast leave 0.01 between an image and its copy.
    rows, columns = x.flatten(1).double(), among.flatten(1).double()
    return torch.cat([torch.cdist(chunk, columns).min(1).values for chunk in rows.split(100)])


def neighbours_agree(codes: Tensor, labels: NDArray[Any], others: Tensor, truth: NDArray[Any], k: int = 15) -> float:
    """Share of the codes `others` (M, L) whose class the k nearest of `codes` (N, L) vote right, in [0, 1]."""
    from sklearn.neighbors import KNeighborsClassifier  # here, for it takes a second to import

    voters = KNeighborsClassifier(min(k, len(codes))).fit(codes.numpy(), labels)
    return float(voters.score(others.numpy(), truth))
