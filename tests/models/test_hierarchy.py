"""Several levels of z: densities against their factors, quadrature and Gaussians."""

from __future__ import annotations

import copy
import math
from itertools import pairwise
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from vaelab.models.hierarchy import BottomUp, Chain, Ladder, TopDown, product

B, D = 3, 5
WIDE = 5  # standard errors
UPPER = [(2,), (3, 2), (1, 1, 1), ()]
KINDS = {"two-level": BottomUp, "ladder": Ladder}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_upper = pytest.mark.parametrize("upper", UPPER)


def build(
    kind: str, latent: int = 2, upper: tuple[int, ...] = (3, 2)
) -> tuple[BottomUp | Ladder, TopDown]:
    """Posterior and prior in double precision, away from where they start."""
    network = nn.Sequential(nn.Linear(D, 7), nn.Tanh())
    prior = TopDown(latent, upper).double()
    given = (network, 7, latent, upper)
    encoder = (Ladder(*given, prior) if kind == "ladder" else BottomUp(*given)).double()
    with torch.no_grad():
        for parameter in (*encoder.parameters(), *prior.parameters()):
            parameter += torch.randn_like(parameter) / max(2.0, parameter.shape[-1] ** 0.5)
    return encoder, prior


def images() -> Tensor:
    return torch.rand(B, D).double()


