"""Likelihoods, posteriors and the prior against formulas written out and against numeric integration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from scipy import integrate
from torch import Tensor, nn

from vaelab.likelihoods import Bernoulli, ContinuousBernoulli, Gaussian, Likelihood
from vaelab.posteriors import DiagonalGaussian, Point
from vaelab.priors import StandardNormal

SHAPE = (2, 3)
SIGMAS = [0.05, 0.7, 1.0, 3.0]
LOGITS = [-14.0, -5.0, -1.0, -0.05, -0.0041, -0.0039, -1e-6, 0.0, 1e-6, 0.0039, 0.0041, 0.05, 1.0, 5.0, 14.0]
CONFIDENT = [12.0, 15.0, 17.0, 20.0, 40.0, 80.0]  # where torch's own clamps the probability

LIKELIHOODS: dict[str, Callable[[nn.Module], Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": lambda network: Gaussian(network, 0.7),
    "gaussian-learned": lambda network: Gaussian(network, 0.7, learned=True),
}


def one(likelihood: Likelihood, output: float) -> Callable[[float], float]:
    """The density of a single element, whose parameter is the network's output."""
    p = likelihood.double()(torch.tensor([[output]], dtype=torch.float64))
    return lambda x: float(p.log_prob(torch.tensor([[x]], dtype=torch.float64)).exp().detach())


def mean_of(likelihood: Likelihood, output: float) -> float:
    return float(likelihood.double()(torch.tensor([[output]], dtype=torch.float64)).mean.detach())


def outputs_and_x() -> tuple[Tensor, Tensor]:
    """Network outputs for K x B = 4 x 5 codes, and B images."""
    return 3 * torch.randn(4, 5, *SHAPE).double(), torch.rand(5, *SHAPE).double()


def log_density(name: str, l: Tensor, x: Tensor) -> Tensor:  # noqa: E741 (the formulas' l)
    """The element's log density as its docstring says, by hand."""
    if name.startswith("gaussian"):
        sigma = torch.tensor(0.7).log().double().exp()  # as the float32 it is held in
        return -((x - l) ** 2) / (2 * sigma**2) - torch.log(sigma * math.sqrt(2 * math.pi))
    cross_entropy = x * F.logsigmoid(l) + (1 - x) * F.logsigmoid(-l)
    # C = 2 artanh(1 - 2 s) / (1 - 2 s), and 1 - 2 s(l) = -tanh(l / 2), so C = l / tanh(l / 2)
    return cross_entropy + (torch.log(l / torch.tanh(l / 2)) if name == "continuous-bernoulli" else 0)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_log_density_is_the_formula_summed_over_the_event_constants_included(name: str) -> None:
    outputs, x = outputs_and_x()
    p = LIKELIHOODS[name](nn.Unflatten(1, SHAPE)).double()(outputs.flatten(2))
    assert p.batch_shape == (4, 5)
    assert p.event_shape == SHAPE
    assert p.mean.shape == (4, 5, *SHAPE)
    found = p.log_prob(x)
    assert found.shape == (4, 5)
    torch.testing.assert_close(found, log_density(name, outputs, x).sum((-2, -1)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_codes_without_the_sample_dimension_give_a_batch_of_images(name: str) -> None:
    outputs, x = outputs_and_x()
    likelihood = LIKELIHOODS[name](nn.Unflatten(1, SHAPE)).double()
    whole, row = likelihood(outputs.flatten(2)), likelihood(outputs[2].flatten(1))
    assert row.batch_shape == (5,)
    assert torch.equal(row.log_prob(x), whole.log_prob(x)[2])


def test_bernoulli_sums_to_one_over_all_binary_images() -> None:
    corners = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6))).double().view(64, *SHAPE)
    for scale in (0.1, 1.0, 10.0, 80.0):
        z = scale * torch.randn(1, 6).double()
        total = Bernoulli(nn.Unflatten(1, SHAPE))(z).log_prob(corners).exp().sum()
        assert float(total) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("logit", LOGITS)
