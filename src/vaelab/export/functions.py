"""The functions of a trained model that files carry: encoder, decoder and sampler, as modules.

Each takes a batch of N rows, and in a conditional model a label for each row as the last input. It
returns its outputs by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.export import noise
from vaelab.models import VAE, Chain, Choice, Columns, FullNormal, Mixed, Quantised, VonMisesFisher

Named = dict[str, Tensor]


class Function(nn.Module, ABC):
    """A function of tensors with a batch dimension, whose outputs have names."""

    name: ClassVar[str]
    takes: ClassVar[str]  # the name of its first input
    meanings: ClassVar[dict[str, str]]  # of its inputs and outputs, a sentence fragment each
    classes: Tensor

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.register_buffer("classes", vae.classes.cpu())
        self.shape = vae.shape

    def example(self, rows: int = 3) -> tuple[Tensor, ...]:
        """Return inputs of the right shapes and types."""
        first = torch.zeros(rows, *self.shape)
        return (first, self.classes[:1].expand(rows).clone()) if len(self.classes) else (first,)

    def _index(self, label: Tensor) -> Tensor:
        """Return the indices (N,) of labels among the classes, which are in order."""
        below = (self.classes < label[:, None]).sum(1)
        return below.clamp(max=len(self.classes) - 1)

    def forward(self, rows: Tensor, label: Tensor | None = None) -> Named:
        if label is None:
            return self.outputs(rows)
        index = self._index(label)
        known = self.classes[index] == label
        return {name: _where(known, found) for name, found in self.outputs(rows, index).items()}

    @abstractmethod
    def outputs(self, rows: Tensor, *y: Tensor) -> Named:
        """Return the outputs for the first input and the indices of classes."""


def _where(known: Tensor, found: Tensor) -> Tensor:
    """Return NaN, or the index -1, in the rows whose label was never seen."""
    nothing = torch.nan if found.is_floating_point() else -1
    return torch.where(known.view(-1, *[1] * (found.dim() - 1)), found, nothing)


class Encoder(Function):
    """x -> the parameters of q(z|x): `mean`, what ``vae.encode`` returns, and others by its type.

    They are `log_variance`, with `scale_tril` where the covariance is full, `concentration` on the
    sphere, and `indices` of quantised codes. Of several levels, each has the variance that it has
    where the one before it is at its mean.
    """

    name, takes = "encoder", "x"
    meanings: ClassVar = {
        "x": "rows of data",
        "label": "the class of each row",
        "mean": "E[z|x], or the centre of q(z|x) where it has no mean in closed form: the code",
        "log_variance": "log Var[z|x] of each dimension",
        "scale_tril": "T, lower triangular, with Cov[z|x] = T T^T",
        "concentration": "kappa of the von Mises-Fisher distribution q(z|x) around the mean",
        "indices": "the index of each code vector, from 0",
    }

    def __init__(self, vae: VAE) -> None:
        super().__init__(vae)
        self.encoder = vae.encoder

    def outputs(self, rows: Tensor, *y: Tensor) -> Named:
        if isinstance(self.encoder, Quantised):
            indices = self.encoder.chosen(self.encoder.parts(rows, *y))
            return {"mean": self.encoder.vectors(indices), "indices": indices}
        q: Distribution = self.encoder(rows, *y)
        found = {"mean": q.mean}
        match q:
            case VonMisesFisher():
                found["concentration"] = q.concentration
            case Chain():
                found["log_variance"] = _log_variance(q)
            case _:
                with suppress(NotImplementedError):  # torch's answer where there is no closed form
                    found["log_variance"] = q.variance.log()
        if isinstance(q, FullNormal):
            found["scale_tril"] = q.scale_tril
        return found


def _log_variance(q: Chain) -> Tensor:
    """Return the log variance (N, L) of each level where the one before it is at its mean."""
    p = q.first
    found = {q.order[0]: p.variance.log()}
    for i in q.order[1:]:
        p = q.given(i, p.mean)
        found[i] = p.variance.log()
    return torch.cat([found[i] for i in range(len(found))], -1)


class Decoder(Function):
    """z -> the parameters of p(x|z): `mean`, what ``vae.decode`` returns, and others by its type.

    They are the `variance` of each element where it has a closed form, and of a table the
    `probabilities` of the values of its columns of categories.
    """

    name, takes = "decoder", "z"
    meanings: ClassVar = {
        "z": "codes",
        "label": "the class of each row",
        "mean": "E[x|z]; of a column of categories the index of the most probable one",
        "variance": "Var[x|z] of each element",
        "probabilities": "P(value|z) of all values of the columns of categories, side by side",
    }

    def __init__(self, vae: VAE) -> None:
        super().__init__(vae)
        self.decoder = vae.decoder
        self.shape = (vae.latent,)

    def outputs(self, rows: Tensor, *y: Tensor) -> Named:
        p = self.decoder(rows, *y)
        found = {"mean": p.mean}
        if isinstance(self.decoder, Mixed):
            columns = _probabilities(self.decoder, p.base_dist)
            return found | ({"probabilities": torch.cat(columns, -1)} if columns else {})
        with suppress(NotImplementedError):  # no closed form
            found["variance"] = p.variance
        return found


def _probabilities(decoder: Mixed, p: Columns) -> list[Tensor]:
    """The probabilities (N, K) of the values of each column of categories, in the order of x."""
    found: dict[int, Tensor] = {}
    for block, part, which in zip(decoder.parts, p.parts, decoder.which, strict=True):
        if isinstance(part, Choice):
            each = part.logits.exp().unbind(-2)  # (N, K), K that of the column with most values
            for i, column, known in zip(which, each, block.columns, strict=True):
                found[i] = column[:, : len(known.values)]
    return [found[i] for i in sorted(found)]


class Sampler(Function):
    """noise -> a sample z of the prior, and E[x|z]: `x`, as ``vae.sample`` returns, and `z`."""

    name, takes = "sampler", "noise"
    meanings: ClassVar = {
        "noise": "independent standard normal numbers",
        "label": "the class of each row",
        "x": "E[x|z]; of a column of categories the index of the most probable one",
        "z": "samples of the prior",
    }

    def __init__(self, vae: VAE) -> None:
        super().__init__(vae)
        self.decoder = vae.decoder
        self.prior = vae.prior if len(vae.classes) else None
        with torch.no_grad():  # a prior without classes is the same for all samples
            self.known = vae.prior(*vae.given(vae.classes[:1]))
            self.shape = (noise.width(self.known),)
            noise.sample(self.known, torch.zeros(1, *self.shape))  # what it computes once, is now

    def outputs(self, rows: Tensor, *y: Tensor) -> Named:
        z = noise.sample(self.prior(*y) if self.prior else self.known, rows)
        return {"x": self.decoder(z, *y).mean, "z": z}


FUNCTIONS: tuple[type[Function], ...] = (Encoder, Decoder, Sampler)
