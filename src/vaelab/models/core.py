"""A VAE is three distributions: a prior p(z), an encoder q(z|x) and a decoder p(x|z).

Each is an ``nn.Module`` whose call returns a ``torch.distributions.Distribution``. `VAE.draw` samples once and returns
a `Draw`; an objective is a plain function from a `Draw` to nats per image.

Kingma & Welling, Auto-Encoding Variational Bayes, 2013, arXiv:1312.6114.
Rezende, Mohamed & Wierstra, Stochastic Backpropagation, 2014, arXiv:1401.4082.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, kl_divergence

from vaelab.errors import UserError
from vaelab.seeding import seeded

CHUNK = 1000  # images that pass through a network at once outside training: bounds the memory


class Draw:
    """K samples z ~ q(z|x) for each of B images, and what they say; densities in nats.

    z       (K, B, *latent)   the samples, differentiable in the encoder's parameters
    log_px  (K, B)            log p(x|z), summed over pixels
    q       batch shape (B,)  the posterior; p has batch shape () or (B,) and is the prior

    px      batch shape (K, B) the likelihood p(x|z) itself, for objectives that look into the decoder

    Everything else follows from these and is worked out when first asked for. What is known already is handed over as
    `log_qz` and `log_pz`: a flow knows log q(z|x) of its own samples at no cost.
    """

    def __init__(
        self,
        z: Tensor,
        log_px: Tensor,
        q: Distribution,
        p: Distribution,
        px: Distribution | None = None,
        log_qz: Tensor | None = None,
        log_pz: Tensor | None = None,
    ) -> None:
        self.z, self.log_px, self.q, self.p, self.px = z, log_px, q, p, px
        if log_qz is not None:
            self.log_qz = log_qz
        if log_pz is not None:
            self.log_pz = log_pz

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
        except NotImplementedError:  # torch's answer where nobody registered this pair
            return (self.log_qz - self.log_pz).mean(0)

    @cached_property
    def rates(self) -> Tensor:
        """The rate by dimension of z where q and p factorise, (B, L); else the whole of it, (B, 1)."""
        if isinstance(self.q, Independent) and isinstance(self.p, Independent):
            with suppress(
                NotImplementedError
            ):  # as above: then there is no closed form by dimension either
                return kl_divergence(self.q.base_dist, self.p.base_dist)
        return self.rate[:, None]

    @cached_property
    def log_weight(self) -> Tensor:
        """log p(x, z) - log q(z|x), (K, B): the mean of its exponential over the samples is p(x) in expectation."""
        return self.log_px + self.log_pz - self.log_qz

    @property
    def penalty(self) -> Tensor:
        """What the posterior wants paid beside the objective, (B,), in nats: a quantiser's commitment; else 0."""
        penalty: Tensor = getattr(self.q, "penalty", self.log_px.new_zeros(self.log_px.shape[1:]))
        return penalty


def sampled(q: Distribution, k: int) -> tuple[Tensor, Tensor | None]:
    """K samples of q, (K, *batch, L), differentiable; and their log density where q knows it at no cost, as a flow."""
    return (
        q.rsample_and_log_prob((k,))
        if hasattr(q, "rsample_and_log_prob")
        else (q.rsample((k,)), None)
    )


