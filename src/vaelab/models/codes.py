"""Discrete codes: z is T variables of C values each, as the vectors that stand for the values, side by side.

`model.latent` is T, `model.codes` is C. Quantised codes are no random choice: all mass of q(z|x) is on one sequence of
values, so KL(q || p) = -log p(z) is the length of that code in nats, and distortion + rate bounds -log p(x).
"""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution
from torch.distributions.kl import register_kl
from torch.nn.functional import cross_entropy, gumbel_softmax, one_hot, scaled_dot_product_attention

from vaelab.errors import UserError
from vaelab.models.core import CHUNK
from vaelab.models.linear import Linear
from vaelab.models.networks import at_least_float32
from vaelab.models.posteriors import Affine, Delta, Posterior

VECTOR = 16  # D, numbers in a learned code vector
DECAY = 0.99  # of the running means that code vectors are
DEAD = 0.1  # a code vector that fewer of a batch's tokens choose, in the running mean, moves to one of them

# Mentzer et al., table 1: levels of each number for about 2^4, 2^6, 2^8, ... values
LEVELS = (
    (5, 3),
    (8, 8),
    (8, 6, 5),
    (8, 8, 8),
    (8, 5, 5, 5),
    (8, 8, 6, 5),
    (7, 5, 5, 5, 5),
    (8, 8, 8, 6, 5),
)

WIDTH, HEADS, LAYERS = (
    64,
    4,
    2,
)  # of the transformer: 8 tokens are as much work as a 784-512 encoder and decoder


# ---------------------------------------------------------------- quantised


class Quantised(Posterior, ABC):
    """q(z|x) = all mass on z: the T parts e_t of a head's output, each replaced by a vector z_t of a table.

    A quantiser maps e (B, T, D) to z (B, T, D), through which gradients pass straight to e, and indices (B, T).
    """

    quantiser: Any

    def __init__(
        self, network: nn.Module, head: nn.Module, quantiser: nn.Module, width: int
    ) -> None:
        super().__init__()
        self.network, self.head, self.quantiser, self.width = (
            network,
            head,
            quantiser,
            width,
        )  # head: (B, T * D)

    def forward(self, x: Tensor, *y: Tensor) -> Code:
        e = at_least_float32(self.head(self.network(x, *y))).unflatten(
            -1, (-1, self.width)
        )  # (B, T, D)
        vectors, indices = self.quantiser(e)[:2]
        return Code(vectors.flatten(1), indices.long(), self.penalty(e, vectors.detach()))

    def penalty(self, e: Tensor, vectors: Tensor) -> Tensor:
        """What the encoder pays for its distance to the code, in nats, (B,)."""
        return e.new_zeros(len(e))

    @property
    @abstractmethod
    def table(self) -> Tensor:
        """The vector of each value, (C, D)."""

    def vectors(self, indices: Tensor) -> Tensor:
        """z (..., T * D) of the indices (..., T)."""
        return self.table[indices].flatten(-2)

    def indices(self, z: Tensor) -> Tensor:
        """Those of the vectors nearest to the parts of z (..., T * D): (..., T)."""
        parts = z.detach().reshape(-1, self.width)
        return torch.cdist(parts, self.table.to(z)).argmin(-1).view(*z.shape[:-1], -1)


class VectorQuantised(Quantised):
    """z_t = the nearest of C learned vectors to e_t; penalty = commitment sum_t |e_t - sg(z_t)|^2, summed like nats.

    The vectors are running means of the e_t that chose them; one that hardly any chooses is moved to some e_t.
    van den Oord, Vinyals & Kavukcuoglu, Neural discrete representation learning, 2017, arXiv:1711.00937.
    """

    def __init__(
        self, network: nn.Module, features: int, latent: int, codes: int, commitment: float
    ) -> None:
        quantiser = _library("vector-quantised").VectorQuantize(
            VECTOR,
            codes,
            decay=DECAY,
            threshold_ema_dead_code=DEAD,
            commitment_weight=0.0,
            rotation_trick=False,
        )
        super().__init__(network, Linear(features, latent * VECTOR), quantiser, VECTOR)
        self.commitment = commitment

    @staticmethod
    def size(latent: int) -> int:
        """L = T * D."""
        return latent * VECTOR

    def penalty(self, e: Tensor, vectors: Tensor) -> Tensor:
        return self.commitment * (e - vectors).square().sum((1, 2))

    @property
    def table(self) -> Tensor:
        table: Tensor = self.quantiser.codebook
        return table


