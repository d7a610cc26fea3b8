"""`evaluate` as a whole: what it writes, reads back, keeps after an interruption, and says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import contents, tiny

import vaelab
from vaelab.cli.main import main
from vaelab.errors import UserError
from vaelab.evaluation import annealing, results
from vaelab.evaluation import evaluate as measuring
from vaelab.evaluation.meanings import about
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.results import read
from vaelab.evaluation.sections import METRICS
from vaelab.evaluation.sections import likelihood as likelihood_section
from vaelab.runs import run as runs
from vaelab.workflows.evaluate import evaluate


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Annealing of few steps for few images: how exact it is, is not claimed here."""
    monkeypatch.setattr(annealing, "TEMPERATURES", 3)
    monkeypatch.setattr(likelihood_section, "SECOND", 2)


@pytest.fixture(scope="module")
def measured(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with its evaluation: every section, K = 20."""
    folder = Path(shutil.copytree(digits_run, tmp_path_factory.mktemp("measured") / "run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(annealing, "TEMPERATURES", 3)
        patch.setattr(likelihood_section, "SECOND", 2)
        assert main(["evaluate", str(folder), "--samples", "20"]) == 0
    return folder


@pytest.fixture
def a_measured_copy(measured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(measured, tmp_path / "measured"))


def refuse(*_: object) -> Any:
    raise AssertionError("measured again")


def test_what_is_written_is_what_python_returns_and_reads_back(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, errors and the values of each image are the same in all three places.

    The same weights under the same protocol are not measured twice.
    """
    monkeypatch.setattr(measuring, "measure", refuse)
    found = vaelab.evaluate(measured, samples=20, quiet=True)
    document = json.loads((measured / "evaluation.json").read_text())
    nll = found.sections["likelihood"]["nll"]
    assert isinstance(nll, Estimate)
    assert document["sections"]["likelihood-20"]["nll"] == {"value": nll.value, "error": nll.error}
    with np.load(measured / "evaluation.npz") as columns:
        each = columns["likelihood-20.nll"]
    # A tenth of 1,797 images.
    assert len(each) == len(vaelab.load(measured).vae.encode(np.zeros((180, 8, 8)))) == 180
    assert nll.each is not None
    assert np.array_equal(nll.each, each)
    assert nll.value == pytest.approx(each.mean(), rel=1e-8)
    assert nll.error == pytest.approx(each.std(ddof=1) / 180**0.5, rel=1e-8)
    assert list(found.sections) == list(METRICS)


def test_every_number_is_in_the_table_of_its_section(measured: Path) -> None:
    for name, section in read(vaelab.load(measured)).sections.items():  # type: ignore[union-attr]
        assert section.keys() - {"notes"} <= METRICS[name].keys()
        assert all(isinstance(note, str) for note in section["notes"])


UNITS = {
    "nats",
    "nats per image",
    "bits",
    "share",
    "dB",
    "images",
    "samples",
    "rows",
    "deviations",
    "values",
    "pixel values",
    "squared values",
}


@pytest.mark.parametrize("section", METRICS)
def test_every_number_says_what_it_is_in_a_known_unit_or_none(section: str) -> None:
    for key, metric in METRICS[section].items():
        assert len(about(section, key)) > 5, key
        assert metric.unit in UNITS | {""}, key
        assert metric.better in ("", "lower", "higher"), key
        assert not key.endswith("_real") or (
            key.removesuffix("_real") in METRICS[section] and not metric.better
        ), key


def test_the_printed_table_has_every_number_its_unit_and_its_meaning(
    measured: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert main(["evaluate", str(measured), "--samples", "20", "--all"]) == 0
    printed = capsys.readouterr().out
    found = evaluate(measured, samples=20, quiet=True)
    for name, section in found.sections.items():
        for key in section.keys() - {"notes"}:
            (line,) = [
                line
                for line in printed.splitlines()
                if line.startswith(f"  {key.replace('_', ' ')}  ")
                and line.endswith(about(name, key))
            ]
            assert METRICS[name][key].unit in line
    assert str(found.sections["likelihood"]["nll"]) in printed
    assert "NOT A LIKELIHOOD" in printed  # grey levels under a Bernoulli
    assert str(measured / "evaluation.json") in printed
    monkeypatch.setenv("COLUMNS", "80")
    narrow = found.table()
    assert max(map(len, narrow.splitlines()[1:])) <= 80


def test_an_interruption_loses_the_section_at_work_only(
    a_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure, asked = measuring.measure, []

    def stop(section: str, *rest: Any) -> Any:
        asked.append(section)
        if section == "samples":
            raise KeyboardInterrupt
        return measure(section, *rest)

    monkeypatch.setattr(measuring, "measure", stop)
    assert main(["evaluate", str(a_copy), "--samples", "2", "--images", "20"]) == 130
    assert "what was measured is kept; run the same command again" in capsys.readouterr().err
    assert list(read(vaelab.load(a_copy), 20).sections) == ["likelihood", "latent"]  # type: ignore[union-attr]
    asked.clear()
    monkeypatch.setattr(
        measuring, "measure", lambda section, *_: asked.append(section) or {"notes": []}
    )
    evaluate(a_copy, samples=2, images=20, quiet=True)
    assert asked == ["samples", "rows", "disentangling"]


def test_an_interruption_of_the_importance_weights_keeps_what_annealing_found(
    a_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"images": 20, "sections": ["likelihood"], "quiet": True}

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(likelihood_section, "measure", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate(a_copy, samples=2, **given)
    first = read(vaelab.load(a_copy), 20)
    assert first is not None
    assert not first.sections
    monkeypatch.setattr(likelihood_section, "annealed", refuse)
    for samples in (2, 3):
        numbers = evaluate(a_copy, samples=samples, **given).sections["likelihood"]
        nll, ais = numbers["nll"].each, numbers["ais"].each
        assert (len(nll), len(ais)) == (20, 2)
        assert np.array_equal(numbers["ais_difference"].each, ais - nll[[0, -1]])


def test_another_k_stands_beside_the_first_and_measures_nothing_else_anew(
    a_measured_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an explicit K, the evaluation with the most importance weights counts.

    Sections that do not depend on K stay as they are.
    """
    asked: list[str] = []
    monkeypatch.setattr(
        measuring, "measure", lambda section, *_: asked.append(section) or {"notes": []}
    )
    evaluate(a_measured_copy, samples=7, sections=["latent"], quiet=True)
    assert not asked
    few = evaluate(a_measured_copy, samples=7, quiet=True)
    assert asked == ["likelihood"]  # annealing needs none
    assert set(few.sections) == set(METRICS)
    assert few.protocol["importance_samples"] == 7
    run = vaelab.load(a_measured_copy)
    for samples, k in ((0, 20), (20, 20), (7, 7)):
        found = read(run, samples=samples)
        assert found is not None
        assert found.protocol["importance_samples"] == k
        assert ("nll" in found.sections["likelihood"]) == (k == 20)


def test_an_evaluation_by_fewer_images_stands_beside_the_whole_one(a_measured_copy: Path) -> None:
    before = (a_measured_copy / "evaluation.json").read_bytes()
    found = evaluate(a_measured_copy, samples=2, images=20, sections=["likelihood"], quiet=True)
    assert len(found.sections["likelihood"]["nll"].each) == 20
    assert (a_measured_copy / "evaluation.json").read_bytes() == before
    assert read(vaelab.load(a_measured_copy), 20) is not None


def test_data_that_changed_are_measured_anew(tmp_path: Path, quick: None) -> None:
    """The file has the same name and shape, other images."""
    x = np.random.default_rng(0).integers(0, 256, (300, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    run = vaelab.train(
        tiny({"data.source": str(tmp_path / "x.npy"), "train.epochs": 1}),
        tmp_path / "run",
        quiet=True,
    )
    first = evaluate(run, samples=2, sections=["likelihood"], quiet=True).sections["likelihood"][
        "loss"
    ]
    np.save(tmp_path / "x.npy", 255 - x)
    second = evaluate(run.folder, samples=2, sections=["likelihood"], quiet=True).sections[
        "likelihood"
    ]["loss"]
    assert abs(first.value - second.value) > 1e-3


def test_training_images_that_changed_are_measured_anew(
    a_measured_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbours, classes and the classifier are of training images."""
    run = vaelab.load(a_measured_copy)
    monkeypatch.setattr(measuring, "measure", refuse)
    evaluate(run, samples=20, quiet=True)
    digits = run.data
    other = digits._replace(train=digits.train._replace(x=digits.train.x.flip(-1)))
    run.data = other
    with pytest.raises(AssertionError, match="measured again"):
        evaluate(run, samples=20, quiet=True)


def test_more_images_than_there_are_are_all_of_them(
    a_measured_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(measuring, "measure", refuse)
    for images in ("180", "100000"):
        assert main(["evaluate", str(a_measured_copy), "--samples", "20", "--images", images]) == 0
        printed = capsys.readouterr().out
        assert "digits, all test images" in printed
        assert printed.endswith(f"{a_measured_copy / 'evaluation.json'}\n")


@pytest.mark.parametrize(
    "change", [{"nll": {"value": "x", "error": 0.1}}, {"notes": None}, {"notes": [1]}]
)
def test_a_section_that_was_changed_by_hand_is_none(
    a_measured_copy: Path, change: dict[str, Any]
) -> None:
    path = a_measured_copy / "evaluation.json"
    document = json.loads(path.read_text())
    document["sections"]["likelihood-20"] |= change
    path.write_text(json.dumps(document))
    found = read(vaelab.load(a_measured_copy), samples=20)
    assert found is None or "likelihood" not in found.sections


@pytest.mark.parametrize("change", ["seed", "weights"])
def test_another_protocol_or_other_weights_are_measured_anew(
    change: str, a_measured_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        measuring, "measure", lambda section, *_: asked.append(section) or {"notes": []}
    )
    if change == "weights":
        other = vaelab.train(
            tiny({"train.seed": 5}), a_measured_copy.with_name("other"), quiet=True
        )
        shutil.copy(other.folder / "best.safetensors", a_measured_copy)
        assert read(vaelab.load(a_measured_copy)) is None
    given = {"samples": 20} | ({change: 7} if change != "weights" else {})
    evaluate(a_measured_copy, **given, quiet=True)
    assert asked == [measuring.OPINION, *METRICS]


@pytest.mark.parametrize("name", ["evaluation.json", "evaluation.npz"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_damaged_evaluation_is_no_evaluation(
    name: str, damage: str, a_measured_copy: Path
) -> None:
    path = a_measured_copy / name
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:100] if damage == "truncated" else b"[1, 2]")
    assert read(vaelab.load(a_measured_copy)) is None


def test_measuring_changes_nothing_else_in_the_run(measured: Path, digits_run: Path) -> None:
    before, after = contents(digits_run), contents(measured)
    listed = ".vaelab"  # what vaelab wrote
    assert {name: after[name] for name in before if name != listed} == {
        name: before[name] for name in before if name != listed
    }
    assert after.keys() - before.keys() - {".merging"} == {
        "evaluation.json",
        "evaluation.npz",
        "figures/neighbours.png",
        "figures/nll-by-class.png",
    }


def test_a_new_training_takes_the_old_evaluation_away(a_measured_copy: Path, quick: None) -> None:
    vaelab.train(tiny({"train.epochs": 1}), a_measured_copy, overwrite=True, quiet=True)
    assert not (a_measured_copy / "evaluation.json").exists()
    assert not (a_measured_copy / "evaluation.npz").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--only", "likelyhood"],
            "sections (--only): there is no 'likelyhood'; did you mean 'likelihood'?",
        ),
        (["--samples", "0"], "expected a whole number of at least 1, got '0'"),
        (["--images", "few"], "expected a whole number of at least 1, got 'few'"),
    ],
)
def test_bad_words_are_one_line(
    words: list[str], message: str, digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(digits_run), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_the_doctor_speaks_from_the_command_line(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its words are those of Python's `diagnose`; its rules have tests of their own."""
    assert main(["doctor", str(measured)]) == 0
    printed = capsys.readouterr().out
    for finding in vaelab.diagnose(measured):
        assert (finding.verdict in ("fine", "follows")) != (
            " ".join(finding.says.split()) in " ".join(printed.split())
        )
    assert main(["doctor", str(measured.with_name("nowhere"))]) == 2


def test_evaluation_and_doctor_speak_portuguese(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", str(measured), "--lang", "pt"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "falha" in printed.partition(".")[0]
    for finding in vaelab.diagnose(measured):
        assert finding.name("pt") in printed
        if finding.verdict in ("fault", "remark"):
            assert " ".join(finding.text("pt").split()) in printed
            assert finding.tries("pt") in printed
    assert main(["evaluate", str(measured), "--samples", "20", "--lang", "pt"]) == 0
    summary = capsys.readouterr().out
    found = evaluate(measured, samples=20, quiet=True)
    assert f"nll {found.sections['likelihood']['nll'].written('pt')} nats" in summary
    assert re.search(r"\n  reconstruções +mse 0,\d+ ± ", summary)
    assert main(["evaluate", str(measured), "--samples", "20", "--lang", "pt", "--all"]) == 0
    table = capsys.readouterr().out
    assert "\nespaço latente\n" in table
    assert " nats por imagem " in table
    assert about("latent", "rates", "pt") in table
    assert main(["doctor", str(measured), "--lang", "fr"]) == 2


def test_an_estimate_is_printed_as_far_as_its_error_reaches() -> None:
    assert str(Estimate(86.7612, 0.3049)) == "86.76 ± 0.30"
    assert str(Estimate(1234.5, 87.0)) == "1234 ± 87"
    assert str(Estimate(0.00001234, None)) == "1.234e-05"
    assert str(Estimate(2.0, 0.0)) == "2"


def test_results_under_several_protocols_are_kept_side_by_side(a_measured_copy: Path) -> None:
    """Another seed, other images or another version of vaelab loses no earlier measurement."""
    first = (a_measured_copy / "evaluation.json").read_bytes()
    evaluate(a_measured_copy, seed=1, samples=2, sections=["likelihood"], quiet=True)
    assert (a_measured_copy / "evaluation.json").read_bytes() == first
    assert (a_measured_copy / "evaluation-seed-1.json").exists()
    path = a_measured_copy / "evaluation.json"
    document = json.loads(path.read_text())
    older = document["protocol"] | {"vaelab": "0.0.1"}
    columns, text = results.encoded(older, results.load(path)[1])  # type: ignore[index]
    path.write_bytes(text)
    path.with_suffix(".npz").write_bytes(columns)
    evaluate(a_measured_copy, samples=2, sections=["likelihood"], quiet=True)
    kept = results.load(a_measured_copy / f"evaluation-{results.digest(older)}.json")
    assert kept is not None
    assert kept[0] == older
    assert "likelihood-20" in kept[1]
    newest = read(vaelab.load(a_measured_copy))
    assert newest is not None
    assert set(newest.sections) == set(METRICS)  # the complete one, although it is older


def test_two_processes_that_measure_one_run_both_keep_what_they_measured(a_copy: Path) -> None:
    run = vaelab.load(a_copy)
    under = results.protocol(results.Evaluator(run))
    one, other = results.Results(run, under), results.Results(run, under)
    one.keep({"latent": {"rate": Estimate(1.0), "notes": []}})
    other.keep({"samples": {"mse": Estimate(2.0), "notes": []}})
    assert set(results.Results(run, under).sections) == {"latent", "samples"}


def test_a_run_that_cannot_be_written_is_measured_and_printed(
    a_copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And kept in another folder if one is named."""
    monkeypatch.setattr(results.os, "access", lambda *_: False)
    found = evaluate(a_copy, samples=2, images=20, sections=["likelihood"])
    assert found.path is None
    assert found.sections["likelihood"]["nll"].value
    said = capsys.readouterr().out
    assert "cannot be written" in said
    assert "--out FOLDER" in said
    monkeypatch.undo()
    kept = evaluate(a_copy, samples=2, images=20, sections=["likelihood"], out=tmp_path / "kept")
    assert kept.path == tmp_path / "kept" / "evaluation-20.json"
    assert not (a_copy / "evaluation-20.json").exists()


def test_a_disk_that_is_full_loses_nothing_that_was_measured(
    a_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise UserError("evaluation.npz: cannot be written (No space left on device)")

    monkeypatch.setattr(vaelab.Run, "write", full)
    found = evaluate(a_copy, samples=2, images=20, sections=["latent"])
    assert found.path is None
    assert found.sections["latent"]["rate"].value >= 0
    assert "No space left" in capsys.readouterr().out


def test_the_data_of_a_run_are_read_once(a_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    load = runs.load_data
    monkeypatch.setattr(runs, "load_data", lambda settings: reads.append(1) or load(settings))
    run = vaelab.load(a_copy)
    evaluate(run, samples=2, images=60, quiet=True)
    vaelab.diagnose(run)
    assert len(reads) == 1


def test_the_summary_is_short_and_has_the_numbers_one_acts_on(measured: Path) -> None:
    lines = str(evaluate(measured, samples=20, quiet=True)).splitlines()
    assert len(lines) < 30
    assert max(map(len, lines)) <= 80
    words = " ".join(" ".join(lines).split())
    for part in ("nll", "distortion", "rate", "active units", "Frechet", "precision", "probe"):
        assert part in words
    assert "K = 20 importance weights" in words
