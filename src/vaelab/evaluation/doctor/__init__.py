"""The doctor: rules that diagnose common failures of a run and suggest a fix.

A rule is a function from an `Evidence` to a `Finding`. It returns None where it does not apply to
the model or where its data are missing. `RULES` lists the rules by severity, the most severe first.
Thresholds are constants next to the rule that uses them, with a reason. A rule names its sentences
by their gist; language/findings.toml has them in English and in Portuguese.
"""

from vaelab.evaluation.doctor.diagnosis import diagnose
from vaelab.evaluation.doctor.evidence import Evidence
from vaelab.evaluation.doctor.finding import Finding, Sentence, say
from vaelab.evaluation.doctor.report import others, report, title, verdict
from vaelab.evaluation.doctor.rules import RULES

__all__ = [
    "RULES",
    "Evidence",
    "Finding",
    "Sentence",
    "diagnose",
    "others",
    "report",
    "say",
    "title",
    "verdict",
]
