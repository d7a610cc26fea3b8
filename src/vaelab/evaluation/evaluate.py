"""`evaluate`: every measure of a run, written into its folder.

evaluation.json    the protocol, then the sections: a number, or {"value", "error"} with its standard error
evaluation.npz     the numbers that are means over test images, image by image: likelihood-1000.nll, samples.mse, ...
evaluation-N.*     the same by N test images only

They are written after every section, so an interruption loses one at most, and a section that is there already, of the
same weights under the same protocol, is not worked out again. The likelihood has a section for each K, likelihood-K: a
quick look with few importance weights replaces nothing. What it needs besides those is a section of its own, OPINION.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, cast
from zipfile import BadZipFile

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vaelab import __version__, devices
from vaelab.errors import UserError, nearest
from vaelab.evaluation import disentangling, latent, likelihood, samples
from vaelab.evaluation.metric import Estimate, Metric
from vaelab.evaluation.prepared import Subject
from vaelab.plots import displayed, drawable, encode, look_of, rows
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.seeding import untouched

SHOWN = 10  # samples in the picture of nearest training images
SAMPLES = 1000  # importance weights an image
WEIGHTS = "importance_samples"  # what the protocol calls K
OPINION = "second-opinion"  # on log p(x), the same for every K
SECTIONS = {
    "likelihood": likelihood,
    "latent": latent,
    "samples": samples,
    "disentangling": disentangling,
}
METRICS: dict[str, dict[str, Metric]] = {name: module.METRICS for name, module in SECTIONS.items()}

Section = dict[str, Any]


@dataclass
class Evaluation:
    """What `evaluate` found: under which protocol; and section -> key -> `Estimate`, number, text, list or dict."""

    protocol: dict[str, Any]
    sections: dict[str, Section] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many test images were looked at; 0: all."""
        return 0 if self.protocol["images"] == "all" else int(self.protocol["images"])

    def __str__(self) -> str:
        return table(self)


def evaluate(
    run: Run | str | Path,
    *,
    samples: int = SAMPLES,
    images: int = 0,
    sections: str | Collection[str] = tuple(METRICS),
    seed: int = 0,
    quiet: bool = False,
) -> Evaluation:
    """Measure the best weights of a run on its test images, `images` of them spread over all (0: all).

    `samples` is K, the importance weights an image, on which only the section likelihood depends. Raises `UserError`
    where there is no such section, or no such run.
    """
    run = load_run(run) if isinstance(run, str | Path) else run
    sections = [sections] if isinstance(sections, str) else sections
    for name in sections:
        if name not in METRICS:
            raise UserError(f"sections (--only): there is no {name!r}; {nearest(name, METRICS)}")
    if samples < 1 or images < 0:
        raise UserError(f"samples, images: expected at least 1 and 0, got {samples} and {images}")
    subject = Subject(run, images=images, seed=seed, quiet=quiet)
    if images >= len(subject.data.test.x):
        subject, images = replace(subject, images=0), 0
    protocol, before = _protocol(subject), _load(run, images)
    kept = before[1] if before and before[0] == protocol else {}
    with devices.using(devices.threads(run.recipe.train.threads)[0]), untouched():
        for name in METRICS:
            if name not in sections or _stored(name, samples) in kept:
                continue
            for part in (OPINION, "likelihood") if name == "likelihood" else (name,):
                if part in kept:
                    continue
                if not quiet:
                    print(f"{part} ...", flush=True)
                kept[_stored(part, samples)] = _measure(part, subject, samples, kept)
                if part == "samples" and drawable(subject.data.shape):
                    run.write("figures/neighbours.png", encode(neighbours(subject)))
                _write(subject, protocol, kept)
    written = read(
        run, images, samples
    )  # rounded as in the file, so that a second call says the same
    found = written.sections if written else kept
    return Evaluation(
        protocol | {WEIGHTS: samples}, {name: found[name] for name in METRICS if name in sections}
    )


def neighbours(subject: Subject) -> Figure:
    """Of a thousand samples the ten nearest to a training image, over that: has the model learned by heart?"""
    made = subject.samples[
        torch.linspace(0, len(subject.samples) - 1, min(1000, len(subject.samples))).long()
    ]
    to_train, which = samples.nearest(made, subject.x_train)
    few = samples.nearness(to_train, samples.nearest(made, subject.x_test)[0]).argsort()[:SHOWN]
    run, look = subject.run, look_of(subject.run)
    shown = {"sample": made[few], "neighbour": subject.x_train[which[few]]}
    return rows({look.text(key): displayed(run, x) for key, x in shown.items()}, look=look)


def _measure(section: str, subject: Subject, k: int, kept: dict[str, Section]) -> Section:
    match section:
        case "likelihood":
            return likelihood.measure(subject, k, kept[OPINION])
        case "second-opinion":
            return likelihood.second_opinions(subject)
        case _:
            found: Section = SECTIONS[section].measure(subject)
            return found


def files(images: int) -> tuple[str, str]:
    """The names of the two files of an evaluation by so many test images (0: all).

    >>> files(0), files(500)
    (('evaluation.json', 'evaluation.npz'), ('evaluation-500.json', 'evaluation-500.npz'))
    """
    stem = f"evaluation-{images}" if images else "evaluation"
    return f"{stem}.json", f"{stem}.npz"


