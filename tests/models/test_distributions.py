"""Likelihoods, posteriors and the prior against formulas and numerical integration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import integrate, stats
from scipy.special import logsumexp
from torch import Tensor, nn

from vaelab.errors import UserError
from vaelab.models.build import inject
from vaelab.models.likelihoods import (
    Bernoulli,
    Categorical,
    ContinuousBernoulli,
    Gaussian,
    GaussianLearned,
    GaussianOptimal,
    Laplace,
    Likelihood,
    LogisticMixture,
    NegativeBinomial,
    Poisson,
)
from vaelab.models.posteriors import DiagonalGaussian, Point
from vaelab.models.priors import StandardNormal

SHAPE = (2, 3)
SIGMAS = [0.05, 0.7, 1.0, 3.0]
LEVELS = [2, 3, 17, 256]
SHARP = [-30.0, -8.0, -5.0, -2.0, 0.0, 3.0, 30.0]  # log scales of logistics
LOGITS = [
    -14.0,
    -5.0,
    -1.0,
    -0.05,
    -0.0041,
    -0.0039,
    -1e-6,
    0.0,
    1e-6,
    0.0039,
    0.0041,
    0.05,
    1.0,
    5.0,
    14.0,
]
CONFIDENT = [12.0, 15.0, 17.0, 20.0, 40.0, 80.0]  # where torch's own clamps the probability

KINDS: dict[str, type[Likelihood]] = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
    "gaussian-learned": GaussianLearned,
    "gaussian-optimal": GaussianOptimal,
    "laplace": Laplace,
    "logistic-mixture": LogisticMixture,
    "categorical": Categorical,
    "poisson": Poisson,
    "negative-binomial": NegativeBinomial,
}
each_likelihood = pytest.mark.parametrize("name", KINDS)
# Three channels would be colours, which may depend on one another: test_colour_logistics.
each_shape = pytest.mark.parametrize("shape", [(5, 4), (4, 3, 2), (7,)])


def numbers(name: str, levels: int = 17, logistics: int = 2) -> int:
    """P."""
    known = {"levels": levels, "logistics": logistics, "shape": SHAPE}
    found: int = inject(KINDS[name].outputs, known)
    return found


def make(
    name: str, shape: tuple[int, ...] = SHAPE, sigma: float = 0.7, levels: int = 17
) -> Likelihood:
    """The likelihood in float64 and evaluation mode.

    Its codes are the network's outputs themselves, (..., P * elements).
    """
    network = nn.Unflatten(1, (-1, *shape))
    known = {
        "network": network,
        "sigma": sigma,
        "levels": levels,
        "shape": shape,
        "pixel_means": False,
    }
    made: Likelihood = inject(KINDS[name], known)
    return made.double().eval()


def tensor(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def one(name: str, *outputs: float, sigma: float = 0.7) -> Callable[[float], float]:
    """The density of a single element, whose parameters are the network's outputs."""
    p = make(name, (1,), sigma)(tensor(*outputs)[None])
    return lambda x: float(p.log_prob(tensor(x)).exp().detach())


def mean_of(name: str, *outputs: float) -> float:
    return float(make(name, (1,))(tensor(*outputs)[None]).mean.detach())


def some_x(name: str, *shape: int) -> Tensor:
    match KINDS[name].support:
        case "levels":
            return torch.randint(17, shape).double() / 16
        case "counts":
            return torch.randint(30, shape).double()
        case _:
            return torch.rand(*shape).double()


