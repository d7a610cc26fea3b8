"""Metrics of decoded codes: prior samples compared with test codes, and interpolations."""

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
from vaelab.evaluation.metrics.codes import evenness
from vaelab.evaluation.metrics.densities import share_beyond
from vaelab.evaluation.metrics.estimates import Estimate, pooled
from vaelab.evaluation.sections.groups import Group, subset
from vaelab.models import Code, Delta, OneHots
from vaelab.seeding import seeded

DECODED, K = 500, 100  # decoded samples whose likelihood is estimated, and weights for each
WALKS, STEPS = 200, 32  # interpolations, and steps of each


def decoded_codes(
    evaluator: Evaluator, groups: Sequence[Group], notes: list[str]
) -> dict[str, Any]:
    """Measure lost_share, sample_nll and sample_nll_excess on decoded codes and prior samples."""
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
        notes.append("sample_nll, sample_nll_excess: a deterministic code has no density")
        return found
    try:
        codes, prior = (
            torch.cat([_surprise(evaluator, group, name) for group in groups])
            for name in ("z", "z_prior")
        )
    except NotImplementedError:  # torch raises it for distributions that cannot be sampled
        notes.append("sample_nll, sample_nll_excess: the likelihood has no sampler")
        return found
    nll, own = pooled(prior), pooled(codes)
    excess = Estimate(nll.value - own.value, math.hypot(nll.error or 0, own.error or 0))
    return found | {"sample_nll": nll, "sample_nll_excess": excess}


def _round_trip(evaluator: Evaluator, group: Group, z: Tensor, spread: Tensor) -> Tensor:
    """Return the change of codes z (S, L) when they are decoded to x and encoded again, (S,).

        sum_j ((E[z_j|x] - z_j) / spread_j)^2

    The change can be large for codes on which encoder and decoder were not trained.

    References:
        Cemgil et al., The autoencoding variational autoencoder, 2020, arXiv:2012.03715.
    """
    found = []
    for chunk in z.split(evaluator.vae.rows_at_once()):
        y = group.labels(len(chunk))
        x = evaluator.vae.decode(chunk, y)
        if evaluator.run.recipe.data.binary:
            top = evaluator.run.recipe.data.scale
            x = top * torch.bernoulli((x / top).clamp(0, 1))  # as in the training images
        codes = evaluator.vae.encode(x, y)
        found.append(((codes - chunk) / spread).double().square().sum(1).cpu())
    return torch.cat(found)


@torch.no_grad()
def _surprise(evaluator: Evaluator, group: Group, name: str) -> Tensor:
    """Return -log p(x), (S,), of samples x ~ p(x|z) for DECODED codes, by K importance weights.

    `name` is the field of the group that holds the codes.
    """
    vae = evaluator.vae
    settings = msgspec.structs.replace(evaluator.run.recipe.data, treatment="grey", hide=0.0)
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
    """Measure the smoothness of interpolations between random test images.

    In a conditional model both images have the same class, and codes are decoded as that class.
    """
    if isinstance(groups[0].posteriors[0], Code | OneHots):
        notes.append("smoothness: discrete codes cannot be interpolated")
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
                x = evaluator.comparable(evaluator.vae.decode(codes, group.labels(len(codes))))
                found.append(evenness(x.flatten(1).unflatten(0, (len(some), -1))))
    moving = torch.cat([each[~each.isnan()] for each in found]) if found else torch.empty(0)
    if not len(moving):
        notes.append(
            "smoothness: there are no two test images to interpolate between, or the decoder "
            "ignores its codes"
        )
        return {}
    return {"smoothness": pooled(moving)}
