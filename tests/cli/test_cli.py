"""The command line, mostly in separate processes: what a user types, and the files it leaves."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import (
    BARE,
    ENVIRONMENT,
    SCRIPT,
    TINY,
    Command,
    contents,
    flags,
    least,
    outcome,
    script,
    tiny,
    wait_until,
)
from PIL import Image

import vaelab
from vaelab.cli.arguments import split_settings
from vaelab.cli.main import COMMANDS, main
from vaelab.data import mnist
from vaelab.data.dataset import Arrays
from vaelab.recipes import Data
from vaelab.workflows.given import given

Start = Callable[..., Command]


def said(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """What a command prints that goes well."""
    assert main([*map(str, words)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


# --- in one process of several ----------------------------------------------------------------


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"train"}))
def test_a_command_that_several_processes_would_repeat_is_refused(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "LOCAL_RANK"):
        monkeypatch.setenv(name, "1")
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.setenv(name, "2")
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    assert main(least(command)) == 2
    assert capsys.readouterr().err == (
        f"vaelab: {command}: torchrun started 2 processes, and each would do all of it; start it "
        "without torchrun\n"
    )


# --- help and lists -------------------------------------------------------------------------------


def test_the_module_is_the_command_line_too(tmp_path: Path) -> None:
    asked = [sys.executable, "-m", "vaelab", "evaluate", str(tmp_path / "nowhere")]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("vaelab: ")
    assert done.stderr.count("\n") == 1


def test_help_has_an_example_of_everything_and_the_version_is_one_line() -> None:
    out = script("--help").out
    for command in ("train", "list", "sample", "reconstruct", "encode", "figures", "--resume"):
        assert command in out
    assert script("--version") == (0, f"vaelab {vaelab.__version__}\n", "")


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--help"],
        ["train", "quickstart", "--out", "run", *flags(TINY)],
    ],
    ids=["help", "training"],
)
def test_a_reader_that_closes_the_pipe_gets_no_traceback(words: list[str], tmp_path: Path) -> None:
    with subprocess.Popen(
        [SCRIPT, *words],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as command:
        assert command.stdout
        assert command.stderr
        command.stdout.close()
        err = command.stderr.read()
    assert "Traceback" not in err


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "settings", "others"),
    [
        (["a", "--train.epochs", "3"], {"train.epochs": "3"}, ["a"]),
        (["--train.epochs=3", "a"], {"train.epochs": "3"}, ["a"]),
        (["--train.learning-rate=3"], {"train.learning_rate": "3"}, []),
        (["--data.source", "-x", "b"], {"data.source": "-x"}, ["b"]),
        (["--data.source=a=b"], {"data.source": "a=b"}, []),
        (["--data.source="], {"data.source": ""}, []),
        (["--model.batch_norm", "a"], {"model.batch_norm": "true"}, ["a"]),
        (["--model.batch_norm", "false", "a"], {"model.batch_norm": "false"}, ["a"]),
        (["--model.batch-norm"], {"model.batch_norm": "true"}, []),
        (["--train.epochs", "3", "--train.epochs", "4"], {"train.epochs": "4"}, []),
        (["--out", "runs/a.b", "--overwrite"], {}, ["--out", "runs/a.b", "--overwrite"]),
        (["--out=runs/a.b"], {}, ["--out=runs/a.b"]),
        (["x", "-n", "3"], {}, ["x", "-n", "3"]),
    ],
)
def test_settings_are_told_from_other_words(
    words: list[str], settings: dict[str, str], others: list[str]
) -> None:
    assert split_settings(words) == (settings, others)


def test_settings_reach_the_run_however_they_are_written(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    base = flags(TINY)
    said(
        capsys,
        "train",
        "quickstart",
        "--out",
        "a",
        *base,
        "--model.batch_norm",
        "--model.hidden=9,8",
        "--lang",
        "pt",
    )
    said(capsys, "train", "--model.hidden", "9,8", "--figures.lang=pt", "--out=b", "quickstart",
         *(word for word in base if "hidden" not in word), "--model.batch-norm=true")  # fmt: skip
    recipe = vaelab.load("a").recipe
    assert recipe == vaelab.load("b").recipe
    assert recipe == tiny({"model.batch_norm": True, "model.hidden": [9, 8], "figures.lang": "pt"})


# --- a run from the beginning to its uses ---------------------------------------------------------


def test_training_on_digits_leaves_a_finished_run_and_says_where(tmp_path: Path) -> None:
    done = script("train", "quickstart", *flags(TINY), cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "run folder: runs/quickstart"
    assert "shape 8x8, with labels; 1,455 train, 162 validation, 180 test" in done.out
    run = vaelab.load(tmp_path / "runs" / "quickstart")
    assert len(run.history) == 3
    assert run.results["images"] == 180
    pictures = {
        str(p.relative_to(run.folder / "figures")) for p in (run.folder / "figures").rglob("*.*")
    }
    pages = {
        *("class-means", "data", "dimensions", "interpolation", "kl", "latent", "loss-by-class"),
        *("losses", "manifold", "overview", "reconstructions", "samples", "spread"),
    }
    frames = {f"epochs/000{epoch}.png" for epoch in (1, 2, 3)}
    assert pictures == {f"{page}.png" for page in pages} | frames | {"progress.gif"}
    for name in pictures:
        with Image.open(run.folder / "figures" / name) as image:
            image.verify()
    assert (run.folder / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_samples_are_a_picture_or_numbers(
    a_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vae = vaelab.load(a_copy).vae
    assert said(capsys, "sample", a_copy, "-n", 64).strip() == str(a_copy / "samples.png")
    with Image.open(a_copy / "samples.png") as image:
        assert image.format == "PNG"
        image.load()
    for suffix in ("npy", "csv", "png"):
        out = tmp_path / "deep" / f"x.{suffix}"
        assert said(capsys, "sample", a_copy, "-n", 5, "--seed", 7, "--out", out).strip() == str(
            out
        )
    x = np.load(tmp_path / "deep" / "x.npy")
    assert np.array_equal(x, vae.sample(5, seed=7).numpy())
    assert x.shape == (5, 8, 8)
    assert not np.array_equal(x, vae.sample(5, seed=8).numpy())
    table = np.loadtxt(tmp_path / "deep" / "x.csv", delimiter=",")
    assert np.allclose(table.reshape(5, 8, 8), x, rtol=1e-6)


def test_reconstructions_are_a_picture_or_numbers(
    a_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = vaelab.load(a_copy)
    said(capsys, "reconstruct", a_copy)
    with Image.open(a_copy / "reconstructions.png") as image:
        image.verify()
    for split in ("train", "validation", "test"):
        said(capsys, "reconstruct", a_copy, "-n", 4, "--split", split, "--out", tmp_path / "y.npy")
        x = given(run, None, split).x
        assert np.array_equal(np.load(tmp_path / "y.npy"), run.vae.reconstruct(x[:4]).numpy())


def test_encoding_is_what_encode_gives_bit_for_bit_every_time(
    digits_run: Path, tmp_path: Path
) -> None:
    for name in ("a.npy", "b.npy", "z.npz", "z.csv"):
        if name == "a.npy":
            assert script("encode", digits_run, "--out", tmp_path / name).code == 0
        else:
            assert main(["encode", str(digits_run), "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    run = vaelab.load(digits_run)
    x, y, *_ = given(run, None, "test")
    z = run.vae.encode(x).numpy()
    assert np.array_equal(np.load(tmp_path / "a.npy"), z)
    with np.load(tmp_path / "z.npz") as found:
        assert np.array_equal(found["z"], z)
        assert np.array_equal(found["y"], y)
    lines = (tmp_path / "z.csv").read_text("utf-8").splitlines()
    assert lines[0] == "label,z1,z2"
    found = np.loadtxt(lines[1:], delimiter=",")
    assert np.array_equal(found[:, 0], y)
    assert np.allclose(found[:, 1:], z, rtol=1e-6)


def test_other_data_is_encoded_whole_and_in_its_order(digits_run: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((31, 8, 8), np.float32)
    np.save(tmp_path / "x.npy", x)
    for command, result in (("encode", "encode"), ("reconstruct", "reconstruct")):
        out = tmp_path / f"{command}.npy"
        extra = ["-n", "31"] if command == "reconstruct" else []
        assert (
            main(
                [
                    command,
                    str(digits_run),
                    "--data",
                    str(tmp_path / "x.npy"),
                    "--out",
                    str(out),
                    *extra,
                ]
            )
            == 0
        )
        assert np.array_equal(np.load(out), getattr(vaelab.load(digits_run).vae, result)(x).numpy())


def test_commands_that_look_at_a_run_leave_its_files_alone(a_copy: Path, tmp_path: Path) -> None:
    before = contents(a_copy)
    for words in (["sample"], ["reconstruct"], ["encode"]):
        assert main([*words, str(a_copy), "--out", str(tmp_path / "x.npy")]) == 0
    assert contents(a_copy) == before


def test_figures_can_be_drawn_again_in_portuguese_on_a_linear_grid(
    a_copy: Path, start: Start
) -> None:
    before = contents(a_copy)
    assert start("figures", a_copy).wait().code == 0
    assert contents(a_copy) == before  # the same pictures
    shutil.rmtree(a_copy / "figures" / "epochs")
    done = start(
        "figures", a_copy, "--lang", "pt", "--grid", "linear", "--span", 2, "--points", 20
    ).wait()
    assert (done.code, done.err) == (0, "")
    after = contents(a_copy)
    changed = {Path(name).stem for name in after if after[name] != before[name]}
    assert {"losses", "manifold", "latent", "overview"} <= changed
    assert not {"recipe", "metrics", "best", "last", "results", "environment"} & changed


def test_figures_of_a_run_without_formats_ask_for_one(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vaelab.train(tiny(BARE), tmp_path / "run", quiet=True)
    assert main(["figures", str(tmp_path / "run")]) == 2
    assert "names none; add --format png" in capsys.readouterr().err
    assert main(["figures", str(tmp_path / "run"), "--format", "png"]) == 0


def test_a_file_of_one_s_own_is_found_again_from_anywhere(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    np.save(
        here / "faces.npy", np.random.default_rng(0).integers(0, 256, (90, 5, 5)).astype(np.uint8)
    )
    (here / "mine.toml").write_text(
        '[data]\nsource = "faces.npy"\n[model]\nlatent = 3\nhidden = [8]\n'
    )
    monkeypatch.chdir(here)
    words = ["--train.epochs", "2", "--train.threads", "1"]
    assert main(["train", "mine.toml", *words]) == 0
    monkeypatch.chdir(there)
    run = here / "runs" / "mine"
    assert main(["train", "--resume", str(run), "--train.epochs", "4"]) == 0
    assert main(["encode", str(run), "--out", "z.npy"]) == 0
    assert np.load("z.npy").shape == (9, 3)
    assert len(vaelab.load(run).history) == 4


def test_a_folder_of_data_is_found_again_from_anywhere(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(settings: Data) -> Arrays:
        assert Path(settings.dir, "mnist").is_dir()
        return Arrays(np.random.default_rng(0).integers(0, 256, (50, 4, 4)).astype(np.uint8))

    monkeypatch.setattr(mnist, "load", load)
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = flags(TINY | {"data.source": "mnist", "data.dir": "data"})
    assert main(["train", "quickstart", "--out", "run", *settings]) == 0
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["encode", str(tmp_path / "run"), "--out", "z.npy"]) == 0


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_a_folder_called_as_a_data_set_is_does_not_stand_in_for_it(
    name: str, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).integers(0, 256, (50, 4, 4)).astype(np.uint8)
    monkeypatch.setattr(mnist, "load", lambda settings: Arrays(x))
    assert main(["train", "quickstart", "--out", "run", *flags(TINY | {"data.source": name})]) == 0
    assert vaelab.load("run").recipe.data.source == name


# --- from Python ----------------------------------------------------------------------------------


def test_python_trains_the_run_that_the_command_line_trains(
    digits_run: Path, tmp_path: Path
) -> None:
    code = f"""
