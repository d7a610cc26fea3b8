"""Quantised codes: each part of z is a vector of a table, chosen deterministically."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions.kl import register_kl

from vaelab.errors import needed
from vaelab.models.linear import Linear
from vaelab.models.networks import at_least_float32
from vaelab.models.posteriors import Delta, Posterior

VECTOR = 16  # D, numbers in a learned code vector
DECAY = 0.99  # of the running means that code vectors are
DEAD = 0.1  # a code vector that fewer tokens of a batch choose, in the running mean, is replaced

# Mentzer et al., table 1: levels of each dimension for about 2^4, 2^6, 2^8, ... values
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


class Quantised(Posterior, ABC):
    """q(z|x) puts all mass on z: the T parts e_t of a head's output, each replaced by a vector z_t
    of a table.

    A quantiser maps e (B, T, D) to z (B, T, D), through which gradients pass straight to e, and
    indices (B, T).
    """

    quantiser: Any

    def __init__(
        self, network: nn.Module, head: nn.Module, quantiser: nn.Module, width: int
    ) -> None:
        super().__init__()
        self.network, self.head = network, head  # head: (B, T * D)
        self.quantiser, self.width = quantiser, width

    def parts(self, x: Tensor, *y: Tensor) -> Tensor:
        """Return e (B, T, D)."""
        outputs = at_least_float32(self.head(self.network(x, *y)))
        e: Tensor = outputs.unflatten(-1, (-1, self.width))
        return e

    @abstractmethod
    def chosen(self, e: Tensor) -> Tensor:
        """Return the indices (B, T) of the vectors for e (B, T, D), in operations of torch alone.

        The quantisers have state and look at values; an exported graph can do neither.
        """

    def forward(self, x: Tensor, *y: Tensor) -> Code:
        e = self.parts(x, *y)
        vectors, indices = self.quantiser(e)[:2]
        return Code(vectors.flatten(1), indices.long(), self.penalty(e, vectors.detach()))

    def penalty(self, e: Tensor, vectors: Tensor) -> Tensor:
        """Return what the distance of the encoder's output to the code costs, in nats, (B,)."""
        return e.new_zeros(len(e))

    @property
    @abstractmethod
    def table(self) -> Tensor:
        """The vector of each value, (C, D)."""

    def vectors(self, indices: Tensor) -> Tensor:
        """Return z (..., T * D) of the indices (..., T)."""
        return self.table[indices].flatten(-2)

    def indices(self, z: Tensor) -> Tensor:
        """Return the indices of the vectors nearest to the parts of z (..., T * D): (..., T)."""
        parts = z.detach().reshape(-1, self.width)
        return torch.cdist(parts, self.table.to(z)).argmin(-1).view(*z.shape[:-1], -1)


class VectorQuantised(Quantised):
    """z_t = the nearest of C learned vectors to e_t; penalty = commitment sum_t |e_t - sg(z_t)|^2,
    summed like nats.

    The vectors are running means of the e_t that chose them; one that few choose is replaced by
    some e_t. van den Oord, Vinyals & Kavukcuoglu, Neural discrete representation learning, 2017,
    arXiv:1711.00937.
    """

    def __init__(
        self, network: nn.Module, features: int, latent: int, codes: int, commitment: float
    ) -> None:
        library = needed("vector_quantize_pytorch", "for the posterior vector-quantised")
        quantiser = library.VectorQuantize(
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
        """Return L = T * D."""
        return latent * VECTOR

    def chosen(self, e: Tensor) -> Tensor:
        half = self.table.square().sum(-1) / 2
        return (half - e @ self.table.T).argmin(-1)  # |e - t|^2 = 2 (half - e t) + |e|^2

    def penalty(self, e: Tensor, vectors: Tensor) -> Tensor:
        return self.commitment * (e - vectors).square().sum((1, 2))

    @property
    def table(self) -> Tensor:
        table: Tensor = self.quantiser.codebook
        return table


class FiniteScalarQuantised(Quantised):
    """z_t = each dimension of e_t, bounded by a tanh, rounded to one of a few levels in [-1, 1].

    The levels are those of the paper's table whose product is nearest to `codes` in ratio; C is
    that product. The e of an image are scaled to a mean square of 1; otherwise they grow until only
    the outermost levels are used. Mentzer, Minnen, Agustsson & Tschannen, Finite scalar
    quantization: VQ-VAE made simple, 2023, arXiv:2309.15505.
    """

    def __init__(self, network: nn.Module, features: int, latent: int, codes: int) -> None:
        levels = levels_of(codes)
        size = latent * len(levels)
        head = nn.Sequential(Linear(features, size), nn.RMSNorm(size, elementwise_affine=False))
        library = needed("vector_quantize_pytorch", "for the posterior fsq")
        super().__init__(network, head, library.FSQ(levels), len(levels))

    def chosen(self, e: Tensor) -> Tensor:
        indices: Tensor = self.quantiser.codes_to_indices(self.quantiser.quantize(e))
        return indices.long()

    @staticmethod
    def size(latent: int, codes: int) -> int:
        """Return L = T * the number of dimensions."""
        return latent * len(levels_of(codes))

    @property
    def table(self) -> Tensor:
        table: Tensor = self.quantiser.implicit_codebook
        return table


def levels_of(codes: int) -> tuple[int, ...]:
    """Return the row of LEVELS whose product is nearest to `codes` in ratio.

    >>> levels_of(256)
    (8, 6, 5)
    """
    return min(LEVELS, key=lambda levels: abs(math.log(math.prod(levels) / codes)))


class Code(Delta):
    """All mass on the vectors z (B, L) of the indices (B, T); log_prob is 0 there."""

    def __init__(self, z: Tensor, indices: Tensor, penalty: Tensor) -> None:
        super().__init__(z)
        self.indices, self.penalty = indices, penalty

    def entropy(self) -> Tensor:
        return torch.zeros_like(self.penalty)


def _code_length(q: Code, p: Distribution) -> Tensor:
    return -p.log_prob(q.point)


register_kl(Code, Distribution)(_code_length)
