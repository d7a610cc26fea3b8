"""Fully connected networks beside a linear map, for tables."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vaelab.models.linear import Linear
from vaelab.models.networks.layers import Networks
from vaelab.models.networks.mlp import mlp


def wide_deep(
    shape: tuple[int, ...],
    inputs: int,
    outputs: int,
    hidden: tuple[int, ...],
    activation: str,
    batch_norm: bool,
    dropout: float,
) -> Networks:
    """An `mlp` and a linear map side by side: encoder features (h(x), x), decoder W z + g(z).

    Without its deep part the model is factor analysis; the deep part learns what is not linear, and
    few rows suffice to learn the rest. Dropout spares the linear map.

    Cheng et al., Wide & deep learning for recommender systems, 2016, arXiv:1606.07792.
    """
    deep = mlp(shape, inputs, outputs, hidden, activation, batch_norm, dropout)
    size = math.prod(shape)
    wide = nn.Sequential(Linear(inputs, outputs * size), nn.Unflatten(1, (outputs, *shape)))
    return Networks(Beside(deep.encoder), deep.features + size, Sum(deep.decoder, wide))


class Beside(nn.Module):
    """The features of a network and its input, side by side."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.network(x), x.flatten(1)], 1)


class Sum(nn.Module):
    """The sum of two networks."""

    def __init__(self, deep: nn.Module, wide: nn.Module) -> None:
        super().__init__()
        self.deep, self.wide = deep, wide

    def forward(self, z: Tensor) -> Tensor:
        total: Tensor = self.deep(z) + self.wide(z)
        return total
