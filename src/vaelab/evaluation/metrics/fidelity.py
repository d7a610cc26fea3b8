"""Fidelity and diversity of samples, from features of samples and of real images."""

from __future__ import annotations

import torch
from torch import Tensor

from vaelab import devices
from vaelab.evaluation.metrics.estimates import Estimate, pooled


def frechet(x: Tensor, y: Tensor) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^(1/2)) of the means and covariances of x (N, F) and y (M, F); at least 0.

    The distance, squared, of two Gaussians with these moments. The trace of the root is the sum of the roots of the
    eigenvalues of S^(1/2) T S^(1/2), which is symmetric, so none is complex. Few images make it larger than it is.

    Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter, GANs trained by a two time-scale update rule, 2017,
    arXiv:1706.08500.
    """
    (m, s), (n, t) = (
        (z.mean(0), torch.atleast_2d(z.T.cov())) for z in (x.double().cpu(), y.double().cpu())
    )
    values, vectors = torch.linalg.eigh(s)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ t @ root).clamp(min=0).sqrt().sum()
    return max(0.0, float((m - n).square().sum() + s.trace() + t.trace() - 2 * cross))


def neighbourhoods(made: Tensor, real: Tensor) -> dict[str, Estimate]:
    """Precision, recall, density and coverage of features `made` (N, F) beside `real` (M, F), more than 5 of each.

    A point's k-ball reaches to its k-th neighbour among its own kind.
        precision   share of made in the 3-ball of any real
        recall      share of real in the 3-ball of any made
        density     mean over made of the number of 5-balls of real around it, / 5; above 1 where made crowd together
        coverage    share of real with a made in its 5-ball; of one distribution 1 - prod_{i=1..5} (M - i) / (N + M - i)

    Precision and density are means over made, and have the error of one, with real as it is. Recall and coverage have
    none: whether a real point has one made near depends on all of these at once, and counting real points alone gives
    a third to a half of what another draw of samples shows.

    Kynkaanniemi, Karras, Laine, Lehtinen & Aila, Improved precision and recall, 2019, arXiv:1904.06991.
    Naeem, Oh, Uh, Choi & Yoo, Reliable fidelity and diversity metrics, 2020, arXiv:2002.09797.
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
    """Distance of each of x (N, F) to its 3rd and to its 5th neighbour among x, (N,) each."""
    nearest = torch.cat(
        [
            torch.cdist(some, x).topk(6, largest=False).values
            for some in x.split(devices.at_once(16 * len(x)))
        ]
    )
    return nearest[:, 3], nearest[:, 5]  # 0 is itself


def kernel_mmd(x: Tensor, y: Tensor, blocks: int = 10) -> Estimate:
    """MMD^2 of x and y (N, F) with the kernel (a.b / F + 1)^3: 0 in expectation for one distribution, so also below.

    The mean of the unbiased estimates of disjoint blocks, and its standard error: rows must be in random order, and
    at least twice as many as blocks.

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
    """exp E_x KL(p(y|x) || p(y)) of probabilities (N, C): 1 if all are alike, C if sure and every class as frequent.

    Salimans, Goodfellow, Zaremba, Cheung, Radford & Chen, Improved techniques for training GANs, 2016,
    arXiv:1606.03498, by another classifier.
    """
    p = probabilities.double()
    return float((torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1).mean().exp())
