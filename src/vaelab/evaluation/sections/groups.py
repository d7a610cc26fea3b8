"""Test images grouped by the prior of their codes: one group, or one group for each class."""

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

FITTED = 20_000  # training codes to which a mixture or a linear probe is fitted
CLASSES = 1000  # the most classes of a conditional model that are measured


class Group(NamedTuple):
    """Test images with the same prior: all images, or those of a class in a conditional model."""

    which: Tensor  # (n,), indices of the test images
    posteriors: list[Distribution]  # one for each chunk of images
    prior: Distribution
    z: Tensor  # (n, L), a posterior sample for each image
    log_qz: Tensor  # (n,), log q(z|x) of these samples
    rates: Tensor  # (n, L), or (n, 1) where the rate is not a sum over dimensions
    z_train: Tensor  # (m, L), posterior samples of training images, about FITTED in all groups
    z_prior: Tensor  # (s, L), prior samples, in proportion to the images of the group
    y: Tensor | None  # (1,), the class

    def labels(self, n: int) -> Tensor | None:
        """Return the class n times, or None."""
        return None if self.y is None else self.y.repeat(n)


@torch.no_grad()
def group_of(evaluator: Evaluator, label: int | None) -> Group | None:
    """Return the group of a class, or of all images if `label` is None.

    It is None for a class without test or training images.
    """
    vae = evaluator.vae
    y = None if label is None else vae.classes.new_tensor([label])
    test, train = (of_class(split, label) for split in (evaluator.test, evaluator.train))
    if not len(test) or not len(train):
        return None
    count = math.ceil(FITTED * len(train) / len(evaluator.train))
    fitted = train[subset(len(train), count, evaluator, "fitted")]
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
    """Return the groups of a run, for at most `CLASSES` classes."""
    known = evaluator.vae.classes.tolist()
    if len(known) > CLASSES:
        known = [known[i] for i in spread(len(known), CLASSES)]
        notes.append(f"the latent space is measured on {CLASSES} classes, evenly spaced")
    found = (group_of(evaluator, label) for label in known or [None])
    return [group for group in found if group]


def of_class(split: Batches, label: int | None) -> Tensor:
    """Return the indices of the images of a class, or of all images if `label` is None."""
    if split.y is None or label is None:
        return torch.arange(len(split), device=split.x.device)
    return (split.y == label).nonzero()[:, 0]


def _posteriors(vae: VAE, x: Tensor, y: Tensor | None) -> list[Distribution]:
    return [
        vae.encoder(some, *vae.given(None if y is None else y.repeat(len(some))))
        for some in x.split(vae.rows_at_once())
    ]


def _draw(q: Distribution, p: Distribution) -> Draw:
    """Return one sample of each posterior, without decoding it."""
    z, log_qz = sampled(q, 1)
    return Draw(z, z.new_zeros(z.shape[:2]), q, p, log_qz=log_qz)


def subset(n: int, count: int, evaluator: Evaluator, purpose: str) -> Tensor:
    """Return at most `count` random indices below n; files may be sorted by class."""
    order = torch.randperm(n, generator=generator(evaluator.seed, purpose))
    return order[:count].to(evaluator.device)


def by_image(groups: Sequence[Group], each: Sequence[Tensor]) -> Estimate:
    """Return the mean over images of values (n,) of each group, in the order of the images."""
    order = torch.cat([group.which for group in groups]).argsort()
    return mean(torch.cat([*each])[order.to(each[0].device)])
