"""The rules, the most severe first, and the consequences of faults."""

from __future__ import annotations

from collections.abc import Callable

from vaelab.evaluation.doctor.codes import collapse, unused_codes, unused_dimensions
from vaelab.evaluation.doctor.evidence import Evidence
from vaelab.evaluation.doctor.finding import Finding
from vaelab.evaluation.doctor.holes import holes
from vaelab.evaluation.doctor.likelihood import likelihood, saturated
from vaelab.evaluation.doctor.objective import effective_beta, warm_up
from vaelab.evaluation.doctor.tables import (
    dominant_column,
    empty_cells,
    few_rows,
    identifiers,
    redundant_columns,
    scales,
    silent_columns,
)
from vaelab.evaluation.doctor.training import overfitting, too_few_epochs

RULES: dict[str, Callable[[Evidence], Finding | None]] = {
    "posterior collapse": collapse,
    "warm-up": warm_up,
    "beta": effective_beta,
    "likelihood": likelihood,
    "saturated outputs": saturated,
    "column scales": scales,
    "dominant column": dominant_column,
    "identifiers": identifiers,
    "holes": holes,
    "few rows": few_rows,
    "overfitting": overfitting,
    "too few epochs": too_few_epochs,
    "unused codes": unused_codes,
    "unused dimensions": unused_dimensions,
    "silent columns": silent_columns,
    "redundant columns": redundant_columns,
    "empty cells": empty_cells,
}
TABLES = frozenset({  # rules that no other data need to hear of
    "column scales", "dominant column", "identifiers", "few rows", "silent columns",
    "redundant columns", "empty cells",
})  # fmt: skip
FOLLOWS = {  # consequences of a fault, which are not reported as faults themselves
    "posterior collapse": ("holes", "unused codes", "unused dimensions", "silent columns"),
    "warm-up": ("beta",),
    "few rows": ("overfitting",),
}
