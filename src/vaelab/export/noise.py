"""Samples of priors as functions of standard normal noise: what a sampler in a file computes.

Noise is a matrix n (N, S) of independent standard normal numbers. A number that has to be uniform
is Phi(n), the distribution function of the standard normal distribution at n; an index of given
probabilities is the number of cumulative probabilities below it (inversion; Devroye, Non-Uniform
Random Variate Generation, 1986, chapter II.2).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)
from torch.nn.functional import normalize, one_hot

from vaelab.errors import UserError
from vaelab.models import Chain, CodeSequence, Flowed, OneHots, VonMisesFisher


def width(p: Distribution) -> int:
    """Return S, the number of normal numbers that one sample of a prior takes.

    Raises:
        UserError: Samples of this distribution are no function of normal noise here.
    """
    size = p.event_shape.numel()
    match p:
        case MixtureSameFamily() if _is_gaussian(p.component_distribution):
            return size + 1  # the first chooses the component
        case CodeSequence():
            return p.tokens
        case OneHots():
            return p.logits.shape[-2]
        case Flowed():
            return width(p.base)
        case Chain() | MultivariateNormal():
            return size
        case VonMisesFisher() if not p.concentration.any():
            return size
        case Independent(base_dist=base):
            with suppress(NotImplementedError):  # torch's answer where there is no inverse
                base.icdf(torch.tensor(0.5))
                return size
    raise _refused(p)


def _refused(p: Distribution) -> UserError:
    return UserError(
        f"model.prior: {type(p).__name__} has no samples as a function of normal noise; "
        "sample it in Python, or fit another prior with vaelab fit-prior"
    )


def sample(p: Distribution, noise: Tensor) -> Tensor:
    """Return samples z (N, L) of a prior, batch shape () or (N,), for noise (N, S).

    Raises:
        UserError: Samples of this distribution are no function of normal noise here.
    """
    match p:
        case Independent(base_dist=Normal() as normal):
            return normal.loc + normal.scale * noise
        case MultivariateNormal():
            return p.loc + (p.scale_tril @ noise[..., None])[..., 0]
        case MixtureSameFamily():
            return _of_mixture(p, noise)
        case Flowed():
            z = sample(p.base, noise)
            for step in p.steps:
                z = step(z)
            return z
        case VonMisesFisher():  # uniform
            return normalize(noise, dim=-1)
        case Chain():
            return _along(p, noise)
        case CodeSequence():
            return _in_turn(p, noise)
        case OneHots():
            index = _chosen(p.logits.exp(), noise)
            return one_hot(index, p.logits.shape[-1]).to(noise).flatten(-2)
        case Independent(base_dist=base):
            quantile: Tensor = base.icdf(_uniform(noise))
            return quantile
    raise _refused(p)


def _is_gaussian(p: Distribution) -> bool:
    return isinstance(p, MultivariateNormal) or (
        isinstance(p, Independent) and isinstance(p.base_dist, Normal)
    )


def _uniform(noise: Tensor) -> Tensor:
    """Phi(n), inside (0, 1)."""
    tiny = torch.finfo(noise.dtype).eps
    u: Tensor = torch.special.ndtr(noise).clamp(tiny, 1 - tiny)
    return u


def _chosen(probabilities: Tensor, noise: Tensor) -> Tensor:
    """Return indices (...) of the probabilities (..., C) by noise (...)."""
    below: Tensor = (probabilities.cumsum(-1)[..., :-1] < _uniform(noise)[..., None]).sum(-1)
    return below


def _of_mixture(p: MixtureSameFamily, noise: Tensor) -> Tensor:
    parts: Any = p.component_distribution
    i, normal = _chosen(p.mixture_distribution.probs, noise[:, 0]), noise[:, 1:]
    z: Tensor
    if isinstance(parts, MultivariateNormal):
        z = parts.loc[i] + (parts.scale_tril[i] @ normal[..., None])[..., 0]
    else:
        z = parts.base_dist.loc[i] + parts.base_dist.scale[i] * normal
    return z


def _along(p: Chain, noise: Tensor) -> Tensor:
    """One level after the other, each given the one before it."""
    parts = noise.split(p.sizes, -1)
    z = sample(p.first, parts[p.order[0]])
    levels = {p.order[0]: z}
    for i in p.order[1:]:
        z = levels[i] = sample(p.given(i, z), parts[i])
    return torch.cat([levels[i] for i in range(len(levels))], -1)


def _in_turn(p: CodeSequence, noise: Tensor) -> Tensor:
    """One index after the other, each given those before it."""
    start = p.start.expand(noise.shape[0], p.start.shape[-1])
    indices = torch.zeros(noise.shape[0], 0, dtype=torch.int64)
    for t in range(p.tokens):
        probabilities = p.prior.logits(start, indices)[:, -1].softmax(-1)
        indices = torch.cat([indices, _chosen(probabilities, noise[:, t])[:, None]], 1)
    return p.encoder.vectors(indices)
