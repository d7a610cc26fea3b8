"""A lean loop: what a good engineer writes in plain PyTorch for data that fit into memory.

Batches are slices of one float32 tensor, the loss takes logits, and Adam is fused.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from contestants.worker import BATCH, RATE, SEED, Contestant
from torch import Tensor, nn


class LeanVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

    def loss(self, x: Tensor) -> Tensor:
        """BCE + KL of images x (B, 784), in nats per image."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        bce = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_variance - mean.square() - log_variance.exp())
        return (bce + kl) / len(x)


class Loop(Contestant):
    packages = ("torch",)

    def build(self) -> None:
        torch.manual_seed(SEED)
        self.model = LeanVAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, fused=True)
        self.images, self.test = (
            torch.from_numpy(x).view(-1, 784).float().div_(255) for x in (self.x, self.x_test)
        )

    def epoch(self) -> bool:
        for index in torch.randperm(len(self.images)).split(BATCH):
            loss = self.model.loss(self.images[index])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return True

    @torch.no_grad()
    def test_loss(self) -> float:
        return float(self.model.loss(self.test))
