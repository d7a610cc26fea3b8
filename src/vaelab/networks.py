"""Networks from any data shape to features, and from a code back to the shape: (H, W), (C, H, W) or (D,)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaelab.errors import UserError
from vaelab.linear import Linear
from vaelab.recipe import Model

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Networks(NamedTuple):
    """An encoder (B, *shape) -> (B, features) and a decoder (B, latent) -> (B, *shape), outputs unbounded."""

    encoder: nn.Module
    features: int
    decoder: nn.Module


def mlp(settings: Model, shape: tuple[int, ...]) -> Networks:
    """Fully connected layers of the widths `hidden`, mirrored in the decoder; a linear map where there are none."""
    size = math.prod(shape)
    down, up = [size, *settings.hidden], [settings.latent, *reversed(settings.hidden)]
    encoder: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(down):
        encoder += [Linear(inputs, outputs), *_after(settings, nn.BatchNorm1d(outputs))]
    decoder: list[nn.Module] = []
    for inputs, outputs in pairwise(up):
        decoder += [Linear(inputs, outputs), *_after(settings, nn.BatchNorm1d(outputs))]
    decoder += [Linear(up[-1], size), nn.Unflatten(1, shape)]
    return Networks(nn.Sequential(*encoder), down[-1], nn.Sequential(*decoder))


def conv(settings: Model, shape: tuple[int, ...]) -> Networks:
    """4x4 convolutions of stride 2 with the channels `hidden`, mirrored by transposed ones in the decoder.

    Each halves height and width, rounding down; the decoder gives the odd row or column back, so any size from
    2^len(hidden) pixels up comes out as it went in.
    """
    if len(shape) not in (2, 3):
        raise UserError(f"model.network: conv needs images, these data have shape {shape}; use --model.network mlp")
    if not settings.hidden:
        raise UserError("model.hidden: conv needs at least one number of channels, such as 32,64")
    channels = [1 if len(shape) == 2 else shape[0], *settings.hidden]
    sizes = [(shape[-2] >> i, shape[-1] >> i) for i in range(len(channels))]  # height and width after i halvings
    if min(sizes[-1]) < 1:
        raise UserError(
            f"model.hidden: images of {shape[-2]}x{shape[-1]} cannot be halved {len(settings.hidden)} times; "
            "name fewer channels or use --model.network mlp"
        )
    bottom = (channels[-1], *sizes[-1])
    encoder: list[nn.Module] = [nn.Unflatten(1, (1, shape[0]))] if len(shape) == 2 else []
    for inputs, outputs in pairwise(channels):
        encoder += [nn.Conv2d(inputs, outputs, 4, 2, 1), *_after(settings, nn.BatchNorm2d(outputs))]
    decoder: list[nn.Module] = [Linear(settings.latent, math.prod(bottom)), nn.Unflatten(1, bottom)]
    for i in reversed(range(len(settings.hidden))):
        odd = (sizes[i][0] % 2, sizes[i][1] % 2)
        decoder += [nn.ConvTranspose2d(channels[i + 1], channels[i], 4, 2, 1, output_padding=odd)]
        decoder += _after(settings, nn.BatchNorm2d(channels[i])) if i else []
    decoder += [nn.Flatten(1, 2)] if len(shape) == 2 else []
    return Networks(nn.Sequential(*encoder, nn.Flatten()), math.prod(bottom), nn.Sequential(*decoder))


def at_least_float32(outputs: Tensor) -> Tensor:
    """Half-precision outputs of a network as float32, in which densities are worked out; others as they are."""
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs


def _after(settings: Model, norm: nn.Module) -> list[nn.Module]:
    """What follows the affine map of a hidden layer."""
    layers = [norm] if settings.batch_norm else []
    layers += [ACTIVATIONS[settings.activation]()]
    return layers + ([nn.Dropout(settings.dropout)] if settings.dropout else [])
