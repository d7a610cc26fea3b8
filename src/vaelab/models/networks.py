"""Networks from any data shape to features, and from a code back to the shape: (H, W), (C, H, W) or (D,).

A builder takes the model's settings, the shape of the data, the number of inputs of the decoder and the number P of
outputs that its likelihood needs for each element.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from vaelab.errors import UserError
from vaelab.models.linear import Linear
from vaelab.recipes import Model

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Networks(NamedTuple):
    """An encoder (B, *shape) -> (B, features) and a decoder (B, inputs) -> (B, P, *shape), outputs unbounded."""

    encoder: nn.Module
    features: int
    decoder: nn.Module


def mlp(settings: Model, shape: tuple[int, ...], inputs: int, outputs: int) -> Networks:
    """Fully connected layers of the widths `hidden`, mirrored in the decoder; a linear map where there are none."""
    size = math.prod(shape)
    down, up = [size, *settings.hidden], [inputs, *reversed(settings.hidden)]
    encoder: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(down):
        encoder += [Linear(before, after), *_after(settings, nn.BatchNorm1d(after))]
    decoder: list[nn.Module] = []
    for before, after in pairwise(up):
        decoder += [Linear(before, after), *_after(settings, nn.BatchNorm1d(after))]
    decoder += [Linear(up[-1], outputs * size), nn.Unflatten(1, (outputs, *shape))]
    return Networks(nn.Sequential(*encoder), down[-1], nn.Sequential(*decoder))


def conv(settings: Model, shape: tuple[int, ...], inputs: int, outputs: int) -> Networks:
    """4x4 convolutions of stride 2 with the channels `hidden`, mirrored by transposed ones in the decoder.

    Each halves height and width, rounding down; the decoder gives the odd row or column back, so any size from
    2^len(hidden) pixels up comes out as it went in.
    """
    sizes, colours = _halved(settings, shape), math.prod(shape[:-2])
    down, up = [colours, *settings.hidden], [outputs * colours, *settings.hidden]
    bottom = (down[-1], *sizes[-1])
    encoder = _with_channels(shape)
    for before, after in pairwise(down):
        encoder += [nn.Conv2d(before, after, 4, 2, 1), *_after(settings, nn.BatchNorm2d(after))]
    decoder: list[nn.Module] = [Linear(inputs, math.prod(bottom)), nn.Unflatten(1, bottom)]
    for i in reversed(range(len(settings.hidden))):
        decoder += [_doubled(up[i + 1], up[i], sizes[i])]
        decoder += _after(settings, nn.BatchNorm2d(up[i])) if i else []
    decoder += [nn.Unflatten(1, (outputs, *shape[:-2]))]
    return Networks(
        nn.Sequential(*encoder, nn.Flatten()), math.prod(bottom), nn.Sequential(*decoder)
    )


def resnet(settings: Model, shape: tuple[int, ...], inputs: int, outputs: int) -> Networks:
    """A 3x3 convolution, then as in `conv` each halving to the channels `hidden`, and two residual blocks after it.

    The decoder mirrors them. Only the blocks, and the decoder's last layer, see their input through an activation.
    """
    sizes, colours = _halved(settings, shape), math.prod(shape[:-2])
    channels = [settings.hidden[0], *settings.hidden]
    bottom = (channels[-1], *sizes[-1])
    encoder = [*_with_channels(shape), nn.Conv2d(colours, channels[0], 3, padding=1)]
    for before, after in pairwise(channels):
        encoder += [
            nn.Conv2d(before, after, 4, 2, 1),
            Residual(settings, after),
            Residual(settings, after),
        ]
    decoder: list[nn.Module] = [Linear(inputs, math.prod(bottom)), nn.Unflatten(1, bottom)]
    for i in reversed(range(len(settings.hidden))):
        before, after = channels[i + 1], channels[i]
        decoder += [
            Residual(settings, before),
            Residual(settings, before),
            _doubled(before, after, sizes[i]),
        ]
    decoder += _after(settings, nn.BatchNorm2d(channels[0]))
    decoder += [
        nn.Conv2d(channels[0], outputs * colours, 3, padding=1),
        nn.Unflatten(1, (outputs, *shape[:-2])),
    ]
    for layer in (
        encoder + decoder
    ):  # past the blocks the variance is kept at first, else z fades and the rate collapses
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            taps = math.prod(layer.kernel_size) / (
                math.prod(layer.stride) if layer.transposed else 1
            )
            nn.init.normal_(layer.weight, std=(taps * layer.in_channels) ** -0.5)
    return Networks(
        nn.Sequential(*encoder, nn.Flatten()), math.prod(bottom), nn.Sequential(*decoder)
    )


class Residual(nn.Module):
    """x + f(x) for images x (B, C, H, W): f is twice an activation and a 3x3 convolution.

    The last convolution starts at a tenth of its usual size, so that the block starts close to the identity.
    He, Zhang, Ren & Sun, Identity mappings in deep residual networks, 2016, arXiv:1603.05027.
    """

    def __init__(self, settings: Model, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [
                *_after(settings, nn.BatchNorm2d(channels)),
                nn.Conv2d(channels, channels, 3, padding=1),
            ]
        with torch.no_grad():
            for parameter in layers[-1].parameters():
                parameter.mul_(
                    0.1
                )  # not by 0, which would leave the first convolution without a gradient
        self.branch = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        moved: Tensor = x + self.branch(x)
        return moved


def _halved(settings: Model, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Height and width after 0, 1, ... halvings, one for each number of channels."""
    if len(shape) not in (2, 3):
        raise UserError(
            f"model.network: {settings.network} needs images, these data have shape {shape}; use --model.network mlp"
        )
    if not settings.hidden:
        raise UserError(
            f"model.hidden: {settings.network} needs at least one number of channels, such as 32,64"
        )
    sizes = [(shape[-2] >> i, shape[-1] >> i) for i in range(len(settings.hidden) + 1)]
    if min(sizes[-1]) < 1:
        raise UserError(
            f"model.hidden: images of {shape[-2]}x{shape[-1]} cannot be halved {len(settings.hidden)} times; "
            "name fewer channels or use --model.network mlp"
        )
    return sizes


