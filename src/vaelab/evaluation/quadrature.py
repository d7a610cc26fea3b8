"""log p(x) by numerical quadrature over one or two latent dimensions, in nats."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vaelab.evaluation.annealing import moments
from vaelab.evaluation.likelihood import decoded
from vaelab.models import VAE
from vaelab.screen import bar
from vaelab.seeding import seeded

START = 4096  # cells at first
HALVING = 0.001  # nats; the change by the last halving of cells at which the result is accepted
CELLS = 2**18  # beyond this number cells are not halved again
DEEP, KEPT = 20, 500  # nats below the highest cell, and number of cells, that are always refined


@torch.no_grad()
def quadrature(
    vae: VAE, x: Tensor, y: Tensor | None = None, quiet: bool = True
) -> tuple[Tensor, Tensor]:
    """Integrate p(z) p(x|z) over a latent space of 1 or 2 dimensions by the midpoint rule.

    At first, START cells cover the prior samples and 8 standard deviations of q(z|x). Every step
    halves the cells in each dimension. It drops cells that are DEEP nats below the highest one, are
    not among the KEPT highest, and lie beyond 4 standard deviations of q. The steps end when a cell
    is at most as wide as a standard deviation of q and halving changes the result by less than
    HALVING nats, or when there are more than CELLS cells.

    For cells of width h and a smooth posterior of width s the error falls as
    exp(-2 pi^2 s^2 / h^2), so it is negligible by then. A mode that is much narrower than the first
    cells and far from q is missed, and halving does not reveal it.

    Returns:
        log p(x), (N,), and its change when the cells were last halved, (N,), both in nats.
    """
    found = []
    with seeded(0, "quadrature"):
        for i in bar(range(len(x)), "quadrature", len(x), "image", quiet):
            given = vae.given(None if y is None else y[i : i + 1])
            found.append(_integral(vae, x[i : i + 1], given))
    total, change = torch.tensor(found, dtype=torch.float64).unbind(1)
    return total, change


def _integral(vae: VAE, x: Tensor, given: tuple[Tensor, ...]) -> tuple[float, float]:
    """Return the log integral of one image and the last change."""
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
