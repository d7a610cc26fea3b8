"""q(z|x): modules whose call on images (B, *shape) returns a Distribution, batch shape (B,), event
shape (L,).

The constructor of each names the arguments it needs (see `models.build`): `network` is the encoder
up to `features`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import (
    AffineTransform,
    Distribution,
    Independent,
    MultivariateNormal,
    Normal,
)
from torch.distributions.kl import register_kl

from vaelab.models.flows import WIDTHS, Flowed, near_identity, zuko_flows
from vaelab.models.linear import Linear
from vaelab.models.networks import at_least_float32
from vaelab.models.operations import normal

CONTEXT = 64  # features of x that condition the steps of a flow


def diagonal(mean: Tensor, log_variance: Tensor) -> Independent[Normal]:
    """Return N(mean, diag(exp(log_variance))), batch shape (...), event shape (L,), for two tensors
    (..., L).
    """
    return Independent(normal(mean, (0.5 * log_variance).exp()), 1, validate_args=False)


class Posterior(nn.Module):
    """The base of all posteriors: the size and the geometry of z, which other parts need to know.

    Attributes:
        size: L, the dimensions of z as a vector; takes the arguments that it names, as the
            constructor does.
        decoded: How many of them, the first, the decoder is given; takes the arguments that it
            names.
    """

    size: ClassVar[Callable[..., int]] = staticmethod(lambda latent: latent)
    decoded: ClassVar[Callable[..., int]] = staticmethod(lambda size: size)

    @staticmethod
    def between(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        """Return the codes at the fractions t (..., 1) of the shortest path from a (..., L) to b
        (..., L).
        """
        return torch.lerp(a, b, t)


class Affine(Posterior):
    """A posterior whose parameters are an affine map of the network's features."""

    def __init__(self, network: nn.Module, features: int, outputs: int) -> None:
        super().__init__()
        self.network, self.head = network, Linear(features, outputs)

    def read(self, x: Tensor, *y: Tensor) -> Tensor:
        """Return the parameters (B, outputs) for images x (B, *shape) and, where conditional,
        classes y (B,).
        """
        return at_least_float32(self.head(self.network(x, *y)))


class DiagonalGaussian(Affine):
    """q(z|x) = N(z; mu(x), diag(sigma(x)^2)), with (mu, log sigma^2) an affine map of the network's
    features.

    Kingma & Welling 2013, arXiv:1312.6114, appendix C.2.
    """

    def __init__(self, network: nn.Module, features: int, latent: int) -> None:
        super().__init__(network, features, 2 * latent)

    def forward(self, x: Tensor, *y: Tensor) -> Independent[Normal]:
        return diagonal(*self.read(x, *y).chunk(2, -1))


