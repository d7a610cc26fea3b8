"""Random number streams: torch's own bits, in one thread, and the global state is kept."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, distributions, nn
from torch.nn.functional import dropout, gumbel_softmax, scaled_dot_product_attention

from vaelab.seeding import derive, generator, numpy_generator, seeded

P = torch.linspace(0.05, 0.95, 40)
DRAWS: dict[str, Callable[[], Tensor]] = {
    "rand": lambda: torch.rand(3, 7),
    "randn": lambda: torch.randn(50),
    "randn in float64": lambda: torch.randn(5, dtype=torch.float64),
    "randint": lambda: torch.randint(100, (9,)),
    "randint from": lambda: torch.randint(-5, 100, (9,)),
    "randperm": lambda: torch.randperm(30),
    "rand_like": lambda: torch.rand_like(P),
    "randn_like": lambda: torch.randn_like(P),
    "randint_like": lambda: torch.randint_like(P, 10),
    "normal": lambda: torch.normal(P, 2 * P),
    "in place": lambda: P.clone().normal_().exponential_().cauchy_().uniform_().log_normal_(),
    "bernoulli": lambda: torch.bernoulli(P),
    "multinomial": lambda: torch.multinomial(P, 5, replacement=True),
    "poisson": lambda: torch.poisson(10 * P),
    "binomial": lambda: torch.binomial(torch.full_like(P, 9.0), P),
    "Normal": lambda: distributions.Normal(P, 1).rsample((2,)),
    "Gamma": lambda: distributions.Gamma(P, 1).rsample((2,)),
    "Beta": lambda: distributions.Beta(P, 1 - P).sample(),
    "Dirichlet": lambda: distributions.Dirichlet(P).rsample((2,)),
    "StudentT": lambda: distributions.StudentT(3.0, P).sample(),
    "Categorical": lambda: distributions.Categorical(P).sample((8,)),
    "Laplace": lambda: distributions.Laplace(P, 1).rsample(),
    "VonMises": lambda: distributions.VonMises(P, 1).sample(),
    "NegativeBinomial": lambda: distributions.NegativeBinomial(5.0, P).sample(),
    "gumbel_softmax": lambda: gumbel_softmax(P),
    "dropout": lambda: dropout(P, 0.5),
    "dropout with gradient": lambda: dropout(P.clone().requires_grad_(), 0.5).detach(),
    "native dropout": lambda: torch.native_dropout(P, 0.5, True)[0],
    "weights": lambda: nn.Linear(4, 3).weight.detach(),
    "more weights": lambda: nn.init.orthogonal_(torch.empty(4, 4)),
}
each = pytest.mark.parametrize("name", DRAWS)


@each
def test_a_stream_gives_the_bits_of_torchs_own_seed_and_leaves_the_global_state_alone(
    name: str,
) -> None:
    torch.manual_seed(derive(3, "test"))
    wanted = [DRAWS[name]() for _ in range(2)]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with seeded(3, "test"):
        found = [DRAWS[name]() for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_streams_of_four_threads_do_not_disturb_one_another() -> None:
    def draw(seed: int) -> list[Tensor]:
        with seeded(seed, "test"):
            return [draw() for _ in range(5) for draw in DRAWS.values()]

    alone = [draw(seed) for seed in range(12)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draw, range(12)))
    for one, other in zip(alone, together, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stream_that_is_entered_again_continues_and_the_inner_one_of_two_counts() -> None:
    with seeded(0, "test"):
        both = torch.randn(2)
    outer = seeded(0, "test")
    with outer:
        first = torch.randn(1)
        with seeded(1, "test"):
            other = torch.randn(1)
        with seeded(1, "test"):
            assert torch.equal(torch.randn(1), other)
    with outer:
        second = torch.randn(1)
    assert torch.equal(torch.cat([first, second]), both)


def test_a_generator_that_is_given_is_the_one_that_is_used() -> None:
    wanted = torch.rand(3, generator=generator(5, "mine"))
    with seeded(0, "test"):
        assert torch.equal(torch.rand(3, generator=generator(5, "mine")), wanted)
        assert torch.equal(torch.rand(1), torch.rand(1, generator=generator(0, "test")))


def test_what_draws_without_a_generator_is_refused_and_what_does_not_draw_is_not() -> None:
    q = torch.randn(1, 1, 4, 8)
    with seeded(0, "test"):
        scaled_dot_product_attention(q, q, q)
        with pytest.raises(NotImplementedError, match="takes no generator"):
            torch.ops.aten._scaled_dot_product_efficient_attention(q, q, q, None, False, 0.5)


def test_numpy_streams_are_their_own() -> None:
    np.random.seed(0)  # noqa: NPY002  # the global state is the claim
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]  # noqa: NPY002
    first = numpy_generator(1, "a").random(4)
    assert (first == numpy_generator(1, "a").random(4)).all()
    assert (first != numpy_generator(1, "b").random(4)).all()
    assert (first != numpy_generator(2, "a").random(4)).all()
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002