def log_density(name: str, outputs: Tensor, x: Tensor) -> Tensor:
    """The log density of one element by its formula or by scipy; outputs (..., P), x (...)."""
    l, x = outputs[..., 0], x.expand(outputs.shape[:-1])  # noqa: E741 (the formulas' l)
    scale = float(torch.tensor(0.7).log().double().exp())  # as the float32 it is held in
    match name:
        case "gaussian" | "gaussian-learned" | "gaussian-optimal":
            return -((x - l) ** 2) / (2 * scale**2) - math.log(scale * math.sqrt(2 * math.pi))
        case "laplace":
            return torch.from_numpy(stats.laplace.logpdf(x, l, scale))
        case "poisson":
            return torch.from_numpy(stats.poisson.logpmf(x, l.exp()))
        case "negative-binomial":  # r = 1 at first, so that p = 1 / (1 + mean)
            return torch.from_numpy(stats.nbinom.logpmf(x, 1, 1 / (1 + l.exp())))
        case "categorical":
            level = (16 * x).round().long()
            return outputs.gather(-1, level[..., None])[..., 0] - torch.from_numpy(
                logsumexp(outputs.numpy(), -1)
            )
        case "logistic-mixture":
            return torch.from_numpy(
                np.log(by_scipy(outputs.unflatten(-1, (3, -1)), (16 * x).round(), 17))
            )
    cross_entropy = x * F.logsigmoid(l) + (1 - x) * F.logsigmoid(-l)
    # C = 2 artanh(1 - 2 s) / (1 - 2 s), and 1 - 2 s(l) = -tanh(l / 2), so C = l / tanh(l / 2)
    return cross_entropy + (
        torch.log(l / torch.tanh(l / 2)) if name == "continuous-bernoulli" else 0
    )


def by_scipy(outputs: Tensor, v: Tensor, levels: int) -> np.ndarray:
    """The mixture's probability of level v (...) for outputs (..., 3, K).

    It is a difference of cumulative distributions.
    """
    logits, mean, log_scale = (part.numpy() for part in outputs.unbind(-2))
    pi = np.exp(logits - logsumexp(logits, -1, keepdims=True))
    middle, level = (levels - 1) / 2, v.numpy()[..., None]
    loc, scale = middle * (1 + mean), 0.03 + middle * np.exp(log_scale)
    upper = np.where(level == levels - 1, 1, stats.logistic.cdf(level + 0.5, loc, scale))
    lower = np.where(level == 0, 0, stats.logistic.cdf(level - 0.5, loc, scale))
    found: np.ndarray = (pi * (upper - lower)).sum(-1)
    return found


# --- every likelihood -----------------------------------------------------------------------------


@each_likelihood
@each_shape
def test_log_density_is_the_formula_summed_over_the_event_constants_included(
    name: str, shape: tuple[int, ...]
) -> None:
    per, size = numbers(name), math.prod(shape)
    # There are K x B = 4 x 5 codes.
    outputs, x = torch.randn(4, 5, per, *shape).double(), some_x(name, 5, *shape)
    p = make(name, shape)(outputs.view(4, 5, per * size))
    assert p.batch_shape == (4, 5)
    assert p.event_shape == shape
    assert p.mean.shape == (4, 5, *shape)
    found = p.log_prob(x).detach()
    assert found.shape == (4, 5)
    wanted = log_density(name, outputs.movedim(2, -1), x).flatten(2).sum(-1)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)


