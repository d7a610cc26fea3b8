"""The headline numbers of a run, and their tables for other documents."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vaelab.evaluation import METRICS, Estimate, headlines, latex, meaning
from vaelab.evaluation.metrics.information import ACTIVE
from vaelab.language import Lang, decimal, text
from vaelab.report import markdown
from vaelab.report.run.prepared import Prepared

HIDDEN = (  # headlines of an evaluation that stand only in the table of all numbers
    "latent.prior_gap", "latent.prior_gap_at_least", "latent.probe_accuracy", "latent.smoothness",
    "samples.precision", "samples.coverage", "samples.copies", "samples.psnr", "samples.ssim",
    "rows.copies", "rows.kolmogorov_smirnov", "rows.total_variation", "rows.associations",
    "disentangling.dci_disentanglement",
)  # fmt: skip
MEASURED = ("loss", "distortion", "rate")  # what every epoch of a training measures
POINTLESS = ("loss", "rate", "active_units")  # what means nothing for an autoencoder
PLAIN = ("share", "squared values")  # units that a reader expects anyway


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
    found = []
    for section, name in headlines():
        key = f"{section}.{name}"
        measured = prepared.number(key)
        value = measured or _trained(prepared, name)
        if value and key not in HIDDEN and not (prepared.is_point and name in POINTLESS):
            found.append(_number(prepared, section, name, key if measured else name, value))
    return found


def _trained(prepared: Prepared, name: str) -> Estimate | None:
    """Return a number that the training itself measured: its end, else its last epoch."""
    if (
        name == "active_units"
        and prepared.results
        and prepared.space in ("reals", "levels")
        and not prepared.unread
    ):
        return Estimate(float((prepared.view.posterior.activity > ACTIVE).sum()))
    if prepared.results and name in (*MEASURED, "bits_per_dim"):
        found = prepared.results.get(name)
        return None if found is None else Estimate(found)
    if name not in MEASURED or not prepared.history:
        return None
    last = prepared.history[-1]
    return Estimate(last[next(s for s in ("validation", "test", "train") if s in last)][name])


def _number(prepared: Prepared, section: str, name: str, key: str, found: Estimate) -> Number:
    lang, rows = prepared.lang, prepared.form == "table"
    said = meaning(section, name, lang, rows=rows)
    unit = prepared.unit if METRICS[section][name].unit == "nats per image" else said.unit
    unit = "" if METRICS[section][name].unit in PLAIN else unit
    if name == "active_units":
        unit = prepared.t("of", total=prepared.run.vae.latent)
    return Number(key, said.name[:1].upper() + said.name[1:], said.reading, unit, found, lang)


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
        "markdown": markdown.table(head, rows, numbers=range(1, len(head) - 1)),
        "latex": _latex(head, rows),
        "csv": _csv(columns),
    }


def _cell(number: Number | None) -> str:
    if number is None:
        return "–"
    return f"{number.value} ± {number.error}" if number.error else number.value


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = [
        [latex.escaped(name), *map(latex.number, values), latex.escaped(unit)]
        for name, *values, unit in rows
    ]
    columns = f"l{'r' * (len(head) - 2)}l"
    return f"{latex.comment()}\n{latex.tabular(columns, [*map(latex.escaped, head)], [body])}\n"


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
