"""Several levels of latent variables: z = (z_1, ..., z_n) in one vector. The decoder is given z_1.

z_1 has `latent` dimensions, the levels above it those of `upper`, from the lowest to the highest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn.functional import logsigmoid

from vaelab.models.flows import FullPrecision
from vaelab.models.linear import Linear
from vaelab.models.networks import at_least_float32
from vaelab.models.parts import Borrowed
from vaelab.models.posteriors import Posterior, diagonal
from vaelab.models.priors import StandardNormal

WIDTH = 128  # of the two hidden layers between one level and the next


class Chain(Distribution):
    """p(z) = p(z_a) p(z_b|z_a) p(z_c|z_b) ...: each level a diagonal Gaussian given the one before
    it in `order`.

    `first` is p(z_a), batch shape (B,) or (); given(i, z) is that of level i given its predecessor
    z (..., dimensions). `mean` passes means from level to level; only of the first level is it the
    expectation.
    """

    has_rsample = True

    def __init__(
        self,
        sizes: Sequence[int],
        order: Sequence[int],
        first: Independent[Normal],
        given: Callable[[int, Tensor], Independent[Normal]],
    ) -> None:
        self.sizes, self.order, self.first, self.given = list(sizes), order, first, given
        super().__init__(first.batch_shape, torch.Size([sum(sizes)]), validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self._along(self.first.mean, lambda i, p: p.mean)[0]

    def rsample_and_log_prob(self, sample_shape: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Return samples (*sample_shape, *batch, L) and their log density, in one pass."""
        return self._along(self.first.rsample(torch.Size(sample_shape)), lambda i, p: p.rsample())

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.rsample_and_log_prob(tuple(sample_shape))[0]

    def log_prob(self, value: Tensor) -> Tensor:
        levels = value.split(self.sizes, -1)
        return self._along(levels[self.order[0]], lambda i, p: levels[i])[1]

    def _along(
        self, z: Tensor, choose: Callable[[int, Independent[Normal]], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return all levels, of which the first in order is z and `choose` gives the others, and
        their log density.
        """
        levels, log_prob = {self.order[0]: z}, self.first.log_prob(z)
        for i in self.order[1:]:
            p = self.given(i, z)
            z = levels[i] = choose(i, p)
            log_prob = log_prob + p.log_prob(z)
        return torch.cat([levels[i] for i in range(len(levels))], -1), log_prob


class TopDown(nn.Module):
    """p(z) = N(z_n; 0, I) prod_i N(z_i; mu_i(z_{i+1}), diag(sigma_i(z_{i+1})^2)).

    Sonderby et al., Ladder Variational Autoencoders, 2016, arXiv:1602.02282.
    """

    def __init__(self, latent: int, upper: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes = (latent, *upper)
        self.top = StandardNormal(self.sizes[-1])
        self.down = nn.ModuleList(_mlp(above, 2 * below) for below, above in pairwise(self.sizes))

    def given(self, i: int, above: Tensor) -> tuple[Tensor, ...]:
        """Return mean and log variance of level i, (..., dimensions), given the level above it."""
        outputs: Tensor = self.down[i](above)
        return outputs.chunk(2, -1)

    def forward(self, *y: Tensor) -> Chain:
        order = range(len(self.sizes))[::-1]
        return Chain(
            self.sizes, order, self.top(), lambda i, above: diagonal(*self.given(i, above))
        )


class Levels(Posterior):
    """A posterior of several levels, of which the decoder is given the lowest."""

    size = staticmethod(lambda latent, upper: latent + sum(upper))
    decoded = staticmethod(lambda latent: latent)


class BottomUp(Levels):
    """q(z|x) = q(z_1|x) prod_i N(z_{i+1}; mu_i(z_i), diag(sigma_i(z_i)^2)).

    Burda, Grosse & Salakhutdinov, Importance Weighted Autoencoders, 2016, arXiv:1509.00519.
    """

    def __init__(
        self, network: nn.Module, features: int, latent: int, upper: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.sizes = (latent, *upper)
        self.network, self.head = network, Linear(features, 2 * latent)
        self.up = nn.ModuleList(_mlp(below, 2 * above) for below, above in pairwise(self.sizes))

    def forward(self, x: Tensor, *y: Tensor) -> Chain:
        first = diagonal(*at_least_float32(self.head(self.network(x, *y))).chunk(2, -1))
        return Chain(
            self.sizes,
            range(len(self.sizes)),
            first,
            lambda i, below: diagonal(*self.up[i - 1](below).chunk(2, -1)),
        )


class Ladder(Levels):
    """q(z|x) = q(z_n|x) prod_i q(z_i|x, z_{i+1}), q(z_i|x, z_{i+1}) proportional to g_i(z_i|x)
    p(z_i|z_{i+1}).

    g_i is a Gaussian from the features d_i of x, d_{i+1} a layer above d_i, and q(z_n|x) = g_n; p
    is the prior, whose networks it shares. Sonderby et al. 2016, arXiv:1602.02282.
    """

    def __init__(
        self,
        network: nn.Module,
        features: int,
        latent: int,
        upper: tuple[int, ...],
        prior: TopDown,
    ) -> None:
        super().__init__()
        self.network, self.sizes, self.prior = network, (latent, *upper), Borrowed(prior)
        widths = (features, *(WIDTH for _ in upper))
        self.up = nn.ModuleList(
            FullPrecision(Linear(*pair), nn.LeakyReLU()) for pair in pairwise(widths)
        )
        self.heads = nn.ModuleList(
            Linear(width, 2 * size) for width, size in zip(widths, self.sizes, strict=True)
        )

    def forward(self, x: Tensor, *y: Tensor) -> Chain:
        features = [at_least_float32(self.network(x, *y))]
        for layer in self.up:
            features.append(layer(features[-1]))
        evidence = [
            at_least_float32(head(d)).chunk(2, -1)
            for head, d in zip(self.heads, features, strict=True)
        ]

        def given(i: int, above: Tensor) -> Independent[Normal]:
            return product(evidence[i], self.prior.module.given(i, above))

        return Chain(self.sizes, range(len(self.sizes))[::-1], diagonal(*evidence[-1]), given)


def product(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> Independent[Normal]:
    """Return the normalised product of two diagonal Gaussians (mean, log variance)."""
    (mean, log_variance), (other_mean, other_log_variance) = one, other
    difference = other_log_variance - log_variance
    weight = difference.sigmoid()  # precision of the first as a fraction of both
    return diagonal(
        other_mean + weight * (mean - other_mean), log_variance + logsigmoid(difference)
    )


def _mlp(inputs: int, outputs: int) -> FullPrecision:
    return FullPrecision(
        Linear(inputs, WIDTH),
        nn.LeakyReLU(),
        Linear(WIDTH, WIDTH),
        nn.LeakyReLU(),
        Linear(WIDTH, outputs),
    )
