"""Whether samples are copies of training images: distances in pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vaelab import devices
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.models import Linear

COPY = 0.01  # share of test images that would count as copies


class NearestAmong:
    """Exact search for the nearest of images (M, *shape), in pixel values.

    The search is a product in float32, which leaves 0.01 between an image and its copy. So the
    distances of the best two more than asked for are computed again in float64, and these decide.
    Beside a copy of the images the memory is bounded.
    """

    def __init__(self, images: Tensor) -> None:
        self.rows = images.flatten(1)
        self.middle = self.rows.float().mean(0)  # far from 0 the products would cancel
        columns = self.rows.float() - self.middle
        self.largest = max(columns.shape)
        self.score = Linear(columns.shape[1], len(columns), device="meta")
        # x.a - |a|^2 / 2 is largest for the nearest a.
        self.score.weight = nn.Parameter(columns, requires_grad=False)
        self.score.bias = nn.Parameter(-columns.square().sum(1) / 2, requires_grad=False)

    def __call__(self, x: Tensor, rank: int = 1) -> tuple[Tensor, Tensor]:
        """Return the Euclidean distance of each of x (N, *shape) to its nearest, and which that is.

        Both are (N,). With rank 2 it is the second nearest: for x among the images, the nearest other.
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
    """Return the distance of each of x to the nearest of `among`, and which; see `NearestAmong`."""
    return NearestAmong(among)(x, rank)


def nearness(to_train: Tensor, to_test: Tensor) -> Tensor:
    """t / (t + s) of the distances t to the nearest training and s to the nearest test image: 0 for a copy, (N,)."""
    total = to_train + to_test
    return torch.where(total > 0, to_train / total, 0.5)


def copies(samples: Tensor, real: Tensor) -> Estimate:
    """Share of samples whose `nearness` (N,) is below what only COPY of test images (M,) stay below.

    COPY in expectation where samples are to the training images as test images are, so where nothing was memorised.
    The distance to a training image alone would not do: samples of a VAE are smooth and lie nearer to any image than
    real ones do, to training and test images alike, so the ratio stays. (A decoder's means of MNIST's training images,
    blurred copies, give 48 %, of its test images 0 %; by the distance alone 4 % either way.) Pixels, not features,
    decide: a classifier is taught to overlook what makes one image of a class this image. Where test images are of
    other makers than training images, the number grows a little: MNIST's own training images, held out, give 2 %.

    The error counts the samples and the test images the limit was read from. After Meehan, Chaudhuri & Dasgupta, A
    non-parametric test to detect data-copying, 2020, arXiv:2004.05675, who rank such distances.
    """
    limit = np.quantile(
        real.cpu().numpy(), COPY, method="weibull"
    )  # unbiased in the share below, down to 1 / (M + 1)
    share = float((samples < float(limit)).double().mean())
    return Estimate(
        share, (share * (1 - share) / len(samples) + COPY * (1 - COPY) / len(real)) ** 0.5
    )
