"""From numbers to plain sentences: what is wrong with a run, and what to try.

A rule is a function from an `Evidence` to a `Finding`, or to None where it does not apply to such a model, or what it
needs is missing; RULES is the table of them, the gravest first. Thresholds are constants, each with its reason.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Laplace, Normal, Poisson

from vaelab import devices
from vaelab.data.dataset import spread
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.densities import UNLIKELY
from vaelab.evaluation.metrics.estimates import Estimate, mean, number
from vaelab.evaluation.results import read
from vaelab.evaluation.sections import latent, samples
from vaelab.models import ContinuousBernoulliOfLogits, InUnits
from vaelab.recipes import AXES, Recipe, table
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.seeding import generator, seeded, untouched
from vaelab.training import History

LOOK = 1000  # test images whose outputs are judged
LOOKED = 2000  # test images and samples by which codes and samples are measured where `evaluate` has not done so
IMAGES = 10_000  # of each split at most, whose loss is worked out
SURE = (
    2.5  # standard errors that a difference must have to be believed: by chance 6 in 1000 have them
)
WORTH = 0.3  # nats, below which a gain or a loss is not worth a word
NOTICED = (
    2.0  # standard errors of the loss itself: a gain that a change of test images would not hide
)
ONE_BIT = math.log(
    2
)  # nats: a code that says less of an image cannot tell one half of the images from the other
FEW_USED = 0.25  # of the dimensions. Good models leave many alone: 19 to 25 of 50 used (Burda et al. 2016, table 1)
CODES_USED = 0.5  # of the codes that would be seen if all were equally likely
ARRIVED = 0.05  # how near a weight must be to count as the one that was asked for
MISFIT = 2.0  # or 1/2: the beta that an ill-fitting sigma amounts to (Rybkin et al. 2021, arXiv:2006.13202)
DISPERSED = (
    1.5  # variance over mean of counts, 1 for a Poisson: beyond chance over thousands of elements
)
CERTAIN = 15.0  # a logit that is as good as certain: odds of 3 million to 1
CERTAIN_COST = 0.01  # share of the distortion that certain and wrong elements may cost
ROUNDING = 1 / math.sqrt(12)  # standard deviation of rounding, in levels
APART = 1.0  # nats a dimension from codes to prior: those of codes 2.1 times as wide as N(0, I), or 0.23 times
BARE = 0.1  # share of the coverage by real images: below it, nine of ten images that could have a sample near have none
MISSED = 0.5  # of the reconstructions' Frechet distance, that samples lack beyond it: below, both are blurred alike
LAST = 4  # epochs at least, or the last quarter of all, by which a trend is judged


class Finding(NamedTuple):
    """What a rule says of a run."""

    rule: str
    verdict: Literal[
        "fault", "remark", "fine", "follows"
    ]  # follows: from a graver fault, so of no weight beside it
    says: str  # plain sentences, with the numbers in them
    remedy: str = ""  # what to try, where there is something; always for a fault


@dataclass(frozen=True)
class Evidence:
    """What the rules look at: how the run was trained, what it is, and what the measures of `evaluate` found."""

    recipe: Recipe
    history: History
    subject: Evaluator
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def number(self, key: str) -> Estimate | None:
        """What was found under a key such as ``latent.prior_gap``; None where it is missing."""
        section, _, name = key.partition(".")
        return number(self.sections.get(section, {}).get(name))

    @property
    def unseen(self) -> str:
        """The images held against those of the training: validation images, or, where there are none, test images."""
        return "validation" if "validation" in self.history[-1] else "test"

    def losses(self, split: str) -> list[float]:
        """The loss of every epoch, by the bound where several samples were drawn, in nats per image."""
        return [entry[split].get("bound", entry[split]["loss"]) for entry in self.history]

    @property
    def kept(self) -> dict[str, Any]:
        """The epoch whose weights were kept: its line of the history."""
        epoch = self.subject.run.contract["epoch"]
        return next((entry for entry in self.history if entry["epoch"] == epoch), self.history[-1])

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of the objective as they were at the end of that epoch."""
        return {
            name: self.kept.get(name, getattr(self.recipe.objective, name))
            for name in table.NUMBERS
        }

    @torch.no_grad()
    def loss(self, split: str) -> Estimate:
        """Distortion + rate of images of a split by the weights kept, in nats per image.

        In evaluation mode and not augmented, so neither dropout nor augmentation makes training images the worse.
        """
        vae, images, found = self.subject.vae, getattr(self.subject, split), []
        chance = generator(self.subject.seed, "doctor data", device=self.subject.device)
        with seeded(self.subject.seed, "doctor"):
            few = torch.from_numpy(spread(len(images), IMAGES)).to(
                self.subject.device
            )  # data may be sorted
            for index in few.split(vae.rows_at_once()):
                draw = vae.draw(images(index, chance), 1, images.labels(index))
                found.append(draw.distortion + draw.rate)
        return mean(torch.cat(found))

    @cached_property
    def look(self) -> tuple[Tensor, Distribution, float]:
        """Test images x (B, *shape); p(x_i|z) of their elements by one sample z each, (1, B, *shape); their rate."""
        few = torch.from_numpy(spread(len(self.subject.test), LOOK)).to(self.subject.device)
        vae, x, y = self.subject.vae, self.subject.x_test[few], self.subject.test.labels(few)
        with torch.no_grad(), seeded(self.subject.seed, "doctor"):
            draw = vae.draw(x, 1, y)
            px = cast(Distribution, getattr(draw.px, "base_dist", draw.px))
            if isinstance(px, InUnits):
                x, px = px.units.inward(x), px.base
            return x.float(), px, float(draw.rate.mean())


