"""The rate of each latent dimension: sorted bars, with the active ones marked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vaelab.evaluation.metrics.information import ACTIVE
from vaelab.plots import Array
from vaelab.report.prepared import Prepared

FIRST = 32  # dimensions that are shown at once; more of them are folded

REASONS = {  # space of the codes -> why the rate is not a sum over dimensions
    "codes": "kl_discrete",
    "classes": "kl_discrete",
    "sphere": "kl_sphere",
}


class Bar(NamedTuple):
    """A latent dimension: its rate in nats as text and as a share of the largest one."""

    name: str
    rate: str
    share: float  # in percent
    variance: str
    active: bool


def named(dimension: int) -> str:
    """Return the name of a dimension, counted from 0.

    >>> named(0), named(11)
    ('z₁', 'z₁₂')
    """
    return "z" + str(dimension + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


def order(prepared: Prepared) -> Array:
    """Return the latent dimensions, the most informative first.

    That is by their rate; where it is not a sum over dimensions, by the variance of the codes.
    """
    rates = rates_of(prepared)
    score = prepared.view.codes[0].var(0) if rates is None else rates
    return np.argsort(-score, kind="stable")


def dimensions(prepared: Prepared) -> dict[str, Any]:
    """Return the bars, or the reason why there are none."""
    rates = rates_of(prepared)
    if rates is None:
        key = "kl_point" if prepared.is_point else REASONS.get(prepared.space, "kl_whole")
        return {"missing": prepared.t(key), "codes": _codes(prepared)}
    activity = _activity(prepared)
    top = max(float(rates.max()), 1e-9)
    bars = [
        Bar(
            named(i),
            prepared.say(f"{rates[i]:.2f}"),
            round(100 * max(float(rates[i]), 0) / top, 1),
            prepared.say(f"{activity[i]:.2g}"),
            bool(activity[i] > ACTIVE),
        )
        for i in order(prepared)
    ]
    active, rate = sum(bar.active for bar in bars), prepared.say(f"{rates.sum():.1f}")
    intro = prepared.t("dimensions_intro", active=active, total=len(bars), rate=rate)
    return {"missing": "", "intro": intro, "shown": bars[:FIRST], "folded": bars[FIRST:]}


def rates_of(prepared: Prepared) -> Array | None:
    """Return the rate by dimension in nats, (L,); None where the rate is not such a sum."""
    if prepared.is_point:
        return None
    stored = prepared.evaluation.sections.get("latent", {}) if prepared.evaluation else {}
    if stored.get("rates"):
        return np.asarray(stored["rates"], dtype=np.float64)
    found = prepared.probe.rates
    if found.shape[1] != prepared.run.vae.latent:
        return None
    return found.astype(np.float64).mean(0)


def _activity(prepared: Prepared) -> Array:
    """Return the variance of the posterior means over images, (L,)."""
    stored = prepared.evaluation.sections.get("latent", {}) if prepared.evaluation else {}
    found = stored.get("activity") or prepared.view.codes[0].astype(np.float64).var(0)
    return np.asarray(found, dtype=np.float64)


def _codes(prepared: Prepared) -> str:
    """Return how many values of discrete codes occur, "" where that is unknown."""
    used, perplexity = (prepared.number(f"latent.codes_{name}") for name in ("used", "perplexity"))
    if used is None or perplexity is None:
        return ""
    return prepared.t(
        "kl_codes", share=f"{100 * used.value:.0f}", perplexity=prepared.say(perplexity)
    )
