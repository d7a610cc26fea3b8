"""Which choices of a recipe make no sense together, and why."""

from __future__ import annotations

from vaelab.recipes.settings import Model, Objective
from vaelab.recipes.table import LACKS, NUMBERS, PRIORS, part


def refusal(model: Model, objective: Objective) -> str:
    """Why the parts and numbers of a recipe make no sense together; "" where they do."""
    q, p, goal = model.posterior, model.prior, objective.name
    posterior, prior = part("model.posterior", q), part("model.prior", p)
    wanted = part("objective.name", goal)
    part("model.likelihood", model.likelihood)
    if model.pixel_means and model.likelihood != "bernoulli":
        return f"model.pixel_means: is for bernoulli, not {model.likelihood!r}; leave it off"
    if q == "ladder" and p != "top-down":
        return (
            f"model.prior: the ladder is made of the networks of the prior top-down; {p!r} has none"
        )
    if prior.space != posterior.space and prior.space and posterior.space:
        fitting = ", ".join(
            name for name, other in PRIORS.items() if other.space == posterior.space
        )
        return f"model.prior: z of the posterior {q!r} lives on {posterior.space}, {p!r} on {prior.space}; use {fitting}"
    for needing, axis, name in ((prior, "model.prior", p), (wanted, "objective.name", goal)):
        for trait in needing.traits.split():
            if trait not in posterior.traits.split():
                return f"{axis}: the posterior {q!r} {LACKS[trait]}, which {name!r} needs; choose another of the two"
    if p == "per-class" and not model.conditional:
        return "model.prior: per-class needs labels; set model.conditional"
    if p == "vamp" and model.conditional:
        return "model.prior: the pseudo-inputs of vamp have no labels; use per-class or normal"
    if goal == "dreg" and (model.batch_norm or model.likelihood == "gaussian-optimal"):
        return (
            "objective.name: under batch normalisation, or with one sigma a batch, images see one another, and 'dreg' "
            "is biased; set model.batch_norm to false, or use iwae"
        )
    if objective.k * objective.m > 1 and "density" not in posterior.traits.split():
        return f"objective.k: {q!r} has no density to weigh samples by; set objective.k and objective.m to 1"
    return _unread(objective, wanted.reads.split())


def _unread(objective: Objective, reads: list[str]) -> str:
    """Which number was set though the objective does not take it, or takes no such value."""
    plain = type(objective)()
    for name in NUMBERS:
        if name not in ("k", *reads) and getattr(objective, name) != getattr(plain, name):
            return f"objective.{name}: {objective.name!r} does not take it; leave it at {getattr(plain, name):g}"
    idle = [name for name in objective.grows if name not in reads]
    if idle and (objective.warmup or objective.cycles):
        return (
            f"objective.grows: {objective.name!r} does not take {idle[0]}, so nothing grows; name another number, "
            "or set objective.warmup and objective.cycles to 0"
        )
    if objective.name == "ciwae" and objective.alpha < 0:
        return "objective.alpha: the ELBO's share in 'ciwae' is at least 0"
    if objective.name == "info" and objective.alpha + objective.gamma < 1:
        return "objective.gamma: 'info' needs alpha + gamma of at least 1, or it drives the codes away from the prior"
    return ""


def idle(model: Model, objective: Objective) -> str:
    """Why a learned prior would learn nothing in training, "" where it does: it is to be fitted afterwards."""
    free = model.posterior == "point" or objective.name in ("wae-mmd", "rae-gp", "rae-l2")
    if (
        not free
        or model.prior == "normal"
        or ".py:" in f"{model.posterior}{model.prior}{objective.name}"
    ):
        return ""
    return (
        f"model.prior: here nothing is charged for the code, so {model.prior!r} would learn nothing; train with "
        "normal, and fit the prior afterwards: vaelab fit-prior RUN"
    )
