"""The examples run, with two epochs in place of all."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
# tests/workflows/test_export.py runs the example that needs an exported file.
EXAMPLES = sorted({*FOLDER.glob("*.py")} - {FOLDER / "onnx_pipeline.py"})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_a_table(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [str(path), "2"])
    runpy.run_path(str(path), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 4
    assert not [line for line in lines if line.endswith(("nan", "± nan"))]
