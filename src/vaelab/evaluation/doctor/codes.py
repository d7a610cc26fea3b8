"""Rules: does the model use its latent code?"""

from __future__ import annotations

import math
from functools import partial

from vaelab.evaluation.doctor.evidence import LOOKED, Evidence
from vaelab.evaluation.doctor.finding import Finding, either, say
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
        return finding("fine", [say("the code carries enough", nats=told)])
    told = max(told, 0.0)
    says = [say("the code carries less than a bit", nats=told)]
    if rate >= ONE_BIT:
        says = [say("the code carries less than a bit, but has a rate", nats=told, rate=rate)]
    says += [say("the decoder ignores the code")]
    beta = e.numbers["beta"]
    if beta > 1 and e.recipe.objective.name == "elbo":  # elsewhere beta weights another term
        says += [say("beta weighted the KL", beta=beta)]
        return finding("fault", says, "--objective.beta 1")
    if (fit := fit_of(e)) and fit.beta > MISFIT:
        says += [say("sigma is too large", sigma=fit.scale, best=fit.best)]
        return finding("fault", says, "--model.likelihood gaussian-optimal")
    if part("model.posterior", e.recipe.model.posterior).space in ("codes", "classes"):
        larger = f"--model.latent {2 * e.recipe.model.latent}"
        return finding("fault", says, either(say("more epochs"), larger))
    warmup, variant = f"--objective.warmup {e.quarter}", "--model.variant free-bits"
    return finding("fault", says, either(say("more epochs"), warmup, variant))


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
    says = [say("dimensions in use", used=used, total=total)]
    if used == total:
        return finding("fine", says)
    says += [say("the others hardly vary")]
    if (
        used >= FEW_USED * total or e.evaluator.run.schema
    ):  # the recipe of tables has dimensions to spare
        return finding("remark", [*says, say("unused dimensions are normal")])
    fuller = "--objective.beta 1" if e.numbers["beta"] > 1 else "--model.variant free-bits"
    return finding("fault", says, either(fuller, f"--model.latent {max(used, 1)}"))


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
    says = [say("codes in use", share=100 * share.value, codes=codes)]
    if share.value >= CODES_USED * expected:
        return finding("fine", says)
    fewer = f"--model.codes {max(2, round(codes * share.value))}"
    return finding("fault", says, either(fewer, say("more epochs")))
