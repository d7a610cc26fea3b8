"""Runs held against the first of them: numbers, paired differences, and what was not the same.

A difference has an interval where it can be paired: image by image between two runs, or, with seeds, seed by seed
between two recipes. Only where the interval excludes zero is one of the two called better.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any, NamedTuple

from vaelab.data import load as load_data
from vaelab.errors import UserError
from vaelab.evaluation.intervals import LEAST, Interval, bootstrap, t_interval, unpaired
from vaelab.evaluation.metrics.estimates import Estimate, Metric, number
from vaelab.evaluation.results import Evaluation
from vaelab.evaluation.sections import METRICS
from vaelab.models import support
from vaelab.recipes import Data, flatten
from vaelab.runs import Run

LEVEL = 0.95  # of all the intervals of a row together
# The images are compared, not where they came from; and what was used, not what was asked for.
ASIDE = {f"data.{key}" for key in ("source", "dir", "test", "validation", "images", "size")}
ASIDE |= {"train.threads", "train.device"}
COST = ("device", "threads", "processor", "torch")  # what seconds and memory depend on
WITHOUT_EYES = (
    "mse",
    "psnr",
    "ssim",
    "nearest_train",
    "copies",
)  # numbers of samples for which no classifier is asked

MIDST = (
    "hole share: nothing holds the codes of an autoencoder near the prior; where they reach far beyond it, all of its "
    "samples lie in their midst and none in a hole. How far the two lie apart is what prior gap at least says"
)


class Row(NamedTuple):
    """One number of all the runs."""

    section: str
    key: str
    metric: Metric
    values: list[
        Estimate | None
    ]  # of each run; with seeds the mean over them and their standard deviation
    intervals: list[
        Interval | None
    ]  # of each run's difference to the first; None for the first itself
    reasons: list[str]  # why a difference is not judged, "" where it is
    real: (
        Estimate | None
    )  # what images of the data reach in the place of samples, where all say the same

    @property
    def verdicts(self) -> list[str]:
        """Of each run against the first: better, worse, or no difference shown; "" where nothing is judged."""
        up = {"lower": -1, "higher": 1}.get(self.metric.better)
        words = {1: "better", -1: "worse", 0: "no difference shown"}
        return [
            "" if up is None or interval is None or reason else words[up * interval.sign]
            for interval, reason in zip(self.intervals, self.reasons, strict=True)
        ]


@dataclass(frozen=True)
class Entry:
    """What stands in one column: a run, or with seeds one of each seed."""

    runs: list[Run]
    evaluations: list[Evaluation]
    facts: dict[str, str]  # what should be the same for all, in words
    nats: str  # what a nat of its likelihood is
    cost: dict[str, float | None]

    @property
    def charged(self) -> bool:
        """Whether its loss is a bound on -log p(x); an autoencoder's is not."""
        return self.runs[0].recipe.model.posterior != "point"

    @property
    def eyes(self) -> Any:
        """The weights, as a hash, of the classifier that compared samples with images."""
        return self.evaluations[0].sections.get("samples", {}).get("classifier", {}).get("weights")


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; the first entry is the reference."""

    entries: dict[str, Entry]
    seeds: int  # 0: single runs
    level: float  # of each interval
    rows: list[Row]

    @property
    def names(self) -> list[str]:
        return list(self.entries)

    @property
    def same(self) -> dict[str, str]:
        """The facts that are the same for all."""
        first, *others = (entry.facts for entry in self.entries.values())
        return {
            key: value
            for key, value in first.items()
            if all(other[key] == value for other in others)
        }

    @property
    def unlike(self) -> dict[str, dict[str, str]]:
        """The facts that are not: fact -> name -> value."""
        facts = {name: entry.facts for name, entry in self.entries.items()}
        keys = [key for key in next(iter(facts.values())) if key not in self.same]
        return {key: {name: of[key] for name, of in facts.items()} for key in keys}

    @property
    def compared(self) -> dict[str, dict[str, str]]:
        """Settings of model and objective in which the entries differ, what the comparison is of."""
        flat = {name: flatten(entry.runs[0].recipe) for name, entry in self.entries.items()}
        keys = [
            key for key in next(iter(flat.values())) if key.startswith(("model.", "objective."))
        ]
        found = {key: {name: plain(of[key]) for name, of in flat.items()} for key in keys}
        return {key: values for key, values in found.items() if len(set(values.values())) > 1}

    @property
    def noted(self) -> dict[str, list[str]]:
        """What the evaluations (with seeds: of the first) say beside their numbers: note -> whose."""
        found: dict[str, list[str]] = {}
        for name, entry in self.entries.items():
            for section in entry.evaluations[0].sections.values():
                for note in section.get("notes", []):
                    found.setdefault(note.replace("_", " "), []).append(name)
            if not entry.charged and "hole_share" in entry.evaluations[0].sections.get(
                "latent", {}
            ):
                found.setdefault(MIDST, []).append(name)
        return found

    @property
    def protocol(self) -> dict[str, str]:
        """How the numbers were measured."""
        first = next(iter(self.entries.values()))
        aside = (
            "weights",
            "treatment",
            "likelihood",
            "train_checksum",
        )  # they belong to a run, not to the measuring
        shared = {
            k.replace("_", " "): f"{v}"
            for k, v in first.evaluations[0].protocol.items()
            if k not in aside
        }
        return shared | {
            "nats of": "; ".join(dict.fromkeys(entry.nats for entry in self.entries.values()))
        }

    def row(self, section: str, key: str) -> Row:
        """One row by name; `KeyError` where there is none."""
        return {(row.section, row.key): row for row in self.rows}[section, key]


def comparison(entries: Mapping[str, Entry], seeds: int) -> Comparison:
    """Every number of all the entries, and each one's difference to the first.

    With m entries beside the first there are m differences in a row, so each interval is at level 1 - 0.05 / m
    (Bonferroni): that any of a row excludes zero by chance happens in at most 5 %. Holm's procedure would find a little
    more, but not by intervals that one can look at. From row to row nothing is corrected.
    """
    level = 1 - (1 - LEVEL) / (len(entries) - 1)
    return Comparison(dict(entries), seeds, level, _rows([*entries.values()], level))


# --- numbers ------------------------------------------------------------------------------


def _rows(entries: Sequence[Entry], level: float) -> list[Row]:
    """Every number that some run has; but not what has no better side and is the same for all, as settings are."""
    rows = []
    for section, metrics in METRICS.items():
        for key, metric in metrics.items():
            found = [
                [number(e.sections.get(section, {}).get(key)) for e in entry.evaluations]
                for entry in entries
            ]
            values = [_over_seeds(numbers) for numbers in found]
            there = [value.value for value in values if value]
            measured = len(there) < len(values) and any(
                value and value.error is not None for value in values
            )
            if not there or (not metric.better and len(set(there)) == 1 and not measured):
                continue
            intervals: list[Interval | None] = [None]
            reasons = [""]
            for entry, numbers in zip(entries[1:], found[1:], strict=True):
                interval, reason = _difference(found[0], numbers, level)
                obstacle = _obstacle(section, key, entries[0], entry)
                intervals.append(None if obstacle else interval)
                reasons.append(obstacle or reason)
            rows.append(
                Row(section, key, metric, values, intervals, reasons, _real(section, key, entries))
            )
    return rows


def _real(section: str, key: str, entries: Sequence[Entry]) -> Estimate | None:
    """What images of the data reach in the place of samples; None where the evaluations do not agree, or do not say."""
    found = [
        number(e.sections.get(section, {}).get(f"{key}_real"))
        for entry in entries
        for e in entry.evaluations
    ]
    return found[0] if len({one and one.value for one in found}) == 1 else None


def _over_seeds(numbers: Sequence[Estimate | None]) -> Estimate | None:
    """The number of a single run; of several their mean, and their standard deviation in the place of the error."""
    values = [number.value for number in numbers if number]
    if len(numbers) == 1 or len(values) < len(numbers):
        return numbers[0] if len(numbers) == 1 else None
    return Estimate(mean(values), stdev(values))


def _difference(
    first: Sequence[Estimate | None], second: Sequence[Estimate | None], level: float
) -> tuple[Interval | None, str]:
    """The interval of second - first, or the reason why there is none.

    Paired by seed, or for single runs by image; what is no mean over images is compared by its two standard errors.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a and b]
    if len(pairs) < len(first):
        return None, "one of the two does not have it"
    if len(pairs) > 1:
        interval = t_interval([b.value - a.value for a, b in pairs], level)
        return (
            interval,
            ""
            if interval
            else "the difference is the same for every seed, so chance cannot be judged",
        )
    ((a, b),) = pairs
    if a.error is None or b.error is None or a.error == b.error == 0:
        return (
            None,
            "without a standard error above 0, an interval needs several trainings: --seeds 5",
        )
    if a.each is None or b.each is None:
        return unpaired(a.value, b.value, (a.error, b.error), level), ""
    if a.each.shape != b.each.shape:
        return None, "the two were measured on different numbers of images"
    interval = bootstrap(b.each - a.each, level)
    return (
        interval,
        "" if interval else f"the two differ on fewer than {LEAST} images, too few for an interval",
    )


