"""The report of a table shows its synthetic rows beside held-out ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from conftest import tiny

from vaelab.evaluation import Estimate, Evaluation
from vaelab.language import TEXTS, text
from vaelab.report.page import environment
from vaelab.report.run.prepared import Prepared
from vaelab.report.run.synthetic import COLUMNS, synthetic
from vaelab.runs import Run

NAMES = ["length", "<b>colour</b>", "a name of more than sixteen letters"]


def section(names: list[str]) -> dict[str, Any]:
    """What `evaluate` stores of columns of numbers, the second of categories."""
    n, rng = len(names), np.random.default_rng(0)
    numbers = {"kolmogorov_smirnov": 0.25, "kolmogorov_smirnov_real": 0.1}
    numbers |= {"wasserstein": 0.5, "wasserstein_real": 0.25}
    words = {"total_variation": 0.75, "total_variation_real": 0.125}
    matrix = np.clip(rng.normal(size=(n, n)) / 3, -1, 1)
    return {
        "compared": 100,
        "closer": Estimate(0.07, 0.01),
        "columns": [
            {"name": name} | (words if i == 1 else numbers) for i, name in enumerate(names)
        ],
        "pairs": {key: matrix.tolist() for key in ("real", "synthetic", "train")},
        "distances": {key: np.linspace(0, 1, 101).tolist() for key in ("real", "synthetic")},
        "notes": [],
    }


def prepared(sections: dict[str, Any]) -> Prepared:
    found = Prepared(Run(Path("nowhere"), tiny()))
    found.__dict__["evaluation"] = Evaluation({}, sections)
    return found


def shown(found: dict[str, Any]) -> str:
    """The section of the page alone, in English."""
    source = "{% macro notes(section) %}{% endmacro %}{% include 'report/synthetic.html' %}"

    def t(key: str, **values: object) -> str:
        return text("report", key, "en", **values)

    return environment().from_string(source).render(synthetic=found, t=t)


def test_a_run_whose_rows_were_not_measured_has_no_such_section() -> None:
    assert synthetic(prepared({})) is None
    assert synthetic(prepared({"rows": {"notes": ["left out"]}})) is None


def test_each_column_stands_beside_the_level_of_chance() -> None:
    found = synthetic(prepared({"rows": section(NAMES)}))
    assert found
    first, second, _ = found["lines"]
    assert first[1:] == ("kolmogorov_smirnov", "0.250", "0.100", 25.0, 10.0, "0.500", "0.250")
    assert second[1:] == ("total_variation", "0.750", "0.125", 75.0, 12.5, "", "")
    page = shown(found)
    assert "<b>colour" not in page
    assert page.count("<svg") == 3
    assert "7% of the synthetic rows" in page
    assert all(f">{TEXTS['report'][key]['en']}<" in page for key in ("h_associations", "h_closest"))


def test_both_matrices_have_the_same_scale_and_leave_the_diagonal_out() -> None:
    rows = section(["a", "b"])
    rows["pairs"]["real"] = [[1, -0.5], [-0.5, 1]]
    rows["pairs"]["synthetic"] = [[1, 0.04], [0.04, 1]]  # less than half a shade
    found = synthetic(prepared({"rows": rows}))
    assert found
    real, made = found["matrices"]
    assert [(sign, level, path.count("M")) for sign, level, path in real["shades"]] == [
        ("minus", 0.5, 2)
    ]
    assert made["shades"] == []
    assert real["size"] == made["size"]


def test_many_columns_are_left_out_of_the_matrices_and_counted() -> None:
    names = [f"c{i}" for i in range(COLUMNS + 3)]
    found = synthetic(prepared({"rows": section(names)}))
    assert found
    assert len(found["lines"]) == COLUMNS + 3
    assert len(found["matrices"][0]["names"]) == COLUMNS
    assert "The last 3 columns are left out." in shown(found)
