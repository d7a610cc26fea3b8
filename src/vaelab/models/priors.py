"""p(z): modules whose call returns a Distribution with batch shape () and event shape (L,).

In a conditional model they are called with the classes y (B,), and may return p(z|y) with batch shape (B,).
A prior that may begin near the data has a method `start_from_images`, called once before training, or
`start_from_codes`, called before it is fitted to the codes of a trained model (`refit`).
"""

from __future__ import annotations

import math
from functools import partial
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.distributions import (
    AffineTransform,
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
)

from vaelab.models.core import evaluating
from vaelab.models.flows import WIDTHS, Flowed, near_identity, zuko_flows
from vaelab.models.posteriors import diagonal

ROWS = 1000  # codes whose density in every component of a mixture is worked out at once: bounds the memory
MARGIN = 0.02  # of the range of the data, by which pseudo-inputs start inside it: at the edge a sigmoid does not learn


class StandardNormal(nn.Module):
    """p(z) = N(z; 0, I)."""

    zero: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(size), persistent=False)

    def forward(self, *y: Tensor) -> Independent[Normal]:
        return diagonal(self.zero, self.zero)


class PerClass(nn.Module):
    """p(z|y) = N(z; mu_y, diag(sigma_y^2)), both learned for each class y; all start at N(0, I).

    Sohn, Lee & Yan, Learning Structured Output Representation using Deep Conditional Generative Models, 2015, NeurIPS.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(classes, size))
        self.log_variance = nn.Parameter(torch.zeros(classes, size))

    def forward(self, y: Tensor) -> Independent[Normal]:
        return diagonal(self.mean[y], self.log_variance[y])


class MixtureInRows(MixtureSameFamily):
    """torch's mixture, ROWS values at a time: each value meets every component, (ROWS, C, L) numbers."""

    def log_prob(self, value: Tensor) -> Tensor:
        weights, components = self.mixture_distribution.logits, self.component_distribution
        log_density = (
            partial(_log_normals, components) if _is_product(components) else components.log_prob
        )
        rows = value.reshape(-1, 1, value.shape[-1]).split(ROWS)
        each = [(weights + log_density(some)).logsumexp(-1) for some in rows]
        return torch.cat(each).view(value.shape[:-1])

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        chosen, components = (
            self.mixture_distribution.sample(torch.Size(sample_shape)),
            self.component_distribution,
        )
        rows = chosen.flatten().split(ROWS)
        drawn = [components.sample(c.shape)[torch.arange(len(c), device=c.device), c] for c in rows]
        return torch.cat(drawn).view(*sample_shape, *self.event_shape)


def _is_product(p: Distribution) -> TypeGuard[Independent[Normal]]:
    return isinstance(p, Independent) and isinstance(p.base_dist, Normal)


def _log_normals(components: Independent[Normal], z: Tensor) -> Tensor:
    """log N(z; mu_c, diag(sigma_c^2)) of rows z (N, 1, L) in C components, (N, C), by two products of matrices.

    (z - mu)^2 multiplied out: many times faster than N C L numbers of their own, and in float64 nothing is lost by it.
    """
    normals = components.base_dist
    mean, scale, rows = normals.loc.double(), normals.scale.double(), z[:, 0].double()
    precision = scale**-2  # (C, L)
    squares = (
        rows**2 @ precision.T - 2 * rows @ (precision * mean).T + (precision * mean**2).sum(-1)
    )
    constant = scale.log().sum(-1) + mean.shape[-1] / 2 * math.log(2 * math.pi)
    return (-squares / 2 - constant).to(z)