def _with_channels(shape: tuple[int, ...]) -> list[nn.Module]:
    """What turns images (B, H, W) into (B, 1, H, W); nothing where they have channels."""
    return [nn.Unflatten(1, (1, shape[0]))] if len(shape) == 2 else []


def _doubled(before: int, after: int, size: tuple[int, int]) -> nn.ConvTranspose2d:
    """Images of half the size, rounded down, back to the size."""
    return nn.ConvTranspose2d(before, after, 4, 2, 1, output_padding=(size[0] % 2, size[1] % 2))


class OfCounts(nn.Module):
    """An encoder network that sees log(1 + x) of counts x, which may reach into the thousands."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, *y: Tensor) -> Tensor:
        features: Tensor = self.network(x.log1p(), *y)
        return features


class SeesLabel(nn.Module):
    """An encoder network that is told the class y (B,): an image learned for each class, at first 0, is added to x."""

    def __init__(self, network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.network, self.label = network, nn.Embedding(classes, math.prod(shape))
        nn.init.zeros_(self.label.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        seen: Tensor = self.network(x + self.label(y).view_as(x))
        return seen


class JoinsLabel(nn.Module):
    """A decoder network that is told the class y (N,): it follows the code as a one-hot vector."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        outputs: Tensor = self.network(torch.cat([z, one_hot(y, self.classes).to(z)], 1))
        return outputs


class First(nn.Module):
    """A decoder network that sees only the first n dimensions of the code: where z has levels, the lowest."""

    def __init__(self, network: nn.Module, n: int) -> None:
        super().__init__()
        self.network, self.n = network, n

    def forward(self, z: Tensor, *y: Tensor) -> Tensor:
        outputs: Tensor = self.network(z[:, : self.n], *y)
        return outputs


def at_least_float32(outputs: Tensor) -> Tensor:
    """Half-precision outputs of a network as float32, in which densities are worked out; others as they are."""
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs


def _after(settings: Model, norm: nn.Module) -> list[nn.Module]:
    """What follows the affine map of a hidden layer, or precedes one in a residual block."""
    layers = [norm] if settings.batch_norm else []
    layers += [ACTIVATIONS[settings.activation]()]
    return layers + ([nn.Dropout(settings.dropout)] if settings.dropout else [])
