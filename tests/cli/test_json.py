"""--json: stdout is one JSON document in strict JSON, with the keys that the help declares."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, flags, least

import vaelab
from vaelab.cli.main import COMMANDS, main
from vaelab.cli.output import strict

Answer = Callable[..., dict[str, Any]]
FEW = ["--images", "30", "--samples", "3"]
ONE = [*flags(TINY), "--train.epochs=1"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, digits_run: Path) -> Path:
    """A folder with a run of images, a run of a table, and tables."""
    folder = tmp_path_factory.mktemp("json")
    for name in ("a", "b"):
        shutil.copytree(digits_run, folder / name)
    shutil.copytree(digits_run, folder / "swept" / "seed-42")  # so there is nothing left to train
    (folder / "swept" / "study.json").write_text('["seed-42"]')
    (folder / "swept" / ".vaelab").write_text("study.json\n")
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.3f},{rng.normal():.3f},{'xy'[i % 2]}" for i in range(80)]
    (folder / "table.csv").write_text("\n".join(["one,two,three", *lines]))
    (folder / "holes.csv").write_text("one,two,three\n0.1,,x\n,0.2,y\n")
    words = [str(folder / "table.csv"), "--out", str(folder / "table"), "--train.epochs=1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.workflows.train.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.workflows.train.write_finished", lambda *_: None)
        assert main(["train", *words, "--model.hidden=8", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, ...], dict[str, Any]]:
    """The documents of the commands that have run."""
    return {}


@pytest.fixture
def answer(
    place: Path,
    known: dict[tuple[str, ...], dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    quick: None,
) -> Answer:
    """Run a command once with --json in the folder; its document."""

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        if code == 0 and words in known:
            return known[words]
        monkeypatch.chdir(place)
        assert main([*words, "--json"]) == code
        out, err = capsys.readouterr()

        def refused(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        found = json.loads(out, parse_constant=refused)
        assert isinstance(found, dict)
        assert out.isascii()
        assert "Traceback" not in err
        if code == 0:
            known[words] = found
        return found

    return run


WORDS = {
    "sweep": ["sweep", "quickstart", "--seeds", "1", "--out", "swept", *flags(TINY)],
    "train": ["train", "quickstart", "--out", "trained", "--overwrite", *ONE],
    "pack": ["pack", "table.csv", "table.pack", "--overwrite"],
    "fit-prior": ["fit-prior", "a", "--components", "2", "--out", "fitted", "--overwrite"],
    "evaluate": ["evaluate", "a", "--only", "likelihood", *FEW],
    "doctor": ["doctor", "a"],
    "compare": ["compare", "a", "b", "--out", "compared", *FEW],
    "codes": ["codes", "a", "--images", "20", "--out", "codes.json"],
    "score": ["score", "table", "table.csv", "--samples", "3"],
    "impute": ["impute", "table", "holes.csv", "--out", "filled.csv", "--samples", "3"],
    "sample": ["sample", "a", "-n", "2", "--out", "s.npy"],
    "reconstruct": ["reconstruct", "a", "-n", "2", "--out", "r.npy"],
    "encode": ["encode", "a", "--out", "z.npy"],
    "figures": ["figures", "a"],
    "export": ["export", "a", "--format", "safetensors"],
    "track": ["track", "a", "--with", "tensorboard"],
    "card": ["card", "a", "card"],
    "report": ["report", "a"],
    "explore": ["explore", "a", "--no-open", "--points", "20"],
    "cite": ["cite", "a"],
    "list": ["list"],
    "info": ["info"],
    "completion": ["completion", "bash"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_answers_with_the_document_that_its_help_declares(
    command: str, answer: Answer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaelab.workflows.posthoc_prior.STEPS", 3)
    monkeypatch.setattr("vaelab.workflows.posthoc_prior.write_finished", lambda *_: None)
    monkeypatch.setattr("vaelab.report.comparison.page.pictures", lambda *_: {})
    found = answer(*WORDS[command])
    assert found.keys() == COMMANDS[command].keys.keys()
    assert all((place / file).exists() for file in found.get("files", ()))


def test_documents_hold_what_the_files_hold(answer: Answer, place: Path) -> None:
    found = answer(*WORDS["evaluate"])
    stored = json.loads((place / found["files"][0]).read_text())
    assert found["protocol"].items() >= stored["protocol"].items()
    assert found["sections"]["likelihood"] == stored["sections"]["likelihood-3"]
    found = answer(*WORDS["compare"])
    assert found["comparison"] == json.loads((place / "compared" / "comparison.json").read_text())
    rows = answer(*WORDS["score"])["rows"]
    assert len(rows) == 80
    assert rows[0].keys() >= {"score", "error", "odd", "surprise of one"}
    assert answer(*WORDS["score"], "--out", "scores.csv")["rows"] is None


def test_a_training_answers_with_its_results_and_a_study_with_its_comparison(
    answer: Answer, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = answer(*WORDS["train"])["runs"]
    assert run["results"] == json.loads((place / "trained" / "results.json").read_text())
    monkeypatch.setattr(vaelab, "compare", lambda *_, **__: "compared", raising=False)
    together = {"comparison": {"numbers": [1]}, "files": []}
    monkeypatch.setattr("vaelab.cli.train.compared", {"compared": together}.get)
    study = ["train", "vae-vs-ae-2d", "--out", "study", "--overwrite", "--data.source=digits"]
    found = answer(*study, "--model.hidden=8", "--train.epochs=1", "--data.images=100")
    assert [run["run"] for run in found["runs"]] == ["study/vae", "study/ae"]
    assert found.items() >= together.items()


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "nowhere"],
        ["evaluate", "a", "--samples", "none"],
        ["evaluate", "a", "--unknown"],
        ["unknown"],
        ["help", "unknown"],
        ["train", "quickstart", "--train.epochs=x"],
    ],
)
def test_an_error_is_a_document_too(words: list[str], answer: Answer) -> None:
    found = answer(*words, code=2)
    assert found.keys() == {"error"}
    assert "\n" not in found["error"]


def test_an_interruption_is_a_document_too(answer: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: object) -> dict[str, Any]:
        raise KeyboardInterrupt("half is saved")

    monkeypatch.setitem(COMMANDS, "list", COMMANDS["list"]._replace(run=interrupted))
    assert answer("list", code=130) == {"error": "interrupted; half is saved"}


def test_what_the_command_says_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "models"]) == 0
    said = capsys.readouterr().out
    assert main(["list", "--json", "models"]) == 0
    found = capsys.readouterr()
    assert found.err == said
    assert json.loads(found.out)["lists"]["models"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_the_option(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--json" in [option.name for option in COMMANDS[command].options]
    monkeypatch.setitem(COMMANDS, command, COMMANDS[command]._replace(run=lambda _: {}))
    assert main([*least(command), "--json"]) == 0


def test_numbers_that_json_lacks_are_null() -> None:
    found = strict({"a": float("nan"), "b": np.array([1.5, np.inf]), "c": np.int64(3)})
    assert found == {"a": None, "b": [1.5, None], "c": 3}
