"""A run without test images is measured on validation images, or without these on its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TINY, flags

from vaelab.cli.main import main


@pytest.mark.parametrize(("validation", "measured"), [(0.1, "validation"), (0.0, "training")])
def test_every_command_takes_such_a_run_and_says_what_it_measures(
    validation: float,
    measured: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vaelab.evaluation.classifier.SHOWN", (2000, 2000))  # taught sooner
    monkeypatch.setattr("vaelab.evaluation.annealing.TEMPERATURES", 5)
    run, other = str(tmp_path / "run"), str(tmp_path / "other")
    settings = {"data.images": 300, "data.test": 0.0, "data.validation": validation}
    words = flags(TINY | settings)
    for folder in (run, other):
        assert main(["train", "quickstart", "--out", folder, *words]) == 0
    said = f"note: without test images the {measured} images are measured"
    assert capsys.readouterr().out.count(said) == 2
    out = str(tmp_path / "comparison")
    for command in (
        ["evaluate", run, "--samples", "5"],
        ["doctor", run],
        ["figures", run],
        ["compare", run, other, "--samples", "5", "--out", out],
    ):
        assert main(command) == 0, command
        found = capsys.readouterr()
        assert found.err == ""
        assert said in found.out, command
