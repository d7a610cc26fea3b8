"""Priors and posteriors against closed forms, quadrature and scipy, in double precision."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import (
    Distribution,
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from vaelab.errors import UserError
from vaelab.models.flows import zuko_flows
from vaelab.models.posteriors import (
    DiagonalGaussian,
    FullGaussian,
    FullNormal,
    InverseAutoregressiveFlow,
    Posterior,
    SplineFlow,
)
from vaelab.models.priors import Flow, Mixture, PerClass, StandardNormal, VampPrior
from vaelab.models.priors import SplineFlow as SplinePrior

B, D, L = 2, 5, 2  # images, pixels, dimensions of z
C = 6
WIDE = 5  # standard errors: a fair test fails once in two million


def network() -> nn.Module:
    """From x (B, D) to 7 features, with what behaves differently in training."""
    return nn.Sequential(nn.Linear(D, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Dropout(0.3))


POSTERIORS: dict[str, Callable[[int], Posterior]] = {
    "gaussian": lambda latent: DiagonalGaussian(network(), 7, latent),
    "full-covariance": lambda latent: FullGaussian(network(), 7, latent),
    "iaf": lambda latent: InverseAutoregressiveFlow(network(), 7, latent, 2),
    "spline-flow": lambda latent: SplineFlow(network(), 7, latent, 2),
}
PRIORS: dict[str, Callable[[int], nn.Module]] = {
    "normal": StandardNormal,
    "mixture": lambda size: Mixture(size, C),
    "vamp": lambda size: VampPrior(POSTERIORS["gaussian"](size), (D,), C, None),
    "vamp-full": lambda size: VampPrior(POSTERIORS["full-covariance"](size), (D,), C, None),
    "flow": lambda size: Flow(size, 3),
    "spline-flow": lambda size: SplinePrior(size, 2),
}
each_posterior = pytest.mark.parametrize("name", POSTERIORS)


def borrowed(module: nn.Module) -> list[nn.Module]:
    """The encoder that a prior uses, if it does."""
    return [module.encoder.module] if isinstance(module, VampPrior) else []


each_prior = pytest.mark.parametrize("name", PRIORS)
each_size = pytest.mark.parametrize("size", [1, 2])


def away_from_the_start(module: nn.Module) -> nn.Module:
    """The module in double precision, its parameters moved at random as training would."""
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += torch.randn_like(parameter) / max(2.0, parameter.shape[-1] ** 0.5)
    for encoder in borrowed(module):
        away_from_the_start(encoder)
    return module.eval()


def posterior(name: str, latent: int = L) -> Distribution:
    return away_from_the_start(POSTERIORS[name](latent))(torch.rand(B, D).double())


def prior(name: str, size: int = L) -> Distribution:
    return away_from_the_start(PRIORS[name](size))()


def mass(p: Distribution) -> Tensor:
    """The integral of a density over one or two dimensions.

    It uses the trapezoid rule on a grid that holds all of the density.
    """
    with torch.no_grad():
        z = p.sample((1000,)).flatten(0, -2)
        low, high, size = z.amin(0), z.amax(0), z.shape[-1]
        margin, points = 0.8 * (high - low), 4_001 if size == 1 else 121
        axes = [
            torch.linspace(a, b, points).double()
            for a, b in zip(low - margin, high + margin, strict=True)
        ]
        grid = torch.cartesian_prod(*axes).view(-1, *(1 for _ in p.batch_shape), size)
        cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
        return p.log_prob(grid).exp().sum(0) * cell


def same(found: Tensor, wanted: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- laws for all


@each_posterior
@each_size
def test_the_density_of_a_posterior_integrates_to_one(name: str, size: int) -> None:
    q = posterior(name, size)
    same(mass(q), torch.ones(B).double(), 5e-3)


@each_prior
@each_size
def test_the_density_of_a_prior_integrates_to_one(name: str, size: int) -> None:
    same(mass(prior(name, size)), torch.tensor(1.0).double(), 5e-3)


def samples_follow_the_density(p: Distribution, n: int = 4_000) -> None:
    """Assert that E[h(z)] over samples is the integral of h(z) p(z), within its error.

    h is each of the first two moments and cosines.
    """
    with torch.no_grad():
        z = p.sample((n,))  # (n, *batch, L)
        wide = Normal(z.mean(0), 2 * z.std(0))  # an importance sampler that covers it
        other = wide.sample((n,))
        weight = (p.log_prob(other) - wide.log_prob(other).sum(-1)).exp()[..., None]
        for h in (lambda z: z, lambda z: z**2, lambda z: z * z.flip(-1), lambda z: (3 * z).cos()):
            one, two = h(z), weight * h(other)
            error = ((one.var(0) + two.var(0)) / n).sqrt()
            assert ((one.mean(0) - two.mean(0)).abs() < WIDE * error).all()


@each_posterior
def test_samples_of_a_posterior_follow_its_density(name: str) -> None:
    samples_follow_the_density(posterior(name))


@each_prior
def test_samples_of_a_prior_follow_its_density(name: str) -> None:
    samples_follow_the_density(prior(name))


@each_posterior
@pytest.mark.parametrize("latent", [1, 2, 7])
def test_shapes_are_those_of_a_posterior_and_the_mean_does_not_vary(name: str, latent: int) -> None:
    torch.manual_seed(1)
    module, x = POSTERIORS[name](latent), torch.rand(B, D)
    q = module.eval()(x)
    assert (q.batch_shape, q.event_shape) == ((B,), (latent,))
    z = q.rsample((3,))
    assert z.shape == (3, B, latent)
    assert z.requires_grad
    assert q.log_prob(z).shape == (3, B)
    assert q.log_prob(z[0]).shape == (B,)
    assert q.mean.shape == (B, latent)
    assert torch.equal(q.mean, module(x).mean)
    torch.testing.assert_close(module(x[:1]).mean, q.mean[:1])  # a batch of one is a batch


@each_prior
@pytest.mark.parametrize("size", [1, 2, 7])
def test_shapes_are_those_of_a_prior(name: str, size: int) -> None:
    p = PRIORS[name](size)()
    assert (p.batch_shape, p.event_shape) == ((), (size,))
    assert p.sample((3,)).shape == (3, size)
    assert not p.sample((3,)).requires_grad
    assert p.log_prob(torch.randn(5, B, size)).shape == (5, B)
    assert p.log_prob(torch.randn(B, size)).shape == (B,)


def all_have_gradients(module: nn.Module, value: Tensor) -> None:
    module.zero_grad()
    value.sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@each_posterior
@each_size
def test_gradient_reaches_every_parameter_of_a_posterior_from_the_start(
    name: str, size: int
) -> None:
    module = POSTERIORS[name](size).eval()
    q = module(torch.rand(B, D))
    all_have_gradients(module, q.log_prob(torch.randn(3, B, size)))
    z = module(torch.rand(B, D)).rsample((3,))
    all_have_gradients(module, (z - torch.randn(3, B, size)) ** 2)


@each_prior
@each_size
def test_gradient_reaches_every_parameter_of_a_prior_from_the_start(name: str, size: int) -> None:
    module = PRIORS[name](size)
    z = torch.randn(3, B, size, requires_grad=True)
    all_have_gradients(module, module().log_prob(z))
    assert z.grad is not None
    assert z.grad.all()
    for encoder in borrowed(module):
        assert encoder.head.weight.grad.any()


@pytest.mark.parametrize(
    "make", [*POSTERIORS.values(), *PRIORS.values()], ids=[*POSTERIORS, *PRIORS]
)
def test_weights_saved_and_loaded_give_the_same_density_to_the_bit(
    make: Any, tmp_path: Path
) -> None:
    """Orders and masks of flows and the range of pseudo-inputs travel with the weights."""
    one, two = make(3), make(3)
    for encoder, other in zip(borrowed(one), borrowed(two), strict=True):
        other.load_state_dict(encoder.state_dict())
        one.start_from_images(2 * torch.rand(20, D) - 0.5)
    if one.state_dict():
        safetensors.torch.save_file(one.state_dict(), tmp_path / "weights.safetensors")
        two.load_state_dict(safetensors.torch.load_file(tmp_path / "weights.safetensors"))
    given = (torch.rand(B, D),) if isinstance(one, Posterior) else ()
    z = torch.randn(B, 3)
    assert torch.equal(one.eval()(*given).log_prob(z), two.eval()(*given).log_prob(z))
    drawn = []
    for module in (one, two):
        torch.manual_seed(3)
        drawn.append(module(*given).sample((2,)))
    assert torch.equal(*drawn)


# ---------------------------------------------------------------- Gaussians


def test_the_covariance_of_a_full_posterior_starts_out_diagonal() -> None:
    q = POSTERIORS["full-covariance"](4)(torch.rand(B, D))
    assert torch.equal(q.covariance_matrix, q.variance.diag_embed())
    assert (q.variance.log().abs() < 3).all()


@pytest.mark.parametrize("latent", [1, 2, 5])
def test_the_divergence_of_a_full_gaussian_from_a_product_is_that_of_two_full_ones(
    latent: int,
) -> None:
    q = posterior("full-covariance", latent)
    mean, scale = torch.randn(latent).double(), torch.rand(latent).double() + 0.5
    found = kl_divergence(q, Independent(Normal(mean, scale), 1))
    full = MultivariateNormal(mean, scale_tril=scale.diag())
    same(found, kl_divergence(MultivariateNormal(q.loc, scale_tril=q.scale_tril), full))
    assert found.shape == (B,)
    z = q.sample((20_000,))
    ratio = q.log_prob(z) - Normal(mean, scale).log_prob(z).sum(-1)
    assert ((ratio.mean(0) - found).abs() < WIDE * ratio.std(0) / math.sqrt(len(z))).all()


def test_the_kl_of_a_full_gaussian_is_known_to_a_batch_of_normals_but_to_nothing_else() -> None:
    q = posterior("full-covariance")
    means = torch.randn(B, L).double()
    one_by_one = [
        kl_divergence(
            FullNormal(q.loc[i], scale_tril=q.scale_tril[i]), Independent(Normal(means[i], 1.0), 1)
        )
        for i in range(B)
    ]
    same(kl_divergence(q, Independent(Normal(means, 1.0), 1)), torch.stack(one_by_one))
    # Without a closed form, `Draw.rate` takes the sample estimate.
    with pytest.raises(NotImplementedError):
        kl_divergence(q, Independent(Laplace(means, 1.0), 1))


def test_a_mixture_is_scipys() -> None:
    module = away_from_the_start(Mixture(3, C))
    z = torch.randn(4, 5, 3).double()
    weights = module.logits.softmax(0).tolist()
    wanted = sum(
        w
        * stats.multivariate_normal(m.detach().numpy(), np.diag(v.exp().detach().numpy())).pdf(
            z.numpy()
        )
        for w, m, v in zip(weights, module.mean, module.log_variance, strict=True)
    )
    same(module().log_prob(z), torch.as_tensor(wanted).log())


def test_a_mixture_works_through_its_rows_in_parts_and_forgets_none() -> None:
    p, n = prior("mixture", 3), 2 * 1000 + 7
    z = p.sample((n,))
    assert z.shape == (n, 3)
    assert len(z.unique(dim=0)) == n
    torch.testing.assert_close(p.log_prob(z)[-3:], p.log_prob(z[-3:]))


def test_class_gaussians_start_at_the_standard_normal_and_are_looked_up_by_class() -> None:
    module, y = PerClass(3, 4).double(), torch.tensor([2, 0, 2])
    z = torch.randn(3, 3).double()
    assert torch.equal(module(y).log_prob(z), StandardNormal(3).double()().log_prob(z))
    away_from_the_start(module)
    p = module(y)
    assert (p.batch_shape, p.event_shape) == ((3,), (3,))
    scale = (0.5 * module.log_variance[2]).exp()
    same(p.log_prob(z)[0], Normal(module.mean[2], scale).log_prob(z[0]).sum())
    same(p.log_prob(z)[2], Normal(module.mean[2], scale).log_prob(z[2]).sum())
    p.log_prob(z).sum().backward()
    assert module.mean.grad is not None
    assert module.mean.grad.any(1).tolist() == [True, False, True, False]


# ---------------------------------------------------------------- VampPrior


@pytest.mark.parametrize("name", ["gaussian", "full-covariance"])
def test_vamp_is_the_mean_of_the_densities_of_its_pseudo_inputs_posteriors(name: str) -> None:
    encoder = away_from_the_start(POSTERIORS[name](L))
    module = VampPrior(encoder, (D,), C, None).double()
    z = torch.randn(3, B, L).double()
    each = torch.stack([encoder(u[None]).log_prob(z) for u in module.pseudo_inputs])
    same(module().log_prob(z), each.exp().mean(0).log())


def test_pseudo_inputs_start_as_different_images_and_stay_within_their_range() -> None:
    x = torch.linspace(-1, 3, 10 * D).view(10, D)
    module = VampPrior(POSTERIORS["gaussian"](L), (D,), C, None)
    module.start_from_images(x)
    distance = torch.cdist(module.pseudo_inputs, x)
    # The images differ by 0.9; the margin is 0.08 for each of five pixels.
    assert (distance.min(1).values < 0.25).all()
    assert len(distance.argmin(1).unique()) == C
    chosen = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        module.start_from_images(x)
        chosen.append(module.pseudo_inputs.detach())
    assert torch.equal(chosen[0], chosen[1])
    assert not torch.equal(chosen[0], chosen[2])
    with torch.no_grad():
        module.logits += 100 * torch.randn_like(module.logits)
    assert module.pseudo_inputs.min() >= -1
    assert module.pseudo_inputs.max() <= 3


def test_fewer_images_than_pseudo_inputs_are_all_used() -> None:
    x = torch.rand(4, D)
    module = VampPrior(POSTERIORS["gaussian"](L), (D,), C, None)
    module.start_from_images(x)
    assert len(torch.cdist(module.pseudo_inputs, x).argmin(1).unique()) == 4


def test_pseudo_inputs_that_start_on_black_and_white_pixels_all_learn() -> None:
    module = VampPrior(POSTERIORS["gaussian"](L), (D,), C, None)
    module.start_from_images((torch.rand(20, D) > 0.5).float())
    module().log_prob(torch.randn(B, L)).sum().backward()
    assert module.logits.grad is not None
    assert module.logits.grad.all()


def test_vamp_leaves_the_normalisation_and_the_mode_of_the_encoder_alone() -> None:
    encoder = POSTERIORS["gaussian"](L)
    module = VampPrior(encoder, (D,), C, None)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert torch.equal(module().mean, module().mean)  # no dropout
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert all(part.training for part in encoder.modules())
    assert not any("encoder" in name for name in module.state_dict())


# ---------------------------------------------------------------- flows


@pytest.mark.parametrize("name", ["iaf", "spline-flow"])
@pytest.mark.parametrize("latent", [1, 2, 7])
def test_the_density_of_a_flows_own_samples_is_the_density_of_any_z(name: str, latent: int) -> None:
    q = posterior(name, latent)
    z, log_prob = q.rsample_and_log_prob((9,))
    same(q.log_prob(z), log_prob, 1e-7)
    torch.manual_seed(5)
    z = q.rsample((9,))
    torch.manual_seed(5)
    assert torch.equal(q.rsample_and_log_prob((9,))[0], z)


@pytest.mark.parametrize("name", ["iaf", "spline-flow"])
def test_the_mean_of_a_flow_is_the_image_of_its_bases_mean(name: str) -> None:
    q = posterior(name)
    narrow = Independent(Normal(q.base.mean, torch.full_like(q.base.mean, 1e-9)), 1)
    torch.testing.assert_close(type(q)(narrow, *q.steps).sample(), q.mean, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["flow", "spline-flow"])
@each_size
def test_flows_start_close_to_the_standard_normal(name: str, size: int) -> None:
    z = torch.randn(100, size)
    torch.testing.assert_close(
        PRIORS[name](size)().log_prob(z), StandardNormal(size)().log_prob(z), rtol=0.1, atol=0.1
    )


@pytest.mark.parametrize("name", ["iaf", "spline-flow"])
def test_flow_posteriors_start_close_to_their_diagonal_gaussian(name: str) -> None:
    module, x = POSTERIORS[name](3).eval(), torch.rand(B, D)
    mean, log_variance, _ = module.parts(x)
    z = mean + torch.randn(50, B, 3) * (0.5 * log_variance).exp()
    gaussian = Normal(mean, (0.5 * log_variance).exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(module(x).log_prob(z), gaussian, rtol=0, atol=0.2)


def test_an_inverse_autoregressive_flow_is_inverse_and_autoregressive() -> None:
    """In one step z_i depends on u_i and on the elements before it in the order.

    The Jacobian is therefore triangular.
    """
    module = away_from_the_start(InverseAutoregressiveFlow(network(), 7, 5, 1))
    (step,) = module(torch.rand(1, D).double()).steps
    jacobian = torch.autograd.functional.jacobian(lambda u: step(u)[0], torch.randn(1, 5).double())[
        :, 0
    ]
    assert torch.equal(jacobian, jacobian.tril())
    assert (jacobian.tril() != 0).sum() == 15


def test_a_spline_posterior_bends_wherever_its_mean_lies() -> None:
    module = away_from_the_start(SplineFlow(network(), 7, 1, 2))
    x = torch.rand(1, D).double()
    skews = []
    for shift in (0.0, 100.0):
        with torch.no_grad():
            module.head.bias[0] += shift
        torch.manual_seed(0)
        skews.append(stats.skew(module(x).sample((5000,)).numpy().ravel()))
    assert skews[0] == pytest.approx(skews[1])
    assert abs(skews[0]) > 0.1


def test_a_flow_in_mixed_precision_has_one_density_inside_and_outside_of_autocast() -> None:
    module, x = away_from_the_start(POSTERIORS["iaf"](7)).float(), torch.rand(B, D)
    with torch.autocast("cpu", torch.bfloat16):
        q = module(x)
        z, log_prob = q.rsample_and_log_prob((3,))
    assert z.dtype == log_prob.dtype == torch.float32
    torch.testing.assert_close(q.log_prob(z), log_prob, rtol=1e-4, atol=1e-4)


def test_importing_zuko_leaves_the_validation_of_torch_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for checked in (True, False):
        monkeypatch.setattr(Distribution, "_validate_args", checked)
        for name in [name for name in sys.modules if name.partition(".")[0] == "zuko"]:
            monkeypatch.delitem(sys.modules, name)
        zuko_flows()
        assert Distribution._validate_args is checked


def test_without_zuko_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko.flows", None)
    monkeypatch.setitem(sys.modules, "zuko", None)
    with pytest.raises(UserError, match=r"^zuko is needed for .*pip install 'vaelab\[flows\]'$"):
        Flow(2, 1)
