"""Networks that are told the class, in conditional models."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


class ConditionalEncoder(nn.Module):
    """An encoder network that is given the class y (B,): a learned image for each class, at first 0, is added to x."""

    def __init__(self, network: nn.Module, shape: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.network, self.label = network, nn.Embedding(classes, math.prod(shape))
        nn.init.zeros_(self.label.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        features: Tensor = self.network(x + self.label(y).view_as(x))
        return features


class ConditionalDecoder(nn.Module):
    """A decoder network that is given the class y (N,), as a one-hot vector after the code."""

    def __init__(self, network: nn.Module, classes: int) -> None:
        super().__init__()
        self.network, self.classes = network, classes

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        outputs: Tensor = self.network(torch.cat([z, one_hot(y, self.classes).to(z)], 1))
        return outputs