def same(found: Tensor, wanted: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def log_normal(z: Tensor, outputs: Tensor) -> Tensor:
    mean, log_variance = outputs.chunk(2, -1)
    return (
        -0.5 * ((z - mean) ** 2 / log_variance.exp() + log_variance + math.log(2 * math.pi))
    ).sum(-1)


@pytest.mark.parametrize("upper", UPPER)
def test_the_prior_is_the_product_of_its_conditionals_from_the_top(upper: tuple[int, ...]) -> None:
    _, prior = build("two-level", 2, upper)
    p = prior()
    assert (p.batch_shape, p.event_shape) == ((), (2 + sum(upper),))
    z = torch.randn(4, B, 2 + sum(upper)).double()
    levels = z.split([2, *upper], -1)
    wanted = Normal(0.0, 1.0).log_prob(levels[-1]).sum(-1)
    for network, (below, above) in zip(prior.down, pairwise(levels), strict=True):
        wanted = wanted + log_normal(below, network(above))
    same(p.log_prob(z), wanted)


@each_upper
def test_the_bottom_up_posterior_is_the_product_of_its_conditionals_from_the_data(
    upper: tuple[int, ...],
) -> None:
    encoder, _ = build("two-level", 2, upper)
    x, z = images(), torch.randn(4, B, 2 + sum(upper)).double()
    levels = z.split([2, *upper], -1)
    wanted = log_normal(levels[0], encoder.head(encoder.network(x)))
    for network, (below, above) in zip(encoder.up, pairwise(levels), strict=True):
        wanted = wanted + log_normal(above, network(below))
    same(encoder(x).log_prob(z), wanted)


@each_upper
def test_each_level_of_the_ladder_multiplies_what_x_says_with_the_prior_of_that_level(
    upper: tuple[int, ...],
) -> None:
    encoder, prior = build("ladder", 2, upper)
    x, z = images(), torch.randn(4, B, 2 + sum(upper)).double()
    levels = z.split([2, *upper], -1)
    features = [encoder.network(x)]
    for layer in encoder.up:
        features.append(layer(features[-1]))
    seen = [head(d) for head, d in zip(encoder.heads, features, strict=True)]
    wanted = log_normal(levels[-1], seen[-1])
    for i, (below, above) in enumerate(pairwise(levels)):
        (mean, log_variance), (other, other_log) = (
            seen[i].chunk(2, -1),
            prior.down[i](above).chunk(2, -1),
        )
        precision = (-log_variance).exp() + (-other_log).exp()
        centre = (mean / log_variance.exp() + other / other_log.exp()) / precision
        wanted = wanted + Normal(centre, precision.rsqrt()).log_prob(below).sum(-1)
    same(encoder(x).log_prob(z), wanted)


def test_the_product_of_two_gaussians_is_their_densities_multiplied_and_normalised() -> None:
    one, other = torch.randn(2, 3, 1, 1).double(), 0.5 * torch.randn(2, 3, 1, 1).double()
    other[:, 0], one[:, 0] = (
        torch.tensor([0.3, 0.1]).view(2, 1, 1),
        torch.tensor([0.0, 0.2]).view(2, 1, 1),
    )
    grid = torch.linspace(-30, 30, 20_001).double().view(-1, 1, 1, 1)
    both = log_normal(grid, torch.cat([*one], -1)) + log_normal(grid, torch.cat([*other], -1))
    normaliser = torch.trapezoid(both.exp(), dx=60 / 20_000, dim=0).log()
    same(product(tuple(one), tuple(other)).log_prob(grid), both - normaliser, 1e-6)
    sure, vague = (
        product((one[0], one[1] - 60), tuple(other)),
        product((one[0], one[1] + 90), tuple(other)),
    )
    same(sure.mean, one[0])
    same(vague.mean, other[0])
    same(vague.variance, other[1].exp())


def cases() -> list[tuple[str, Distribution]]:
    torch.manual_seed(0)
    found: list[tuple[str, Distribution]] = []
    for kind in KINDS:
        encoder, prior = build(kind, 1, (1,))
        found += [(kind, encoder(images()))]
    return [*found, ("top-down", prior())]


@pytest.mark.parametrize(("name", "q"), [pytest.param(name, q, id=name) for name, q in cases()])
def test_the_density_of_two_levels_integrates_to_one_and_samples_follow_it(
    name: str, q: Chain
) -> None:
    with torch.no_grad():
        z = q.sample((20_000,))
        low, high = z.flatten(0, -2).amin(0) - 2, z.flatten(0, -2).amax(0) + 2
        axes = [
            torch.linspace(float(a), float(b), 401).double() for a, b in zip(low, high, strict=True)
        ]
        grid = torch.cartesian_prod(*axes)
        cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
        # Shape (401^2, *batch).
        weights = q.log_prob(grid.view(-1, *(1 for _ in q.batch_shape), 2)).exp() * cell
        same(weights.sum(0), torch.ones_like(weights[0]), 1e-3)
        for h in (
            lambda z: z[..., 0],
            lambda z: z[..., 1],
            lambda z: z[..., 0] * z[..., 1],
            lambda z: z[..., 0] ** 2,
        ):
            wanted = (
                torch.einsum("gb,g->b", weights.flatten(1), h(grid))
                if q.batch_shape
                else weights @ h(grid)
            )
            error = h(z).std(0) / math.sqrt(len(z))
            assert ((h(z).mean(0) - wanted).abs() < WIDE * error + 1e-3).all()


@each_kind
@each_upper
def test_own_samples_carry_their_density_and_the_shapes_are_those_of_a_posterior(
    kind: str, upper: tuple[int, ...]
) -> None:
    encoder, prior = build(kind, 2, upper)
    q, size = encoder(images()), 2 + sum(upper)
    assert (q.batch_shape, q.event_shape) == ((B,), (size,))
    assert (type(encoder).size(2, upper), type(encoder).decoded(2)) == (size, 2)
    z, log_prob = q.rsample_and_log_prob((4,))
    assert z.shape == (4, B, size)
    same(q.log_prob(z), log_prob)
    assert q.log_prob(z[0]).shape == (B,)
    assert q.sample().shape == (B, size)
    p = prior()
    z, log_prob = p.rsample_and_log_prob((4,))
    assert z.shape == (4, size)
    same(p.log_prob(z), log_prob)
    assert p.log_prob(torch.randn(5, B, size).double()).shape == (5, B)


@each_kind
def test_the_mean_passes_means_on_and_does_not_vary(kind: str) -> None:
    encoder, _ = build(kind)
    x = images()
    q = encoder(x)
    assert torch.equal(q.mean, encoder(x).mean)
    assert q.mean.shape == (B, 7)
    levels = q.mean.split([2, 3, 2], -1)
    same(levels[q.order[0]], q.first.mean)
    for before, i in pairwise(q.order):
        same(levels[i], q.given(i, levels[before]).mean)
    same(encoder(x[:1]).mean, q.mean[:1])  # a batch of one is a batch


@each_kind
@each_upper
def test_gradient_reaches_every_parameter(kind: str, upper: tuple[int, ...]) -> None:
    encoder, prior = build(kind, 2, upper)
    z, log_qz = encoder(images()).rsample_and_log_prob((4,))
    (prior().log_prob(z) - log_qz).sum().backward()
    for name, parameter in (*encoder.named_parameters(), *prior.named_parameters()):
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    (below,) = torch.autograd.grad(encoder(images()).first.mean.sum(), encoder.network[0].weight)
    assert below.any()  # from the level sampled first down to the pixels


@each_kind
def test_weights_saved_and_loaded_give_the_same_density_to_the_bit(
    kind: str, tmp_path: Path
) -> None:
    one, two = (nn.ModuleList(build(kind)) for _ in range(2))
    names = list(one.state_dict())
    assert sum("down" in name for name in names) == 2 * 6  # the prior's networks, in one place only
    safetensors.torch.save_file(one.state_dict(), tmp_path / "weights.safetensors")
    two.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    x, z = images(), torch.randn(B, 7).double()
    assert torch.equal(one[0](x).log_prob(z), two[0](x).log_prob(z))
    assert torch.equal(one[1]().log_prob(z), two[1]().log_prob(z))


def test_a_copy_of_a_ladder_and_its_prior_is_a_pair_of_its_own() -> None:
    pair = nn.ModuleList(build("ladder"))
    twin, x, z = copy.deepcopy(pair), images(), torch.randn(B, 7).double()
    before = pair[0](x).log_prob(z)
    with torch.no_grad():
        for parameter in twin[1].parameters():
            parameter += 1
    assert torch.equal(pair[0](x).log_prob(z), before)
    assert not torch.equal(twin[0](x).log_prob(z), before)


@each_kind
def test_in_mixed_precision_there_is_one_density_inside_and_outside_of_autocast(kind: str) -> None:
    encoder, _ = (module.float() for module in build(kind))
    x = images().float()
    with torch.autocast("cpu", torch.bfloat16):
        q = encoder(x)
        z, log_prob = q.rsample_and_log_prob((4,))
    assert z.dtype == log_prob.dtype == torch.float32
    torch.testing.assert_close(q.log_prob(z), log_prob)
