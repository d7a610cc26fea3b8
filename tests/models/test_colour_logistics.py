"""The logistic mixture of colour images, whose channels depend on one another."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import logsumexp
from torch import Tensor, nn

from vaelab.models import build, scores
from vaelab.models.likelihoods import LogisticMixture
from vaelab.recipes import Model

K = 3


def make(
    outputs: Tensor, levels: int, size: tuple[int, int] = (1, 1)
) -> torch.distributions.Distribution:
    """p(x|z) for network outputs (N, 10 K, H, W), in their precision."""
    network = nn.Unflatten(1, (LogisticMixture.outputs(levels, K, (3, *size)), 3, *size))
    return LogisticMixture(network, levels, (3, *size)).to(outputs.dtype)(outputs.flatten(1))


def every_colour(levels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """All colours of a pixel as images, (levels^3, 1, 3, 1, 1)."""
    colours = torch.tensor([*itertools.product(range(levels), repeat=3)], dtype=dtype)
    return colours[:, None, :, None, None] / (levels - 1)


def probability(outputs: np.ndarray, colour: tuple[int, ...], levels: int) -> float:
    """P of a colour by the formula, for one pixel's outputs (10 K)."""
    logits, rest = outputs[:K], outputs[K:].reshape(3, K, 3)
    middle, total = (levels - 1) / 2, 0.0
    red, green, _ = (v / middle - 1 for v in colour)
    for k in range(K):
        mean, log_scale, (a, b, c) = rest[0, k], rest[1, k], np.tanh(rest[2, k])
        means = mean + np.array([0, a * red, b * red + c * green])
        p = math.exp(logits[k] - logsumexp(logits))
        for v, m, scale in zip(colour, means, 0.03 + middle * np.exp(log_scale), strict=True):
            cdf = stats.logistic(middle * (1 + m), scale).cdf
            p *= (1 if v == levels - 1 else cdf(v + 0.5)) - (0 if v == 0 else cdf(v - 0.5))
        total += p
    return total


@pytest.mark.parametrize("levels", [2, 3, 5])
def test_probabilities_are_those_of_the_formula_and_sum_to_one(levels: int) -> None:
    outputs = 1.5 * torch.randn(4, 10 * K, 1, 1, dtype=torch.float64)
    found = make(outputs, levels).log_prob(every_colour(levels)).exp()  # (levels^3, 4)
    torch.testing.assert_close(found.sum(0), torch.ones(4).double(), rtol=1e-12, atol=0)
    for i, row in enumerate(outputs.flatten(1).numpy()):
        for p, colour in zip(found[:, i], itertools.product(range(levels), repeat=3), strict=True):
            assert float(p) == pytest.approx(probability(row, colour, levels), rel=1e-9)


@pytest.mark.parametrize("log_scale", [-30.0, -6.0, -2.0, 2.0, 30.0])
def test_probabilities_sum_to_one_in_float32_however_sharp(log_scale: float) -> None:
    outputs = torch.randn(50, 10 * K, 1, 1)
    outputs[:, 4 * K : 7 * K] = log_scale
    total = make(outputs, 9).log_prob(every_colour(9, torch.float32)).exp().sum(0)
    assert float((total - 1).abs().max()) < 2e-5


def test_an_image_is_the_product_of_its_pixels() -> None:
    outputs, x = torch.randn(2, 10 * K, 4, 5).double(), torch.randint(17, (2, 3, 4, 5)) / 16
    whole = make(outputs, 17, (4, 5))
    assert (whole.batch_shape, whole.event_shape) == ((2,), (3, 4, 5))
    pixels = outputs.permute(2, 3, 0, 1).flatten(0, 2)[..., None, None]
    colours = x.permute(2, 3, 0, 1).flatten(0, 2)[..., None, None]
    each = make(pixels, 17).log_prob(colours).view(4, 5, 2)
    torch.testing.assert_close(whole.log_prob(x), each.sum((0, 1)))


def test_outputs_of_several_samples_and_of_two_beyond_the_last_give_the_same() -> None:
    """With 2 components a pixel takes 20 outputs; of 3 elements with 7 each, one is left over."""
    assert LogisticMixture.outputs(256, 2, (3, 8, 8)) == 7
    network = nn.Unflatten(1, (7, 3, 8, 8))
    likelihood = LogisticMixture(network, 256, (3, 8, 8))
    z, x = torch.randn(5, 4, 7 * 192), torch.rand(4, 3, 8, 8)
    p = likelihood(z)
    other = z.view(5, 4, 21, 64).clone()
    other[:, :, 20] = 9.0
    assert p.log_prob(x).shape == (5, 4)
    assert torch.equal(p.log_prob(x), likelihood(other.flatten(2)).log_prob(x))
    torch.testing.assert_close(p.log_prob(x)[2], likelihood(z[2]).log_prob(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [2, 256])
def test_extreme_outputs_have_finite_densities_gradients_and_means(
    levels: int, dtype: torch.dtype
) -> None:
    outputs = torch.tensor([-200.0, -80.0, -5.0, 0.0, 5.0, 80.0, 200.0], dtype=dtype)
    outputs = outputs[torch.randint(7, (500, 10 * K, 1, 1))].requires_grad_()
    for colour in itertools.product([0.0, 1.0], repeat=3):
        p = make(outputs, levels)
        found = p.log_prob(torch.tensor(colour, dtype=dtype)[:, None, None])
        (grad,) = torch.autograd.grad(found.sum(), outputs)
        assert found.isfinite().all()
        assert grad.isfinite().all()
        assert p.mean.isfinite().all()
        assert p.mean.min() >= 0
        assert p.mean.max() <= 1


def test_the_mean_is_the_sum_of_all_colours_by_their_probabilities() -> None:
    """Away from the ends of the range the chain is exact; near them it is within a level here."""
    levels = 33
    inside = torch.randn(20, 10 * K, 1, 1).double() / 10
    inside[:, 4 * K : 7 * K] = -3.0
    outside = inside.clone()
    outside[:, K : 4 * K] *= 10
    for outputs, off in ((inside, 0.01), (outside, 1.0)):
        x = every_colour(levels)
        p = make(outputs, levels)
        exact = (p.log_prob(x).exp()[..., None, None, None] * x).sum(0)
        assert float((p.mean - exact).abs().max()) * (levels - 1) < off


@pytest.mark.parametrize("levels", [2, 3])
def test_samples_have_the_frequencies_of_their_probabilities(levels: int) -> None:
    count, outputs = 20_000, 1.5 * torch.randn(3, 10 * K, 1, 1)
    p = make(outputs, levels)
    v = (p.base_dist.sample((count,))[..., 0, 0] * (levels - 1)).round().long()  # (count, 3, 3)
    colour = (v * torch.tensor([levels**2, levels, 1])).sum(-1)
    for i, probability in enumerate(p.log_prob(every_colour(levels, torch.float32)).exp().T):
        found = colour[:, i].bincount(minlength=levels**3) / count
        error = (probability * (1 - probability) / count).sqrt()
        assert float(((found - probability).abs() / (error + 1e-4)).max()) < 5


def test_colour_images_are_scored_as_wholes() -> None:
    settings = Model(likelihood="logistic-mixture", hidden=(8,), latent=2)
    vae, x = build(settings, (3, 4, 4), 4), torch.rand(2, 3, 4, 4)
    for found in scores(vae, x, 5):
        assert found.elements.shape == (1,)
        torch.testing.assert_close(-found.log_p, found.elements + found.code)
