"""Studies: several runs from one recipe, on the same images in the same order; and their files."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, contents, flags, outcome, tiny

import vaelab
from vaelab.cli.main import main
from vaelab.data.dataset import spread
from vaelab.evaluation import results
from vaelab.plots import style
from vaelab.report.comparison import page as comparison_page
from vaelab.workflows.compare import compare
from vaelab.workflows.studies import train_all

PICTURES = {"latent.png", "manifold.png", "reconstructions.png", "samples.png"}


@pytest.fixture(scope="module", autouse=True)
def _coarse() -> Iterator[None]:
    """Pictures of few pixels and second opinions on few images, which are there sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(style.DPI, "column", 40)
        patch.setattr("vaelab.evaluation.sections.likelihood.SECOND", 5)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder and a VAE on digits. To look at only."""
    out = tmp_path_factory.mktemp("study") / "out"
    train_all(vaelab.study("vae-vs-ae-2d", TINY), out, quiet=True)
    return out


@pytest.fixture(scope="module")
def compared(study: Path) -> Path:
    """The same study, evaluated and compared."""
    out = study.with_name("compared")
    shutil.copytree(study, out)
    compare([out], samples=5, quiet=True)
    return out


def test_a_study_is_a_folder_of_runs_with_their_comparison(compared: Path) -> None:
    assert json.loads((compared / "study.json").read_text()) == ["vae", "ae"]
    assert {path.name for path in (compared / "figures").iterdir()} == PICTURES
    assert {path.suffix for path in compared.glob("comparison.*")} == {
        ".md",
        ".csv",
        ".json",
        ".tex",
        ".html",
    }
    cost = json.loads((compared / "comparison.json").read_text())["cost"]
    for name in ("vae", "ae"):
        run = vaelab.load(compared / name)
        assert run.finished
        assert cost[name]["parameters"] == run.results["parameters"]
        assert cost[name]["epochs"] == len(run.history) == 3


def test_the_numbers_of_a_comparison_are_those_of_the_evaluations(compared: Path) -> None:
    """And their differences, recomputed here from the values of each image."""
    found = {name: results.read(vaelab.load(compared / name)) for name in ("vae", "ae")}
    lines = list(csv.DictReader((compared / "comparison.csv").read_text("utf-8").splitlines()))
    seen = set()
    for line in lines:
        if line["section"] == "cost" or not line["value"]:
            continue
        evaluation = found[line["run"]]
        assert evaluation
        value = evaluation.sections[line["section"]][line["number"]]
        assert float(line["value"]) == pytest.approx(
            float(getattr(value, "value", value)), rel=1e-6
        )
        seen.add((line["section"], line["number"]))
        if line["difference"] and getattr(value, "each", None) is not None:
            assert found["vae"]
            first = found["vae"].sections[line["section"]][line["number"]].each
            assert float(line["difference"]) == pytest.approx(
                float((value.each - first).mean()), rel=1e-5, abs=1e-7
            )
            assert float(line["low"]) <= float(line["difference"]) <= float(line["high"])
    assert {
        ("likelihood", "distortion"),
        ("likelihood", "rate"),
        ("latent", "knn_accuracy"),
        ("samples", "mse"),
    } <= seen
    assert ("samples", "nearest_train") in seen  # report 4: how far samples lie from the digits


def test_an_autoencoder_s_loss_is_not_held_against_a_bound(compared: Path) -> None:
    rows = {
        (line["number"], line["run"]): line
        for line in json.loads((compared / "comparison.json").read_text())["numbers"]
    }
    assert "does not bound −log p(x)" in rows["loss", "ae"]["reason"]
    assert rows["loss", "ae"]["verdict"] == ""
    assert rows["mse", "ae"]["verdict"] in ("better", "worse", "no difference shown")


def test_comparing_again_writes_the_same(
    compared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_page, "pictures", lambda *_: {})
    for name in ("one", "other"):
        compare([compared / "vae", compared / "ae"], tmp_path / name, samples=5, quiet=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")


def test_the_runs_of_a_study_are_those_the_recipes_give_alone(study: Path, tmp_path: Path) -> None:
    recipe = vaelab.study("vae-vs-ae-2d", TINY)["ae"]
    assert outcome(vaelab.train(recipe, tmp_path / "alone", quiet=True).folder) == outcome(
        study / "ae"
    )


def test_an_interrupted_study_goes_on_where_it_was(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, real, epochs = tmp_path / "out", vaelab.workflows.train.gallery.snapshot, iter(range(4))
    # The comparison that the command makes afterwards is skipped.
    monkeypatch.setattr("vaelab.workflows.compare.compare", lambda *_, **__: None)
    monkeypatch.setattr("vaelab.cli.train.compared", lambda _: {})

    def snapshot(*arguments: Any) -> None:
        real(*arguments)
        if next(epochs, None) is None:  # in the second run
            raise KeyboardInterrupt("here")

    with monkeypatch.context() as patch:
        patch.setattr(vaelab.workflows.train.gallery, "snapshot", snapshot)
        assert main(["train", "vae-vs-ae-2d", "--out", str(out), *flags(TINY)]) == 130
    assert f"vaelab train --resume {out}" in capsys.readouterr().err
    assert main(["train", "--resume", str(out)]) == 0
    for name in ("vae", "ae"):
        assert outcome(out / name) == outcome(study / name)


def test_two_given_folders_of_one_name_are_compared_and_need_no_times(
    digits_run: Path,
    a_copy: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparison_page, "pictures", lambda *_: {})
    (a_copy / "times.jsonl").unlink()
    # The shared run must not be changed.
    original = shutil.copytree(digits_run, tmp_path / "original" / "run")
    found = compare([str(original), str(a_copy)], tmp_path / "out", samples=5, images=60)
    assert found.names == ["original/run", f"{tmp_path.name}/run"]
    # Both runs have the same weights.
    assert {row.verdicts[1] for row in found.rows if row.intervals[1]} <= {
        "",
        "no difference shown",
    }
    assert str(tmp_path / "out" / "comparison.html") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "vae-vs-ae-2d", "--out", "STUDY"], "holds a study already"),
        (["train", "vae-vs-ae-2d", "--out", "RUN"], "holds a run"),
        (["train", "vae-vs-ae-2d", "--out", "RUN", "--overwrite"], "holds a run"),
        (["train", "quickstart", "--out", "STUDY"], "is not a run that vaelab wrote"),
        (["train", "--resume", "STUDY", "--train.epochs", "9"], "is a study of several runs"),
        (["train", "--resume", "STUDY/.."], "is not a run"),
        (["sample", "STUDY"], "it holds the runs ae, vae"),
    ],
)
def test_misuse_of_a_study_is_one_line_and_changes_nothing(
    words: list[str], says: str, study: Path, digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(study), contents(digits_run)
    words = [word.replace("STUDY", str(study)).replace("RUN", str(digits_run)) for word in words]
    assert main([*words, *(flags(TINY) if "vae-vs-ae-2d" in words else [])]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert (contents(study), contents(digits_run)) == before


def test_a_refused_overwrite_changes_nothing(study: Path, tmp_path: Path) -> None:
    """The second run's folder holds files that no run wrote; the first and study.json stay too."""
    out = Path(shutil.copytree(study, tmp_path / "out"))
    for path in (out / "ae").glob("*.*"):
        path.unlink()
    (out / "ae" / "notes.txt").write_text("mine")
    before = contents(out)
    with pytest.raises(vaelab.UserError, match="ae: is not a run that vaelab wrote"):
        train_all(vaelab.study("vae-vs-ae-2d", TINY), out, overwrite=True, quiet=True)
    assert {name: b for name, b in contents(out).items() if ".lock" not in name} == {
        name: b for name, b in before.items() if ".lock" not in name
    }


