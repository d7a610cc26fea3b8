"""`score`: how odd each row of new data is, and which column makes it so."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelab.data.dataset import spread
from vaelab.data.sources import needed
from vaelab.errors import UserError, nearest
from vaelab.evaluation.metrics import anomalies
from vaelab.evaluation.metrics.anomalies import Threshold
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.metrics.marginals import marginal_scores
from vaelab.models import POOR, Features, Scores, scores
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.screen import bar
from vaelab.workflows.given import Given, given

Array = NDArray[np.float64]
SAMPLES = 200  # importance samples per row
RATE = 0.05  # of usual rows that are called odd
HELD_OUT = 1000  # held-out rows at most that the threshold is read off
WIDEST = 500  # features, above which no Gaussian with a full covariance is fitted
FITTED = 20_000  # training rows at most that the simple models are fitted to
WARNING = (
    "a likelihood can call the strange normal (Nalisnick et al. 2019, arXiv:1810.09136): "
    "compare the ratio and the simple models"
)


@dataclass(frozen=True)
class Scored:
    """The scores of rows, in nats: higher is odder.

    Attributes:
        score: -log p(x), (N,).
        error: Its standard error, (N,).
        p: The share of held-out rows that score at least as high, (N,), NaN without held-out rows.
        threshold: The score above which a row is called odd; None without held-out rows.
        columns: The surprise of each column, by name, (N,); they and `code` sum to the score.
        code: What the latent code costs, (N,).
        culprit: The column of each row whose surprise lies farthest above that of held-out rows.
        baselines: The scores of simple models, by name: higher is odder.
        effective: The effective sample size of the importance weights, (N,).
        areas: The area under the ROC curve of each score, where labels say what is odd.
        others: The cells of columns that are no part of x.
        notes: Lines for the user.
    """

    score: Array
    error: Array
    p: Array
    threshold: Threshold | None
    columns: dict[str, Array]
    code: Array
    culprit: list[str]
    baselines: dict[str, Array]
    effective: Array
    others: dict[str, list[str]] = field(default_factory=dict)
    areas: dict[str, Estimate] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def odd(self) -> NDArray[np.bool_]:
        """Whether each row lies above the threshold, (N,)."""
        limit = np.inf if self.threshold is None else self.threshold.value
        return self.score > limit

    def table(self) -> dict[str, Any]:
        """Return the columns of the output: carried columns first, then the scores."""
        found: dict[str, Any] = {**self.others}
        taken = {*found}

        def add(name: str, values: Any) -> None:
            while name in taken:  # a carried column has this name
                name = f"vae {name}"
            taken.add(name)
            found[name] = values

        add("score", self.score)
        add("error", self.error)
        if self.threshold is not None:
            add("p", self.p)
            add("odd", self.odd.astype(int))
        if self.columns:
            add("most surprising", self.culprit)
        for name, values in self.baselines.items():
            add(name, values)
        add("effective samples", self.effective)
        for name, values in self.columns.items():
            add(f"surprise of {name}", values)
        if self.columns:
            add("surprise of the code", self.code)
        return found

    def frame(self) -> Any:
        """Return `table` as a pandas data frame."""
        return needed("pandas", "to return data frames").DataFrame(self.table())

    def summary(self) -> str:
        """Return what the command prints."""
        lines = list(self.notes)
        n = len(self.score)
        lines.append(
            f"{n:,} rows: -log p(x) from {self.score.min():.4g} to {self.score.max():.4g} nats, "
            f"median {np.median(self.score):.4g}"
        )
        if self.threshold is None:
            lines.append("no held-out rows, so no threshold: train with data.test above 0")
        elif np.isinf(self.threshold.value):
            lines.append(
                f"{self.threshold.rows} held-out rows are too few for a rate of "
                f"{self.threshold.rate:g}; set --rate {2 / (self.threshold.rows + 1):.2g}"
            )
        else:
            lines.append(
                f"{int(self.odd.sum()):,} of them above {self.threshold.value:.4g}, which "
                f"{self.threshold.rate:.3g} of usual rows exceed ({self.threshold.rows:,} "
                "held-out rows)"
            )
        for i in np.argsort(-self.score)[:5]:
            name = f", most surprising: {self.culprit[i]}" if self.columns else ""
            value = Estimate(self.score[i], self.error[i])
            shown = "infinite" if np.isinf(self.score[i]) else str(value)
            lines.append(f"  row {i + 1}: {shown}{name}")
        lines += [f"AUC {name}: {area}" for name, area in self.areas.items()]
        lines.append(f"note: {WARNING}")
        return "\n".join(lines)


def score(
    run: Run | str | Path,
    data: Any,
    *,
    samples: int = SAMPLES,
    rate: float = RATE,
    labels: str = "",
    seed: int = 0,
    quiet: bool = True,
) -> Scored:
    """Score rows by -log p(x) under the best weights of a run, in nats in the user's units.

    The score is estimated with `samples` importance weights per row. A threshold is read off
    held-out rows (test, else validation) at the chosen rate. Beside it stand simple models that
    were fitted to the training rows: `ratio`, -log p(x) less that of independent columns (Ren et
    al. 2019, arXiv:1906.02845); `gaussian`, one Gaussian over the features; `pca`, the error of
    principal components; `forest`, an isolation forest. A row gets the same score whatever the
    other rows are.

    Args:
        run: A run or its folder.
        data: A file, a folder, a pandas data frame or an array.
        samples: The number K of importance weights per row.
        rate: The share of usual rows that may be called odd.
        labels: A column of `data` that says which rows are odd; its rarer value is the odd one.
        seed: The random seed.
        quiet: Whether to hide the progress bar.

    Raises:
        UserError: The data do not fit the run, or the model has no likelihood.
    """
    run = load_run(run) if isinstance(run, str | Path) else run
    if not 0 < rate < 1:
        raise UserError(f"rate: expected a share between 0 and 1, got {rate:g}")
    rows = given(run, data)
    found = _scores(run, rows.x, rows.y, samples, seed, quiet)
    held_out, names = _held_out(run, samples, seed, quiet), run.schema.names if run.schema else ()
    surprise = found.elements.numpy() if names else np.empty((len(rows.x), 0))
    usual = held_out.elements.nanmedian(0)[0].nan_to_num(0.0).numpy() if held_out and names else 0.0
    excess = np.where(rows.x.isnan().numpy(), -np.inf, surprise - usual) if names else surprise
    value = -found.log_p.numpy()
    if rows.impossible is not None:
        surprise[rows.impossible] = excess[rows.impossible] = np.inf
        value[rows.impossible.any(1)] = np.inf
    limit, p = None, np.full(len(value), np.nan)
    if held_out:
        limit = anomalies.threshold(-held_out.log_p.numpy(), rate)
        p = anomalies.p_values(value, -held_out.log_p.numpy())
    baselines = _baselines(run, rows, value, seed)
    return Scored(
        value, found.error.numpy(), p, limit,
        {name: surprise[:, i] for i, name in enumerate(names)},
        found.code.numpy(),
        [names[i] for i in excess.argmax(1)] if names else [],
        baselines, found.effective.numpy(), rows.others,
        _areas(rows, labels, {"score": value} | baselines) if labels else {},
        (*rows.notes, *_remarks(run, found, samples)),
    )  # fmt: skip


def _remarks(run: Run, found: Scores, samples: int) -> list[str]:
    """Return notes on uneven weights and on the rows that the threshold is read off."""
    poor, remarks = int((found.effective < POOR).sum()), []
    if poor:
        remarks.append(
            f"{poor:,} of {len(found.effective):,} rows have fewer than {POOR:g} effective "
            "samples: their scores are too high on average and their errors too small; set "
            f"--samples {10 * samples}"
        )
    if run.data.measured == "validation":
        remarks.append(
            "without test rows the threshold is read off validation rows, which chose the epoch, "
            "so it is a little too low"
        )
    return remarks


def _scores(run: Run, x: Tensor, y: Any, samples: int, seed: int, quiet: bool) -> Scores:
    labels = None if y is None else torch.as_tensor(y)
    each: Iterable[Scores] = scores(run.vae, x, samples, seed, labels)
    parts = zip(*bar(each, "scores", len(x), quiet=quiet), strict=True)
    return Scores(*(torch.cat(part) for part in parts))


def _held_out(run: Run, samples: int, seed: int, quiet: bool) -> Scores | None:
    """The scores of held-out rows, NaN for their empty cells; None where the run has none."""
    name = run.data.measured
    if name == "training":
        return None
    rows = given(run, None, name)
    some = torch.from_numpy(spread(len(rows.x), HELD_OUT))
    y = None if rows.y is None else rows.y[some.numpy()]
    x = rows.x[some]
    found = _scores(run, x, y, samples, seed, quiet)
    if run.schema is None:
        return found
    return found._replace(elements=found.elements.masked_fill(x.isnan(), torch.nan))


def _baselines(run: Run, rows: Given, value: Array, seed: int) -> dict[str, Array]:
    """The scores of simple models, fitted to training rows."""
    train = given(run, None, "train").x
    train = train[torch.from_numpy(spread(len(train), FITTED))]
    found: dict[str, Array] = {}
    if run.schema is not None:
        found["ratio"] = value - marginal_scores(run.schema, train.numpy(), rows.x.numpy())
    features = _features(run)
    seen, new = (features(x).flatten(1).double().numpy() for x in (train, rows.x))
    scale = seen.std(0)
    keep = scale > 0
    seen, new = ((part[:, keep] - seen.mean(0)[keep]) / scale[keep] for part in (seen, new))
    if seen.shape[1] <= WIDEST:
        found["gaussian"] = anomalies.gaussian_scores(seen, new)
    found["pca"] = anomalies.pca_scores(seen, new)
    found["forest"] = anomalies.forest_scores(seen, new, seed)
    return found


def _features(run: Run) -> Callable[[Tensor], Tensor]:
    """What the encoder of a table sees, without the marks of empty cells; else the row itself."""
    if run.schema is None:
        return lambda x: x
    view = next(m for m in run.vae.modules() if isinstance(m, Features))
    width = Features.width(run.schema) - len(run.schema.modelled)
    return lambda x: view.features(x)[:, :width]


def _areas(rows: Given, labels: str, found: dict[str, Array]) -> dict[str, Estimate]:
    cells = rows.others.get(labels)
    if cells is None:
        raise UserError(
            f"--labels {labels}: there is no such column beside those that the model learned; "
            f"{nearest(labels, rows.others, 'add one')}"
        )
    values, counts = np.unique(cells, return_counts=True)
    if len(values) != 2:
        raise UserError(
            f"--labels {labels}: has {len(values)} different values, two are needed: usual and odd"
        )
    odd = np.array(cells) == values[counts.argmin()]
    return {name: anomalies.auc(each, odd) for name, each in found.items()}