def _obstacle(section: str, key: str, first: Entry, second: Entry) -> str:
    """Why a number of the two must not be compared at all, "" where it may."""
    nats_of_images = section == "likelihood" or key.startswith(
        "sample_nll"
    )  # of samples, in the latent section
    fixed = (
        ("split seed",) if first.facts["treatment"] == "fixed" else ()
    )  # it decided which pixels are white
    for fact in ("test images", "treatment", "scale", *fixed):
        if first.facts[fact] != second.facts[fact]:
            return (
                f"not comparable, not the same {fact}: {first.facts[fact]} and {second.facts[fact]}"
            )
    if section == "samples" and key not in WITHOUT_EYES and first.eyes != second.eyes:
        return "not comparable, seen by classifiers that learned from different training images"
    if nats_of_images and first.nats != second.nats:
        return f"not comparable, nats of {first.nats} and of {second.nats}"
    if section == "likelihood" and key != "distortion" and first.charged != second.charged:
        return "not comparable, an autoencoder's loss is no bound on log p(x)"
    return ""


# --- what was the same ------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """The data of a run."""

    shape: tuple[int, ...]
    images: dict[str, str]  # by split: how many, and a checksum
    binary: bool  # whether all test images, as they are treated, are of 0 and 1 alone


def look(settings: Data) -> Look:
    """Load the data, to say whether two runs had the same."""
    data = load_data(settings)
    images = {
        f"{name} images": f"{len(s.x):,} (checksum {s.checksum()})"
        for name, s in data.splits().items()
    }
    x, top = data.test.x, (data.levels or 2) - 1
    binary = settings.binary or (
        settings.treatment == "grey" and bool(((x == 0) | (x == top)).all())
    )
    return Look(data.shape, images, binary)


