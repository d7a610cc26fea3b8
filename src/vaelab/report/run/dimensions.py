"""The rate of each latent dimension: sorted bars, with the active ones marked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vaelab.evaluation.metrics.information import ACTIVE
from vaelab.plots import named
from vaelab.report.run.prepared import Prepared

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


def dimensions(prepared: Prepared) -> dict[str, Any]:
    """Return the bars, or the reason why there are none."""
    found = prepared.view.posterior
    if found.rates is None:
        key = "kl_point" if prepared.is_point else REASONS.get(prepared.space, "kl_whole")
        return {"missing": prepared.t(key), "codes": _codes(prepared)}
    rates, activity = found.rates.mean(0, dtype=np.float64), found.activity
    top = max(float(rates.max()), 1e-9)
    bars = [
        Bar(
            named(int(i)),
            prepared.say(f"{rates[i]:.2f}"),
            round(100 * max(float(rates[i]), 0) / top, 1),
            prepared.say(f"{activity[i]:.2g}"),
            bool(activity[i] > ACTIVE),
        )
        for i in found.order
    ]
    active, rate = sum(bar.active for bar in bars), float(rates.sum())
    intro = prepared.t("dimensions_intro", active=active, total=len(bars), rate=rate)
    return {"missing": "", "intro": intro, "shown": bars[:FIRST], "folded": bars[FIRST:]}


def _codes(prepared: Prepared) -> str:
    """Return how many values of discrete codes occur, "" where that is unknown."""
    used, perplexity = (prepared.number(f"latent.codes_{name}") for name in ("used", "perplexity"))
    if used is None or perplexity is None:
        return ""
    share = f"{100 * used.value:.0f}"
    return prepared.t("kl_codes", share=share, perplexity=prepared.say(perplexity))
