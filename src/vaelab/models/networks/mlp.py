"""Fully connected networks, for data of any shape."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

from torch import nn

from vaelab.models.linear import Linear
from vaelab.models.networks.layers import Networks, activated


def mlp(
    shape: tuple[int, ...],
    inputs: int,
    outputs: int,
    hidden: tuple[int, ...],
    activation: str,
    batch_norm: bool,
    dropout: float,
) -> Networks:
    """Fully connected layers of the widths `hidden`, mirrored in the decoder; a linear map where
    there are none.
    """
    after = partial(activated, activation=activation, batch_norm=batch_norm, dropout=dropout)
    size = math.prod(shape)
    down, up = [size, *hidden], [inputs, *reversed(hidden)]
    encoder: list[nn.Module] = [nn.Flatten()]
    for below, above in pairwise(down):
        encoder += [Linear(below, above), *after(nn.BatchNorm1d(above))]
    decoder: list[nn.Module] = []
    for below, above in pairwise(up):
        decoder += [Linear(below, above), *after(nn.BatchNorm1d(above))]
    decoder += [Linear(up[-1], outputs * size), nn.Unflatten(1, (outputs, *shape))]
    return Networks(nn.Sequential(*encoder), down[-1], nn.Sequential(*decoder))
