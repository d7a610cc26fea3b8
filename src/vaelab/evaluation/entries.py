"""A column of a comparison: a run, its numbers, its cost, and the facts that all should share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

from vaelab.data import Dataset
from vaelab.errors import UserError
from vaelab.evaluation.metrics.estimates import Estimate, number
from vaelab.evaluation.results import Evaluation
from vaelab.models import support
from vaelab.recipes import Data, flatten
from vaelab.runs import Run

# Settings that are not compared: the images themselves and the hardware used are compared instead.
ASIDE = {f"data.{key}" for key in ("source", "dir", "test", "validation", "images", "size")}
ASIDE |= {"train.threads", "train.device"}
COST = ("device", "threads", "processor", "torch")  # what seconds and memory depend on
ONE_BIT = 0.6931  # nats; a posterior whose code carries less has collapsed


@dataclass(frozen=True)
class Entry:
    """One column of a comparison: a run, or one run per seed."""

    runs: list[Run]
    evaluations: list[Evaluation]
    facts: dict[str, str]  # data, settings and hardware, which should be the same for all columns
    nats: str  # what its likelihood measures, for example probabilities or densities
    cost: dict[str, float | None]

    @property
    def charged(self) -> bool:
        """Whether its loss bounds -log p(x). The loss of an autoencoder does not."""
        return self.runs[0].recipe.model.posterior != "point"

    @property
    def collapsed(self) -> bool:
        """Whether the code carries less than one bit per image; False for an autoencoder."""
        return self.charged and any(
            rate is not None and rate.value < ONE_BIT
            for rate in (self.number(e, "likelihood", "rate") for e in self.evaluations)
        )

    @staticmethod
    def number(evaluation: Evaluation, section: str, key: str) -> Estimate | None:
        """Return one number of an evaluation, or None."""
        return number(evaluation.sections.get(section, {}).get(key))

    @property
    def classifier(self) -> Any:
        """The hash of the weights of the reference classifier."""
        return self.evaluations[0].sections.get("samples", {}).get("classifier", {}).get("weights")


class Checked(NamedTuple):
    """Facts about the data of a run."""

    shape: tuple[int, ...]
    images: dict[str, str]  # for each split the number of images and a checksum
    binary: bool  # whether the treated test images contain only 0 and 1


def checked(data: Dataset, settings: Data) -> Checked:
    """Return the facts that tell whether two runs used the same data."""
    images = {
        f"{name} images": f"{len(s.x):,} (checksum {s.checksum()})"
        for name, s in data.splits().items()
    }
    x, top = data.test.x[:], (data.levels or 2) - 1
    binary = settings.binary or (
        settings.treatment == "grey" and bool(((x == 0) | (x == top)).all())
    )
    return Checked(data.shape, images, binary)


def entry(runs: list[Run], evaluations: list[Evaluation], data: Sequence[Checked]) -> Entry:
    """Return the entry of a run, or of one run per seed.

    Raises `UserError` for a damaged results.json.
    """
    facts = [_facts(run, one.images) for run, one in zip(runs, data, strict=True)]
    together = {key: ", ".join(dict.fromkeys(of[key] for of in facts)) for key in facts[0]}
    return Entry(runs, evaluations, together, _nats(runs[0], data[0].binary), _cost(runs))


def _facts(run: Run, images: Mapping[str, str]) -> dict[str, str]:
    """Return everything that should be the same in a fair comparison."""
    ran, trained = _environment(run), len(run.history)
    settings = {
        key.partition(".")[2].replace("_", " "): plain(value)
        for key, value in flatten(run.recipe).items()
        if key.startswith(("data.", "train.")) and key not in ASIDE
    }
    if trained != run.recipe.train.epochs:
        settings["epochs"] += f" ({trained} trained)"
    return {**images, **settings} | {key: f"{ran.get(key, 'not recorded')}" for key in COST}


def _environment(run: Run) -> dict[str, Any]:
    """Return the training environment; empty if environment.json is missing or damaged."""
    try:
        found: dict[str, Any] = json.loads((run.folder / "environment.json").read_text("utf-8"))
        return found | {"torch": found["packages"]["torch"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def plain(value: Any) -> str:
    """Return a setting as text."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}" or "–"


def _nats(run: Run, binary: bool) -> str:
    """Return what the likelihood measures; only likelihoods of one kind can be compared."""
    model = run.recipe.model
    given = " given the label" if model.conditional else ""
    if support(model) in ("levels", "counts"):
        return f"probabilities{given}"
    if model.likelihood != "bernoulli":
        return f"densities{given}"
    return (
        f"probabilities{given}"
        if binary
        else f"cross-entropies of grey levels{given}, not a likelihood"
    )


def _cost(runs: Sequence[Run]) -> dict[str, float | None]:
    """Return the cost of training: medians over epochs and runs, and the peak memory.

    Values that were not recorded are None. Raises `UserError` if results.json lacks the number of
    parameters.
    """
    parameters = runs[0].results.get("parameters")
    if parameters is None:
        path = runs[0].folder / "results.json"
        raise UserError(
            f"{path}: lacks the number of parameters; restore it, or train again with --overwrite"
        )
    times = [rows for run in runs if (rows := run.times)]
    peaks = [row["peak_mib"] for rows in times for row in rows if "peak_mib" in row]
    return {
        "parameters": parameters,
        "epochs": median(len(run.history) for run in runs),
        "seconds per epoch": median(row["seconds"] for rows in times for row in rows)
        if times
        else None,
        "seconds of training": median(sum(row["seconds"] for row in rows) for rows in times)
        if times
        else None,
        "peak memory, MiB": max(peaks) if peaks else None,
    }
