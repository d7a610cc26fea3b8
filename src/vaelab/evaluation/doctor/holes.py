"""Rule: samples are worse than reconstructions, because aggregate posterior and prior differ."""

from __future__ import annotations

import math
from functools import partial

from vaelab.evaluation.doctor.evidence import LOOKED, SURE, WORTH, Evidence, error_of
from vaelab.evaluation.doctor.finding import Finding, either, say
from vaelab.evaluation.metrics.densities import UNLIKELY
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.recipes import part

# Nats per dimension: the KL to N(0, I) of a normal 2.1 times, or 0.23 times, as wide
APART = 1.0
# Ratio of the coverage by samples to that by real images; below it, 9 of 10 images are not covered
BARE = 0.1
# Share of the reconstructions' Frechet distance; samples with a smaller excess are equally blurred
MISSED = 0.5


def holes(e: Evidence) -> Finding | None:
    """Diagnose prior samples that lie outside the aggregate posterior and therefore decode badly.

    Three measures are used: a lower bound on KL(q(z) || p(z)) (Rosca et al. 2018,
    arXiv:1802.06847), the share of test images with a sample near them (coverage, Naeem et al.
    2020, arXiv:2002.09797), and the Frechet distances of samples and of reconstructions.
    """
    finding, model, gap = partial(Finding, "holes"), e.recipe.model, _gap(e)
    names = ("frechet", "frechet_reconstructions", "frechet_real", "coverage", "coverage_real")
    made, again, real, near, near_real = (e.number(f"samples.{name}") for name in names)
    share = e.number("latent.hole_share")
    if gap is None and made is None:
        return None
    # Reconstructions are compared with their own originals, whereas even real images have a
    # distance from the test images.
    lack = made.value - again.value - real.value if made and again and real else -math.inf
    worse = bool(made and again and real and lack > SURE * error_of(made, again, real))
    bare = bool(near and near_real and near.value < BARE * near_real.value)
    says = []
    if gap and gap.value > SURE * error_of(gap):
        says += [say("the mismatch is at least", gap=gap)]
    if share and share.value > 2 * UNLIKELY:
        says += [say("samples lie in holes", share=100 * share.value)]
    if made and again and real:
        distances = {"made": made.value, "again": again.value, "real": real.value}
        says += [say("Frechet distances", **distances)]
    if near and bare:
        says += [say("few images have a sample near them", share=100 * near.value)]
    apart = bool(gap and gap.value > max(WORTH, SURE * error_of(gap)))
    reals = part("model.posterior", model.posterior).space == "reals" and model.prior == "normal"
    refit = reals and (apart or gap is None)
    remedy = either(say("more epochs"), say("another setting", setting="--model.prior"))
    if refit:
        remedy = f"vaelab fit-prior {e.evaluator.run.origin} --prior flow"
    missed = worse and bare and again is not None and lack > MISSED * again.value
    if (gap and gap.value > APART * e.evaluator.vae.latent) or missed:
        other = say("or a larger setting", remedy=remedy, setting="--objective.beta")
        if model.posterior == "point":
            other = say("or a VAE", remedy=remedy, setting="--model.variant vae")
        return finding("fault", [say("samples are much worse"), *says], other)
    if worse or apart:
        so = ", ".join(["samples are worse"] * worse + ["codes and prior do not match"] * apart)
        return finding("remark", [say(so), *says], remedy if apart else "")
    return finding("fine", says) if says else None


def _gap(e: Evidence) -> Estimate | None:
    """Return a lower bound on KL(q(z) || p(z)).

    Without one, return the estimate, provided that the mutual information is below its limit log N.
    """
    shared = e.number("latent.mutual_information")
    exact = shared and shared.value < math.log(min(LOOKED, len(e.evaluator.test))) - 1
    return e.number("latent.prior_gap_at_least") or (
        e.number("latent.prior_gap") if exact else None
    )
