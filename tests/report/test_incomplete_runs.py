"""Reports of unusual runs: data, weights or evaluations are missing, or pictures are large."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY, flags

import vaelab
from vaelab.cli.main import main
from vaelab.errors import UserError
from vaelab.language import TEXTS
from vaelab.runs import Run


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a table of images, copied to where its data are not."""
    folder = tmp_path_factory.mktemp("moved")
    data = folder / "secret place" / "pictures.npz"
    data.parent.mkdir()
    rng = np.random.default_rng(0)
    np.savez(data, x=rng.integers(0, 256, (80, 8, 8)).astype(np.uint8), y=np.arange(80) % 2)
    settings = TINY | {"data.source": str(data), "train.epochs": 2}
    run = vaelab.train(vaelab.recipe("quickstart", settings), folder / "run", quiet=True)
    data.unlink()
    return run.folder


@pytest.fixture
def run(moved: Path, tmp_path: Path) -> Run:
    return vaelab.load(shutil.copytree(moved, tmp_path / "all" / "run"))


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)">', page)


@pytest.mark.parametrize("lang", ["en", "pt"])
def test_without_the_data_all_else_is_reported(
    run: Run, capsys: pytest.CaptureFixture[str], lang: Any
) -> None:
    (run.folder / "report.html").unlink()
    assert main(["report", str(run.folder), "--lang", lang]) == 0
    out = capsys.readouterr().out
    assert "pictures.npz" in out
    assert "the report lacks all that needs the data" in out
    page = (run.folder / "report.html").read_text("utf-8")
    there = ["numbers", "trained", "curves", "evolution", "stored", "cite", "again"]
    assert sections(page) == there
    assert TEXTS["report"]["unread"][lang] in page
    assert page.count('<figure class="stored">') == 5
    assert "<td>8 × 8</td>" in page
    assert '<table class="layers">' in page
    assert f"{run.results['loss']:.1f}".replace(".", "," if lang == "pt" else ".") in page


def test_the_index_and_the_card_need_no_data(run: Run) -> None:
    page = vaelab.write_report(run.folder.parent).read_text("utf-8")
    assert 'href="./run/report.html"' in page
    assert 'src="data:image/png' in page
    assert f"{run.results['loss']:.2f}" in run._repr_html_()


def test_runs_side_by_side_need_no_data(run: Run, tmp_path: Path) -> None:
    page = vaelab.write_report([run, run.folder], tmp_path / "two.html", quiet=True)
    assert f"{run.results['loss']:.1f}" in page.read_text("utf-8")


