"""Small models that between them use every network, activation, likelihood and kind of data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vaelab.models import VAE, Units, build
from vaelab.recipes import Model, table

CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {  # the shape, settings of the model
    "mlp": ((28, 28), {}),
    "colour-conv": ((3, 9, 11), {"network": "conv", "likelihood": "gaussian-learned"}),
    "resnet": ((13, 10), {"network": "resnet", "likelihood": "logistic-mixture"}),
    "colour-resnet": ((3, 8, 9), {"network": "resnet", "activation": "silu"}),
    "colour-levels": ((3, 9, 8), {"network": "resnet", "likelihood": "logistic-mixture"}),
    "wide-conv": ((1, 7, 18), {"network": "conv", "activation": "gelu", "likelihood": "poisson"}),
    "plain-conv": ((16, 16), {"network": "conv", "batch_norm": False, "activation": "tanh"}),
    "table": ((30,), {"likelihood": "gaussian", "activation": "elu"}),
    "autoencoder": ((5,), {"variant": "ae", "likelihood": "laplace", "activation": "leaky-relu"}),
    "conditional": ((8, 8), {"variant": "cvae", "likelihood": "categorical"}),
    "counts": ((12,), {"likelihood": "negative-binomial", "batch_norm": False}),
    "full-covariance": ((8, 8), {"variant": "full-cov", "latent": 4}),
    "sphere": ((8, 8), {"variant": "svae", "likelihood": "continuous-bernoulli"}),
    "signals": ((3, 27), {"network": "conv1d", "likelihood": "gaussian-learned"}),
    "standardised-signals": ((21,), {"network": "conv1d", "likelihood": "gaussian"}),
    "levels": ((8, 8), {"variant": "ladder"}),
    "flow": ((8, 8), {"variant": "iaf"}),
    "no-hidden-layer": ((8, 8), {"hidden": (), "latent": 1}),
}
LAYERS = {  # beside the convolutions of the networks
    "even-kernel": nn.Conv2d(3, 5, (4, 2), (1, 3), (2, 0)),
    "no-bias": nn.Conv2d(3, 1, 1, bias=False),
    "rows-that-nothing-sees": nn.Conv2d(3, 2, 2, 3),
    "transposed": nn.ConvTranspose2d(3, 2, 4, 2, 1, 1),
    "transposed-of-stride-1": nn.ConvTranspose2d(3, 2, 3, 1, 1),
    "transposed-with-more": nn.ConvTranspose2d(3, 2, 3, 3, 0, 2),
    "transposed-with-gaps": nn.ConvTranspose2d(3, 2, 2, 3, 1),
    "transposed-and-cropped": nn.ConvTranspose2d(3, 2, 2, (2, 1), 1),
}
LEVELS = 5
COUNTS = ("poisson", "negative-binomial")


def settings(**given: Any) -> Model:
    """The settings of a row of the table, small, with batch normalisation."""
    row = table.row(given.get("variant", "vae")).laid_out()
    own = {key.removeprefix("model."): v for key, v in row.items() if key.startswith("model.")}
    small = {"hidden": (6, 8), "latent": 3, "components": 4, "upper": (2,), "batch_norm": True}
    return Model(**(own | small | given))


def made(shape: tuple[int, ...], model: Model) -> VAE:
    """A model with weights as after a training: no mean is 0 and no scale is 1."""
    signal = model.network == "conv1d"
    real = len(shape) == 1 and model.likelihood not in COUNTS
    size = (*shape[:-1], 1) if signal else shape
    units = Units(torch.rand(size), torch.rand(size) + 0.5) if real else None
    vae = build(model, shape, LEVELS, (0, 1, 7), units, "signal" if signal else None)
    with torch.no_grad():
        for module in vae.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    assert tensor is not None
                    tensor.uniform_(0.5, 2)
                for tensor in (module.bias, module.running_mean):
                    assert tensor is not None
                    tensor.normal_()
    return vae


def rows(vae: VAE, model: Model, n: int) -> dict[str, tuple[Tensor, ...]]:
    """Random inputs of each of the functions."""
    x = torch.randint(LEVELS, (n, *vae.shape)) / (1 if model.likelihood in COUNTS else LEVELS - 1)
    z, y = torch.randn(n, vae.latent), (torch.arange(n) % 3,) * bool(len(vae.classes))
    return {"encode": (x, *y), "decode": (z, *y), "distortion": (x, z, *y), "rates": (x, *y)}