class VAE(nn.Module):
    """The three distributions together.

    `draw` is what training differentiates. The four verbs `encode`, `decode`, `reconstruct` and `sample` are for use:
    they take arrays or tensors of any number of images, run in evaluation mode without gradients, and leave the
    global random state alone.
    """

    classes: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        shape: tuple[int, ...],
        classes: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.encoder = encoder  # (B, *shape) -> q(z|x), batch (B,), event (L,)
        self.decoder = decoder  # (..., L) -> p(x|z), batch (...), event shape
        self.prior = prior  # () -> p(z), batch (), event (L,)
        self.shape = shape
        # Where there are classes the model is conditional: encoder, decoder and prior take the index of the label too.
        self.register_buffer("classes", torch.tensor(classes, dtype=torch.int64), persistent=False)

    @cached_property
    def latent(self) -> int:
        """L, the number of dimensions of z."""
        return int(self.prior(*self.given(self.classes[:1])).event_shape[0])

    def given(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """What encoder, decoder and prior are called with beside their input: nothing, or the classes' indices (B,)."""
        if not len(self.classes):
            return ()
        if y is None:
            raise UserError(
                "y: this model is conditional on labels; give one for each row (a file: .npz with x and y)"
            )
        unknown = y[~torch.isin(y, self.classes)]
        if len(unknown):
            known = ", ".join(map(str, self.classes.tolist()))
            raise UserError(f"y: the model knows no class {int(unknown[0])}; it learned {known}")
        return (torch.searchsorted(self.classes, y),)

    def draw(self, x: Tensor, k: int = 1, y: Tensor | None = None) -> Draw:
        """K reparameterised samples of q(z|x) for each image of x (B, *shape), labels y (B,) where conditional."""
        given = self.given(y)
        q = self.encoder(x, *given)
        z, log_qz = sampled(q, k)
        px = self.decoder(z, *given)  # z (K, B, L)
        return Draw(z, px.log_prob(x), q, self.prior(*given), px, log_qz)

    def forward(self, x: Tensor, k: int = 1, y: Tensor | None = None) -> Draw:
        """The same as `draw`; the name that wrappers for devices and precision look for."""
        return self.draw(x, k, y)

    def encode(self, x: ArrayLike | Tensor, y: ArrayLike | Tensor | None = None) -> Tensor:
        """E[z|x] for images x (N, *shape), or the posterior's centre where it has no mean: (N, L). Deterministic.

        Labels y (N,) are for conditional models; others do without.
        """
        return self.each(lambda x, *y: self.encoder(x, *y).mean, self._images(x), y)

    def decode(self, z: ArrayLike | Tensor, y: ArrayLike | Tensor | None = None) -> Tensor:
        """E[x|z] for codes z (N, L): (N, *shape)."""
        codes, wanted = self._tensor(z), (self.latent,)
        if codes.shape[1:] != wanted or not len(codes):
            raise UserError(
                f"z: expected codes of shape {_rows_of(wanted)}, N at least 1, got {tuple(codes.shape)}"
            )
        return self.each(lambda z, *y: self.decoder(z, *y).mean, codes, y)

    def reconstruct(
        self,
        x: ArrayLike | Tensor,
        y: ArrayLike | Tensor | None = None,
        sample: bool = False,
        seed: int = 0,
    ) -> Tensor:
        """E[x|z] at the posterior's mean, or, where asked for, at one sample of it: (N, *shape)."""

        def both(x: Tensor, *y: Tensor) -> Tensor:
            q = self.encoder(x, *y)
            mean: Tensor = self.decoder(q.sample() if sample else q.mean, *y).mean
            return mean

        with seeded(seed, "reconstruct") if sample else nullcontext():
            return self.each(both, self._images(x), y)

    def sample(self, n: int, seed: int = 0, y: int | None = None) -> Tensor:
        """E[x|z] for n samples z of the prior: (n, *shape). The same seed gives the same samples.

        A conditional model samples the class y, or, where none is named, as many of every class, in order.
        """
        if n < 1:
            raise UserError(f"n: expected a number of samples of at least 1, got {n}")
        labels = self._labels_to_sample(n, y)
        with seeded(seed, "sample"), torch.no_grad(), evaluating(self):
            prior = self.prior(*self.given(labels))
            z = prior.sample((n,) if not prior.batch_shape else ())
        return self.decode(z, labels)

    def _labels_to_sample(self, n: int, y: int | None) -> Tensor | None:
        """n labels for samples, None for a model without."""
        known = self.classes.tolist()
        if not known:
            if y is not None:
                raise UserError(
                    "label: this model is not conditional on labels; train one with --model.variant cvae"
                )
            return None
        if y is not None and y not in known:
            raise UserError(
                f"label: the model knows no class {y}; choose one of: {', '.join(map(str, known))}"
            )
        return (
            self.classes[torch.arange(n) * len(known) // n]
            if y is None
            else self.classes.new_full((n,), y)
        )

    @torch.no_grad()
    def each(
        self, function: Callable[..., Tensor], rows: Tensor, y: ArrayLike | Tensor | None
    ) -> Tensor:
        """`function` over the rows, and their labels where the model is conditional, in chunks, in evaluation mode."""
        given = self.given(self._labels(y, len(rows))) if len(self.classes) else ()
        with evaluating(self):
            chunks = zip(rows.split(CHUNK), *(labels.split(CHUNK) for labels in given), strict=True)
            return torch.cat([function(*chunk) for chunk in chunks])

    def _labels(self, y: ArrayLike | Tensor | None, rows: int) -> Tensor | None:
        if y is None:
            return None
        labels = torch.as_tensor(y if isinstance(y, Tensor) else np.asarray(y)).to(self.classes)
        if labels.shape != (rows,):
            raise UserError(
                f"y: expected a label for each of {rows} rows, got shape {tuple(labels.shape)}"
            )
        return labels

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
            raise UserError(
                f"expected real values, got {tensor.dtype}; divide 8-bit levels by 255, make counts floats"
            )
        return tensor.to(like)


def outputs(vae: VAE, z: Tensor, given: tuple[Tensor, ...]) -> int:
    """How many numbers the decoder puts out for one of the codes z (B, L), labels `given` where conditional."""
    # Past __call__: hooks, which may count codes, need not see this one.
    found: Tensor = cast(nn.Module, vae.decoder.network).forward(z[:1], *(y[:1] for y in given))
    return found.numel()


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