def diagnose(
    run: Run | str | Path, sections: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Finding]:
    """What the rules find, in their order, without those that do not apply.

    `sections` are those of an `Evaluation`; else those of the run's evaluation.json, and what is missing there is
    measured on fewer images. Raises `UserError` where there is no such run, or no epoch of it was finished.
    """
    run = load_run(run) if isinstance(run, str | Path) else run
    few = Evaluator(run, images=LOOKED, n_samples=LOOKED)
    with devices.using(devices.threads(run.recipe.train.threads)[0]), untouched():
        if sections is None:
            before, measures = (
                read(run),
                {"latent": latent.measure, "samples": samples.measure},
            )
            known = before.sections if before else {}
            sections = {name: known.get(name) or measure(few) for name, measure in measures.items()}
        evidence = Evidence(run.recipe, run.history, Evaluator(run), sections)
        findings = [finding for rule in RULES.values() if (finding := rule(evidence))]
    less = {
        rule
        for finding in findings
        if finding.verdict == "fault"
        for rule in FOLLOWS.get(finding.rule, ())
    }
    return [
        one._replace(verdict="follows", remedy="") if one.rule in less else one for one in findings
    ]


def report(findings: Sequence[Finding], folder: str | Path = "RUN") -> str:
    """A sentence on the whole; the faults, the gravest first; remarks; how to try the settings that these name, with
    the recipe of the run in `folder`; the names of the rules that found nothing."""
    faults, remarks, fine, follow = (
        [f for f in findings if f.verdict == wanted]
        for wanted in ("fault", "remark", "fine", "follows")
    )
    judged = any(
        finding.rule == "too few epochs" for finding in fine
    )  # of unknown length none is called healthy
    none = "No fault was found: this run is healthy." if judged else "No fault was found."
    none = "No fault was found; see the remarks." if remarks else none
    found = {0: none, 1: "One fault was found."}
    lines = [found.get(len(faults), f"{len(faults)} faults were found, here the gravest first.")]
    for finding in faults + remarks:
        title = (
            f"fault: {finding.rule}" if finding.verdict == "fault" else f"remark on {finding.rule}:"
        )
        lines += ["", title, _indented(finding.says)]
        lines += [_indented(f"try: {finding.remedy}")] if finding.remedy else []
    if any(re.search(r"--[a-z]+\.", finding.remedy) for finding in faults + remarks):
        lines += [
            "",
            f"A setting is tried with: vaelab train {Path(folder) / 'recipe.toml'} SETTING --out NEW",
        ]
    silent = [name for name in RULES if name not in {finding.rule for finding in findings}]
    why = "not judged, for they mean nothing here or too little is known"
    names = {"nothing wrong with": [finding.rule for finding in fine], why: silent}
    names["part of the faults above"] = [finding.rule for finding in follow]
    return "\n".join(
        [*lines, "", *(f"{title}: {', '.join(rules)}" for title, rules in names.items() if rules)]
    )


