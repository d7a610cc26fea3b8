"""The curves of a training: what the page's script draws, and the same as static SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from vaelab.language import Lang, decimal, text
from vaelab.plots import Array
from vaelab.plots.curves import has_rate
from vaelab.training import History

SPLITS = ("train", "validation", "test")
WIDTH, HEIGHT = 420, 260  # of a static chart; the script draws it as wide as there is room
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 30  # what is around its plane
FEW = 4  # of so many epochs, the first one counts for the visible range


@dataclass(frozen=True)
class Series:
    """A line of a chart: its name, the class of its colour, and a value for each epoch."""

    name: str
    style: str  # train, validation, test, or run-0, run-1, ...
    values: Sequence[float | None]
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over the epochs 1, 2, ..."""

    title: str
    unit: str
    series: Sequence[Series]

    @property
    def epochs(self) -> int:
        return max(len(one.values) for one in self.series)

    def document(self) -> dict[str, Any]:
        """Return what the script needs."""
        lines = [vars(one) | {"values": list(one.values)} for one in self.series]
        return {"title": self.title, "unit": self.unit, "series": lines}

    def drawn(self, lang: Lang) -> dict[str, Any]:
        """Return the coordinates of ticks and lines, for the static SVG."""
        low, high = visible(self.series)
        y = _Scale(low, high, HEIGHT - BOTTOM, TOP)
        x = _Scale(1, max(2, self.epochs), LEFT, WIDTH - RIGHT)
        return {
            "xticks": [(x(v), decimal(f"{v:g}", lang)) for v in x.ticks(5, integer=True)],
            "yticks": [(y(v), decimal(f"{v:g}", lang)) for v in y.ticks(5)],
            "outside": self._outside(lang, low, high),
            "lines": [
                (one.style, one.dashed, path)
                for one in self.series
                for path in _paths(one.values, x, y)
            ],
        }

    def _outside(self, lang: Lang, low: float, high: float) -> str:
        """Return the values of the first epoch that lie outside the visible range."""
        first = [(one.name, one.values[0]) for one in self.series if one.values]
        far = [
            f"{name} {decimal(f'{value:.1f}', lang)}"
            for name, value in first
            if value is not None and not low <= value <= high
        ]
        return text("report", "outside", lang, values=", ".join(far)) if far else ""

    def said(self, lang: Lang) -> str:
        """Return the chart in words: the first and the last value of each line."""
        parts = []
        for one in self.series:
            known = [value for value in one.values if value is not None]
            if known:
                ends = (decimal(f"{value:.1f}", lang) for value in (known[0], known[-1]))
                parts.append(f"{one.name} {' → '.join(ends)}")
        return f"{self.title} ({self.unit}): {'; '.join(parts)}"


class _Scale:
    """A linear map from values to coordinates."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, count: int, *, integer: bool = False) -> Array:
        locator = MaxNLocator(nbins=count, steps=[1, 2, 5, 10], integer=integer, min_n_ticks=1)
        values: Array = np.asarray(locator.tick_values(self.low, self.high)).round(9)
        return values[(values >= self.low) & (values <= self.high)]


def visible(series: Sequence[Series]) -> tuple[float, float]:
    """Return the range of values that a chart shows: of many epochs, without that of the first."""
    skip = 1 if max(len(one.values) for one in series) > FEW else 0
    values = [v for one in series for v in one.values[skip:] if v is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = 0.06 * (high - low) or 0.5 * abs(high) or 1.0
    return low - room, high + room


def _paths(values: Sequence[float | None], x: _Scale, y: _Scale) -> list[str]:
    """The points of a line as SVG writes them; a missing value interrupts it."""
    numbered = enumerate(values, 1)
    runs = groupby(numbered, key=lambda pair: pair[1] is not None)
    return [
        " ".join(f"{x(epoch)},{y(value)}" for epoch, value in pairs if value is not None)
        for known, pairs in runs
        if known
    ]


def charts(history: History, lang: Lang, unit: str) -> list[Chart]:
    """Return the charts of a run: loss, distortion and rate, and beta where it changes.

    An autoencoder has the distortion alone.
    """
    parts = ["loss", "distortion", "rate"] if has_rate(history) else ["distortion"]
    found = [
        Chart(text("figures", part, lang), unit, _lines(history, part, lang)) for part in parts
    ]
    beta = [entry.get("beta", 1.0) for entry in history]
    if len(set(beta)) > 1:
        title = text("figures", "beta", lang)
        found.append(Chart(title, "", [Series("β", "train", beta)]))
    return found


def _lines(history: History, part: str, lang: Lang) -> list[Series]:
    lines = []
    for split in SPLITS:
        for key in (part, "bound") if part == "loss" else (part,):
            values = [entry.get(split, {}).get(key) for entry in history]
            if any(value is not None for value in values):
                name = text("figures", split, lang)
                name = name if key == part else text("figures", "bound", lang, split=name)
                lines.append(Series(name, split, values, key == "bound"))
    return lines


def together(runs: Mapping[str, History], lang: Lang, unit: str) -> list[Chart]:
    """Return the charts of several runs: for each the held-out images, and training dashed."""
    histories = runs.values()
    parts = ["loss", "distortion", "rate"] if any(map(has_rate, histories)) else ["distortion"]
    found = []
    for part in parts:
        lines = []
        for i, (name, history) in enumerate(runs.items()):
            held_out = next((s for s in ("validation", "test") if s in history[-1]), "")
            for split in filter(None, (held_out, "train")):
                title = f"{name} ({text('figures', split, lang)})"
                values = [entry[split][part] for entry in history]
                lines.append(Series(title, f"run-{i}", values, split == "train"))
        found.append(Chart(text("figures", part, lang), unit, lines))
    return found


def sparkline(history: History, width: float = 96, height: float = 24) -> str:
    """Return the held-out loss over the epochs as the points of a small line."""
    held_out = next((s for s in ("validation", "test", "train") if s in history[-1]), "train")
    values = [entry[held_out]["loss"] for entry in history]
    low, high = visible([Series("", "", values)])
    x, y = _Scale(1, max(2, len(values)), 2, width - 2), _Scale(low, high, height - 2, 2)
    return " ".join(
        f"{x(epoch)},{min(max(y(value), 0), height)}" for epoch, value in enumerate(values, 1)
    )
