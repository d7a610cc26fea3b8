"""The conventional loop, which benchmarks/conventional.py defines."""

from __future__ import annotations

import torch
from contestants.worker import SEED, Contestant
from conventional import Conventional, Pictures


class Loop(Contestant):
    packages = ("torch", "pillow")

    def build(self) -> None:
        torch.manual_seed(SEED)
        pairs = (self.x, self.y), (self.x_test, self.y_test)
        self.loop = Conventional(*(Pictures(*map(torch.from_numpy, pair)) for pair in pairs))

    def epoch(self) -> bool:
        self.loop.epoch()
        return True

    def test_loss(self) -> float:
        return self.loop.test_loss()
