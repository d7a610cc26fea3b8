"""Rules: does the model use its latent code?"""

from __future__ import annotations

import math
from functools import partial

from vaelab.evaluation.doctor.evidence import LOOKED, Evidence, Finding
from vaelab.evaluation.doctor.likelihood import MISFIT, fit_of
from vaelab.recipes import part

ONE_BIT = math.log(2)  # nats; a code with less cannot separate two halves of the images
# Share of dimensions. In good models 19 to 25 of 50 are active (Burda et al. 2016, table 1).
FEW_USED = 0.25
CODES_USED = 0.5  # share of the codes that would occur if all were equally likely


def collapse(e: Evidence) -> Finding | None:
    """Diagnose a rate, or a mutual information of image and code, below one bit."""
    if e.recipe.model.posterior == "point":
        return None
    finding, rate = partial(Finding, "posterior collapse"), e.look[2]
    shared = e.number("latent.mutual_information")
    # The estimate of the mutual information cannot exceed log N, so it needs enough images.
    told = min(rate, shared.value) if shared and len(e.evaluator.test) > 16 else rate
    if told >= ONE_BIT:
        return finding("fine", f"The latent code carries at least {told:.1f} nats per image.")
    paid = f" (at a rate of {rate:.2g})" if rate >= ONE_BIT else ""
    says = f"The latent code carries {max(told, 0):.2g} nats of information per image{paid}, "
    says += "less than one bit. "
    says += "The decoder ignores it and produces nearly the same output for every image."
    beta = e.numbers["beta"]
    if beta > 1 and e.recipe.objective.name == "elbo":  # elsewhere beta weights another term
        says += f" The KL was weighted by beta = {beta:.3g}."
        return finding("fault", says, "--objective.beta 1")
    if (fit := fit_of(e)) and fit.beta > MISFIT:
        says += f" The likelihood's sigma is {fit.scale:.2g}, where {fit.best:.2g} would fit: "
        says += "the gain of encoding a detail is less than its rate."
        return finding("fault", says, "--model.likelihood gaussian-optimal")
    if part("model.posterior", e.recipe.model.posterior).space in ("codes", "classes"):
        return finding("fault", says, f"more epochs, or --model.latent {2 * e.recipe.model.latent}")
    return finding(
        "fault",
        says,
        f"more epochs, --objective.warmup {e.quarter}, or --model.variant free-bits",
    )


def unused_dimensions(e: Evidence) -> Finding | None:
    """Count active dimensions: Var_x(E[z_j|x]) > 0.01 (Burda et al. 2016, arXiv:1509.00519).

    The threshold presumes codes on the scale of a prior N(0, I).
    """
    active, q = e.number("latent.active_units"), e.recipe.model.posterior
    total = len(e.sections.get("latent", {}).get("activity") or [])
    if (
        active is None
        or not total
        or q == "point"
        or part("model.posterior", q).space not in ("reals", "levels")
    ):
        return None
    finding, used = partial(Finding, "unused dimensions"), int(active.value)
    says = f"{used} of {total} latent dimensions are active."
    if used == total:
        return finding("fine", says)
    says += " The means of the others hardly vary between images."
    if used >= FEW_USED * total:
        return finding("remark", f"{says} This is normal: they follow the prior and cost nothing.")
    fuller = "--objective.beta 1" if e.numbers["beta"] > 1 else "--model.variant free-bits"
    return finding("fault", says, f"{fuller}, or --model.latent {max(used, 1)}")


def unused_codes(e: Evidence) -> Finding | None:
    """Compare the share of discrete values that occur with its expectation at equal frequency."""
    share, table = e.number("latent.codes_used"), getattr(e.evaluator.vae.encoder, "table", None)
    if share is None:
        return None
    codes, tokens = (
        (e.recipe.model.codes, 1) if table is None else (len(table), e.recipe.model.latent)
    )
    expected = 1 - (1 - 1 / codes) ** (tokens * min(LOOKED, len(e.evaluator.test)))
    finding = partial(Finding, "unused codes")
    says = f"{100 * share.value:.0f} % of the {codes} values of a code occur."
    if share.value >= CODES_USED * expected:
        return finding("fine", says)
    return finding(
        "fault", says, f"--model.codes {max(2, round(codes * share.value))}, or more epochs"
    )
