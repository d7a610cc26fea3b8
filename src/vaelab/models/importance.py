"""log p(x) of single rows, and what an observed part of a row says about the rest.

All is estimated with K samples of q(z|x) and their weights w_k = p(x, z_k) / q(z_k|x). Rows are
taken one after the other and get the same random numbers, so that what is said of a row does not
depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from vaelab.errors import UserError
from vaelab.models.draw import Draw, sampled
from vaelab.models.posteriors import Point
from vaelab.seeding import seeded

POOR = 10.0  # effective samples, below which an estimate is unreliable


class Model(Protocol):
    """What is needed of a VAE: its three parts, and how they are called."""

    encoder: Any
    decoder: Any
    prior: Any

    def given(self, y: Tensor | None) -> tuple[Tensor, ...]:
        """Return what the parts take beside their input."""

    def rows_at_once(self) -> int:
        """Return how many codes fit into memory."""

    def check_mode(self) -> None:
        """Raise `UserError` in training mode."""


class Scores(NamedTuple):
    """How surprising rows are, in nats; float64."""

    log_p: Tensor  # (N,) log (1/K) sum_k w_k, an estimate of log p(x)
    error: Tensor  # (N,) its standard error
    elements: Tensor  # (N, *shape) E_w[-log p(x_i|z)]; (N,) where the elements are dependent
    effective: Tensor  # (N,) the effective sample size of the weights, in [1, K]

    @property
    def code(self) -> Tensor:
        """What the code costs, (N,): -log p(x) less the sum of the elements.

        It estimates KL(p(z|x) || p(z)), how far the row lies from the bulk of the prior.
        """
        return -self.log_p - self.elements.view(len(self.elements), -1).sum(1)


class Imputed(NamedTuple):
    """What the observed part of rows says of their empty cells."""

    mean: Tensor  # (N, *shape) E_w[E[x|z]]; of categories the most probable one; x where observed
    draws: Tensor  # (M, N, *shape) samples of p(x|x_observed); x where observed
    effective: Tensor  # (N,) the effective sample size of the weights


@torch.no_grad()
def scores(
    vae: Model, x: Tensor, k: int, seed: int = 0, y: Tensor | None = None
) -> Iterator[Scores]:
    """Yield the scores of each row of x (N, *shape), cells that are NaN left out.

        log p(x) ~ log (1/K) sum_k w_k    with the standard error sqrt(1/ESS - 1/K)

    where ESS = (sum w)^2 / sum w^2 (delta method). The surprise of an element is its expectation
    under the normalised weights, sum_k w_k (-log p(x_i|z_k)) / sum_k w_k, and -log p(x) is the sum
    over the elements and `Scores.code`, exactly.

    Args:
        vae: The model, in evaluation mode.
        x: Rows as the model sees them.
        k: Samples for each row.
        seed: Seed of the samples.
        y: Labels (N,), for conditional models.

    Raises:
        UserError: k is below 1, or the model is an autoencoder, whose code has no density.

    References:
        Burda, Grosse & Salakhutdinov, Importance weighted autoencoders, 2016, arXiv:1509.00519.
        Mattei & Frellsen, MIWAE, 2019, arXiv:1812.02633, where cells are missing.
    """
    for row, given in _rows(vae, x, k, y):
        z, log_ratio = _samples(vae, row, given, k, seed)
        mass = torch.full((), -torch.inf, dtype=torch.float64, device=row.device)
        squares, elements = mass, mass.new_zeros(())
        for codes, log_w in _chunks(vae, z, log_ratio):
            log_p = vae.decoder(codes, *given).base_dist.log_prob(row).double()  # (k, 1, ...)
            log_w = log_w + log_p.flatten(1).sum(1)
            total = torch.logaddexp(mass, log_w.logsumexp(0))
            w = (log_w - total).exp().view(-1, *[1] * (log_p.dim() - 1))
            elements = elements * (mass - total).exp() - (w * log_p).sum(0)
            squares = torch.logaddexp(squares, (2 * log_w).logsumexp(0))
            mass = total
        effective = (2 * mass - squares).exp()
        error = (1 / effective - 1 / k).clamp(min=0).sqrt()
        log_p_x = mass - torch.tensor(float(k)).log()
        yield Scores(log_p_x[None], error[None], elements, effective[None])


@torch.no_grad()
def imputed(
    vae: Model, x: Tensor, k: int, draws: int = 1, seed: int = 0, y: Tensor | None = None
) -> Iterator[Imputed]:
    """Yield each row of x (N, *shape) with its NaN cells filled in from the observed ones.

    With z_1 .. z_K ~ q(z|x_observed) and the normalised weights w_k, the mean is E_w[E[x|z]], of a
    column of categories the one of the largest probability sum_k w_k p(c|z_k); a draw picks a z_k
    with probability w_k and samples p(x|z_k) (sampling importance resampling).

    Args:
        vae: The model, in evaluation mode, with the likelihood "mixed".
        x: Rows, NaN where a cell is empty.
        k: Samples for each row.
        draws: The number M of multiple imputations.
        seed: Seed of the samples.
        y: Labels (N,), for conditional models.

    References:
        Mattei & Frellsen, MIWAE: deep generative modelling and imputation of incomplete data sets,
        2019, arXiv:1812.02633.
    """
    for row, given in _rows(vae, x, k, y):
        empty = row.isnan()
        if not empty.any():
            full = torch.full((1,), float(k), dtype=torch.float64)
            yield Imputed(row, row.expand(draws, *row.shape), full)
            continue
        z, log_ratio = _samples(vae, row, given, k, seed)
        px = vae.decoder(z, *given)
        log_w = log_ratio + px.log_prob(row)[:, 0].double()
        w = (log_w - log_w.logsumexp(0)).exp()
        with seeded(seed, "impute"):
            chosen = z[torch.multinomial(w, draws, replacement=True)]  # (M, 1, L)
            made = vae.decoder(chosen, *given).sample()  # (M, 1, *shape)
        mean = px.base_dist.expectation(w).to(row)
        yield Imputed(
            torch.where(empty, mean, row), torch.where(empty, made, row), (1 / (w**2).sum())[None]
        )


def _rows(
    vae: Model, x: Tensor, k: int, y: Tensor | None
) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
    """Yield each row (1, *shape) and what the parts of the model are given of it."""
    vae.check_mode()
    if k < 1:
        raise UserError(f"k: expected a number of samples of at least 1, got {k}")
    if isinstance(vae.encoder, Point):
        raise UserError("an autoencoder has no likelihood: its code is a point without a density")
    given = vae.given(y)
    for i in range(len(x)):
        yield x[i : i + 1], tuple(labels[i : i + 1] for labels in given)


def _samples(
    vae: Model, row: Tensor, given: tuple[Tensor, ...], k: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Return samples z (K, 1, L) of q(z|x), and log p(z) - log q(z|x), (K,)."""
    q = vae.encoder(row, *given)
    with seeded(seed, "weights of a row"):
        z, log_qz = sampled(q, k)
    draw = Draw(z, z.new_zeros(z.shape[:2]), q, vae.prior(*given), log_qz=log_qz)
    return z, draw.log_weight[:, 0].double()


def _chunks(vae: Model, z: Tensor, log_ratio: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """As many codes at once as memory allows."""
    size = vae.rows_at_once()
    return zip(z.split(size), log_ratio.split(size), strict=True)
