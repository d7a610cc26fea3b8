"""An evaluation as text: a summary of about ten lines, and a table of all metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import Any

from vaelab.evaluation.meanings import about, unit
from vaelab.evaluation.metrics.estimates import Estimate, number
from vaelab.evaluation.sections import METRICS
from vaelab.language import Lang, local, of_rows
from vaelab.language import text as said

NOTES = 3  # the most notes of a section in the summary
WIDTH = 80  # columns of the summary

Sections = Mapping[str, Mapping[str, Any]]

# Lines of the summary: title -> metric -> label before its value; language/summary.toml has both.
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
    "synthetic rows": {"rows.closer": "closer", "rows.copies": "copies",
                       "rows.copies_real": "of held-out rows", "rows.valid": "valid"},
    "columns, pairs": {"rows.kolmogorov_smirnov": "KS", "rows.total_variation": "variation",
                             "rows.associations": "associations"},
    "classifier test": {"rows.classifier_auc": "AUC", "rows.classifier_auc_real": "training rows"},
    "disentanglement": {"disentangling.mig": "MIG", "disentangling.dci_disentanglement": "DCI",
                        "disentangling.factor_vae_score": "FactorVAE"},
}  # fmt: skip
SHORT = {"nats per image": "nats", "share": "", "bits": "bits/dim", "squared values": ""}


def summary(protocol: Mapping[str, Any], sections: Sections, lang: Lang = "en") -> str:
    """Return about ten lines: the main metrics with standard errors and units, and notes."""
    lines = [header(protocol, lang)]
    widest = max(len(said("summary", title, lang)) for title in LINES)
    for title, keys in LINES.items():
        parts = [part for key, word in keys.items() if (part := _part(key, word, sections, lang))]
        if parts:
            line = f"{said('summary', title, lang):<{widest}}  {', '.join(parts)}"
            lines.append(fill(line, WIDTH, **_indents(2, widest + 4)))
    for section in sections.values():
        notes = [note for note in section["notes"] if _matters(note)]
        lines += _noted(notes[:NOTES], WIDTH, lang, is_table(protocol))
    return "\n".join(lines)


def _part(key: str, word: str, sections: Sections, lang: Lang) -> str:
    section, _, name = key.partition(".")
    found = number(sections.get(section, {}).get(name))
    if found is None:
        return ""
    label = word and said("summary", word, lang)
    end = SHORT.get(METRICS[section][name].unit, unit(section, name, lang))
    return " ".join(part for part in (label, found.written(lang), end) if part)


def _matters(note: str) -> bool:
    """Return whether a note warns about a metric, rather than saying that one does not apply."""
    return not any(phrase in note for phrase in ("not measured", "left out", "not applicable"))


def table(protocol: Mapping[str, Any], sections: Sections, lang: Lang = "en") -> str:
    """Return one line for each metric with its unit and meaning, and the notes, by section."""
    across = max(WIDTH, get_terminal_size((100, 24)).columns)
    lines = [header(protocol, lang)]
    for name, section in sections.items():
        there = [key for key in METRICS[name] if key in section]
        table = is_table(protocol)
        rows = [row for key in there for row in _rows(name, key, section[key], lang, table)]
        lines += ["", said("summary", name, lang), *_aligned(rows, across)]
        lines += _noted(section["notes"], min(116, across), lang, table)
    return "\n".join(lines)


def remarks(sections: Sections, rows: bool = False) -> list[str]:
    """Return the notes that warn about a metric, in English; with `rows`, of rows of a table."""
    notes = [note for section in sections.values() for note in section["notes"] if _matters(note)]
    return [of_rows(note, "en").replace("_", " ") if rows else note for note in notes]


def _noted(notes: Sequence[str], across: int, lang: Lang, rows: bool) -> list[str]:
    """Return the notes, which are stored in English and speak of images."""
    notes = [of_rows(note, "en") for note in notes] if rows else notes
    lines = [said("summary", "note", lang, note=note.replace("_", " ")) for note in notes]
    return [fill(line, across, **_indents(2, 4)) for line in lines]


def _aligned(rows: list[tuple[str, str, str, str]], across: int) -> Iterator[str]:
    """Yield lines with name, value, unit and meaning; a meaning too long goes on the next line."""
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    for *cells, means in rows:
        left = "".join(f"  {cell:<{w}}" for cell, w in zip(cells, widths, strict=True)) + "  "
        if len(left + means) <= across:
            yield (left + means).rstrip()
        else:
            yield left.rstrip()
            yield fill(means, across, **_indents(6, 6))


def header(protocol: Mapping[str, Any], lang: Lang) -> str:
    """Return what was measured, and how, in lines."""
    return fill(described(protocol, lang), WIDTH, **_indents(0, 2))


def described(protocol: Mapping[str, Any], lang: Lang) -> str:
    """Return what was measured, and how, in one line."""
    given = {key: str(value) for key, value in protocol.items()}
    given["k"] = local(f"{protocol['importance_samples']:,}", lang)
    keys = ["all" if given["images"] == "all" else "images", "treatment", "likelihood", "weights"]
    keys += ["seed"] if protocol["seed"] else []
    rows = is_table(protocol)
    parts = [said("summary", f"header.{key}", lang, rows, **given) for key in keys]
    return ", ".join(parts)


def is_table(protocol: Mapping[str, Any]) -> bool:
    """Return whether an evaluation is one of rows of a table, which the texts then speak of."""
    return protocol.get("form") == "table"


def _indents(first: int, others: int) -> dict[str, Any]:
    return {"initial_indent": " " * first, "subsequent_indent": " " * others}


def _rows(
    section: str, key: str, value: Any, lang: Lang, table: bool
) -> list[tuple[str, str, str, str]]:
    """Return rows of name, value, unit and meaning; a dictionary has a row for each entry."""
    ends = unit(section, key, lang, rows=table), about(section, key, lang, rows=table)
    entries = value.items() if isinstance(value, dict) else ()
    own = "" if isinstance(value, dict) else written(value, lang)
    first = key.replace("_", " "), own, *ends
    return [first, *((f"  {entry}", written(one, lang), "", "") for entry, one in entries)]


def written(value: Any, lang: Lang) -> str:
    """Return a value as short text; for a list the smallest and the largest number."""
    match value:
        case Estimate():
            return value.written(lang)
        case int():
            return local(f"{value:,}", lang)
        case float():
            return local(f"{value:.4g}", lang)
        case list():
            ends = [one for one in value if isinstance(one, int | float)]
            if not ends:
                return ""
            least, most = (written(end, lang) for end in (min(ends), max(ends)))
            return said("summary", "range", lang, least=least, most=most)
        case _:
            return str(value)
