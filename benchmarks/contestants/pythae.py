"""pythae's VAE, trained by its BaseTrainer: `prepare_training`, then `train_step` every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from contestants.worker import BATCH, RATE, SAMPLES, SEED, Contestant
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn


class Encoder(BaseEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(784, 400), nn.ReLU())
        self.embedding, self.log_var = nn.Linear(400, 20), nn.Linear(400, 20)

    def forward(self, x: Tensor) -> Any:
        h = self.layers(x.reshape(-1, 784))
        return ModelOutput(embedding=self.embedding(h), log_covariance=self.log_var(h))


class Decoder(BaseDecoder):
    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid()
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Any:
        return ModelOutput(reconstruction=self.layers(z))


class Trainer(Contestant):
    packages = ("pythae", "torch", "pydantic")

    def build(self) -> None:
        torch.manual_seed(SEED)
        config = VAEConfig(input_dim=(784,), latent_dim=20, reconstruction_loss="bce")
        model = VAE(config, encoder=Encoder(), decoder=Decoder())
        images, self.test = (
            torch.from_numpy(x.reshape(-1, 784).astype(np.float32) / 255)
            for x in (self.x, self.x_test)
        )
        settings = BaseTrainerConfig(
            output_dir="pythae",
            learning_rate=RATE,
            per_device_train_batch_size=BATCH,
            no_cuda=True,
            seed=SEED,
        )
        dataset = BaseDataset(images, torch.from_numpy(self.y))
        self.trainer = BaseTrainer(model, dataset, training_config=settings)
        self.trainer.prepare_training()
        self.epochs = 0

    def epoch(self) -> bool:
        self.epochs += 1
        self.trainer.train_step(self.epochs)
        return True

    @torch.no_grad()
    def test_loss(self) -> float:
        model = self.trainer.model.eval()
        return float(model({"data": self.test}).loss)

    @torch.no_grad()
    def nll(self, images: int) -> float:
        model = self.trainer.model.eval()
        return -float(model.get_nll(self.test[:images], n_samples=SAMPLES))
