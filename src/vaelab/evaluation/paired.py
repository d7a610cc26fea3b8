"""Compared runs: numbers, paired differences to the first run, and what they show.

A difference has an interval where it can be paired: by image between two runs, or with seeds by seed between two
recipes. Only a few numbers are judged, those that mean something for the two models, and only an interval that excludes
zero calls one of them better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import NamedTuple

from vaelab.evaluation.entries import Entry, plain
from vaelab.evaluation.intervals import LEAST, Interval, bootstrap, t_interval, unpaired
from vaelab.evaluation.metrics.estimates import Estimate, Metric, number
from vaelab.evaluation.sections import METRICS
from vaelab.recipes import flatten

LEVEL = 0.95  # of all intervals of a row together
# The numbers of samples that need no classifier
WITHOUT_CLASSIFIER = ("mse", "psnr", "ssim", "nearest_train", "copies")

# What is judged between two models, by section and key, with the side that is better and what the number stands for.
GENERATIVE: dict[tuple[str, str], tuple[str, str]] = {
    ("likelihood", "nll"): ("lower", "log-likelihood"),
    ("likelihood", "loss"): ("lower", "loss"),
    ("samples", "frechet"): ("lower", "fidelity of samples"),
    ("samples", "coverage"): ("higher", "diversity of samples"),
    ("latent", "probe_accuracy"): ("higher", "separation of classes"),
}
# Against an autoencoder, whose loss bounds nothing: reconstructions, samples, and the latent space they come from.
AUTOENCODER: dict[tuple[str, str], tuple[str, str]] = {
    ("samples", "mse"): ("lower", "reconstruction"),
    ("samples", "frechet"): ("lower", "fidelity of samples"),
    ("latent", "prior_gap_at_least"): ("lower", "match of codes and prior"),
    ("latent", "smoothness"): ("higher", "smoothness of interpolations"),
}

HOLE_NOTE = (
    "hole share: nothing keeps the codes of an autoencoder near the prior. Where they reach far beyond it, all prior "
    "samples lie among them and none in a hole; `prior gap at least` measures the mismatch"
)


class Row(NamedTuple):
    """One number of all the runs."""

    section: str
    key: str
    metric: Metric
    sides: list[str]  # for each run the side that is better against the first, "" where not judged
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
        """For each run against the first: better, worse or no difference shown; "" where it is not judged."""
        words = {1: "better", -1: "worse", 0: "no difference shown"}
        return [
            words[interval.sign * (1 if side == "higher" else -1)]
            if side and interval and not reason
            else ""
            for side, interval, reason in zip(self.sides, self.intervals, self.reasons, strict=True)
        ]

    @property
    def judged(self) -> bool:
        """Whether one of the runs can be better than another by this number."""
        return any(self.sides)

    @property
    def means(self) -> str:
        """What a judged number stands for."""
        return (GENERATIVE | AUTOENCODER)[self.section, self.key][1]


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`; the first entry is the reference."""

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
        """The facts that differ: fact -> name -> value."""
        facts = {name: entry.facts for name, entry in self.entries.items()}
        keys = [key for key in next(iter(facts.values())) if key not in self.same]
        return {key: {name: of[key] for name, of in facts.items()} for key in keys}

    @property
    def compared(self) -> dict[str, dict[str, str]]:
        """The settings of model and objective in which the entries differ: the subject of the comparison."""
        flat = {name: flatten(entry.runs[0].recipe) for name, entry in self.entries.items()}
        keys = [
            key for key in next(iter(flat.values())) if key.startswith(("model.", "objective."))
        ]
        found = {key: {name: plain(of[key]) for name, of in flat.items()} for key in keys}
        return {key: values for key, values in found.items() if len(set(values.values())) > 1}

    @property
    def noted(self) -> dict[str, list[str]]:
        """The notes of the evaluations (with seeds: of the first): note -> the runs that have it."""
        found: dict[str, list[str]] = {}
        for name, entry in self.entries.items():
            for section in entry.evaluations[0].sections.values():
                for note in section.get("notes", []):
                    found.setdefault(note.replace("_", " "), []).append(name)
            if not entry.charged and "hole_share" in entry.evaluations[0].sections.get(
                "latent", {}
            ):
                found.setdefault(HOLE_NOTE, []).append(name)
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
        )  # of a run, not of the measurement
        shared = {
            k.replace("_", " "): f"{v}"
            for k, v in first.evaluations[0].protocol.items()
            if k not in aside
        }
        return shared | {
            "nats of": "; ".join(dict.fromkeys(entry.nats for entry in self.entries.values()))
        }

    @property
    def findings(self) -> dict[str, str]:
        """One sentence for each run but the first: what the comparison shows."""
        return {name: self._finding(i, name) for i, name in enumerate(self.names) if i}

    def _finding(self, i: int, name: str) -> str:
        first = self.names[0]
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if row.verdicts[i]:
                found.setdefault(row.verdicts[i], []).append(row.means)
        parts = [f"is {w} in {_joined(found[w])}" for w in ("better", "worse") if w in found]
        if shown := found.get("no difference shown"):
            parts.append(f"shows no difference in {_joined(shown)}")
        says = f"{name} and {first} are not comparable"
        if parts:
            says = f"{name} {_joined(parts)} compared with {first}"
        fallen = [n for n in (first, name) if self.entries[n].collapsed]
        if fallen:
            says += f"; the latent code of {_joined(fallen)} has collapsed, so it is called better in nothing"
        return f"{says}."

    def row(self, section: str, key: str) -> Row:
        """One row by name; `KeyError` where there is none."""
        return {(row.section, row.key): row for row in self.rows}[section, key]


