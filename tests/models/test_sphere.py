"""The von Mises-Fisher distribution against Bessel functions, quadrature and samples.

The modules built on it are tested last.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor, nn
from torch.distributions import kl_divergence
from torch.nn.functional import normalize

from vaelab.errors import UserError
from vaelab.models.sphere import OnSphere, Uniform, VonMisesFisher

SIZES = [2, 3, 4, 7, 20, 64]
KAPPAS = [1e-3, 0.3, 4.0, 15.0, 60.0, 500.0, 1e4]
each_size = pytest.mark.parametrize("m", SIZES)
each_kappa = pytest.mark.parametrize("kappa", KAPPAS)


def vmf(m: int, kappa: float, dtype: torch.dtype = torch.float64) -> VonMisesFisher:
    return VonMisesFisher(
        normalize(torch.randn(m, dtype=dtype), dim=-1), torch.tensor(kappa, dtype=dtype)
    )


def log_z(m: int, kappa: float) -> float:
    """log Z - kappa = (m/2) log 2 pi - (m/2 - 1) log kappa + log(I_(m/2-1)(kappa) e^-kappa)."""
    order = m / 2 - 1
    return (
        m / 2 * math.log(2 * math.pi)
        - order * math.log(kappa)
        + math.log(special.ive(order, kappa))
    )


def mean_cosine(m: int, kappa: float) -> float:
    """A_m(kappa) = I_(m/2)(kappa) / I_(m/2-1)(kappa)."""
    return float(special.ive(m / 2, kappa) / special.ive(m / 2 - 1, kappa))


def log_area(m: int) -> float:
    """Of the unit sphere of R^m."""
    return math.log(2) + m / 2 * math.log(math.pi) - float(special.gammaln(m / 2))


def standard_errors(found: Tensor, wanted: Tensor) -> float:
    """How many standard errors the means of found (N, ...) are away from those wanted, at worst."""
    away = (found.mean(0) - wanted).abs() / (found.std(0) / len(found) ** 0.5 + 1e-12)
    return float(away.max())


# --- the density ----------------------------------------------------------------------------------


@each_size
@each_kappa
def test_normaliser_mean_entropy_and_rate_are_those_of_bessel_functions(
    m: int, kappa: float
) -> None:
    q, a = vmf(m, kappa), mean_cosine(m, kappa)
    assert float(q.log_prob(q.direction)) == pytest.approx(-log_z(m, kappa), abs=1e-10)
    torch.testing.assert_close(q.mean, q.direction)  # where the decoder learned to decode
    entropy = kappa + log_z(m, kappa) - kappa * a
    assert float(q.entropy()) == pytest.approx(entropy, abs=1e-9)
    rate = kl_divergence(q, Uniform(m).double()())
    assert float(rate) == pytest.approx(log_area(m) - entropy, abs=1e-9)
    assert rate >= -1e-12


@pytest.mark.parametrize("m", [2, 3, 10])
@pytest.mark.parametrize("kappa", [0.3, 4.0, 60.0, 500.0])
def test_density_is_that_of_scipy_at_any_point(m: int, kappa: float) -> None:
    q, z = vmf(m, kappa), normalize(torch.randn(50, m).double(), dim=-1)
    wanted = stats.vonmises_fisher(q.direction.numpy(), kappa).logpdf(z.numpy())
    torch.testing.assert_close(
        q.log_prob(z), torch.from_numpy(np.asarray(wanted)), rtol=1e-9, atol=1e-9
    )


@each_kappa
def test_density_integrates_to_one_over_the_circle_and_the_sphere(kappa: float) -> None:
    def across(q: VonMisesFisher, angle: float) -> float:
        """The density at an angle from mu."""
        other = normalize(torch.randn_like(q.direction), dim=-1)
        side = normalize(other - (other * q.direction).sum() * q.direction, dim=-1)
        return float(q.log_prob(math.cos(angle) * q.direction + math.sin(angle) * side).exp())

    width = [min(3.0, n / kappa**0.5) for n in (1, 4)]
    circle, sphere = vmf(2, kappa), vmf(3, kappa)
    total, _ = integrate.quad(
        lambda a: 2 * across(circle, a), 0, math.pi, points=width, epsabs=1e-9
    )
    assert total == pytest.approx(1, abs=1e-8)
    ring = 2 * math.pi
    total, _ = integrate.quad(
        lambda a: ring * math.sin(a) * across(sphere, a), 0, math.pi, points=width, epsabs=1e-9
    )
    assert total == pytest.approx(1, abs=1e-8)


@each_size
def test_at_no_concentration_it_is_uniform(m: int) -> None:
    p = Uniform(m).double()()
    z = p.sample((5000,))
    torch.testing.assert_close(
        p.log_prob(z),
        torch.full((5000,), -log_area(m), dtype=torch.float64),
        rtol=1e-12,
        atol=1e-12,
    )
    assert standard_errors(z, torch.zeros(m)) < 5
    # The worst of m^2 numbers.
    assert standard_errors(z[:, :, None] * z[:, None], torch.eye(m) / m) < 5.5
    assert float(kl_divergence(p, p)) == pytest.approx(0, abs=1e-12)


@each_size
def test_rate_between_two_is_their_expected_log_ratio(m: int) -> None:
    q, p = vmf(m, 9.0), vmf(m, 3.0)
    z = q.sample((5000,))
    assert standard_errors(q.log_prob(z) - p.log_prob(z), kl_divergence(q, p)) < 5
    uniform = Uniform(m).double()()
    # log q - log p has the variance of kappa <mu, z> only
    assert standard_errors(q.log_prob(z) - uniform.log_prob(z), kl_divergence(q, uniform)) < 5


# --- samples --------------------------------------------------------------------------------------


@each_size
@each_kappa
def test_angles_of_samples_follow_the_cumulative_distribution(m: int, kappa: float) -> None:
    q = vmf(m, kappa)
    z = q.sample((2000,))
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(2000).double(), rtol=0, atol=1e-12)
    angle = 2 * ((z - q.direction).norm(dim=-1) / 2).clamp(max=1).asin()
    grid = torch.linspace(0, math.pi, 20_001).double()
    mass = (-2 * kappa * (grid / 2).sin() ** 2).exp() * grid.sin() ** (m - 2)
    below = integrate.cumulative_trapezoid(mass.numpy(), initial=0)
    test = stats.kstest(angle.numpy(), lambda a: np.interp(a, grid.numpy(), below / below[-1]))
    assert test.pvalue > 1e-4
    across = z - (z @ q.direction)[:, None] * q.direction
    assert standard_errors(normalize(across, dim=-1), torch.zeros(m)) < 5
    assert standard_errors(z, mean_cosine(m, kappa) * q.direction) < 5


@each_size
@each_kappa
def test_everything_is_finite_and_right_in_the_precision_of_training(m: int, kappa: float) -> None:
    direction = normalize(torch.randn(400, m), dim=-1).requires_grad_()
    concentration = torch.full((400,), kappa, requires_grad=True)
    q = VonMisesFisher(direction, concentration)
    z, rate = q.rsample((2,)), kl_divergence(q, Uniform(m)())
    assert z.shape == (2, 400, m)
    torch.testing.assert_close(z.norm(dim=-1), torch.ones(2, 400), rtol=0, atol=3e-7)
    wide = VonMisesFisher(normalize(direction.double(), dim=-1), concentration.double())
    exact = normalize(z.double(), dim=-1)
    torch.testing.assert_close(q.log_prob(z).double(), wide.log_prob(exact), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(
        rate.double(), kl_divergence(wide, Uniform(m).double()()), rtol=1e-5, atol=1e-4
    )
    (z.square().cumsum(-1).sum() + q.log_prob(z).sum() + rate.sum()).backward()
    for parameter in (direction, concentration):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


def test_shapes_follow_those_of_torch_distributions() -> None:
    q = VonMisesFisher(normalize(torch.randn(5, 3), dim=-1), torch.rand(5))
    assert (q.batch_shape, q.event_shape) == ((5,), (3,))
    assert q.rsample().shape == q.mean.shape == (5, 3)
    assert q.sample((4, 2)).shape == (4, 2, 5, 3)
    assert q.log_prob(q.sample((4,))).shape == (4, 5)
    assert q.entropy().shape == (5,)


# --- gradients ------------------------------------------------------------------------------------


def pathwise(
    m: int, kappa: float, quadratic: bool, n: int = 5000
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of <a, z>, or <a, z>^2, for each sample.

    They are those in mu (N, m), along the sphere, and in kappa (N,). Also return mu and a.
    """
    mu, a = normalize(torch.randn(m).double(), dim=-1), torch.randn(m).double()
    turned, kappas = (
        mu.repeat(n, 1).requires_grad_(),
        torch.full((n,), kappa, dtype=torch.float64).requires_grad_(),
    )
    f = VonMisesFisher(turned, kappas).rsample() @ a
    in_mu, in_kappa = torch.autograd.grad((f**2 if quadratic else f).sum(), (turned, kappas))
    return in_mu - (in_mu @ mu)[:, None] * mu, in_kappa, mu, a


