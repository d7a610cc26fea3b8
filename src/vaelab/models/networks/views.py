"""Networks that are given a part or a transformation of their input."""

from __future__ import annotations

from torch import Tensor, nn


class LogCounts(nn.Module):
    """An encoder network that is given log(1 + x) of counts x, which may be in the thousands."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, *y: Tensor) -> Tensor:
        features: Tensor = self.network(x.log1p(), *y)
        return features


class LowestLevel(nn.Module):
    """A decoder network that is given the first n dimensions of the code: the lowest level, where z
    has several.
    """

    def __init__(self, network: nn.Module, n: int) -> None:
        super().__init__()
        self.network, self.n = network, n

    def forward(self, z: Tensor, *y: Tensor) -> Tensor:
        outputs: Tensor = self.network(z[:, : self.n], *y)
        return outputs