class Mixture(nn.Module):
    """p(z) = sum_c w_c N(z; mu_c, diag(sigma_c^2)), all learned; starts with means from N(0, I) and the rest equal.

    Dilokthanakul et al., Deep Unsupervised Clustering with Gaussian Mixture VAEs, 2016, arXiv:1611.02648.
    """

    def __init__(self, size: int, components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(torch.randn(components, size))
        self.log_variance = nn.Parameter(torch.zeros(components, size))

    @torch.no_grad()
    def start_from_codes(self, z: Tensor) -> None:
        """Means at codes of z (N, L) chosen by chance, with the variances of all codes."""
        self.mean.copy_(z[torch.randperm(max(len(z), len(self.mean)))[: len(self.mean)] % len(z)])
        self.log_variance.copy_(z.var(0).clamp(min=1e-6).log())

    def forward(self, *y: Tensor) -> MixtureSameFamily:
        return _mixture(self.logits, diagonal(self.mean, self.log_variance))


class VampPrior(nn.Module):
    """p(z) = 1/C sum_c q(z|u_c): the posterior, mixed over C learned pseudo-inputs u_c, which stay in the data's range.

    Tomczak & Welling, VAE with a VampPrior, 2018, arXiv:1705.07120.
    """

    low: Tensor
    high: Tensor

    def __init__(self, encoder: nn.Module, shape: tuple[int, ...], components: int) -> None:
        super().__init__()
        self._encoder = (encoder,)  # in a tuple, so that its weights are not saved twice
        self.logits = nn.Parameter(torch.randn(components, *shape))  # of u within the range
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))

    @torch.no_grad()
    def start_from_images(self, x: Tensor) -> None:
        """Set the pseudo-inputs to images of x (N, *shape) chosen by chance, none twice while there are others."""
        chosen = x[torch.randperm(max(len(x), len(self.logits)))[: len(self.logits)] % len(x)]
        self.low.copy_(x.min())
        self.high.copy_(x.max())
        share = (chosen.to(self.logits) - self.low) / (self.high - self.low).clamp(min=1e-12)
        self.logits.copy_(share.clamp(MARGIN, 1 - MARGIN).logit())

    @property
    def pseudo_inputs(self) -> Tensor:
        """u, (C, *shape)."""
        return torch.lerp(self.low, self.high, self.logits.sigmoid())

    def forward(self, *y: Tensor) -> MixtureSameFamily:
        (encoder,) = self._encoder
        # Not in training mode: dropout would make the prior random, batch normalisation would measure the pseudo-inputs
        # by one another instead of by the images, and count them among the images in its running means.
        with evaluating(encoder):
            return _mixture(self.logits.new_zeros(len(self.logits)), encoder(self.pseudo_inputs))


class _Flow(nn.Module):
    """z = loc + scale f^-1(u), u ~ N(0, I): a flow about N(loc, scale^2), which is N(0, I) unless fitted to codes."""

    loc: Tensor
    scale: Tensor

    def __init__(self, size: int, flow: nn.Module) -> None:
        super().__init__()
        self.base, self.flow = StandardNormal(size), flow
        self.register_buffer("loc", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def start_from_codes(self, z: Tensor) -> None:
        """The flow is to act where the codes z (N, L) are."""
        self.loc.copy_(z.mean(0))
        self.scale.copy_(z.std(0).clamp(min=1e-3))

    def forward(self, *y: Tensor) -> Flowed:
        return Flowed(
            self.base(), self.flow().inv, AffineTransform(self.loc, self.scale, event_dim=1)
        )


class Flow(_Flow):
    """p(z) = N(f(z); 0, I) |det df/dz|, f affine coupling layers; one dimension is a learned Gaussian.

    Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017, arXiv:1605.08803.
    """

    def __init__(self, size: int, transforms: int) -> None:
        super().__init__(
            size, near_identity(zuko_flows().RealNVP(size, 0, transforms, hidden_features=WIDTHS))
        )


class SplineFlow(_Flow):
    """p(z) = N(f(z); 0, I) |det df/dz|, f coupling layers of splines on [-5, 5], the identity beyond.

    Durkan, Bekasov, Murray & Papamakarios, Neural Spline Flows, 2019, arXiv:1906.04032.
    """

    def __init__(self, size: int, transforms: int) -> None:
        super().__init__(
            size,
            near_identity(zuko_flows().NSF(size, 0, transforms, passes=2, hidden_features=WIDTHS)),
        )


def _mixture(logits: Tensor, components: Distribution) -> MixtureInRows:
    return MixtureInRows(
        Categorical(logits=logits, validate_args=False), components, validate_args=False
    )
