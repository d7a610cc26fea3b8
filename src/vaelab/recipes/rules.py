"""Which choices of a recipe do not go together, and why."""

from __future__ import annotations

import math

from vaelab.recipes.parts import PRIORS
from vaelab.recipes.settings import Model, Objective, Train
from vaelab.recipes.table import LACKS, NUMBERS, part


def refusal(model: Model, objective: Objective) -> str:
    """Why the parts and weights of a recipe do not go together; "" where they do."""
    goal = part("objective.name", objective.name)
    return _of_parts(model, objective) or _of_weights(model, objective, goal.reads.split())


def idle(model: Model, objective: Objective) -> str:
    """Why a learned prior would receive no gradient in training; "" where it would."""
    free = model.posterior == "point" or objective.name in ("wae-mmd", "rae-gp", "rae-l2")
    custom = ".py:" in f"{model.posterior}{model.prior}{objective.name}"
    if not free or model.prior == "normal" or custom:
        return ""
    return (
        f"model.prior: without a KL term {model.prior!r} would receive no gradient; set "
        "model.prior to normal, and fit the prior after the training: vaelab fit-prior RUN"
    )


def of_training(train: Train) -> str:
    """Why the settings of a training do not go together; "" where they do."""
    name, default = train.optimiser, Train()
    if ".py:" in name:  # a custom optimiser takes what it likes
        return ""
    reads = part("train.optimiser", name).reads.split()
    for key in ("weight_decay", "beta2", "epsilon"):
        if key not in reads and getattr(train, key) != getattr(default, key):
            return (
                f"train.{key}: {name!r} does not take it; "
                f"set train.{key} to {getattr(default, key):g}, or choose another train.optimiser"
            )
    if name == "adamw" and not train.weight_decay:
        return (
            "train.weight_decay: adamw without weight decay is adam; set train.weight_decay to "
            "0.01, or train.optimiser to adam"
        )
    return ""


def _of_parts(model: Model, objective: Objective) -> str:
    q, p, goal = model.posterior, model.prior, objective.name
    posterior, prior = part("model.posterior", q), part("model.prior", p)
    if model.pixel_means and model.likelihood != "bernoulli":
        return (
            f"model.pixel_means: is for bernoulli, not {model.likelihood!r}; "
            "set model.pixel_means to false"
        )
    if q == "ladder" and p != "top-down":
        return (
            "model.prior: the posterior 'ladder' shares the networks of the prior top-down, "
            f"{p!r} has none; set model.prior to top-down"
        )
    if prior.space != posterior.space and prior.space and posterior.space:
        fitting = " or ".join(
            name for name, other in PRIORS.items() if other.space == posterior.space
        )
        return (
            f"model.prior: z of the posterior {q!r} lives on {posterior.space}, that of the prior "
            f"{p!r} on {prior.space}; set model.prior to {fitting}"
        )
    wanted = part("objective.name", goal)
    for needing, axis, name in ((prior, "model.prior", p), (wanted, "objective.name", goal)):
        for trait in needing.traits.split():
            if trait not in posterior.traits.split():
                return (
                    f"{axis}: {name!r} does not go with the posterior {q!r}, which {LACKS[trait]}; "
                    "choose another of the two"
                )
    if p == "per-class" and not model.conditional:
        return "model.prior: per-class needs classes; set model.conditional to true"
    if p == "vamp" and model.likelihood == "mixed":
        return (
            "model.prior: the pseudo-inputs of vamp are numbers, the rows of a table are not; "
            "set model.prior to mixture or flow"
        )
    if p == "vamp" and model.conditional:
        return (
            "model.prior: the pseudo-inputs of vamp have no classes; "
            "set model.prior to per-class or normal"
        )
    if goal == "dreg" and (model.batch_norm or model.likelihood == "gaussian-optimal"):
        return (
            "objective.name: 'dreg' is biased where the images of a batch depend on one another, "
            "as under batch normalisation or gaussian-optimal; set model.batch_norm to false, or "
            "objective.name to iwae"
        )
    return ""


def _of_weights(model: Model, objective: Objective, reads: list[str]) -> str:
    """Which weight was set though the objective does not take it, or takes no such value."""
    goal, default = objective.name, type(objective)()
    traits = part("model.posterior", model.posterior).traits.split()
    if objective.k * objective.m > 1 and "density" not in traits:
        return (
            f"objective.k: {model.posterior!r} has no density to weight samples by; "
            "set objective.k and objective.m to 1"
        )
    for name in NUMBERS:
        if name not in ("k", *reads) and getattr(objective, name) != getattr(default, name):
            return (
                f"objective.{name}: {goal!r} does not take it; "
                f"set objective.{name} to {getattr(default, name):g}"
            )
    idle = [name for name in objective.grows if name not in reads]
    if idle and (objective.warmup or objective.cycles):
        return (
            f"objective.grows: {goal!r} does not take {idle[0]}, so nothing grows; "
            "set objective.warmup and objective.cycles to 0"
            + (f", or objective.grows to {reads[0]}" if reads else "")
        )
    if goal == "ciwae" and objective.alpha < 0:
        return (
            "objective.alpha: the share of the ELBO in 'ciwae' is at least 0; "
            "set objective.alpha to 0"
        )
    if goal == "info" and objective.alpha + objective.gamma < 1:
        return (
            "objective.gamma: 'info' needs alpha + gamma of at least 1, or it drives the codes "
            f"away from the prior; set objective.gamma to {math.ceil(1 - objective.alpha)}"
        )
    return ""
