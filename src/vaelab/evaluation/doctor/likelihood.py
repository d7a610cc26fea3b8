"""Rules: does p(x|z) fit the data?"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

from torch.distributions import Bernoulli, Laplace, Normal, Poisson

from vaelab.evaluation.doctor.evidence import SURE, Evidence
from vaelab.evaluation.doctor.finding import Finding, either, say
from vaelab.evaluation.metrics.estimates import mean
from vaelab.models import ContinuousBernoulliOfLogits

# A sigma that does not fit acts like a beta (Rybkin et al. 2021, arXiv:2006.13202). A beta above
# this value or below its inverse is a fault.
MISFIT = 2.0
DISPERSED = 1.5  # variance over mean of counts; 1 for a Poisson
CERTAIN = 15.0  # a logit with odds of 3 million to 1
CERTAIN_COST = 0.01  # the share of the distortion that may come from certain but wrong elements
ROUNDING = 1 / math.sqrt(12)  # standard deviation of rounding, in levels


class Fit(NamedTuple):
    """The scale of a Gaussian or Laplace likelihood, and the best fit to test residuals."""

    scale: float
    best: float
    beta: float  # (scale / best)^p: the beta with the same effect at the best scale
    lost: float  # nats per image that the best scale would save
    error: float  # relative standard error of beta

    @property
    def misfits(self) -> bool:
        """Whether beta or its inverse exceeds MISFIT significantly."""
        return max(self.beta, 1 / self.beta) > MISFIT * (1 + SURE * self.error)


def fit_of(e: Evidence) -> Fit | None:
    """Compute the scale that maximises the likelihood of the residuals r of test images.

    log p = -|r|^p / (p s^p) - log s + const has its maximum at s = (mean |r|^p)^(1/p), with p = 2
    for a Gaussian and p = 1 for a Laplace.
    """
    x, element, _ = e.look
    if not isinstance(element, Normal | Laplace):
        return None
    p, scale = 2 if isinstance(element, Normal) else 1, float(element.scale.double().mean())
    # Mean |r|^p of each image, (B,)
    each = mean((x - element.loc).abs().double().pow(p).flatten(2).mean(2)[0])
    best = max(each.value ** (1 / p), 1e-12)
    lost = x[0].numel() * (math.log(scale / best) + ((best / scale) ** p - 1) / p)
    return Fit(scale, best, (scale / best) ** p, lost, (each.error or math.inf) / best**p)


def likelihood(e: Evidence) -> Finding | None:
    """Diagnose values outside the likelihood's support, and a scale that misfits the residuals."""
    finding, name = partial(Finding, "likelihood"), e.recipe.model.likelihood
    (x, element, _), fit = e.look, fit_of(e)
    binary = bool(((x == 0) | (x == 1)).all())
    if binary and (fit or isinstance(element, ContinuousBernoulliOfLogits)):
        says = [say("a density of real numbers has no meaning for bits", likelihood=name)]
        return finding("fault", says, "--model.likelihood bernoulli")
    if isinstance(element, Bernoulli) and not binary:
        first, second = "--data.treatment dynamic", "--model.likelihood continuous-bernoulli"
        says = [say("a cross-entropy of grey levels is no likelihood")]
        return finding("remark", says, say("for a log-likelihood", first=first, second=second))
    if isinstance(element, Poisson):
        spread = float((x - element.mean).square().sum() / element.mean.sum())
        says = [say("the variance of counts", ratio=spread)]
        if spread > DISPERSED:
            return finding("fault", says, "--model.likelihood negative-binomial")
        return finding("fine", says)
    if fit and fit.misfits:
        says = [say("the scale does not fit", **fit._asdict())]
        if name == "gaussian":
            return finding("fault", says, "--model.likelihood gaussian-optimal")
        more = "more epochs" if fit.beta > 1 else "more images for the scale"
        return finding("fault", says, say(more))
    if fit or isinstance(element, Bernoulli):
        return finding("fine", [say("the likelihood fits", likelihood=name)])
    return None


def saturated(e: Evidence) -> Finding | None:
    """Diagnose certain but wrong elements, and a density narrower than the grey levels."""
    finding, (x, element, _), fit = partial(Finding, "saturated outputs"), e.look, fit_of(e)
    if isinstance(element, Bernoulli | ContinuousBernoulliOfLogits):
        cost = -element.log_prob(x)
        wrong = (element.logits.abs() > CERTAIN) & ((x - (element.logits > 0).float()).abs() > 0.5)
        share = float(cost[wrong].sum() / cost.sum().abs().clamp(min=1e-12))
        says = [say("certain but wrong", share=100 * share)]
        slower = say("a smaller setting", setting="--train.learning_rate")
        remedy = either("--model.dropout 0.1", slower, say("more images"))
        return finding("fault", says, remedy) if share > CERTAIN_COST else finding("fine", says)
    levels = e.evaluator.run.contract["levels"] or 2
    if fit is None or levels == 2 or e.recipe.data.treatment != "grey":
        return None
    says = [say("the scale in grey levels", scale=fit.scale * (levels - 1))]
    if fit.scale * (levels - 1) > ROUNDING:
        return finding("fine", says)
    says += [say("the scale is below the rounding error")]
    remedy = either("--data.treatment dequantised", "--model.likelihood logistic-mixture")
    return finding("fault", says, remedy)
