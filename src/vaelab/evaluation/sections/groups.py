"""Test images grouped by the prior that their codes follow: one group, or one for each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaelab.data import Batches
from vaelab.data.dataset import spread
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate, mean
from vaelab.models import VAE, Draw, sampled
from vaelab.seeding import generator, seeded

FITTED = 20_000  # training codes that a mixture or a linear probe is fitted to
CLASSES = 1000  # of a conditional model, whose groups are measured, at most


class Group(NamedTuple):
    """Test images whose codes are to follow one prior: all, or in a conditional model those of a class."""

    which: Tensor  # (n,) of the test images
    posteriors: list[Distribution]  # of a chunk of images each
    prior: Distribution
    z: Tensor  # (n, L) a sample of each image's posterior
    log_qz: Tensor  # (n,) log q(z|x) of it
    rates: Tensor  # (n, L), or (n, 1) where the rate does not fall apart into dimensions
    z_train: Tensor  # (m, L) samples of training images' posteriors, FITTED at most over all groups
    z_prior: Tensor  # (s, L) samples of the prior, as many of each group as it has images
    y: Tensor | None  # (1,) the class

    def labels(self, n: int) -> Tensor | None:
        return None if self.y is None else self.y.repeat(n)


@torch.no_grad()
def group_of(evaluator: Evaluator, label: int | None) -> Group | None:
    """Return the group of a class (None: of all images); None for a class without images."""
    vae = evaluator.vae
    y = None if label is None else vae.classes.new_tensor([label])
    test, train = (of_class(split, label) for split in (evaluator.test, evaluator.train))
    if not len(test) or not len(train):
        return None
    fitted = train[
        subset(
            len(train), math.ceil(FITTED * len(train) / len(evaluator.train)), evaluator, "fitted"
        )
    ]
    n = math.ceil(evaluator.n_samples * len(test) / len(evaluator.test))
    with seeded(evaluator.seed, f"latent {label}"):
        posteriors, prior = _posteriors(vae, evaluator.x_test[test], y), vae.prior(*vae.given(y))
        draws = [_draw(q, prior) for q in posteriors]
        z_train = torch.cat([q.sample() for q in _posteriors(vae, evaluator.x_train[fitted], y)])
        z_prior = prior.sample((n,)).reshape(n, -1)
    z, log_qz = (
        torch.cat([draw.z[0] for draw in draws]),
        torch.cat([draw.log_qz[0] for draw in draws]),
    )
    return Group(
        test,
        posteriors,
        prior,
        z,
        log_qz,
        torch.cat([draw.rates for draw in draws]),
        z_train,
        z_prior,
        y,
    )


def groups_of(evaluator: Evaluator, notes: list[str]) -> list[Group]:
    """Return the groups of a run; of a conditional model with many classes those of some of them."""
    known = evaluator.vae.classes.tolist()
    if len(known) > CLASSES:
        known = [known[i] for i in spread(len(known), CLASSES)]
        notes.append(f"the latent space is that of {CLASSES} classes, evenly spread over all")
    found = (group_of(evaluator, label) for label in known or [None])
    return [group for group in found if group]


def of_class(split: Batches, label: int | None) -> Tensor:
    """Return the indices of the images of a class; None: of all."""
    if split.y is None or label is None:
        return torch.arange(len(split), device=split.x.device)
    return (split.y == label).nonzero()[:, 0]


def _posteriors(vae: VAE, x: Tensor, y: Tensor | None) -> list[Distribution]:
    return [
        vae.encoder(some, *vae.given(None if y is None else y.repeat(len(some))))
        for some in x.split(vae.rows_at_once())
    ]


def _draw(q: Distribution, p: Distribution) -> Draw:
    """One sample of each posterior, with nothing decoded."""
    z, log_qz = sampled(q, 1)
    return Draw(z, z.new_zeros(z.shape[:2]), q, p, log_qz=log_qz)


def subset(n: int, count: int, evaluator: Evaluator, purpose: str) -> Tensor:
    """At most `count` of the indices 0 .. n - 1 at random, because files may be sorted by class."""
    return torch.randperm(n, generator=generator(evaluator.seed, purpose))[:count].to(
        evaluator.device
    )


def by_image(groups: Sequence[Group], each: Sequence[Tensor]) -> Estimate:
    """Return the mean of a value (n,) for each image of each group, in the order of the images."""
    return mean(
        torch.cat([*each])[
            torch.cat([group.which for group in groups]).argsort().to(each[0].device)
        ]
    )