import vaelab
recipe = vaelab.recipe("quickstart", {TINY!r})
run = vaelab.train(recipe, quiet=True)
x = run.vae.sample(64)
assert x.shape == (64, 8, 8)
assert run.vae.encode(x).shape == (64, 2)
assert vaelab.load("runs/quickstart").vae.sample(64).equal(x)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert outcome(tmp_path / "runs" / "quickstart") == outcome(digits_run)


def test_an_unfinished_run_can_be_looked_at(
    quick: None, many: Path, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    settings = flags(TINY | {"data.source": many, "train.epochs": 50, "train.batch": 256})
    train = start("train", "quickstart", "--out", folder, *settings)
    wait_until((folder / "last.pt").exists)
    while_it_trains = start("sample", folder, "-n", 3, "--out", tmp_path / "x.npy").wait()
    assert while_it_trains.code == 0, while_it_trains.err
    assert train.kill().code == -signal.SIGKILL
    assert not vaelab.load(folder).finished
    assert vaelab.load(folder).vae.sample(2).shape == (2, 36)
    assert np.load(io.BytesIO((tmp_path / "x.npy").read_bytes())).shape == (3, 36)
    assert all(torch.is_tensor(p) for p in vaelab.load(folder).vae.parameters())
    assert json.loads((folder / "environment.json").read_text())["command"][1:3] == [
        "train",
        "quickstart",
    ]


@pytest.mark.usefixtures("quick")
def test_compare_trains_recipes_with_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vaelab.report.comparison.page.pictures", lambda *_: {})
    brief = flags(TINY | {"train.epochs": 1})
    words = [
        "compare",
        "quickstart",
        "mlp-2d",
        "--seeds",
        "2",
        "--samples",
        "5",
        "--images",
        "60",
        *brief,
    ]
    assert main(words) == 0
    folder = Path("runs/quickstart-vs-mlp-2d-seeds")
    assert "Each recipe was trained with 2 seeds" in capsys.readouterr().out
    assert json.loads((folder / "comparison.json").read_text())["seeds"] == 2
    assert vaelab.load(folder / "mlp-2d" / "seed-1").finished
    assert main([*words, "--model.hidden", "20"]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.usefixtures("quick")
def test_training_a_study_ends_with_its_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vaelab.report.comparison.page.pictures", lambda *_: {})
    assert (
        main(
            [
                "train",
                "vae-vs-ae-2d",
                "--out",
                str(tmp_path / "out"),
                *flags(TINY | {"train.epochs": 1}),
            ]
        )
        == 0
    )
    assert (tmp_path / "out" / "comparison.html").exists()
    assert "ae against vae" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "out" / "ae"), "quickstrat"]) == 2
    assert "did you mean 'quickstart'" in capsys.readouterr().err