@each_likelihood
def test_codes_without_the_sample_dimension_give_a_batch_of_images(name: str) -> None:
    z, x = torch.randn(4, 5, 6 * numbers(name)).double(), some_x(name, 5, *SHAPE)
    likelihood = make(name)
    whole, row = likelihood(z), likelihood(z[2])
    assert row.batch_shape == (5,)
    torch.testing.assert_close(row.log_prob(x), whole.log_prob(x)[2], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(row.mean, whole.mean[2], rtol=1e-13, atol=1e-13)


@each_likelihood
@each_shape
def test_every_element_has_its_own_outputs_and_no_others(name: str, shape: tuple[int, ...]) -> None:
    size = math.prod(shape)
    z = torch.randn(1, 2, numbers(name) * size).double().requires_grad_()
    p, x = make(name, shape)(z), some_x(name, 2, *shape)
    for values in (p.base_dist.log_prob(x), p.mean):
        (grad,) = torch.autograd.grad(values[0, 1].flatten()[3], z, retain_graph=True)
        (reached,) = grad[0, 1].view(-1, size).any(0).nonzero(as_tuple=True)
        assert reached.tolist() == [3]
        assert not grad[0, 0].any()


@each_likelihood
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("levels", [2, 256])
@pytest.mark.parametrize("training", [False, True])
def test_extreme_outputs_stay_finite_and_have_finite_gradients(
    name: str, dtype: torch.dtype, levels: int, training: bool
) -> None:
    per = numbers(name, levels)
    extremes = itertools.product([-80.0, -50.0, 0.0, 50.0, 80.0], repeat=2)
    # Shape (25, P): all pairs.
    rows = torch.tensor([*extremes], dtype=dtype).repeat_interleave(-(-per // 2), 1)[:, :per]
    rows = torch.cat([rows, rows.flip(0).roll(1, 1)]).requires_grad_()
    for x in (0.0, 1.0) if KINDS[name].support != "counts" else (0.0, 1.0, 255.0):
        p = make(name, (1,), levels=levels).to(dtype).train(training)(rows)
        assert p.mean.isfinite().all()
        found = p.log_prob(torch.full((len(rows), 1), x, dtype=dtype))
        assert found.dtype == dtype
        assert found.isfinite().all()
        (grad,) = torch.autograd.grad(found.sum(), rows)
        assert grad.isfinite().all()


@each_likelihood
def test_half_precision_outputs_are_scored_in_float32(name: str) -> None:
    p = make(name).float()(torch.randn(2, 6 * numbers(name)).bfloat16())
    assert p.log_prob(some_x(name, 2, *SHAPE).float()).dtype == torch.float32
    assert p.mean.dtype == torch.float32


@pytest.mark.parametrize(
    "name", ["bernoulli", "continuous-bernoulli", "categorical", "logistic-mixture"]
)
@pytest.mark.parametrize("levels", LEVELS)
def test_means_stay_in_the_unit_interval(name: str, levels: int) -> None:
    z = torch.linspace(-90, 90, 2001)[:, None] * torch.randn(2001, numbers(name, levels))
    third = numbers(name, levels) // 3
    z[::2] = torch.randn_like(z[::2])
    z[::2, third : 2 * third] = 60  # of a mixture all logistics far beyond the highest level
    mean = make(name, (1,), levels=levels).float()(z).mean
    assert mean.min() >= 0
    assert mean.max() <= 1


@pytest.mark.parametrize("name", ["categorical", "logistic-mixture"])
def test_a_likelihood_of_grey_levels_refuses_real_values(name: str) -> None:
    with pytest.raises(
        UserError, match=rf"^model\.likelihood: '{name}' needs grey levels.*gaussian$"
    ):
        inject(KINDS[name].outputs, {"levels": None, "logistics": 2, "shape": SHAPE})


# --- values in [0, 1] -----------------------------------------------------------------------------


def test_bernoulli_sums_to_one_over_all_binary_images() -> None:
    corners = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6))).double().view(64, *SHAPE)
    for scale in (0.1, 1.0, 10.0, 80.0):
        total = make("bernoulli")(scale * torch.randn(1, 6).double()).log_prob(corners).exp().sum()
        assert float(total) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("shape", "bias"), [((2, 3), 6), ((3, 2, 2), 12), ((3, 2, 2), 3), ((2, 3), 1)]
)
def test_bernoulli_starts_from_the_mean_of_each_pixel_or_of_each_channel(
    shape: tuple[int, ...], bias: int
) -> None:
    """With weights of 0, the bias alone makes the decoder's mean that of the images.

    If the bias is shared within a channel, the decoder's mean is that of the channel. Pixels that
    are always 0 or 1 start 0.001 away from these values. Without `pixel_means` the bias stays as it
    was.
    """
    x = torch.rand(50, *shape)
    x[:, 0, 0] = 0.0
    last = nn.Linear(4, bias)
    before = last.bias.detach().clone()
    assert Bernoulli(nn.Sequential(last)).start_from_images is None
    assert torch.equal(last.bias, before)
    begin = Bernoulli(nn.Sequential(last), pixel_means=True).start_from_images
    assert begin is not None
    begin(x)
    mean = x.mean(0) if bias == x[0].numel() else x.mean((0, -1, -2))
    assert torch.allclose(last.bias.sigmoid(), mean.flatten().clamp(0.001, 0.999), atol=1e-6)


@pytest.mark.parametrize("logit", LOGITS)
def test_bernoulli_mean_is_the_probability_of_a_one(logit: float) -> None:
    assert mean_of("bernoulli", logit) == pytest.approx(one("bernoulli", logit)(1.0), rel=1e-12)


