"""Findings as text, in English or in Portuguese."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from vaelab.evaluation.doctor.finding import Finding
from vaelab.evaluation.doctor.rules import RULES, TABLES
from vaelab.language import Lang, text


def report(findings: Sequence[Finding], folder: str | Path = "RUN", lang: Lang = "en") -> str:
    """Return the findings on the run in `folder` as text.

    The text has a verdict, faults (the most severe first), remarks, and a list of the other rules.
    """
    faults, remarks = (_of(findings, wanted) for wanted in ("fault", "remark"))
    lines = [verdict(findings, lang)]
    for finding in faults + remarks:
        lines += ["", title(finding, lang), _indented(finding.text(lang))]
        if remedy := finding.tries(lang):
            lines += [_indented(f"{text('doctor', 'try', lang)} {remedy}")]
    if any(re.search(r"--[a-z]+\.", finding.remedy) for finding in faults + remarks):
        recipe = Path(folder) / "recipe.toml"
        lines += ["", text("doctor", "how to try a setting", lang, recipe=recipe)]
    return "\n".join([*lines, "", *others(findings, lang)])


def verdict(findings: Sequence[Finding], lang: Lang, *, whole: bool = True) -> str:
    """Return the number of faults as a sentence; only a run that was judged whole is healthy."""
    faults, remarks = (_of(findings, wanted) for wanted in ("fault", "remark"))
    # A run whose training length was not judged is not called healthy.
    judged = whole and any(finding.rule == "too few epochs" for finding in _of(findings, "fine"))
    none = "the run is healthy" if judged else "no fault"
    verdicts = {0: "no fault, but remarks" if remarks else none, 1: "one fault"}
    return text("doctor", verdicts.get(len(faults), "faults"), lang, count=len(faults))


def title(finding: Finding, lang: Lang) -> str:
    """Return what a fault or a remark is called."""
    return text("doctor", f"title of a {finding.verdict}", lang, rule=finding.name(lang))


def others(findings: Sequence[Finding], lang: Lang) -> list[str]:
    """Return a sentence each on the rules that found nothing, are not judged, or follow."""
    silent = RULES.keys() - {finding.rule for finding in findings}
    if not any(finding.rows for finding in findings):
        silent -= TABLES
    groups = {
        "rules without a problem": [finding.rule for finding in _of(findings, "fine")],
        "rules not judged": [rule for rule in RULES if rule in silent],
        "rules that follow": [finding.rule for finding in _of(findings, "follows")],
    }
    return [
        text("doctor", key, lang, rules=", ".join(text("doctor", rule, lang) for rule in rules))
        for key, rules in groups.items()
        if rules
    ]


def _of(findings: Sequence[Finding], wanted: str) -> list[Finding]:
    return [finding for finding in findings if finding.verdict == wanted]


def _indented(paragraph: str) -> str:
    return textwrap.fill(
        paragraph, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
