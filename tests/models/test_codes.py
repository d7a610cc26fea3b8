"""Discrete codes against enumeration: gradients, the use of values, and the cost of a code."""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from vaelab.errors import UserError
from vaelab.models import VAE
from vaelab.models.codes import (
    Autoregressive,
    FiniteScalarQuantised,
    GumbelSoftmax,
    Quantised,
    UniformClasses,
    VectorQuantised,
)
from vaelab.models.likelihoods import Bernoulli

SHAPE, FEATURES, TOKENS = (2, 3), 6, 3
WIDE = 5  # standard errors
KINDS = ["vector-quantised", "fsq"]
each_kind = pytest.mark.parametrize("kind", KINDS)


def quantised(
    kind: str, tokens: int = TOKENS, values: int = 15, commitment: float = 0.25
) -> Quantised:
    """A posterior whose features are the pixels."""
    if kind == "fsq":
        return FiniteScalarQuantised(nn.Flatten(), FEATURES, tokens, values)
    return VectorQuantised(nn.Flatten(), FEATURES, tokens, values, commitment)


def started(kind: str, **settings: Any) -> Quantised:
    """The same in float64, its code vectors moved to where the data are, in evaluation mode."""
    posterior = quantised(kind, **settings).double()
    for _ in range(20):
        posterior(images(64))
    return posterior.eval()


def images(n: int) -> Tensor:
    return torch.randn(n, *SHAPE).double()


def prior_of(posterior: Quantised, tokens: int = TOKENS, classes: int = 0) -> Autoregressive:
    prior = Autoregressive(posterior, tokens, classes).double()
    nn.init.normal_(prior.place)  # so that the order matters from the start
    return prior


def whole(kind: str) -> VAE:
    posterior = quantised(kind)
    decoder = Bernoulli(nn.Sequential(nn.LazyLinear(6), nn.Unflatten(1, (1, *SHAPE))))
    vae = VAE(posterior, decoder, Autoregressive(posterior, TOKENS, 0), SHAPE)
    vae.train().draw(torch.rand(4, *SHAPE))
    return vae.eval()


# ---------------------------------------------------------------- quantised


@each_kind
def test_z_is_the_vectors_of_the_table_and_its_length_is_stated_before_it_is_built(
    kind: str,
) -> None:
    posterior = started(kind)
    q = posterior(images(5))
    size = FiniteScalarQuantised.size(TOKENS, 15) if kind == "fsq" else VectorQuantised.size(TOKENS)
    assert (q.batch_shape, q.event_shape, q.indices.shape) == ((5,), (size,), (5, TOKENS))
    assert q.rsample((2,)).shape == (2, 5, size)
    # The library's vectors are float32.
    torch.testing.assert_close(q.mean, posterior.vectors(q.indices), rtol=0, atol=1e-7)
    assert torch.equal(posterior.indices(q.rsample((2,))), q.indices.expand(2, -1, -1))
    assert not q.entropy().any()
    assert not q.log_prob(q.mean).any()
    assert len(posterior.table) == 15


def test_the_vector_is_the_nearest() -> None:
    posterior = started("vector-quantised")
    x = images(7)
    e = posterior.head(posterior.network(x)).view(7, TOKENS, 1, -1)
    nearest = (e - posterior.table).square().sum(-1).argmin(-1)
    assert torch.equal(posterior(x).indices, nearest)


def test_the_gradient_reaches_the_encoder_as_if_nothing_had_been_replaced() -> None:
    posterior = quantised("vector-quantised", commitment=0.0).double()
    e, found = hear(posterior)
    z = posterior(images(4)).rsample()
    weight = torch.randn_like(z)
    (z.sin() * weight).sum().backward()
    torch.testing.assert_close(
        found[0].flatten(1), z.detach().cos() * weight, rtol=1e-12, atol=1e-12
    )
    assert (e[0].flatten(1) - z).abs().max() > 1e-3  # and it had been


