"""Metrics of codes: classes, neighbourhoods, interpolations and explained variance."""

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
    """Accuracy of a k-nearest-neighbour classifier of codes, in [0, 1].

    The neighbours are the `codes` (N, L) with `labels`; the accuracy is that on the codes `others`
    (M, L) with labels `truth`.
    """
    from sklearn.neighbors import KNeighborsClassifier  # imported here because it takes a second

    voters = KNeighborsClassifier(min(k, len(codes))).fit(codes.numpy(), labels)
    return mean(torch.from_numpy(voters.predict(others.numpy()) == truth))


def probe_accuracy(
    codes: Tensor, labels: NDArray[Any], others: Tensor, truth: NDArray[Any]
) -> Estimate:
    """Accuracy of a linear probe of codes, in [0, 1].

    The probe is a logistic regression on standardised `codes` (N, L); the accuracy is that on the
    codes `others` (M, L) with labels `truth`.

    References:
        Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2017,
        arXiv:1610.01644.
    """
    predicted = linear_classifier(codes.numpy(), labels).predict(others.numpy())
    return mean(torch.from_numpy(predicted == truth))


def linear_classifier(x: NDArray[Any], labels: NDArray[Any]) -> Any:
    """Fit a logistic regression on standardised x (N, L)."""
    from sklearn.linear_model import LogisticRegression  # imported here because it takes a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with unconverged():
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(x, labels)


def silhouette(codes: Tensor, labels: NDArray[Any]) -> Estimate:
    """Silhouette of the classes: mean of (b - a) / max(a, b) over codes (N, L), in [-1, 1].

    a is the mean distance to the other codes of the same class, and b the mean distance to the
    codes of the nearest other class. It is near 0 where classes overlap.

    References:
        Rousseeuw, Silhouettes, 1987, doi:10.1016/0377-0427(87)90125-7.
    """
    from sklearn.metrics import silhouette_samples  # imported here because it takes a second

    return pooled(torch.from_numpy(silhouette_samples(codes.numpy(), labels)))


def trustworthiness(x: Tensor, z: Tensor, k: int = 5) -> float:
    """Trustworthiness: whether neighbours among codes are neighbours among images, in [0, 1].

        1 - 2 / (N k (2N - 3k - 1)) sum_n sum_m max(0, r(n, m) - k)

    m runs over the k nearest neighbours of n among the codes z (N, L), and r(n, m) is the rank of m
    among the neighbours of n in the images x (N, *shape). N is at least 4, and k is lowered to less
    than N / 2. Random codes have about 1/2.

    References:
        Venna & Kaski, Neighborhood preservation in nonlinear projection methods, 2001,
        doi:10.1007/3-540-44668-0_68.
    """
    from sklearn.manifold import (
        trustworthiness as scored,
    )  # imported here because it takes a second

    return float(
        scored(x.flatten(1).cpu().numpy(), z.cpu().numpy(), n_neighbors=min(k, (len(x) - 1) // 2))
    )


def evenness(paths: Tensor) -> Tensor:
    """Constancy of speed along paths (P, T + 1, D): (P,), in [1/T, 1].

        (sum_t d_t)^2 / (T sum_t d_t^2),    d_t the length of step t of T

    This is the squared length of a path over its energy. It is 1 at constant speed, 1 / (1 + c^2)
    for a speed with coefficient of variation c, and 1/T where all of the change is in one step. It
    is NaN where nothing changes. A linear decoder gives 1.

    References:
        Arvanitidis, Hansen & Hauberg, Latent space oddity, 2018, arXiv:1710.11379, on length and
        energy of decoded curves.
    """
    steps = paths.double().diff(dim=1).norm(dim=-1)  # (P, T)
    ratio: Tensor = steps.sum(1).square() / (steps.shape[1] * steps.square().sum(1))
    return ratio


def principal_axes(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Principal axes of codes (N, L): their shares of the variance (L,), descending, and the axes.

    The axes are the columns of (L, L), the eigenvectors of the covariance of the codes. The sign of
    an eigenvector is arbitrary; here its largest component is positive. Both are float64, and the
    shares are 0 if all codes are equal.
    """
    centred = codes.double() - codes.double().mean(0)
    variances, axes = torch.linalg.eigh(centred.T @ centred)  # ascending
    variances, axes = variances.flip(0).clamp(min=0), axes.flip(1)
    largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
    return variances / variances.sum().clamp(min=torch.finfo().tiny), axes * largest.sign()


def explained_variance(means: Tensor, components: int = 2) -> float:
    """Share of the variance of codes (N, L) explained by the first principal components, in [0, 1].

    It is 0 if all codes are equal.
    """
    return float(principal_axes(means)[0][:components].sum())