@each_size
@pytest.mark.parametrize("kappa", [0.3, 4.0, 60.0, 1e4])
@pytest.mark.parametrize("quadratic", [False, True], ids=["linear", "quadratic"])
def test_pathwise_gradients_are_those_of_the_expectation(
    m: int, kappa: float, quadratic: bool
) -> None:
    """E[z] = A mu, and E[z z'] = s mu mu' + (1 - s) / (m - 1) (I - mu mu').

    Here s = E[cos^2 a] = 1 - (m - 1) A / kappa.
    """
    in_mu, in_kappa, mu, a = pathwise(m, kappa, quadratic)
    mean = mean_cosine(m, kappa)
    slope = 1 - mean**2 - (m - 1) * mean / kappa  # dA / dkappa, the variance of cos a
    along, across = mu @ a, a - (mu @ a) * mu
    if quadratic:
        square = 1 - (m - 1) * mean / kappa
        square_slope = (m - 1) * (mean / kappa**2 - slope / kappa)
        stretch = along**2 - across.square().sum() / (m - 1)
        wanted_mu, wanted_kappa = (
            2 * (square - (1 - square) / (m - 1)) * along * across,
            square_slope * stretch,
        )
    else:
        wanted_mu, wanted_kappa = mean * across, slope * along
    assert standard_errors(in_mu, wanted_mu) < 5
    assert standard_errors(in_kappa, wanted_kappa) < 5