def comparison(entries: Mapping[str, Entry], seeds: int) -> Comparison:
    """Every number of all the entries, and each one's difference to the first.

    With m entries beside the first there are m differences in a row, so each interval is at level 1 - 0.05 / m
    (Bonferroni): without a true difference, an interval of a row excludes zero with probability at most 5 %. Rows are not
    corrected for one another.
    """
    level = 1 - (1 - LEVEL) / (len(entries) - 1)
    return Comparison(dict(entries), seeds, level, _rows([*entries.values()], level))


# --- numbers ------------------------------------------------------------------------------


def _rows(entries: Sequence[Entry], level: float) -> list[Row]:
    """Every number that a run has, except those without a better side that are equal for all, like settings."""
    rows = []
    for section, metrics in METRICS.items():
        for key, metric in metrics.items():
            found = [
                [number(e.sections.get(section, {}).get(key)) for e in entry.evaluations]
                for entry in entries
            ]
            values = [_over_seeds(numbers) for numbers in found]
            there = [value.value for value in values if value]
            measured = len(there) < len(values) and any(v and v.error is not None for v in values)
            if not there or (not metric.better and len(set(there)) == 1 and not measured):
                continue
            sides, intervals, reasons = [""], list[Interval | None]([None]), [""]
            for entry, numbers in zip(entries[1:], found[1:], strict=True):
                interval, reason = _difference(found[0], numbers, level)
                obstacle = _obstacle(section, key, entries[0], entry)
                sides.append(_side(section, key, entries[0], entry))
                intervals.append(None if obstacle else interval)
                reasons.append(
                    obstacle or reason or _collapse(sides[-1], interval, entries[0], entry)
                )
            real = _real(section, key, entries)
            rows.append(Row(section, key, metric, sides, values, intervals, reasons, real))
    return rows


def _side(section: str, key: str, first: Entry, second: Entry) -> str:
    """The better side of a number between two models, "" where it is not judged for such a pair."""
    if not (first.charged and second.charged):
        return AUTOENCODER.get((section, key), ("", ""))[0]
    # The sum of distortion and rate is judged only where no log-likelihood is: both would count one thing twice.
    instead = "loss" if "not a likelihood" in first.nats + second.nats else "nll"
    if section == "likelihood" and key != instead:
        return ""
    return GENERATIVE.get((section, key), ("", ""))[0]


def _collapse(side: str, interval: Interval | None, first: Entry, second: Entry) -> str:
    """Why the better one of two is not called so: its posterior has collapsed."""
    if not side or interval is None or not interval.sign:
        return ""
    second_wins = (interval.sign > 0) == (side == "higher")
    winner = second if second_wins else first
    return "the latent code of the better run has collapsed" if winner.collapsed else ""


def _joined(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


def _real(section: str, key: str, entries: Sequence[Entry]) -> Estimate | None:
    """The value of real images in place of samples; None if the evaluations lack it or disagree."""
    found = [
        number(e.sections.get(section, {}).get(f"{key}_real"))
        for entry in entries
        for e in entry.evaluations
    ]
    return found[0] if len({one and one.value for one in found}) == 1 else None


def _over_seeds(numbers: Sequence[Estimate | None]) -> Estimate | None:
    """The number of a single run; of several, their mean with their standard deviation as the error."""
    values = [number.value for number in numbers if number]
    if len(numbers) == 1 or len(values) < len(numbers):
        return numbers[0] if len(numbers) == 1 else None
    return Estimate(mean(values), stdev(values))


def _difference(
    first: Sequence[Estimate | None], second: Sequence[Estimate | None], level: float
) -> tuple[Interval | None, str]:
    """The interval of second - first, or the reason why there is none.

    Paired by seed, or for single runs by image; numbers that are not means over images by their standard errors.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a and b]
    if len(pairs) < len(first):
        return None, "one of the two lacks it"
    if len(pairs) > 1:
        interval = t_interval([b.value - a.value for a, b in pairs], level)
        return (
            interval,
            ""
            if interval
            else "the difference is the same for every seed, so its variation is unknown",
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
    """Why a number of the two must not be compared, "" where it may."""
    nats_of_images = section == "likelihood" or key.startswith(
        "sample_nll"
    )  # of samples, in the latent section
    fixed = (
        ("split seed",) if first.facts["treatment"] == "fixed" else ()
    )  # it decides which pixels are white
    for fact in ("test images", "treatment", "scale", *fixed):
        if first.facts[fact] != second.facts[fact]:
            return (
                f"not comparable, not the same {fact}: {first.facts[fact]} and {second.facts[fact]}"
            )
    if (
        section == "samples"
        and key not in WITHOUT_CLASSIFIER
        and first.classifier != second.classifier
    ):
        return "not comparable, the classifiers were trained on different images"
    if nats_of_images and first.nats != second.nats:
        return f"not comparable, nats of {first.nats} and of {second.nats}"
    if section == "likelihood" and key != "distortion" and first.charged != second.charged:
        return "not comparable, the loss of an autoencoder does not bound -log p(x)"
    return ""
