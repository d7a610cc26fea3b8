"""What the networks share: the type of their result, activations, and the layers that change the
image size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaelab.errors import UserError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class Networks(NamedTuple):
    """An encoder (B, *shape) -> (B, features) and a decoder (B, inputs) -> (B, P, *shape), outputs
    unbounded.
    """

    encoder: nn.Module
    features: int
    decoder: nn.Module


def activated(
    norm: nn.Module, *, activation: str, batch_norm: bool, dropout: float
) -> list[nn.Module]:
    """Return what follows the affine map of a hidden layer: normalisation, activation and dropout,
    as asked for.
    """
    layers = [norm] if batch_norm else []
    layers += [ACTIVATIONS[activation]()]
    return layers + ([nn.Dropout(dropout)] if dropout else [])


def halved(network: str, shape: tuple[int, ...], hidden: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return height and width after 0, 1, ... halvings, one for each number of channels.

    Raises:
        UserError: If the data are no images, or too small to be halved that often.
    """
    if len(shape) not in (2, 3):
        raise UserError(
            f"model.network: {network} needs images (these data have shape {shape}); "
            "set model.network to mlp"
        )
    if not hidden:
        raise UserError(
            f"model.hidden: {network} needs at least one number of channels; "
            "set model.hidden to 32,64"
        )
    sizes = [(shape[-2] >> i, shape[-1] >> i) for i in range(len(hidden) + 1)]
    if min(sizes[-1]) < 1:
        raise UserError(
            f"model.hidden: images of {shape[-2]}x{shape[-1]} cannot be halved {len(hidden)} "
            "times; name fewer channels, or set model.network to mlp"
        )
    return sizes


def with_channels(shape: tuple[int, ...]) -> list[nn.Module]:
    """Return the layers that turn images (B, H, W) into (B, 1, H, W); none where images have
    channels.
    """
    return [nn.Unflatten(1, (1, shape[0]))] if len(shape) == 2 else []


def at_least_float32(outputs: Tensor) -> Tensor:
    """Return half-precision outputs as float32, in which densities are computed; others as they
    are.
    """
    return outputs.float() if outputs.dtype in (torch.bfloat16, torch.float16) else outputs
