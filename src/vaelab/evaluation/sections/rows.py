"""Section rows: synthetic rows of a table compared with real ones.

Synthetic rows are x ~ p(x|z), z ~ p(z), rounded to the precision of their columns. Real rows are
those that were held out: test and validation rows. No empty cells are generated: for a fair
comparison, each synthetic row loses the cells that are empty in a random training row.

Each comparison has a baseline with training rows in place of synthetic ones: what chance gives, for
the same numbers of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelab.data import Array, Schema
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.columns import (
    association_gap,
    associations,
    marginal_distances,
    total_variation,
)
from vaelab.evaluation.metrics.estimates import Estimate, Metric, resampled
from vaelab.evaluation.metrics.rows import (
    closest,
    deviations,
    possible,
    share_closer,
    share_of,
    words_of,
)
from vaelab.evaluation.metrics.two_samples import classifier_test
from vaelab.seeding import numpy_generator, seeded

FEWEST, MOST = 20, 5000  # the least and the greatest number of rows that are compared
PAIRS = 1e8  # the most pairs of rows whose distance is computed, for each of the two sets
POINTS = 101  # quantiles of the distances that are stored

_COMPARED = {
    "copies": Metric("share"),
    "valid": Metric("share", "higher"),
    "wasserstein": Metric("deviations", "lower"),
    "kolmogorov_smirnov": Metric(better="lower"),
    "total_variation": Metric(better="lower"),
    "associations": Metric(better="lower"),
    "classifier_accuracy": Metric("share", cites="lopezpaz2017revisiting"),
    "classifier_auc": Metric(cites="lopezpaz2017revisiting"),
}
METRICS = {
    "compared": Metric("rows"),
    "nearest_train": Metric("deviations"),
    "nearest_train_real": Metric("deviations"),
    "closer": Metric("share"),
    **_COMPARED,
    **{f"{key}_real": Metric(metric.unit) for key, metric in _COMPARED.items()},
}


class Tables:
    """Rows of a table as the metrics compare them: training, held-out and synthetic ones.

    Args:
        evaluator: The run.
        schema: The columns of its table.
        n: The number of synthetic rows; 0 for as many as there are held-out rows.
    """

    def __init__(self, evaluator: Evaluator, schema: Schema, n: int = 0) -> None:
        self.columns = columns = schema.modelled
        self.words = words_of(columns)
        self.steps = np.array([column.step for column in columns])
        rng = numpy_generator(evaluator.seed, "rows")
        self.train = self._rounded(evaluator.x_train)
        held = self._rounded(evaluator.held_out[0])
        self.held = held[rng.permutation(len(held))[: min(MOST, len(self.train))]]
        self.order = rng.permutation(len(self.train))
        self.made = self._rounded(sampled_rows(evaluator, n or len(self.held)))
        holes = np.isnan(self.train[rng.integers(len(self.train), size=len(self.made))])
        self.complete, self.made = self.made, np.where(holes, np.nan, self.made)

    def _rounded(self, x: Tensor) -> Array:
        """Return rows at the precision of their columns, less the origin: (N, D), float64."""
        rows = x.cpu().double().numpy()
        found = [
            column.numbers(rows[:, i]) - column.origin for i, column in enumerate(self.columns)
        ]
        top = float(torch.finfo(torch.float32).max)
        return np.clip(np.stack(found, 1), -top, top)


@torch.no_grad()
def sampled_rows(evaluator: Evaluator, n: int) -> Tensor:
    """Return n rows x ~ p(x|z), z ~ p(z), (n, D).

    In a conditional model the labels are those of random training rows.
    """
    vae, labels = evaluator.vae, None
    if len(vae.classes) and evaluator.train.y is not None:
        rng = numpy_generator(evaluator.seed, "labels of rows")
        labels = evaluator.train.y[rng.integers(len(evaluator.train.y), size=n)]
    found = []
    with seeded(evaluator.seed, "rows"):
        for index in torch.arange(n).split(vae.rows_at_once()):
            given = vae.given(None if labels is None else labels[index])
            prior = vae.prior(*given)
            z = prior.sample(torch.Size([] if prior.batch_shape else [len(index)]))
            found.append(vae.decoder(z, *given).sample())
    return torch.cat(found)


def measure(evaluator: Evaluator) -> dict[str, Any]:
    """Measure all `METRICS` of a table that was read by its columns.

    "columns" has the statistics of each column, "pairs" the matrices of associations, "distances"
    the quantiles of the distances to the closest training row: what a report shows.
    """
    schema = evaluator.run.schema
    if schema is None:
        return {"notes": ["not applicable: the data are no table that is read by its columns"]}
    if evaluator.run.data.measured == "training":
        return {"notes": ["left out, because no rows are held out; set data.test"]}
    tables = Tables(evaluator, schema)
    if min(len(tables.held), len(tables.train)) < FEWEST:
        reason = f"{len(tables.held)} held-out rows are fewer than {FEWEST}"
        return {"notes": [f"left out, because {reason}"]}
    notes = [
        "synthetic rows are samples of p(x|z), compared with "
        f"{len(tables.held):,} held-out rows; beside each metric stands that of as many training "
        "rows, which is what chance gives"
    ]
    if any(column.holes for column in tables.columns):
        notes.append(
            "empty cells are not generated: a synthetic row lacks the cells of a random training "
            "row"
        )
    found: dict[str, Any] = {"compared": len(tables.held)}
    for part in (_copies, _validity, _columns, _pairs, _classifier):
        found |= part(evaluator, tables, notes)
    return found | {"notes": notes}


def _copies(evaluator: Evaluator, tables: Tables, notes: list[str]) -> dict[str, Any]:
    """Compare distances to the closest training row; synthetic rows and held-out ones have the same
    training rows to be close to.
    """
    train, queries = tables.train, len(tables.held)
    if len(train) * queries > PAIRS:
        queries = min(queries, max(1000, int(PAIRS / len(train))))
        train = train[tables.order[: int(PAIRS / queries)]]
        notes.append(
            f"copies, closer: {queries:,} rows of each kind and {len(train):,} of "
            f"{len(tables.train):,} training rows"
        )
    scale = deviations(tables.train, tables.words)
    made, real = (
        closest(rows[:queries], train, tables.words, scale) for rows in (tables.made, tables.held)
    )
    at = np.linspace(0, 1, POINTS)
    return {
        "nearest_train": _median(made, evaluator.seed),
        "nearest_train_real": _median(real, evaluator.seed),
        "closer": share_closer(made, real),
        "copies": share_of(made == 0),
        "copies_real": share_of(real == 0),
        "distances": {
            "synthetic": np.quantile(made, at).tolist(),
            "real": np.quantile(real, at).tolist(),
        },
    }


def _validity(evaluator: Evaluator, tables: Tables, notes: list[str]) -> dict[str, Any]:
    """Measure the share of rows that could stand in the table of training rows."""
    flags = (
        possible(rows, tables.train, tables.words, tables.steps)
        for rows in (tables.complete, tables.held)
    )
    made, real = (share_of(np.all(each, axis=1)) for each in flags)
    return {"valid": made, "valid_real": real}


def _columns(evaluator: Evaluator, tables: Tables, notes: list[str]) -> dict[str, Any]:
    """Compare marginal distributions: means over columns, and each column."""
    words, scale = tables.words, deviations(tables.train, tables.words)
    pairs = {
        "": (tables.made, tables.held),
        "_real": (tables.train[tables.order[: len(tables.held)]], tables.held),
    }
    found: dict[str, Any] = {}
    each: list[dict[str, Any]] = [{"name": column.name} for column in tables.columns]
    for end, (rows, held) in pairs.items():
        for key, values in _statistics(rows, held, words, scale).items():
            for row, value in zip(each, values, strict=True):
                if not np.isnan(value):
                    row[f"{key}{end}"] = float(value)
    for key, which in (("wasserstein", ~words), ("kolmogorov_smirnov", ~words),
                       ("total_variation", words)):  # fmt: skip
        if not which.any():
            kind = "numbers" if which is not words else "categories"
            notes.append(f"{key}: not applicable, no column contains {kind}")
            continue
        for end, (rows, held) in pairs.items():

            def over(a: Tensor, b: Tensor, key: str = key) -> float:
                return float(np.nanmean(_statistics(a.numpy(), b.numpy(), words, scale)[key]))

            found[f"{key}{end}"] = resampled(
                over, torch.from_numpy(rows), torch.from_numpy(held), seed=evaluator.seed
            )
    return found | {"columns": each}


def _statistics(a: Array, b: Array, words: Array, scale: Array) -> dict[str, Array]:
    """Return the statistics of each column, (D,), NaN where they do not apply."""
    found = np.full((3, len(words)), np.nan)
    for i, word in enumerate(words):
        if word:
            found[2, i] = total_variation(a[:, i], b[:, i])
        else:
            apart, most = marginal_distances(a[:, i], b[:, i])
            found[:2, i] = apart / scale[i], most
    return dict(zip(("wasserstein", "kolmogorov_smirnov", "total_variation"), found, strict=True))


def _pairs(evaluator: Evaluator, tables: Tables, notes: list[str]) -> dict[str, Any]:
    """Compare the associations of all pairs of columns."""
    words, held = tables.words, torch.from_numpy(tables.held)
    if len(words) < 2:
        notes.append("associations: not applicable, there is one column")
        return {}

    def gap(a: Tensor, b: Tensor) -> float:
        return association_gap(associations(a.numpy(), words), associations(b.numpy(), words))

    train = tables.train[tables.order[: len(held)]]
    found: dict[str, Any] = {
        key: resampled(gap, torch.from_numpy(rows), held, times=10, seed=evaluator.seed)
        for key, rows in (("associations", tables.made), ("associations_real", train))
    }
    matrices = {"real": tables.held, "synthetic": tables.made, "train": train}
    pairs = {key: associations(rows, words).round(4).tolist() for key, rows in matrices.items()}
    return found | {"pairs": pairs}


def _classifier(evaluator: Evaluator, tables: Tables, notes: list[str]) -> dict[str, Any]:
    """Let a classifier tell synthetic rows, or training rows, from held-out rows."""
    found: dict[str, Any] = {}
    train = tables.train[tables.order[: len(tables.held)]]
    for end, rows in (("", tables.made), ("_real", train)):
        accuracy, area = classifier_test(rows, tables.held, tables.words, evaluator.seed)
        found |= {f"classifier_accuracy{end}": accuracy, f"classifier_auc{end}": area}
    return found


def _median(each: Array, seed: int) -> Estimate:
    """Return the median, with its standard error over bootstrap resamples."""
    return resampled(
        lambda x: float(np.median(x.numpy())), torch.from_numpy(each), times=100, seed=seed
    )
