"""Objectives against a model whose log p(x) is known, against formulas, and against autograd."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor, nn
from torch.distributions import Independent, LogNormal, MultivariateNormal, Normal
from torch.nn.functional import binary_cross_entropy_with_logits

from vaelab import models
from vaelab.models import VAE, Draw
from vaelab.models.divergences import decomposition, mmd
from vaelab.models.likelihoods import Gaussian
from vaelab.models.linear import WORTHWHILE, Linear
from vaelab.models.objectives import (
    Factor,
    WeightPenalty,
    beta_tc,
    capacity,
    ciwae,
    dip_i,
    dip_ii,
    dreg,
    elbo,
    free_bits,
    info,
    iwae,
    miwae,
    piwae,
    rae_gp,
    renyi,
    stl,
    wae_mmd,
)
from vaelab.models.posteriors import DiagonalGaussian, Point
from vaelab.recipes import Objective, code
from vaelab.recipes.parts import OBJECTIVES

D, L, B = 5, 3, 4  # data, latent, batch
SIGMA = 0.7
WIDE = 5  # standard errors: a fair test fails once in two million
SCALES = (0.1, 0.2, 0.5, 1, 2, 5, 10)  # of the kernel of MMD

Goal = Callable[[Draw], Tensor]
BOUNDS: dict[str, Goal] = {
    "iwae": iwae,
    "miwae": lambda draw: miwae(draw, m=2),
    "ciwae": lambda draw: ciwae(draw, alpha=0.3),
    "renyi -1": lambda draw: renyi(draw, alpha=-1),
    "renyi 0": lambda draw: renyi(draw, alpha=0),
    "renyi 0.5": lambda draw: renyi(draw, alpha=0.5),
    "renyi 1": lambda draw: renyi(draw, alpha=1),
    "stl": stl,
    "dreg": dreg,
    "piwae": lambda draw: piwae(draw, m=2),
}


class Prior(nn.Module):
    """N(mean, I) with a learned mean."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(L))

    def forward(self) -> Independent[Normal]:
        return Independent(Normal(self.mean, torch.ones_like(self.mean)), 1)


class Oracle:
    """z ~ N(0, I) and x|z ~ N(W z + b, sigma^2 I) with diagonal W^T W.

    p(x) and p(z|x) are Gaussian (Bishop, PRML, 2.3.3).
    """

    def __init__(self) -> None:
        scales = torch.tensor([0.5, 1.0, 2.0]).double()
        self.w, self.b = (
            torch.linalg.qr(torch.randn(D, L).double()).Q * scales,
            torch.randn(D).double(),
        )
        marginal = MultivariateNormal(self.b, self.w @ self.w.T + SIGMA**2 * torch.eye(D).double())
        self.variance = 1 / (1 + scales**2 / SIGMA**2)  # of z given x
        self.gain = self.variance[:, None] * self.w.T / SIGMA**2  # E[z|x] = gain (x - b)
        self.x = marginal.sample((B,))
        self.log_p = marginal.log_prob(self.x)

    def vae(self, shift: float = 0.0, log_stretch: float = 0.0) -> VAE:
        """The VAE whose encoder is the exact posterior.

        Its mean may be moved by `shift` and its width multiplied by exp(log_stretch).
        """
        encoder, decoder = DiagonalGaussian(nn.Identity(), D, L), Linear(L, D)
        vae = VAE(
            encoder, Gaussian(nn.Sequential(decoder, nn.Unflatten(1, (1, D))), SIGMA), Prior(), (D,)
        ).double()
        vae.decoder.log_sigma.fill_(math.log(SIGMA))
        with torch.no_grad():
            decoder.weight.copy_(self.w)
            decoder.bias.copy_(self.b)
            encoder.head.weight.zero_()[:L] = self.gain
            encoder.head.bias[:L] = shift - self.gain @ self.b
            encoder.head.bias[L:] = self.variance.log() + 2 * log_stretch
        return vae


def network(posterior: type = DiagonalGaussian, out: int = D, norm: bool = False) -> VAE:
    """A small model of no particular law."""
    layers = [
        Linear(L, 6),
        *([nn.BatchNorm1d(6)] if norm else []),
        nn.Tanh(),
        Linear(6, out),
        nn.Unflatten(1, (1, out)),
    ]
    return VAE(
        posterior(nn.Identity(), D, L), Gaussian(nn.Sequential(*layers), SIGMA), Prior(), (out,)
    ).double()