@pytest.mark.parametrize("target", [0.0, 0.2, 0.5, 1.0])
def test_bernoulli_of_a_grey_level_is_its_cross_entropy_lowest_at_the_level_itself(
    target: float,
) -> None:
    logits = torch.linspace(-8, 8, 1601).double()[:, None]
    nats = -make("bernoulli", (1,))(logits).log_prob(tensor(target))
    torch.testing.assert_close(
        nats,
        F.binary_cross_entropy_with_logits(
            logits, torch.full_like(logits, target), reduction="none"
        )[:, 0],
    )
    entropy = -sum(p * math.log(p) for p in (target, 1 - target) if p)
    assert (nats >= entropy - 1e-12).all()
    # The grid, of step 0.01, and its ends, e^-8, miss the minimum slightly.
    assert float(nats.min()) == pytest.approx(entropy, abs=1e-3)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_integrates_to_one_over_the_unit_interval(logit: float) -> None:
    total, error = integrate.quad(one("continuous-bernoulli", logit), 0, 1, epsabs=1e-10)
    assert error < 1e-8
    assert total == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_mean_is_the_mean_of_its_density(logit: float) -> None:
    density = one("continuous-bernoulli", logit)
    mean, _ = integrate.quad(lambda x: x * density(x), 0, 1, epsabs=1e-10)
    assert mean_of("continuous-bernoulli", logit) == pytest.approx(mean, abs=1e-8)


@pytest.mark.parametrize("size", [0.003, 0.01, 0.02, 0.1, 1.0, 5.0, 8.0, *CONFIDENT])
def test_continuous_bernoulli_keeps_its_constant_and_mean_in_the_precision_of_training(
    size: float,
) -> None:
    """To 1e-4 nats, for it is an error of every pixel, and to half a grey level of 256."""
    logit = torch.tensor([[size], [-size]])  # float32
    x = torch.tensor([[0.3]])
    p, wide = make("continuous-bernoulli", (1,))(logit), logit.double()
    wanted = log_density("continuous-bernoulli", wide, x.double()[:, 0])
    assert p.log_prob(x).double().tolist() == pytest.approx(wanted.tolist(), abs=1e-4)
    mean = 1 / (1 - torch.exp(-wide)) - 1 / wide
    assert p.mean.double().flatten().tolist() == pytest.approx(mean.flatten().tolist(), abs=1 / 512)


def test_continuous_bernoulli_mean_is_right_near_one_half_in_the_precision_of_training() -> None:
    logits = torch.linspace(-0.02, 0.02, 2001)[:, None]
    wanted = 0.5 + logits.double() / 12  # the next term, l^3 / 720, is 1e-8
    error = make("continuous-bernoulli", (1,))(logits).mean - wanted
    assert error.abs().max() < 1 / 512


# --- real values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize(
    ("name", "deviation"),
    [("gaussian", 1), ("gaussian-learned", 1), ("gaussian-optimal", 1), ("laplace", math.sqrt(2))],
)
def test_densities_of_real_values_integrate_to_one_about_their_mean(
    name: str, deviation: float, sigma: float
) -> None:
    centre = 0.4
    density = one(name, centre, sigma=sigma)
    ends = centre - 40 * sigma, centre + 40 * sigma
    moments = [
        integrate.quad(
            lambda x, n=n: (x - centre) ** n * density(x), *ends, points=[centre], epsabs=1e-11
        )[0]
        for n in range(3)
    ]
    # The scale is a float32.
    assert moments == pytest.approx([1, 0, (deviation * sigma) ** 2], rel=1e-6, abs=1e-9)
    assert mean_of(name, centre) == pytest.approx(centre, abs=1e-12)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("gaussian", None),
        ("gaussian-learned", "log_sigma"),
        ("gaussian-optimal", None),
        ("laplace", "log_scale"),
    ],
)
def test_a_scale_is_a_parameter_only_where_it_is_learned_and_starts_where_it_was_told_to(
    name: str, scale: str | None, sigma: float
) -> None:
    likelihood = make(name, sigma=sigma)
    assert [parameter for parameter, _ in likelihood.named_parameters()] == (
        [scale] if scale else []
    )
    (held,) = likelihood.state_dict().values()
    assert float(held.exp()) == pytest.approx(sigma, rel=1e-6)