class FiniteScalarQuantised(Quantised):
    """z_t = each number of e_t, bounded by a tanh, rounded to one of a few levels in [-1, 1].

    The levels are those of the paper's table whose product is nearest to `codes` in ratio; C is that product.
    The e of an image are scaled to a mean square of 1: free to grow, they would soon reach the outermost levels only.
    Mentzer, Minnen, Agustsson & Tschannen, Finite scalar quantization: VQ-VAE made simple, 2023, arXiv:2309.15505.
    """

    def __init__(self, network: nn.Module, features: int, latent: int, codes: int) -> None:
        levels = levels_of(codes)
        size = latent * len(levels)
        head = nn.Sequential(Linear(features, size), nn.RMSNorm(size, elementwise_affine=False))
        super().__init__(network, head, _library("fsq").FSQ(levels), len(levels))

    @staticmethod
    def size(latent: int, codes: int) -> int:
        """L = T * the number of levels."""
        return latent * len(levels_of(codes))

    @property
    def table(self) -> Tensor:
        table: Tensor = self.quantiser.implicit_codebook
        return table


def levels_of(codes: int) -> tuple[int, ...]:
    """The row of LEVELS whose product is nearest to `codes` in ratio.

    >>> levels_of(256)
    (8, 6, 5)
    """
    return min(LEVELS, key=lambda levels: abs(math.log(math.prod(levels) / codes)))


def _library(posterior: str) -> Any:
    try:
        return importlib.import_module("vector_quantize_pytorch")
    except ImportError:
        raise UserError(
            f"model.posterior: {posterior} needs vector-quantize-pytorch; pip install 'vaelab[codes]'"
        ) from None


class Code(Delta):
    """All mass, 0 nats, on the vectors z (B, L) of the values with the indices (B, T)."""

    def __init__(self, z: Tensor, indices: Tensor, penalty: Tensor) -> None:
        super().__init__(z)
        self.indices, self.penalty = indices, penalty

    def entropy(self) -> Tensor:
        return torch.zeros_like(self.penalty)


# ---------------------------------------------------------------- their prior


class Autoregressive(nn.Module):
    """p(z) = prod_t p(i_t | i_1 .. i_t-1) over the indices i of z's vectors, each a softmax of a causal transformer.

    In a conditional model the transformer starts from the class. Transformer: Vaswani et al., Attention is all you
    need, 2017, arXiv:1706.03762, with the normalisation first; as the prior of codes: van den Oord et al. 2017.
    """

    def __init__(self, encoder: Quantised, latent: int, classes: int) -> None:
        super().__init__()
        values = len(encoder.table)
        self._encoder = (encoder,)  # in a tuple: not a module of this one
        self.start, self.token = nn.Embedding(max(classes, 1), WIDTH), nn.Embedding(values, WIDTH)
        self.place = nn.Parameter(torch.zeros(latent, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), Linear(WIDTH, values))

    def forward(self, *y: Tensor) -> CodeSequence:
        return CodeSequence(self, self._encoder[0], self.start(y[0]) if y else self.start.weight[0])

    def logits(self, start: Tensor, before: Tensor) -> Tensor:
        """Of every index up to the one after those `before` (N, t), with start (N, W): (N, t + 1, C)."""
        x = torch.cat([start[:, None], self.token(before)], 1)  # (N, t + 1, W)
        seen: Tensor = self.blocks(x + self.place[: x.shape[1]])
        logits = at_least_float32(self.head(seen.flatten(0, 1)))
        return logits.view(*seen.shape[:2], -1)


