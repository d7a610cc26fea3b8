"""Evaluation of trained models: metrics with units and standard errors, diagnoses, comparisons.

`metrics` are pure functions of arrays. `sections` apply them to a run that an `Evaluator` prepares.
`missing` measures the sections that are not stored yet, and `Results` stores them in files. The
doctor diagnoses a run in sentences, `paired` compares runs, and `intervals` computes confidence
intervals.
"""

from vaelab.evaluation.codes import Codes
from vaelab.evaluation.codes import measured as measured_codes
from vaelab.evaluation.encoding import Section, rounded
from vaelab.evaluation.evaluate import OPINION, missing
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.meanings import Meaning, about, headlines, meaning, unit
from vaelab.evaluation.metrics import Estimate, Metric, mean, number
from vaelab.evaluation.results import (
    WEIGHTS,
    Evaluation,
    Results,
    chosen,
    damage,
    damaged,
    protocol,
    read,
    stored_name,
)
from vaelab.evaluation.sections import METRICS, SECTIONS
from vaelab.evaluation.text import described, remarks

__all__ = [
    "METRICS",
    "OPINION",
    "SECTIONS",
    "WEIGHTS",
    "Codes",
    "Estimate",
    "Evaluation",
    "Evaluator",
    "Meaning",
    "Metric",
    "Results",
    "Section",
    "about",
    "chosen",
    "damage",
    "damaged",
    "described",
    "headlines",
    "mean",
    "meaning",
    "measured_codes",
    "missing",
    "number",
    "protocol",
    "read",
    "remarks",
    "rounded",
    "stored_name",
    "unit",
]
