"""Memorisation: pixel distances of samples to training images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vaelab import devices
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.models import Linear

COPY = 0.01  # share of test images that are below the threshold for copies


class NearestAmong:
    """Exact nearest-neighbour search among images (M, *shape), by Euclidean distance of pixels.

    A matrix product in float32 finds candidates. Its rounding error corresponds to a distance of
    about 0.01 between an image and its copy, so the distances of two candidates more than requested
    are computed again in float64. Except for a copy of the images, the memory is bounded.
    """

    def __init__(self, images: Tensor) -> None:
        self.rows = images.flatten(1)
        self.middle = self.rows.float().mean(0)  # far from 0, products would lose precision
        columns = self.rows.float() - self.middle
        self.largest = max(columns.shape)
        self.score = Linear(columns.shape[1], len(columns), device="meta")
        # x.a - |a|^2 / 2 is largest for the nearest a.
        self.score.weight = nn.Parameter(columns, requires_grad=False)
        self.score.bias = nn.Parameter(-columns.square().sum(1) / 2, requires_grad=False)

    def __call__(self, x: Tensor, rank: int = 1) -> tuple[Tensor, Tensor]:
        """Return the distance of each of x (N, *shape) to its nearest image, and the index of that.

        Both are (N,). With `rank` 2 it is the second nearest image: if x is among the images, that
        is the nearest other image.
        """
        distances, indices = [], []
        for chunk in x.flatten(1).split(devices.at_once(16 * self.largest)):
            near = self.score(chunk.float() - self.middle).topk(min(rank + 2, len(self.rows)))
            exact = (self.rows[near.indices].double() - chunk[:, None].double()).norm(dim=2)
            distance, place = exact.sort(1)
            distances.append(distance[:, rank - 1])
            indices.append(near.indices.gather(1, place)[:, rank - 1])
        return torch.cat(distances), torch.cat(indices)


def nearest(x: Tensor, among: Tensor, rank: int = 1) -> tuple[Tensor, Tensor]:
    """Return distances to and indices of the nearest images of `among`; see `NearestAmong`."""
    return NearestAmong(among)(x, rank)


def nearness(to_train: Tensor, to_test: Tensor) -> Tensor:
    """Return t / (t + s), (N,), in [0, 1]: 0 for a copy of a training image.

    t is the distance to the nearest training image, and s that to the nearest test image.
    """
    total = to_train + to_test
    return torch.where(total > 0, to_train / total, 0.5)


def copies(samples: Tensor, real: Tensor) -> Estimate:
    """Share of samples that nearly copy a training image, in [0, 1].

    A sample counts if its `nearness` is below the COPY quantile of the nearness of test images. If
    nothing was memorised, samples are as near to training images as test images are, and the
    expected share is COPY.

    The distance to training images alone would not suffice: samples of a VAE are smooth and
    therefore nearer than real images to both training and test images, which leaves the ratio
    unchanged. On MNIST, decoded means of training images (blurred copies) give 48 % and those of
    test images 0 %; the distance alone gives 4 % for both. Pixels are compared instead of features,
    because a classifier learns to ignore what distinguishes images of one class. If test images
    come from other sources than training images, the share is slightly higher: held-out training
    images of MNIST give 2 %.

    Args:
        samples: Nearness of samples, (N,).
        real: Nearness of test images, (M,).

    Returns:
        The share, with a standard error over samples and test images.

    References:
        Meehan, Chaudhuri & Dasgupta, A non-parametric test to detect data-copying, 2020,
        arXiv:2004.05675, who rank such distances.
    """
    # "weibull" gives an unbiased share below the limit, down to 1 / (M + 1).
    limit = np.quantile(real.cpu().numpy(), COPY, method="weibull")
    share = float((samples < float(limit)).double().mean())
    return Estimate(
        share, (share * (1 - share) / len(samples) + COPY * (1 - COPY) / len(real)) ** 0.5
    )
