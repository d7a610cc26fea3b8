"""Importance weights, annealing and quadrature against known log p(x), and what is reported."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import product
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, kl_divergence

import vaelab
from vaelab import devices
from vaelab.data import Batches
from vaelab.evaluation import annealing, likelihood
from vaelab.evaluation import quadrature as quadrature_module
from vaelab.evaluation.annealing import annealed
from vaelab.evaluation.likelihood import draws
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.metrics.weights import curve, effective_samples
from vaelab.evaluation.quadrature import quadrature
from vaelab.evaluation.sections import likelihood as likelihood_section
from vaelab.models import VAE, build
from vaelab.models.likelihoods import Bernoulli, Gaussian
from vaelab.models.posteriors import DiagonalGaussian
from vaelab.models.priors import Mixture, StandardNormal
from vaelab.recipes import table
from vaelab.seeding import seeded

D, SIGMA = 5, 0.7
WIDE = 5  # standard errors: a fair test fails once in two million


class Linear:
    """z ~ N(0, I) and x|z ~ N(W z, sigma^2 I), so p(x) = N(0, W W^T + sigma^2 I).

    p(z|x) has covariances if W^T W has.
    """

    def __init__(self, latent: int, diagonal: bool = True, sigma: float = SIGMA) -> None:
        w = (
            torch.linalg.qr(torch.randn(D, latent).double()).Q
            * torch.linspace(0.5, 2, latent).double()
        )
        self.w = (
            w if diagonal else w @ (torch.eye(latent) + 0.5 * torch.ones(latent, latent)).double()
        )
        layer = nn.Linear(latent, D, bias=False).double()
        layer.weight.data = self.w
        self.decoder = Gaussian(nn.Sequential(layer, nn.Unflatten(1, (1, D))), sigma).double()
        noise = self.decoder.log_sigma.exp() ** 2
        self.p = MultivariateNormal(
            torch.zeros(D).double(), self.w @ self.w.T + noise * torch.eye(D).double()
        )
        self.covariance = torch.linalg.inv(torch.eye(latent).double() + self.w.T @ self.w / noise)
        self.gain = self.covariance @ self.w.T / noise

    def vae(self, shift: float = 0.0, log_stretch: float = 0.0) -> VAE:
        """q(z|x) has the mean and variances of p(z|x).

        The mean is moved by `shift`, and the widths are multiplied by exp(log_stretch).
        """
        latent = len(self.gain)
        encoder = DiagonalGaussian(nn.Identity(), D, latent).double()
        with torch.no_grad():
            encoder.head.weight.zero_()[:latent] = self.gain
            encoder.head.bias[:latent] = shift
            encoder.head.bias[latent:] = self.covariance.diagonal().log() + 2 * log_stretch
        return VAE(encoder, self.decoder, StandardNormal(latent).double(), (D,))


def log_weights(vae: VAE, x: Tensor, k: int, seed: int = 0, y: Tensor | None = None) -> Tensor:
    """(k, N)."""
    labels = [None] * len(x) if y is None else y.split(4)
    return torch.cat(
        [draw.log_weight for draw in draws(vae, zip(x.split(4), labels, strict=False), k, seed)], 1
    )


def subject(
    vae: VAE, x: Tensor, y: Tensor | None = None, levels: int | None = None, **settings: Any
) -> Any:
    """What `measure` looks at."""
    recipe = vaelab.recipe("quickstart", {"data.treatment": "grey", **settings})
    batches = Batches(x, levels, recipe.data, torch.device("cpu"), y=y)
    treated = batches(torch.arange(len(x)), torch.Generator()).to(next(vae.parameters()))
    return SimpleNamespace(
        vae=vae,
        x_test=treated,
        test=batches,
        run=SimpleNamespace(recipe=recipe),
        seed=0,
        quiet=True,
    )


def log_mean(log_w: Tensor) -> Tensor:
    return log_w.logsumexp(0) - math.log(len(log_w))


def measured(given: Any, k: int) -> dict[str, Any]:
    return likelihood_section.measure(given, k, likelihood_section.second_opinions(given))


def quickly(monkeypatch: pytest.MonkeyPatch, temperatures: int = 3, second: int = 2) -> None:
    monkeypatch.setattr(annealing, "TEMPERATURES", temperatures)
    monkeypatch.setattr(likelihood_section, "SECOND", second)


# ---------------------------------------------------------------- importance weights


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_the_exact_posterior_gives_log_p_without_noise_and_all_samples_count(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(monkeypatch)
    model = Linear(3)
    given = subject(model.vae(), model.p.sample((30,)))
    found, truth = measured(given, k), -model.p.log_prob(given.x_test)
    torch.testing.assert_close(torch.from_numpy(found["nll"].each), truth, rtol=0, atol=1e-9)
    assert found["nll"].error == pytest.approx(float(truth.std()) / math.sqrt(30))
    assert found["ess"].value == pytest.approx(k)
    assert max(map(int, found["curve"])) == k
    for size, estimate in found["curve"].items():
        assert 1 <= int(size) <= k
        assert estimate.value == pytest.approx(float(truth.mean()), abs=1e-9)


def test_one_sample_gives_minus_the_elbo_and_its_gap_is_the_kl_to_the_true_posterior() -> None:
    """E[-log w] = -log p(x) + KL(q(z|x) || p(z|x)), between Gaussians in closed form."""
    model = Linear(3)
    x, vae = model.p.sample((200,)), model.vae(0.3, 0.3)
    with torch.no_grad():
        q = vae.encoder(x)
    exact = MultivariateNormal(x @ model.gain.T, model.covariance)
    gap = kl_divergence(MultivariateNormal(q.mean, q.variance.diag_embed()), exact)
    log_w = log_weights(vae, x, 1000)
    off = curve(log_w)[1] + model.p.log_prob(x) - gap  # (N,): each the mean of 1000
    assert gap.min() > 0.1
    assert abs(float(off.mean())) < WIDE * float(log_w.var(0).mean() / 1000 / 200) ** 0.5


def test_bounds_of_a_wrong_posterior_tighten_and_1000_samples_agree_within_their_error() -> None:
    model = Linear(3)
    x = model.p.sample((1000,))
    log_w = log_weights(model.vae(0.3, 0.3), x, 1000)
    found, log_p = curve(log_w), model.p.log_prob(x)
    assert list(found) == [1, 10, 100, 1000]
    means = [float(nll.mean()) for nll in found.values()]
    assert means == sorted(means, reverse=True)
    off = found[1000] + log_p  # (N,): of each image the error of its estimate
    # The variance of the estimate of log p(x), by the delta method; its bias is half of that.
    variance = 1 / effective_samples(log_w) - 1 / 1000
    assert abs(float((off - variance / 2).mean())) < WIDE * float(variance.mean() / 1000) ** 0.5
    # A variance of 1000 normal values is known to sqrt(2 / 1000) = 4.5 %; the error of the delta
    # method is about as large.
    assert float(off.var()) == pytest.approx(float(variance.mean()), rel=0.3)


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_what_is_reported_is_off_by_the_known_bias_inside_its_stated_error(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E[-log p(x)] is the entropy of p(x), and the bias of the estimate is simulated.

    If q(z|x) has the right widths and means moved by s of them, the weights over p(x) are
    log-normal, exp(N(-s^2 / 2, s^2)). The bias is -E[log of the mean of k such weights].
    """
    quickly(monkeypatch)
    model = Linear(3)
    found = measured(subject(model.vae(0.3), model.p.sample((2000,))), k)["nll"]
    square = float((0.3**2 / model.covariance.diagonal()).sum())
    weights = np.exp(
        np.random.default_rng(0).normal(
            -square / 2, math.sqrt(square), (2_000_000 // max(k, 10), k)
        )
    )
    bias = -np.log(weights.mean(1))
    assert found.error == pytest.approx(np.std(found.each, ddof=1) / math.sqrt(2000))
    wanted, error = (
        float(model.p.entropy()) + bias.mean(),
        math.hypot(found.error, bias.std() / math.sqrt(len(bias))),
    )
    assert abs(found.value - wanted) < WIDE * error
    assert k > 1 or bias.mean() > 2 * WIDE * error  # so the bias is seen


@pytest.mark.parametrize("k", [1, 7, 8, 9, 21])
def test_k_is_exactly_k(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "DRAWN", 8)
    monkeypatch.setattr(likelihood, "ROWS", 5)
    model, decoded = Linear(2), 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal decoded
        decoded += len(inputs[0])

    model.decoder.network.register_forward_hook(count)
    log_w = log_weights(model.vae(0.3), model.p.sample().expand(6, D), k)
    assert log_w.shape == (k, 6)
    assert decoded == 6 * k
    # No sample is used twice, nor for two images, although the images are equal.
    assert len(log_w.unique()) == 6 * k


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("rows", "elements"), [(1, 10**9), (7, 10**9), (10_000, 1), (10_000, 100)])
def test_how_many_codes_are_decoded_at_once_changes_nothing(
    rows: int, elements: int, conditional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {
        "model.variant": "cvae" if conditional else "vae",
        "model.hidden": [8],
        "model.latent": 3,
    }
    recipe = vaelab.recipe("quickstart", settings)
    vae = build(recipe.model, (6, 5), 2, (0, 1, 2)).double()
    x, y = torch.rand(11, 6, 5).double().round(), torch.arange(11) % 3
    whole = log_weights(vae, x, 13, y=y)
    monkeypatch.setattr(likelihood, "ROWS", rows)
    monkeypatch.setattr(likelihood, "ELEMENTS", elements)
    torch.testing.assert_close(log_weights(vae, x, 13, y=y), whole, rtol=0, atol=1e-12)


def test_memory_is_bounded_by_the_numbers_decoded_at_once_whatever_the_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(likelihood, "ELEMENTS", 5000)
    assert 16 * 75 <= most_at_once(lambda vae, x: log_weights(vae, x, 50)) <= 5000


def most_at_once(work: Callable[[VAE, Tensor], Tensor]) -> int:
    """Return the largest number of values that the decoder outputs at once.

    There are 9 images of 75 values of 16 levels.
    """
    recipe = vaelab.recipe("quickstart", {"model.hidden": [4], "model.likelihood": "categorical"})
    vae, most = build(recipe.model, (3, 5, 5), 16), 0

    def count(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        nonlocal most
        most = max(most, output.numel())

    vae.decoder.network.register_forward_hook(count)
    assert work(vae, torch.rand(9, 3, 5, 5)).shape[1] == 9
    return most


def test_the_effective_number_of_samples_is_that_of_the_weights() -> None:
    weights = torch.tensor([[1.0, 1.0, 0.0], [2.0, 1.0, 0.0], [3.0, 1.0, 5.0]]).double()
    wanted = torch.tensor([36 / 14, 3.0, 1.0]).double()
    torch.testing.assert_close(effective_samples(weights.log() - 200), wanted)


def test_the_curve_averages_groups_that_share_no_sample() -> None:
    log_w = torch.randn(25, 4).double()
    found = curve(log_w)
    assert list(found) == [1, 10, 25]
    torch.testing.assert_close(found[1], -log_w.mean(0))
    by_hand = [-log_w[start : start + 10].exp().mean(0).log() for start in (0, 10)]
    torch.testing.assert_close(found[10], torch.stack(by_hand).mean(0))
    torch.testing.assert_close(found[25], -log_w.exp().mean(0).log())


# ---------------------------------------------------------------- annealing


@pytest.mark.parametrize(
    ("shift", "log_stretch"), [(0.0, 0.0), (3.0, 0.0), (0.0, -2.0), (0.0, 2.0)]
)
def test_annealed_weights_are_p_of_x_on_average_however_wrong_the_encoder(
    shift: float, log_stretch: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annealing, "TEMPERATURES", 40)
    model = Linear(3, diagonal=False)
    x = model.p.sample((1,))
    found = log_mean(annealed(model.vae(shift, log_stretch), x.expand(100, D), None, seed=0))
    ratio = (found - model.p.log_prob(x)).exp()  # 100 estimates of 1
    assert abs(float(ratio.mean()) - 1) < WIDE * float(ratio.std()) / 10
    assert float(ratio.std()) < 1  # or the claim would be empty


def test_more_temperatures_bring_annealing_up_to_log_p(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Linear(3)
    x = model.p.sample((60,))
    gaps = []
    for temperatures in (5, 25, 125):
        monkeypatch.setattr(annealing, "TEMPERATURES", temperatures)
        gap = model.p.log_prob(x) - log_mean(annealed(model.vae(), x, None, 0))
        gaps.append(float(gap.mean()))
        noise = WIDE * float(gap.std()) / math.sqrt(60)
        # The gap is half the variance if the estimates are log-normal.
        assert -noise < gaps[-1] < float(gap.var()) / 2 + noise
    assert gaps[0] > gaps[1] > gaps[2]


def test_annealing_leaves_weights_modes_and_chance_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annealing, "TEMPERATURES", 2)
    model = Linear(2)
    vae, x, state = model.vae(), model.p.sample((3,)), torch.get_rng_state()
    vae.decoder.network[0].weight.requires_grad_(False)
    before = [parameter.requires_grad for parameter in vae.parameters()]
    first = annealed(vae, x, None, 0)
    assert torch.equal(annealed(vae, x, None, 0), first)
    assert not torch.equal(annealed(vae, x, None, 1), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert [parameter.requires_grad for parameter in vae.parameters()] == before
    assert all(parameter.grad is None for parameter in vae.parameters())


def test_annealing_moves_so_many_chains_at_once_that_the_memory_is_bounded_whatever_the_shape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(annealing, "TEMPERATURES", 2)
    monkeypatch.setattr(devices, "BUDGET", 64 * 50_000)
    most = most_at_once(lambda vae, x: annealed(vae, x, None, 0))
    assert 16 * 75 * annealing.CHAINS <= most <= 50_000


# ---------------------------------------------------------------- quadrature


@pytest.mark.parametrize("sigma", [0.02, SIGMA])
@pytest.mark.parametrize("latent", [1, 2])
@pytest.mark.parametrize(
    ("shift", "log_stretch"), [(0.0, 0.0), (1.0, 0.0), (0.0, 0.7), (0.0, -0.7)]
)
def test_quadrature_is_log_p_however_wrong_the_encoder_and_however_narrow_the_posterior(
    latent: int, sigma: float, shift: float, log_stretch: float
) -> None:
    model = Linear(latent, diagonal=False, sigma=sigma)
    x = model.p.sample((3,))
    found, change = quadrature(model.vae(shift, log_stretch), x)
    # Cells are no wider than a standard deviation of q, e^0.7 of the posterior's: the error is
    # exp(-2 pi^2 / e^1.4) = 0.8 % at most.
    torch.testing.assert_close(found, model.p.log_prob(x), rtol=0, atol=0.008)
    assert (change < quadrature_module.HALVING).all()


@pytest.mark.parametrize("prior", [StandardNormal, lambda size: Mixture(size, 3)])
@pytest.mark.parametrize("latent", [1, 2])
def test_the_probabilities_of_all_images_of_three_pixels_sum_to_one(
    latent: int, prior: Any
) -> None:
    """And importance weights and annealing agree on each of them, inside their own error."""
    network = nn.Sequential(
        nn.Linear(latent, 16), nn.Tanh(), nn.Linear(16, 3), nn.Unflatten(1, (1, 3))
    ).double()
    with torch.no_grad():
        network[2].weight.mul_(6)  # far from the same probabilities for all z
    encoder = DiagonalGaussian(nn.Identity(), 3, latent).double()
    vae = VAE(encoder, Bernoulli(network), prior(latent).double(), (3,))
    x = torch.tensor(list(product([0.0, 1.0], repeat=3))).double()
    log_p, _ = quadrature(vae, x)
    assert float(log_p.exp().sum()) == pytest.approx(1, abs=1e-3)
    log_w = log_weights(vae, x, 2000)
    weights = (log_w - log_p).exp()
    assert ((weights.mean(0) - 1).abs() < WIDE * weights.std(0) / math.sqrt(2000)).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annealing, "TEMPERATURES", 20)
        ratio = (
            (log_mean(annealed(vae, x.repeat(30, 1), None, 0)) - log_p.repeat(30)).exp().view(30, 8)
        )
    assert ((ratio.mean(0) - 1).abs() < WIDE * ratio.std(0) / math.sqrt(30)).all()


# ---------------------------------------------------------------- what is said of it


def uniform(likelihood: str, levels: int | None) -> VAE:
    """Of every x the same probability: the decoder's last layer is 0."""
    recipe = vaelab.recipe(
        "quickstart", {"model.likelihood": likelihood, "model.hidden": [], "model.latent": 2}
    )
    vae = build(recipe.model, (4, 3), levels)
    for parameter in vae.decoder.parameters():
        nn.init.zeros_(parameter)
    return vae


@pytest.mark.parametrize(
    ("name", "treatment", "levels", "bits"),
    [
        ("categorical", "grey", 17, math.log2(17)),
        ("bernoulli", "threshold", 256, 1.0),
        ("continuous-bernoulli", "dequantised", 256, 8.0),
        ("continuous-bernoulli", "dequantised", 17, math.log2(17)),
    ],
)
def test_a_uniform_model_takes_the_logarithm_of_the_levels_in_bits_a_pixel(
    name: str, treatment: str, levels: int, bits: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(monkeypatch)
    x = torch.randint(0, levels, (6, 4, 3), dtype=torch.uint8)
    vae = uniform(name, levels)
    for parameter in vae.encoder.parameters():
        nn.init.zeros_(parameter)  # q = p: no gap, and the loss is -log p
    found = measured(subject(vae, x, levels=levels, **{"data.treatment": treatment}), 10)
    assert found["bits_per_dim"].value == pytest.approx(bits, rel=1e-5)
    assert any("bound" in note for note in found["notes"]) == (treatment == "dequantised")


@pytest.mark.parametrize("name", ["gaussian", "laplace", "continuous-bernoulli"])
def test_a_density_has_no_bits_and_is_said_to_be_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(monkeypatch)
    found = measured(subject(uniform(name, None), torch.rand(3, 4, 3)), 2)
    assert "bits_per_dim" not in found
    assert any("density of real values" in note for note in found["notes"])


def test_grey_levels_under_a_bernoulli_are_loudly_no_likelihood_and_have_a_floor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quickly(monkeypatch)
    found = measured(subject(uniform("bernoulli", None), torch.full((3, 4, 3), 0.5)), 5)
    floor, noise = 12 * math.log(2), WIDE * found["nll"].error
    # p(x|z) is 2^-12 for every z.
    assert floor - noise < found["nll"].value < found["loss"].value + noise
    assert "bits_per_dim" not in found
    assert found["notes"][0].startswith("NOT A LIKELIHOOD: ")
    assert f"minimum on these images at {12 * math.log(2):.1f} nats" in found["notes"][0]


def test_classes_are_averaged_apart_and_one_image_has_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quickly(monkeypatch)
    model = Linear(3)
    x, y = model.p.sample((9,)), torch.tensor([7, 3, 3, 3, 7, 3, 3, 7, 12])
    found = measured(subject(model.vae(), x, y), 4)
    truth = -model.p.log_prob(x)
    assert list(found["nll_by_class"]) == ["3", "7", "12"]
    for label, estimate in found["nll_by_class"].items():
        of = truth[y == int(label)]
        assert estimate.value == pytest.approx(float(of.mean()))
        assert estimate.error == (
            pytest.approx(float(of.std()) / math.sqrt(len(of))) if len(of) > 1 else None
        )


def test_the_second_opinions_agree_with_the_weights_on_the_same_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quickly(monkeypatch, temperatures=150, second=40)
    model = Linear(2)
    x = model.p.sample((80,))
    found = measured(subject(model.vae(0.1, 0.1), x), 1000)
    index = torch.linspace(0, 79, 40).long()
    for name in ("ais", "quadrature"):
        each = torch.from_numpy(found[name].each)
        assert each.shape == (40,)
        difference = found[f"{name}_difference"]
        torch.testing.assert_close(
            torch.from_numpy(difference.each),
            each - torch.from_numpy(found["nll"].each)[index],
            rtol=0,
            atol=1e-9,
        )
        # The bias of both estimates is below 0.02 here.
        assert abs(difference.value) < WIDE * difference.error + 0.02
    torch.testing.assert_close(
        torch.from_numpy(found["quadrature"].each), -model.p.log_prob(x[index]), rtol=0, atol=0.002
    )
    assert not [note for note in found["notes"] if note.startswith("nll: annealing")]


def test_weights_that_miss_the_posterior_are_found_out_by_annealing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quickly(monkeypatch, temperatures=100, second=40)
    model = Linear(2)
    found = measured(subject(model.vae(2.0, -1.0), model.p.sample((40,))), 20)
    assert found["ais_difference"].value < -1
    said = " ".join(found["notes"])
    assert "annealing finds" in said
    assert "less than 5 of 20" in said


@pytest.mark.parametrize(
    ("off", "said"),
    [
        (0.05, ""),  # too little to be worth a word
        (-0.5, "nll: {who} finds 0.50 ± "),
        (0.5, "{name}: is too high; nll is 0.50 ± "),
        (8.0, "{name}: failed on 40 of the same 40 images"),
    ],
)
@pytest.mark.parametrize(("name", "who"), [("ais", "annealing"), ("quadrature", "quadrature")])
def test_an_opinion_that_differs_from_the_weights_is_said_to(
    name: str, who: str, off: float, said: str
) -> None:
    model = Linear(2)
    given = subject(model.vae(), model.p.sample((40,)))
    each = (-model.p.log_prob(given.x_test) + off + 0.1 * torch.randn(40)).numpy()
    notes = likelihood_section.measure(
        given, 1, {name: Estimate(each.mean(), 0.1, each), "notes": []}
    )["notes"]
    about = [
        note for note in notes if "on the same 40 images" in note or "of the same 40 images" in note
    ]
    if said:
        assert about[-1].startswith(said.format(name=name, who=who))
    else:
        assert not about


def test_a_second_estimate_that_failed_on_some_images_is_reported_despite_a_good_mean() -> None:
    model = Linear(2)
    given = subject(model.vae(), model.p.sample((40,)))
    each = (-model.p.log_prob(given.x_test)).numpy()
    each[:2] += 30
    notes = likelihood_section.measure(
        given, 1, {"ais": Estimate(each.mean(), 0.1, each), "notes": []}
    )["notes"]
    assert [note for note in notes if note.startswith("ais: ")] == [
        "ais: failed on 2 of the same 40 images, more than 5 nats above nll: "
        "its mean is not meaningful"
    ]


@pytest.mark.parametrize("images", [1, 5])
@pytest.mark.parametrize("variant", table.ROWS)
def test_every_row_of_the_table_has_a_number_or_a_reason(
    variant: str, images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(monkeypatch)
    monkeypatch.setattr(quadrature_module, "START", 256)
    settings = {
        "model.variant": variant,
        "model.hidden": [8],
        "model.latent": 2,
        "model.components": 5,
    }
    settings |= {"model.upper": [2]} if variant in ("two-level", "ladder") else {}
    recipe = vaelab.recipe("quickstart", settings)
    with seeded(0, "weights"):
        vae = build(recipe.model, (4, 3), 2, (0, 1))
    x, y = torch.randint(0, 2, (images, 4, 3), dtype=torch.uint8), torch.arange(images) % 2
    found = measured(subject(vae, x, y, 2, **settings), 30)
    json.dumps(plain(found), allow_nan=False)
    assert found["loss"].value == pytest.approx(found["distortion"].value + found["rate"].value)
    assert set(found) - {"notes"} <= set(likelihood_section.METRICS)
    notes = " ".join(found["notes"])
    assert ("nll" in found) != (
        "nll: " in notes.replace("nll: for", "").replace("nll: annealing", "")
    )
    if "nll" in found:
        assert found["nll"].value > 0  # of a probability: x is binary
        assert found["curve"]["1"].value > found["nll"].value - 1e-6 or images == 1
        assert ("ais" in found) != ("ais: " in notes)
        assert ("quadrature" in found) == ("ais" in found and vae.latent <= 2)


def plain(found: Any) -> Any:
    if isinstance(found, Estimate):
        return [found.value, found.error, None if found.each is None else found.each.tolist()]
    return {key: plain(value) for key, value in found.items()} if isinstance(found, dict) else found
