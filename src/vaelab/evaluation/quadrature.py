"""log p(x) by quadrature over one or two latent dimensions, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from tqdm import tqdm

from vaelab.evaluation.annealing import moments
from vaelab.evaluation.likelihood import decoded
from vaelab.models import VAE
from vaelab.seeding import seeded

START, HALVING, CELLS, DEEP, KEPT = 4096, 0.001, 2**18, 20, 500


@torch.no_grad()
def quadrature(
    vae: VAE, x: Tensor, y: Tensor | None = None, quiet: bool = True
) -> tuple[Tensor, Tensor]:
    """log of the integral of p(z) p(x|z) over z of 1 or 2 dimensions, (N,), and what the last halving changed, (N,).

    Midpoint rule. At first START cells cover the samples of the prior and 8 standard deviations of q(z|x). All are
    halved in each dimension but those DEEP nats below the highest, not among the KEPT highest and beyond 4 deviations
    of q, until they are no wider than a deviation of q and halving changes less than HALVING. For cells of width h and
    a smooth posterior of width s the error falls as exp(-2 pi^2 s^2 / h^2): by then it is nothing. But what the first
    cells do not show, a mode much narrower than they are and far from q, is overlooked, and halving cannot tell.
    """
    found = []
    with seeded(0, "quadrature"):
        for i in tqdm(
            range(len(x)), desc="quadrature", unit="image", disable=quiet or None, leave=False
        ):
            given = vae.given(None if y is None else y[i : i + 1])
            found.append(_integral(vae, x[i : i + 1], given))
    total, change = torch.tensor(found, dtype=torch.float64).unbind(1)
    return total, change


def _integral(vae: VAE, x: Tensor, given: tuple[Tensor, ...]) -> tuple[float, float]:
    """`quadrature` of one image."""
    p = vae.prior(*given)
    (mean,), (deviation,) = moments(vae.encoder(x, *given))  # (L,)
    prior = p.sample(torch.Size([10_000])).view(-1, len(mean))
    low, high = prior.amin(0), prior.amax(0)
    margin = (high - low) / 4
    low, high = (
        torch.minimum(low - margin, mean - 8 * deviation),
        torch.maximum(high + margin, mean + 8 * deviation),
    )
    across = round(START ** (1 / len(mean)))
    half = (high - low) / 2 / across  # half of a cell's width, (L,)
    middles = [
        a + h * torch.arange(1, 2 * across, 2).to(low) for a, h in zip(low, half, strict=True)
    ]
    z = torch.cartesian_prod(*middles).view(-1, len(mean))  # (C, L)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).to(low)] * len(mean)).view(
        -1, len(mean)
    )
    before = math.inf
    while True:
        log_f = (decoded(vae, z[:, None], x, given) + p.log_prob(z[:, None]))[:, 0].double()  # (C,)
        total = float(log_f.logsumexp(0) + (2 * half.double()).log().sum())
        change = abs(total - before)
        if (change < HALVING and (2 * half <= deviation).all()) or len(z) > CELLS:
            return total, change
        near = ((z - mean).abs() <= 4 * deviation + half).all(-1)
        half, before = half / 2, total
        floor = min(log_f.max() - DEEP, log_f.sort().values[-KEPT:][0])
        z = (z[near | (log_f >= floor)][:, None] + corners * half).flatten(0, 1)
