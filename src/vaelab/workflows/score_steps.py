"""`score_steps`: how odd each step of a long signal is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from vaelab.data import load_series
from vaelab.errors import UserError
from vaelab.evaluation.metrics import anomalies
from vaelab.evaluation.metrics.anomalies import Threshold
from vaelab.evaluation.steps import step_scores
from vaelab.runs import Run
from vaelab.runs import load as load_run

SAMPLES = 64  # importance samples per window
RATE = 0.01  # of usual steps that are called odd


@dataclass(frozen=True)
class ScoredSteps:
    """The scores of the steps of a long signal, in nats per step: higher is odder.

    Attributes:
        score: E[-log p(x_t|z)] under the posterior of the windows that cover the step, (T,).
        p: The share of held-out steps that score at least as high, (T,), NaN without such steps.
        threshold: The score above which a step is called odd; None without held-out steps.
        notes: Lines for the user.
    """

    score: NDArray[np.float64]
    p: NDArray[np.float64]
    threshold: Threshold | None
    notes: tuple[str, ...] = ()

    @property
    def odd(self) -> NDArray[np.bool_]:
        """Whether each step lies above the threshold, (T,)."""
        limit = np.inf if self.threshold is None else self.threshold.value
        return self.score > limit

    def table(self) -> dict[str, Any]:
        """Return the columns of the output."""
        found: dict[str, Any] = {"step": np.arange(1, len(self.score) + 1), "score": self.score}
        if self.threshold is not None:
            found |= {"p": self.p, "odd": self.odd.astype(int)}
        return found

    def summary(self) -> str:
        """Return what the command prints."""
        n = len(self.score)
        lines = [
            *self.notes,
            f"{n:,} steps: from {self.score.min():.4g} to {self.score.max():.4g} nats per step, "
            f"median {np.median(self.score):.4g}",
        ]
        if self.threshold is None:
            return "\n".join([*lines, "no held-out steps, so no threshold"])
        lines.append(
            f"{int(self.odd.sum()):,} of them above {self.threshold.value:.4g}, which "
            f"{self.threshold.rate:.3g} of usual steps exceed ({self.threshold.rows:,} held-out "
            "steps)"
        )
        edges = np.flatnonzero(np.diff(np.r_[0, self.odd.astype(int), 0]))
        spans = sorted(
            zip(edges[::2], edges[1::2], strict=True), key=lambda s: -self.score[s[0] : s[1]].max()
        )
        lines += [
            f"  {_span(first + 1, last)}: up to {self.score[first:last].max():.4g}"
            for first, last in spans[:5]
        ]
        return "\n".join(lines)


def _span(first: int, last: int) -> str:
    return f"step {first:,}" if first == last else f"steps {first:,} to {last:,}"


def score_steps(
    run: Run | str | Path,
    data: Any,
    *,
    samples: int = SAMPLES,
    rate: float = RATE,
    seed: int = 0,
) -> ScoredSteps:
    """Score every step of a long signal by a run that was trained with ``data.window``.

    A threshold is read off the steps that the run held out for testing (see `metrics.anomalies`).

    Args:
        run: A run or its folder.
        data: A file, or an array (T,) or (T, C).
        samples: Importance samples for each window.
        rate: The share of usual steps that may be called odd.
        seed: The random seed.

    Raises:
        UserError: The run learned no windows, or the signal does not fit it.
    """
    run = load_run(run) if isinstance(run, str | Path) else run
    settings = run.recipe.data
    if not settings.window:
        raise UserError(f"{run.origin}: learned no windows of a signal; give windows to score")
    if isinstance(data, str | Path):
        signal, notes = load_series(msgspec.structs.replace(settings, source=str(data)))
    else:
        signal, notes = torch.as_tensor(np.asarray(data), dtype=torch.float32), ()
    score = step_scores(run.vae, signal, settings.stride, samples, seed).numpy()
    own, _ = load_series(settings)
    held = own[len(own) - round(settings.test * len(own)) :]
    if len(held) < settings.window:
        return ScoredSteps(score, np.full(len(score), np.nan), None, notes)
    usual = step_scores(run.vae, held, settings.stride, samples, seed).numpy()
    limit = anomalies.threshold(usual, rate)
    return ScoredSteps(score, anomalies.p_values(score, usual), limit, notes)