def test_bernoulli_mean_is_the_probability_of_a_one(logit: float) -> None:
    likelihood = Bernoulli(nn.Identity())
    assert mean_of(likelihood, logit) == pytest.approx(one(likelihood, logit)(1.0), rel=1e-12)


@pytest.mark.parametrize("target", [0.0, 0.2, 0.5, 1.0])
def test_bernoulli_of_a_grey_level_is_its_cross_entropy_lowest_at_the_level_itself(target: float) -> None:
    logits = torch.linspace(-8, 8, 1601).double()[:, None]
    nats = -Bernoulli(nn.Identity())(logits).log_prob(torch.tensor([target]).double())
    torch.testing.assert_close(
        nats, F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target), reduction="none")[:, 0]
    )
    entropy = -sum(p * math.log(p) for p in (target, 1 - target) if p)
    assert (nats >= entropy - 1e-12).all()
    assert float(nats.min()) == pytest.approx(entropy, abs=1e-3)  # the grid, 0.01 apart, and its ends, e^-8, miss it


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_integrates_to_one_over_the_unit_interval(logit: float) -> None:
    total, error = integrate.quad(one(ContinuousBernoulli(nn.Identity()), logit), 0, 1, epsabs=1e-10)
    assert error < 1e-8
    assert total == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_mean_is_the_mean_of_its_density(logit: float) -> None:
    density = one(ContinuousBernoulli(nn.Identity()), logit)
    mean, _ = integrate.quad(lambda x: x * density(x), 0, 1, epsabs=1e-10)
    assert mean_of(ContinuousBernoulli(nn.Identity()), logit) == pytest.approx(mean, abs=1e-8)


@pytest.mark.parametrize("size", [0.003, 0.01, 0.02, 0.1, 1.0, 5.0, 8.0, *CONFIDENT])
def test_continuous_bernoulli_keeps_its_constant_and_mean_in_the_precision_of_training(size: float) -> None:
    """To 1e-4 nats, for it is an error of every pixel, and to half a grey level of 256."""
    logit = torch.tensor([[size], [-size]])  # float32
    x = torch.tensor([[0.3]])
    p, wide = ContinuousBernoulli(nn.Identity())(logit), logit.double()
    wanted = log_density("continuous-bernoulli", wide, x.double())[:, 0]
    assert p.log_prob(x).double().tolist() == pytest.approx(wanted.tolist(), abs=1e-4)
    mean = 1 / (1 - torch.exp(-wide)) - 1 / wide
    assert p.mean.double().flatten().tolist() == pytest.approx(mean.flatten().tolist(), abs=1 / 512)


def test_continuous_bernoulli_mean_is_right_near_one_half_in_the_precision_of_training() -> None:
    logits = torch.linspace(-0.02, 0.02, 2001)[:, None]
    wanted = 0.5 + logits.double() / 12  # the next term, l^3 / 720, is 1e-8
    error = ContinuousBernoulli(nn.Identity())(logits).mean - wanted
    assert error.abs().max() < 1 / 512


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("learned", [False, True])
def test_gaussian_integrates_to_one_over_the_line_about_its_mean(sigma: float, learned: bool) -> None:
    likelihood, centre = Gaussian(nn.Identity(), sigma, learned), 0.4
    density = one(likelihood, centre)
    ends = centre - 12 * sigma, centre + 12 * sigma
    total, _ = integrate.quad(density, *ends, epsabs=1e-11)
    mean, _ = integrate.quad(lambda x: x * density(x), *ends, epsabs=1e-11)
    variance, _ = integrate.quad(lambda x: (x - centre) ** 2 * density(x), *ends, epsabs=1e-11)
    assert total == pytest.approx(1, abs=1e-9)
    assert mean == pytest.approx(mean_of(likelihood, centre), abs=1e-9)
    assert math.sqrt(variance) == pytest.approx(sigma, rel=1e-6)  # log sigma is held in float32


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_outputs_stay_finite_and_have_finite_gradients(name: str, dtype: torch.dtype) -> None:
    z = torch.tensor([[80.0, -80.0, 80.0, -80.0, 0.0, 80.0]], dtype=dtype, requires_grad=True)
    x = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.5, 0.5]], dtype=dtype)
    p = LIKELIHOODS[name](nn.Identity()).to(dtype)(z)
    assert p.log_prob(x).isfinite().all()
    assert p.mean.isfinite().all()
    p.log_prob(x).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("name", ["bernoulli", "continuous-bernoulli"])
