"""Studies: several runs from one recipe, the same images and order; one table, one picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, contents, flags, outcome, tiny

import vaelab
from vaelab import side_by_side
from vaelab.cli import main
from vaelab.evaluation.latent import neighbours_agree

PICTURES = {"latent.png", "manifold.png", "samples.png"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An autoencoder and a VAE on digits. To look at only."""
    out = tmp_path_factory.mktemp("study") / "out"
    assert main(["train", "vae-vs-ae-2d", "--out", str(out), *flags(TINY)]) == 0
    return out


def test_a_study_is_a_folder_of_runs_with_their_numbers_and_pictures(study: Path) -> None:
    assert json.loads((study / "study.json").read_text()) == ["vae", "ae"]
    assert {path.name for path in (study / "figures").iterdir()} == PICTURES
    numbers = json.loads((study / "side_by_side.json").read_text())
    for name in ("vae", "ae"):
        run = vaelab.load(study / name)
        assert run.finished
        assert numbers[name]["distortion"] == run.results["distortion"]
        assert numbers[name]["parameters"] == run.results["parameters"]
    assert numbers["ae"]["rate"] == 0 < numbers["vae"]["rate"]


def test_the_runs_of_a_study_are_those_the_recipes_give_alone(study: Path, tmp_path: Path) -> None:
    recipe = vaelab.study("vae-vs-ae-2d", TINY)["ae"]
    assert outcome(vaelab.train(recipe, tmp_path / "alone", quiet=True).folder) == outcome(study / "ae")


def test_an_interrupted_study_goes_on_where_it_was(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, real, epochs = tmp_path / "out", vaelab.training.gallery.snapshot, iter(range(4))

    def snapshot(*arguments: Any) -> None:
        real(*arguments)
        if next(epochs, None) is None:  # in the second run
            raise KeyboardInterrupt("here")

    with monkeypatch.context() as patch:
        patch.setattr(vaelab.training.gallery, "snapshot", snapshot)
        assert main(["train", "vae-vs-ae-2d", "--out", str(out), *flags(TINY)]) == 130
    assert f"vaelab train --resume {out}" in capsys.readouterr().err
    assert main(["train", "--resume", str(out)]) == 0
    for name in ("vae", "ae"):
        assert outcome(out / name) == outcome(study / name)


def test_distances_find_a_memorised_image_and_a_missing_class(
    digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Samples that are training images lie at 0 from the data; if all are one image, the data lie further from them."""
    run = vaelab.load(digits_run)
    train, _ = vaelab.training.gallery.images(run, "train", None)
    monkeypatch.setattr(run.vae, "sample", lambda n, seed: train[torch.arange(n) % len(train)])
    various = side_by_side._numbers(run)["data_to_samples"][0]
    monkeypatch.setattr(run.vae, "sample", lambda n, seed: train[:1].expand(n, -1, -1))
    numbers = side_by_side._numbers(run)
    assert numbers["samples_to_data"][0] < 1e-5  # rounding of matrix products in double
    assert numbers["data_to_samples"][0] > 1.5 * various


def test_neighbours_agree_on_codes_that_are_the_labels_and_not_on_noise() -> None:
    labels = np.arange(200) % 10
    codes = torch.from_numpy(labels).float()[:, None]
    noise = torch.randn(200, 1)
    assert neighbours_agree(codes, labels, codes, labels) == 1.0
    # Ten classes by chance: 0.1, with a standard error of 0.021 over 200 images.
    assert neighbours_agree(noise, labels, torch.randn(200, 1), labels) < 0.1 + 5 * 0.021


def test_two_given_runs_are_drawn_side_by_side(study: Path, digits_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "both"
    assert main(["figures", str(study / "ae"), str(digits_run), "--out", str(out), "--lang", "pt"]) == 0
    assert {path.name for path in (out / "figures").iterdir()} == PICTURES
    assert set(json.loads((out / "side_by_side.json").read_text())) == {"ae", "run"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", "vae-vs-ae-2d", "--out", "STUDY"], "holds a study already"),
        (["train", "vae-vs-ae-2d", "--out", "RUN"], "holds a run"),
        (["train", "vae-vs-ae-2d", "--out", "RUN", "--overwrite"], "holds a run"),
        (["train", "quickstart", "--out", "STUDY"], "holds files that are no run"),
        (["train", "--resume", "STUDY", "--train.epochs", "9"], "is a study of several runs"),
        (["train", "--resume", "STUDY/.."], "is no run"),
        (["sample", "STUDY"], "it holds the runs ae, vae"),
        (["figures", "STUDY/ae", "RUN"], "add --out"),
        (["figures", "STUDY/ae", "--out", "x"], "leave --out out"),
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


def test_runs_of_different_shapes_are_not_compared(digits_run: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.random.default_rng(0).random((60, 5)))
    flat = vaelab.train(tiny({"data.source": str(tmp_path / "flat.npy")}), tmp_path / "flat", quiet=True)
    with pytest.raises(vaelab.UserError, match="different shapes"):
        vaelab.compare({"flat": flat, "digits": vaelab.load(digits_run)}, tmp_path / "out")


def test_a_study_from_python(tmp_path: Path) -> None:
    runs = vaelab.train_all(vaelab.study("mlp-vs-cnn", TINY | {"model.latent": 3, "train.epochs": 1}), tmp_path / "out")
    assert list(runs) == ["mlp", "cnn"]
    assert runs["cnn"].vae.encode(np.zeros((2, 8, 8))).shape == (2, 3)


def test_pictures_show_every_part_of_sorted_data() -> None:
    assert vaelab.training.gallery.spread(100, 5).tolist() == [0, 25, 50, 74, 99]
    assert vaelab.training.gallery.spread(3, 5).tolist() == [0, 1, 2]


def test_a_damaged_list_of_runs_is_named(study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.json").write_text('["vae", ')
    assert main(["train", "--resume", str(tmp_path)]) == 2
    assert f"{tmp_path / 'study.json'}: is damaged; " in capsys.readouterr().err


def test_runs_of_one_name_are_both_compared_and_need_no_times(digits_run: Path, a_copy: Path, tmp_path: Path) -> None:
    (a_copy / "times.jsonl").unlink()
    assert main(["figures", str(digits_run), str(a_copy), "--out", str(tmp_path / "both")]) == 0
    assert len(json.loads((tmp_path / "both" / "side_by_side.json").read_text())) == 2


def test_other_data_beyond_what_the_likelihood_allows_are_refused(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "beyond.npy", np.full((3, 8, 8), 1.5))
    words = ["encode", str(digits_run), "--data", str(tmp_path / "beyond.npy"), "--out", str(tmp_path / "z.npy")]
    assert main(words) == 2
    assert "bring them to the same scale" in capsys.readouterr().err