class FullGaussian(Affine):
    """q(z|x) = N(z; mu(x), T T^T), T = diag(sigma(x)) (I + A(x)), A strictly lower triangular and
    initially 0.

    As sigma multiplies A too, the errors of A shrink with the posterior instead of bounding its
    width from below. Kingma & Welling, An Introduction to Variational Autoencoders, 2019,
    arXiv:1906.02691, section 2.5.1.
    """

    def __init__(self, network: nn.Module, features: int, latent: int) -> None:
        super().__init__(network, features, 2 * latent + latent * (latent - 1) // 2)
        self.latent = latent
        with torch.no_grad():
            self.head.weight[2 * latent :] = 0
            self.head.bias[2 * latent :] = 0

    def forward(self, x: Tensor, *y: Tensor) -> FullNormal:
        mean, log_variance, below = self.read(x, *y).tensor_split(
            [self.latent, 2 * self.latent], -1
        )
        unit = torch.ones_like(mean).diag_embed()
        row, column = torch.tril_indices(self.latent, self.latent, -1, device=x.device)
        unit[..., row, column] = below
        return FullNormal(
            mean, scale_tril=(0.5 * log_variance).exp()[..., None] * unit, validate_args=False
        )


class FullNormal(MultivariateNormal):
    """torch's multivariate normal, with the divergence from a product of normals, which torch
    lacks.
    """


def _kl_from_product(q: FullNormal, p: Independent[Normal]) -> Tensor:
    """sum_i ((Sigma_ii + (mu_i - m_i)^2) / (2 s_i^2) + log s_i - 1/2) - sum_i log T_ii, batch
    shape, in nats.
    """
    if not isinstance(p.base_dist, Normal) or len(p.event_shape) != 1:
        raise NotImplementedError  # torch's answer for an unknown pair; `Draw.rate` catches it
    mean, scale = p.base_dist.loc, p.base_dist.scale
    cross = (q.variance + (q.loc - mean) ** 2) / (2 * scale**2) + scale.log() - 0.5
    return (cross - q.scale_tril.diagonal(dim1=-2, dim2=-1).log()).sum(-1)


register_kl(FullNormal, Independent)(_kl_from_product)


class _Flow(Affine):
    """A posterior by a flow: the network gives mean, log variance, and a context for the steps."""

    def __init__(self, network: nn.Module, features: int, latent: int) -> None:
        super().__init__(network, features, 2 * latent + CONTEXT)
        self.latent = latent

    def parts(self, x: Tensor, *y: Tensor) -> tuple[Tensor, ...]:
        return self.read(x, *y).tensor_split([self.latent, 2 * self.latent], -1)


class InverseAutoregressiveFlow(_Flow):
    """q(z|x): u ~ N(mu(x), diag(sigma(x)^2)), then in each step u_i <- a_i(u_<i, x) u_i + b_i(u_<i,
    x).

    Sampling takes one pass through each step; the density of another z takes L passes. `mean` is
    the image of mu(x). Kingma et al., Improving Variational Inference with Inverse Autoregressive
    Flow, 2016, arXiv:1606.04934.
    """

    def __init__(self, network: nn.Module, features: int, latent: int, transforms: int) -> None:
        super().__init__(network, features, latent)
        self.flow = near_identity(
            zuko_flows().MAF(latent, CONTEXT, transforms, hidden_features=WIDTHS)
        )

    def forward(self, x: Tensor, *y: Tensor) -> Flowed:
        mean, log_variance, context = self.parts(x, *y)
        return Flowed(diagonal(mean, log_variance), self.flow(context))


class SplineFlow(_Flow):
    """q(z|x): z = mu(x) + sigma(x) f(u, x), u ~ N(0, I), f coupling layers of splines on [-5, 5],
    the identity beyond.

    The affine map comes last, so the splines act where u is, whatever the scale of z. `mean` is the
    image of u = 0. Rezende & Mohamed 2015, arXiv:1505.05770; Durkan et al., Neural Spline Flows,
    2019, arXiv:1906.04032.
    """

    def __init__(self, network: nn.Module, features: int, latent: int, transforms: int) -> None:
        super().__init__(network, features, latent)
        self.flow = near_identity(
            zuko_flows().NSF(latent, CONTEXT, transforms, passes=2, hidden_features=WIDTHS)
        )

    def forward(self, x: Tensor, *y: Tensor) -> Flowed:
        mean, log_variance, context = self.parts(x, *y)
        zero = torch.zeros_like(mean)
        return Flowed(
            diagonal(zero, zero),
            self.flow(context),
            AffineTransform(mean, (0.5 * log_variance).exp(), event_dim=1),
        )


class Point(Affine):
    """q(z|x) = delta(z - f(x)): the deterministic code of an autoencoder."""

    def __init__(self, network: nn.Module, features: int, latent: int) -> None:
        super().__init__(network, features, latent)

    def forward(self, x: Tensor, *y: Tensor) -> Delta:
        return Delta(self.read(x, *y))


class Delta(Distribution):
    """All mass at `point` (B, L). log_prob is 0 at the point: a density with respect to that point
    mass.
    """

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
    """0: the objective of an autoencoder has no KL term. The true KL to a density is infinite."""
    return q.point.new_zeros(q.batch_shape)


register_kl(Delta, Distribution)(_no_rate)