def test_a_page_tells_no_folder_of_the_data(run: Run, tmp_path: Path) -> None:
    assert "secret place" in (run.folder / "recipe.toml").read_text("utf-8")
    for what in (run, [run, run]):
        page = vaelab.write_report(what, tmp_path / "page.html", quiet=True).read_text("utf-8")
        assert "secret place" not in page
    assert "pictures.npz" in (run.folder / "report.html").read_text("utf-8")
    assert "secret place" not in (run.folder / "report.html").read_text("utf-8")


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_damaged_evaluation_is_named_with_its_remedy(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    folder = shutil.copytree(digits_run, tmp_path / "my run")
    vaelab.evaluate(folder, samples=2, sections=["likelihood"], quiet=True)
    (folder / f"evaluation{suffix}").write_bytes(b"{")
    capsys.readouterr()
    for command in ("report", "explore --no-open --points 20", "evaluate --only likelihood"):
        name, *options = command.split()
        assert main([name, str(folder), *options]) == 0
        out = capsys.readouterr().out
        note = next(line for line in out.splitlines() if "evaluation.json" in line)
        assert note.startswith("note: ")
        assert f"vaelab evaluate '{folder}'" in note
        if name == "report":
            page = (folder / "report.html").read_text("utf-8")
            assert TEXTS["report"]["damaged"]["en"].format(name="evaluation.json") in page
    assert main(["report", str(folder)]) == 0  # the evaluation was written again
    assert "note: " not in capsys.readouterr().out


def test_the_remedy_for_missing_weights_of_a_finished_run_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my run"
    settings = flags(TINY | {"train.epochs": 1})
    assert main(["train", "quickstart", "--out", str(folder), *settings]) == 0
    weights = (folder / "best.safetensors").read_bytes()
    (folder / "best.safetensors").unlink()
    with pytest.raises(UserError, match="train again: vaelab train") as raised:
        vaelab.load(folder).vae  # noqa: B018
    command = str(raised.value).partition("train again: vaelab ")[2]
    assert main(shlex.split(command)) == 0
    assert (folder / "best.safetensors").read_bytes() == weights
    capsys.readouterr()


def test_an_explorer_is_linked_on_the_report_that_is_there(
    digits_run: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(digits_run, tmp_path / "run")
    hidden, shown = ('<p class="explorer" hidden>', '<p class="explorer">')
    before = (folder / "report.html").read_text("utf-8")
    assert hidden in before
    assert main(["explore", str(folder), "--no-open", "--points", "20"]) == 0
    after = (folder / "report.html").read_text("utf-8")
    assert after == before.replace(hidden, shown)
    assert shown in vaelab.write_report(folder).read_text("utf-8")
    elsewhere = vaelab.write_report(folder, tmp_path / "page.html").read_text("utf-8")
    assert 'class="explorer"' not in elsewhere


def test_an_explorer_changes_no_report_of_someone_else(digits_run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(digits_run, tmp_path / "run")
    listed = (folder / ".vaelab").read_text().replace("report.html\n", "")
    (folder / ".vaelab").write_text(listed)
    mine = '<p class="explorer" hidden>'
    (folder / "report.html").write_text(mine)
    assert main(["explore", str(folder), "--no-open", "--points", "20"]) == 0
    assert (folder / "report.html").read_text() == mine


def test_commands_on_a_page_name_only_the_file_of_the_data(tmp_path: Path) -> None:
    data = tmp_path / "secret place" / "rows.csv"
    data.parent.mkdir()
    with data.open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b"], *([i % 7, i % 5] for i in range(60))])
    settings = {"data.source": str(data), "model.likelihood": "gaussian", "train.epochs": 1}
    recipe = vaelab.recipe("quickstart", TINY | settings | {"data.treatment": "grey"})
    run = vaelab.train(recipe, tmp_path / "run", quiet=True)
    page = (run.folder / "report.html").read_text("utf-8")
    assert "--data.source rows.csv" in page
    assert "secret place" not in page
    assert "command" in run.environment  # with the path of the program, which stays in the run
    assert '"command":' not in page


@pytest.mark.parametrize("latent", [2, 5])
def test_large_pictures_do_not_make_a_large_page(tmp_path: Path, latent: int) -> None:
    """Noise in colour is the worst case, because it cannot be compressed."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (420, 128, 128, 3)).astype(np.uint8)
    np.savez(tmp_path / "noise.npz", x=x)
    settings = TINY | {"data.source": str(tmp_path / "noise.npz"), "train.epochs": 8}
    settings |= {"model.hidden": [2], "model.latent": latent, "model.likelihood": "gaussian"}
    settings |= {"figures.points": 5000, "figures.examples": 20, "figures.samples": 64}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        run = vaelab.train(vaelab.recipe("quickstart", settings), tmp_path / "run", quiet=True)
    page = (run.folder / "report.html").read_text("utf-8")
    assert len(page.encode()) < 5_000_000
    assert re.search(r"its pictures are reduced to \d+ pixels", page)
    assert re.search(r"Epochs shown: [1-7] of 8", page)


def test_pictures_of_digits_are_not_reduced(digits_run: Path) -> None:
    page = (digits_run / "report.html").read_text("utf-8")
    assert not re.search(r"its pictures are reduced to \d|Epochs shown: \d", page)
