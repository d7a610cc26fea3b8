"""What codes decode to: samples of the prior beside test codes, and paths between codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor

from vaelab.data import Batches
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.likelihood import log_likelihood
from vaelab.evaluation.metrics.codes import (
    evenness,
)
from vaelab.evaluation.metrics.densities import share_beyond
from vaelab.evaluation.metrics.estimates import Estimate, pooled
from vaelab.evaluation.sections.groups import Group, subset
from vaelab.models import Code, Delta, OneHots
from vaelab.seeding import seeded

DECODED, K = 500, 100  # decoded samples that are weighed, and importance weights for each
WALKS, STEPS = 200, 32  # interpolations, and the steps of each


def decoded_codes(
    evaluator: Evaluator, groups: Sequence[Group], notes: list[str]
) -> dict[str, Any]:
    """What test codes and samples of the prior decode to."""
    spread = evaluator.z_test.std(0, correction=0).clamp(min=1e-6)
    with seeded(evaluator.seed, "decoded"):
        codes, prior = (
            torch.cat(
                [
                    _round_trip(evaluator, group, z, spread)
                    for group, z in zip(groups, drawn, strict=True)
                ]
            )
            for drawn in ([group.z for group in groups], [group.z_prior for group in groups])
        )
    found = {"lost_share": share_beyond(codes, prior)}
    if isinstance(groups[0].posteriors[0], Delta):
        notes.append(
            "sample_nll, sample_nll_excess: a code that is a point has no density to weigh it by"
        )
        return found
    try:
        codes, prior = (
            torch.cat([_surprise(evaluator, group, name) for group in groups])
            for name in ("z", "z_prior")
        )
    except NotImplementedError:  # torch's answer for a distribution that cannot be sampled
        notes.append("sample_nll, sample_nll_excess: the likelihood has no sampler")
        return found
    nll, own = pooled(prior), pooled(codes)
    excess = Estimate(nll.value - own.value, math.hypot(nll.error or 0, own.error or 0))
    return found | {"sample_nll": nll, "sample_nll_excess": excess}


def _round_trip(evaluator: Evaluator, group: Group, z: Tensor, spread: Tensor) -> Tensor:
    """sum_j ((E[z_j|x] - z_j) / spread_j)^2, (S,), of codes z (S, L) and x what they decode to.

    An encoder need not know what its decoder makes of a code on which neither was trained: Cemgil et al., The
    autoencoding variational autoencoder, 2020, arXiv:2012.03715.
    """
    found = []
    for chunk in z.split(evaluator.vae.rows_at_once()):
        y = group.labels(len(chunk))
        x = evaluator.vae.decode(chunk, y)
        if evaluator.run.recipe.data.binary:
            top = evaluator.run.recipe.data.scale
            x = top * torch.bernoulli((x / top).clamp(0, 1))  # as in training
        codes = evaluator.vae.encode(x, y)
        found.append(((codes - chunk) / spread).double().square().sum(1).cpu())
    return torch.cat(found)


@torch.no_grad()
def _surprise(evaluator: Evaluator, group: Group, name: str) -> Tensor:
    """-log p(x), (S,), by K importance weights, of x ~ p(x|z) for DECODED of the group's codes of that name."""
    vae, settings = (
        evaluator.vae,
        msgspec.structs.replace(evaluator.run.recipe.data, treatment="grey"),
    )
    z: Tensor = getattr(group, name)
    z = z[subset(len(z), math.ceil(DECODED * len(group.z) / len(evaluator.test)), evaluator, name)]
    y = group.labels(len(z))
    with seeded(evaluator.seed, f"surprise {name}"):
        x = vae.decoder(z, *vae.given(y)).sample()
    return -log_likelihood(
        vae, Batches(x, None, settings, evaluator.device, y=y), K, evaluator.seed
    )


def interpolations(
    evaluator: Evaluator, groups: Sequence[Group], notes: list[str]
) -> dict[str, Any]:
    """Between test images drawn by chance; in a conditional model of the same class, decoded as that class."""
    if isinstance(groups[0].posteriors[0], Code | OneHots):
        notes.append("smoothness: there is nothing between discrete codes")
        return {}
    found = []
    for group in groups:
        n = min(len(group.z) // 2, math.ceil(WALKS / len(groups)))
        if n:
            ends = evaluator.z_test[
                group.which[subset(len(group.z), 2 * n, evaluator, f"walks {group.y}")]
            ]
            z = evaluator.vae.interpolate(ends[:n], ends[n:], STEPS + 1)  # (n, STEPS + 1, L)
            for some in z.split(max(1, evaluator.vae.rows_at_once() // (STEPS + 1))):
                codes = some.flatten(0, 1)
                x = evaluator.vae.decode(codes, group.labels(len(codes)))
                found.append(evenness(x.flatten(1).unflatten(0, (len(some), -1))))
    moving = torch.cat([each[~each.isnan()] for each in found]) if found else torch.empty(0)
    if not len(moving):
        notes.append(
            "smoothness: no two test images to walk between, or the decoder ignores its codes"
        )
        return {}
    return {"smoothness": pooled(moving)}
