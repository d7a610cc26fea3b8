"""The hyperspherical VAE: z a unit vector of R^m, q(z|x) von Mises-Fisher, p(z) uniform.

Davidson, Falorsi, De Cao, Kipf & Tomczak, Hyperspherical variational auto-encoders, 2018,
arXiv:1804.00891.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, FisherSnedecor
from torch.distributions.kl import register_kl
from torch.nn.functional import normalize, softplus

from vaelab.errors import UserError
from vaelab.models.posteriors import Affine

# Of Gauss-Legendre quadrature on (-1, 1)
NODES, WEIGHTS = map(torch.from_numpy, np.polynomial.legendre.leggauss(64))


class VonMisesFisher(Distribution):
    """log p(z) = kappa <mu, z> - log Z, in nats with respect to the area of the unit sphere of R^m,
    m at least 2.

    `direction` mu (..., m) is a unit vector, `concentration` kappa (...) at least 0; at 0 the
    density is uniform. The rest is one-dimensional: the angle a between z and mu has the density
    exp(kappa cos a) sin(a)^(m-2) up to the normaliser, which is integrated where its mass is; the
    directions orthogonal to mu are uniform.
    """

    has_rsample = True

    def __init__(self, direction: Tensor, concentration: Tensor) -> None:
        self.direction, self.concentration = direction, concentration
        self.half = (direction.shape[-1] - 1) / 2
        root = (concentration.detach() ** 2 + self.half**2).sqrt()
        # The mass lies around 2 atan(sqrt b) (Wood 1994), all but 1e-14 of it within `reach`.
        self.b = self.half / (concentration.detach() + root)
        self.reach = 13 / (self.half + root).sqrt()
        super().__init__(concentration.shape, direction.shape[-1:], validate_args=False)

    def _log_density(self, angle: Tensor) -> Tensor:
        """kappa (cos a - 1) + (m - 2) log sin a for angles (..., N)."""
        sine = angle.sin().clamp_min(torch.finfo(angle.dtype).tiny)
        return (2 * self.half - 1) * sine.log() - self.concentration[..., None] * _drop(angle)

    @cached_property
    def _integrals(self) -> tuple[Tensor, Tensor]:
        """log Z - kappa and E[1 - cos a], (...)."""
        centre = 2 * self.b.sqrt().atan()
        angle, weight = _quadrature(
            (centre - self.reach).clamp_min(0), (centre + self.reach).clamp_max(math.pi)
        )
        log_mass = self._log_density(angle) + weight.log()  # (..., N)
        # Of the unit sphere of R^(m-1)
        log_area = math.log(2) + self.half * math.log(math.pi) - math.lgamma(self.half)
        return log_area + log_mass.logsumexp(-1), (log_mass.softmax(-1) * _drop(angle)).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        # kappa (<mu, z> - 1), without the rounding error of a product near 1
        near = -self.concentration * (value - self.direction).square().sum(-1) / 2
        return near - self._integrals[0]

    @property
    def mean(self) -> Tensor:
        """The mean direction mu, on the sphere, where the decoder is trained; E[z] = E[cos a] mu
        lies inside.
        """
        return self.direction

    def entropy(self) -> Tensor:
        return self._integrals[0] + self.concentration * self._integrals[1]

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Return z = cos(a) mu + sin(a) v, a by rejection, v uniform and orthogonal to mu;
        differentiable.
        """
        mu = self.direction.expand(self._extended_shape(torch.Size(sample_shape)))
        with torch.no_grad():
            angle = self._angles(mu.shape[:-1])
            noise = torch.randn_like(mu)
            v = normalize(noise - (noise * mu).sum(-1, keepdim=True) * mu, dim=-1)
        v = v - (v * mu).sum(-1, keepdim=True) * mu  # no change, but it turns with mu
        if self.concentration.requires_grad:
            angle = angle + self._slope(angle) * (self.concentration - self.concentration.detach())
        # Its norm is 1 but for rounding.
        return normalize(angle.cos()[..., None] * mu + angle.sin()[..., None] * v, dim=-1)

    def _angles(self, shape: torch.Size) -> Tensor:
        """Return angles of the distribution: those of a uniform z, shrunk towards mu, are proposed
        and accepted or not.

        Wood, Simulation of the von Mises Fisher distribution, 1994, doi:10.1080/03610919408813161.
        """
        kappa, all_b = (part.expand(shape).flatten() for part in (self.concentration, self.b))
        square = torch.empty_like(kappa)  # of tan(a / 2)
        left = torch.arange(len(kappa), device=kappa.device)
        freedom = kappa.new_tensor(2 * self.half)
        proposal = FisherSnedecor(freedom, freedom, validate_args=False)
        while len(left):
            b, ratio = all_b[left], proposal.sample(left.shape)  # tan^2(a / 2) of a uniform z
            t = b * ratio
            log_accept = 2 * kappa[left] * (b / (1 + b) - t / (1 + t))
            log_accept += 2 * self.half * ((1 + b) * (1 + ratio) / (2 * (1 + t))).log()
            accepted = log_accept >= torch.rand_like(t).log()
            square[left[accepted]] = t[accepted]
            left = left[~accepted]
        return 2 * square.sqrt().atan().view(shape)

    def _slope(self, angle: Tensor) -> Tensor:
        """Return da/dkappa at a constant cumulative probability F: -(dF/dkappa) / (dF/da),
        negative.

        dF/dkappa is the integral of (cos s - E[cos a]) p(s) from 0 to a, or minus that from a to
        pi; the side is chosen on which nothing cancels. Figurnov, Mohamed & Mnih, Implicit
        reparameterization gradients, 2018, arXiv:1805.08498.
        """
        mean = self._integrals[1].detach()  # computed outside no_grad: the cache keeps the gradient
        with torch.no_grad():
            return self._slope_about(angle, mean)

    def _slope_about(self, angle: Tensor, mean: Tensor) -> Tensor:
        below = _drop(angle) < mean
        s, weight = _quadrature(
            torch.where(below, (angle - self.reach).clamp_min(0), angle),
            torch.where(below, angle, (angle + self.reach).clamp_max(math.pi)),
        )
        # (..., N), 1 at the angle
        density = (self._log_density(s) - self._log_density(angle[..., None])).exp()
        return -(weight * density * (_drop(s) - mean[..., None]).abs()).sum(-1)


