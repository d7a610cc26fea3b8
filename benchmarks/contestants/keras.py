"""A Keras 3 VAE, compiled and fitted on arrays in memory; its backend is JAX (KERAS_BACKEND)."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from contestants.worker import BATCH, RATE, SEED, Contestant
from keras import layers, ops


class Sampling(layers.Layer):
    """Sample z ~ q(z|x), and add KL(q(z|x) || N(0, I)) to the loss of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.seeds = keras.random.SeedGenerator(SEED)

    def call(self, parameters: Any) -> Any:
        mean, log_variance = parameters
        each = 1 + log_variance - ops.square(mean) - ops.exp(log_variance)
        self.add_loss(-0.5 * ops.mean(ops.sum(each, axis=-1)))
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(0.5 * log_variance) * noise


def bce(x: Any, logits: Any) -> Any:
    """The binary cross-entropy of each image (B,), in nats."""
    return ops.sum(ops.binary_crossentropy(x, logits, from_logits=True), axis=-1)


class Fit(Contestant):
    packages = ("keras", "jax", "jaxlib")

    def build(self) -> None:
        keras.utils.set_random_seed(SEED)
        x = keras.Input((784,))
        h = layers.Dense(400, activation="relu")(x)
        z = Sampling()([layers.Dense(20)(h), layers.Dense(20)(h)])
        logits = layers.Dense(784)(layers.Dense(400, activation="relu")(z))
        self.model = keras.Model(x, logits)
        self.model.compile(keras.optimizers.Adam(RATE), loss=bce)
        self.images, self.test = (
            x.reshape(-1, 784).astype(np.float32) / 255 for x in (self.x, self.x_test)
        )
        self.epochs = 0

    def epoch(self) -> bool:
        self.epochs += 1
        self.model.fit(
            self.images,
            self.images,
            batch_size=BATCH,
            initial_epoch=self.epochs - 1,
            epochs=self.epochs,
            verbose=0,
        )
        return True

    def test_loss(self) -> float:
        return float(self.model.evaluate(self.test, self.test, batch_size=BATCH, verbose=0))
