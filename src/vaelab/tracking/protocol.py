"""The protocol of a tracker: it is told of a run's start, epochs, results and end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from vaelab.data import spread
from vaelab.plots import View
from vaelab.plots.pixels import Pixels
from vaelab.plots.style import Array
from vaelab.plots.view import displayed, drawable
from vaelab.runs import Run

POINTS = 2000  # codes in `Finished.codes` at most
TILE = 32  # pixels of the longer side of the small picture of a row


class Start(NamedTuple):
    """What a tracker is told before the first epoch."""

    name: str  # of the recipe
    id: str  # 16 hexadecimal digits, which the run keeps when it is resumed
    folder: Path  # the run folder
    settings: Mapping[str, Any]  # {"train.epochs": 20, ...}


class Opened(NamedTuple):
    """What a tracker answers to a start."""

    line: str  # for the console: where the records are, and how to look at them
    continues: bool  # whether it still has what this run has sent before


class Tracker(Protocol):
    """Receives the records of a run. What its methods raise never ends a training."""

    def begin(self, start: Start) -> Opened | None:
        """Begin a run or continue it.

        Every epoch is sent to a tracker that returns None, also those of an earlier process. One
        that returns an `Opened` that continues gets only epochs that it has not received.
        """

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Receive the record of an epoch, such as ``{"train/loss": 105.2, ...}``."""

    def results(self, finished: Finished) -> None:
        """Receive the results and the figures, once they are there."""

    def end(self, finished: bool) -> None:
        """Close the run; False where its training was interrupted or failed."""


@dataclass(frozen=True)
class Finished:
    """A finished run. What needs its data or its model is computed when it is asked for."""

    run: Run
    _view: Callable[[], View]

    @property
    def epochs(self) -> int:
        """The number of epochs that were trained."""
        return len(self.run.history)

    @cached_property
    def results(self) -> dict[str, float]:
        """The numbers of results.json: ``{"results/loss": 98.3, ...}``."""
        return {
            f"results/{name}": value
            for name, value in self.run.results.items()
            if isinstance(value, int | float)
        }

    @property
    def figures(self) -> dict[str, Path]:
        """The figures of the run that are PNG files, by name."""
        return {path.stem: path for path in sorted((self.run.folder / "figures").glob("*.png"))}

    @cached_property
    def codes(self) -> Array:
        """Posterior means of test images, (N, L), N at most 2,000 and at most figures.points."""
        return self.view.codes[0][self._some]

    @property
    def labels(self) -> list[str] | None:
        """The names of the classes of these images."""
        y = self.view.codes[1]
        return None if y is None else self.view.classes.named(y[self._some])

    @property
    def pictures(self) -> Pixels | None:
        """Small pictures of these images, (N, H, W, 3) uint8; rows of a table have none."""
        if not drawable(self.run):
            return None
        return displayed(self.run, self.view.rows(self.view.points[self._some])[0], TILE)

    @cached_property
    def view(self) -> View:
        """What the figures of the run are made of."""
        return self._view()

    @property
    def _some(self) -> Array:
        return np.asarray(spread(len(self.view.points), POINTS))
