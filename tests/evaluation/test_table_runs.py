"""Runs of tables: what is measured of them, and what the doctor finds in planted ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tiny
from small_tables import holes, planted, trained, write

import vaelab
from vaelab.evaluation import METRICS, read
from vaelab.evaluation.doctor import RULES, Evidence, Finding, diagnose, report
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.sections import latent, rows


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.workflows.report.run_page.write", lambda *_: None)
        patch.setattr("vaelab.devices._idle_cores", lambda: 1.0)
        yield


@pytest.fixture(scope="module")
def run(undrawn: None, tmp_path_factory: pytest.TempPathFactory) -> vaelab.Run:
    return trained(tmp_path_factory.mktemp("planted"), planted(700))


def evidence(run: vaelab.Run) -> Evidence:
    few = Evaluator(run, n_samples=500)
    sections = {"latent": latent.measure(few)}
    return Evidence(run.recipe, run.history, Evaluator(run), sections)


def found(e: Evidence, rule: str) -> Finding:
    finding = RULES[rule](e)
    assert finding is not None
    assert finding.rule == rule
    assert finding.text("pt") != finding.says
    return finding


# --- evaluate -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluation(run: vaelab.Run) -> vaelab.Evaluation:
    return vaelab.evaluate(run, samples=200, quiet=True)


def test_every_section_of_a_table_is_measured_or_says_that_it_does_not_apply(
    evaluation: vaelab.Evaluation,
) -> None:
    assert list(evaluation.sections) == list(METRICS)
    assert set(METRICS["rows"]) <= set(evaluation.sections["rows"])
    for name in ("samples", "disentangling"):
        assert list(evaluation.sections[name]) == ["notes"]
        assert evaluation.sections[name]["notes"]
    for section, values in evaluation.sections.items():
        for key, value in values.items():
            if isinstance(value, Estimate):
                assert np.isfinite(value.value), (section, key)
    text = evaluation.table()
    assert "per row" in text
    assert "image" not in text.replace("not images", "")


def test_other_data_have_no_section_of_rows(undrawn: None, tmp_path: Path) -> None:
    images = vaelab.train(tiny({"train.epochs": 1}), tmp_path / "run", quiet=True)
    found = rows.measure(Evaluator(images))
    assert list(found) == ["notes"]
    assert "not applicable" in found["notes"][0]


def test_three_estimates_of_log_p_agree_where_cells_are_empty(
    evaluation: vaelab.Evaluation,
) -> None:
    """Importance weights, annealing, and a numerical integral over the two latent dimensions."""
    section = evaluation.sections["likelihood"]
    for name in ("ais_difference", "quadrature_difference"):
        assert abs(section[name].value) < max(0.05, 4 * section[name].error), name
    assert section["quadrature_halved"] < 1e-2


def test_synthetic_rows_of_a_good_model_are_like_held_out_ones(
    evaluation: vaelab.Evaluation,
) -> None:
    section = evaluation.sections["rows"]
    assert section["copies"].value == 0
    assert section["closer"].value < 0.05 + 4 * section["closer"].error
    assert section["valid"].value > 0.9
    assert section["classifier_auc"].value < 0.7
    made, real = section["total_variation"], section["total_variation_real"]
    assert made.value - real.value < 4 * np.hypot(made.error, real.error)


def test_a_model_that_copies_its_training_rows_is_caught(
    run: vaelab.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluator = Evaluator(run)
    monkeypatch.setattr(rows, "sampled_rows", lambda e, n: e.x_train[:n])
    section = rows.measure(evaluator)
    assert section["copies"].value == 1
    assert section["closer"].value > 0.5
    assert section["valid"].value == 1
    assert section["classifier_auc"].value == pytest.approx(0.5, abs=0.15)


def test_a_model_without_associations_is_caught_by_pairs_and_not_by_columns(
    run: vaelab.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unrelated(e: Evaluator, n: int) -> torch.Tensor:
        rng = np.random.default_rng(0)
        columns = [column[rng.permutation(len(column))] for column in e.x_train.numpy().T]
        return torch.from_numpy(np.stack(columns, 1)[:n])

    monkeypatch.setattr(rows, "sampled_rows", unrelated)
    section = rows.measure(Evaluator(run))
    lower = section["kolmogorov_smirnov"].value, section["kolmogorov_smirnov_real"].value
    assert lower[0] < 2 * lower[1]
    assert section["associations"].value > 3 * section["associations_real"].value
    assert section["classifier_auc"].value > 0.7


def test_the_columns_and_pairs_are_kept_for_the_report(
    run: vaelab.Run, evaluation: vaelab.Evaluation
) -> None:
    assert evaluation.path
    stored = json.loads(evaluation.path.read_text())["sections"]["rows"]
    assert [column["name"] for column in stored["columns"]] == list(run.schema.names)  # type: ignore[union-attr]
    d = len(run.schema.names)  # type: ignore[union-attr]
    assert {np.shape(matrix) for matrix in stored["pairs"].values()} == {(d, d)}
    again = read(run)
    assert again
    assert again.sections["rows"]["pairs"] == stored["pairs"]


def test_rows_are_measured_the_same_twice(run: vaelab.Run) -> None:
    first, second = (rows.measure(Evaluator(run)) for _ in range(2))
    assert first == second


# --- the doctor -----------------------------------------------------------------------------------


def test_a_column_of_noise_is_silent_and_the_others_are_not(run: vaelab.Run) -> None:
    e = evidence(run)
    finding = found(e, "silent columns")
    assert "'noise'" in finding.says
    assert "'length'" not in finding.says
    assert finding.remedy == "--data.ignore noise"
    assert e.cells
    gains = dict(zip(run.schema.names, e.cells.gains, strict=True))  # type: ignore[union-attr]
    assert gains["length"].value > 0.5
    assert abs(gains["noise"].value) < 0.05


def test_a_plain_table_is_told_nothing_else(run: vaelab.Run) -> None:
    e = evidence(run)
    for rule in ("identifiers", "redundant columns", "empty cells", "few rows"):
        assert found(e, rule).verdict == "fine", rule
    assert found(e, "dominant column").verdict == "fine"
    assert RULES["column scales"](e) is None
    text = report(diagnose(run))
    assert "image" not in text


def test_planted_columns_are_found(undrawn: None, tmp_path: Path) -> None:
    columns = planted(300)
    rng = np.random.default_rng(1)
    columns |= {
        "metres": columns["length"] / 100,
        "serial": np.arange(300) + 1000,
        "rare": holes(rng.normal(size=300).round(2), 0.7, rng),
        "colour_code": np.unique(columns["colour"], return_inverse=True)[1],
    }
    settings: dict[str, Any] = {"data.real": ["serial"], "data.categorical": ["colour_code"]}
    e = evidence(trained(tmp_path, columns, settings | {"train.steps": 20}))
    clear = found(e, "identifiers")
    assert clear.verdict == "fault"
    assert "'serial'" in clear.says
    assert clear.remedy == "--data.ignore serial"
    twice = found(e, "redundant columns")
    assert "'length' – 'metres'" in twice.says
    assert "'colour' – 'colour_code'" in twice.says
    assert "'noise'" not in twice.says
    empty = found(e, "empty cells")
    assert "'rare'" in empty.says
    assert "'width'" not in empty.says


def test_a_sigma_at_the_precision_of_its_numbers_is_a_fault(run: vaelab.Run) -> None:
    e = evidence(vaelab.load(run.folder))
    for block in e.evaluator.vae.decoder.blocks:  # type: ignore[union-attr]
        if hasattr(block, "log_sigma"):
            block.log_sigma.data[0] = -20  # type: ignore[union-attr,operator,index]
    finding = found(e, "dominant column")
    assert finding.verdict == "fault"
    assert "'length'" in finding.says


def test_a_column_that_takes_all_of_the_code_is_named(undrawn: None, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=400).round(3) for name in "abcd"}
    e = evidence(trained(tmp_path, columns, {"model.latent": 1}))
    e.cells  # noqa: B018
    gains = [Estimate(value, 0.01) for value in (3.0, 0.1, 0.1, 0.1)]
    assert e.cells
    e.__dict__["cells"] = e.cells._replace(gains=gains)
    finding = found(e, "dominant column")
    assert finding.verdict == "remark"
    assert "'a'" in finding.says


def test_noise_in_few_rows_is_memorised(undrawn: None, tmp_path: Path) -> None:
    """The kept weights are those of an epoch before the model memorised its rows."""
    rng = np.random.default_rng(0)
    columns = {name: rng.normal(size=80).round(3) for name in "abcdef"}
    run = trained(tmp_path, columns, {"train.steps": 20})
    e = evidence(run)
    assert found(e, "few rows").verdict == "fine"
    last = run.history[-1]
    memorised = {"train": last["train"] | {"loss": last["train"]["loss"] - 5}}
    finding = found(
        dataclasses.replace(e, history=[*run.history[:-1], last | memorised]), "few rows"
    )
    assert finding.verdict == "fault"
    assert "know nothing of one another" in finding.says
    assert "--model.hidden 8" in finding.remedy
    assert "more rows" in finding._replace(rows=True).remedy


def test_columns_of_different_scales_need_more_than_one_sigma(
    undrawn: None, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    columns = {
        "small": (rng.normal(size=200) / 20).round(3),
        "large": (10 * rng.normal(size=200)).round(2),
    }
    plain = {"data.source": str(write(tmp_path / "t.csv", columns)), "train.epochs": 1}
    plain |= {"model.likelihood": "gaussian", "data.treatment": "grey"}
    raw = vaelab.train(tiny(plain), tmp_path / "raw", quiet=True)
    finding = found(evidence(raw), "column scales")
    assert finding.verdict == "fault"
    assert "vaelab train table --data.source" in finding.remedy
    scaled = vaelab.train(tiny(plain | {"data.standardise": True}), tmp_path / "s", quiet=True)
    assert found(evidence(scaled), "column scales").verdict == "fine"
