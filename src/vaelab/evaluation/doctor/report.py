"""Findings as text, in English or in Portuguese."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from vaelab.evaluation.doctor.finding import Finding
from vaelab.evaluation.doctor.rules import RULES
from vaelab.language import Lang, text


def report(findings: Sequence[Finding], folder: str | Path = "RUN", lang: Lang = "en") -> str:
    """Return the findings on the run in `folder` as text.

    The text has a verdict, faults (the most severe first), remarks, and a list of the other rules.
    """
    faults, remarks, fine, follow = (
        [f for f in findings if f.verdict == wanted]
        for wanted in ("fault", "remark", "fine", "follows")
    )
    # A run whose training length was not judged is not called healthy.
    judged = any(finding.rule == "too few epochs" for finding in fine)
    none = "the run is healthy" if judged else "no fault"
    verdicts = {0: "no fault, but remarks" if remarks else none, 1: "one fault"}
    lines = [text("doctor", verdicts.get(len(faults), "faults"), lang, count=len(faults))]
    for finding in faults + remarks:
        title = text("doctor", f"title of a {finding.verdict}", lang, rule=finding.name(lang))
        lines += ["", title, _indented(finding.text(lang))]
        if remedy := finding.tries(lang):
            lines += [_indented(text("doctor", "try", lang, remedy=remedy))]
    if any(re.search(r"--[a-z]+\.", finding.remedy) for finding in faults + remarks):
        recipe = Path(folder) / "recipe.toml"
        lines += ["", text("doctor", "how to try a setting", lang, recipe=recipe)]
    silent = RULES.keys() - {finding.rule for finding in findings}
    others = {
        "rules without a problem": [finding.rule for finding in fine],
        "rules not judged": [rule for rule in RULES if rule in silent],
        "rules that follow": [finding.rule for finding in follow],
    }
    lines += [""]
    for key, rules in others.items():
        names = ", ".join(text("doctor", rule, lang) for rule in rules)
        lines += [text("doctor", key, lang, rules=names)] if rules else []
    return "\n".join(lines)


def _indented(paragraph: str) -> str:
    return textwrap.fill(
        paragraph, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
