"""Rules: was the model trained too long, or not long enough?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from statistics import NormalDist

import numpy as np

from vaelab.evaluation.doctor.evidence import SURE, WORTH, Evidence, error_of
from vaelab.evaluation.doctor.finding import Finding, either, say
from vaelab.evaluation.metrics.estimates import Estimate

NOTICED = 2.0  # standard errors of the loss; a larger gain would show on other test images too
LAST = 4  # a trend is fitted to at least this many epochs, or to the last quarter of all


def overfitting(e: Evidence) -> Finding | None:
    """Diagnose a held-out loss that rises after its best epoch while the training loss falls.

    Trends are lines fitted to the epochs after the best one. The best epoch itself would bias the
    slope, because it was selected for its low loss.
    """
    if e.unseen == "train":
        return None
    finding, unseen, seen = partial(Finding, "overfitting"), e.losses(e.unseen), e.losses("train")
    first = unseen.index(min(unseen)) + 1
    epochs = range(first, len(unseen))
    remedy = either(say("more images"), "--model.dropout 0.1", say("a smaller network"))
    split = say(e.unseen)
    looking = [] if e.unseen == "validation" else [say("these are test images")]
    if len(epochs) >= LAST:
        slope, error = _trend(epochs, unseen[first:])
        rise = slope * len(epochs)
        if (
            rise > max(WORTH, _certain(len(epochs)) * error * len(epochs))
            and _trend(epochs, seen[first:])[0] < 0
        ):
            says = [say("the loss has risen", epoch=first, split=split, rise=rise), *looking]
            if e.kept["epoch"] == first:
                says += [say("the kept weights are older", epoch=first)]
            if e.recipe.train.patience:  # early stopping ended the training
                return finding("remark", says, remedy)
            slots = {"setting": "--train.patience 5", "validation": "--data.validation 0.1"}
            stop = "stop earlier, by validation" if looking else "stop earlier"
            return finding("fault", says, say(stop, **slots, remedy=remedy))
    ours, theirs = e.loss("train"), e.loss(e.unseen)
    gap = Estimate(theirs.value - ours.value, error_of(ours, theirs))
    if gap.value > max(WORTH, SURE * error_of(gap)):
        says = [say("the gap of the losses, not rising", split=split, gap=gap), *looking]
        return finding("remark", says, remedy)
    return finding("fine", [say("the gap of the losses", split=split, gap=gap), *looking])


def too_few_epochs(e: Evidence) -> Finding | None:
    """Diagnose a held-out loss that is still falling.

    The loss over the last quarter of the epochs is fitted as a + b / epoch and extrapolated to a
    quarter more epochs. If the schedule lowers the learning rate to 0, the curve is flat at the end
    in any case, and the rule returns a remark.
    """
    finding, run, epochs = partial(Finding, "too few epochs"), e.evaluator.run, len(e.history)
    settings = e.recipe.objective
    # A run with all epochs may still lack its figures.
    if not run.finished and epochs < e.recipe.train.epochs:
        says = say("the training is not finished", done=epochs, epochs=e.recipe.train.epochs)
        return finding("fault", [says], f"vaelab train --resume {run.origin}")
    more = math.ceil(epochs / 4)
    last = range(max(1, epochs - max(LAST, more) + 1, math.floor(settings.warmup) + 1), epochs + 1)
    if e.recipe.train.schedule != "constant":
        longer = f"--train.epochs {2 * e.recipe.train.epochs}"
        says = say("the schedule makes the end flat")
        return finding("remark", [says], say("then compare", setting=longer))
    if settings.cycles or len(last) < 3:
        return None
    slope, error = _trend(
        [1 / epoch for epoch in last], [e.losses(e.unseen)[epoch - 1] for epoch in last]
    )
    share = 1 / epochs - 1 / (epochs + more)
    gain = Estimate(slope * share, error * share)
    by, slots = "the next epochs" if more > 1 else "the next epoch", {"epochs": more, "gain": gain}
    if gain.value > max(WORTH, _certain(len(last)) * error_of(gain)):
        hidden = gain.value < NOTICED * error_of(e.loss(e.unseen))
        says = say(f"still falling, by {by}", split=say(e.unseen), **slots)
        stopped, patience = epochs < e.recipe.train.epochs, e.recipe.train.patience
        remedy = f"--train.patience {2 * patience}" if stopped else f"--train.epochs {2 * epochs}"
        return finding("remark" if hidden else "fault", [says], remedy)
    return finding("fine", [say(f"the gain of {by}", **slots)])


def _trend(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the least-squares line through N >= 3 points, and its standard error."""
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    return float(slope), float(covariance[0, 0]) ** 0.5


def _certain(points: int) -> float:
    """Return the number of standard errors of a slope that has the probability of SURE.

    The slope of a line through `points` points follows Student's t.
    """
    from scipy.special import stdtrit  # imported here because only a report needs it

    return float(stdtrit(points - 2, NormalDist().cdf(SURE)))
