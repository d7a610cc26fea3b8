"""Convolutional networks, for images of any size."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

from torch import nn

from vaelab.models.convolutions import Conv2d, Doubling, Flatten
from vaelab.models.linear import Linear
from vaelab.models.networks.layers import Networks, activated, halved, with_channels


def conv(
    shape: tuple[int, ...],
    inputs: int,
    outputs: int,
    hidden: tuple[int, ...],
    activation: str,
    batch_norm: bool,
    dropout: float,
) -> Networks:
    """4x4 convolutions of stride 2 with the channels `hidden`, mirrored by transposed ones in the
    decoder.

    Each convolution halves height and width, rounding down; the decoder restores the odd row or
    column, so images of any size from 2^len(hidden) pixels keep their size.
    """
    after = partial(activated, activation=activation, batch_norm=batch_norm, dropout=dropout)
    sizes, colours = halved("conv", shape, hidden), math.prod(shape[:-2])
    down, up = [colours, *hidden], [outputs * colours, *hidden]
    bottom = (down[-1], *sizes[-1])
    encoder = with_channels(shape)
    for below, above in pairwise(down):
        encoder += [Conv2d(below, above, 4, 2, 1), *after(nn.BatchNorm2d(above))]
    decoder: list[nn.Module] = [Linear(inputs, math.prod(bottom)), nn.Unflatten(1, bottom)]
    for i in reversed(range(len(hidden))):
        decoder += [Doubling(up[i + 1], up[i], sizes[i])]
        decoder += after(nn.BatchNorm2d(up[i])) if i else []
    decoder += [nn.Unflatten(1, (outputs, *shape[:-2]))]
    return Networks(nn.Sequential(*encoder, Flatten()), math.prod(bottom), nn.Sequential(*decoder))
