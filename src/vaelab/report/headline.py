"""The headline numbers of a run, and their tables for other documents."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from vaelab.evaluation import WEIGHTS, Estimate
from vaelab.evaluation.metrics.information import ACTIVE, variance_of_means
from vaelab.language import Lang, decimal, text
from vaelab.report.prepared import Prepared

# In the order of the page: the key of a number in an evaluation, and its unit.
NUMBERS = {
    "likelihood.loss": "nats",
    "likelihood.distortion": "nats",
    "likelihood.rate": "nats",
    "likelihood.nll": "nats",
    "likelihood.bits_per_dim": "bits",
    "latent.active_units": "",
    "latent.codes_used": "share",
    "latent.mutual_information": "nats",
    "latent.hole_share": "share",
    "latent.knn_accuracy": "share",
    "samples.mse": "",
    "samples.frechet": "",
}
MEASURED = ("loss", "distortion", "rate")  # what the end of a training measures
LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {c: f"\\{c}" for c in "&%$#_{}"} | {"−": "$-$", "β": r"$\beta$", "±": r"$\pm$"}


@dataclass(frozen=True)
class Number:
    """A headline number."""

    key: str  # its name in results.json or evaluation.json
    name: str
    meaning: str
    unit: str
    found: Estimate
    lang: Lang

    @property
    def value(self) -> str:
        """The value, to two digits of its standard error where it has one."""
        return self._written[0]

    @property
    def error(self) -> str:
        """The standard error, "" where there is none."""
        return self._written[1]

    @property
    def _written(self) -> tuple[str, str]:
        value, _, error = decimal(str(self.found), self.lang).partition(" ± ")
        return value, error


def numbers(prepared: Prepared) -> list[Number]:
    """Return what is known of a run: the numbers of its evaluation, else those of its training."""
    values: dict[str, Estimate] = {}
    for key in NUMBERS:
        found = prepared.number(key)
        name = key.partition(".")[2]
        if found is None and name in MEASURED and name in prepared.results:
            found = Estimate(prepared.results[name])
        if found is None and name == "active_units":
            found = _active(prepared)
        if found is not None and _applies(prepared, name):
            values[key] = found
    if not values and prepared.history:  # a training that is not finished
        last = prepared.history[-1]
        split = next(split for split in ("validation", "test", "train") if split in last)
        values = {f"likelihood.{name}": Estimate(last[split][name]) for name in MEASURED}
    return [_number(prepared, key, found) for key, found in values.items()]


def _applies(prepared: Prepared, name: str) -> bool:
    """Whether a number means something for the model: an autoencoder has no rate and no bound."""
    return not (prepared.is_point and name in ("loss", "rate", "active_units"))


def _active(prepared: Prepared) -> Estimate | None:
    """Count the active dimensions in the codes of the page where no evaluation did."""
    if not prepared.results or not prepared.trained or prepared.space not in ("reals", "levels"):
        return None
    activity = variance_of_means(torch.from_numpy(prepared.view.codes[0]))
    return Estimate(float((activity > ACTIVE).sum()))


def _number(prepared: Prepared, key: str, found: Estimate) -> Number:
    name, lang = key.partition(".")[2], prepared.lang
    total = prepared.run.vae.latent if name == "active_units" else 0
    k = prepared.evaluation.protocol[WEIGHTS] if prepared.evaluation else 0
    units = {"nats": prepared.unit, "share": ""}
    return Number(
        key if prepared.number(key) else name,
        text("report", f"name_{name}", lang, k=int(k)),
        text("report", f"mean_{name}", lang, k=int(k), total=total),
        units.get(NUMBERS[key], NUMBERS[key]),
        found,
        lang,
    )


# --- tables for other documents -------------------------------------------------------------------


def copies(columns: Mapping[str, Sequence[Number]], lang: Lang) -> dict[str, str]:
    """Return the numbers of one run or of several as Markdown, LaTeX and CSV.

    CSV holds the exact values and errors under the names of the files.
    """
    names = {one.key: one.name for numbers in columns.values() for one in numbers}
    units = {one.key: one.unit for numbers in columns.values() for one in numbers}
    known = {run: {one.key: one for one in numbers} for run, numbers in columns.items()}
    head = [text("report", "number", lang), *columns, text("report", "unit", lang)]
    rows = [
        [name, *(_cell(found.get(key)) for found in known.values()), units[key]]
        for key, name in names.items()
    ]
    return {
        "markdown": _markdown(head, rows),
        "latex": _latex(head, rows),
        "csv": _csv(columns),
    }


def _cell(number: Number | None) -> str:
    if number is None:
        return "–"
    return f"{number.value} ± {number.error}" if number.error else number.value


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        safe = (re.sub(r"([\\|`*_<>\[\]])", r"\\\1", cell.replace("\n", " ")) for cell in cells)
        return f"| {' | '.join(safe)} |"

    rule = [":--", *["--:"] * (len(head) - 2), ":--"]
    return "\n".join([line(head), f"| {' | '.join(rule)} |", *map(line, rows)]) + "\n"


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        safe = ("".join(LATEX.get(c, c) for c in cell.replace("\n", " ")) for cell in cells)
        return " & ".join(safe) + r" \\"

    columns = f"l{'r' * (len(head) - 2)}l"
    body = [r"\hline", line(head), r"\hline", *map(line, rows), r"\hline"]
    return "\n".join([f"\\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"


def _csv(columns: Mapping[str, Sequence[Number]]) -> str:
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["run", "number", "value", "error", "unit"])
    for run, numbers in columns.items():
        for one in numbers:
            error = "" if one.found.error is None else one.found.error
            table.writerow([_plain(run), one.key, one.found.value, error, one.unit])
    return buffer.getvalue()


def _plain(name: str) -> str:
    """A name that a spreadsheet does not take for a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@") else name