def entry(runs: list[Run], evaluations: list[Evaluation], looks: Sequence[Look]) -> Entry:
    """A run, or one of each seed, with its evaluation and its data. Raises `UserError` on a damaged results.json."""
    facts = [_facts(run, data.images) for run, data in zip(runs, looks, strict=True)]
    together = {key: ", ".join(dict.fromkeys(of[key] for of in facts)) for key in facts[0]}
    return Entry(runs, evaluations, together, _nats(runs[0], looks[0].binary), _cost(runs))


def _facts(run: Run, images: Mapping[str, str]) -> dict[str, str]:
    """All that should be the same for a fair comparison."""
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
    """What it was trained on; nothing where environment.json is missing or damaged, for no number depends on it."""
    try:
        found: dict[str, Any] = json.loads((run.folder / "environment.json").read_text("utf-8"))
        return found | {"torch": found["packages"]["torch"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def plain(value: Any) -> str:
    """A setting in words."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else f"{value}" or "–"


def _nats(run: Run, binary: bool) -> str:
    """What the nats of its likelihood are; only those of one kind can be compared. Of `binary`, see `Look`."""
    model = run.recipe.model
    given = " given the label" if model.conditional else ""
    if support(model) in ("levels", "counts"):
        return f"probabilities{given}"
    if model.likelihood != "bernoulli":
        return f"densities{given}"
    return (
        f"probabilities{given}"
        if binary
        else f"cross-entropies of grey levels{given}, no likelihood"
    )


def _cost(runs: Sequence[Run]) -> dict[str, float | None]:
    """Of the training: medians over epochs and runs, and the highest of the peaks. None where it was not recorded.

    Raises `UserError` where results.json lacks the number of parameters.
    """
    parameters = runs[0].results.get("parameters")
    if parameters is None:
        path = runs[0].folder / "results.json"
        raise UserError(
            f"{path}: does not say how many parameters there are; restore it or train anew with --overwrite"
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
