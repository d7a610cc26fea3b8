"""The doctor's findings, each with the section of the page that shows what it speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vaelab.evaluation.doctor import RULES, diagnose
from vaelab.language import Lang
from vaelab.report.prepared import PROBED, Prepared
from vaelab.report.words import said

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
    lang: Lang  # of what it says


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
    notes = [_note(prepared, finding) for finding in found]
    faults = sum(note.verdict == "fault" for note in notes)
    remarks = sum(note.verdict == "remark" for note in notes)
    key = "diagnosis_faults" if faults > 1 else "diagnosis_fault" if faults else "diagnosis_remarks"
    key = key if faults or remarks else "diagnosis_healthy" if whole else "diagnosis_none"
    silent = [name for name in RULES if name not in {note.rule for note in notes}]
    return {
        "notes": sorted(notes, key=lambda note: note.verdict != "fault"),
        "summary": prepared.t(key, count=faults),
        "unjudged": [prepared.t(_key(name)) for name in silent],
        "quick": "" if whole else prepared.t("doctor_quick", count=PROBED),
    }


def _note(prepared: Prepared, finding: Any) -> Note:
    says, remedy, lang = said(finding, prepared.lang)
    title, section = prepared.t(_key(finding.rule)), SECTIONS[finding.rule]
    return Note(finding.rule, title, finding.verdict, says, remedy, section, lang)


def _key(rule: str) -> str:
    return "rule_" + rule.replace(" ", "_").replace("-", "_")
