"""TODO"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.models import Linear

MEMORY = 2**24  # numbers that the search for neighbours holds at once
COPY = 0.01  # share of test images that would count as copies


def nearest(x: Tensor, among: Tensor, rank: int = 1) -> tuple[Tensor, Tensor]:
    """Euclidean distance, in pixel values, of each of x (N, *shape) to the nearest of `among` (M, *shape), and which.

    Both (N,). With rank 2 the second nearest: where x lies among them itself, the nearest other. The search is made
    of products in float32, which leave 0.01 between an image and its copy; so the distances of the best two more than
    asked for are worked out again, in float64, and these decide. Beside a copy of `among` the memory is bounded.
    """
    middle = among.flatten(1).float().mean(0)  # far from 0 the products would cancel
    rows, columns = x.flatten(1), among.flatten(1).float() - middle
    score = Linear(
        columns.shape[1], len(columns), device="meta"
    )  # x.a - |a|^2 / 2, largest for the nearest
    score.weight = nn.Parameter(columns, requires_grad=False)
    score.bias = nn.Parameter(-columns.square().sum(1) / 2, requires_grad=False)
    distances, indices = [], []
    for some in rows.split(max(1, MEMORY // max(columns.shape))):
        found = (
            score(some.float() - middle).topk(min(rank + 2, len(columns))).indices
        )  # (B, rank + 2)
        exact = (among.flatten(1)[found].double() - some[:, None].double()).norm(dim=2)
        distance, place = exact.sort(1)
        distances.append(distance[:, rank - 1])
        indices.append(found.gather(1, place)[:, rank - 1])
    return torch.cat(distances), torch.cat(indices)


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
