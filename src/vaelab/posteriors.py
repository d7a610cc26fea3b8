"""q(z|x): modules whose call on images (B, *shape) returns a Distribution with batch shape (B,), event (latent,)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.distributions.kl import register_kl

from vaelab.linear import Linear
from vaelab.networks import at_least_float32


class DiagonalGaussian(nn.Module):
    """q(z|x) = N(z; mu(x), diag(sigma(x)^2)), with (mu, log sigma^2) an affine map of the network's features.

    Kingma & Welling 2013, arXiv:1312.6114, appendix C.2.
    """

    def __init__(self, network: nn.Module, features: int, latent: int) -> None:
        super().__init__()
        self.network, self.head = network, Linear(features, 2 * latent)

    def forward(self, x: Tensor) -> Independent[Normal]:
        mean, log_variance = at_least_float32(self.head(self.network(x))).chunk(2, -1)
        return Independent(Normal(mean, (0.5 * log_variance).exp(), validate_args=False), 1, validate_args=False)


class Point(nn.Module):
    """q(z|x) = delta(z - f(x)): the code of an autoencoder."""

    def __init__(self, network: nn.Module, features: int, latent: int) -> None:
        super().__init__()
        self.network, self.head = network, Linear(features, latent)

    def forward(self, x: Tensor) -> Delta:
        return Delta(at_least_float32(self.head(self.network(x))))


class Delta(Distribution):
    """All mass at `point` (B, latent). log_prob is 0 nats at the point: a density with respect to that point mass."""

    has_rsample = True

    def __init__(self, point: Tensor) -> None:
        self.point = point
        super().__init__(point.shape[:-1], point.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.point

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.point.expand(*sample_shape, *self.point.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        away = (value != self.point).any(-1)
        return torch.zeros_like(value[..., 0]).masked_fill(away, -torch.inf)


def _no_rate(q: Delta, p: Distribution) -> Tensor:
    """An autoencoder is charged nothing for its code, so its rate counts as 0; the true KL to a density is infinite."""
    return q.point.new_zeros(q.batch_shape)


register_kl(Delta, Distribution)(_no_rate)
