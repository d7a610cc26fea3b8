"""Importance-weighted estimates of log p(x), in nats per image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor

from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.evaluation.metrics.weights import curve
from vaelab.models import VAE, Draw, Point, outputs, sampled
from vaelab.seeding import generator, seeded

ROWS = 10_000  # the most codes that are decoded at once
# Decoder outputs computed at once: 500 images of 784 pixels, which fit a processor's cache
ELEMENTS = 400_000
IMAGES, DRAWN = 100, 100  # images encoded at once, and samples per image drawn at once

# Images (B, *shape) and their labels (B,), or None
Pieces: TypeAlias = Iterable[tuple[Tensor, Tensor | None]]


def log_likelihood(vae: VAE, batches: Batches, k: int, seed: int) -> Tensor:
    """Estimate log p(x) of images by importance sampling from q(z|x).

        log (1/k) sum_k p(x, z_k) / q(z_k|x),    z_k ~ q(z|x)

    In expectation this is a lower bound on log p(x), which it approaches as k grows. Each image is
    encoded once, and its k samples are decoded in bulk.

    Returns:
        The estimates, (N,), in nats.

    Raises:
        UserError: k is below 1, or the model is an autoencoder, whose code has no density.

    References:
        Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, 2016, arXiv:1509.00519.
    """
    if k < 1:
        raise UserError(f"k: expected a number of samples of at least 1, got {k}")
    if isinstance(vae.encoder, Point):
        raise UserError("an autoencoder has no likelihood: its code is a point without a density")
    device = batches.x.device
    rng = generator(seed, "evaluation data", device=device)
    indices = torch.arange(len(batches), device=device).split(IMAGES)
    pieces = ((batches(index, rng), batches.labels(index)) for index in indices)
    return torch.cat([-curve(draw.log_weight)[k] for draw in draws(vae, pieces, k, seed)]).cpu()


def draws(vae: VAE, pieces: Pieces, k: int, seed: int) -> Iterator[Draw]:
    """Yield k samples for each image of every piece, as `VAE.draw` does.

    The draws lack z, which would fill the memory. Each piece has its own RNG stream, used only to
    sample z, DRAWN samples at a time. The number of codes that are decoded at once
    therefore does not change the result.
    """
    for i, (x, y) in enumerate(pieces):
        noise = seeded(seed, "likelihood", i)
        with torch.no_grad():
            given = vae.given(y)
            q, p = vae.encoder(x, *given), vae.prior(*given)
            found = []
            for start in range(0, k, DRAWN):
                with noise:
                    z, log_qz = sampled(q, min(DRAWN, k - start))
                some = Draw(z, decoded(vae, z, x, given), q, p, log_qz=log_qz)
                found.append(torch.stack([some.log_px, some.log_pz, some.log_qz]))
            log_px, log_pz, log_qz = torch.cat(found, 1).double()  # (k, B) each
        yield Draw(z[:0], log_px, q, p, log_qz=log_qz, log_pz=log_pz)


def decoded(vae: VAE, z: Tensor, x: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    """Return log p(x|z), (K, B), of images x (B, *shape) and codes z (K, B, L), in chunks."""
    rows = max(1, min(ROWS, ELEMENTS // outputs(vae, z[0], given)))
    images = min(len(x), rows)
    columns = zip(
        z.split(images, 1), x.split(images), *(y.split(images) for y in given), strict=True
    )
    found = [
        torch.cat([vae.decoder(part, *y).log_prob(x) for part in z.split(max(1, rows // images))])
        for z, x, *y in columns
    ]
    return torch.cat(found, 1)
