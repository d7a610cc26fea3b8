"""p(z): modules whose call returns a Distribution, batch shape (), event shape (L,).

In a conditional model they are called with the classes y (B,), and may return p(z|y), batch shape
(B,). A prior whose initialisation depends on the data has a method `start_from_images`, called once
before training, or `start_from_codes`, called before it is fitted to the codes of a trained model
(`fit_prior`).
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
from torch.distributions.kl import register_kl

from vaelab import devices
from vaelab.models.flows import WIDTHS, Flowed, near_identity, zuko_flows
from vaelab.models.operations import normal
from vaelab.models.parts import Borrowed, evaluating
from vaelab.models.posteriors import diagonal
from vaelab.models.units import Units

# Pseudo-inputs start this fraction of the data's range inside it: at its edge a sigmoid is flat.
MARGIN = 0.02


class StandardNormal(nn.Module):
    """p(z) = N(z; 0, I)."""

    zero: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(size), persistent=False)

    def forward(self, *y: Tensor) -> Independent[Normal]:
        unit = normal(self.zero, torch.ones_like(self.zero), UnitNormal)
        return Independent(unit, 1, validate_args=False)


class UnitNormal(Normal):
    """N(0, 1) of each element, to which the divergence of another normal has a short form."""


def _rate(q: Normal, p: UnitNormal) -> Tensor:
    """Return (mu^2 + sigma^2 - 1) / 2 - log sigma, elementwise, in nats, in the shape of q."""
    return (q.loc.square() + q.scale.square() - 1) / 2 - q.scale.log()


register_kl(Normal, UnitNormal)(_rate)


class PerClass(nn.Module):
    """p(z|y) = N(z; mu_y, diag(sigma_y^2)), both learned for each class y; initially N(0, I).

    Sohn, Lee & Yan, Learning Structured Output Representation using Deep Conditional Generative
    Models, 2015, NeurIPS.
    """

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(classes, size))
        self.log_variance = nn.Parameter(torch.zeros(classes, size))

    def forward(self, y: Tensor) -> Independent[Normal]:
        return diagonal(self.mean[y], self.log_variance[y])


class MixtureInRows(MixtureSameFamily):
    """torch's mixture, some rows at a time: their densities in every component are (rows, C, L)
    numbers.
    """

    def _rows_at_once(self) -> int:
        components = self.component_distribution
        return devices.at_once(8 * components.batch_shape.numel() * components.event_shape.numel())

    def log_prob(self, value: Tensor) -> Tensor:
        weights, components = self.mixture_distribution.logits, self.component_distribution
        log_density = (
            partial(_log_normals, components) if _is_product(components) else components.log_prob
        )
        chunks = value.reshape(-1, 1, value.shape[-1]).split(self._rows_at_once())
        each = [(weights + log_density(rows)).logsumexp(-1) for rows in chunks]
        return torch.cat(each).view(value.shape[:-1])

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        chosen = self.mixture_distribution.sample(torch.Size(sample_shape))
        components = self.component_distribution
        each = [
            components.sample(c.shape)[torch.arange(len(c), device=c.device), c]
            for c in chosen.flatten().split(self._rows_at_once())
        ]
        return torch.cat(each).view(*sample_shape, *self.event_shape)


def _is_product(p: Distribution) -> TypeGuard[Independent[Normal]]:
    return isinstance(p, Independent) and isinstance(p.base_dist, Normal)


def _log_normals(components: Independent[Normal], z: Tensor) -> Tensor:
    """Return log N(z; mu_c, diag(sigma_c^2)) of rows z (N, 1, L) in C components, (N, C), by two
    matrix products.

    Multiplying (z - mu)^2 out is many times faster than N C L separate numbers, and in float64 as
    accurate.
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
    """p(z) = sum_c w_c N(z; mu_c, diag(sigma_c^2)), all learned; initially means from N(0, I), the
    rest equal.

    Dilokthanakul et al., Deep Unsupervised Clustering with Gaussian Mixture VAEs, 2016,
    arXiv:1611.02648.
    """

    def __init__(self, size: int, components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.mean = nn.Parameter(torch.randn(components, size))
        self.log_variance = nn.Parameter(torch.zeros(components, size))

    @torch.no_grad()
    def start_from_codes(self, z: Tensor) -> None:
        """Set the means to random codes of z (N, L), and the variances to those of all codes."""
        self.mean.copy_(z[torch.randperm(max(len(z), len(self.mean)))[: len(self.mean)] % len(z)])
        self.log_variance.copy_(z.var(0).clamp(min=1e-6).log())

    def forward(self, *y: Tensor) -> MixtureSameFamily:
        return _mixture(self.logits, diagonal(self.mean, self.log_variance))


class VampPrior(nn.Module):
    """p(z) = 1/C sum_c q(z|u_c): the mixture of the posteriors of C learned pseudo-inputs u_c, in
    the data's range.

    Tomczak & Welling, VAE with a VampPrior, 2018, arXiv:1705.07120.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self, encoder: nn.Module, shape: tuple[int, ...], components: int, units: Units | None
    ) -> None:
        super().__init__()
        self.encoder = Borrowed(encoder)
        self.units = None if units is None else Units(units.shift.clone(), units.scale.clone())
        self.logits = nn.Parameter(torch.randn(components, *shape))  # of u within the range
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))

    @torch.no_grad()
    def start_from_images(self, x: Tensor) -> None:
        """Set the pseudo-inputs to random images of x (N, *shape), none twice while there are
        others.
        """
        x = x if self.units is None else self.units.inward(x)
        chosen = x[torch.randperm(max(len(x), len(self.logits)))[: len(self.logits)] % len(x)]
        self.low.copy_(x.min())
        self.high.copy_(x.max())
        share = (chosen.to(self.logits) - self.low) / (self.high - self.low).clamp(min=1e-12)
        self.logits.copy_(share.clamp(MARGIN, 1 - MARGIN).logit())

    @property
    def pseudo_inputs(self) -> Tensor:
        """u, (C, *shape), in the user's units."""
        u = torch.lerp(self.low, self.high, self.logits.sigmoid())
        return u if self.units is None else self.units.outward(u)

    def forward(self, *y: Tensor) -> MixtureSameFamily:
        encoder = self.encoder.module
        # Never in training mode: dropout would make the prior random, and batch normalisation would
        # normalise the pseudo-inputs by one another, and add them to its running means.
        with evaluating(encoder):
            return _mixture(self.logits.new_zeros(len(self.logits)), encoder(self.pseudo_inputs))


class _Flow(nn.Module):
    """z = loc + scale f^-1(u), u ~ N(0, I): a flow around N(loc, scale^2), which is N(0, I) unless
    fitted to codes.
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, size: int, flow: nn.Module) -> None:
        super().__init__()
        self.base, self.flow = StandardNormal(size), flow
        self.register_buffer("loc", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    @torch.no_grad()
    def start_from_codes(self, z: Tensor) -> None:
        """Centre and scale the flow on the codes z (N, L)."""
        self.loc.copy_(z.mean(0))
        self.scale.copy_(z.std(0).clamp(min=1e-3))

    def forward(self, *y: Tensor) -> Flowed:
        return Flowed(
            self.base(), self.flow().inv, AffineTransform(self.loc, self.scale, event_dim=1)
        )


class Flow(_Flow):
    """p(z) = N(f(z); 0, I) |det df/dz|, f affine coupling layers; one dimension is a learned
    Gaussian.

    Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017, arXiv:1605.08803.
    """

    def __init__(self, size: int, transforms: int) -> None:
        super().__init__(
            size, near_identity(zuko_flows().RealNVP(size, 0, transforms, hidden_features=WIDTHS))
        )


class SplineFlow(_Flow):
    """p(z) = N(f(z); 0, I) |det df/dz|, f coupling layers of splines on [-5, 5], the identity
    beyond.

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