def test_learned_scales_are_stationary_at_the_rms_and_at_the_mean_absolute_error() -> None:
    """Rybkin et al. 2021, equation 5; and the same for the Laplace density."""
    outputs, x = torch.randn(5, 6).double(), torch.randn(5, *SHAPE).double()
    error = x.flatten(1) - outputs
    for name, best in (
        ("gaussian-learned", error.square().mean().sqrt()),
        ("laplace", error.abs().mean()),
    ):
        likelihood = make(name)
        (scale,) = likelihood.parameters()
        scale.data.copy_(best.log())
        likelihood(outputs).log_prob(x).sum().backward()
        assert float(scale.grad) == pytest.approx(0, abs=1e-12)


def test_the_optimal_sigma_makes_the_density_of_a_batch_the_largest_there_is() -> None:
    z, x = torch.randn(3, 5, 6).double().requires_grad_(), torch.rand(5, *SHAPE).double()
    found = make("gaussian-optimal").train()(z).log_prob(x)
    error = (z.view(3, 5, *SHAPE) - x).square().mean()
    assert found.shape == (3, 5)
    assert float(found.detach().mean()) == pytest.approx(
        -3 * math.log(2 * math.pi * math.e * float(error.detach()))
    )
    best, gaussian = float(error.detach().sqrt()), make("gaussian")
    totals = []
    for sigma in (0.99 * best, best, 1.01 * best):
        gaussian.log_sigma.fill_(math.log(sigma))
        totals.append(gaussian(z).log_prob(x).sum())
    assert totals[1] > max(totals[0], totals[2])
    torch.testing.assert_close(found.sum(), totals[1])
    # As the value is a maximum over sigma, its gradient is that at this fixed sigma, and also that
    # of -D/2 log MSE, as in the paper.
    analytic = -45 * error.log()  # 3 x 5 images of 6 elements, halved
    (wanted,) = torch.autograd.grad(analytic, z, retain_graph=True)
    for total in (found.sum(), totals[1]):
        torch.testing.assert_close(torch.autograd.grad(total, z, retain_graph=True)[0], wanted)


def test_weighted_images_move_the_optimal_sigma_too() -> None:
    """As bounds of several samples weigh them: there the gradient through sigma does not vanish."""
    z, x, weight = (
        torch.randn(5, 6).double().requires_grad_(),
        torch.rand(5, *SHAPE).double(),
        torch.rand(5).double(),
    )
    error = (z.view(5, *SHAPE) - x).square()
    log_p = -error.sum((1, 2)) / (2 * error.mean()) - 3 * torch.log(2 * math.pi * error.mean())
    grads = [
        torch.autograd.grad(found @ weight, z, retain_graph=True)[0]
        for found in (make("gaussian-optimal").train()(z).log_prob(x), log_p)
    ]
    torch.testing.assert_close(*grads)


def test_the_optimal_sigma_of_evaluation_is_a_running_mean_that_only_training_moves() -> None:
    likelihood, x = make("gaussian-optimal", sigma=2.0), torch.rand(500, *SHAPE).double()
    z = x.flatten(1) + 0.1 * torch.randn(500, 6).double()
    sigmas = []
    for training in (False, True, False):
        likelihood.train(training)(z).log_prob(x)
        sigmas.append(float(likelihood.log_sigma.exp()))
    error = float((x.flatten(1) - z).square().mean().sqrt())
    assert sigmas == pytest.approx([2, 2**0.9 * error**0.1, 2**0.9 * error**0.1], rel=1e-6)
    for _ in range(200):
        likelihood.train()(z).log_prob(x)
    found = likelihood.eval()(z)
    assert float(found.base_dist.scale[0, 0, 0]) == pytest.approx(error)
    torch.testing.assert_close(found.log_prob(x).sum(), likelihood.train()(z).log_prob(x).sum())


