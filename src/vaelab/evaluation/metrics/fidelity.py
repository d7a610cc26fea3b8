"""Fidelity and diversity of samples, from features of samples and of real images."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab import devices
from vaelab.evaluation.metrics.estimates import Estimate, pooled


def frechet(x: Tensor, y: Tensor) -> float:
    """Frechet distance of features x (N, F) and y (M, F); at least 0.

        |m - n|^2 + tr(S + T - 2 (S T)^(1/2))

    m, n are the means and S, T the covariances of the features. This is the squared 2-Wasserstein
    distance of Gaussians with these moments. The trace of the root is computed from the eigenvalues
    of the symmetric matrix S^(1/2) T S^(1/2), which are real. With few images the distance is
    overestimated.

    References:
        Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter, GANs trained by a two time-scale update
        rule, 2017, arXiv:1706.08500.
    """
    (m, s), (n, t) = (
        (z.mean(0), torch.atleast_2d(z.T.cov())) for z in (x.double().cpu(), y.double().cpu())
    )
    values, vectors = torch.linalg.eigh(s)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ t @ root).clamp(min=0).sqrt().sum()
    return max(0.0, float((m - n).square().sum() + s.trace() + t.trace() - 2 * cross))


def neighbourhoods(made: Tensor, real: Tensor) -> dict[str, Estimate]:
    """Precision, recall, density and coverage of features `made` (N, F) and `real` (M, F).

    Each set needs more than 5 points. The k-ball of a point reaches to its k-th nearest neighbour
    in its own set.

        precision   share of samples in the 3-ball of any real point, in [0, 1]
        recall      share of real points in the 3-ball of any sample, in [0, 1]
        density     mean over samples of the number of real points whose 5-ball contains it, / 5;
                    above 1 where samples concentrate in dense regions
        coverage    share of real points with a sample in their 5-ball, in [0, 1]; its expectation
                    for one distribution is 1 - prod_{i=1..5} (M - i) / (N + M - i)

    Precision and density are means over samples and have a standard error for fixed real points.
    Recall and coverage have none: whether a real point has a sample nearby depends on all samples
    jointly. A standard error over real points would be a third to a half of the variation between
    sets of samples.

    References:
        Kynkaanniemi, Karras, Laine, Lehtinen & Aila, Improved precision and recall metric for
        assessing generative models, 2019, arXiv:1904.06991.
        Naeem, Oh, Uh, Choi & Yoo, Reliable fidelity and diversity metrics for generative models,
        2020, arXiv:2002.09797.
    """
    made, real = made.double(), real.double()
    (made_3, _), (real_3, real_5) = _radii(made), _radii(real)
    precise, dense = [], []
    rows = devices.at_once(16 * len(real))
    recalled, covered = torch.zeros(2, len(real), dtype=torch.bool, device=real.device)
    for some, radius in zip(made.split(rows), made_3.split(rows), strict=True):
        distance = torch.cdist(some, real)  # (B, M)
        near = distance <= real_5
        precise.append((distance <= real_3).any(1))
        dense.append(near.sum(1) / 5)
        recalled |= (distance <= radius[:, None]).any(0)
        covered |= near.any(0)
    flags = {
        "precision": torch.cat(precise),
        "recall": recalled,
        "density": torch.cat(dense),
        "coverage": covered,
    }
    found = {key: pooled(values) for key, values in flags.items()}
    return found | {key: Estimate(found[key].value) for key in ("recall", "coverage")}


def _radii(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distances of each of x (N, F) to its 3rd and 5th nearest neighbour, (N,) each."""
    nearest = torch.cat(
        [
            torch.cdist(some, x).topk(6, largest=False).values
            for some in x.split(devices.at_once(16 * len(x)))
        ]
    )
    return nearest[:, 3], nearest[:, 5]  # column 0 is the point itself


def kernel_mmd(x: Tensor, y: Tensor, blocks: int = 10) -> Estimate:
    """Kernel distance (KID): unbiased MMD^2 of features x and y (N, F), kernel (a.b / F + 1)^3.

    The expectation is 0 for one distribution, so values can be negative. The result is the mean
    over disjoint blocks of rows, with its standard error. Rows must be in random order, and there
    must be at least two for each block.

    References:
        Binkowski, Sutherland, Arbel & Gretton, Demystifying MMD GANs, 2018, arXiv:1801.01401.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def apart(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    size = len(x) // blocks
    pairs = zip(x.double().split(size)[:blocks], y.double().split(size)[:blocks], strict=True)
    each = [apart(a) + apart(b) - 2 * kernel(a, b).mean() for a, b in pairs]
    return pooled(torch.stack(each))


def classifier_score(probabilities: Tensor) -> float:
    """Inception score exp E_x KL(p(y|x) || p(y)) of class probabilities (N, C), in [1, C].

    It is 1 if all images have the same probabilities, and C if each image has one certain class and
    classes are equally frequent.

    References:
        Salimans, Goodfellow, Zaremba, Cheung, Radford & Chen, Improved techniques for training
        GANs, 2016, arXiv:1606.03498, with another classifier.
    """
    p = probabilities.double()
    return float((torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1).mean().exp())