def test_data_that_are_no_images_have_only_the_picture_of_their_codes(
    quick: None, tmp_path: Path
) -> None:
    np.save(tmp_path / "flat.npy", np.random.default_rng(0).random((80, 5)))
    recipes = {
        name: tiny({"data.source": str(tmp_path / "flat.npy"), "train.seed": i})
        for i, name in enumerate("ab")
    }
    train_all(recipes, tmp_path / "out", quiet=True)
    compare([tmp_path / "out"], samples=5, quiet=True)
    assert [path.name for path in (tmp_path / "out" / "figures").iterdir()] == ["latent.png"]
    assert "seed: 0 for a, 1 for b" in (tmp_path / "out" / "comparison.md").read_text("utf-8")


def test_a_study_from_python(quick: None, tmp_path: Path) -> None:
    runs = train_all(
        vaelab.study("mlp-vs-cnn", TINY | {"model.latent": 3, "train.epochs": 1}), tmp_path / "out"
    )
    assert list(runs) == ["mlp", "cnn"]
    assert runs["cnn"].vae.encode(np.zeros((2, 8, 8))).shape == (2, 3)


def test_pictures_show_every_part_of_sorted_data() -> None:
    assert spread(100, 5).tolist() == [0, 25, 50, 74, 99]
    assert spread(3, 5).tolist() == [0, 1, 2]


def test_a_damaged_list_of_runs_is_named(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.json").write_text('["vae", ')
    assert main(["train", "--resume", str(tmp_path)]) == 2
    assert f"{tmp_path / 'study.json'}: is damaged; " in capsys.readouterr().err


def test_other_data_beyond_what_the_likelihood_allows_are_refused(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "beyond.npy", np.full((3, 8, 8), 1.5))
    words = [
        "encode",
        str(digits_run),
        "--data",
        str(tmp_path / "beyond.npy"),
        "--out",
        str(tmp_path / "z.npy"),
    ]
    assert main(words) == 2
    assert "bring them to the same scale" in capsys.readouterr().err
