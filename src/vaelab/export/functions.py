"""The functions of a trained model as programs: what the explorer runs in a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Independent, kl_divergence

from vaelab.errors import UserError
from vaelab.export.kernels import run
from vaelab.export.program import Program
from vaelab.export.trace import trace
from vaelab.models import VAE, Delta

Functions: TypeAlias = dict[str, Program | str]

# 16-bit fixed point with a scale for each row is as small as float16 and a few times as exact: its
# error is at most 2^-16 of the largest weight of a row, that of float16 2^-12 of each weight.
PARITY = 5e-5  # the largest difference that it may make to an output
TRIES = 8  # random inputs, beside the given ones, on which the difference is measured


class _Function(nn.Module):
    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae = vae


class Encode(_Function):
    """x -> E[z|x] and, where the posterior has one in closed form, the deviation of each z_i."""

    def forward(self, x: Tensor, *y: Tensor) -> tuple[Tensor, ...]:
        q = self.vae.encoder(x, *y)
        if isinstance(q, Delta):
            return q.mean, torch.zeros_like(q.mean)
        try:
            return q.mean, q.variance.sqrt()
        except NotImplementedError:
            return (q.mean,)


class Decode(_Function):
    """z -> E[x|z] and, where the likelihood has one in closed form, the variance of each x_i."""

    def forward(self, z: Tensor, *y: Tensor) -> tuple[Tensor, ...]:
        p = self.vae.decoder(z, *y)
        try:
            return p.mean, p.variance
        except NotImplementedError:
            return (p.mean,)


class Distortion(_Function):
    """x, z -> -log p(x|z), in nats."""

    def forward(self, x: Tensor, z: Tensor, *y: Tensor) -> Tensor:
        log_p: Tensor = self.vae.decoder(z, *y).log_prob(x)
        return -log_p


class Rates(_Function):
    """x -> KL(q(z|x) || p(z)) of each dimension where they factorise, else the whole, in nats."""

    def forward(self, x: Tensor, *y: Tensor) -> Tensor:
        q, p = self.vae.encoder(x, *y), self.vae.prior(*y)
        if isinstance(q, Independent) and isinstance(p, Independent):
            return kl_divergence(q.base_dist, p.base_dist)
        return kl_divergence(q, p)[:, None]


def functions(vae: VAE, x: Tensor) -> Functions:
    """Return the programs `encode`, `decode`, `distortion` and `rates` of a model.

    Each takes a batch of one row, and in a conditional model the index of the class last. Where a
    function has no program, the reason is there instead, as a sentence.

    Args:
        vae: The model, in evaluation mode.
        x: Some rows of its data (N, *shape), on which the programs are compared with the model.
    """
    given = (torch.zeros(1, dtype=torch.int64),) if len(vae.classes) else ()
    x = vae._images(x).cpu()
    z = torch.randn(TRIES, vae.latent, generator=torch.Generator().manual_seed(0))
    found = {
        "encode": _traced(Encode(vae), (x[:1], *given)),
        "decode": _traced(Decode(vae), (z[:1], *given)),
        "distortion": _traced(Distortion(vae), (x[:1], z[:1], *given)),
        "rates": _traced(Rates(vae), (x[:1], *given)),
    }
    return found


def _traced(function: nn.Module, example: tuple[Tensor, ...]) -> Program | str:
    try:
        return trace(function, *example)
    except UserError as error:
        return str(error)
