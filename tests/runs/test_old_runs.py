"""Runs that earlier versions wrote open with the current code, and give the numbers of then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from torch import Tensor

import vaelab
from vaelab.cli.main import main
from vaelab.evaluation import read
from vaelab.workflows.given import given

FIXTURES = Path(__file__).parent / "fixtures"
RUNS = sorted(path.name for path in FIXTURES.iterdir() if path.is_dir())


@pytest.fixture
def old(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a run, beside the table that one of them was trained on."""
    shutil.copy(FIXTURES / "visits.csv", tmp_path)
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(FIXTURES / request.param, tmp_path / "run"))


def inputs(run: vaelab.Run) -> Tensor:
    """The rows x of expected.json: the first of the data of a table, else an even ramp."""
    if run.schema is not None:
        return given(run, None).x[:4]
    shape = run.vae.shape
    ramp = torch.linspace(0, 1, 4 * int(np.prod(shape))).reshape(4, *shape)
    return ramp * run.recipe.data.scale


def flat(x: Tensor) -> Any:
    return x.detach().flatten(1).numpy()


@pytest.mark.parametrize("old", RUNS, indirect=True)
def test_an_old_run_opens_and_computes_what_it_computed_then(old: Path) -> None:
    run = vaelab.load(old)
    expected = json.loads((old / "expected.json").read_text())
    x = inputs(run)
    scale = run.recipe.data.scale
    np.testing.assert_allclose(flat(run.vae.encode(x)), expected["codes"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        flat(run.vae.reconstruct(x)), expected["again"], rtol=1e-5, atol=1e-6 * scale
    )
    if "samples" in expected:
        made = run.vae.sample(4, 7, noise=True)
        np.testing.assert_allclose(flat(made), expected["samples"], rtol=1e-5, atol=1e-6)
    assert run.finished
    assert len(run.history) == run.recipe.train.epochs
    assert run.environment["packages"]["vaelab"] == "0.1.0"


@pytest.mark.parametrize("old", ["0.1.0-digits", "0.1-digits", "0.1-table"], indirect=True)
def test_an_old_run_gets_a_report_and_a_card(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["report", str(old)], ["cite", str(old)], ["card", str(old), "card"]):
        assert main(words) == 0
    assert (old / "report.html").stat().st_size > 50_000
    again = vaelab.load("card")
    assert torch.equal(again.vae.decode([[0.0, 1.0]]), vaelab.load(old).vae.decode([[0.0, 1.0]]))


@pytest.mark.parametrize("old", RUNS, indirect=True)
def test_an_old_run_is_exported_with_its_contract(old: Path) -> None:
    path = vaelab.export_model(old, format="safetensors", quiet=True)["weights"]
    with safetensors.safe_open(path, "pt") as file:
        contract = json.loads(file.metadata()["vaelab"])
    run = vaelab.load(old)
    assert contract["data"]["shape"] == [*run.vae.shape]
    assert contract["data"]["class_names"] == [*run.class_names]


@pytest.mark.parametrize("old", ["0.1-table"], indirect=True)
def test_an_old_evaluation_is_still_that_of_the_weights(old: Path) -> None:
    found = read(vaelab.load(old))
    assert found is not None
    assert found.sections["likelihood"]["nll"].value == pytest.approx(8, abs=1)


@pytest.mark.parametrize("old", ["0.1-digits"], indirect=True)
def test_a_run_of_the_last_format_resumes(old: Path, quick: None) -> None:
    run = vaelab.resume(old, {"train.epochs": 3}, quiet=True)
    assert [row["epoch"] for row in run.history] == [1, 2, 3]


@pytest.mark.parametrize("old", ["0.1.0-digits"], indirect=True)
def test_a_run_of_the_first_format_does_not_resume_and_says_so(old: Path) -> None:
    with pytest.raises(vaelab.UserError, match="older vaelab; open it with that version, or train"):
        vaelab.resume(old, {"train.epochs": 9}, quiet=True)


def test_a_contract_without_its_checksum_is_refused(tmp_path: Path) -> None:
    """Only the first format had none."""
    run = Path(shutil.copytree(FIXTURES / "0.1-digits", tmp_path / "run"))
    path = run / "best.safetensors"
    content = path.read_bytes().replace(rb"\"checksum\"", rb"\"checksun\"")
    assert content != path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(vaelab.UserError, match="is damaged"):
        vaelab.load(run).vae  # noqa: B018  # reading it is what is tested