def test_the_optimal_sigma_of_perfect_reconstructions_is_small_but_not_zero() -> None:
    z = torch.rand(4, 6).requires_grad_()
    likelihood = make("gaussian-optimal").float().train()
    found = likelihood(z).log_prob(z.detach().view(4, *SHAPE))
    assert found.tolist() == pytest.approx([6 * (6 - math.log(2 * math.pi) / 2)] * 4)
    (grad,) = torch.autograd.grad(found.sum(), z)
    assert not grad.any()


# --- grey levels ----------------------------------------------------------------------------------


def probabilities(name: str, outputs: Tensor, levels: int) -> Tensor:
    """Probabilities (levels, N) of a single element for outputs (N, P), in their precision.

    The gradient of log_prob has to be finite.
    """
    outputs.requires_grad_()
    p = make(name, (1,), levels=levels).to(outputs.dtype)(outputs)
    found = p.log_prob((torch.arange(levels).to(outputs) / (levels - 1)).view(-1, 1, 1))
    (grad,) = torch.autograd.grad(found.sum(), outputs)
    assert found.isfinite().all()
    assert grad.isfinite().all()
    return found.detach().exp()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", ["categorical", "logistic-mixture"])
def test_probabilities_of_grey_levels_sum_to_one_however_sharp(
    name: str, levels: int, dtype: torch.dtype, tolerance: float
) -> None:
    """In float32 the sum over 256 levels is 1 to 2e-5.

    Next to an edge of a sharp logistic, m in levels is known to 1e-5.
    """
    outputs = 3 * torch.randn(40, numbers(name, levels), dtype=dtype)
    if name == "logistic-mixture":
        # Shape (7 * 40, K).
        scales = torch.tensor(SHARP, dtype=dtype).repeat_interleave(40)[:, None].expand(-1, 2)
        outputs = torch.cat([outputs[:, :4].repeat(len(SHARP), 1) / 3, scales], 1)
    total = probabilities(name, outputs, levels).sum(0)
    assert float((total - 1).abs().max()) < tolerance


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("log_scale", SHARP)
def test_the_logistic_mixture_is_right_in_float32_as_in_float64_and_as_in_scipy(
    levels: int, log_scale: float
) -> None:
    outputs = torch.cat([torch.randn(50, 4) / 2, log_scale + torch.randn(50, 2) / 10], 1)
    x = torch.randint(levels, (50, 1)) / (levels - 1)
    single = make("logistic-mixture", (1,), levels=levels).float()(outputs).log_prob(x)
    double = make("logistic-mixture", (1,), levels=levels)(outputs.double()).log_prob(x.double())
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-4)
    v = (x[:, 0].double() * (levels - 1)).round()
    wanted = torch.from_numpy(by_scipy(outputs.double().view(50, 3, 2), v, levels))
    torch.testing.assert_close(double.exp(), wanted, rtol=1e-7, atol=1e-13)


def test_a_sharp_logistic_is_certain_of_its_level() -> None:
    for levels in LEVELS:
        for v in {0, 1, levels - 1}:
            x = v / (levels - 1)
            p = make("logistic-mixture", (1,), levels=levels)(tensor(0, 2 * x - 1, -30)[None])
            assert float(p.log_prob(tensor(x))) == pytest.approx(0, abs=1.2e-7)
            assert float(p.mean) == pytest.approx(x, abs=1e-6)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("name", ["categorical", "logistic-mixture"])
def test_means_of_grey_levels_are_the_sums_of_levels_by_their_probabilities(
    name: str, levels: int
) -> None:
    outputs = 3 * torch.randn(40, numbers(name, levels)).double()
    x = torch.arange(levels).double() / (levels - 1)
    wanted = (x[:, None] * probabilities(name, outputs, levels)).sum(0)
    torch.testing.assert_close(
        make(name, (1,), levels=levels)(outputs).mean[:, 0], wanted, rtol=1e-11, atol=1e-12
    )


