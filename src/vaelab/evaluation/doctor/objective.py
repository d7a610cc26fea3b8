"""Rules: does the training objective match the reported loss?"""

from __future__ import annotations

import math
from functools import partial

from vaelab.evaluation.doctor.evidence import Evidence, Finding
from vaelab.recipes import AXES, ROWS

ARRIVED = 0.05  # a weight within this distance of its target counts as reached

# What an objective minimises instead of distortion + rate, and the weights at which both are equal.
# The other objectives are bounds on -log p(x), which weight the rate by 1.
MINIMISED: dict[str, tuple[str, dict[str, float]]] = {
    "elbo": ("distortion + {beta:.3g} rate", {"beta": 1}),
    "capacity": ("distortion + {gamma:.3g} |rate - {capacity:.3g}|", {"gamma": -1}),
    "free-bits": ("distortion + rate, no dimension below {bits:.3g} nats", {"bits": 0}),
    "beta-tc": (
        "distortion + rate, with the total correlation weighted by {beta:.3g}",
        {"beta": 1},
    ),
    "factor": ("distortion + rate + {gamma:.3g} total correlation", {"gamma": 0}),
    "dip-i": (
        "distortion + rate + {gamma:.3g} (distance of the codes' covariance from I)",
        {"gamma": 0},
    ),
    "dip-ii": (
        "distortion + rate + {gamma:.3g} (distance of the codes' covariance from I)",
        {"gamma": 0},
    ),
    "wae-mmd": ("distortion + {gamma:.3g} (distance of the codes from the prior)", {"gamma": 0}),
    "rae-gp": (
        "distortion + {beta:.3g} |z|^2 / 2 + {gamma:.3g} (squared gradient of the decoder)",
        {"gamma": -1},
    ),
    "rae-l2": (
        "distortion + {beta:.3g} |z|^2 / 2 + {gamma:.3g} (squared weights of the decoder)",
        {"gamma": -1},
    ),
    "info": (
        "distortion + (1 - {alpha:.3g}) rate + a distance from the prior",
        {"alpha": 0, "gamma": 1},
    ),
}


def warm_up(e: Evidence) -> Finding | None:
    """Diagnose a training that ends before the warm-up of a weight."""
    settings, finding = e.recipe.objective, partial(Finding, "warm-up")
    epochs = e.history[-1]["epoch"] if e.evaluator.run.finished else e.recipe.train.epochs
    if not settings.warmup:
        return None
    if settings.warmup < epochs:
        return finding("fine", f"The warm-up took {settings.warmup:g} of {epochs} epochs.")
    reached = " and ".join(
        f"{n} was {e.numbers[n]:.3g}, not {getattr(settings, n):.3g}" for n in settings.grows
    )
    says = f"The warm-up takes {settings.warmup:g} epochs, the training took {epochs}. "
    says += f"At the epoch whose weights were kept, {reached}: "
    says += "the training objective does not match the reported loss."
    if all(e.numbers[n] > (1 - ARRIVED) * getattr(settings, n) for n in settings.grows):
        says = f"The warm-up of {settings.warmup:g} epochs ended only with the training, "
        says += f"after {epochs} epochs."
    return finding(
        "fault",
        says,
        f"--objective.warmup {e.quarter}, or --train.epochs {math.ceil(4 * settings.warmup)}",
    )


def effective_beta(e: Evidence) -> Finding | None:
    """Diagnose an objective that is not distortion + rate at the epoch whose weights were kept."""
    settings, now, finding = e.recipe.objective, e.numbers, partial(Finding, "beta")
    if e.recipe.model.posterior == "point" or settings.name not in AXES["objective.name"]:
        return None
    text, plain = MINIMISED.get(settings.name, ("", {}))
    if all(math.isclose(now[name], value, abs_tol=ARRIVED) for name, value in plain.items()):
        return finding(
            "fine", "Distortion and rate have the same weights in training as in the reported loss."
        )
    train = e.kept["train"]
    found = f" ({train['optimised']:.1f} nats on training images)" if "optimised" in train else ""
    says = f"Training minimised {text.format(**now)}{found}, but the reported loss is "
    says += f"distortion + rate ({train['loss']:.1f} there): "
    says += "a model trained for it would reach a lower value."
    # The settings agree with distortion + rate; the weights had not reached them yet.
    if all(getattr(settings, name) == value for name, value in plain.items()):
        resume = f"vaelab train --resume {e.evaluator.run.folder}"
        remedy = "--objective.cycles 0" if settings.cycles else resume
        return finding("fault", f"{says} The weight was still growing.", remedy)
    variant, row = e.recipe.model.variant, ROWS.get(e.recipe.model.variant)
    if (
        not row
        or row.objective == settings.name != "elbo"
        or any(f"objective.{n}" in row.settings for n in plain)
    ):
        says += (
            f" This is intended in {variant}; compare it only with models of the same objective."
        )
        return finding("remark", says)
    return finding(
        "fault", says, "--objective.beta 1, or --model.variant beta-vae if the weight is intended"
    )
