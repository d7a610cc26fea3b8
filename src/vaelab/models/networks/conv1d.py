"""One-dimensional convolutional networks, for signals of any length."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from vaelab.errors import UserError
from vaelab.models.linear import Linear
from vaelab.models.networks.layers import Networks, activated

TAPS = 5  # of every kernel


def conv1d(
    shape: tuple[int, ...],
    inputs: int,
    outputs: int,
    hidden: tuple[int, ...],
    activation: str,
    batch_norm: bool,
    dropout: float,
) -> Networks:
    """Convolutions over time of stride 2 with the channels `hidden`; the decoder mirrors them.

    Each convolution halves the number of steps, rounding up, so signals (L,) or (C, L) of any
    length keep it. The decoder repeats every step and convolves, which leaves no checkerboard, as
    transposed convolutions do (Odena, Dumoulin & Olah 2016, doi:10.23915/distill.00003).

    Raises:
        UserError: `hidden` is empty.
    """
    if not hidden:
        raise UserError(
            "model.hidden: conv1d needs at least one number of channels; set model.hidden to 32,64"
        )
    after = partial(activated, activation=activation, batch_norm=batch_norm, dropout=dropout)
    steps, channels = [shape[-1]], math.prod(shape[:-1])
    for _ in hidden:
        steps.append(-(-steps[-1] // 2))
    down, up = [channels, *hidden], [outputs * channels, *hidden]
    bottom = (down[-1], steps[-1])
    encoder: list[nn.Module] = [nn.Unflatten(1, (channels, steps[0]))] if len(shape) == 1 else []
    for below, above in pairwise(down):
        encoder += [nn.Conv1d(below, above, TAPS, 2, TAPS // 2), *after(nn.BatchNorm1d(above))]
    decoder: list[nn.Module] = [Linear(inputs, math.prod(bottom)), nn.Unflatten(1, bottom)]
    for i in reversed(range(len(hidden))):
        decoder += [Repeated(steps[i]), nn.Conv1d(up[i + 1], up[i], TAPS, padding=TAPS // 2)]
        decoder += after(nn.BatchNorm1d(up[i])) if i else []
    decoder += [nn.Unflatten(1, (outputs, *shape[:-1]))]
    return Networks(
        nn.Sequential(*encoder, nn.Flatten()), math.prod(bottom), nn.Sequential(*decoder)
    )


class Repeated(nn.Module):
    """Repeat every step of signals (B, C, ceil(L / 2)) to (B, C, L)."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensor) -> Tensor:
        return x[..., None].expand(*x.shape, 2).flatten(2)[..., : self.steps]
