"""Disentanglement scores from groups of images that share the value of one factor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from vaelab.data.dataset import Array
from vaelab.evaluation.metrics.codes import (
    linear_classifier,
)
from vaelab.evaluation.metrics.estimates import Estimate, pooled
from vaelab.evaluation.metrics.factors import (
    Integers,
    Reals,
)
from vaelab.seeding import numpy_generator

GROUP = 10  # images that must share a value before groups are drawn from them


BATCH = (
    64  # images, or pairs, in a group; as are the next two, for five factors, Locatello et al.'s
)
VOTES, HELD = 2_000, 1_000  # groups of each factor to learn from, and to be judged on


def factor_vae_score(
    codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0
) -> Estimate:
    """How often the dimension that varies least in a group tells which factor the images of the group share.

    A group is 64 images with the same value of one factor, drawn from those there are. It votes for the dimension with
    the smallest variance, in units of its variance over all of `codes`; a table says for each dimension which factor
    had most of its votes, 2,000 for each factor. The score is that table's accuracy on 1,000 each from `others`.
    Constant dimensions get no vote; what else a model does not use should be left out before, as Kim & Mnih do.

    1: each factor has dimensions that it moves most. Chance, and the score of a useless code, is 1 / F. The error is
    that of drawing the groups, not the images. Every factor needs a value that 10 images share.
    Kim & Mnih 2018, arXiv:1802.05983.
    """
    varies = np.ptp(codes, 0) > 0
    scale = np.where(varies, codes.var(0), 1)

    def vote(z: Reals, _: Integers, alike: Integers) -> Array:
        least: Array = np.where(varies, z[alike].var(1) / scale, np.inf).argmin(1)  # (groups,)
        return least

    table = np.zeros((codes.shape[1], factors.shape[1]))
    np.add.at(
        table, _drawn(vote, codes, factors, VOTES, 1, numpy_generator(seed, "FactorVAE votes")), 1
    )
    votes, which = _drawn(vote, others, truth, HELD, 1, numpy_generator(seed, "FactorVAE held out"))
    return pooled(torch.from_numpy(table.argmax(1)[votes] == which))


def beta_vae_score(
    codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0
) -> Estimate:
    """How often a linear classifier tells from 64 pairs of images which factor the two of each pair share.

    It sees the mean of |z - z'| over the pairs, each dimension standardised, and learns, by logistic regression, from
    2,000 such means for each factor; the score is its accuracy on 1,000 each from `others`.

    Mild, as the score above is: 1 also where a rotation has mixed dimensions, unless so that two factors change them
    alike, as 45 degrees do. Chance is 1 / F, F at least 2. The error is that of drawing the pairs, not the images.
    Every factor needs a value that 10 images share. Higgins et al. 2017 (beta-VAE, ICLR).
    """

    def difference(z: Reals, rows: Integers, alike: Integers) -> Array:
        mean: Array = abs(z[rows] - z[alike]).mean(1)  # (groups, L)
        return mean

    classifier = linear_classifier(
        *_drawn(difference, codes, factors, VOTES, BATCH, numpy_generator(seed, "beta-VAE pairs"))
    )
    seen, which = _drawn(
        difference, others, truth, HELD, BATCH, numpy_generator(seed, "beta-VAE held out")
    )
    return pooled(torch.from_numpy(classifier.predict(seen) == which))


def _drawn(
    feature: Callable[[Reals, Integers, Integers], Array],
    codes: Reals,
    factors: Integers,
    groups: int,
    own: int,
    rng: np.random.Generator,
) -> tuple[Array, Integers]:
    """Features of so many groups for each factor j, and each j: feature(codes, rows, others alike in j), 100 at once.

    The others are (100, 64). With `own` = 64 rows are too, and every pair shares a value of its own; with 1 they are
    (100, 1), and all 64 share the value of the one. A row is never its own partner.
    """
    found = []
    for values in factors.T:
        order = values.argsort(kind="stable")
        first, count = np.searchsorted(values[order], values), np.bincount(values)[values]
        place = order.argsort() - first  # of each row among those of its value
        usable = np.flatnonzero(count >= GROUP)
        for _ in range(groups // 100):
            rows = rng.choice(usable, (100, own))
            step = rng.integers(1, count[rows], (100, BATCH))
            found.append(
                feature(codes, rows, order[first[rows] + (place[rows] + step) % count[rows]])
            )
    return np.concatenate(found), np.repeat(np.arange(factors.shape[1]), groups)
