"""Section likelihood: distortion, rate and log p(x), in nats per image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import repeat
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaelab.data import Batches
from vaelab.evaluation.annealing import annealed
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.likelihood import draws
from vaelab.evaluation.metrics.estimates import Metric, mean
from vaelab.evaluation.metrics.weights import curve, effective_samples
from vaelab.evaluation.quadrature import HALVING, quadrature
from vaelab.models import Bernoulli, Code, Delta
from vaelab.recipes import table
from vaelab.screen import bar

IMAGES, DRAWN = 100, 100  # images encoded at once, and samples per image drawn at once
CLASSES = 100  # the most labels whose nll is reported
FEW = 10  # with fewer effective samples, the estimate of an image is unreliable
SECOND = 50  # images on which annealing and quadrature check the nll
SURE, WORTH = 3.0, 0.1  # standard errors, and nats, of a difference that is reported
FAR = 5.0  # nats above nll; nll is too low by this much with a probability below 1 in 100
UNIT = "nats per image"

METRICS = {
    "loss": Metric(UNIT, "lower", "kingma2014auto"),
    "distortion": Metric(UNIT),
    "rate": Metric(UNIT),
    "nll": Metric(UNIT, "lower", "burda2016importance"),
    "ess": Metric("samples"),
    "curve": Metric(UNIT),
    "bits_per_dim": Metric("bits", "lower", "theis2016note"),
    "nll_by_class": Metric(UNIT),
    "ais": Metric(UNIT, "lower", "neal2001annealed wu2017quantitative"),
    "ais_ess": Metric("samples"),
    "ais_difference": Metric(UNIT),
    "quadrature": Metric(UNIT, "lower"),
    "quadrature_difference": Metric(UNIT),
    "quadrature_halved": Metric(UNIT),
}


@torch.no_grad()
def measure(evaluator: Evaluator, samples: int, opinions: Mapping[str, Any]) -> dict[str, Any]:
    """Measure all applicable `METRICS` on the test images.

    An autoencoder has no likelihood. For quantised codes only the bound `loss` is known.

    Args:
        evaluator: The run.
        samples: The number K of importance weights.
        opinions: The result of `second_opinions`, which is compared with `nll` on the same images.

    Returns:
        The metrics, and "notes" on those that are left out or unreliable.
    """
    vae, x, y = evaluator.vae, evaluator.x_test, evaluator.test.y
    q = _posterior(evaluator)
    point, codes = isinstance(q, Delta), isinstance(q, Code)
    k = 1 if point else samples  # all samples of a point are equal
    each = _estimates(evaluator, k)
    loss, nll, ess = each["distortion"] + each["rate"], each[str(k)], each["ess"]

    found: dict[str, Any] = {
        "loss": mean(loss),
        "distortion": mean(each["distortion"]),
        "rate": mean(each["rate"]),
    }
    offset, note = bits_of_a_volume(vae.decoder, x, evaluator.test)
    notes = [note] if note else []
    if len(vae.classes):
        notes.append("the model is conditional: all likelihoods are those of p(x|y)")
    if offset is not None and (codes or not point):
        found["bits_per_dim"] = mean((loss if codes else nll) / x[0].numel() / math.log(2) + offset)
    if point:
        notes.append(
            "nll: left out, because q(z|x) is a single code sequence; -log p(x) is below the loss"
            if codes
            else "nll: an autoencoder has none, because its code is a point without a density"
        )
        return found | {"notes": notes}

    found |= {"nll": mean(nll), "ess": mean(ess)}
    found["curve"] = {size: mean(column) for size, column in each.items() if size.isdigit()}
    labels = None if y is None else y.cpu()
    if labels is not None and len(known := labels.unique().tolist()) <= CLASSES:
        found["nll_by_class"] = {str(one): mean(nll[labels == one]) for one in known}
    elif labels is not None:
        notes.append(f"nll_by_class: left out, because there are more than {CLASSES} classes")
    unsure = float((ess < min(FEW, k / 4)).double().mean())
    if unsure > 0.05:
        notes.append(
            f"nll: for {unsure:.0%} of the images the effective sample size is less than "
            f"{min(FEW, k / 4):g} of {k}, and the estimate is too high; increase samples"
        )
    differences = _differences(nll, opinions, notes)
    return {**opinions, **found, **differences, "notes": [*notes, *opinions["notes"]]}


def _estimates(evaluator: Evaluator, k: int) -> dict[str, Tensor]:
    """Return distortion, rate, effective sample size and -log p(x) by up to K weights.

    Each is (N,), float64.
    """
    vae, x, y = evaluator.vae, evaluator.x_test, evaluator.test.y
    pieces = zip(x.split(IMAGES), repeat(None) if y is None else y.split(IMAGES), strict=False)
    rows = []
    with bar(None, "importance weights", len(x), "image", evaluator.quiet) as shown:
        for draw in draws(vae, pieces, k, evaluator.seed):
            one = {
                "distortion": draw.distortion,
                "rate": draw.rate,
                "ess": effective_samples(draw.log_weight),
            }
            rows.append(one | {str(size): nll for size, nll in curve(draw.log_weight).items()})
            shown.update(len(draw.rate))
    return {key: torch.cat([row[key] for row in rows]).double().cpu() for key in rows[0]}


def _differences(nll: Tensor, opinions: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return the differences of annealing and quadrature to the nll (N,) of the same images.

    Significant differences are added to `notes`. An unbiased estimate of p(x) exceeds e^b p(x) with
    probability at most e^-b. The lower one of nll and ais is therefore the better estimate of
    -log p(x), up to a few nats, and an estimate far above the other one has failed.
    """
    found: dict[str, Any] = {}
    asked = _few(len(nll))
    for name, who in (("ais", "annealing"), ("quadrature", "quadrature")):
        if name not in opinions:
            continue
        each = torch.from_numpy(opinions[name].each) - nll[asked]
        found[f"{name}_difference"] = apart = mean(each)
        error, images = apart.error or math.inf, f"the same {len(asked)} images"
        if apart.value < -max(WORTH, SURE * error):
            notes.append(f"nll: {who} finds {-apart.value:.2f} ± {error:.2f} nats less on {images}")
        if apart.value > max(WORTH, SURE * error):
            notes.append(
                f"{name}: is too high; nll is {apart.value:.2f} ± {error:.2f} nats less on {images}"
            )
        if failed := int((each > FAR).sum()):
            notes.append(
                f"{name}: failed on {failed} of {images}, more than {FAR:g} nats above nll: "
                "its mean is not meaningful"
            )
    return found


