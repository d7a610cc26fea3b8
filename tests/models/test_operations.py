"""Operations with hand-written derivatives are those of torch, in every transform."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.nn.functional import binary_cross_entropy_with_logits

from vaelab.models.operations import log_bernoulli, normal
from vaelab.models.priors import StandardNormal, UnitNormal

DOUBLE = torch.float64
X = torch.rand(5, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
LOGITS = torch.randn(5, dtype=DOUBLE, generator=torch.Generator().manual_seed(1)) * 3


def plain(x: Tensor, logits: Tensor) -> Tensor:
    return -binary_cross_entropy_with_logits(*torch.broadcast_tensors(logits, x), reduction="none")


def _pair(x: Tensor, logits: Tensor, function: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
    """Values, gradients, and the gradients of a function of these."""
    leaves = [x.clone().requires_grad_(), logits.clone().requires_grad_()]
    y = function(*leaves)
    slopes = torch.autograd.grad(y.square().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), leaves)
    return [y, *slopes, *second]


@pytest.mark.parametrize(
    ("x", "logits"),
    [
        (X, LOGITS),
        (X, LOGITS.expand(3, 2, 5)),
        (X.expand(2, 5), LOGITS),
        (torch.tensor([0.0, 1.0, 1.0, 0.0]).double(), torch.tensor([9.0, -9, 700, -700]).double()),
        (torch.tensor([2.0, -1.0]).double(), torch.tensor([0.5, 0.5]).double()),
    ],
)
def test_the_bernoulli_has_the_values_and_the_derivatives_of_torch(
    x: Tensor, logits: Tensor
) -> None:
    for a, b in zip(_pair(x, logits, log_bernoulli), _pair(x, logits, plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_half_precision_is_computed_as_by_torch() -> None:
    x, logits = X.bfloat16(), LOGITS.bfloat16()
    found, wanted = log_bernoulli(x, logits), plain(x, logits)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, wanted, rtol=0.02, atol=0.02)  # 8 bits, rounded twice


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself, in jacfwd
@pytest.mark.parametrize("of", [0, 1])
def test_transforms_of_torch_func_work_on_the_bernoulli(of: int) -> None:
    given = [X, LOGITS]

    def all_of(function: Callable[[Tensor, Tensor], Tensor]) -> list[Tensor]:
        def one(value: Tensor) -> Tensor:
            return function(*(value if i == of else other for i, other in enumerate(given)))

        def loss(value: Tensor) -> Tensor:
            return one(value).pow(2).sum()

        value, both = given[of], torch.stack([given[of], 2 * given[of]])
        leaf = value.clone().requires_grad_()
        rows = torch.eye(5, dtype=DOUBLE)
        batched = torch.autograd.grad(one(leaf), leaf, rows, is_grads_batched=True)[0]
        return [
            jacrev(one)(value), jacfwd(one)(value), hessian(loss)(value), jacrev(grad(loss))(value),
            vmap(one)(both), vmap(grad(loss))(both), jvp(one, (value,), (value,))[1], batched,
        ]  # fmt: skip

    for a, b in zip(all_of(log_bernoulli), all_of(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_the_standard_normal_is_that_of_torch_however_it_is_made_or_copied() -> None:
    q = Independent(normal(LOGITS.expand(3, 5), X.expand(3, 5) + 0.1), 1)
    p = StandardNormal(5).double()()
    expected = Independent(Normal(torch.zeros(5, dtype=DOUBLE), 1.0), 1)
    for one in (p, copy.deepcopy(p), p.expand((1,)), p.expand((3,))):
        assert isinstance(one.base_dist, UnitNormal)
        torch.testing.assert_close(kl_divergence(q, one), kl_divergence(q, expected))
        log_p = expected.log_prob(LOGITS).expand(one.batch_shape)
        torch.testing.assert_close(one.log_prob(LOGITS), log_p)
    torch.testing.assert_close(kl_divergence(p, q), kl_divergence(expected, q))
    torch.testing.assert_close(kl_divergence(p, p), torch.zeros((), dtype=DOUBLE))