def _indented(text: str) -> str:
    return textwrap.fill(
        text, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


# ---------------------------------------------------------------- is the code used?


def collapse(e: Evidence) -> Finding | None:
    """The rate, or the mutual information of image and code, is less than a bit: the decoder goes without the code."""
    if e.recipe.model.posterior == "point":
        return None
    finding, rate, shared = (
        partial(Finding, "posterior collapse"),
        e.look[2],
        e.number("latent.mutual_information"),
    )
    told = (
        min(rate, shared.value) if shared and len(e.subject.test) > 16 else rate
    )  # it cannot exceed log N
    if told >= ONE_BIT:
        return finding("fine", f"The code costs or says {told:.1f} nats an image, or more.")
    paid = f" (at a rate of {rate:.2g})" if rate >= ONE_BIT else ""
    says = f"The code says {max(told, 0):.2g} nats about an image{paid}, less than one bit. "
    says += "The decoder ignores it, and draws nearly the same picture for every image."
    if (
        beta := e.numbers["beta"]
    ) > 1 and e.recipe.objective.name == "elbo":  # elsewhere beta weighs something else
        return finding(
            "fault", f"{says} The rate was weighed by beta = {beta:.3g}.", "--objective.beta 1"
        )
    if (fit := _fit(e)) and fit.beta > MISFIT:
        says += f" With a sigma of {fit.scale:.2g}, where {fit.best:.2g} would fit, no detail is worth a code."
        return finding("fault", says, "--model.likelihood gaussian-optimal")
    if table.part("model.posterior", e.recipe.model.posterior).space in ("codes", "classes"):
        return finding("fault", says, f"more epochs, or --model.latent {2 * e.recipe.model.latent}")
    return finding(
        "fault",
        says,
        f"more epochs, --objective.warmup {_quarter(e)}, or --model.variant free-bits",
    )


def unused_dimensions(e: Evidence) -> Finding | None:
    """Active: Var_x(E[z_j|x]) > 0.01, where z is measured by N(0, I) (Burda et al. 2016, arXiv:1509.00519)."""
    active, q = e.number("latent.active_units"), e.recipe.model.posterior
    total = len(e.sections.get("latent", {}).get("activity") or [])
    if (
        active is None
        or not total
        or q == "point"
        or table.part("model.posterior", q).space not in ("reals", "levels")
    ):
        return None
    finding, used = partial(Finding, "unused dimensions"), int(active.value)
    says = f"{used} of {total} dimensions of z are used."
    if used == total:
        return finding("fine", says)
    says += " The means of the others hardly change from image to image."
    if used >= FEW_USED * total:
        return finding("remark", f"{says} That is normal: they follow the prior and cost nothing.")
    fuller = "--objective.beta 1" if e.numbers["beta"] > 1 else "--model.variant free-bits"
    return finding("fault", says, f"{fuller}, or --model.latent {max(used, 1)}")


def unused_codes(e: Evidence) -> Finding | None:
    """The share of the discrete values that occur, against the share that would if all were equally likely."""
    share, table = e.number("latent.codes_used"), getattr(e.subject.vae.encoder, "table", None)
    if share is None:
        return None
    codes, tokens = (
        (e.recipe.model.codes, 1) if table is None else (len(table), e.recipe.model.latent)
    )
    expected = 1 - (1 - 1 / codes) ** (tokens * min(LOOKED, len(e.subject.test)))
    finding = partial(Finding, "unused codes")
    says = f"{100 * share.value:.0f} % of the {codes} values of a code are ever used."
    if share.value >= CODES_USED * expected:
        return finding("fine", says)
    return finding(
        "fault", says, f"--model.codes {max(2, round(codes * share.value))}, or more epochs"
    )


# ---------------------------------------------------------------- was that optimised which is reported?

# What an objective makes small instead of distortion + rate, and the numbers with which it is the same after all. The
# others of the table are bounds on -log p(x), which weigh the rate by 1.
MINIMISED: dict[str, tuple[str, dict[str, float]]] = {
    "elbo": ("distortion + {beta:.3g} rate", {"beta": 1}),
    "capacity": ("distortion + {gamma:.3g} |rate - {capacity:.3g}|", {"gamma": -1}),
    "free-bits": ("distortion + rate, no dimension charged less than {bits:.3g} nats", {"bits": 0}),
    "beta-tc": (
        "distortion + rate, with the total correlation in it weighed by {beta:.3g}",
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
        "distortion + {beta:.3g} |z|^2 / 2 + {gamma:.3g} (squared slopes of the decoder)",
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
    """What grows has not arrived at its value when the training ends: silently another objective."""
    settings, finding = e.recipe.objective, partial(Finding, "warm-up")
    epochs = e.history[-1]["epoch"] if e.subject.run.finished else e.recipe.train.epochs
    if not settings.warmup:
        return None
    if settings.warmup < epochs:
        return finding("fine", f"The warm-up took {settings.warmup:g} of {epochs} epochs.")
    reached = " and ".join(
        f"{n} was {e.numbers[n]:.3g}, not {getattr(settings, n):.3g}" for n in settings.grows
    )
    says = f"The warm-up takes {settings.warmup:g} epochs, the training took {epochs}. In the weights kept {reached}: "
    says += "they were trained for another loss than the one reported."
    if all(e.numbers[n] > (1 - ARRIVED) * getattr(settings, n) for n in settings.grows):
        says = f"The warm-up of {settings.warmup:g} epochs arrived only when the training was over, after {epochs}."
    return finding(
        "fault",
        says,
        f"--objective.warmup {_quarter(e)}, or --train.epochs {math.ceil(4 * settings.warmup)}",
    )


def effective_beta(e: Evidence) -> Finding | None:
    """What was optimised, at the epoch whose weights were kept, is not distortion + rate, each weighed by 1."""
    settings, now, finding = e.recipe.objective, e.numbers, partial(Finding, "beta")
    if e.recipe.model.posterior == "point" or settings.name not in AXES["objective.name"]:
        return None
    text, plain = MINIMISED.get(settings.name, ("", {}))
    if all(math.isclose(now[name], value, abs_tol=ARRIVED) for name, value in plain.items()):
        return finding(
            "fine", "Distortion and rate weigh the same in training as in the loss reported."
        )
    train = e.kept["train"]
    optimised = (
        f" ({train['optimised']:.1f} nats on training images)" if "optimised" in train else ""
    )
    says = f"Training minimised {text.format(**now)}{optimised}, but the loss reported is distortion + rate, at beta 1 "
    says += f"({train['loss']:.1f} there): a model trained for that would reach a lower loss."
    if all(
        getattr(settings, name) == value for name, value in plain.items()
    ):  # it had only to get there
        going = (
            "--objective.cycles 0"
            if settings.cycles
            else f"vaelab train --resume {e.subject.run.folder}"
        )
        return finding("fault", f"{says} The weight was still to grow.", going)
    variant, row = e.recipe.model.variant, table.ROWS.get(e.recipe.model.variant)
    if (
        not row
        or row.objective == settings.name != "elbo"
        or any(f"objective.{n}" in row.settings for n in plain)
    ):
        return finding(
            "remark", f"{says} That is what {variant} is for; take care what you compare it with."
        )
    return finding(
        "fault", says, "--objective.beta 1; or, where the weight is meant, --model.variant beta-vae"
    )


def _quarter(e: Evidence) -> int:
    return max(1, e.recipe.train.epochs // 4)


# ---------------------------------------------------------------- does p(x|z) fit?


class Fit(NamedTuple):
    """The scale of a Gaussian or Laplace likelihood beside the one that fits the residuals of test images best."""

    scale: float
    best: float
    beta: float  # (scale / best)^p: the weight of the rate that does the same where the scale fits
    lost: float  # nats per image that the best one would save
    error: float  # of beta, as a share of it

    @property
    def misfits(self) -> bool:
        """Whether beta is beyond MISFIT, and would be for other images of the kind."""
        return max(self.beta, 1 / self.beta) > MISFIT * (1 + SURE * self.error)


def _fit(e: Evidence) -> Fit | None:
    """log p = -|r|^p / (p s^p) - log s + const is greatest at s = (mean |r|^p)^(1/p), p = 2 (Gaussian), 1 (Laplace)."""
    x, element, _ = e.look
    if not isinstance(element, Normal | Laplace):
        return None
    p, scale = 2 if isinstance(element, Normal) else 1, float(element.scale.double().mean())
    each = mean(
        (x - element.loc).abs().double().pow(p).flatten(2).mean(2)[0]
    )  # |r|^p of the images, (B,)
    best = max(each.value ** (1 / p), 1e-12)
    lost = x[0].numel() * (math.log(scale / best) + ((best / scale) ** p - 1) / p)
    return Fit(scale, best, (scale / best) ** p, lost, (each.error or math.inf) / best**p)


def likelihood(e: Evidence) -> Finding | None:
    """Values that the likelihood is not made for; residuals whose spread is not the one that it claims."""
    finding, name = partial(Finding, "likelihood"), e.recipe.model.likelihood
    (x, element, _), fit = e.look, _fit(e)
    binary = bool(((x == 0) | (x == 1)).all())
    if binary and (fit or isinstance(element, ContinuousBernoulliOfLogits)):
        says = f"All values are 0 or 1, but {name} is a density of real numbers: its nats mean nothing here."
        return finding("fault", says, "--model.likelihood bernoulli")
    if isinstance(element, Bernoulli) and not binary:
        says = "Cross-entropy of grey levels is no log-likelihood: compare the loss with other grey-level runs only."
        remedy = "if you want a likelihood, --data.treatment dynamic or --model.likelihood continuous-bernoulli"
        return finding("remark", says, remedy)
    if isinstance(element, Poisson):
        spread = float((x - element.mean).square().sum() / element.mean.sum())
        says = f"The variance of counts about their means is {spread:.2f} times the mean; a Poisson's is equal to it."
        return (
            finding("fault", says, "--model.likelihood negative-binomial")
            if spread > DISPERSED
            else finding("fine", says)
        )
    if fit and fit.misfits:
        says = f"The likelihood's scale is {fit.scale:.2g}, but {fit.best:.2g} would fit the residuals of test images: "
        says += f"{fit.lost:.3g} nats less. In training this acts like a beta of {fit.beta:.2g}."
        learned = (
            "more epochs"
            if fit.beta > 1
            else "more images, for the scale fits the training images only"
        )
        return finding(
            "fault", says, "--model.likelihood gaussian-optimal" if name == "gaussian" else learned
        )
    return (
        finding("fine", f"{name} fits the values.")
        if fit or isinstance(element, Bernoulli)
        else None
    )


def saturated(e: Evidence) -> Finding | None:
    """Elements of which the decoder is certain and wrong; a density sharper than the grey levels are known."""
    finding, (x, element, _), fit = partial(Finding, "saturated outputs"), e.look, _fit(e)
    if isinstance(element, Bernoulli | ContinuousBernoulliOfLogits):
        cost = -element.log_prob(x)
        wrong = (element.logits.abs() > CERTAIN) & ((x - (element.logits > 0).float()).abs() > 0.5)
        share = float(cost[wrong].sum() / cost.sum().abs().clamp(min=1e-12))
        says = f"{100 * share:.1f} % of the distortion is spent where the decoder is certain (logit > 15) and wrong."
        remedy = "--model.dropout 0.1, a smaller --train.learning_rate, or more images"
        return finding("fault", says, remedy) if share > CERTAIN_COST else finding("fine", says)
    levels = e.subject.run.contract["levels"] or 2
    if fit is None or levels == 2 or e.recipe.data.treatment != "grey":
        return None
    says = f"The likelihood's scale is {fit.scale * (levels - 1):.2g} grey levels."
    if fit.scale * (levels - 1) > ROUNDING:
        return finding("fine", says)
    says += " That is less than the rounding to levels: the density grows without bound by hitting them."
    return finding(
        "fault", says, "--data.treatment dequantised, or --model.likelihood logistic-mixture"
    )


# ---------------------------------------------------------------- good reconstructions, bad samples


def holes(e: Evidence) -> Finding | None:
    """Codes lie elsewhere than the prior's samples, which then decode to what no image looks like.

    By how far, KL(q(z) || p(z)), at least (Rosca et al. 2018, arXiv:1802.06847); and what becomes of the samples: how
    many images have one near (coverage: Naeem et al. 2020, arXiv:2002.09797), and whether reconstructions do better.
    """
    finding, model, gap = partial(Finding, "holes"), e.recipe.model, _gap(e)
    names = ("frechet", "frechet_reconstructions", "frechet_real", "coverage", "coverage_real")
    made, again, real, near, near_real = (e.number(f"samples.{name}") for name in names)
    share = e.number("latent.hole_share")
    if gap is None and made is None:
        return None
    # Reconstructions are of the very images they are held against, samples are not: these lack what real ones lack too.
    lack = made.value - again.value - real.value if made and again and real else -math.inf
    worse = bool(made and again and real and lack > SURE * _error(made, again, real))
    bare = bool(near and near_real and near.value < BARE * near_real.value)
    says = (
        [f"Codes lie at least {_said(gap)} nats from the prior."]
        if gap and gap.value > SURE * _error(gap)
        else []
    )
    if share and share.value > 2 * UNLIKELY:
        says += [
            f"{100 * share.value:.0f} % of the prior's samples lie where hardly any code does; 5 % if they were alike."
        ]
    if made and again and real:
        three = f"samples {made.value:.3g}, reconstructions {again.value:.3g}, training images {real.value:.2g}"
        says += [f"Frechet distance from test images: {three}."]
    if near and bare:
        says += [f"Only {100 * near.value:.0f} % of the test images have a sample near them."]
    apart = bool(gap and gap.value > max(WORTH, SURE * _error(gap)))
    reals = (
        table.part("model.posterior", model.posterior).space == "reals" and model.prior == "normal"
    )
    refit = reals and (apart or gap is None)
    remedy = (
        f"vaelab fit-prior {e.subject.run.folder} --prior flow"
        if refit
        else "more epochs, or another --model.prior"
    )
    missed = worse and bare and again is not None and lack > MISSED * again.value
    if (gap and gap.value > APART * e.subject.vae.latent) or missed:
        other = (
            "or a VAE: --model.variant vae"
            if model.posterior == "point"
            else "or a larger --objective.beta"
        )
        return finding(
            "fault",
            " ".join(["Samples miss what reconstructions show.", *says]),
            f"{remedy}; {other}",
        )
    if worse or apart:
        so = ["samples are worse than reconstructions"] * worse + [
            "codes and prior lie apart"
        ] * apart
        return finding(
            "remark",
            " ".join([f"{', and '.join(so).capitalize()}.", *says]),
            remedy if apart else "",
        )
    return finding("fine", " ".join(says)) if says else None


def _gap(e: Evidence) -> Estimate | None:
    """KL(q(z) || p(z)) from below; or as it is, where the mutual information is not at its ceiling, log N."""
    shared = e.number("latent.mutual_information")
    exact = shared and shared.value < math.log(min(LOOKED, len(e.subject.test))) - 1
    return e.number("latent.prior_gap_at_least") or (
        e.number("latent.prior_gap") if exact else None
    )


def _said(number: Estimate) -> str:
    error = number.error or 0
    places = 1 if error >= 0.05 else 2
    return (
        f"{number.value:.{places}f} ± {error:.{places}f}"
        if error >= 0.005
        else f"{number.value:.1f}"
    )


def _error(*each: Estimate) -> float:
    """The standard error of a sum or difference of independent numbers; infinite where one has none."""
    return math.hypot(*(math.inf if one.error is None else one.error for one in each))


# ---------------------------------------------------------------- too much training, or too little


def overfitting(e: Evidence) -> Finding | None:
    """Unseen images get worse after their best epoch, by a line through the epochs since, and training images better.

    The best epoch itself is left out: it was chosen for being low, and would tilt the line.
    """
    finding, unseen, seen = partial(Finding, "overfitting"), e.losses(e.unseen), e.losses("train")
    first = unseen.index(min(unseen)) + 1
    epochs = range(first, len(unseen))
    remedy = "more images, --model.dropout 0.1, or a smaller network"
    looking = (
        ""
        if e.unseen == "validation"
        else " (Test images were looked at, for there are no validation images.)"
    )
    if len(epochs) >= LAST:
        slope, error = _trend(epochs, unseen[first:])
        rise = slope * len(epochs)
        if (
            rise > max(WORTH, _sure(len(epochs)) * error * len(epochs))
            and _trend(epochs, seen[first:])[0] < 0
        ):
            says = f"Since epoch {first} the loss of {e.unseen} images has risen by about {rise:.1f} nats, and that of "
            says += f"training images has fallen: these are learned by heart.{looking}"
            says += (
                f" The weights kept are those of epoch {first}." if e.kept["epoch"] == first else ""
            )
            if e.recipe.train.patience:  # it was stopped for that
                return finding("remark", says, remedy)
            stop = "--train.patience 5 to stop in time" + (
                " (with --data.validation 0.1)" if looking else ""
            )
            return finding("fault", says, f"{stop}; {remedy}")
    ours, theirs = e.loss("train"), e.loss(e.unseen)
    gap = Estimate(theirs.value - ours.value, _error(ours, theirs))
    costs = f"{e.unseen.capitalize()} images cost {_said(gap)} nats more than training images"
    if gap.value > max(WORTH, SURE * _error(gap)):
        return finding("remark", f"{costs}, but do not get worse.{looking}", remedy)
    return finding("fine", f"{costs}.{looking}")


def too_few_epochs(e: Evidence) -> Finding | None:
    """The loss of unseen images as a + b / epoch, fitted to the last quarter of the epochs: what another quarter gains.

    Where the learning rate falls to 0 the end of the curve is flat by design: a remark says that it says nothing.
    """
    finding, run, epochs = partial(Finding, "too few epochs"), e.subject.run, len(e.history)
    settings = e.recipe.objective
    if not run.finished and epochs < e.recipe.train.epochs:  # else only its pictures are missing
        says = f"The training is not finished: {epochs} of {e.recipe.train.epochs} epochs."
        return finding("fault", says, f"vaelab train --resume {run.folder}")
    more = math.ceil(epochs / 4)
    last = range(max(1, epochs - max(LAST, more) + 1, math.floor(settings.warmup) + 1), epochs + 1)
    if e.recipe.train.schedule != "constant":
        says = "The learning rate fell to 0 by plan: the curve ends flat, whether or not more epochs would help."
        return finding(
            "remark", says, f"--train.epochs {2 * e.recipe.train.epochs}, and vaelab compare"
        )
    if settings.cycles or len(last) < 3:
        return None
    slope, error = _trend(
        [1 / epoch for epoch in last], [e.losses(e.unseen)[epoch - 1] for epoch in last]
    )
    share = 1 / epochs - 1 / (epochs + more)
    gain = Estimate(slope * share, error * share)
    gains = f"another {f'{more} epochs' if more > 1 else 'epoch'} should gain {_said(gain)} nats."
    if gain.value > max(WORTH, _sure(len(last)) * _error(gain)):
        hidden = gain.value < NOTICED * _error(e.loss(e.unseen))
        says = f"The loss of {e.unseen} images was still falling: {gains}"
        stopped, patience = epochs < e.recipe.train.epochs, e.recipe.train.patience
        remedy = f"--train.patience {2 * patience}" if stopped else f"--train.epochs {2 * epochs}"
        return finding("remark" if hidden else "fault", says, remedy)
    return finding("fine", gains.capitalize())


def _trend(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Slope of the least-squares line through at least three points, and its standard error."""
    from scipy.stats import linregress  # here, for it takes a second to import

    line = linregress(x, y)
    return float(line.slope), float(line.stderr)


def _sure(points: int) -> float:
    """How many standard errors of a slope through so many points are as sure as SURE of a known error: Student's t."""
    from scipy.stats import norm, t  # here, for it takes a second to import

    return float(t.ppf(norm.cdf(SURE), points - 2))


RULES: dict[str, Callable[[Evidence], Finding | None]] = {
    "posterior collapse": collapse,
    "warm-up": warm_up,
    "beta": effective_beta,
    "likelihood": likelihood,
    "saturated outputs": saturated,
    "holes": holes,
    "overfitting": overfitting,
    "too few epochs": too_few_epochs,
    "unused codes": unused_codes,
    "unused dimensions": unused_dimensions,
}
FOLLOWS = {  # what is but a consequence of a fault, and not named beside it
    "posterior collapse": ("holes", "unused codes", "unused dimensions"),
    "warm-up": ("beta",),
}
