"""Training curves, in nats per image.

A history holds ``{"epoch": 1, "beta": 1.0, "train": {"loss", "distortion", "rate"}, "test": ...}``
for each epoch; the held-out split is "validation", "test", both or none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vaelab.errors import UserError
from vaelab.language import number
from vaelab.plots.style import Array, Look, localise, page

History = Sequence[Mapping[str, Any]]

_SPLITS = {"train": "#149dd8", "validation": "#d88900", "test": "#760062"}
_NOTES = 3  # values outside the axes that are written, at most


def draw_losses(ax: Axes, history: History, part: str, look: Look, unit: str = "nats") -> None:
    """Draw loss, distortion or rate: a curve for each split; beside a loss its bound, dashed."""
    epochs = np.array([entry["epoch"] for entry in history])
    size = 2.2 * look.scale if len(history) <= 40 else 0  # markers of many epochs are a thick line
    curves: dict[str, Array] = {}
    for split, colour in _SPLITS.items():
        for key, style in [(part, "-"), *([("bound", "--")] if part == "loss" else [])]:
            values = [entry.get(split, {}).get(key, np.nan) for entry in history]
            curve = np.array(values, dtype=float)
            if np.isfinite(curve).any():
                name = look.text(split)
                name = name if key == part else look.text("bound", split=name)
                curves[name] = curve
                ax.plot(epochs, curve, style, color=colour, marker="o", ms=size, label=name)
    ax.set(title=look.text(part), xlabel=look.text("epoch"), ylabel=look.text(unit))
    ax.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    steps = [1, 2, 5, 10]
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=steps, integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=steps))
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    localise(ax, look)
    if curves:
        _limit(ax, epochs, curves, look)


def _limit(ax: Axes, epochs: Array, curves: Mapping[str, Array], look: Look) -> None:
    """Choose the visible range so that few far values, which are written, do not flatten the rest.

    Far is the first epoch where it lies half the range of the others away from them, and any
    values (a tenth of all) that lie thrice the range of the others away.
    """
    rest = np.concatenate([curve[1:] for curve in curves.values()])
    rest = np.sort(rest[np.isfinite(rest)])
    if rest.size < 4 * len(curves):
        return
    low, high = _range(rest)
    room = (high - low) / 2
    if not room:
        return
    first = [float(curve[0]) for curve in curves.values() if np.isfinite(curve[0])]
    near = [value for value in first if low - room <= value <= high + room]
    low, high = min([low, *near]), max([high, *near])
    ax.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    far = [
        (int(epoch), split, float(value))
        for split, curve in curves.items()
        for epoch, value in zip(epochs, curve, strict=True)
        if np.isfinite(value) and not low <= value <= high
    ]
    notes = [
        f"{'↑' if value > high else '↓'} "
        + look.text("outside", epoch=epoch, split=split, value=number(value, look.lang))
        for epoch, split, value in far[:_NOTES]
    ]
    if len(far) > _NOTES:
        notes.append(look.text("more", count=len(far) - _NOTES))
    up = any(value > high for _, _, value in far)
    ax.annotate(
        "\n".join(notes), (0.98, 0.98 if up else 0.02), xycoords="axes fraction", ha="right",
        va="top" if up else "bottom", fontsize="small", color="0.35",
    )  # fmt: skip


def _range(values: Array) -> tuple[float, float]:
    """The range of sorted values without those, a tenth at most, that lie thrice it away."""
    gaps, last, few = np.diff(values), len(values) - 1, len(values) // 10
    above = (i for i in range(last - few, last) if gaps[i] > 3 * (values[i] - values[0]))
    high = values[next(above, last)]
    below = (i for i in range(few, 0, -1) if gaps[i - 1] > 3 * (high - values[i]))
    return float(values[next(below, 0)]), float(high)


def _draw_beta(ax: Axes, history: History, look: Look) -> None:
    """Draw the weight of the rate behind the curves, on an axis of its own, where it changes."""
    beta = [entry.get("beta", 1.0) for entry in history]
    if len(set(beta)) < 2:
        return
    behind = ax.twinx()
    epochs = [entry["epoch"] for entry in history]
    behind.plot(epochs, beta, color="0.75", linestyle="--", linewidth=look.scale)
    behind.set_ylabel(look.text("beta"), color="0.45")
    behind.tick_params(axis="y", colors="0.45")
    behind.set_ylim(0, 1.05 * max(beta))
    behind.spines.right.set(visible=True, color="0.75")
    ax.set_zorder(behind.get_zorder() + 1)
    ax.patch.set_visible(False)
    localise(behind, look)


@page
def losses(history: History, *, look: Look, unit: str = "nats") -> Figure:
    """Loss, distortion and rate over the epochs for every split in `history`.

    A model without a rate (an autoencoder) has the distortion alone. `unit` is the label of the
    vertical axis, "nats" or "nats_row".
    """
    if not history:
        raise UserError("figures: the history is empty; train for at least one epoch")
    parts = ["loss", "distortion", "rate"] if has_rate(history) else ["distortion"]
    width = look.width if len(parts) > 1 else 0.6 * look.width
    height = 0.4 * look.width
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, len(parts), squeeze=False)[0]
    for ax, part in zip(axes, parts, strict=True):
        draw_losses(ax, history, part, look, unit)
    for ax in axes[1:]:
        ax.set_ylabel("")  # the same for all
    if len(parts) > 1:
        _draw_beta(axes[-1], history, look)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2 if len(names) > 3 else 3)
    return figure


def has_rate(history: History) -> bool:
    """Return whether any rate differs from 0."""
    return any(entry.get(split, {}).get("rate", 0.0) for entry in history for split in _SPLITS)
