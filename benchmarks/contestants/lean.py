"""A lean loop: what a good engineer writes in plain PyTorch for data that fit into memory.

Batches are slices of one float32 tensor, the loss takes logits, and Adam is fused.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from contestants.worker import BATCH, RATE, SEED, Contestant
from torch import Tensor, nn


class LeanVAE(nn.Module):
    """A VAE of these networks: images -> means and logarithms of variances, codes -> logits."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def loss(self, x: Tensor) -> Tensor:
        """BCE + KL of images x (B, ...), in nats per image."""
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        bce = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_variance - mean.square() - log_variance.exp())
        return (bce + kl) / len(x)


def linear_vae() -> LeanVAE:
    return LeanVAE(
        nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40)),
        nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784)),
    )


def train(model: LeanVAE, optimizer: torch.optim.Optimizer, images: Tensor, batch: int) -> None:
    """An epoch."""
    for index in torch.randperm(len(images)).split(batch):
        loss = model.loss(images[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Loop(Contestant):
    packages = ("torch",)

    def build(self) -> None:
        torch.manual_seed(SEED)
        self.model = linear_vae()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=RATE, fused=True)
        self.images, self.test = (
            torch.from_numpy(x).view(-1, 784).float().div_(255) for x in (self.x, self.x_test)
        )

    def epoch(self) -> bool:
        train(self.model, self.optimizer, self.images, BATCH)
        return True

    @torch.no_grad()
    def test_loss(self) -> float:
        return float(self.model.loss(self.test))
