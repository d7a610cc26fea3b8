"""The rate of each latent dimension: sorted bars, with the active ones marked."""

from __future__ import annotations

from typing import Any

import numpy as np

from vaelab.evaluation.metrics.information import ACTIVE
from vaelab.plots import Array
from vaelab.report.prepared import Prepared

WIDTH, HEIGHT = 720, 220  # of the plane, in the units of the SVG
LEFT, TOP = 46, 10
NAMED = 40  # bars, at most, that are named below the axis


def order(prepared: Prepared) -> Array:
    """Return the latent dimensions, the most informative first.

    That is by their rate; where it is not a sum over dimensions, by the variance of the codes.
    """
    rates = _rates(prepared)
    score = prepared.view.codes[0].var(0) if rates is None else rates
    return np.argsort(-score, kind="stable")


def dimensions(prepared: Prepared) -> dict[str, Any]:
    """Return bars and table of the rate by dimension, or the reason why there are none."""
    reasons = {"codes": "kl_discrete", "classes": "kl_discrete", "sphere": "kl_sphere"}
    rates = None if prepared.is_point else _rates(prepared)
    if rates is None:
        key = "kl_point" if prepared.is_point else reasons.get(prepared.space, "kl_whole")
        return {"missing": prepared.t(key), "codes": _codes(prepared)}
    activity = _activity(prepared)
    active = activity > ACTIVE
    first = np.argsort(-rates, kind="stable")
    return {
        "missing": "",
        "codes": None,
        "active": int(active.sum()),
        "total": len(rates),
        "rate": prepared.say(f"{rates.sum():.1f}"),
        "bars": _bars(prepared, rates[first], active[first], [f"z{i + 1}" for i in first]),
        "rows": [
            (int(i) + 1, prepared.say(f"{rates[i]:.3f}"), prepared.say(f"{activity[i]:.3g}"),
             bool(active[i]))
            for i in first
        ],
    }  # fmt: skip


def _rates(prepared: Prepared) -> Array | None:
    """Return the rate by dimension in nats, (L,); None where the rate is not such a sum."""
    stored = prepared.evaluation.sections.get("latent", {}) if prepared.evaluation else {}
    if stored.get("rates"):
        return np.asarray(stored["rates"], dtype=np.float64)
    found = prepared.probe.rates
    whole = found.shape[1] != prepared.run.vae.latent or prepared.is_point
    return None if whole else found.astype(np.float64).mean(0)


def _activity(prepared: Prepared) -> Array:
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


def _bars(prepared: Prepared, rates: Array, active: Array, names: list[str]) -> dict[str, Any]:
    """Return the coordinates of the bars and of the ticks beside them."""
    top = max(float(rates.max()), 1e-9)
    step = 10 ** np.floor(np.log10(top))
    step = step / 2 if top / step < 2 else step if top / step < 5 else 2 * step
    each = WIDTH / len(rates)
    return {
        "bars": [
            {
                "x": round(LEFT + each * (i + 0.1), 2),
                "width": round(0.8 * each, 2),
                "y": round(TOP + HEIGHT * (1 - max(rate, 0) / top), 1),
                "height": round(HEIGHT * max(rate, 0) / top, 1),
                "active": bool(on),
                "name": name,
                "value": prepared.say(f"{rate:.2f}"),
            }
            for i, (rate, on, name) in enumerate(zip(rates, active, names, strict=True))
        ],
        "ticks": [
            (round(TOP + HEIGHT * (1 - value / top), 1), prepared.say(f"{value:g}"))
            for value in np.arange(0, top + 1e-9, step).round(9)
        ],
        "width": WIDTH + LEFT + 8,
        "height": HEIGHT + TOP + 30,
        "left": LEFT,
        "base": TOP + HEIGHT,
        "named": len(rates) <= NAMED,
    }
