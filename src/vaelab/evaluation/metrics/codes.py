"""What codes know of classes and of distances between images, and paths between codes."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelab.evaluation.metrics.densities import unconverged
from vaelab.evaluation.metrics.estimates import Estimate, mean, pooled


def knn_accuracy(
    codes: Tensor, labels: NDArray[Any], others: Tensor, truth: NDArray[Any], k: int = 15
) -> Estimate:
    """Share of the codes `others` (M, L) whose class the k nearest of `codes` (N, L) vote right, in [0, 1]."""
    from sklearn.neighbors import KNeighborsClassifier  # here, for it takes a second to import

    voters = KNeighborsClassifier(min(k, len(codes))).fit(codes.numpy(), labels)
    return mean(torch.from_numpy(voters.predict(others.numpy()) == truth))


def probe_accuracy(
    codes: Tensor, labels: NDArray[Any], others: Tensor, truth: NDArray[Any]
) -> Estimate:
    """Share of the codes `others` (M, L) that a logistic regression on standardised `codes` (N, L) gets right.

    Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2017, arXiv:1610.01644.
    """
    return mean(
        torch.from_numpy(linear_classifier(codes.numpy(), labels).predict(others.numpy()) == truth)
    )


def linear_classifier(x: NDArray[Any], labels: NDArray[Any]) -> Any:
    """Logistic regression on standardised x (N, L), fitted."""
    from sklearn.linear_model import LogisticRegression  # here, for it takes a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with unconverged():
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, labels)


def silhouette(codes: Tensor, labels: NDArray[Any]) -> Estimate:
    """Mean of (b - a) / max(a, b) over codes (N, L), in [-1, 1]; 0 where classes lie in one another.

    a is the mean distance to the other codes of the same class, b that to those of the nearest other class.
    Rousseeuw, Silhouettes, 1987, doi:10.1016/0377-0427(87)90125-7.
    """
    from sklearn.metrics import silhouette_samples  # here, for it takes a second to import

    return pooled(torch.from_numpy(silhouette_samples(codes.numpy(), labels)))


def trustworthiness(x: Tensor, z: Tensor, k: int = 5) -> float:
    """Whether the k nearest codes z (N, L) of an image are among the nearest images x (N, *shape), in [0, 1]; N >= 4.

    1 - 2 / (N k (2N - 3k - 1)) sum_n sum_m max(0, r(n, m) - k), m the k nearest codes of n, r their rank by image; k
    below N / 2. Codes by chance have about 1/2.
    Venna & Kaski, Neighborhood preservation in nonlinear projection methods, 2001, doi:10.1007/3-540-44668-0_68.
    """
    from sklearn.manifold import trustworthiness as scored  # here, for it takes a second to import

    return float(
        scored(x.flatten(1).cpu().numpy(), z.cpu().numpy(), n_neighbors=min(k, (len(x) - 1) // 2))
    )


def evenness(paths: Tensor) -> Tensor:
    """(sum_t d_t)^2 / (T sum_t d_t^2), (P,), of the lengths d_t of the T steps of paths (P, T + 1, D), in [1/T, 1].

    The square of a path's length over its energy: 1 at constant speed, 1 / (1 + c^2) where speed varies by the
    coefficient c, 1/T where all happens in one jump; NaN where nothing moves. A linear decoder gives 1. Length and
    energy of decoded curves: Arvanitidis, Hansen & Hauberg, Latent space oddity, 2018, arXiv:1710.11379.
    """
    steps = paths.double().diff(dim=1).norm(dim=-1)  # (P, T)
    ratio: Tensor = steps.sum(1).square() / (steps.shape[1] * steps.square().sum(1))
    return ratio


def explained_variance(means: Tensor, components: int = 2) -> float:
    """Share of the variance of codes (N, L) that their first principal components hold, in [0, 1] (0: all equal)."""
    centred = (means - means.mean(0)).double()
    variances = torch.linalg.svdvals(centred) ** 2
    return float(variances[:components].sum() / variances.sum()) if variances.any() else 0.0
