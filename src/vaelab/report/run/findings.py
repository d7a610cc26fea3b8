"""The doctor's findings, each with the section of the page that shows what it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaelab.evaluation.doctor import Finding, diagnose, others, title, verdict
from vaelab.language import Lang, text
from vaelab.report.run.prepared import PROBED, Prepared

SECTIONS = {  # rule -> the section that shows what it speaks of
    "posterior collapse": "dimensions",
    "warm-up": "curves",
    "beta": "curves",
    "likelihood": "reconstructions",
    "saturated outputs": "reconstructions",
    "holes": "latent",
    "overfitting": "curves",
    "too few epochs": "curves",
    "unused codes": "dimensions",
    "unused dimensions": "dimensions",
    "column scales": "trained",
    "dominant column": "reconstructions",
    "silent columns": "reconstructions",
    "identifiers": "trained",
    "few rows": "curves",
    "redundant columns": "trained",
    "empty cells": "trained",
}
MARK = "\0"  # around the commands of a remedy
NOTHING: dict[str, Any] = {"notes": [], "summary": "", "others": [], "try": ""}


@dataclass(frozen=True)
class Note:
    """A finding as the page shows it."""

    rule: str
    title: str
    verdict: str
    says: str
    remedy: tuple[str, ...]  # prose and commands by turns
    section: str


def findings(prepared: Prepared) -> dict[str, Any]:
    """Judge a run by what is stored, and by the losses of few images where little is.

    The rules that need an evaluation are left out, and named, where there is none: measuring its
    sections would take longer than the rest of the page.
    """
    if not prepared.trained or not prepared.history:
        return NOTHING | {"summary": prepared.t("diagnosis_early")}
    if prepared.unread:
        return NOTHING
    sections = prepared.evaluation.sections if prepared.evaluation else {}
    whole = {"latent", "samples"} <= sections.keys()
    found = (
        diagnose(prepared.run, sections)
        if whole
        else diagnose(prepared.run, sections, images=PROBED)
    )
    notes = [_note(finding, prepared.lang) for finding in found]
    quick = [] if whole else [prepared.t("doctor_quick", count=PROBED)]
    return {
        "notes": sorted(notes, key=lambda note: note.verdict != "fault"),
        "summary": verdict(found, prepared.lang, whole=whole),
        "others": others(found, prepared.lang) + quick,
        "try": text("doctor", "try", prepared.lang),
    }


def _note(finding: Finding, lang: Lang) -> Note:
    says, remedy = finding.text(lang), tuple(finding.tries(lang, MARK).split(MARK))
    section = SECTIONS[finding.rule]
    shown = title(finding, lang) if finding.verdict in ("fault", "remark") else finding.name(lang)
    return Note(finding.rule, shown, finding.verdict, says, remedy, section)
