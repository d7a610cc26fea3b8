"""The floor: the matrix products of an epoch and nothing else.

These are, for every batch, the forward products of the layers 784-400, 400-40, 20-400 and 400-784,
the gradients of their weights, and the gradients of the inputs of all but the first. Each is
computed the way that is fastest on this machine: by torch or by oneDNN, of the matrices or of their
transposes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from contestants.worker import BATCH, SEED, Contestant
from torch import Tensor

LAYERS = (784, 400), (400, 40), (20, 400), (400, 784)
ROUNDS, CALLS = 10, 5


def onednn(a: Tensor, b: Tensor) -> Tensor:
    """The product a b."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(a, b.t(), None, "none", [], "")
    return product


WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "torch": torch.mm,
    "torch, transposed": lambda a, b: torch.mm(b.t(), a.t()),
    "onednn": onednn,
    "onednn, transposed": lambda a, b: onednn(b.t(), a.t()),
}


class Products(Contestant):
    """The products in the `precision` "float32" or "bfloat16"."""

    packages = ("torch",)

    @torch.no_grad()
    def build(self) -> None:
        torch.manual_seed(SEED)
        kind = getattr(torch, self.options["precision"])
        self.images = torch.from_numpy(self.x).view(-1, 784).to(kind).div_(255)
        self.weights = [torch.randn(n, m).div(m**0.5).to(kind) for m, n in LAYERS]
        self.inputs = [torch.randn(BATCH, m).to(kind) for m, _ in LAYERS[1:]]
        self.gradients = [torch.randn(BATCH, n).to(kind) for _, n in LAYERS]
        self.ways = [_fastest(a, b) for a, b in self._factors(self.images[:BATCH])]

    @torch.no_grad()
    def epoch(self) -> bool:
        for x in self.images.split(BATCH):
            for (a, b), way in zip(self._factors(x), self.ways, strict=True):
                WAYS[way](a, b)
        return True

    def chosen(self) -> list[str]:
        """How each product is computed."""
        factors = self._factors(self.images[:BATCH])
        shapes = [f"{tuple(a.shape)} {tuple(b.shape)}" for a, b in factors]
        return [f"{shape}: {way}" for shape, way in zip(shapes, self.ways, strict=True)]

    def _factors(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The two factors of each product of a step."""
        rows = len(x)
        inputs = [x, *(h[:rows] for h in self.inputs)]
        gradients = [g[:rows] for g in self.gradients]
        return [
            *((h, w.t()) for h, w in zip(inputs, self.weights, strict=True)),
            *((g.t(), h) for g, h in zip(gradients, inputs, strict=True)),
            *((g, w) for g, w in zip(gradients[1:], self.weights[1:], strict=True)),
        ]


def _fastest(a: Tensor, b: Tensor) -> str:
    """The way whose fastest round is the fastest; the ways take turns."""
    seconds = dict.fromkeys(WAYS, float("inf"))
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            begun = time.perf_counter()
            for _ in range(CALLS):
                way(a, b)
            seconds[name] = min(seconds[name], time.perf_counter() - begun)
    return min(seconds, key=seconds.__getitem__)
