"""The doctor: from numbers to plain sentences that say what is wrong with a run and what to try.

A rule is a function from an `Evidence` to a `Finding`, or to None where it does not apply to such a model or what it
needs is missing. RULES is the table of them, the gravest first. Thresholds are constants beside their rule, with reasons.
"""

from vaelab.evaluation.doctor.diagnosis import diagnose
from vaelab.evaluation.doctor.evidence import Evidence, Finding
from vaelab.evaluation.doctor.report import report
from vaelab.evaluation.doctor.rules import RULES

__all__ = ["RULES", "Evidence", "Finding", "diagnose", "report"]
