"""The doctor's findings, each with the section of the page that shows what it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaelab.evaluation.doctor import RULES, Finding, diagnose
from vaelab.language import Lang, text
from vaelab.report.prepared import PROBED, Prepared

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
}


@dataclass(frozen=True)
class Note:
    """A finding as the page shows it."""

    rule: str
    title: str
    verdict: str
    says: str
    remedy: str
    section: str


def findings(prepared: Prepared) -> dict[str, Any]:
    """Judge a run by what is stored, and by the losses of few images where little is.

    The rules that need an evaluation are left out, and named, where there is none: measuring its
    sections would take longer than the rest of the page.
    """
    if not prepared.trained or not prepared.history:
        return {"notes": [], "summary": prepared.t("diagnosis_early"), "unjudged": []}
    sections = prepared.evaluation.sections if prepared.evaluation else {}
    whole = {"latent", "samples"} <= sections.keys()
    found = (
        diagnose(prepared.run, sections)
        if whole
        else diagnose(prepared.run, sections, images=PROBED)
    )
    notes = [_note(finding, prepared.lang) for finding in found]
    faults = sum(note.verdict == "fault" for note in notes)
    remarks = sum(note.verdict == "remark" for note in notes)
    key = "diagnosis_faults" if faults > 1 else "diagnosis_fault" if faults else "diagnosis_remarks"
    key = key if faults or remarks else "diagnosis_healthy" if whole else "diagnosis_none"
    silent = [name for name in RULES if name not in {note.rule for note in notes}]
    return {
        "notes": sorted(notes, key=lambda note: note.verdict != "fault"),
        "summary": prepared.t(key, count=faults),
        "unjudged": [text("doctor", name, prepared.lang) for name in silent],
        "quick": "" if whole else prepared.t("doctor_quick", count=PROBED),
    }


def _note(finding: Finding, lang: Lang) -> Note:
    says, remedy = finding.text(lang), finding.tries(lang)
    section = SECTIONS[finding.rule]
    return Note(finding.rule, finding.name(lang), finding.verdict, says, remedy, section)