def _drop(angle: Tensor) -> Tensor:
    """1 - cos a, to full relative precision."""
    return 2 * (angle / 2).sin().square()


def _quadrature(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return N angles between two (...), and their weights: (..., N)."""
    half = (high - low)[..., None] / 2
    return low[..., None] + half * (1 + NODES.to(low)), half * WEIGHTS.to(low)


def _kl(q: VonMisesFisher, p: VonMisesFisher) -> Tensor:
    """E_q[kappa_q <mu_q, z> - kappa_p <mu_p, z>] - log Z_q + log Z_p."""
    (log_q, drop), log_p = q._integrals, p._integrals[0]
    square = (q.direction - p.direction).square().sum(-1)
    apart = drop + (1 - drop) * square / 2  # E_q[1 - <mu_p, z>]
    return p.concentration * apart - q.concentration * drop + log_p - log_q


register_kl(VonMisesFisher, VonMisesFisher)(_kl)


def great_circle(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Return the points at the fractions t (..., 1) of the great circle from a unit vector a (...,
    L) to b (..., L).
    """
    angle = (a * b).sum(-1, keepdim=True).clamp(-1, 1).acos().clamp(1e-3, math.pi - 1e-3)
    points: Tensor = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()
    return points


class OnSphere(Affine):
    """q(z|x) = vMF(z; mu(x), kappa(x)): mu = a / |a|, kappa = 1 + softplus(c), (a, c) affine in the
    features.
    """

    between = staticmethod(great_circle)

    def __init__(self, network: nn.Module, features: int, latent: int) -> None:
        if latent < 2:
            raise UserError(
                "model.latent: the sphere of one dimension is two points; "
                "set model.latent to 2 or more"
            )
        super().__init__(network, features, latent + 1)

    def forward(self, x: Tensor, *y: Tensor) -> VonMisesFisher:
        outputs = self.read(x, *y)  # (B, L + 1)
        return VonMisesFisher(normalize(outputs[:, :-1], dim=-1), 1 + softplus(outputs[:, -1]))


class Uniform(nn.Module):
    """p(z) = 1 / |S|, S the unit sphere of R^L: von Mises-Fisher at concentration 0."""

    pole: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("pole", torch.eye(size)[0].clone(), persistent=False)

    def forward(self, *y: Tensor) -> VonMisesFisher:
        return VonMisesFisher(self.pole, self.pole.new_zeros(()))
