"""Section latent: information in the codes, and mismatch of aggregate posterior and prior.

The aggregate posterior is q(z) = 1/N sum_n q(z|x_n) over the test images. A conditional model has
one for each class, q(z|y), which is compared with p(z|y). Log densities are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vaelab import devices
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.codes import (
    knn_accuracy,
    probe_accuracy,
    silhouette,
    trustworthiness,
)
from vaelab.evaluation.metrics.densities import fitted_density, share_beyond
from vaelab.evaluation.metrics.estimates import Metric, pooled
from vaelab.evaluation.metrics.information import (
    ACTIVE,
    aggregate,
    is_product,
    usage,
    variance_of_means,
)
from vaelab.evaluation.sections.decoded import decoded_codes, interpolations
from vaelab.evaluation.sections.groups import FITTED, Group, by_image, groups_of, subset
from vaelab.models import Code, Delta, Flowed, OneHots, VonMisesFisher
from vaelab.seeding import derive

SAMPLES = 2000  # samples of the aggregate posterior whose density is computed
COMPARED = 2000  # images whose pairwise distances are compared

METRICS = {
    "rate": Metric("nats per image"),
    "rates": Metric("nats per image"),
    "active_units": Metric(cites="burda2016importance"),
    "activity": Metric(cites="burda2016importance"),
    "codes_used": Metric("share", "higher", "oord2017neural"),
    "codes_perplexity": Metric("values", "higher", "oord2017neural"),
    "mutual_information": Metric(unit="nats", cites="poole2019variational"),
    "mutual_information_at_most": Metric(unit="nats", cites="poole2019variational"),
    "total_correlation": Metric(unit="nats", cites="chen2018isolating"),
    "dimension_wise_kl": Metric(unit="nats", cites="chen2018isolating esmaeili2019structured"),
    "prior_gap": Metric(unit="nats", cites="hoffman2016elbo"),
    "prior_gap_at_least": Metric(unit="nats", cites="poole2019variational"),
    "hole_share": Metric(unit="share", cites="rosca2018distribution alaa2022faithful"),
    "lost_share": Metric(unit="share", cites="cemgil2020autoencoding"),
    "sample_nll": Metric("nats per image"),
    "sample_nll_excess": Metric(unit="nats per image", cites="rosca2018distribution"),
    "knn_accuracy": Metric("share", "higher"),
    "probe_accuracy": Metric("share", "higher", "alain2017understanding"),
    "silhouette": Metric(cites="rousseeuw1987silhouettes"),
    "trustworthiness": Metric(better="higher", cites="venna2001neighborhood"),
    "smoothness": Metric(cites="arvanitidis2018latent"),
}


def measure(evaluator: Evaluator) -> dict[str, Any]:
    """Measure all applicable `METRICS`; "notes" give the reason why others are left out."""
    notes: list[str] = []
    groups = groups_of(evaluator, notes)
    parts = (
        _use,
        _aggregate_posterior,
        _fitted,
        decoded_codes,
        _classes,
        _distances,
        interpolations,
    )
    found = {key: value for part in parts for key, value in part(evaluator, groups, notes).items()}
    return found | {"notes": notes}


def _use(evaluator: Evaluator, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    """Measure the rate, and the use of dimensions or codes."""
    q = groups[0].posteriors[0]
    found: dict[str, Any] = {}
    if isinstance(q, Delta) and not isinstance(q, Code):
        notes.append(
            "rate, rates, mutual_information_at_most: not applicable, an autoencoder has no rate"
        )
    else:
        found["rate"] = by_image(groups, [group.rates.sum(1) for group in groups])
        if groups[0].rates.shape == groups[0].z.shape:
            found["rates"] = torch.cat([group.rates for group in groups]).double().mean(0).tolist()
        else:
            notes.append("rates: the KL of each dimension has no closed form")
    if isinstance(q, Code | OneHots):
        notes.append("active_units, activity: codes are discrete; see codes_used")
        used, perplexity = usage(_counts(evaluator, groups))
        return found | {"codes_used": used, "codes_perplexity": perplexity}
    activity = variance_of_means(evaluator.z_test)
    return found | {"active_units": int((activity > ACTIVE).sum()), "activity": activity.tolist()}


def _counts(evaluator: Evaluator, groups: Sequence[Group]) -> Tensor:
    """Count the images with each value, by the most probable value of each variable.

    Counts are (1, C) if the variables share a codebook, else (T, C).
    """
    encoder: Any = evaluator.vae.encoder
    posteriors: list[Any] = [q for group in groups for q in group.posteriors]
    if isinstance(posteriors[0], Code):
        return torch.cat([q.indices.flatten() for q in posteriors]).bincount(
            minlength=len(encoder.table)
        )[None]
    logits = torch.cat([q.logits for q in posteriors])  # (N, T, C)
    return one_hot(logits.argmax(-1), logits.shape[-1]).sum(0)


@torch.no_grad()
def _aggregate_posterior(
    evaluator: Evaluator, groups: Sequence[Group], notes: list[str]
) -> dict[str, Any]:
    """Decompose the rate into mutual information, total correlation and dimension-wise KL."""
    reason = {
        Delta: "the code of an autoencoder is a point without a density",
        Flowed: "the density of a flow posterior needs a forward pass for every pair of images",
    }.get(type(groups[0].posteriors[0]))
    if reason:
        notes.append(
            f"mutual_information, total_correlation, dimension_wise_kl, prior_gap: {reason}"
        )
        return {}
    n, product = len(evaluator.test), is_product(groups[0].prior)
    chosen = torch.zeros(n, dtype=torch.bool, device=evaluator.device)
    chosen[subset(n, SAMPLES, evaluator, "aggregate")] = True
    parts: list[tuple[Tensor, ...]] = []
    for group in groups:
        z, log_qz = (each[chosen[group.which]] for each in (group.z, group.log_qz))
        log_q, log_marginals = aggregate(group.posteriors, z)
        log_p = group.prior.log_prob(z)
        rest = () if log_marginals is None else (log_q - log_marginals, log_marginals - log_p)
        parts.append((log_qz - log_q, log_q - log_p, *rest))
    names = ("mutual_information", "prior_gap", "total_correlation", "dimension_wise_kl")
    found = {
        name: pooled(torch.cat(each))
        for name, each in zip(names, zip(*parts, strict=True), strict=False)
    }
    if "total_correlation" not in found:
        notes.append(
            "total_correlation, dimension_wise_kl: the marginal densities of the posterior are "
            "unknown"
        )
    elif not product:
        notes.append("dimension_wise_kl: the prior is not a product over dimensions")
        del found["dimension_wise_kl"]
    ceiling = sum(len(group.z) * math.log(len(group.z)) for group in groups) / n
    if found["mutual_information"].value > ceiling - 1:
        notes.append(
            "mutual_information: the estimate is at its upper limit for this number of images, "
            f"log N = {ceiling:.2f} nats, and is only a lower bound; prior_gap, the sum of "
            "total_correlation and dimension_wise_kl, is too high by the same amount"
        )
    return found


@torch.no_grad()
def _fitted(evaluator: Evaluator, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    """Compare test codes and prior samples under a density r fitted to training codes."""
    q = groups[0].posteriors[0]
    if isinstance(q, Code | OneHots):
        notes.append(
            "hole_share, prior_gap_at_least, mutual_information_at_most: discrete codes have no "
            "density"
        )
        return {}
    seed = derive(evaluator.seed, "mixture") % 2**32
    densities = [fitted_density(group.z_train, seed) for group in groups]
    codes = [density(group.z) for density, group in zip(densities, groups, strict=True)]  # log r
    prior = [density(group.z_prior) for density, group in zip(densities, groups, strict=True)]
    found = {"hole_share": share_beyond(-torch.cat(codes), -torch.cat(prior))}
    if isinstance(q, VonMisesFisher):
        notes.append(
            "prior_gap_at_least, mutual_information_at_most: codes on a sphere have no density in "
            "the surrounding space"
        )
        return found
    # KL(q(z) || p(z)) is E[log r(z) - log p(z)] + KL(q(z) || r(z))
    gains = [
        r - group.prior.log_prob(group.z).cpu() for r, group in zip(codes, groups, strict=True)
    ]
    found["prior_gap_at_least"] = by_image(groups, gains)
    if not isinstance(q, Delta):
        tops = [group.log_qz.cpu() - r for r, group in zip(codes, groups, strict=True)]
        found["mutual_information_at_most"] = by_image(groups, tops)
    return found


def _classes(evaluator: Evaluator, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    """Measure how well codes separate classes."""
    few = subset(len(evaluator.train), FITTED, evaluator, "probe").cpu()
    if (
        evaluator.train.y is None
        or evaluator.test.y is None
        or len(evaluator.train.y.cpu()[few].unique()) < 2
    ):
        notes.append(
            "knn_accuracy, probe_accuracy, silhouette: the images have no labels of at least two "
            "classes"
        )
        return {}
    codes, others = evaluator.z_train.cpu(), evaluator.z_test.cpu()
    labels, truth = evaluator.train.y.cpu().numpy(), evaluator.test.y.cpu().numpy()
    found = {"knn_accuracy": knn_accuracy(codes, labels, others, truth)}
    classes = len(np.unique(labels[few]))
    if devices.at_once(8 * classes, len(few)) == len(few):  # all probabilities fit into memory
        found["probe_accuracy"] = probe_accuracy(codes[few], labels[few], others, truth)
    else:
        notes.append(f"probe_accuracy: left out, because {classes:,} classes are too many to fit")
    few = subset(len(others), COMPARED, evaluator, "silhouette").cpu()
    if 2 <= len(np.unique(truth[few])) < len(few):
        found["silhouette"] = silhouette(others[few], truth[few])
    else:
        notes.append(
            "silhouette: needs two classes among the test images, and more images than classes"
        )
    return found


def _distances(evaluator: Evaluator, groups: Sequence[Group], notes: list[str]) -> dict[str, Any]:
    """Compare the neighbourhoods of codes and images."""
    count = max(4, devices.at_once(8 * evaluator.x_test[0].numel(), COMPARED))
    few = subset(len(evaluator.test), count, evaluator, "trustworthiness")
    if len(few) < 4:
        notes.append("trustworthiness: needs at least four test images")
        return {}
    x = evaluator.comparable(evaluator.x_test[few])
    return {"trustworthiness": trustworthiness(x, evaluator.z_test[few])}
