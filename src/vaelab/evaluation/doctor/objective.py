"""Rules: does the training objective match the reported loss?"""

from __future__ import annotations

import math
from functools import partial

from vaelab.evaluation.doctor.evidence import Evidence
from vaelab.evaluation.doctor.finding import Finding, either, joined, say
from vaelab.recipes import AXES, ROWS

ARRIVED = 0.05  # a weight within this distance of its target counts as reached

# Objectives that minimise something else than distortion + rate, and the weights at which both are
# equal. The other objectives are bounds on -log p(x), which weight the rate by 1.
MINIMISED: dict[str, dict[str, float]] = {
    "elbo": {"beta": 1},
    "capacity": {"gamma": -1},
    "free-bits": {"bits": 0},
    "beta-tc": {"beta": 1},
    "factor": {"gamma": 0},
    "dip-i": {"gamma": 0},
    "dip-ii": {"gamma": 0},
    "wae-mmd": {"gamma": 0},
    "rae-gp": {"gamma": -1},
    "rae-l2": {"gamma": -1},
    "info": {"alpha": 0, "gamma": 1},
}


def warm_up(e: Evidence) -> Finding | None:
    """Diagnose a training that ends before the warm-up of a weight."""
    settings, finding = e.recipe.objective, partial(Finding, "warm-up")
    epochs = e.history[-1]["epoch"] if e.evaluator.run.finished else e.recipe.train.epochs
    if not settings.warmup:
        return None
    if settings.warmup < epochs:
        says = say("the warm-up ended in time", warmup=settings.warmup, epochs=epochs)
        return finding("fine", [says])
    lengths = {"warmup": settings.warmup, "epochs": epochs}
    says = say("the warm-up ended with the training", **lengths)
    targets = {name: getattr(settings, name) for name in settings.grows}
    if not all(e.numbers[name] > (1 - ARRIVED) * target for name, target in targets.items()):
        reached = joined(
            "and",
            [
                say("a weight was lower", name=name, value=e.numbers[name], target=target)
                for name, target in targets.items()
            ],
        )
        says = say("the warm-up takes longer than the training", **lengths, reached=reached)
    longer = f"--train.epochs {math.ceil(4 * settings.warmup)}"
    return finding("fault", [says], either(f"--objective.warmup {e.quarter}", longer))


def effective_beta(e: Evidence) -> Finding | None:
    """Diagnose an objective that is not distortion + rate at the epoch whose weights were kept."""
    settings, now, finding = e.recipe.objective, e.numbers, partial(Finding, "beta")
    if e.recipe.model.posterior == "point" or settings.name not in AXES["objective.name"]:
        return None
    plain = MINIMISED.get(settings.name, {})
    if all(math.isclose(now[name], value, abs_tol=ARRIVED) for name, value in plain.items()):
        return finding("fine", [say("distortion and rate have the same weights")])
    other, train = say(f"minimises {settings.name}", **now), e.kept["train"]
    says = [say("training minimised something else", objective=other, loss=train["loss"])]
    if "optimised" in train:
        says = [say("training minimised something else, in nats", objective=other, **train)]
    # The settings agree with distortion + rate; the weights had not reached them yet.
    if all(getattr(settings, name) == value for name, value in plain.items()):
        resume = f"vaelab train --resume {e.evaluator.run.origin}"
        remedy = "--objective.cycles 0" if settings.cycles else resume
        return finding("fault", [*says, say("the weight was still growing")], remedy)
    variant, row = e.recipe.model.variant, ROWS.get(e.recipe.model.variant)
    if (
        not row
        or row.objective == settings.name != "elbo"
        or any(f"objective.{n}" in row.settings for n in plain)
    ):
        return finding("remark", [*says, say("the variant intends this", variant=variant)])
    chosen = say("if the weight is intended", setting="--model.variant beta-vae")
    return finding("fault", says, either("--objective.beta 1", chosen))
