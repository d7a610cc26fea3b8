"""The meanings of metrics and the doctor's findings, in the language of a page.

These two functions are the only place that knows where those texts come from.
"""

from __future__ import annotations

from vaelab.evaluation import METRICS
from vaelab.evaluation.doctor import Finding
from vaelab.language import Lang


def meaning(section: str, key: str, lang: Lang) -> tuple[str, Lang]:
    """Return what a metric means, in one line, and the language of that line."""
    return METRICS[section][key].about, "en"


def said(finding: Finding, lang: Lang) -> tuple[str, str, Lang]:
    """Return what the doctor found, what to try, and the language of both."""
    return finding.says, finding.remedy, "en"
