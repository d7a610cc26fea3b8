"""Disentanglement scores from groups of images that share the value of one factor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from vaelab.data.schema import Array
from vaelab.evaluation.metrics.codes import (
    linear_classifier,
)
from vaelab.evaluation.metrics.estimates import Estimate, pooled
from vaelab.evaluation.metrics.factors import (
    Integers,
    Reals,
)
from vaelab.seeding import numpy_generator

GROUP = 10  # the fewest images with the same value of a factor from which groups are sampled
# The next three are those of Locatello et al. for five factors.
BATCH = 64  # images, or pairs, in a group
VOTES, HELD = 2_000, 1_000  # groups for each factor, for training and for testing


def factor_vae_score(
    codes: Reals, factors: Integers, others: Reals, truth: Integers, seed: int = 0
) -> Estimate:
    """FactorVAE score, in [0, 1]: whether the dimension of least variance identifies a factor.

    A group has 64 images with the same value of one factor. It votes for the dimension with the
    smallest variance, relative to the variance over all `codes`. A majority-vote classifier is
    trained on 2,000 groups for each factor: it assigns to each dimension the factor with the most
    votes. The score is its accuracy on 1,000 groups for each factor from `others`. Constant
    dimensions get no votes; other unused dimensions should be removed before, as in Kim & Mnih.

    The score is 1 if each factor has dimensions on which it has the strongest effect. Chance level
    is 1 / F. The standard error covers the sampling of groups, not of images. Every factor needs a
    value that 10 images share.

    References:
        Kim & Mnih, Disentangling by factorising, 2018, arXiv:1802.05983.
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
    """beta-VAE score, in [0, 1]: whether a linear classifier identifies the factor pairs share.

    The input is the mean of |z - z'| over 64 pairs of images that share the value of one factor,
    with standardised dimensions. A logistic regression is trained on 2,000 such means for each
    factor. The score is its accuracy on 1,000 means for each factor from `others`.

    Like `factor_vae_score`, it is lenient: a rotation of a perfect code also scores 1, unless two
    factors change the dimensions equally, as after a rotation by 45 degrees. Chance level is 1 / F,
    with F at least 2. The standard error covers the sampling of pairs, not of images. Every factor
    needs a value that 10 images share.

    References:
        Higgins et al., beta-VAE: Learning basic visual concepts with a constrained variational
        framework, 2017, ICLR.
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
    """Return the features of `groups` groups for each factor j, and the j of each group.

    `feature` is called for 100 groups at once, with the codes, rows (100, own) and partners
    (100, 64) that share the value of factor j with the rows. With `own` = 64 each pair can have
    another value; with `own` = 1 all 64 partners share the value of one row. A row is never its own
    partner.
    """
    found = []
    for values in factors.T:
        order = values.argsort(kind="stable")
        first, count = np.searchsorted(values[order], values), np.bincount(values)[values]
        place = order.argsort() - first  # position of each row among those with its value
        usable = np.flatnonzero(count >= GROUP)
        for _ in range(groups // 100):
            rows = rng.choice(usable, (100, own))
            step = rng.integers(1, count[rows], (100, BATCH))
            found.append(
                feature(codes, rows, order[first[rows] + (place[rows] + step) % count[rows]])
            )
    return np.concatenate(found), np.repeat(np.arange(factors.shape[1]), groups)
