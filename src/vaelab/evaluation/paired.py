"""Comparison of runs: metrics, paired differences to the first run, and verdicts.

Differences between two runs are paired by image, differences between two recipes by seed. Only the
metrics that are meaningful for both models are judged. One run is called better only if the
confidence interval of the difference excludes zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from vaelab.evaluation.entries import Entry, plain
from vaelab.evaluation.intervals import LEAST, Interval, bootstrap, t_interval, unpaired
from vaelab.evaluation.metrics.estimates import Estimate, Metric, number
from vaelab.evaluation.sections import METRICS
from vaelab.language import Lang, Said, text
from vaelab.recipes import flatten

LEVEL = 0.95  # joint confidence level of all intervals of a row
WITHOUT_CLASSIFIER = ("mse", "psnr", "ssim", "nearest_train", "copies")

# The judged metrics of two generative models: (section, key) -> better side and meaning.
GENERATIVE: dict[tuple[str, str], tuple[str, str]] = {
    ("likelihood", "nll"): ("lower", "log-likelihood"),
    ("likelihood", "loss"): ("lower", "loss"),
    ("samples", "frechet"): ("lower", "fidelity of samples"),
    ("samples", "coverage"): ("higher", "diversity of samples"),
    ("latent", "probe_accuracy"): ("higher", "separation of classes"),
}
# The judged metrics if one of the models is an autoencoder, whose loss does not bound -log p(x).
AUTOENCODER: dict[tuple[str, str], tuple[str, str]] = {
    ("samples", "mse"): ("lower", "reconstruction"),
    ("samples", "frechet"): ("lower", "fidelity of samples"),
    ("latent", "prior_gap_at_least"): ("lower", "match of codes and prior"),
    ("latent", "smoothness"): ("higher", "smoothness of interpolations"),
}

HOLE_NOTE = "note.hole_share"  # a key of language/comparison.toml


class Row(NamedTuple):
    """One metric of all runs. Lists have one element per run; the first run is the reference."""

    section: str
    key: str
    metric: Metric
    sides: list[str]  # the better side ("lower", "higher"), "" where the metric is not judged
    values: list[Estimate | None]  # with seeds, their mean with their standard deviation
    intervals: list[Interval | None]  # of the difference to the first run
    obstacles: list[Said | None]  # why a difference is not judged, None where it is
    real: Estimate | None  # the value of real images in place of samples, if all runs agree on it

    @property
    def reasons(self) -> list[str]:
        """Why a difference is not judged, in English, "" where it is."""
        return [obstacle.text("en") if obstacle else "" for obstacle in self.obstacles]

    @property
    def verdicts(self) -> list[str]:
        """For each run, relative to the first: better, worse, no difference shown, or ""."""
        words = {1: "better", -1: "worse", 0: "no difference shown"}
        return [
            words[interval.sign * (1 if side == "higher" else -1)]
            if side and interval and not obstacle
            else ""
            for side, interval, obstacle in zip(
                self.sides, self.intervals, self.obstacles, strict=True
            )
        ]

    @property
    def judged(self) -> bool:
        """Whether the metric is judged for any run."""
        return any(self.sides)

    @property
    def means(self) -> str:
        """What a judged metric measures, which is a key of language/comparison.toml."""
        return (GENERATIVE | AUTOENCODER)[self.section, self.key][1]


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`; the first entry is the reference."""

    entries: dict[str, Entry]
    seeds: int  # 0 for single runs
    level: float  # confidence level of each interval
    rows: list[Row]
    files: tuple[Path, ...] = ()  # that it was written to

    @property
    def names(self) -> list[str]:
        return list(self.entries)

    @property
    def same(self) -> dict[str, str]:
        """The facts that are the same for all entries."""
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
        """The settings of model and objective that differ: the subject of the comparison."""
        flat = {name: flatten(entry.runs[0].recipe) for name, entry in self.entries.items()}
        keys = [
            key for key in next(iter(flat.values())) if key.startswith(("model.", "objective."))
        ]
        found = {key: {name: plain(of[key]) for name, of in flat.items()} for key in keys}
        return {key: values for key, values in found.items() if len(set(values.values())) > 1}

    @property
    def noted(self) -> dict[str, list[str]]:
        """The notes of the evaluations (with seeds, of the first seed): note -> runs."""
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
        """How the metrics were measured."""
        first = next(iter(self.entries.values()))
        # These belong to a run, not to the measurement.
        aside = ("weights", "treatment", "likelihood", "train_checksum")
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
        """One sentence for each run except the first: what the comparison shows, in English."""
        return self.sentences("en")

    def sentences(self, lang: Lang) -> dict[str, str]:
        """Return the findings in a language."""
        return {name: self._finding(i, name, lang) for i, name in enumerate(self.names) if i}

    def _finding(self, i: int, name: str, lang: Lang) -> str:
        found: dict[str, list[str]] = {}
        for row in self.rows:
            if row.verdicts[i]:
                found.setdefault(row.verdicts[i], []).append(_said(row.means, lang))
        parts = [
            _said(f"finding.{verdict}", lang, what=joined(found[verdict], lang))
            for verdict in ("better", "worse", "no difference shown")
            if verdict in found
        ]
        first = self.names[0]
        key = "finding" if parts else "finding.none"
        says = _said(key, lang, name=name, first=first, parts=joined(parts, lang))
        if fallen := [one for one in (first, name) if self.entries[one].collapsed]:
            says = _said("finding.collapsed", lang, says=says, names=joined(fallen, lang))
        return f"{says}."

    def row(self, section: str, key: str) -> Row:
        """Return one row by name. Raises `KeyError` if there is none."""
        return {(row.section, row.key): row for row in self.rows}[section, key]


