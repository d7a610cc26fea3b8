"""An evaluation as text: a summary of about ten lines, and a table of all metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from vaelab.evaluation.metrics.estimates import Estimate, Metric, number
from vaelab.evaluation.sections import METRICS

NOTES = 3  # the most notes of a section in the summary
WIDTH = 80  # columns of the summary

Sections = Mapping[str, Mapping[str, Any]]

# Lines of the summary: title -> metric -> label before its value.
LINES: dict[str, dict[str, str]] = {
    "log-likelihood": {"likelihood.nll": "nll", "likelihood.bits_per_dim": ""},
    "ELBO": {"likelihood.loss": "loss", "likelihood.distortion": "distortion",
             "likelihood.rate": "rate"},
    "annealing": {"likelihood.ais": "nll", "likelihood.ais_difference": "difference"},
    "latent use": {"latent.active_units": "active units", "latent.codes_used": "codes used",
                   "latent.mutual_information": "mutual information"},
    "prior mismatch": {"latent.prior_gap": "KL(q(z) || p(z))", "latent.hole_share": "hole share"},
    "classes": {"latent.probe_accuracy": "probe accuracy", "latent.knn_accuracy": "15-NN"},
    "reconstructions": {"samples.mse": "mse", "samples.psnr": "psnr", "samples.ssim": "ssim"},
    "Frechet distance": {"samples.frechet": "samples", "samples.frechet_real": "real images"},
    "samples": {"samples.precision": "precision", "samples.coverage": "coverage",
                "samples.copies": "copies"},
    "disentanglement": {"disentangling.mig": "MIG", "disentangling.dci_disentanglement": "DCI",
                        "disentangling.factor_vae_score": "FactorVAE"},
}  # fmt: skip
UNITS = {"nats per image": "nats", "share": "", "bits": "bits/dim", "squared values": ""}


def summary(protocol: Mapping[str, Any], sections: Sections) -> str:
    """Return about ten lines: the main metrics with standard errors and units, and notes."""
    lines = [_header(protocol)]
    widest = max(map(len, LINES))
    for title, keys in LINES.items():
        parts = [part for key, word in keys.items() if (part := _part(key, word, sections))]
        if parts:
            text = f"{title:<{widest}}  {', '.join(parts)}"
            lines.append(fill(text, WIDTH, **_indents(2, widest + 4)))
    for section in sections.values():
        notes = [note.replace("_", " ") for note in section["notes"] if _matters(note)]
        lines += [fill(f"note: {note}", WIDTH, **_indents(2, 4)) for note in notes[:NOTES]]
    return "\n".join(lines)


def _part(key: str, word: str, sections: Sections) -> str:
    section, _, name = key.partition(".")
    found = number(sections.get(section, {}).get(name))
    if found is None:
        return ""
    unit = METRICS[section][name].unit
    return " ".join(part for part in (word, str(found), UNITS.get(unit, unit)) if part)


def _matters(note: str) -> bool:
    """Return whether a note warns about a metric, rather than saying that one does not apply."""
    return not any(phrase in note for phrase in ("not measured", "left out", "not applicable"))


def table(protocol: Mapping[str, Any], sections: Sections) -> str:
    """Return one line for each metric with its unit and meaning, and the notes, by section."""
    across = max(WIDTH, get_terminal_size((100, 24)).columns)
    lines = [_header(protocol)]
    for name, section in sections.items():
        there = [(key, metric) for key, metric in METRICS[name].items() if key in section]
        rows = [row for key, metric in there for row in _rows(key, section[key], metric)]
        lines += ["", name, *_aligned(rows, across)]
        notes = [f"note: {note}".replace("_", " ") for note in section["notes"]]
        lines += [fill(note, min(116, across), **_indents(2, 4)) for note in notes]
    return "\n".join(lines)


def _aligned(rows: list[tuple[str, str, str, str]], across: int) -> Iterator[str]:
    """Yield lines with name, value, unit and meaning; a meaning too long goes on the next line."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for *cells, about in rows:
        left = "".join(f"  {cell:<{w}}" for cell, w in zip(cells, widths, strict=True)) + "  "
        if len(left + about) <= across:
            yield (left + about).rstrip()
        else:
            yield left.rstrip()
            yield fill(about, across, **_indents(6, 6))


def _header(protocol: Mapping[str, Any]) -> str:
    parts = [
        f"{protocol['source']}, {protocol['images']} test images",
        f"treatment {protocol['treatment']}",
        f"likelihood {protocol['likelihood']}",
        f"K = {protocol['importance_samples']:,} importance weights per image",
        *([f"seed {protocol['seed']}"] if protocol["seed"] else []),
    ]
    return fill(", ".join(parts), WIDTH, **_indents(0, 2))


def _indents(first: int, others: int) -> dict[str, Any]:
    return {"initial_indent": " " * first, "subsequent_indent": " " * others}


def _rows(key: str, value: Any, metric: Metric) -> list[tuple[str, str, str, str]]:
    """Return rows of name, value, unit and meaning; a dictionary has a row for each entry."""
    name = key.replace("_", " ")
    if not isinstance(value, dict):
        return [(name, _cell(value), metric.unit, metric.about)]
    entries = [(f"  {key}", _cell(one), "", "") for key, one in value.items()]
    return [(name, "", metric.unit, metric.about), *entries]


def _cell(value: Any) -> str:
    """Return a value as short text; for a list the smallest and the largest number."""
    match value:
        case Estimate():
            return str(value)
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case list():
            there = [one for one in value if isinstance(one, int | float)]
            return f"{_cell(min(there))} to {_cell(max(there))}" if there else ""
        case _:
            return str(value)
