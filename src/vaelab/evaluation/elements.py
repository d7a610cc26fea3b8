"""Which elements of a row are surprising: -log p(x_i|z) under the importance-weighted posterior."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from vaelab.data import windows
from vaelab.errors import UserError
from vaelab.models import VAE, Draw, Point, sampled
from vaelab.seeding import seeded


@torch.no_grad()
def element_scores(
    vae: VAE, x: Tensor, k: int = 64, seed: int = 0, y: Tensor | None = None
) -> Tensor:
    """Return how surprising each element of each row is, (N, *shape), in nats.

        E_w[-log p(x_i|z)] = sum_k w_k (-log p(x_i|z_k)),    z_k ~ q(z|x)

    The weights w_k are p(x, z_k) / q(z_k|x), normalised to the sum 1, so that the expectation
    approaches that over the true posterior p(z|x) as k grows. All rows get the same random numbers
    and are scored one after the other: a score does not depend on the other rows.

    Args:
        vae: The model, in evaluation mode.
        x: Rows (N, *shape) as the model sees them.
        k: Samples for each row.
        seed: Seed of the samples.
        y: Labels (N,), for conditional models.

    Raises:
        UserError: k is below 1, or the model is an autoencoder, whose code has no density.

    References:
        Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, 2016, arXiv:1509.00519.
    """
    if k < 1:
        raise UserError(f"k: expected a number of samples of at least 1, got {k}")
    if isinstance(vae.encoder, Point):
        raise UserError("an autoencoder has no likelihood: its code is a point without a density")
    given = vae.given(y)
    rows = zip(x.split(1), *(labels.split(1) for labels in given), strict=True)
    return torch.cat([_scored(vae, k, seed, *row) for row in rows])


def _scored(vae: VAE, k: int, seed: int, x: Tensor, *given: Tensor) -> Tensor:
    """The scores of one row x (1, *shape), with as many codes decoded at once as memory allows."""
    q = vae.encoder(x, *given)
    with seeded(seed, "element scores"):
        z, log_qz = sampled(q, k)  # (K, 1, L)
    draw = Draw(z, z.new_zeros(z.shape[:2]), q, vae.prior(*given), log_qz=log_qz)
    size, mass = vae.rows_at_once(), torch.full((1,), -torch.inf, dtype=torch.float64)
    found = torch.zeros(x.shape, dtype=torch.float64)
    mass, found = mass.to(x.device), found.to(x.device)
    for codes, log_w in zip(z.split(size), draw.log_weight.double().split(size), strict=True):
        log_p = vae.decoder(codes, *given).base_dist.log_prob(x).double()  # (k, 1, *shape)
        log_w = log_w + log_p.flatten(2).sum(2)
        total = torch.logaddexp(mass, log_w.logsumexp(0))
        w = (log_w - total).exp().view(-1, *[1] * x.dim())
        found = found * (mass - total).exp() - (w * log_p).sum(0)
        mass = total
    return found


def overlaid(scores: Tensor, first: ArrayLike, steps: int) -> Tensor:
    """Return the mean over the windows that cover a step, (*C, steps); NaN where none does.

    Args:
        scores: The scores of windows, (N, *C, window).
        first: The first step of each window, (N,).
        steps: The length of the signal.
    """
    index = torch.as_tensor(np.asarray(first))[:, None] + torch.arange(scores.shape[-1])  # (N, W)
    flat = scores.movedim(0, -2).flatten(-2)  # (*C, N W)
    total = scores.new_zeros(*scores.shape[1:-1], steps).index_add_(-1, index.flatten(), flat)
    return total / torch.bincount(index.flatten(), minlength=steps)


def step_scores(vae: VAE, signal: Tensor, stride: int = 0, k: int = 64, seed: int = 0) -> Tensor:
    """Return how surprising each step of a long signal is, (T,), in nats per time step.

    The signal is cut into windows, the last of which ends with it; a step gets the mean over the
    windows that cover it of the sum over the channels of `element_scores`.

    Args:
        vae: A model of windows (L,) or (C, L), in evaluation mode.
        signal: The signal, (T,) or (T, C).
        stride: Steps from one window to the next; 0 for a quarter of a window.
        k: Samples for each window.
        seed: Seed of the samples.

    Raises:
        UserError: The signal is shorter than a window or has other channels; or as
            `element_scores`.
    """
    window, series = vae.shape[-1], signal[:, None] if signal.dim() == 1 else signal
    if len(series) < window or series.shape[1:] != (vae.shape[:-1] or (1,)):
        raise UserError(
            f"signal: expected at least {window} steps of {(*vae.shape[:-1], 1)[0]} channels, "
            f"got {tuple(series.shape)}; give (T, C)"
        )
    first = windows.starts(len(series), window, stride or max(1, window // 4), whole=True)
    rows = torch.stack([series[start : start + window].T for start in first.tolist()])
    scores = element_scores(vae, rows.view(-1, *vae.shape), k, seed)
    return overlaid(scores.view(len(rows), -1, window).sum(1), first, len(series))
