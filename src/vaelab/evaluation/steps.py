"""How surprising each step of a long signal is: the scores of windows over one another."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from vaelab.data import windows
from vaelab.errors import UserError
from vaelab.models import VAE, scores


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
    windows that cover it of the sum over the channels of `vaelab.models.scores`.

    Args:
        vae: A model of windows (L,) or (C, L), in evaluation mode.
        signal: The signal, (T,) or (T, C).
        stride: Steps from one window to the next; 0 for a quarter of a window.
        k: Samples for each window.
        seed: Seed of the samples.

    Raises:
        UserError: The signal is shorter than a window or has other channels; or as
            `vaelab.models.scores`.
    """
    window, series = vae.shape[-1], signal[:, None] if signal.dim() == 1 else signal
    if len(series) < window or series.shape[1:] != (vae.shape[:-1] or (1,)):
        raise UserError(
            f"signal: expected at least {window} steps of {(*vae.shape[:-1], 1)[0]} channels, "
            f"got {tuple(series.shape)}; give (T, C)"
        )
    first = windows.starts(len(series), window, stride or max(1, window // 4), whole=True)
    rows = torch.stack([series[start : start + window].T for start in first.tolist()])
    each = scores(vae, rows.view(-1, *vae.shape), k, seed)
    found = torch.cat([row.elements for row in each])
    return overlaid(found.view(len(rows), -1, window).sum(1), first, len(series))
