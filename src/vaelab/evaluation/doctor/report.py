"""Findings as text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from vaelab.evaluation.doctor.evidence import Finding
from vaelab.evaluation.doctor.rules import RULES


def report(findings: Sequence[Finding], folder: str | Path = "RUN") -> str:
    """Return the findings on the run in `folder` as text.

    The text has a verdict, faults (the most severe first), remarks, and a list of the other rules.
    """
    faults, remarks, fine, follow = (
        [f for f in findings if f.verdict == wanted]
        for wanted in ("fault", "remark", "fine", "follows")
    )
    # A run whose training length was not judged is not called healthy.
    judged = any(finding.rule == "too few epochs" for finding in fine)
    none = "No fault was found: this run is healthy." if judged else "No fault was found."
    none = "No fault was found; see the remarks." if remarks else none
    found = {0: none, 1: "One fault was found."}
    lines = [found.get(len(faults), f"{len(faults)} faults were found, the most severe first.")]
    for finding in faults + remarks:
        title = (
            f"fault: {finding.rule}" if finding.verdict == "fault" else f"remark on {finding.rule}:"
        )
        lines += ["", title, _indented(finding.says)]
        lines += [_indented(f"try: {finding.remedy}")] if finding.remedy else []
    if any(re.search(r"--[a-z]+\.", finding.remedy) for finding in faults + remarks):
        lines += [
            "",
            f"To try a setting: vaelab train {Path(folder) / 'recipe.toml'} SETTING --out NEW",
        ]
    silent = [name for name in RULES if name not in {finding.rule for finding in findings}]
    why = "not judged (not applicable, or insufficient data)"
    names = {"no problem found": [finding.rule for finding in fine], why: silent}
    names["consequences of the faults above"] = [finding.rule for finding in follow]
    return "\n".join(
        [*lines, "", *(f"{title}: {', '.join(rules)}" for title, rules in names.items() if rules)]
    )


def _indented(text: str) -> str:
    return textwrap.fill(
        text, 100, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )
