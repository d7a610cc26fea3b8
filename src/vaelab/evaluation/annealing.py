"""log p(x) by annealed importance sampling: a second opinion on importance weights, in nats per image.

Neal, Annealed importance sampling, 2001, arXiv:physics/9803008. Wu, Burda, Salakhutdinov & Grosse, On the quantitative
analysis of decoder-based generative models, 2017, arXiv:1611.04273.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor
from torch.distributions import Distribution
from tqdm import tqdm

from vaelab import devices
from vaelab.models import VAE, outputs
from vaelab.seeding import seeded

CHAINS = 16  # for each image
PILOTS = 4  # chains for each image, run before, that choose the sizes of the steps
TEMPERATURES = 500  # from the prior to the posterior
LEAPS = 3  # steps of a trajectory
ACCEPTED = 0.65  # the share of trajectories that is best accepted (Neal, MCMC using Hamiltonian dynamics, 2011)

# z (C, B, L) -> log p(x|z) and log p(z), (2, C, B), and the gradient of each, (2, C, B, L)
Densities: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]


@torch.no_grad()
def annealed(vae: VAE, x: Tensor, y: Tensor | None, seed: int, quiet: bool = True) -> Tensor:
    """Log weights of C chains for each of the images x (N, *shape), labels y (N,) where conditional: (C, N), float64.

    A weight is p(x) in expectation, so the log of their mean is below log p(x) in expectation, the less the more nearly
    they are equal. z must be real-valued. Chains start from p(z), so they find what q(z|x) overlooks (chains from
    q(z|x) agree with one another sooner, and with q's mistakes: on a model of two dimensions they missed up to 33
    nats). Of q they use the width. A narrow mode that hardly any chain comes by they overlook, too.
    """
    found = []
    bar = tqdm(total=len(x), desc="annealing", unit="image", disable=quiet or None, leave=False)
    with bar:
        given = vae.given(None if y is None else y[:1])
        rows = devices.at_once(64 * outputs(vae, vae.encoder(x[:1], *given).mean, given))
        for i, index in enumerate(
            torch.arange(len(x), device=x.device).split(max(1, rows // CHAINS))
        ):
            given = vae.given(None if y is None else y[index])
            q, p = vae.encoder(x[index], *given), vae.prior(*given)
            densities = _densities(vae, x[index], given, p)
            noise = seeded(seed, "annealing", i)
            with noise:
                widths = moments(p)[1], moments(q)[1]
                pilots, chains = (
                    p.sample(torch.Size([n] if p.batch_shape else [n, len(index)]))
                    for n in (PILOTS, CHAINS)
                )
            # Sizes chosen on the way by the chains that are weighed would bias the weights.
            sizes = anneal(densities, pilots, widths, None, noise)[1]
            found.append(anneal(densities, chains, widths, sizes, noise)[0])
            bar.update(len(index))
    return torch.cat(found, 1).cpu()


def moments(p: Distribution) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each dimension, by 1000 samples, for not all distributions know theirs."""
    z = p.sample(torch.Size([1000]))
    return z.mean(0), z.std(0)


def anneal(
    densities: Densities,
    z: Tensor,
    widths: tuple[Tensor, Tensor],
    sizes: list[Tensor] | None,
    noise: AbstractContextManager[object],
) -> tuple[Tensor, list[Tensor]]:
    """Log weights (C, B) in float64 of C chains for each of B images, from z ~ p(z) (C, B, L) to p(z|x):

        log w = sum_t (t' - t) log p(x|z_t),  t = 0 .. 1 as squares, for p(x|z) is steep at first,

    z_t after a trajectory that keeps p(z) p(x|z)^t: LEAPS leapfrog steps with fresh momentum, accepted or not (Neal
    2011), in proportion to a width between `widths`, those of p(z) and p(z|x) in each dimension. `sizes` (TEMPERATURES
    of (B,)) are those of the steps; None: they move to where the share accepted is ACCEPTED. Those used are returned.
    """
    used, size = [], z.new_full(z.shape[1:2], 0.5)
    log_w = torch.zeros(z.shape[:2], dtype=torch.float64, device=z.device)
    log_p, slopes = densities(z)
    times = torch.linspace(0, 1, TEMPERATURES + 1).square().tolist()
    for i, (before, t) in enumerate(pairwise(times)):
        log_w += (t - before) * log_p[0]
        size = size if sizes is None else sizes[i]
        width = ((1 - t) / widths[0] ** 2 + t / widths[1] ** 2) ** -0.5
        with noise:
            jitter = 0.6 + 0.8 * torch.rand_like(
                log_p[0]
            )  # or trajectories might come back to where they began
            momentum = torch.randn_like(z)
        step = (size * jitter)[..., None] * width  # (C, B, L)
        start = t * log_p[0] + log_p[1] - momentum.square().sum(-1) / 2
        there, log_there, slopes_there = z, log_p, slopes
        for _ in range(LEAPS):
            momentum = momentum + step / 2 * (t * slopes_there[0] + slopes_there[1])
            there = there + step * momentum
            log_there, slopes_there = densities(there)
            momentum = momentum + step / 2 * (t * slopes_there[0] + slopes_there[1])
        change = t * log_there[0] + log_there[1] - momentum.square().sum(-1) / 2 - start
        with noise:
            accepted = torch.rand_like(change).log() < change  # not where it is NaN
        z, slopes = (
            torch.where(accepted[..., None], *two) for two in ((there, z), (slopes_there, slopes))
        )
        log_p = torch.where(accepted, log_there, log_p)
        used.append(size)
        if sizes is None:
            share = change.clamp(max=0).exp().nan_to_num(0).mean(0)  # (B,)
            size = (size * (0.2 * (share - ACCEPTED)).exp()).clamp(max=2)
    return log_w, used


def _densities(vae: VAE, x: Tensor, given: tuple[Tensor, ...], p: Distribution) -> Densities:
    def densities(z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            both = vae.decoder(z, *given).log_prob(x), p.log_prob(z)
            slopes = [torch.autograd.grad(log_p.sum(), z)[0] for log_p in both]
        return torch.stack(both).detach(), torch.stack(slopes)

    return densities