def test_means_stay_in_the_unit_interval(name: str) -> None:
    mean = LIKELIHOODS[name](nn.Identity())(torch.linspace(-90, 90, 20001)[:, None]).mean  # float32
    assert mean.min() >= 0
    assert mean.max() <= 1


@pytest.mark.parametrize("sigma", SIGMAS)
def test_sigma_is_a_parameter_only_where_it_is_learned_and_starts_where_it_was_told_to(sigma: float) -> None:
    fixed, learned = Gaussian(nn.Identity(), sigma), Gaussian(nn.Identity(), sigma, learned=True)
    assert [name for name, _ in fixed.named_parameters()] == []
    assert [name for name, _ in learned.named_parameters()] == ["log_sigma"]
    assert "log_sigma" in fixed.state_dict()
    for likelihood in (fixed, learned):
        assert float(likelihood.log_sigma.detach().exp()) == pytest.approx(sigma, rel=1e-6)


def test_learned_sigma_is_at_rest_where_it_is_the_root_mean_square_error() -> None:
    """The maximum likelihood sigma of Rybkin et al. 2021, equation 5."""
    outputs, x = torch.randn(5, 6).double(), torch.randn(5, 6).double()
    error = float((x - outputs).square().mean().sqrt())
    likelihood = Gaussian(nn.Identity(), 1.0, learned=True).double()
    likelihood.log_sigma.data.fill_(math.log(error))
    likelihood(outputs).log_prob(x).sum().backward()
    assert float(likelihood.log_sigma.grad) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_half_precision_outputs_are_scored_in_float32(name: str) -> None:
    p = LIKELIHOODS[name](nn.Identity())(torch.randn(2, 6).bfloat16())
    assert p.log_prob(torch.rand(2, 6)).dtype == torch.float32
    assert p.mean.dtype == torch.float32


def test_the_posterior_takes_mean_and_log_variance_from_its_head_in_this_order() -> None:
    encoder = DiagonalGaussian(nn.Flatten(), 6, 2).double()
    x = torch.rand(5, *SHAPE).double()
    head = x.flatten(1) @ encoder.head.weight.T + encoder.head.bias
    q = encoder(x)
    assert (q.batch_shape, q.event_shape) == ((5,), (2,))
    torch.testing.assert_close(q.mean, head[:, :2], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q.variance, head[:, 2:].exp(), rtol=1e-12, atol=1e-12)


def test_posterior_samples_carry_the_gradient_of_the_encoder() -> None:
    for encoder in (DiagonalGaussian(nn.Flatten(), 6, 2), Point(nn.Flatten(), 6, 2)):
        encoder(torch.rand(5, *SHAPE)).rsample((3,)).square().sum().backward()
        assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())


def test_the_prior_is_standard_normal_and_adds_nothing_to_a_checkpoint() -> None:
    prior = StandardNormal(3).double()
    p, z = prior(), torch.randn(4, 5, 3).double()
    assert (p.batch_shape, p.event_shape) == ((), (3,))
    wanted = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
    torch.testing.assert_close(p.log_prob(z), wanted, rtol=1e-12, atol=1e-12)
    assert not prior.state_dict()