def test_samples_of_grey_levels_have_the_frequencies_of_their_probabilities() -> None:
    count, levels = 20_000, 5
    outputs = torch.randn(4, numbers("logistic-mixture"))
    p = make("logistic-mixture", (1,), levels=levels).float()(outputs)
    v = (p.base_dist.sample((count,))[..., 0] * (levels - 1)).round().long()  # (count, 4)
    probability = probabilities("logistic-mixture", outputs.requires_grad_(), levels)
    for i in range(4):
        found = v[:, i].bincount(minlength=levels) / count
        error = (probability[:, i] * (1 - probability[:, i]) / count).sqrt()
        assert float(((found - probability[:, i]).abs() / (error + 1e-4)).max()) < 5


@pytest.mark.parametrize("name", ["categorical", "logistic-mixture"])
def test_a_value_between_two_grey_levels_counts_as_the_nearer(name: str) -> None:
    p = make(name, (1,))(torch.randn(1, numbers(name)).double())
    levels, between = (
        torch.arange(17.0).view(-1, 1, 1) / 16,
        torch.linspace(-0.02, 0.02, 17).view(-1, 1, 1),
    )
    assert torch.equal(p.log_prob((levels + between).double()), p.log_prob(levels.double()))


# --- counts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("log_mean", [-5.0, 0.0, 3.0, 5.0])
@pytest.mark.parametrize("log_r", [None, -2.0, 0.0, 1.0, 4.0])
def test_counts_sum_to_one_with_the_mean_and_variance_they_claim(
    log_mean: float, log_r: float | None
) -> None:
    likelihood = make("poisson" if log_r is None else "negative-binomial", (1,))
    for parameter in likelihood.parameters():
        parameter.data.fill_(log_r)
    p, x = likelihood(tensor(log_mean)[None]), torch.arange(60_000).double()
    probability = p.log_prob(x[:, None, None])[:, 0].detach().exp()
    mean = math.exp(log_mean)
    variance = mean + (0 if log_r is None else mean**2 / math.exp(log_r))
    assert float(p.mean.detach()) == pytest.approx(mean)
    found = [
        float(value)
        for value in (probability.sum(), probability @ x, probability @ (x - mean) ** 2)
    ]
    assert found == pytest.approx([1, mean, variance], rel=1e-9)
    single = likelihood.float()(torch.tensor([[log_mean]])).log_prob(x.float()[:2000, None, None])
    torch.testing.assert_close(
        single.double(), p.log_prob(x[:2000, None, None]), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("log_r", [-15.0, -3.0, 0.0, 2.0, 10.0])
def test_negative_binomial_is_scipys_with_a_dispersion_of_its_own_for_each_element(
    log_r: float,
) -> None:
    likelihood, x = make("negative-binomial"), torch.randint(300, (40, *SHAPE)).double()
    assert likelihood.log_r.shape == SHAPE
    likelihood.log_r.data += log_r + torch.randn(SHAPE).double()
    z = torch.randn(40, 6).double()
    r, mean = likelihood.log_r.detach().exp(), z.view(40, *SHAPE).exp()
    wanted = torch.from_numpy(stats.nbinom.logpmf(x, r, r / (r + mean)))
    torch.testing.assert_close(
        likelihood(z).base_dist.log_prob(x).detach(), wanted, rtol=1e-9, atol=1e-8
    )


@pytest.mark.parametrize("log_r", [18.0, 25.0, 80.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_negative_binomial_of_a_large_r_is_poisson_in_value_and_gradient(
    log_r: float, dtype: torch.dtype
) -> None:
    z, x = (
        torch.randn(40, 6, dtype=dtype).requires_grad_(),
        torch.randint(50, (40, *SHAPE)).to(dtype),
    )
    likelihood = make("negative-binomial").to(dtype)
    likelihood.log_r.data.fill_(log_r)
    found, wanted = (p(z).base_dist.log_prob(x) for p in (likelihood, make("poisson").to(dtype)))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    grads = [torch.autograd.grad(total.sum(), z)[0] for total in (found, wanted)]
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)


def test_poisson_has_a_gradient_where_its_rate_underflows() -> None:
    z = torch.full((1, 2), -200.0).requires_grad_()
    found = make("poisson", (2,)).float()(z).log_prob(torch.tensor([0.0, 3.0]))
    (grad,) = torch.autograd.grad(found.sum(), z)
    assert grad.tolist() == [[0, 3]]


# --- posteriors and prior -------------------------------------------------------------------------


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
