"""t-SNE: its probabilities and gradient are those of the papers; it gets as far as others do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from torch import Tensor

from vaelab.plots.latent import pca
from vaelab.plots.tsne import BLOCK, affinities, gradient, tsne

PIXELS, LABELS = load_digits(return_X_y=True)
PIXELS = PIXELS / 16


def divergence(y: Tensor, neighbours: Tensor, shares: Tensor) -> Tensor:
    """KL(P || Q) of places (2, N), with all pairs at once."""
    n = y.shape[1]
    p = torch.zeros(n, n, dtype=y.dtype).scatter_(1, neighbours, shares.to(y.dtype))
    p = p + p.T
    w = 1 / (1 + (y[:, :, None] - y[:, None]).square().sum(0))
    w = w * (1 - torch.eye(n, dtype=y.dtype))
    q = w / w.sum()
    return torch.special.xlogy(p, p).sum() - torch.special.xlogy(p, q + (p == 0)).sum()


@pytest.mark.parametrize("n", [3, 92, BLOCK + 1, 2 * BLOCK + 37])
def test_its_gradient_is_that_of_the_divergence(n: int) -> None:
    neighbours, shares = affinities(torch.from_numpy(PIXELS[:n]).float())
    y = (3 * torch.randn(2, n)).requires_grad_()
    exact = y.detach().double().requires_grad_()
    (wanted,) = torch.autograd.grad(divergence(exact, neighbours, shares), exact)
    found = gradient(y.detach(), neighbours, shares)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5 * wanted.abs().max())


@pytest.mark.parametrize("n", [4, 40, 600])
def test_each_point_has_neighbours_of_the_perplexity(n: int) -> None:
    """A third of the others, and at most 30; the shares of all pairs add up to 1."""
    neighbours, shares = affinities(torch.from_numpy(PIXELS[:n]).float())
    assert neighbours.shape == shares.shape == (n, min(91, n - 1))
    assert not (neighbours == torch.arange(n)[:, None]).any(), "nobody is its own neighbour"
    p = shares.double() * 2 * n
    entropy = -torch.special.xlogy(p, p).sum(1)
    torch.testing.assert_close(
        entropy.exp(), torch.full((n,), min(30.0, max(1.0, (n - 1) / 3))).double()
    )
    assert 2 * shares.sum().item() == pytest.approx(1)


def test_it_gets_as_far_as_that_of_scikit_learn() -> None:
    """The divergence of both, after as many iterations from one start, differs by 2 %."""
    z = PIXELS[:600]
    ours = tsne(z)
    start = pca(z)[0]
    start = 1e-4 * (start - start.mean(0)) / start[:, 0].std()
    model = TSNE(perplexity=30, learning_rate=100, max_iter=500, init=start.astype(np.float32))
    known = affinities(torch.from_numpy(z).float())
    found, other = (
        divergence(torch.from_numpy(places.astype(np.float64)).T, *known).item()
        for places in (ours, model.fit_transform(z.astype(np.float32)))
    )
    assert found < 1.02 * other


def test_it_is_the_same_each_time_and_keeps_neighbours() -> None:
    first = tsne(PIXELS[:120])
    assert first.shape == (120, 2)
    np.testing.assert_array_equal(first, tsne(PIXELS[:120]))
    distance = np.linalg.norm(first[:, None] - first[None], axis=-1) + 1e9 * np.eye(120)
    assert (LABELS[:120][distance.argmin(1)] == LABELS[:120]).mean() > 0.8


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8])
def test_few_codes_have_places_too(n: int) -> None:
    assert tsne(PIXELS[:n]).shape == (n, 2)
    assert np.isfinite(tsne(PIXELS[:n])).all()


def test_equal_codes_have_places_too() -> None:
    twice = np.repeat(PIXELS[:150], 2, axis=0)
    many = np.repeat(PIXELS[:3], 100, axis=0)  # all neighbours of a code at no distance
    for z in (twice, many):
        assert np.isfinite(tsne(z)).all()