def bits_of_a_volume(decoder: nn.Module, x: Tensor, batches: Batches) -> tuple[float | None, str]:
    """Return the offset that turns -log2 p(x) per element into bits per dimension, and a note.

    The offset is 0 if p is a probability, and log2 of the number of levels for dequantised data. It
    is None if p is another density, or is not normalised.
    """
    if isinstance(decoder, Bernoulli):
        x = x if decoder.units is None else decoder.units.inward(x)
        floor = float(-(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).double().sum() / len(x))
        says = (
            "NOT A LIKELIHOOD: the Bernoulli cross-entropy of grey levels has its minimum on these "
            f"images at {floor:.1f} nats, the entropy of their pixels, and not at 0; do not "
            "compare it with numbers of binarised images (data.treatment: dynamic)"
        )
        return (None, says) if floor else (0.0, "")
    if getattr(decoder, "support", "real") in ("counts", "levels"):
        return 0.0, ""
    if batches.treatment == "dequantised" and batches.levels:
        note = "bits_per_dim: an upper bound, from the density of dequantised levels"
        return math.log2(batches.levels), note
    return None, (
        "nll is that of a density of real values: it can be negative, it depends on the unit of x, "
        "and it has no bits per dimension; compare it only on the same data with the same treatment"
    )


def bits_per_dim(nats: float, decoder: nn.Module, x: Tensor, batches: Batches) -> float | None:
    """Return nats per image as bits per dimension; None where p(x|z) has none.

    nats / (D log 2) + offset,    with the offset of `bits_of_a_volume` and D elements of x
    """
    offset, _ = bits_of_a_volume(decoder, x, batches)
    return None if offset is None else nats / (x[0].numel() * math.log(2)) + offset


def second_opinions(evaluator: Evaluator) -> dict[str, Any]:
    """Estimate -log p(x) on SECOND test images without importance weights from q(z|x).

    The methods are annealing and, for at most 2 latent dimensions, quadrature. Models without a
    likelihood have no estimates.

    Returns:
        The metrics, and "notes" as in `measure`.
    """
    vae, images = evaluator.vae, evaluator.x_test
    if isinstance(_posterior(evaluator), Delta):
        return {"notes": []}
    space = table.part("model.posterior", evaluator.run.recipe.model.posterior).space
    if space not in ("reals", "levels"):
        where = f"posterior: {space or 'custom'}"
        return {"notes": [f"ais: left out, because z is not known to be real-valued ({where})"]}
    index = _few(len(images))
    x, y = images[index], None if evaluator.test.y is None else evaluator.test.y[index]
    log_w = annealed(vae, x, y, evaluator.seed, quiet=evaluator.quiet)
    found: dict[str, Any] = {
        "ais": mean(curve(log_w)[len(log_w)]),
        "ais_ess": mean(effective_samples(log_w)),
    }
    if vae.latent > 2:
        return found | {"notes": []}
    total, change = quadrature(vae, x, y, evaluator.quiet)
    halved = float(change.max())
    says = (
        f"quadrature: unreliable, because halving the cells still changes it by {halved:.2g} nats"
    )
    notes = [says] if halved > 10 * HALVING else []
    return found | {"quadrature": mean(-total), "quadrature_halved": halved, "notes": notes}


@torch.no_grad()
def _posterior(evaluator: Evaluator) -> Distribution:
    """Return q(z|x) of one image, which shows the kind of posterior."""
    vae, y = evaluator.vae, evaluator.test.y
    given = vae.given(None if y is None else y[:1])
    return cast(Distribution, vae.encoder(evaluator.x_test[:1], *given))


def _few(images: int) -> Tensor:
    """Return the indices of the images for `second_opinions`, evenly spaced."""
    return torch.linspace(0, images - 1, min(SECOND, images)).long()
