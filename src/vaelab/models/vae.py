"""A VAE is three distributions: a prior p(z), an encoder q(z|x) and a decoder p(x|z).

Each is an ``nn.Module`` whose call returns a ``torch.distributions.Distribution``. `VAE.draw`
samples once and returns a `Draw`; an objective is a function from a `Draw` to nats per image.

Kingma & Welling, Auto-Encoding Variational Bayes, 2013, arXiv:1312.6114.
Rezende, Mohamed & Wierstra, Stochastic Backpropagation, 2014, arXiv:1401.4082.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from numbers import Integral
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from vaelab import devices
from vaelab.errors import UserError
from vaelab.models.draw import Draw, sampled
from vaelab.models.importance import scores
from vaelab.models.memory import widest
from vaelab.seeding import seeded

ALIVE = 4  # tensors of the widest size that exist at once: a layer's input and output, temporaries


class VAE(nn.Module):
    """A prior, an encoder and a decoder.

    `draw` is what training differentiates. The verbs `encode`, `decode`, `reconstruct`, `sample`
    and `interpolate` are for use: they take arrays or tensors of any number of rows, work in chunks
    that fit the memory budget, compute no gradients, and depend only on their arguments. Several
    threads can use one model: the verbs neither read nor change torch's global random state or the
    model's mode. They need evaluation mode, in which models are built and loaded.

    Args:
        encoder: Maps images (B, *shape) to q(z|x), batch shape (B,), event shape (L,).
        decoder: Maps codes (..., L) to p(x|z), batch shape (...), event shape `shape`.
        prior: Takes nothing and returns p(z), batch shape (), event shape (L,).
        shape: The shape of one image.
        classes: The labels that a conditional model knows. Encoder, decoder and prior then take the
            class too, as an
            index (B,) into `classes`.

    Example:
        >>> from vaelab.models import build
        >>> from vaelab.recipes import Model
        >>> vae = build(Model(hidden=(16,), latent=2), (8, 8))
        >>> x = torch.rand(5, 8, 8)
        >>> vae.encode(x).shape, vae.reconstruct(x).shape, vae.sample(3).shape
        (torch.Size([5, 2]), torch.Size([5, 8, 8]), torch.Size([3, 8, 8]))
        >>> torch.equal(vae.sample(3, seed=1), vae.sample(3, seed=1))
        True
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
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.shape = shape
        self.register_buffer("classes", torch.tensor(classes, dtype=torch.int64), persistent=False)
        self.eval()

    @cached_property
    def latent(self) -> int:
        """L, the number of dimensions of z."""
        return int(self.prior(*self.given(self.classes[:1])).event_shape[0])

    def given(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """Return what the three parts are called with beside their input: nothing, or the indices
        of classes y (B,).
        """
        if not len(self.classes):
            return ()
        if y is None:
            raise UserError(
                "y: this model is conditional on labels; give one for each row "
                "(a table: the column of labels, with classes of the training; a file: .npz with x "
                "and y)"
            )
        index = torch.searchsorted(self.classes, y).clamp_(max=len(self.classes) - 1)
        unknown = y[self.classes[index] != y]
        if len(unknown):
            raise UserError(
                f"y: the model knows no class {int(unknown[0])}; it learned {self._known()}"
            )
        return (index,)

    def draw(self, x: Tensor, k: int = 1, y: Tensor | None = None) -> Draw:
        """Sample the posterior of images and evaluate all densities: one step of training.

        The samples are reparameterised and come from torch's current generator (`seeding.seeded`).

        Args:
            x: Images (B, *shape).
            k: Samples for each image.
            y: Labels (B,), for conditional models.
        """
        given = self.given(y)
        q = self.encoder(x, *given)
        z, log_qz = sampled(q, k)
        px = self.decoder(z, *given)  # z (K, B, L)
        return Draw(z, px.log_prob(x), q, self.prior(*given), px, log_qz)

    def encode(self, x: ArrayLike | Tensor, y: ArrayLike | Tensor | None = None) -> Tensor:
        """Return E[z|x], or the centre of the posterior where it has no mean in closed form.
        Deterministic.

        Args:
            x: Images (N, *shape).
            y: Labels (N,), for conditional models; others ignore them.

        Returns:
            Codes (N, L).
        """
        return self.each(lambda x, *y: self.encoder(x, *y).mean, self._images(x), y)

    def decode(self, z: ArrayLike | Tensor, y: ArrayLike | Tensor | None = None) -> Tensor:
        """Return E[x|z], (N, *shape), for codes z (N, L)."""
        codes, wanted = self._tensor(z), (self.latent,)
        if codes.shape[1:] != wanted or not len(codes):
            raise UserError(
                f"z: expected codes of shape {_rows_of(wanted)}, N at least 1, "
                f"got {tuple(codes.shape)}"
            )
        return self.each(lambda z, *y: self.decoder(z, *y).mean, codes, y)

    def reconstruct(
        self,
        x: ArrayLike | Tensor,
        y: ArrayLike | Tensor | None = None,
        sample: bool = False,
        seed: int = 0,
    ) -> Tensor:
        """Return E[x|z], (N, *shape), for z the posterior's mean, or a sample of it if `sample`.

        The same seed gives the same samples.
        """
        noise = seeded(seed, "reconstruct")

        def both(x: Tensor, *y: Tensor) -> Tensor:
            q = self.encoder(x, *y)
            with noise:
                z = q.sample() if sample else q.mean
            mean: Tensor = self.decoder(z, *y).mean
            return mean

        return self.each(both, self._images(x), y)

    def sample(self, n: int, seed: int = 0, y: int | None = None, noise: bool = False) -> Tensor:
        """Return E[x|z], (n, *shape), for n samples z of the prior. The same seed gives the same
        samples.

        Args:
            n: How many samples.
            seed: Seed of the samples.
            y: The class to sample, for conditional models; if None, the same number of every class,
                in order.
            noise: Whether to return samples of p(x|z) instead of its mean.
        """
        if not (isinstance(n, Integral) and int(n) >= 1):
            raise UserError(f"n: expected a number of samples of at least 1, got {n!r}")
        self.check_mode()
        labels = self._labels_to_sample(n, y)
        with seeded(seed, "sample"), torch.no_grad():
            prior = self.prior(*self.given(labels))
            z = prior.sample((n,) if not prior.batch_shape else ())
        if not noise:
            return self.decode(z, labels)
        stream = seeded(seed, "observation noise")

        def observed(z: Tensor, *y: Tensor) -> Tensor:
            with stream:
                x: Tensor = self.decoder(z, *y).sample()
            return x

        return self.each(observed, z, labels)

    def score_samples(
        self,
        x: ArrayLike | Tensor,
        y: ArrayLike | Tensor | None = None,
        samples: int = 200,
        seed: int = 0,
    ) -> Tensor:
        """Return log p(x), (N,) float64, in nats, by importance weights (`importance.scores`).

        A row gets the same number whatever the other rows are. Cells of a table that are NaN are
        left out.

        Args:
            x: Images or rows (N, *shape).
            y: Labels (N,), for conditional models.
            samples: The number K of importance samples per row.
            seed: Seed of the samples.
        """
        rows = self._images(x)
        found = scores(self, rows, samples, seed, self._labels(y, len(rows)))
        return torch.cat([one.log_p for one in found])

    def interpolate(self, a: ArrayLike | Tensor, b: ArrayLike | Tensor, steps: int) -> Tensor:
        """Return codes (N, steps, L) that lead from the codes a (N, L) to b (N, L), both ends
        included.

        They lie on the shortest path in the space of the posterior: a straight line, or on a sphere
        a great circle.
        """
        start, end = self._tensor(a)[:, None], self._tensor(b)[:, None]
        t = torch.linspace(0, 1, steps).to(start)[:, None]  # (S, 1)
        between = getattr(self.encoder, "between", torch.lerp)
        codes: Tensor = between(start, end, t)
        return codes

    @torch.no_grad()
    def each(
        self, function: Callable[..., Tensor], rows: Tensor, y: ArrayLike | Tensor | None
    ) -> Tensor:
        """Apply a function to chunks of rows, and of the classes' indices where the model is
        conditional.
        """
        self.check_mode()
        given = self.given(self._labels(y, len(rows))) if len(self.classes) else ()
        size = self.rows_at_once()
        chunks = zip(rows.split(size), *(labels.split(size) for labels in given), strict=True)
        return torch.cat([function(*chunk) for chunk in chunks])

    def rows_at_once(self, most: int = 1000) -> int:
        """Return how many images or codes fit the memory budget outside training, at least 1 and at
        most `most`.
        """
        return devices.at_once(self.row_bytes, most)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of memory that encoding and decoding one row takes: of its widest tensors, measured
        on one row.
        """
        given = self.given(self.classes[:1])
        x = self._tensor(torch.zeros(1, *self.shape))

        def both() -> Tensor:
            decoded: Tensor = self.decoder(self.encoder(x, *given).mean, *given).mean
            return decoded

        return ALIVE * widest(both)

    def check_mode(self) -> None:
        """Raise `UserError` in training mode."""
        if self.training:
            raise UserError(
                "vae: is in training mode, in which dropout and batch normalisation depend on the "
                "other images; call vae.eval() first"
            )

    def _labels_to_sample(self, n: int, y: int | None) -> Tensor | None:
        """Return n labels for samples, None for a model without."""
        if not len(self.classes):
            if y is None:
                return None
            raise UserError(
                "label: this model is not conditional on labels; "
                "train one with --model.variant cvae"
            )
        if y is None:
            return self.classes[torch.arange(n) * len(self.classes) // n]
        if y not in self.classes:
            raise UserError(f"label: the model knows no class {y}; choose one of: {self._known()}")
        return self.classes.new_full((n,), y)

    def _known(self) -> str:
        """The classes in words, at most a dozen of them."""
        listed = ", ".join(map(str, self.classes[:12].tolist()))
        return f"{listed}, ... ({len(self.classes)} classes)" if len(self.classes) > 12 else listed

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
                f"x: expected images of shape {_rows_of(self.shape)}, N at least 1, "
                f"got {tuple(images.shape)}"
            )
        return images

    def _tensor(self, values: ArrayLike | Tensor) -> Tensor:
        like = next(self.parameters())
        tensor = torch.as_tensor(values if isinstance(values, Tensor) else np.asarray(values))
        if not (tensor.is_floating_point() or tensor.dtype == torch.bool):
            raise UserError(
                f"expected real values, got {tensor.dtype}; "
                "divide 8-bit levels by 255, make counts floats"
            )
        return tensor.to(like)


def outputs(vae: VAE, z: Tensor, given: tuple[Tensor, ...]) -> int:
    """How many numbers the decoder puts out for one of the codes z (B, L), labels `given` where
    conditional.
    """
    # Past __call__: hooks, which may count codes, need not see this one.
    found: Tensor = cast(nn.Module, vae.decoder.network).forward(z[:1], *(y[:1] for y in given))
    return found.numel()


def _rows_of(shape: tuple[int, ...]) -> str:
    return f"({', '.join(('N', *map(str, shape)))})"
