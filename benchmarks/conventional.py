"""The conventional loop: the VAE of `mlp-20d`, trained as most tutorials do.

Every image is converted from a PIL image to a tensor separately, a DataLoader with two workers
collates them, the decoder ends in a sigmoid, and ``.item()`` is called on the loss of every step.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images (N, 28, 28) one by one, as image data sets with a to-tensor transform convert them.

    The steps are array -> PIL -> array -> float tensor.
    """

    def __init__(self, levels: Tensor, labels: Tensor) -> None:
        self.levels, self.labels = levels, labels

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        picture, label = Image.fromarray(self.levels[i].numpy()), int(self.labels[i])
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        # Shape (1, H, W).
        pixels = pixels.view(picture.size[1], picture.size[0], 1).permute(2, 0, 1).contiguous()
        return pixels.to(torch.get_default_dtype()).div(255), label


class ConventionalVAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.mean, self.log_variance = (
            nn.Linear(784, 400),
            nn.Linear(400, 20),
            nn.Linear(400, 20),
        )
        self.back, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = F.relu(self.hidden(x.view(-1, 784)))
        mean, log_variance = self.mean(h), self.log_variance(h)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return torch.sigmoid(self.out(F.relu(self.back(z)))), mean, log_variance


class Conventional:
    def __init__(self, train: Pictures, test: Pictures) -> None:
        self.train = DataLoader(train, batch_size=128, shuffle=True, num_workers=2)
        self.test = DataLoader(test, batch_size=128, num_workers=2)
        self.images = len(test)
        self.model = ConventionalVAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def loss(self, x: Tensor) -> Tensor:
        """The loss of a batch (B, 1, 28, 28), in nats summed over its images."""
        y, mean, log_variance = self.model(x)
        bce = F.binary_cross_entropy(y, x.view(-1, 784), reduction="sum")
        return bce - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())

    def epoch(self) -> None:
        """Train for one epoch."""
        self.model.train()
        total = 0.0
        for x, _ in self.train:
            self.optimizer.zero_grad()
            loss = self.loss(x)
            loss.backward()
            total += loss.item()
            self.optimizer.step()

    def test_loss(self) -> float:
        """The test loss in nats per image."""
        self.model.eval()
        with torch.no_grad():
            return sum(self.loss(x).item() for x, _ in self.test) / self.images
