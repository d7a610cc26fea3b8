"""Residual networks, for images of any size."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from vaelab.models.convolutions import Conv2d, Flatten
from vaelab.models.linear import Linear
from vaelab.models.networks.layers import Networks, activated, halved, with_channels


def resnet(
    shape: tuple[int, ...],
    inputs: int,
    outputs: int,
    hidden: tuple[int, ...],
    activation: str,
    batch_norm: bool,
    dropout: float,
) -> Networks:
    """4x4 convolutions of stride 2 to the channels `hidden`, with a residual block after each.

    The decoder mirrors them: a block, then the nearest pixel repeated and a 3x3 convolution,
    against the checkerboard of transposed convolutions. Activations stand only in the blocks and
    before the decoder's last layer.

    Odena, Dumoulin & Olah, Deconvolution and checkerboard artifacts, 2016,
    doi:10.23915/distill.00003.
    """
    after = partial(activated, activation=activation, batch_norm=batch_norm, dropout=dropout)
    sizes, colours = halved("resnet", shape, hidden), math.prod(shape[:-2])
    bottom = (hidden[-1], *sizes[-1])
    encoder = with_channels(shape)
    for below, above in pairwise([colours, *hidden]):
        encoder += [Conv2d(below, above, 4, 2, 1), Residual(above, after)]
    decoder: list[nn.Module] = [Linear(inputs, math.prod(bottom)), nn.Unflatten(1, bottom)]
    up = [hidden[0], *hidden]
    for i in reversed(range(len(hidden))):
        decoder += [Residual(up[i + 1], after), *_repeated(up[i + 1], up[i], sizes[i])]
    decoder += after(nn.BatchNorm2d(up[0]))
    decoder += [
        Conv2d(up[0], outputs * colours, 3, padding=1),
        nn.Unflatten(1, (outputs, *shape[:-2])),
    ]
    _keep_variance(encoder + decoder)
    return Networks(nn.Sequential(*encoder, Flatten()), math.prod(bottom), nn.Sequential(*decoder))


def _repeated(before: int, after: int, size: tuple[int, int]) -> list[nn.Module]:
    """Return the layers that double images to the size, whose halves are rounded down."""
    more = (size[0] % 2, size[1] % 2)
    kernel, padding = (3 + more[0], 3 + more[1]), (1 + more[0], 1 + more[1])
    return [nn.Upsample(scale_factor=2), Conv2d(before, after, kernel, padding=padding)]


def _keep_variance(layers: list[nn.Module]) -> None:
    """Initialise the convolutions outside the blocks to keep the variance; else z fades and the
    rate collapses.
    """
    for layer in layers:
        if isinstance(layer, Conv2d):
            taps = math.prod(layer.kernel_size)
            nn.init.normal_(layer.weight, std=(taps * layer.in_channels) ** -0.5)


class Residual(nn.Module):
    """x + f(x) for images x (B, C, H, W): f is twice an activation and a 3x3 convolution.

    The last convolution starts at a tenth of its usual size, so that the block starts close to the
    identity. He, Zhang, Ren & Sun, Identity mappings in deep residual networks, 2016,
    arXiv:1603.05027.
    """

    def __init__(self, channels: int, after: Callable[[nn.Module], list[nn.Module]]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            convolution = Conv2d(channels, channels, 3, padding=1)
            layers += [*after(nn.BatchNorm2d(channels)), convolution]
        with torch.no_grad():
            for parameter in layers[-1].parameters():
                parameter.mul_(0.1)  # 0 would leave the first convolution without a gradient
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        moved: Tensor = x + self.branch(x)
        return moved
