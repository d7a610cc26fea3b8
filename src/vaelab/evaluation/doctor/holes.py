"""Rule: samples are worse than reconstructions, because aggregate posterior and prior differ."""

from __future__ import annotations

import math
from functools import partial

from vaelab.evaluation.doctor.evidence import LOOKED, SURE, WORTH, Evidence, Finding, error_of, said
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
        says += [
            f"The mismatch between aggregate posterior and prior is at least {said(gap)} nats."
        ]
    if share and share.value > 2 * UNLIKELY:
        says += [
            f"{100 * share.value:.0f} % of the prior's samples lie where there are almost no codes "
            "(5 % without a mismatch)."
        ]
    if made and again and real:
        three = f"samples {made.value:.3g}, reconstructions {again.value:.3g}"
        three += f", training images {real.value:.2g}"
        says += [f"Frechet distance from test images: {three}."]
    if near and bare:
        says += [f"Only {100 * near.value:.0f} % of the test images have a sample near them."]
    apart = bool(gap and gap.value > max(WORTH, SURE * error_of(gap)))
    reals = part("model.posterior", model.posterior).space == "reals" and model.prior == "normal"
    refit = reals and (apart or gap is None)
    remedy = (
        f"vaelab fit-prior {e.evaluator.run.folder} --prior flow"
        if refit
        else "more epochs, or another --model.prior"
    )
    missed = worse and bare and again is not None and lack > MISSED * again.value
    if (gap and gap.value > APART * e.evaluator.vae.latent) or missed:
        point = model.posterior == "point"
        other = "or a VAE: --model.variant vae" if point else "or a larger --objective.beta"
        says = ["Samples are much worse than reconstructions.", *says]
        return finding("fault", " ".join(says), f"{remedy}; {other}")
    if worse or apart:
        so = ["samples are worse than reconstructions"] * worse
        so += ["codes and prior do not match"] * apart
        says = [f"{', and '.join(so).capitalize()}.", *says]
        return finding("remark", " ".join(says), remedy if apart else "")
    return finding("fine", " ".join(says)) if says else None


def _gap(e: Evidence) -> Estimate | None:
    """Return a lower bound on KL(q(z) || p(z)).

    Without one, return the estimate, provided that the mutual information is below its limit log N.
    """
    shared = e.number("latent.mutual_information")
    exact = shared and shared.value < math.log(min(LOOKED, len(e.evaluator.test))) - 1
    return e.number("latent.prior_gap_at_least") or (
        e.number("latent.prior_gap") if exact else None
    )
