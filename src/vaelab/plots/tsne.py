"""t-SNE of latent codes: a plane in which neighbours stay neighbours.

The forces between all pairs are exact, in blocks that fit a processor's cache. For the few thousand
points of a picture that takes half the time of a Barnes-Hut tree, and no other library.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from vaelab.plots.latent import checked, pca
from vaelab.plots.style import Array

ITERATIONS = 500  # half of them with early exaggeration
PERPLEXITY = 30.0  # of the distribution of a point's neighbours
EXAGGERATION = 12.0
BLOCK = 500  # rows at once
HALVINGS = 50  # of the interval of a bandwidth


def tsne(z: Array) -> Array:
    r"""Return the t-SNE of codes (N, L), L >= 2: (N, 2). Time is proportional to N^2.

    It minimises KL(P || Q) = \sum_{i \neq j} p_ij log(p_ij / q_ij), in nats, by gradient descent
    that starts from `pca`. p_ij = (p_j|i + p_i|j) / 2N, where p_j|i is normal in the distance of
    the codes, over the 91 nearest neighbours of i, with a perplexity of 30 (fewer and less where
    there are few codes). q_ij = w_ij / \sum_{k \neq l} w_kl with w_ij = 1 / (1 + |y_i - y_j|^2).

    The learning rate is N / 24 and at least 100: twice the usual N / 12 over an early exaggeration
    of 4, so that 500 iterations get as far as 1,000.

    References:
        van der Maaten & Hinton, Visualizing data using t-SNE, JMLR 9, 2008.
        van der Maaten, Accelerating t-SNE using tree-based algorithms, JMLR 15, 2014, for P.
        Belkina et al., Automated optimized parameters for T-distributed stochastic neighbor
        embedding improve visualization and analysis of large datasets, Nature Communications 10,
        2019.
    """
    z = checked(z, None)
    start: Array = pca(z)[0]
    n = len(z)
    if n < 3 or not np.ptp(z, axis=0).any():
        return start
    neighbours, shares = affinities(torch.from_numpy(z).float())
    y = torch.from_numpy(1e-4 * (start - start.mean(0)) / start[:, 0].std()).float().T.contiguous()
    velocity, gains, rate = torch.zeros_like(y), torch.ones_like(y), max(100.0, n / 24)
    for i in range(ITERATIONS):
        early = i < ITERATIONS // 2
        slope = gradient(y, neighbours, shares * (EXAGGERATION if early else 1))
        gains = torch.where(slope * velocity < 0, gains + 0.2, gains * 0.8).clamp_(min=0.01)
        velocity = (0.5 if early else 0.8) * velocity - rate * gains * slope
        y = y + velocity
    return y.T.double().numpy()


def affinities(z: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest neighbours (N, K) of each of the codes (N, L), N >= 3, and p_j|i / 2N of them."""
    n = len(z)
    perplexity = min(PERPLEXITY, max(1, (n - 1) / 3))
    k = min(n - 1, int(3 * PERPLEXITY + 1))
    found = []
    for begin in range(0, n, BLOCK):
        distances = torch.cdist(z[begin : begin + BLOCK], z).square_()
        rows = torch.arange(len(distances))
        distances[rows, begin + rows] = torch.inf
        found.append(distances.topk(k, largest=False))
    squares = torch.cat([part.values for part in found]).double()
    squares = squares - squares[:, :1]  # the nearest first
    # Bisection of log(precision): the entropy of p_j|i falls with it.
    scale = squares.mean(1, keepdim=True).clamp(min=1e-30)
    low, high = squares.new_full((n, 1), -30), squares.new_full((n, 1), 30)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        logits = -squares / scale * middle.exp()
        p = logits.softmax(1)
        wide = -(p * logits.log_softmax(1)).sum(1, keepdim=True) > math.log(perplexity)
        low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
    return torch.cat([part.indices for part in found]), (p / (2 * n)).float()


def gradient(y: Tensor, neighbours: Tensor, shares: Tensor) -> Tensor:
    r"""dKL / dy_i = 4 \sum_j (p_ij - q_ij) w_ij (y_i - y_j) of places y (2, N): (2, N)."""
    return 4 * (_attraction(y, neighbours, shares) - _repulsion(y))


def _attraction(y: Tensor, neighbours: Tensor, shares: Tensor) -> Tensor:
    r"""\sum_j p_ij w_ij (y_i - y_j), (2, N)."""
    ends = neighbours.flatten()
    # index_select and scatter_add_ take a third of the time of y[:, ends] and bincount.
    apart = [axis[:, None] - axis.index_select(0, ends).view_as(neighbours) for axis in y]
    pull = shares / (1 + apart[0].square() + apart[1].square())
    forces = [pull * axis for axis in apart]
    # Each pair of neighbours pulls at both.
    return torch.stack([force.sum(1).scatter_add_(0, ends, -force.flatten()) for force in forces])


def _repulsion(y: Tensor) -> Tensor:
    r"""\sum_j q_ij w_ij (y_i - y_j), (2, N).

    As w is symmetric, a block of rows needs only the columns from its first row on.
    """
    n = y.shape[1]
    squares = y.square().sum(0)
    left = torch.stack([*(-2 * y), squares + 1], 1)  # (N, 3)
    right = torch.cat([y, y.new_ones(1, n)])  # (3, N)
    sums, total = y.new_zeros(3, n), y.new_zeros(())
    memory = y.new_empty(BLOCK * n)
    for begin in range(0, n, BLOCK):
        end = min(begin + BLOCK, n)
        w = memory[: (end - begin) * (n - begin)].view(end - begin, n - begin)
        torch.addmm(squares[begin:], left[begin:end], right[:, begin:], out=w)
        w.clamp_(min=1).reciprocal_()  # rounding must not make a square negative
        w.diagonal().zero_()  # no point repels itself
        beyond = w[:, end - begin :]
        total += w.sum() + beyond.sum()
        w.square_()
        sums[:, begin:end] += right[:, begin:] @ w.T
        sums[:, end:] += right[:, begin:end] @ beyond
    return (y * sums[2] - sums[:2]) / total
