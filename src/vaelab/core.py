"""A VAE is three distributions: a prior p(z), an encoder q(z|x) and a decoder p(x|z).

Each is an ``nn.Module`` whose call returns a ``torch.distributions.Distribution``. `VAE.draw` samples once and returns
a `Draw`; an objective is a plain function from a `Draw` to nats per image.

Kingma & Welling, Auto-Encoding Variational Bayes, 2013, arXiv:1312.6114.
Rezende, Mohamed & Wierstra, Stochastic Backpropagation, 2014, arXiv:1401.4082.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.distributions import Distribution, kl_divergence

from vaelab.errors import UserError
from vaelab.seeding import seeded

CHUNK = 1000  # images that pass through a network at once outside training: bounds the memory


class Draw:
    """K samples z ~ q(z|x) for each of B images, and what they say; densities in nats.

    z       (K, B, *latent)   the samples, differentiable in the encoder's parameters
    log_px  (K, B)            log p(x|z), summed over pixels
    q       batch shape (B,)  the posterior; p has batch shape () or (B,) and is the prior

    Everything else follows from these four and is worked out when first asked for.
    """

    def __init__(self, z: Tensor, log_px: Tensor, q: Distribution, p: Distribution) -> None:
        self.z, self.log_px, self.q, self.p = z, log_px, q, p

    @cached_property
    def log_pz(self) -> Tensor:
        """log p(z), (K, B)."""
        return self.p.log_prob(self.z)

    @cached_property
    def log_qz(self) -> Tensor:
        """log q(z|x), (K, B)."""
        return self.q.log_prob(self.z)

    @cached_property
    def distortion(self) -> Tensor:
        """E_q[-log p(x|z)] over the K samples, (B,): the reconstruction term, BCE for a Bernoulli."""
        return -self.log_px.mean(0)

    @cached_property
    def rate(self) -> Tensor:
        """KL(q(z|x) || p(z)), (B,), at least 0 in expectation.

        In closed form where torch.distributions knows one for this pair, else E_q[log q(z|x) - log p(z)] over the
        K samples. This is the one place that decides.
        """
        try:
            return kl_divergence(self.q, self.p)
        except NotImplementedError:
            return (self.log_qz - self.log_pz).mean(0)


class VAE(nn.Module):
    """The three distributions together.

    `draw` is what training differentiates. The four verbs `encode`, `decode`, `reconstruct` and `sample` are for use:
    they take arrays or tensors of any number of images, run in evaluation mode without gradients, and leave the
    global random state alone.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, prior: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder  # (B, *shape) -> q(z|x), batch (B,), event (*latent,)
        self.decoder = decoder  # (..., *latent) -> p(x|z), batch (...), event shape
        self.prior = prior  # () -> p(z), batch (), event (*latent,)
        self.shape = shape

    def draw(self, x: Tensor, k: int = 1) -> Draw:
        """K reparameterised samples of q(z|x) for each image of x (B, *shape)."""
        q = self.encoder(x)
        z = q.rsample((k,))  # (K, B, *latent)
        return Draw(z, self.decoder(z).log_prob(x), q, self.prior())

    def forward(self, x: Tensor, k: int = 1) -> Draw:
        """The same as `draw`; the name that wrappers for devices and precision look for."""
        return self.draw(x, k)

    def encode(self, x: ArrayLike | Tensor) -> Tensor:
        """E[z|x] for images x (N, *shape): (N, *latent). Deterministic."""
        return self._each(lambda batch: self.encoder(batch).mean, self._images(x))

    def decode(self, z: ArrayLike | Tensor) -> Tensor:
        """E[x|z] for codes z (N, *latent): (N, *shape)."""
        codes = self._tensor(z)
        wanted = self.prior().event_shape
        if codes.shape[1:] != wanted or not len(codes):
            raise UserError(f"z: expected codes of shape {_rows_of(wanted)}, N at least 1, got {tuple(codes.shape)}")
        return self._each(lambda batch: self.decoder(batch).mean, codes)

    def reconstruct(self, x: ArrayLike | Tensor, sample: bool = False, seed: int = 0) -> Tensor:
        """E[x|z] at the posterior's mean, or, where asked for, at one sample of it: (N, *shape)."""
        with seeded(seed, "reconstruct") if sample else nullcontext():
            return self._each(lambda batch: self._reconstruct(batch, sample), self._images(x))

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """E[x|z] for n samples z of the prior: (n, *shape). The same seed gives the same samples."""
        if n < 1:
            raise UserError(f"n: expected a number of samples of at least 1, got {n}")
        with seeded(seed, "sample"), torch.no_grad():
            z = self.prior().sample((n,))
        return self.decode(z)

    def _reconstruct(self, x: Tensor, sample: bool) -> Tensor:
        q = self.encoder(x)
        mean: Tensor = self.decoder(q.sample() if sample else q.mean).mean
        return mean

    @torch.no_grad()
    def _each(self, function: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        """`function` over the rows in chunks, in evaluation mode."""
        with evaluating(self):
            return torch.cat([function(chunk) for chunk in rows.split(CHUNK)])

    def _images(self, x: ArrayLike | Tensor) -> Tensor:
        images = self._tensor(x)
        if images.shape[1:] != self.shape or not len(images):
            raise UserError(
                f"x: expected images of shape {_rows_of(self.shape)}, N at least 1, got {tuple(images.shape)}"
            )
        return images

    def _tensor(self, values: ArrayLike | Tensor) -> Tensor:
        like = next(self.parameters())
        tensor = torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values))
        if not (tensor.is_floating_point() or tensor.dtype == torch.bool):
            raise UserError(f"expected real values, got {tensor.dtype}; divide 8-bit levels by 255")
        return tensor.to(like)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside (no dropout, batch normalisation by its running means), the mode before it afterwards."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


def _rows_of(shape: tuple[int, ...]) -> str:
    return f"({', '.join(('N', *map(str, shape)))})"