def read(run: Run, images: int = 0, samples: int = 0) -> Evaluation | None:
    """The evaluation in the folder of a run by so many test images (0: all) and importance weights (0: the most).

    None where there is none, or it is not of these weights, or damaged.
    """
    found = _load(run, images)
    if found is None:
        return None
    protocol, stored = found
    counts = [int(name.partition("-")[2]) for name in stored if name.startswith("likelihood-")]
    k = samples or max(counts, default=0)
    sections = {name: stored[_stored(name, k)] for name in METRICS if _stored(name, k) in stored}
    return Evaluation(protocol | {WEIGHTS: k}, sections)


def _stored(section: str, k: int) -> str:
    """What a section is called in the files: of the likelihood there is one for each K."""
    return f"likelihood-{k}" if section == "likelihood" else section


def _load(run: Run, images: int) -> tuple[dict[str, Any], dict[str, Section]] | None:
    """The protocol, without K, and the sections by their names in the files."""
    numbers, columns = files(images)
    try:
        document = json.loads((run.folder / numbers).read_text("utf-8"))
        if document["protocol"]["weights"] != _weights(run):
            return None
        with np.load(io.BytesIO((run.folder / columns).read_bytes())) as table:
            each = dict(table)
        sections = {
            name: {key: _revived(value, each, f"{name}.{key}") for key, value in section.items()}
            for name, section in document["sections"].items()
            if all(isinstance(note, str) for note in section["notes"])
        }
        return document["protocol"], sections
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile):
        return None


def _protocol(subject: Subject) -> dict[str, Any]:
    """All but K that the numbers depend on; evaluations that differ in the weights alone can be compared."""
    run, data = subject.run, subject.run.recipe.data
    return {
        "vaelab": __version__,
        "weights": _weights(run),
        "source": Path(data.source).name,
        "split": "test",
        "images": subject.images or "all",
        "checksum": subject.data.test.checksum(),
        "train_checksum": subject.data.train.checksum(),
        "treatment": data.treatment,
        "likelihood": run.recipe.model.likelihood,
        "seed": subject.seed,
    }


def _weights(run: Run) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of best.safetensors."""
    run.contract  # noqa: B018  # raises what a user can mend where the file is missing or damaged
    return hashlib.sha256((run.folder / "best.safetensors").read_bytes()).hexdigest()[:16]


def _write(subject: Subject, protocol: dict[str, Any], sections: dict[str, Section]) -> None:
    run, (numbers, table) = subject.run, files(subject.images)
    columns: dict[str, Any] = {
        f"{name}.{key}": value.each
        for name, section in sections.items()
        for key, value in section.items()
        if isinstance(value, Estimate) and value.each is not None
    }
    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    run.write(table, buffer.getvalue())
    document = {"protocol": protocol, "sections": _plain(sections)}
    run.write(numbers, (json.dumps(document, indent=2) + "\n").encode())


def _plain(value: Any) -> Any:
    """What JSON can say: an `Estimate` as its value and error, each number rounded to 9 digits; NaN as null."""
    match value:
        case Estimate():
            return {"value": _plain(value.value), "error": _plain(value.error)}
        case dict():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case float():
            return float(f"{value:.9g}") if math.isfinite(value) else None
        case _:
            return value


def _revived(value: Any, each: dict[str, NDArray[np.float64]], name: str) -> Any:
    if isinstance(value, dict) and value.keys() == {"value", "error"}:
        number, error = (
            None if one is None else float(one) for one in (value["value"], value["error"])
        )
        return Estimate(
            cast(float, number), error, each.get(name)
        )  # None as JSON has it: not a number
    return (
        {key: _revived(inner, each, "") for key, inner in value.items()}
        if isinstance(value, dict)
        else value
    )


def table(found: Evaluation) -> str:
    """Section by section: a line for each number, its unit and what it is; then the notes."""
    protocol, across = found.protocol, max(80, get_terminal_size((100, 24)).columns)
    lines = [
        f"{protocol['source']}, {protocol['images']} test images, treatment {protocol['treatment']}, "
        f"likelihood {protocol['likelihood']}, {protocol[WEIGHTS]} importance samples an image"
    ]
    for name, section in found.sections.items():
        there = [(key, metric) for key, metric in METRICS[name].items() if key in section]
        rows = [row for key, metric in there for row in _rows(key, section[key], metric)]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines += ["", name]
        for *cells, about in rows:
            left = (
                "".join(f"  {cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
                + "  "
            )
            fits = len(left + about) <= across  # else it goes below
            lines += (
                [(left + about).rstrip()]
                if fits
                else [left.rstrip(), fill(about, across, **_indents(6, 6))]
            )
        notes = [f"note: {note}".replace("_", " ") for note in section["notes"]]
        lines += [fill(note, min(116, across), **_indents(2, 4)) for note in notes]
    return "\n".join(lines)


def _indents(first: int, others: int) -> dict[str, Any]:
    return {"initial_indent": " " * first, "subsequent_indent": " " * others}


def _rows(key: str, value: Any, metric: Metric) -> list[tuple[str, str, str, str]]:
    """A line of the table: name, value, unit, what it is; and one for each entry of a dictionary."""
    name = key.replace("_", " ")
    if not isinstance(value, dict):
        return [(name, _cell(value), metric.unit, metric.about)]
    return [
        (name, "", metric.unit, metric.about),
        *((f"  {key}", _cell(one), "", "") for key, one in value.items()),
    ]


def _cell(value: Any) -> str:
    """A value in a few characters; of many numbers the least and the greatest."""
    match value:
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case list():
            there = [one for one in value if isinstance(one, int | float)]
            return f"{_cell(min(there))} to {_cell(max(there))}" if there else ""
        case _:
            return str(value)
