"""The doctor's findings in the language of a page: the only place that knows their form."""

from __future__ import annotations

from vaelab.evaluation.doctor import Finding
from vaelab.language import Lang


def said(finding: Finding, lang: Lang) -> tuple[str, str, Lang]:
    """Return what the doctor found, what to try, and the language of both."""
    return finding.says, finding.remedy, "en"
