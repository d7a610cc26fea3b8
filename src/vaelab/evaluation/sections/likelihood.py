"""Section likelihood: distortion, rate and log p(x), in nats per image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import repeat
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from tqdm import tqdm

from vaelab.data import Batches
from vaelab.evaluation.annealing import CHAINS, annealed
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.likelihood import draws
from vaelab.evaluation.metrics.estimates import Metric, mean
from vaelab.evaluation.metrics.weights import curve, effective_samples
from vaelab.evaluation.quadrature import HALVING, quadrature
from vaelab.models import Bernoulli, Code, Delta
from vaelab.recipes import table

IMAGES, DRAWN = (
    100,
    100,
)  # images that are encoded at once, samples that are drawn at once for each of them
CLASSES = 100  # labels whose nll is reported one by one, at most
FEW = 10  # effective samples, below which the weights of an image are not to be trusted
SECOND = 50  # images about which a second opinion is asked


SURE, WORTH = (
    3.0,
    0.1,
)  # standard errors, and nats, that a second opinion must be off to be worth a word
FAR = 5.0  # nats above nll, which is as much too low with a chance of less than 1 in 100


METRICS = {
    "loss": Metric("-ELBO: distortion + rate", "nats per image", "lower", "kingma2014auto"),
    "distortion": Metric("reconstruction term: -log p(x|z), averaged over q(z|x)", "nats per image"),
    "rate": Metric("KL(q(z|x) || p(z))", "nats per image"),
    "nll": Metric("upper bound on -log p(x); tightens as K grows", "nats per image", "lower",
                  "burda2016importance"),
    "ess": Metric("effective sample size of the K importance weights, (sum w)^2 / sum w^2", "samples"),
    "curve": Metric("nll with fewer importance weights", "nats per image"),
    "bits_per_dim": Metric("nll per pixel or element, for discrete x", "bits", "lower", "theis2016note"),
    "nll_by_class": Metric("nll of the images of each label", "nats per image"),
    "ais": Metric(f"upper bound on -log p(x) by annealed importance sampling, of {SECOND} images", "nats per image", "lower",
                  "neal2001annealed wu2017quantitative"),
    "ais_ess": Metric(f"effective sample size of the {CHAINS} annealed chains", "samples"),
    "ais_difference": Metric("ais - nll of the same images", "nats per image"),
    "quadrature": Metric("-log p(x) by quadrature over 1 or 2 latent dimensions, of the same images", "nats per image", "lower"),
    "quadrature_difference": Metric("quadrature - nll of the same images", "nats per image"),
    "quadrature_halved": Metric("largest change when the cells were last halved", "nats per image"),
}  # fmt: skip


@torch.no_grad()
def measure(evaluator: Evaluator, samples: int, opinions: Mapping[str, Any]) -> dict[str, Any]:
    """Measure METRICS on the test images with K = `samples`; "notes" say what is left out, and why.

    `opinions` are those of `second_opinions`: the importance weights are compared with them on the
    same images. An autoencoder has no likelihood; of quantised codes only the bound `loss` is known.
    """
    vae, x, y = evaluator.vae, evaluator.x_test, evaluator.test.y
    q = _posterior(evaluator)
    point, codes = isinstance(q, Delta), isinstance(q, Code)
    k = 1 if point else samples  # of a point, all samples are the same
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
        notes.append("the labels are given: every number is about p(x|y)")
    if offset is not None and (codes or not point):
        found["bits_per_dim"] = mean((loss if codes else nll) / x[0].numel() / math.log(2) + offset)
    if point:
        notes.append(
            "nll: left out, for all of q(z|x) is on one sequence of codes; -log p(x) is below the loss"
            if codes
            else "nll: an autoencoder has none, for its code is a point and has no density to weigh it by"
        )
        return found | {"notes": notes}

    found |= {"nll": mean(nll), "ess": mean(ess)}
    found["curve"] = {size: mean(column) for size, column in each.items() if size.isdigit()}
    labels = None if y is None else y.cpu()
    if labels is not None and len(known := labels.unique().tolist()) <= CLASSES:
        found["nll_by_class"] = {str(one): mean(nll[labels == one]) for one in known}
    elif labels is not None:
        notes.append(f"nll_by_class: left out, for there are more than {CLASSES} classes")
    unsure = float((ess < min(FEW, k / 4)).double().mean())
    if unsure > 0.05:
        notes.append(
            f"nll: for {unsure:.0%} of the images the estimate rests on fewer than "
            f"{min(FEW, k / 4):g} of {k} samples and is too high; raise samples"
        )
    return {
        **opinions,
        **found,
        **_differences(nll, opinions, notes),
        "notes": [*notes, *opinions["notes"]],
    }


def _estimates(evaluator: Evaluator, k: int) -> dict[str, Tensor]:
    """Distortion, rate, effective samples and -log p(x) by up to K weights, each (N,), float64."""
    vae, x, y = evaluator.vae, evaluator.x_test, evaluator.test.y
    pieces = zip(x.split(IMAGES), repeat(None) if y is None else y.split(IMAGES), strict=False)
    rows = []
    with tqdm(
        total=len(x),
        desc="importance weights",
        unit="image",
        disable=evaluator.quiet or None,
        leave=False,
    ) as bar:
        for draw in draws(vae, pieces, k, evaluator.seed):
            one = {
                "distortion": draw.distortion,
                "rate": draw.rate,
                "ess": effective_samples(draw.log_weight),
            }
            rows.append(one | {str(size): nll for size, nll in curve(draw.log_weight).items()})
            bar.update(len(draw.rate))
    return {key: torch.cat([row[key] for row in rows]).double().cpu() for key in rows[0]}


def _differences(nll: Tensor, opinions: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The second opinions less the nll (N,) of the same images; where they disagree, that goes into `notes`.

    An estimate of p(x) that is p(x) in expectation exceeds e^b p(x) with a probability of at most e^-b. So of nll and
    ais the lower is nearer to -log p(x), but for a little, and what lies far above the other has failed.
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
                f"{name}: falls short, for nll is {apart.value:.2f} ± {error:.2f} nats less on {images}"
            )
        if failed := int((each > FAR).sum()):
            says = f"failed on {failed} of {images}, more than {FAR:g} nats above nll: its mean says little"
            notes.append(f"{name}: {says}")
    return found


def bits_of_a_volume(decoder: nn.Module, x: Tensor, batches: Batches) -> tuple[float | None, str]:
    """What turns -log2 p(x) an element into bits: 0 where p is a probability, log2 levels where noise filled those.

    None where p is a density of something else, or nothing normalised; and what has to be said of p.
    """
    if isinstance(decoder, Bernoulli):
        x = x if decoder.units is None else decoder.units.inward(x)
        floor = float(-(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).double().sum() / len(x))
        says = (
            "NO LIKELIHOOD: grey levels under a Bernoulli make a cross-entropy, and its floor on these images is "
            f"{floor:.1f} nats, the entropy of their pixels, not 0; never compare it with binarised images "
            "(data.treatment: dynamic)"
        )
        return (None, says) if floor else (0.0, "")
    if getattr(decoder, "support", "real") in ("counts", "levels"):
        return 0.0, ""
    if batches.treatment == "dequantised" and batches.levels:
        return math.log2(
            batches.levels
        ), "bits_per_dim: a bound, by the density of levels that noise made continuous"
    return None, (
        "nll is of a density of real values: it can be negative, it moves with the unit of x, and there are no bits; "
        "compare it only on the same data, treated alike"
    )


def second_opinions(evaluator: Evaluator) -> dict[str, Any]:
    """-log p(x) without importance weights, on SECOND of the test images; and `notes`, as of `measure`.

    By annealing, and by quadrature where z has no more than 2 dimensions. Models without weights get none.
    """
    vae, images = evaluator.vae, evaluator.x_test
    if isinstance(_posterior(evaluator), Delta):
        return {"notes": []}
    space = table.part("model.posterior", evaluator.run.recipe.model.posterior).space
    if space not in ("reals", "levels"):
        where = f"posterior: {space or 'your own'}"
        return {"notes": [f"ais: left out, for z is not known to be of real numbers ({where})"]}
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
        f"quadrature: not to be trusted, for halving its cells still moves it by {halved:.2g} nats"
    )
    notes = [says] if halved > 10 * HALVING else []
    return found | {"quadrature": mean(-total), "quadrature_halved": halved, "notes": notes}


@torch.no_grad()
def _posterior(evaluator: Evaluator) -> Distribution:
    """q(z|x) of one image, to see of what kind it is."""
    vae, y = evaluator.vae, evaluator.test.y
    given = vae.given(None if y is None else y[:1])
    return cast(Distribution, vae.encoder(evaluator.x_test[:1], *given))


def _few(images: int) -> Tensor:
    """The indices of the images about which a second opinion is asked, spread over all."""
    return torch.linspace(0, images - 1, min(SECOND, images)).long()
