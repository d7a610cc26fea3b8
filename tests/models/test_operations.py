"""Operations whose derivatives are written by hand, and distributions without checks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.func import grad, hessian, jacfwd, jvp, vmap

from vaelab.models.operations import log_bernoulli, normal
from vaelab.models.priors import StandardNormal, UnitNormal


def plain(x: Tensor, logits: Tensor) -> Tensor:
    return Bernoulli(logits=logits, validate_args=False).log_prob(x)


def numbers() -> tuple[Tensor, Tensor]:
    """Grey values, two images of five pixels, and logits of three samples."""
    torch.manual_seed(0)
    return torch.rand(2, 5, dtype=torch.float64), 5 * torch.randn(3, 2, 5, dtype=torch.float64)


def test_the_density_and_its_gradients_are_those_of_torch() -> None:
    x, logits = numbers()
    both = []
    for function in (log_bernoulli, plain):
        given = x.clone().requires_grad_(), logits.clone().requires_grad_()
        value = function(*given)
        first = torch.autograd.grad(value.square().sum(), given, create_graph=True)
        second = torch.autograd.grad(sum(part.square().sum() for part in first), given)
        both.append([value, *first, *second])
    for ours, torchs in zip(*both, strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself, in jacfwd
def test_the_density_works_under_the_transforms_of_torch() -> None:
    x, logits = numbers()
    one = logits[0, 0]

    def total(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda logits, x: function(x, logits).sum()

    def all_of(function: Callable[..., Tensor]) -> list[Tensor]:
        loss = total(function)
        moved = torch.ones_like(one), torch.full_like(one, 0.3)
        return [
            vmap(function, (0, 1))(x, logits),
            vmap(grad(loss), (1, 0))(logits, x),
            hessian(loss)(one, x[0]),
            jacfwd(loss, 1)(one, x[0]),
            jvp(loss, (one, x[0]), moved)[1],
        ]

    for ours, torchs in zip(all_of(log_bernoulli), all_of(plain), strict=True):
        torch.testing.assert_close(ours, torchs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("logit", [-90.0, -20.0, 0.0, 20.0, 90.0])
def test_the_density_is_exact_for_sure_pixels(logit: float) -> None:
    """A black pixel that the decoder is sure of costs exp(l) nats, a white one exp(-l)."""
    for x in (0.0, 1.0):
        found = log_bernoulli(torch.tensor(x), torch.tensor(logit)).item()
        wanted = plain(torch.tensor(x).double(), torch.tensor(logit).double()).item()
        assert found == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_a_normal_without_checks_is_that_of_torch() -> None:
    mean, scale, z = torch.randn(3, 4, 2)
    scale = scale.exp()
    ours, torchs = normal(mean, scale), Normal(mean, scale)
    assert type(ours) is Normal
    assert torch.equal(ours.log_prob(z), torchs.log_prob(z))
    assert ours.expand((5, 4, 2)).batch_shape == (5, 4, 2)


def test_the_divergence_from_the_unit_normal_is_that_of_torch() -> None:
    q = Independent(Normal(torch.randn(4, 2).double(), torch.rand(4, 2).double() + 0.1), 1)
    p = StandardNormal(2).double()()
    assert type(p.base_dist) is UnitNormal
    zero = torch.zeros(2, dtype=torch.float64)
    wanted = kl_divergence(q, Independent(Normal(zero, zero + 1), 1))
    torch.testing.assert_close(kl_divergence(q, p), wanted, rtol=1e-12, atol=1e-12)
    assert p.expand((3,)).batch_shape == (3,)
