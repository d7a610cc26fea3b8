"""The Draw and the VAE against a model whose log p(x) is known.

The file also covers their methods, random states, and the terms that evaluation reports.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from vaelab import devices
from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.evaluation import likelihood
from vaelab.evaluation.likelihood import log_likelihood
from vaelab.evaluation.metrics.codes import explained_variance
from vaelab.models import VAE, Draw, parts
from vaelab.models import build as build_vae
from vaelab.models.likelihoods import Gaussian
from vaelab.models.memory import widest
from vaelab.models.objectives import elbo
from vaelab.models.posteriors import Delta, DiagonalGaussian, Point
from vaelab.models.priors import StandardNormal
from vaelab.recipes import Data, Model
from vaelab.seeding import derive, generator, seeded
from vaelab.training import Terms, terms

D, L, B = 5, 3, 4  # data, latent, batch
SIGMA = 0.7
K = 20_000  # samples where a mean is held against its expectation
WIDE = 5  # standard errors: a fair test fails once in two million


# --- the oracle: a linear Gaussian model ----------------------------------------------------------


class Oracle:
    """z ~ N(0, I) and x|z ~ N(W z + b, sigma^2 I).

    p(x) and p(z|x) have closed forms (Bishop, PRML, 2.113 to 2.117).
    """

    def __init__(self, orthogonal: bool) -> None:
        w = torch.randn(D, L, dtype=torch.float64)
        if orthogonal:  # then W^T W, and with it the posterior's covariance, is diagonal
            w = torch.linalg.qr(w).Q * torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
        decoder = nn.Linear(L, D).double()
        decoder.weight.data, self.w, self.b = w, w, decoder.bias.data
        self.likelihood = Gaussian(nn.Sequential(decoder, nn.Unflatten(1, (1, D))), SIGMA).double()
        # SIGMA is stored by the likelihood as a float32.
        sigma = float(self.likelihood.log_sigma.exp())
        self.marginal = MultivariateNormal(
            self.b, w @ w.T + sigma**2 * torch.eye(D, dtype=torch.float64)
        )
        self.covariance = torch.linalg.inv(torch.eye(L, dtype=torch.float64) + w.T @ w / sigma**2)
        self.gain = self.covariance @ w.T / sigma**2  # E[z|x] = gain (x - b)
        self.sigma = sigma
        self.x = self.marginal.sample((B,))
        self.log_p = self.marginal.log_prob(self.x)

    def posterior(self, x: Tensor) -> MultivariateNormal:
        return MultivariateNormal((x - self.b) @ self.gain.T, self.covariance)

    def diagonal(self, shift: float = 0.0, log_stretch: float = 0.0) -> VAE:
        """The VAE whose encoder is the exact posterior.

        Its mean may be moved by `shift` and its width multiplied by exp(log_stretch).
        """
        encoder = DiagonalGaussian(nn.Identity(), D, L).double()
        with torch.no_grad():
            encoder.head.weight.zero_()[:L] = self.gain
            encoder.head.bias[:L] = shift - self.gain @ self.b
            encoder.head.bias[L:] = self.covariance.diagonal().log() + 2 * log_stretch
        return VAE(encoder, self.likelihood, StandardNormal(L).double(), (D,))

    def distortion(self, q: Distribution) -> Tensor:
        """E_q[-log p(x|z)], (B,), for a Gaussian q with diagonal covariance."""
        residual = (self.x - self.b - q.mean @ self.w.T).square().sum(-1)
        spread = q.variance @ self.w.square().sum(0)  # tr(W S W^T)
        return (residual + spread) / (2 * self.sigma**2) + D * math.log(
            self.sigma * math.sqrt(2 * math.pi)
        )


class FullGaussian(nn.Module):
    """The exact posterior with all its covariances.

    torch knows no KL from it to a product of normals.
    """

    def __init__(self, oracle: Oracle) -> None:
        super().__init__()
        self.oracle = oracle

    def forward(self, x: Tensor) -> MultivariateNormal:
        return self.oracle.posterior(x)


class FullPrior(nn.Module):
    """N(0, I) as a MultivariateNormal, to which torch does know the KL."""

    def forward(self) -> MultivariateNormal:
        return MultivariateNormal(
            torch.zeros(L, dtype=torch.float64), torch.eye(L, dtype=torch.float64)
        )


def same(found: Tensor, wanted: Tensor, atol: float = 1e-10) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=atol)


def within(found: Tensor, wanted: Tensor, error: Tensor) -> None:
    """`found` is `wanted` within WIDE standard errors."""
    assert ((found - wanted).abs() < WIDE * error).all(), (
        f"{found} is not {wanted} within {WIDE} x {error}"
    )


def test_every_sample_of_the_exact_posterior_gives_log_p_of_x() -> None:
    oracle = Oracle(orthogonal=True)
    draw = oracle.diagonal().draw(oracle.x, k=50)
    assert draw.z.shape == (50, B, L)
    assert draw.log_px.shape == draw.log_pz.shape == draw.log_qz.shape == (50, B)
    same(draw.log_px + draw.log_pz - draw.log_qz, oracle.log_p.expand(50, B))


def test_every_sample_of_a_correlated_exact_posterior_gives_log_p_of_x() -> None:
    oracle = Oracle(orthogonal=False)
    vae = VAE(FullGaussian(oracle), oracle.likelihood, StandardNormal(L).double(), (D,))
    draw = vae.draw(oracle.x, k=50)
    same(draw.log_px + draw.log_pz - draw.log_qz, oracle.log_p.expand(50, B))


def test_the_elbo_of_the_exact_posterior_with_closed_form_distortion_is_log_p_of_x() -> None:
    oracle = Oracle(orthogonal=True)
    draw = oracle.diagonal().draw(oracle.x)
    same(-oracle.distortion(draw.q) - draw.rate, oracle.log_p)


def test_the_elbo_of_the_exact_posterior_is_log_p_of_x_on_average() -> None:
    oracle = Oracle(orthogonal=True)
    draw = oracle.diagonal().draw(oracle.x, K)
    within(elbo(draw), oracle.log_p, draw.log_px.std(0) / math.sqrt(K))


@pytest.mark.parametrize("k", [1, 7])
def test_where_no_closed_form_is_known_the_elbo_of_the_exact_posterior_has_no_noise_at_all(
    k: int,
) -> None:
    oracle = Oracle(orthogonal=False)
    vae = VAE(FullGaussian(oracle), oracle.likelihood, StandardNormal(L).double(), (D,))
    same(elbo(vae.draw(oracle.x, k)), oracle.log_p)


def test_a_closed_form_known_to_torch_is_used_whatever_the_pair() -> None:
    oracle = Oracle(orthogonal=False)
    prior = FullPrior()
    draw = VAE(FullGaussian(oracle), oracle.likelihood, prior, (D,)).draw(oracle.x)
    same(draw.rate, kl_divergence(oracle.posterior(oracle.x), prior()))


@pytest.mark.parametrize(
    ("shift", "log_stretch"), [(0.3, 0.0), (0.0, 0.5), (0.0, -0.5), (-1.0, 0.4)]
)
def test_a_wrong_posterior_costs_exactly_its_kl_to_the_right_one(
    shift: float, log_stretch: float
) -> None:
    oracle = Oracle(orthogonal=True)
    draw = oracle.diagonal(shift, log_stretch).draw(oracle.x, K)
    q = MultivariateNormal(draw.q.mean, torch.diag_embed(draw.q.variance))
    gap = kl_divergence(q, oracle.posterior(oracle.x))
    assert (gap > 0.1).all()
    same(-oracle.distortion(draw.q) - draw.rate, oracle.log_p - gap)
    within(elbo(draw), oracle.log_p - gap, draw.log_px.std(0) / math.sqrt(K))


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
def test_beta_weighs_the_rate_and_nothing_else(beta: float) -> None:
    oracle = Oracle(orthogonal=True)
    draw = oracle.diagonal().draw(oracle.x)
    same(elbo(draw, beta), elbo(draw) - (beta - 1) * draw.rate)
    assert elbo(draw, beta).shape == (B,)


def test_doubling_the_pixels_doubles_the_distortion_and_leaves_the_rate() -> None:
    """Sum over pixels: the weight of the rate must not drift with the size of the image."""
    z = torch.randn(2, B, L, dtype=torch.float64)
    one, two = (
        Gaussian(nn.Sequential(nn.Linear(L, size), nn.Unflatten(1, (1, size))), SIGMA).double()
        for size in (D, 2 * D)
    )
    for name in ("0.weight", "0.bias"):
        half = one.network.get_parameter(name).data
        two.network.get_parameter(name).data = torch.cat([half, half])
    x = torch.randn(B, D, dtype=torch.float64)
    same(two(z).log_prob(torch.cat([x, x], 1)), 2 * one(z).log_prob(x))


def test_samples_of_the_model_have_the_moments_of_its_mean_image() -> None:
    oracle = Oracle(orthogonal=False)
    found = oracle.diagonal().sample(K)  # W z + b
    wanted = oracle.w @ oracle.w.T
    variances = wanted.diagonal()
    within(found.mean(0), oracle.b, (variances / K).sqrt())
    # The standard error of a covariance of normal variables.
    error = ((torch.outer(variances, variances) + wanted**2) / K).sqrt()
    within(torch.cov(found.T), wanted, error)


def test_sampled_reconstructions_vary_about_the_posterior_mean_by_its_variance() -> None:
    oracle = Oracle(orthogonal=True)
    vae = oracle.diagonal()
    x = oracle.x[:1].expand(K, D)
    found, wanted = vae.reconstruct(x, sample=True), oracle.w @ oracle.covariance @ oracle.w.T
    same(vae.reconstruct(x[:1])[0], oracle.b + oracle.w @ oracle.gain @ (x[0] - oracle.b))
    variances = wanted.diagonal()
    within(found.mean(0), vae.reconstruct(x[:1])[0], (variances / K).sqrt())
    within(found.var(0), variances, variances * math.sqrt(2 / K))


# --- the rate -------------------------------------------------------------------------------------


def rate(q: Distribution, k: int = 1, p: Distribution | None = None) -> Tensor:
    z = q.sample((k,))
    prior = p or StandardNormal(z.shape[-1]).double()()
    return Draw(z, torch.zeros(z.shape[:-1], dtype=z.dtype), q, prior).rate


def standard(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def numeric_kl(density: Callable[[float], float]) -> float:
    """KL(density || N(0, 1)) in one dimension by quadrature."""

    def integrand(z: float) -> float:
        q = density(z)
        return q * (math.log(q) - math.log(standard(z))) if q > 0 else 0.0

    value, error = integrate.quad(integrand, -20, 20, limit=500, epsabs=1e-11, epsrel=1e-11)
    assert error < 1e-8
    return float(value)


@pytest.mark.parametrize(("mean", "sigma"), [(0.0, 1.0), (0.0, 0.3), (1.5, 0.8), (-2.0, 1.6)])
def test_the_rate_of_a_gaussian_is_its_kl_by_numeric_integration(mean: float, sigma: float) -> None:
    q = Independent(
        Normal(*(torch.tensor([[value]], dtype=torch.float64) for value in (mean, sigma))), 1
    )

    def density(z: float) -> float:
        return standard((z - mean) / sigma) / sigma

    same(rate(q), torch.tensor([numeric_kl(density)], dtype=torch.float64), atol=1e-8)


def test_the_rate_of_a_gaussian_is_summed_over_the_latent_dimensions_and_nothing_else() -> None:
    mean, sigma = torch.randn(B, L).double(), torch.rand(B, L).double() + 0.1
    # Kingma & Welling 2013, appendix B.
    wanted = 0.5 * (mean**2 + sigma**2 - 1 - 2 * sigma.log()).sum(-1)
    q = Independent(Normal(mean, sigma), 1)
    found = rate(q, k=9)
    assert found.shape == (B,)
    same(found, wanted)
    same(found, kl_divergence(Normal(mean, sigma), Normal(0.0, 1.0)).sum(-1))


def test_the_rate_of_the_prior_itself_is_zero() -> None:
    q = Independent(Normal(torch.zeros(B, L).double(), torch.ones(B, L).double()), 1)
    assert (rate(q) == 0).all()


def mixture() -> MixtureSameFamily:
    means, sigmas, weights = (
        torch.tensor(two, dtype=torch.float64) for two in ([-1.5, 1.0], [0.4, 0.7], [0.3, 0.7])
    )
    parts = Independent(Normal(means[:, None], sigmas[:, None]), 1)
    return MixtureSameFamily(Categorical(weights), parts).expand((1,))


def test_the_sample_estimate_of_the_rate_is_the_kl_by_numeric_integration() -> None:
    q, p = mixture(), StandardNormal(1).double()()
    with pytest.raises(NotImplementedError):  # or the claim below would be about a closed form
        kl_divergence(q, p)
    z = q.sample((K,))
    draw = Draw(z, torch.zeros(K, 1), q, p)

    def density(z: float) -> float:
        return 0.3 * standard((z + 1.5) / 0.4) / 0.4 + 0.7 * standard((z - 1.0) / 0.7) / 0.7

    wanted = torch.tensor([numeric_kl(density)], dtype=torch.float64)
    within(draw.rate, wanted, (draw.log_qz - draw.log_pz).std(0) / math.sqrt(K))


def test_a_point_is_charged_nothing() -> None:
    point = torch.randn(B, L).double()
    q = Delta(point)
    assert torch.equal(q.mean, point)
    assert torch.equal(q.rsample((2,)), point.expand(2, B, L))
    assert torch.equal(rate(q, k=3), torch.zeros(B).double())
    assert torch.equal(q.log_prob(q.rsample((3,))), torch.zeros(3, B).double())
    assert torch.isinf(q.log_prob(point + 1)).all()


def test_the_elbo_of_an_autoencoder_is_its_reconstruction_term_at_any_beta() -> None:
    oracle = Oracle(orthogonal=False)
    encoder = Point(nn.Identity(), D, L).double()
    draw = VAE(encoder, oracle.likelihood, StandardNormal(L).double(), (D,)).draw(oracle.x, k=3)
    wanted = oracle.likelihood(encoder(oracle.x).mean).log_prob(oracle.x)
    same(elbo(draw, 7.0), wanted)


# --- the verbs ------------------------------------------------------------------------------------


def model(shape: tuple[int, ...] = (6, 5), **settings: Any) -> VAE:
    given = {
        "hidden": (16, 8),
        "latent": 3,
        "dropout": 0.5,
        "batch_norm": True,
        "activation": "elu",
    } | settings
    return build_vae(Model(**given), shape)


def images(n: int = 9, shape: tuple[int, ...] = (6, 5)) -> Tensor:
    return torch.rand(n, *shape)


def verbs(vae: VAE) -> dict[str, Callable[[], Tensor]]:
    """Each verb of `vae` on 9 images or codes, the same ones every time it is called."""
    x, z = images(), torch.randn(9, 3)
    return {
        "encode": lambda: vae.encode(x),
        "decode": lambda: vae.decode(z),
        "reconstruct": lambda: vae.reconstruct(x),
        "reconstruct a sample": lambda: vae.reconstruct(x, sample=True),
        "sample": lambda: vae.sample(9),
    }


VERBS = ["encode", "decode", "reconstruct", "reconstruct a sample", "sample"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_gives_the_same_twice_and_leaves_mode_weights_and_random_state_alone(
    verb: str,
) -> None:
    vae = model()
    use = verbs(vae)[verb]
    state, weights = torch.get_rng_state(), {k: v.clone() for k, v in vae.state_dict().items()}
    first = use()
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in vae.modules())
    torch.rand(5)
    assert torch.equal(use(), first)
    assert all(torch.equal(v, weights[k]) for k, v in vae.state_dict().items())
    assert not first.requires_grad
    assert first.dtype == torch.float32
    assert first.shape == ((9, 3) if verb == "encode" else (9, 6, 5))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_refuses_a_model_in_training_mode_with_a_remedy_that_works(verb: str) -> None:
    vae = model().train()
    use = verbs(vae)[verb]
    with pytest.raises(UserError, match=r"is in training mode.*call vae.eval\(\) first"):
        use()
    assert all(module.training for module in vae.modules())
    vae.eval()
    assert use().isfinite().all()


def test_the_mode_is_restored_after_an_error_too() -> None:
    vae = model().train()
    vae.encoder.eval()
    with contextlib.suppress(KeyError), parts.evaluating(vae):  # the error below
        assert not any(module.training for module in vae.modules())
        raise KeyError
    assert vae.decoder.training
    assert not vae.encoder.training


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"posterior": "spline-flow", "prior": "flow"},
        {"posterior": "sphere", "prior": "sphere"},
        {"posterior": "gumbel-softmax", "prior": "uniform-classes", "codes": 4},
        {"posterior": "vector-quantised", "prior": "autoregressive", "codes": 4},
        {"prior": "vamp"},
        {"prior": "mixture"},
    ],
    ids=lambda settings: settings.get("posterior", settings.get("prior", "gaussian")),
)
def test_four_threads_give_what_one_gives_and_change_nothing(settings: dict[str, Any]) -> None:
    vae = model(**settings)
    x, calls = images(3), 40 if settings else 300

    def use(seed: int) -> Tensor:
        made = vae.sample(4, seed=seed)
        again = vae.reconstruct(x, sample=True, seed=seed)
        assert not any(module.training for module in vae.modules())
        return torch.cat([made, again])

    alone = [use(seed) for seed in range(calls)]
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002  # is meant
    with ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            together = list(pool.map(use, range(calls)))
            # The first products in a thread may round their last bit differently.
            same(torch.stack(together), torch.stack(alone), atol=1e-6)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state[1]).all()  # type: ignore[index]  # noqa: NPY002  # is meant


def test_interpolation_is_straight_and_has_both_ends() -> None:
    vae, a, b = model(), torch.randn(2, 3), torch.randn(2, 3)
    found = vae.interpolate(a, b, 5)
    assert found.shape == (2, 5, 3)
    assert torch.equal(found[:, 0], a)
    same(found[:, 2], (a + b) / 2, atol=1e-6)
    assert torch.equal(found[:, -1], b)


def test_interpolation_on_a_sphere_follows_the_great_circle() -> None:
    vae = model(posterior="sphere", prior="sphere").double()
    a, b = nn.functional.normalize(torch.randn(2, 40, 3).double(), dim=-1)
    found = vae.interpolate(a, b, 9)
    same(found.norm(dim=-1), torch.ones(40, 9).double(), atol=1e-9)
    same(found[:, 0], a, atol=1e-9)
    same(found[:, -1], b, atol=1e-9)
    angles = (found[:, 1:] * found[:, :-1]).sum(-1).clamp(-1, 1).acos()
    same(angles, ((a * b).sum(-1).acos() / 8)[:, None].expand(40, 8), atol=1e-6)  # equal steps


def test_encode_decode_and_reconstruct_are_the_means_of_their_distributions() -> None:
    vae, x = model().eval(), images()
    mean = vae.encoder(x).mean
    assert torch.equal(vae.encode(x), mean)
    assert torch.equal(vae.decode(mean), vae.decoder(mean).mean)
    assert torch.equal(vae.reconstruct(x), vae.decoder(mean).mean)


def test_a_reconstruction_is_a_sample_only_when_asked_for_and_then_by_its_seed() -> None:
    vae, x = model(), images()
    sampled = vae.reconstruct(x, sample=True, seed=1)
    assert torch.equal(sampled, vae.reconstruct(x, sample=True, seed=1))
    assert not torch.equal(sampled, vae.reconstruct(x, sample=True, seed=2))
    assert not torch.equal(sampled, vae.reconstruct(x))
    assert torch.equal(vae.reconstruct(x, seed=1), vae.reconstruct(x, seed=2))


@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous-bernoulli"])
def test_samples_follow_their_seed_and_stay_in_range(likelihood: str) -> None:
    vae = model(likelihood=likelihood)
    one = vae.sample(11, seed=1)
    assert one.shape == (11, 6, 5)
    assert one.dtype == torch.float32
    assert one.min() >= 0
    assert one.max() <= 1
    assert torch.equal(one, vae.sample(11, seed=1))
    assert not torch.equal(one, vae.sample(11, seed=2))
    assert not torch.equal(one[0], one[1])


@pytest.mark.parametrize("n", [0, -3])
def test_no_samples_are_refused(n: int) -> None:
    with pytest.raises(UserError, match=r"^n: .* at least 1, got"):
        model().sample(n)


@pytest.mark.parametrize("verb", ["encode", "decode", "reconstruct", "sample"])
def test_chunks_give_what_one_piece_gives(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vae = model().double()
    use = verbs(vae)[verb]
    whole = use()
    monkeypatch.setattr(VAE, "rows_at_once", lambda self: 4)  # pieces of 4, 4 and 1
    same(use(), whole, atol=1e-12)


def test_more_images_than_a_chunk_come_back_in_their_order() -> None:
    vae = model().double()
    n = vae.rows_at_once() + 3
    x = images(n).double()
    same(vae.encode(x)[-5:], vae.encode(x[-5:]), atol=1e-12)
    assert vae.sample(n).shape == (n, 6, 5)


def test_chunks_are_of_1000_rows_for_small_models_and_fit_the_budget_for_all() -> None:
    assert build_vae(Model(hidden=(512, 256)), (28, 28)).rows_at_once() == 1000
    wide = build_vae(Model(hidden=(8,), likelihood="categorical"), (28, 28), 256)
    assert wide.rows_at_once() * 784 * 256 * 4 * 4 <= devices.BUDGET < 4 * 1000 * 784 * 256 * 4
    large = build_vae(Model(hidden=(32,), network="conv", latent=2), (3, 256, 256))
    layer = 32 * 128 * 128 * 4  # bytes of the widest layer for one image
    assert devices.BUDGET / 8 < large.rows_at_once() * layer < devices.BUDGET / 2
    assert large.rows_at_once(5) == 5


@pytest.mark.parametrize("settings", [{"likelihood": "categorical"}, {"network": "conv"}])
def test_no_tensor_of_a_large_sample_exceeds_the_budget_but_the_result(
    settings: dict[str, Any],
) -> None:
    vae = build_vae(Model(hidden=(4,), latent=2, **settings), (64, 64), 256)
    n = 2 * vae.rows_at_once()
    assert widest(lambda: vae.sample(n)) <= max(devices.BUDGET / 2, n * 64 * 64 * 4)


def test_levels_are_refused_for_their_scale_is_not_known() -> None:
    with pytest.raises(UserError, match="divide 8-bit levels by 255"):
        model().encode(np.zeros((2, 6, 5), np.uint8))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.bool_])
def test_arrays_lists_and_tensors_are_the_same_to_it(dtype: type) -> None:
    vae, x = model(), images().round().numpy().astype(dtype)
    wanted = vae.encode(torch.from_numpy(x).float())
    assert torch.equal(vae.encode(x), wanted)
    assert torch.equal(vae.encode(x.tolist()), wanted)
    assert torch.equal(vae.decode(wanted.numpy()), vae.decode(wanted))


@pytest.mark.parametrize("shape", [(6, 5), (9, 5, 6), (9, 1, 6, 5), (9, 30), (0, 6, 5), (6,), ()])
@pytest.mark.parametrize("verb", ["encode", "reconstruct"])
def test_images_of_another_shape_are_refused_with_the_shape_expected(
    verb: str, shape: tuple[int, ...]
) -> None:
    with pytest.raises(UserError, match=r"^x: expected images of shape \(N, 6, 5\).* got \("):
        getattr(model(), verb)(np.zeros(shape))


@pytest.mark.parametrize("shape", [(9, 4), (3,), (9, 6, 5)])
def test_codes_of_another_shape_are_refused_with_the_shape_expected(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"^z: .*3"):
        model().decode(np.zeros(shape))


# --- streams --------------------------------------------------------------------------------------


def test_seed_purpose_and_epoch_each_make_another_stream() -> None:
    keys = [
        (s, p, e) for s in (0, 1, 11) for p in ("order", "noise", "1/order") for e in (0, 1, 10)
    ]
    seeds = {derive(*key) for key in keys}
    assert len(seeds) == len(keys)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_stream_does_not_depend_on_what_others_consumed() -> None:
    wanted = torch.randperm(50, generator=generator(7, "order", 2))
    noise = generator(7, "noise", 2)
    torch.rand(13, generator=noise)
    torch.rand(13)
    with seeded(7, "noise", 2):
        torch.rand(13)
        assert torch.equal(torch.randperm(50, generator=generator(7, "order", 2)), wanted)
    assert not torch.equal(torch.randperm(50, generator=generator(7, "order", 3)), wanted)


def test_seeded_restores_the_global_state_also_after_an_error() -> None:
    state = torch.get_rng_state()
    with seeded(1, "noise"):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), state)
    with contextlib.suppress(KeyError), seeded(1, "noise"):  # the error below
        assert torch.equal(torch.rand(4), first)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), state)


def test_streams_of_two_purposes_are_uncorrelated() -> None:
    n = 10_000
    one, two = (
        torch.randn(n, generator=generator(0, purpose)).double() for purpose in ("noise", "order")
    )
    assert abs(float((one * two).mean())) < WIDE / math.sqrt(n)


# --- evaluate -------------------------------------------------------------------------------------


def batches(n: int = 23, treatment: str = "dynamic") -> Batches:
    x = torch.randint(0, 256, (n, 6, 5), dtype=torch.uint8)
    return Batches(x, 256, Data(treatment=treatment), torch.device("cpu"))


def test_the_loss_is_distortion_plus_rate() -> None:
    found = Terms(distortion=2.5, rate=0.25)
    assert found.loss == 2.75
    assert found.record() == {"loss": 2.75, "distortion": 2.5, "rate": 0.25}
    assert str(found) == "2.75 = 2.50 + 0.25"


def test_terms_are_those_of_a_loop_by_hand_every_image_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VAE, "rows_at_once", lambda self: 10)  # pieces of 10, 10 and 3
    vae, data = model(), batches()
    found = terms(vae, data, seed=5)
    assert terms(vae, data, seed=5) == found
    assert terms(vae, data, seed=6) != found
    vae.eval()
    chance, distortion, rates = generator(5, "evaluation data"), 0.0, 0.0
    with seeded(5, "evaluation"), torch.no_grad():
        for index in (torch.arange(0, 10), torch.arange(10, 20), torch.arange(20, 23)):
            x = data(index, chance)
            q = vae.encoder(x)
            z = q.rsample((1,))
            logits = vae.decoder(z).base_dist.logits[0]
            bce = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            distortion += float(bce)
            rates += float(0.5 * (q.mean**2 + q.variance - 1 - q.variance.log()).sum())
    assert found.distortion == pytest.approx(distortion / 23, rel=1e-6)
    assert found.rate == pytest.approx(rates / 23, rel=1e-5)


@pytest.mark.parametrize("chunk", [1, 7, 23, 1000])
def test_terms_do_not_depend_on_the_chunk_where_there_is_no_chance(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(VAE, "rows_at_once", lambda self: chunk)
    vae, data = model(posterior="point").eval(), batches(treatment="grey")
    with torch.no_grad():
        draw = vae.draw(data(torch.arange(23), generator(0, "any")))
    found = terms(vae, data, seed=0)
    assert found.distortion == pytest.approx(float(draw.distortion.double().mean()), rel=1e-6)
    assert found.rate == 0


def test_terms_leave_gradients_and_global_chance_alone() -> None:
    vae, data = model(), batches()
    state = torch.get_rng_state()
    terms(vae, data, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in vae.parameters())


class Rows(Batches):
    """The images of an oracle as they are."""

    def __init__(self, x: Tensor) -> None:
        self.x, self.y, self.weight = x, None, None

    def __call__(self, index: Tensor, generator: torch.Generator) -> Tensor:
        return self.x[index]


@pytest.mark.parametrize("rows", [1, 7, 10_000])
@pytest.mark.parametrize("k", [1, 10, 1000])
def test_importance_weights_of_the_exact_posterior_give_log_p_however_they_are_cut(
    k: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "ROWS", rows)
    oracle = Oracle(orthogonal=True)
    same(log_likelihood(oracle.diagonal(), Rows(oracle.x), k, seed=0), oracle.log_p, 1e-9)


@pytest.mark.parametrize("rows", [50, 10_000])
def test_importance_weights_of_a_wrong_posterior_come_up_to_log_p_as_samples_are_added(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likelihood, "ROWS", rows)
    oracle = Oracle(orthogonal=True)
    vae = oracle.diagonal(0.3, 0.3)
    found = {
        k: torch.stack([log_likelihood(vae, Rows(oracle.x), k, seed) for seed in range(30)])
        for k in (1, 10, 1000)
    }
    one, ten, many = (found[k].mean(0) for k in (1, 10, 1000))
    assert (one < ten).all()
    assert (ten < many).all()
    variance = found[1000].var(0)  # of log p^; its bias is -variance / 2 to first order
    within(many, oracle.log_p - variance / 2, (variance / 30).sqrt())


def test_every_image_gets_exactly_k_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "ROWS", 8)
    oracle, decoded = Oracle(orthogonal=True), 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal decoded
        decoded += len(inputs[0])

    oracle.likelihood.network.register_forward_hook(count)
    log_likelihood(oracle.diagonal(), Rows(oracle.x), 21, seed=0)
    assert decoded == 21 * B


def test_with_k_samples_the_terms_have_their_bound() -> None:
    oracle = Oracle(orthogonal=True)
    found = terms(oracle.diagonal(), Rows(oracle.x), seed=0, k=5)
    assert found.bound == pytest.approx(-float(oracle.log_p.mean()), rel=1e-9)
    assert found.record()["bound"] == found.bound
    assert str(found).endswith(f", bound {found.bound:.2f}")


@pytest.mark.parametrize("components", [1, 2, 5])
def test_explained_variance_is_that_of_scikit_learn(components: int) -> None:
    means = torch.randn(200, 5).double() @ torch.randn(5, 5).double() + 3
    wanted = PCA(components).fit(means.numpy()).explained_variance_ratio_.sum()
    assert explained_variance(means, components) == pytest.approx(wanted, rel=1e-10)
    assert explained_variance(means.float(), components) == pytest.approx(wanted, rel=1e-5)


def test_two_components_hold_all_of_a_plane() -> None:
    assert explained_variance(torch.randn(50, 2)) == pytest.approx(1, abs=1e-12)


def test_explained_variance_of_codes_that_are_all_the_same_is_still_a_share() -> None:
    assert 0 <= explained_variance(torch.ones(20, 3)) <= 1


def test_torch_func_differentiates_and_vectorises_encoder_and_decoder() -> None:
    vae = build_vae(Model(hidden=(400,), latent=5), (28, 28))
    z = torch.randn(300, 5)  # large enough for the products that Linear chooses between

    def mean(z: Tensor) -> Tensor:
        found: Tensor = vae.decoder(z).mean
        return found

    jacobian = torch.func.vmap(torch.func.jacrev(lambda row: mean(row[None])[0].sum()))(z)
    free = z.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(mean(free).sum(), free)
    torch.testing.assert_close(jacobian, wanted, rtol=1e-3, atol=1e-4)
    x = torch.rand(300, 28, 28)
    codes = torch.func.vmap(lambda image: vae.encoder(image[None]).mean[0])(x)
    torch.testing.assert_close(codes, vae.encode(x), rtol=1e-3, atol=1e-4)