def comparison(entries: Mapping[str, Entry], seeds: int) -> Comparison:
    """Compare entries: every metric of each, and its difference to the first.

    With m entries besides the first there are m differences in a row, so each interval has level
    1 - 0.05 / m (Bonferroni): if there is no true difference, any interval of the row excludes zero
    with probability at most 5 %. There is no correction across rows.
    """
    level = 1 - (1 - LEVEL) / (len(entries) - 1)
    return Comparison(dict(entries), seeds, level, _rows([*entries.values()], level))


# --- rows ---------------------------------------------------------------------------------


def _rows(entries: Sequence[Entry], level: float) -> list[Row]:
    """Return a row for each metric, except those without a better side that are all equal."""
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
            sides, intervals = [""], list[Interval | None]([None])
            obstacles: list[Said | None] = [None]
            for entry, numbers in zip(entries[1:], found[1:], strict=True):
                interval, lacking = _difference(found[0], numbers, level)
                obstacle = _obstacle(section, key, entries[0], entry)
                sides.append(_side(section, key, entries[0], entry))
                intervals.append(None if obstacle else interval)
                obstacles.append(
                    obstacle or lacking or _collapse(sides[-1], interval, entries[0], entry)
                )
            real = _real(section, key, entries)
            rows.append(Row(section, key, metric, sides, values, intervals, obstacles, real))
    return rows


def _side(section: str, key: str, first: Entry, second: Entry) -> str:
    """Return the better side of a metric for two models, "" where it is not judged."""
    if not (first.charged and second.charged):
        return AUTOENCODER.get((section, key), ("", ""))[0]
    # Judging both the loss and the log-likelihood would count one quantity twice.
    instead = "loss" if "not a likelihood" in first.nats + second.nats else "nll"
    if section == "likelihood" and key != instead:
        return ""
    return GENERATIVE.get((section, key), ("", ""))[0]


def _collapse(side: str, interval: Interval | None, first: Entry, second: Entry) -> Said | None:
    """Return why the better run is not called better (posterior collapse), or None."""
    if not side or interval is None or not interval.sign:
        return None
    second_wins = (interval.sign > 0) == (side == "higher")
    winner = second if second_wins else first
    return _why("collapse") if winner.collapsed else None


def joined(parts: Sequence[str], lang: Lang = "en") -> str:
    """Join parts as ``a``, ``a and b``, or ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return _said("and", lang, first=", ".join(parts[:-1]), last=parts[-1])


def _said(key: str, lang: Lang, **slots: str) -> str:
    return text("comparison", key, lang, **slots)


def _why(key: str, **slots: object) -> Said:
    return Said("comparison", f"reason.{key}", tuple(slots.items()))


def _real(section: str, key: str, entries: Sequence[Entry]) -> Estimate | None:
    """Return the value of real images in place of samples; None if it is missing or differs."""
    found = [
        number(e.sections.get(section, {}).get(f"{key}_real"))
        for entry in entries
        for e in entry.evaluations
    ]
    return found[0] if len({one and one.value for one in found}) == 1 else None


def _over_seeds(numbers: Sequence[Estimate | None]) -> Estimate | None:
    """Return the value of one run, or the mean over seeds with their standard deviation."""
    values = [number.value for number in numbers if number]
    if len(numbers) == 1 or len(values) < len(numbers):
        return numbers[0] if len(numbers) == 1 else None
    return Estimate(mean(values), stdev(values))


def _difference(
    first: Sequence[Estimate | None], second: Sequence[Estimate | None], level: float
) -> tuple[Interval | None, Said | None]:
    """Return the interval of second - first, or the reason why there is none.

    Differences are paired by seed, and for single runs by image. For metrics that are not means
    over images, the interval follows from the two standard errors.
    """
    pairs = [(a, b) for a, b in zip(first, second, strict=True) if a and b]
    if len(pairs) < len(first):
        return None, _why("missing")
    if len(pairs) > 1:
        interval = t_interval([b.value - a.value for a, b in pairs], level)
        return interval, None if interval else _why("constant")
    ((a, b),) = pairs
    if a.error is None or b.error is None or a.error == b.error == 0:
        return None, _why("error")
    if a.each is None or b.each is None:
        return unpaired(a.value, b.value, (a.error, b.error), level), None
    if a.each.shape != b.each.shape:
        return None, _why("images")
    interval = bootstrap(b.each - a.each, level)
    return interval, None if interval else _why("few", least=LEAST)


def _obstacle(section: str, key: str, first: Entry, second: Entry) -> Said | None:
    """Return why a metric of two entries must not be compared, or None."""
    # sample_nll, in the section latent, is a likelihood too.
    nats_of_images = section == "likelihood" or key.startswith("sample_nll")
    # With the treatment "fixed", the split seed decides how pixels are binarised.
    fixed = ("split seed",) if first.facts["treatment"] == "fixed" else ()
    for fact in ("test images", "treatment", "scale", *fixed):
        if first.facts[fact] != second.facts[fact]:
            named = Said("comparison", fact)
            return _why("fact", fact=named, first=first.facts[fact], second=second.facts[fact])
    if (
        section == "samples"
        and key not in WITHOUT_CLASSIFIER
        and first.classifier != second.classifier
    ):
        return _why("classifier")
    if nats_of_images and first.nats != second.nats:
        nats = (Said("comparison", one.nats) for one in (first, second))
        return _why("nats", first=next(nats), second=next(nats))
    if section == "likelihood" and key != "distortion" and first.charged != second.charged:
        return _why("bound")
    return None