def codes(mean: Tensor, scale: Tensor, k: int = 1) -> Draw:
    """K samples of q = N(mean, scale^2) (B, L), with p = N(0, I) and a likelihood of 1."""
    q = Independent(Normal(mean, scale), 1)
    p = Independent(Normal(torch.zeros_like(mean[0]), torch.ones_like(mean[0])), 1)
    return Draw(q.rsample((k,)), torch.zeros(k, len(mean)).to(mean), q, p)


def gradients(value: Tensor, module: nn.Module, retain: bool = True) -> Tensor:
    """d mean(value) / d the module's parameters, as one vector."""
    parameters = list(module.parameters())
    found = torch.autograd.grad(value.mean(), parameters, retain_graph=retain, allow_unused=True)
    return torch.cat(
        [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for p, g in zip(parameters, found, strict=True)
        ]
    )


def same(found: Tensor, wanted: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=atol)


def within(samples: Tensor, wanted: Tensor | float) -> None:
    """The mean of independent samples (n, ...) is `wanted` within WIDE standard errors."""
    error = samples.std(0) / math.sqrt(len(samples))
    away = (samples.mean(0) - wanted).abs() / (WIDE * error + 1e-12)
    assert (away < 1).all(), f"{samples.mean(0)} is not {wanted} within {WIDE} x {error}"


# ---------------------------------------------------------------- laws of them all


NUMBERS = {
    "beta": 2.0,
    "gamma": 0.5,
    "alpha": 0.25,
    "capacity": 3.0,
    "bits": 0.5,
    "k": 2,
    "m": 2,
    "images": 100,
}


def evaluate(name: str, vae: VAE, x: Tensor, **numbers: float) -> Tensor:
    """The objective of that name as the training loop calls it, with the same chance every time."""
    torch.manual_seed(0)
    return models.Goal(Objective(name=name), vae).double()(vae.draw(x, 4), NUMBERS | numbers)


@pytest.mark.parametrize("images", [1, 2, 7])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_is_finite_for_any_batch_and_its_gradient_reaches_encoder_and_decoder(
    name: str, images: int
) -> None:
    vae = network()
    value = evaluate(name, vae, torch.randn(images, D).double())
    assert value.shape == (images,)
    assert value.isfinite().all()
    (-value.mean()).backward()
    for part in (vae.encoder, vae.decoder):
        for parameter in part.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()
            assert parameter.grad.any()


@pytest.mark.parametrize("name", [n for n, part in OBJECTIVES.items() if not part.traits])
def test_objectives_that_ask_nothing_of_the_posterior_train_an_autoencoder(name: str) -> None:
    vae = network(Point)
    evaluate(name, vae, torch.randn(7, D).double()).mean().backward()
    assert all(
        p.grad is not None and p.grad.any()
        for part in (vae.encoder, vae.decoder)
        for p in part.parameters()
    )


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if n != "rae-gp"])
def test_without_gradients_the_value_is_the_same(name: str) -> None:
    vae, x = network(), torch.randn(7, D).double()
    value = evaluate(name, vae, x)
    with torch.no_grad():
        same(evaluate(name, vae, x), value.detach(), atol=1e-12)


@pytest.mark.parametrize(
    "name",
    [n for n in OBJECTIVES if n not in ("elbo", "iwae", "miwae", "piwae", "dreg", "stl")],
)
def test_every_number_that_an_objective_asks_for_moves_it(name: str) -> None:
    vae, x = network(), torch.randn(7, D).double()
    for number in models.Goal(Objective(name=name), vae).asked:
        moved = evaluate(name, vae, x, **{number: 4})
        assert not torch.allclose(moved, evaluate(name, vae, x)), number


def test_every_objective_cites_its_paper() -> None:
    for name in OBJECTIVES:
        assert "arXiv:" in (inspect.getdoc(code("objective.name", name)) or ""), name


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("name", BOUNDS)
def test_every_bound_meets_log_p_of_x_where_the_posterior_is_exact(name: str) -> None:
    oracle = Oracle()
    same(BOUNDS[name](oracle.vae().draw(oracle.x, 6)), oracle.log_p)