@each_size
@each_kappa
def test_the_angle_moves_so_that_its_cumulative_probability_stays(m: int, kappa: float) -> None:
    """This holds exactly, not only on average.

    F(a + h da/dkappa; kappa + h) - F(a - h da/dkappa; kappa - h) = 0 up to O(h^3).
    """
    concentration = torch.full((40,), kappa, dtype=torch.float64).requires_grad_()
    mu = torch.eye(m)[0].double().expand(40, m)
    z = VonMisesFisher(mu, concentration).rsample()
    angle = 2 * ((z - mu).norm(dim=-1) / 2).asin()
    (slope,) = torch.autograd.grad(angle.sum(), concentration)
    angle, h = angle.detach(), 1e-3 * kappa

    def below(angle: Tensor, kappa: float) -> Tensor:
        """F at the angles, by quadrature on 2,000 points."""
        part = torch.linspace(0, 1, 2_001).double() * angle[:, None]  # (40, N)
        mass = (-2 * kappa * (part / 2).sin() ** 2 - log_z(m, kappa)).exp() * part.sin() ** (m - 2)
        return math.exp(log_area(m - 1)) * torch.trapezoid(mass, part)

    moved = below(angle + h * slope, kappa + h) - below(angle - h * slope, kappa - h)
    still = below(angle, kappa + h) - below(angle, kappa - h)
    assert (moved.abs() < 1e-3 * still.abs() + 1e-8).all()
    assert (slope < 0).all()


def test_the_rate_pulls_the_concentration_as_its_closed_form_says() -> None:
    for m in SIZES:
        kappas = torch.tensor(KAPPAS, dtype=torch.float64).requires_grad_()
        q = VonMisesFisher(normalize(torch.randn(len(KAPPAS), m).double(), dim=-1), kappas)
        (found,) = torch.autograd.grad(kl_divergence(q, Uniform(m).double()()).sum(), kappas)
        mean = torch.tensor([mean_cosine(m, kappa) for kappa in KAPPAS], dtype=torch.float64)
        wanted = kappas.detach() * (1 - mean**2) - (m - 1) * mean  # kappa dA/dkappa
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-9)


# --- the modules ----------------------------------------------------------------------------------


def test_the_posterior_is_a_unit_direction_and_a_concentration_above_one() -> None:
    q = OnSphere(nn.Flatten(), 12, latent=4)(torch.randn(6, 3, 4))
    assert (q.batch_shape, q.event_shape) == ((6,), (4,))
    torch.testing.assert_close(q.direction.norm(dim=-1), torch.ones(6))
    assert (q.concentration > 1).all()
    assert OnSphere.size(4) == OnSphere.decoded(4) == 4


def test_a_network_in_half_precision_gives_a_posterior_in_single_precision() -> None:
    q = OnSphere(nn.Flatten(), 12, latent=4).bfloat16()(torch.randn(6, 12).bfloat16())
    assert q.rsample((2,)).dtype == torch.float32


def test_the_prior_is_uniform_on_the_sphere_of_as_many_dimensions() -> None:
    p = Uniform(4)()
    assert (p.batch_shape, p.event_shape) == ((), (4,))
    assert p.sample((7,)).shape == (7, 4)
    assert not Uniform(4).state_dict()
    assert float(p.log_prob(p.sample())) == pytest.approx(-math.log(2 * math.pi**2), abs=1e-6)


def test_one_dimension_is_refused() -> None:
    with pytest.raises(UserError, match=r"^model.latent: .*; set model.latent to 2 or more$"):
        OnSphere(nn.Flatten(), 12, latent=1)


def test_rate_and_density_keep_their_gradient_whatever_was_asked_first() -> None:
    """Training samples first; what is kept from that must not be without a graph."""
    found = []
    for sampled_first in (False, True):
        kappa = torch.tensor(5.0, dtype=torch.float64, requires_grad=True)
        q = VonMisesFisher(normalize(torch.ones(3, dtype=torch.float64), dim=0), kappa)
        if sampled_first:
            q.rsample((4,))
        (rate,) = torch.autograd.grad(
            kl_divergence(q, Uniform(3).double()()), kappa, retain_graph=True
        )
        (density,) = torch.autograd.grad(q.log_prob(q.direction), kappa)
        found.append((float(rate), float(density)))
    assert found[0] == found[1]
    step = 1e-5
    uniform, mu = Uniform(3).double()(), q.direction
    up, down = (
        VonMisesFisher(mu, torch.tensor(5.0 + s, dtype=torch.float64)) for s in (step, -step)
    )
    rate = float(kl_divergence(up, uniform) - kl_divergence(down, uniform)) / (2 * step)
    density = float(up.log_prob(mu) - down.log_prob(mu)) / (2 * step)
    assert found[0] == pytest.approx((rate, density), rel=1e-6)