def test_the_gradient_passes_the_rounding_of_scalars_as_if_there_were_none() -> None:
    # Levels 5 and 3 are odd, so the bound is tanh(e) (levels - 1) (1 + 1e-3) / 2.
    posterior = quantised("fsq").double()
    e, found = hear(posterior)
    z = posterior(images(4)).rsample()
    weight = torch.randn_like(z)
    (z.sin() * weight).sum().backward()
    levels = torch.tensor([5.0, 3.0]).double()
    slope = (1 - e[0].tanh() ** 2) * (levels - 1) * 1.001 / 2 / (levels // 2)
    wanted = (z.detach().cos() * weight).view_as(slope) * slope
    torch.testing.assert_close(found[0], wanted, rtol=1e-6, atol=1e-12)  # 1e-3 is a float32 there


def hear(posterior: Quantised) -> tuple[list[Tensor], list[Tensor]]:
    """What goes into the quantiser, (B, T, D), and later the gradient there."""
    values: list[Tensor] = []
    gradients: list[Tensor] = []

    def listen(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        values.append(args[0].detach())
        args[0].register_hook(gradients.append)

    posterior.quantiser.register_forward_pre_hook(listen)
    return values, gradients


def test_the_commitment_is_summed_over_an_image_and_pulls_by_twice_the_distance() -> None:
    posterior = quantised("vector-quantised", commitment=0.3).double()
    e, found = hear(posterior)
    q = posterior(images(4))
    away = e[0].flatten(1) - q.mean.detach()
    torch.testing.assert_close(q.penalty, 0.3 * away.square().sum(1), rtol=1e-12, atol=1e-12)
    q.penalty.sum().backward()
    torch.testing.assert_close(found[0].flatten(1), 2 * 0.3 * away, rtol=1e-12, atol=1e-12)


def test_scalars_pay_no_commitment() -> None:
    assert not quantised("fsq").double()(images(4)).penalty.any()


def test_evaluation_moves_no_code_vector_and_training_does() -> None:
    posterior = quantised("vector-quantised").double()
    for training in (False, True):
        posterior.train(training)
        before = {name: value.clone() for name, value in posterior.state_dict().items()}
        posterior(images(64))
        same = all(
            torch.equal(before[name], value) for name, value in posterior.state_dict().items()
        )
        assert same != training


@each_kind
def test_a_few_hundred_steps_of_training_use_nearly_all_values(kind: str) -> None:
    values, tokens = 64, 4
    network = nn.Sequential(nn.Linear(4, 32), nn.ReLU())
    posterior: Quantised
    if kind == "fsq":
        posterior = FiniteScalarQuantised(network, 32, tokens, values)
    else:
        posterior = VectorQuantised(network, 32, tokens, values, 0.25)
    decoder = nn.Linear(tokens * posterior.width, 4)
    optimizer = torch.optim.Adam([*posterior.parameters(), *decoder.parameters()], lr=3e-3)
    for _ in range(300):
        x = torch.rand(128, 4)  # nothing in clusters: every value has work
        q = posterior(x)
        error = (decoder(q.rsample()) - x).square().sum(1)
        optimizer.zero_grad()
        (100 * error + q.penalty).mean().backward()
        optimizer.step()
    share = posterior.eval()(torch.rand(5000, 4)).indices.flatten().bincount(minlength=values) / (
        5000 * tokens
    )
    assert math.exp(torch.special.entr(share).sum()) > 0.6 * values
    assert float(error.mean().detach()) < 4 / 12 / 5  # a fifth of the variance


@pytest.mark.parametrize(
    ("wanted", "found"), [(2, 15), (16, 15), (64, 64), (256, 240), (512, 512), (1024, 1000)]
)
def test_the_number_of_scalar_codes_is_the_papers_nearest_to_what_is_asked(
    wanted: int, found: int
) -> None:
    assert len(quantised("fsq", values=wanted).table) == found


@each_kind
def test_without_the_library_the_message_says_what_to_install(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vector_quantize_pytorch", None)
    with pytest.raises(
        UserError,
        match=rf"^vector-quantize-pytorch is needed for the posterior {kind}; .*\[codes\]'$",
    ):
        quantised(kind)


# ---------------------------------------------------------------- the prior of codes


@each_kind
def test_the_probabilities_of_all_sequences_sum_to_one(kind: str) -> None:
    posterior = started(kind, tokens=2)
    prior, everything = (
        prior_of(posterior, 2),
        torch.tensor(list(itertools.product(range(15), repeat=2))),
    )
    log_prob = prior().log_prob(posterior.vectors(everything))
    assert log_prob.shape == (15**2,)
    assert float(log_prob.detach().logsumexp(0)) == pytest.approx(0, abs=1e-12)
    assert log_prob.std() > 0.1


@each_kind
def test_the_rate_is_the_length_of_the_code(kind: str) -> None:
    posterior = started(kind)
    q, p = posterior(images(5)), prior_of(posterior)()
    assert (p.batch_shape, p.event_shape) == ((), q.event_shape)
    assert torch.equal(kl_divergence(q, p), -p.log_prob(q.rsample()))
    kl_divergence(q, p).sum().backward()
    assert not any(parameter.grad is not None for parameter in posterior.parameters())
    assert all(parameter.grad is not None for parameter in p.prior.parameters())


@each_kind
def test_samples_are_vectors_of_the_table_and_come_as_often_as_their_probability_says(
    kind: str,
) -> None:
    n, posterior = 4000, started(kind, tokens=2)
    p = prior_of(posterior, 2)()
    z = p.sample((n,))
    indices = posterior.indices(z)
    assert z.shape == (n, *p.event_shape)
    assert torch.equal(z, posterior.vectors(indices))
    assert p.sample().shape == p.event_shape
    log_prob = p.log_prob(z).detach()
    everything = torch.tensor(list(itertools.product(range(15), repeat=2)))
    every = p.log_mass(everything).detach()
    entropy, error = -(every.exp() * every).sum(), log_prob.std() / math.sqrt(n)
    assert abs(log_prob.mean() + entropy) < WIDE * error
    share = (indices[:, 0] * 15 + indices[:, 1]).bincount(minlength=225) / n
    assert ((share - every.exp()).abs() < WIDE * (every.exp() / n).sqrt() + 2 / n).all()


def test_no_token_is_told_of_those_after_it() -> None:
    posterior = started("fsq", tokens=5)
    prior, indices = prior_of(posterior, 5), torch.randint(15, (1, 5))
    start = prior.start.weight[:1]
    before = prior.logits(start, indices[:, :-1])
    for t in range(5):
        changed = indices.clone()
        changed[0, t] = (changed[0, t] + 1) % 15
        after = prior.logits(start, changed[:, :-1])
        assert torch.allclose(after[:, : t + 1], before[:, : t + 1], rtol=0, atol=1e-12)
        assert (after[:, t + 1 :] != before[:, t + 1 :]).any(-1).all()


def test_the_prior_learns_a_markov_chain_to_its_entropy() -> None:
    tokens, values = 4, 15
    posterior = quantised("fsq", tokens, values)
    prior = Autoregressive(posterior, tokens, 0)
    step = (4 * torch.randn(values, values)).softmax(1)
    entropy = math.log(values)  # of the first, uniform
    share = torch.full((values,), 1 / values)
    for _ in range(tokens - 1):
        entropy += float((share * torch.special.entr(step).sum(1)).sum())
        share = share @ step

    def chains(n: int) -> Tensor:
        chain = [torch.randint(values, (n,))]
        for _ in range(tokens - 1):
            chain.append(step[chain[-1]].multinomial(1)[:, 0])
        return torch.stack(chain, 1)

    optimizer = torch.optim.Adam(prior.parameters(), lr=3e-3)
    for _ in range(150):
        optimizer.zero_grad()
        (-prior().log_mass(chains(128)).mean()).backward()
        optimizer.step()
    with torch.no_grad():
        length = -prior().log_mass(chains(4000))
    error = float(length.std()) / math.sqrt(4000)
    assert entropy - WIDE * error < float(length.mean()) < entropy + 0.05 * tokens + WIDE * error
    assert entropy < 0.6 * tokens * math.log(values)  # there was something to learn


def test_a_conditional_prior_is_told_the_class() -> None:
    posterior = started("fsq")
    prior, y = prior_of(posterior, classes=4), torch.tensor([0, 3, 3, 1, 2])
    p, z = prior(y), posterior(images(5)).rsample((2,))
    assert p.batch_shape == (5,)
    assert p.sample().shape == (5, *p.event_shape)
    log_prob = p.log_prob(z)
    assert log_prob.shape == (2, 5)
    for i, label in enumerate(y):
        one = prior(label[None]).log_prob(z[:, i : i + 1])
        torch.testing.assert_close(log_prob[:, i], one[:, 0], rtol=1e-12, atol=1e-12)
    other = prior((y + 1) % 4).log_prob(z)
    assert (other != log_prob).all()


@each_kind
def test_a_model_of_codes_loads_to_the_bit_and_names_nothing_twice(
    kind: str, tmp_path: Any
) -> None:
    one, two, x = whole(kind), whole(kind), torch.rand(5, *SHAPE)
    state = one.state_dict()
    assert all(value.is_contiguous() for value in state.values())
    assert not any(name.startswith("prior") and "quantiser" in name for name in state)
    assert not torch.equal(one.reconstruct(x), two.reconstruct(x))
    save_file(state, tmp_path / "weights.safetensors")
    two.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(one.encode(x), two.encode(x))
    assert torch.equal(one.sample(3), two.sample(3))
    for vae in (one, two):  # and trains on to the bit
        torch.manual_seed(3)
        vae.train().draw(x)
    assert all(
        torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items()
    )


@each_kind
def test_one_image_is_a_batch_and_gradient_reaches_every_parameter(kind: str) -> None:
    vae = whole(kind).train()
    draw = vae.draw(torch.rand(1, *SHAPE), k=2)
    (draw.distortion + draw.rate + draw.penalty).mean().backward()
    assert draw.rate.shape == draw.penalty.shape == (1,)
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@each_kind
def test_half_precision_networks_give_codes_in_float32(kind: str) -> None:
    posterior = quantised(kind)
    with torch.autocast("cpu", torch.bfloat16):
        q = posterior(torch.rand(4, *SHAPE))
        assert kl_divergence(q, Autoregressive(posterior, TOKENS, 0)()).dtype == torch.float32
    assert q.mean.dtype == torch.float32


# ---------------------------------------------------------------- one-hot values


def gumbel(tokens: int = TOKENS, values: int = 4) -> GumbelSoftmax:
    posterior = GumbelSoftmax(nn.Flatten(), FEATURES, tokens, values, 0.5).double()
    nn.init.normal_(posterior.head.weight)
    return posterior


def sequences(tokens: int, values: int) -> Tensor:
    """All of them, one-hot, (C^T, T * C)."""
    every = torch.tensor(list(itertools.product(range(values), repeat=tokens)))
    return nn.functional.one_hot(every, values).flatten(1).double()


def test_classes_sum_to_one_and_their_kl_is_that_of_enumeration() -> None:
    q, p, every = gumbel(2)(images(3)), UniformClasses(2, 4).double()(), sequences(2, 4)
    assert (p.batch_shape, p.event_shape, q.batch_shape, q.event_shape) == ((), (8,), (3,), (8,))
    log_q, log_p = q.log_prob(every[:, None]), p.log_prob(every)  # (16, 3), (16,)
    torch.testing.assert_close(
        log_p, torch.full((16,), -2 * math.log(4), dtype=torch.float64), rtol=1e-12, atol=0
    )
    torch.testing.assert_close(log_q.logsumexp(0), torch.zeros(3).double(), rtol=0, atol=1e-12)
    wanted = (log_q.exp() * (log_q - log_p[:, None])).sum(0)
    torch.testing.assert_close(kl_divergence(q, p), wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q.entropy(), -(log_q.exp() * log_q).sum(0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(q.mean, log_q.exp().T @ every, rtol=1e-12, atol=1e-12)


def test_classes_are_relaxed_in_training_and_hard_in_evaluation() -> None:
    posterior, x = gumbel(), images(5)
    relaxed = posterior(x).rsample((2,)).view(2, 5, TOKENS, 4)
    torch.testing.assert_close(
        relaxed.sum(-1), torch.ones(2, 5, TOKENS).double(), rtol=1e-12, atol=0
    )
    assert ((relaxed > 0) & (relaxed < 1)).all()
    relaxed.square().sum().backward()
    assert posterior.head.weight.grad is not None
    assert posterior.head.weight.grad.any()
    hard = posterior.eval()(x).rsample((2,)).view(2, 5, TOKENS, 4)
    assert ((hard == 0) | (hard == 1)).all()
    assert (hard.sum(-1) == 1).all()
    assert torch.equal(posterior(x).mean, posterior(x).mean)


@pytest.mark.parametrize("training", [True, False])
def test_the_largest_of_a_sample_is_each_value_as_often_as_its_probability_says(
    training: bool,
) -> None:
    n, q = 20_000, gumbel().train(training)(images(2))
    largest = q.sample((n,)).view(n, 2, TOKENS, 4).argmax(-1)
    share = nn.functional.one_hot(largest, 4).double().mean(0).flatten(1)
    mean = q.mean.detach()
    assert ((share - mean).abs() < WIDE * (mean * (1 - mean) / n).sqrt() + 2 / n).all()


def test_uniform_classes_add_nothing_to_a_checkpoint_and_are_drawn_uniformly() -> None:
    prior, n = UniformClasses(2, 4), 20_000
    assert not prior.state_dict()
    p: Distribution = prior()
    z = p.sample((n,))
    assert z.shape == (n, 8)
    assert not z.requires_grad
    assert ((z.mean(0) - 0.25).abs() < WIDE * math.sqrt(0.25 * 0.75 / n)).all()


def test_one_image_of_classes_is_a_batch() -> None:
    q = gumbel()(images(1))
    assert q.rsample((2,)).shape == (2, 1, TOKENS * 4)
    assert kl_divergence(q, UniformClasses(TOKENS, 4).double()()).shape == (1,)