def test_the_bounds_stand_in_their_order_on_every_draw() -> None:
    oracle = Oracle()
    draw = oracle.vae(0.5, 0.3).draw(oracle.x, 24)
    bounds = [draw.log_weight.mean(0), *(miwae(draw, m=m) for m in (12, 4, 2)), iwae(draw)]
    orders = [renyi(draw, alpha=alpha) for alpha in (1, 0.999, 0.6, 0.2, 0, -1, -5)]
    mixtures = [ciwae(draw, alpha=alpha) for alpha in (1, 0.5, 0)]
    for ascending in (bounds, orders, mixtures):
        for lower, higher in itertools.pairwise(ascending):
            assert (lower < higher).all()
    same(miwae(draw, m=1), iwae(draw))
    same(miwae(draw, m=24), draw.log_weight.mean(0))
    same(renyi(draw, alpha=0), iwae(draw))
    same(renyi(draw, alpha=1 - 1e-7), renyi(draw, alpha=1), atol=1e-5)
    same(ciwae(draw, alpha=0.3), 0.3 * draw.log_weight.mean(0) + 0.7 * iwae(draw))


def test_iwae_tends_to_log_p_of_x_from_below() -> None:
    oracle = Oracle()
    draw = oracle.vae(0.3, 0.2).draw(oracle.x, 40_000)
    gaps = [oracle.log_p - miwae(draw, m=40_000 // k) for k in (1, 4, 16)]
    assert (gaps[0] > 2 * gaps[1]).all()
    assert (gaps[1] > 2 * gaps[2]).all()
    assert (gaps[2] > 0).all()
    within((draw.log_weight - oracle.log_p).exp(), 1.0)  # each weight's mean is p(x)
    same(iwae(draw), oracle.log_p, atol=0.02)


@pytest.mark.parametrize("alpha", [-1.0, 0.3, 0.8])
def test_renyi_tends_to_its_integral(alpha: float) -> None:
    """z ~ N(0, 1), x|z ~ N(z, 1), q = N(0.3, 0.8^2), at x = 0.5, with a million samples."""

    def log_w(z: Any) -> Any:
        return (
            -0.5 * (z**2 + (0.5 - z) ** 2 - ((z - 0.3) / 0.8) ** 2)
            + math.log(0.8)
            - 0.5 * math.log(2 * math.pi)
        )

    def integrand(z: float) -> float:
        q = math.exp(-0.5 * ((z - 0.3) / 0.8) ** 2) / (0.8 * math.sqrt(2 * math.pi))
        return q * math.exp((1 - alpha) * log_w(z))

    wanted = math.log(integrate.quad(integrand, -9, 9, epsabs=1e-12)[0]) / (1 - alpha)
    draw = codes(torch.full((1, 1), 0.3).double(), torch.full((1, 1), 0.8).double(), 1_000_000)
    draw.log_weight = log_w(draw.z[..., 0])
    assert float(renyi(draw, alpha=alpha)) == pytest.approx(wanted, abs=5e-3)


def test_weights_that_overflow_leave_bounds_finite() -> None:
    draw = codes(torch.zeros(2, L), torch.ones(2, L), 4)
    for shift in (-1e4, 1e4):
        draw.log_weight = shift + torch.tensor(
            [[0.0, -500.0], [-300.0, 0.0], [1.0, 2.0], [0.0, 0.0]]
        )
        for goal in (iwae, BOUNDS["miwae"], BOUNDS["renyi 0.5"], BOUNDS["renyi -1"]):
            same(goal(draw), torch.full((2,), shift), atol=500)


# ---------------------------------------------------------------- gradients of bounds


def test_surrogates_have_the_value_of_their_bound() -> None:
    oracle = Oracle()
    draw = oracle.vae(0.5, 0.3).draw(oracle.x, 6)
    same(dreg(draw), iwae(draw))
    same(piwae(draw, m=3), iwae(draw))
    same(stl(draw), draw.log_weight.mean(0))


def test_stl_has_no_gradient_in_the_encoder_where_the_posterior_is_exact() -> None:
    oracle = Oracle()
    vae = oracle.vae()
    draw = vae.draw(oracle.x, 3)
    assert gradients(draw.log_weight, vae.encoder).abs().max() > 0.1
    same(gradients(stl(draw), vae.encoder), torch.zeros(2 * L * (D + 1)).double())


def many(goal: Goal, vae: VAE, x: Tensor, k: int) -> Tensor:
    """The encoder's gradient on 200 draws of each of 50 x the batch."""
    copies = x.repeat(50, 1)
    return torch.stack(
        [gradients(goal(vae.draw(copies, k)), vae.encoder, retain=False) for _ in range(200)]
    )


def test_stl_has_the_gradient_of_the_elbo_on_average_and_the_decoders_exactly() -> None:
    oracle = Oracle()
    vae = oracle.vae(0.4, 0.2)
    one, other = many(stl, vae, oracle.x, 1), many(elbo, vae, oracle.x, 1)
    within(one - other, 0.0)
    draw = vae.draw(oracle.x, 3)
    same(gradients(stl(draw), vae.decoder), gradients(elbo(draw), vae.decoder))


def test_dreg_has_the_gradient_of_iwae_on_average_with_less_noise() -> None:
    oracle = Oracle()
    vae = oracle.vae(0.4, 0.2)
    one, other = many(dreg, vae, oracle.x, 8), many(iwae, vae, oracle.x, 8)
    within(one - other, 0.0)
    noisy = other.std(0) > 1e-9
    assert (one.std(0) < 0.6 * other.std(0))[noisy].all()


@pytest.mark.parametrize("part", ["decoder", "prior"])
def test_dreg_leaves_decoder_and_prior_the_gradient_of_iwae(part: str) -> None:
    oracle = Oracle()
    vae = oracle.vae(0.4, 0.2)
    draw = vae.draw(oracle.x, 6)
    wanted = gradients(iwae(draw), getattr(vae, part))
    assert wanted.abs().max() > 0.01
    same(gradients(dreg(draw), getattr(vae, part)), wanted)


def test_the_encoders_gradient_of_dreg_is_its_formula() -> None:
    oracle = Oracle()
    vae = oracle.vae(0.4, 0.2)
    draw = vae.draw(oracle.x, 6)
    z = draw.z.detach().requires_grad_()
    q = vae.encoder(oracle.x)
    held = Normal(q.mean.detach(), q.stddev.detach())
    log_w = vae.decoder(z).log_prob(oracle.x) + draw.p.log_prob(z) - held.log_prob(z).sum(-1)
    (slope,) = torch.autograd.grad(log_w.sum(), z)
    pull = (log_w.detach().softmax(0)[..., None] ** 2 * slope * draw.z).sum(0).sum(-1)
    wanted = gradients(pull, vae.encoder)
    same(gradients(dreg(draw), vae.encoder), wanted)


@pytest.mark.parametrize("goal", [stl, dreg])
def test_a_log_density_handed_over_by_a_flow_changes_no_gradient(goal: Goal) -> None:
    """A flow works log q out of its noise, not of z, so no gradient passes through z on the way."""
    oracle = Oracle()
    vae = oracle.vae(0.4, 0.2)
    q, noise = vae.encoder(oracle.x), torch.randn(6, B, L).double()
    found = []
    for log_qz in (None, Normal(0, 1).log_prob(noise).sum(-1) - q.stddev.log().sum(-1)):
        z = q.mean + q.stddev * noise
        found.append(
            gradients(
                goal(Draw(z, vae.decoder(z).log_prob(oracle.x), q, vae.prior(), None, log_qz)),
                vae.encoder,
            )
        )
    same(*found)


class Skewed(DiagonalGaussian):
    """The exponential of a Gaussian.

    log q of a sample depends on the parameters by more than a constant.
    """

    def forward(self, x: Tensor, *y: Tensor) -> Independent[LogNormal]:  # type: ignore[override]
        q = super().forward(x, *y)
        return Independent(LogNormal(q.mean, q.stddev), 1)


@pytest.mark.parametrize(
    ("posterior", "norm", "far"),
    [
        (DiagonalGaussian, False, 1.0),
        (Skewed, False, 1.0),
        (DiagonalGaussian, False, 200.0),  # all weights but one vanish
        (DiagonalGaussian, True, 1.0),  # batch normalisation mixes the gradients of the samples
        (DiagonalGaussian, True, 200.0),
    ],
)
def test_piwae_gives_the_decoder_the_gradient_of_iwae_and_the_encoder_that_of_miwae(
    posterior: type, norm: bool, far: float
) -> None:
    vae, x = network(posterior, norm=norm), far * torch.randn(B, D).double()
    draw = vae.draw(x, 6)
    for part, goal in (
        ("decoder", iwae),
        ("prior", iwae),
        ("encoder", lambda draw: miwae(draw, m=3)),
    ):
        wanted = gradients(goal(draw), getattr(vae, part))
        found = gradients(piwae(draw, m=3), getattr(vae, part))
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
        other = gradients(miwae(draw, m=3) if goal is iwae else iwae(draw), getattr(vae, part))
        assert not torch.allclose(found, other)


# ---------------------------------------------------------------- rates held


def test_capacity_charges_the_distance_of_the_mean_rate_from_it() -> None:
    draw = network().draw(torch.randn(B, D).double(), 2)
    rate = float(draw.rate.mean().detach())
    for c in (0.0, rate - 0.5, rate, rate + 0.5):
        same(capacity(draw, gamma=30.0, capacity=c), -draw.distortion - 30 * abs(rate - c))


def test_below_its_capacity_the_rate_is_pushed_up() -> None:
    mean = torch.full((2, L), 0.5).double().requires_grad_()
    for c, sign in ((0.0, -1), (10.0, 1)):
        (slope,) = torch.autograd.grad(
            capacity(codes(mean, torch.ones_like(mean)), gamma=1.0, capacity=c).sum(), mean
        )
        assert (slope.sign() == sign).all()


def test_free_bits_charge_the_larger_of_bits_and_mean_rate_in_every_dimension() -> None:
    # The rates are mean^2 / 2.
    mean = torch.tensor([[2.0, 0.1, 1.2], [1.0, 0.2, 0.0]]).double().requires_grad_()
    draw = codes(mean, torch.ones_like(mean))
    value = free_bits(draw, bits=0.5)
    # The third rate, (0.72 + 0) / 2, is below 0.5 only in the mean.
    same(value, torch.full((2,), -(1.25 + 0.5 + 0.5)).double())
    (slope,) = torch.autograd.grad(value.mean(), mean)
    same(slope, torch.tensor([[-1.0, 0, 0], [-0.5, 0, 0]]).double())
    same(free_bits(draw, bits=0.0), elbo(draw).mean().expand(2))


def test_free_bits_of_a_posterior_that_does_not_factorise_have_one_floor() -> None:
    q = MultivariateNormal(torch.zeros(B, L), torch.eye(L).expand(B, L, L))
    draw = Draw(
        q.rsample((1,)), torch.zeros(1, B), q, MultivariateNormal(torch.zeros(L), torch.eye(L))
    )
    assert free_bits(draw, bits=0.5).tolist() == [-0.5] * B


# ---------------------------------------------------------------- the aggregate posterior


def mixture(z: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """log 1/N sum_n N(z; mean_n, scale_n^2), one z (L',) at a time, by hand."""
    terms = -0.5 * ((z - mean) / scale) ** 2 - scale.log() - 0.5 * math.log(2 * math.pi)
    return terms.sum(-1).exp().mean().log()


def test_the_decomposition_of_all_the_data_is_that_of_brute_force() -> None:
    mean, scale = torch.randn(6, L).double(), torch.rand(6, L).double() + 0.2
    draw = codes(mean, scale, 2)
    wanted = torch.zeros(3, 2, 6).double()
    for k, i in itertools.product(range(2), range(6)):
        z = draw.z[k, i]
        log_q, log_p = Normal(mean[i], scale[i]).log_prob(z).sum(), Normal(0, 1).log_prob(z).sum()
        joint = mixture(z, mean, scale)
        product = sum(
            mixture(z[j : j + 1], mean[:, j : j + 1], scale[:, j : j + 1]) for j in range(L)
        )
        wanted[:, k, i] = torch.stack([log_q - joint, joint - product, product - log_p])
    same(torch.stack(decomposition(draw, 6)), wanted.mean(1))


def test_the_aggregate_posterior_is_unbiased_over_the_batches_that_an_image_can_fall_in() -> None:
    mean, scale = torch.randn(6, L).double(), torch.rand(6, L).double() + 0.2
    z = codes(mean, scale).z
    found = []
    for others in itertools.combinations(range(1, 6), 2):
        batch = [0, *others]
        draw = codes(mean[batch], scale[batch])
        draw.z = z[:, batch]
        mi, _, _ = decomposition(draw, 6)
        found.append((draw.log_qz[0, 0] - mi[0]).exp())
    same(torch.stack(found).mean().log(), mixture(z[0, 0], mean, scale))


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_the_mutual_information_of_codes_that_do_not_overlap_is_log_of_the_number_of_images(
    batch: int,
) -> None:
    """Mutual information is 11.00 nats for 60,000 images.

    Weights along the wrong axis give 4.9 (disentangling-vae, issue 58).
    """
    mean = 1000.0 * torch.arange(batch)[:, None].expand(batch, L)
    mi, _, _ = decomposition(codes(mean, torch.ones(batch, L), 3), 60_000)
    torch.testing.assert_close(mi, torch.full((batch,), math.log(60_000)))


def test_the_mutual_information_of_codes_that_say_nothing_is_zero() -> None:
    mi, tc, dwkl = decomposition(
        codes(torch.zeros(64, L).double(), torch.ones(64, L).double()), 60_000
    )
    same(torch.stack([mi, tc, dwkl]), torch.zeros(3, 64).double())


def test_the_three_parts_sum_to_the_rate_by_samples() -> None:
    draw = codes(torch.randn(B, L).double(), torch.rand(B, L).double() + 0.1, 5)
    same(sum(decomposition(draw, 60_000)), (draw.log_qz - draw.log_pz).mean(0))


def test_the_total_correlation_of_a_correlated_gaussian_is_that_of_its_correlation() -> None:
    """The means are N(0, [[1, 0.8], [0.8, 1]]) and the noise has variance 1/4.

    So q(z) is Gaussian with correlation 0.64.
    """
    n = 1000
    mean = (
        torch.randn(n, 2).double()
        @ torch.linalg.cholesky(torch.tensor([[1.0, 0.8], [0.8, 1.0]]).double()).T
    )
    _, tc, _ = decomposition(codes(mean, torch.full((n, 2), 0.5).double()), n)
    assert float(tc.mean()) == pytest.approx(-0.5 * math.log(1 - 0.64**2), abs=0.05)


def test_beta_tc_weighs_the_total_correlation_alone() -> None:
    draw = network().draw(torch.randn(B, D).double(), 2)
    same(beta_tc(draw, beta=1.0, images=100), elbo(draw))
    same(beta_tc(draw, beta=6.0, images=100), elbo(draw) - 5 * decomposition(draw, 100)[1])


# ---------------------------------------------------------------- the critic


def test_the_critic_learns_the_density_ratio_of_a_correlated_gaussian() -> None:
    rho, p = 0.8, Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    q = MultivariateNormal(
        torch.zeros(256, 2), torch.tensor([[1, rho], [rho, 1]]).expand(256, 2, 2)
    )
    goal = Factor(VAE(nn.Identity(), nn.Identity(), lambda: p, (2,)))  # type: ignore[arg-type]
    optimiser = torch.optim.Adam(goal.parameters(), lr=1e-3)
    for _ in range(200):
        optimiser.zero_grad()
        (-goal(Draw(q.sample((1,)), torch.zeros(1, 256), q, p), gamma=3.0).mean()).backward()
        optimiser.step()
    draw = Draw(q.sample((20,)), torch.zeros(20, 256), q, p)
    found = elbo(draw) - goal(draw, gamma=1.0)  # the mean logit, (256,)
    wanted = (draw.log_qz - draw.log_pz).mean(0)  # the marginals are N(0, 1)
    assert float(found.mean().detach()) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.06)
    assert float((found - wanted).square().mean().sqrt().detach()) < 0.1


def test_the_critic_and_the_vae_learn_from_their_own_terms_alone() -> None:
    vae = network()
    goal = Factor(vae).double()
    draw = vae.draw(torch.randn(7, D).double(), 2)
    torch.manual_seed(1)
    value = goal(draw, gamma=3.0)
    tc = goal.critic(draw.z.flatten(0, 1)).view(2, 7).mean(0)
    same(value, elbo(draw) - 3 * tc)
    same(gradients(value, vae), gradients(elbo(draw) - 3 * tc, vae))
    torch.manual_seed(1)
    z = draw.z.detach()
    order = torch.rand_like(z).argsort(1)
    permuted = (
        torch.stack([z[k, order[k, :, j], j] for k in range(2) for j in range(L)]).view(2, L, 7).mT
    )
    logits = [goal.critic(c.flatten(0, 1)) for c in (z, permuted)]
    loss = sum(
        binary_cross_entropy_with_logits(c, torch.full_like(c, t))
        for c, t in zip(logits, (1.0, 0.0), strict=True)
    )
    same(gradients(-loss, goal), gradients(value, goal))
    torch.manual_seed(1)
    same(gradients(goal(draw, gamma=0.0), goal), gradients(value, goal))


def test_the_weights_of_an_objective_are_its_own() -> None:
    vae = network()
    assert not set(Factor(vae).parameters()) & set(vae.parameters())
    assert not WeightPenalty(vae).state_dict()
    assert not list(WeightPenalty(vae).parameters())


# ---------------------------------------------------------------- covariances


def covariance_penalty(c: np.ndarray, off: float, diagonal: float) -> float:
    squares = (c - np.eye(len(c))) ** 2
    return off * (squares.sum() - squares.trace()) + diagonal * squares.trace()


@pytest.mark.parametrize("dimensions", [1, 3])
def test_dip_charges_the_covariances_for_not_being_the_identity(dimensions: int) -> None:
    draw = codes(torch.randn(9, dimensions).double(), torch.rand(9, dimensions).double() + 0.1)
    means = np.cov(draw.q.mean.numpy().T, bias=True).reshape(dimensions, dimensions)
    both = means + np.diag(draw.q.variance.mean(0).numpy())
    same(dip_i(draw, gamma=2.0), elbo(draw) - covariance_penalty(means, 2, 20))
    same(dip_ii(draw, gamma=2.0), elbo(draw) - covariance_penalty(both, 2, 2))


def test_dip_ii_counts_the_covariances_within_a_posterior() -> None:
    factors = torch.randn(9, L, L).double().tril() + 3 * torch.eye(L).double()
    q = MultivariateNormal(torch.randn(9, L).double(), scale_tril=factors)
    p = MultivariateNormal(torch.zeros(L).double(), torch.eye(L).double())
    draw = Draw(q.rsample((1,)), torch.zeros(1, 9).double(), q, p)
    c = np.cov(q.mean.numpy().T, bias=True) + (factors @ factors.mT).mean(0).numpy()
    same(dip_ii(draw, gamma=2.0), elbo(draw) - covariance_penalty(c, 2, 2), atol=1e-8)


# ---------------------------------------------------------------- MMD


@pytest.mark.parametrize(("n", "m"), [(4, 6), (30, 40), (1, 1), (1, 3)])
def test_mmd_is_that_of_brute_force(n: int, m: int) -> None:
    a, b = torch.randn(n, L).double(), torch.randn(m, L).double() + 1

    def k(x: Tensor, y: Tensor) -> float:
        return sum(2 * L * s / (2 * L * s + float((x - y).square().sum())) for s in SCALES)

    def mean_of_pairs(z: Tensor) -> float:
        return (
            float(np.mean([k(x, y) for x, y in itertools.permutations(z, 2)]))
            if len(z) > 1
            else 0.0
        )

    wanted = mean_of_pairs(a) + mean_of_pairs(b) - 2 * np.mean([k(x, y) for x in a for y in b])
    assert float(mmd(a, b)) == pytest.approx(wanted, abs=1e-10)


def test_mmd_is_zero_on_average_between_equal_distributions_and_above_between_others() -> None:
    equal = torch.stack([mmd(torch.randn(20, L), torch.randn(30, L)) for _ in range(500)])
    within(equal, 0.0)
    assert (equal < 0).any()
    for other in (
        lambda: torch.randn(20, L) + 1,
        lambda: 2 * torch.randn(20, L),
        lambda: torch.zeros(20, L),
    ):
        found = torch.stack([mmd(other(), torch.randn(30, L)) for _ in range(100)])
        assert found.mean() > WIDE * found.std() / 10


def test_mmd_has_a_gradient_where_codes_coincide() -> None:
    z = torch.ones(30, L, requires_grad=True)
    mmd(z, torch.randn(30, L)).backward()
    assert z.grad is not None
    assert (z.grad > 0).all()  # towards the origin, for MMD is minimised


@pytest.mark.parametrize("per_class", [False, True])
def test_info_and_wae_weigh_rate_and_mmd_as_their_formulas_say(per_class: bool) -> None:
    draw = network().draw(torch.randn(8, D).double(), 3)
    if per_class:
        draw.p = Independent(Normal(torch.randn(8, L).double(), torch.ones(8, L).double()), 1)
    torch.manual_seed(1)
    apart = np.mean(
        [float(mmd(z, draw.p.sample(() if per_class else (8,))).detach()) for z in draw.z]
    )
    torch.manual_seed(1)
    same(wae_mmd(draw, gamma=7.0), -draw.distortion - 7 * apart)
    torch.manual_seed(1)
    same(info(draw, alpha=0.25, gamma=7.0), -draw.distortion - 0.75 * draw.rate - 6.25 * apart)


# ---------------------------------------------------------------- regularised autoencoders


def jacobian(vae: VAE, z: Tensor) -> Tensor:
    """|d E[x|z] / dz|^2 for each of the codes z (B, L)."""
    slopes = [
        torch.autograd.functional.jacobian(
            lambda c: vae.decoder(c[None]).mean[0], c, create_graph=True
        )
        for c in z
    ]
    return torch.stack([slope.square().sum() for slope in slopes])


def test_the_gradient_penalty_is_that_of_the_whole_jacobian_on_average() -> None:
    vae, x = network(Point), torch.randn(B, D).double()
    draw = vae.draw(x.repeat(4000, 1))
    found = -draw.distortion - rae_gp(draw, beta=0.0, gamma=1.0)
    within(found.unflatten(0, (4000, B)).detach(), jacobian(vae, vae.encode(x)))


def test_for_scalar_x_the_gradient_penalty_has_no_noise_and_its_gradient_is_right() -> None:
    vae, x = network(Point, out=1), torch.randn(B, D).double()
    q = vae.encoder(x)
    z = q.rsample((1,))
    px = vae.decoder(z)
    draw = Draw(z, px.log_prob(x[:, :1]), q, vae.prior(), px)
    found, wanted = rae_gp(draw, beta=3.0, gamma=2.0), -draw.distortion - 2 * jacobian(vae, z[0])
    wanted = wanted - 1.5 * z[0].square().sum(-1)
    same(found, wanted)
    for part in (vae.encoder, vae.decoder):
        same(gradients(found, part), gradients(wanted, part))


def test_the_gradient_penalty_is_differentiated_through_products_by_onednn() -> None:
    images, width = 64, 300
    assert images * width * width >= WORTHWHILE
    found = []
    for kind in (Linear, nn.Linear):
        torch.manual_seed(0)
        layers = (
            kind(L, width),
            nn.Tanh(),
            kind(width, width),
            nn.Tanh(),
            kind(width, D),
            nn.Unflatten(1, (1, D)),
        )
        vae = VAE(
            Point(nn.Identity(), D, L), Gaussian(nn.Sequential(*layers), SIGMA), Prior(), (D,)
        )
        found.append(gradients(rae_gp(vae.draw(torch.randn(images, D)), beta=0.1, gamma=5.0), vae))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_the_weight_penalty_is_the_sum_of_squares_of_the_decoders_matrices() -> None:
    vae = network(Point)
    draw = vae.draw(torch.randn(B, D).double())
    value = WeightPenalty(vae)(draw, beta=3.0, gamma=2.0)
    weights = [layer.weight for layer in vae.decoder.modules() if isinstance(layer, Linear)]
    squares = sum(float(w.detach().square().sum()) for w in weights)
    same(value, -draw.distortion - 1.5 * draw.z[0].square().sum(-1) - 2 * squares)
    plain = -draw.distortion - 1.5 * draw.z[0].square().sum(-1)
    for w in weights:
        charged, free = (
            torch.autograd.grad(v.mean(), w, retain_graph=True)[0] for v in (value, plain)
        )
        same(charged - free, -4 * w)
