"""Networks that are told the class, in conditional models."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, one_hot

MANY = 1000  # classes, above which a one-hot vector for each row takes too much memory


class ConditionalEncoder(nn.Module):
    """An encoder network that is given the class y (B,): a learned image for each class, at first
    0, is added to x.
    """

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
        network, size = self.network, z.shape[1]
        if self.classes > MANY and isinstance(network, nn.Sequential):
            first = network[0]
            if isinstance(first, nn.Linear):  # columns of its weight are looked up, not multiplied
                hidden = linear(z, first.weight[:, :size], first.bias)
                found: Tensor = network[1:](hidden + first.weight[:, size:].T[y])
                return found
        outputs: Tensor = self.network(torch.cat([z, one_hot(y, self.classes).to(z)], 1))
        return outputs