class Block(nn.Module):
    """x + attention(norm(x)) for x (N, T, W), looking back only; then x + mlp(norm(x))."""

    def __init__(self) -> None:
        super().__init__()
        self.attended = nn.Sequential(nn.LayerNorm(WIDTH), Linear(WIDTH, 3 * WIDTH))
        self.joined = Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(
            nn.LayerNorm(WIDTH), Linear(WIDTH, 4 * WIDTH), nn.GELU(), Linear(4 * WIDTH, WIDTH)
        )

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)  # (N T, W), which Linear is fast at
        q, k, v = self.attended(rows).view(*x.shape[:2], 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        seen = scaled_dot_product_attention(q, k, v, is_causal=True)  # (N, heads, T, W / heads)
        rows = rows + self.joined(seen.transpose(1, 2).flatten(2).flatten(0, 1))
        out: Tensor = rows + self.mlp(rows)
        return out.view_as(x)


class CodeSequence(Distribution):
    """The prior's distribution of z (L,), with start (*batch, W); a probability mass, in nats."""

    def __init__(self, prior: Autoregressive, encoder: Quantised, start: Tensor) -> None:
        self.prior, self.encoder, self.start = prior, encoder, start
        self.tokens = len(prior.place)
        super().__init__(
            start.shape[:-1], torch.Size([self.tokens * encoder.width]), validate_args=False
        )

    def log_prob(self, value: Tensor) -> Tensor:
        return self.log_mass(self.encoder.indices(value))

    def log_mass(self, indices: Tensor) -> Tensor:
        """log p of the indices (..., T): (...)."""
        start = self.start.expand(*indices.shape[:-1], -1).reshape(-1, WIDTH)
        rows = indices.reshape(-1, self.tokens)  # (N, T)
        logits = self.prior.logits(start, rows[:, :-1])  # (N, T, C)
        surprise = cross_entropy(logits.movedim(-1, 1), rows, reduction="none")  # (N, T)
        return -surprise.sum(-1).view(indices.shape[:-1])

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        starts = self.start.expand(*sample_shape, *self.start.shape)
        indices = torch.cat(
            [self._indices(chunk) for chunk in starts.reshape(-1, WIDTH).split(CHUNK)]
        )
        return self.encoder.vectors(indices.view(*starts.shape[:-1], -1))

    def _indices(self, start: Tensor) -> Tensor:
        """One after the other, (N, T)."""
        indices = torch.empty(len(start), 0, dtype=torch.int64, device=start.device)
        for _ in range(self.tokens):
            following = Categorical(
                logits=self.prior.logits(start, indices)[:, -1], validate_args=False
            ).sample()
            indices = torch.cat([indices, following[:, None]], 1)
        return indices


def _code_length(q: Code, p: CodeSequence) -> Tensor:
    return -p.log_mass(q.indices)


def _code_length_anywhere(q: Code, p: Distribution) -> Tensor:
    return -p.log_prob(q.point)


register_kl(Code, CodeSequence)(_code_length)
register_kl(Code, Distribution)(_code_length_anywhere)


# ---------------------------------------------------------------- one-hot values


class GumbelSoftmax(Affine):
    """q(z|x) = prod_t Categorical(z_t; softmax(l_t(x))), z_t one-hot; in training relaxed to inside the simplex.

    The rate is always that of the values, so with relaxed samples the ELBO is no bound; evaluation's is. L = T * C.
    Jang, Gu & Poole, Categorical reparameterization with Gumbel-softmax, 2017, arXiv:1611.01144;
    Maddison, Mnih & Teh, The concrete distribution, 2017, arXiv:1611.00712.
    """

    def __init__(
        self, network: nn.Module, features: int, latent: int, codes: int, temperature: float
    ) -> None:
        super().__init__(network, features, latent * codes)
        self.codes, self.temperature = codes, temperature

    @staticmethod
    def size(latent: int, codes: int) -> int:
        """L = T * C."""
        return latent * codes

    def forward(self, x: Tensor, *y: Tensor) -> OneHots:
        logits = self.read(x, *y).unflatten(-1, (-1, self.codes))  # (B, T, C)
        return OneHots(logits, self.temperature if self.training else 0.0)


class UniformClasses(nn.Module):
    """p(z) = C^-T: every one of T values equally likely."""

    zero: Tensor

    def __init__(self, latent: int, codes: int) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(latent, codes), persistent=False)

    def forward(self, *y: Tensor) -> OneHots:
        return OneHots(self.zero)


class OneHots(Distribution):
    """T independent categorical variables as one-hot vectors side by side: logits (*batch, T, C), event (T * C,).

    log_prob is that of the values, in nats; `mean` is their probabilities. Above temperature 0, samples are relaxed:
    softmax((logits + Gumbel noise) / temperature), differentiable.
    """

    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float = 0.0) -> None:
        self.logits, self.temperature = logits.log_softmax(-1), temperature
        super().__init__(
            logits.shape[:-2], torch.Size([logits.shape[-2:].numel()]), validate_args=False
        )

    @property
    def mean(self) -> Tensor:
        return self.logits.exp().flatten(-2)

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        noisy = gumbel_softmax(
            self.logits.expand(*sample_shape, *self.logits.shape), self.temperature or 1.0
        )
        hard = one_hot(noisy.argmax(-1), noisy.shape[-1]).to(
            noisy
        )  # at any temperature a categorical sample
        return (noisy if self.temperature else hard).flatten(-2)

    def log_prob(self, value: Tensor) -> Tensor:
        return (value * self.logits.flatten(-2)).sum(-1)

    def entropy(self) -> Tensor:
        return -(self.logits.exp() * self.logits).sum((-2, -1))


def _kl_of_values(q: OneHots, p: OneHots) -> Tensor:
    """sum_t sum_c q_tc (log q_tc - log p_tc); log C - H_t each where p is uniform."""
    return (q.logits.exp() * (q.logits - p.logits)).sum((-2, -1))


register_kl(OneHots, OneHots)(_kl_of_values)
