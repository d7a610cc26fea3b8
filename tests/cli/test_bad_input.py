"""Bad input of any kind gives one line with a remedy, and no file changes."""

from __future__ import annotations

import gzip
import pickle
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import torch
from conftest import TINY, contents, flags, script
from mirror import Server
from PIL import Image

from vaelab.cli.main import main
from vaelab.data import mnist


def idx(values: np.ndarray[Any, Any], magic: int) -> bytes:
    return (
        struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
        + values.astype(np.uint8).tobytes()
    )


@pytest.fixture(scope="session")
def mess(tmp_path_factory: pytest.TempPathFactory, digits_run: Path) -> Path:
    """A folder of everything that can be wrong; nothing that reads it may change it."""
    root = tmp_path_factory.mktemp("mess")
    chance = np.random.default_rng(0)
    x = chance.integers(0, 256, (40, 4, 4)).astype(np.uint8)
    real = chance.random((40, 4, 4), np.float32)

    np.save(root / "good.npy", x)
    whole = (root / "good.npy").read_bytes()
    (root / "cut.npy").write_bytes(whole[:-7])
    (root / "cut_header.npy").write_bytes(whole[:30])
    (root / "empty.npy").touch()
    (root / "noise.npy").write_bytes(chance.bytes(500))
    (root / "text.npz").write_text("1,2,3\n")
    (root / "is_npy.csv").write_bytes(whole)
    np.savez(root / "good.npz", x=x, y=np.arange(40) % 3)
    (root / "cut.npz").write_bytes((root / "good.npz").read_bytes()[:-100])
    np.savez(root / "no_x.npz", images=x)
    np.savez(root / "labels.npz", x=x, y=np.arange(39))
    np.savez(root / "words.npz", x=x, y=np.array(["a", "b"] * 20))
    np.save(root / "objects.npy", np.array([{"a": 1}, None], dtype=object))
    (root / "pickled.npy").write_bytes(pickle.dumps(x))
    for name, value in (("nan", np.nan), ("inf", -np.inf), ("two", 2.0), ("minus", -0.1)):
        real_ = real.copy()
        real_[3, 2, 1] = value
        np.save(root / f"{name}.npy", real_)
    np.save(root / "one.npy", x[:1])
    np.save(root / "none.npy", x[:0])
    np.save(root / "cube.npy", np.zeros((2, 2, 2, 2, 2)))
    np.save(root / "small.npy", x[:, :2])
    np.save(root / "three.npy", x[:3])
    np.save(root / "real.npy", real)
    (root / "ragged.csv").write_text("1,2,3\n4,5\n")
    (root / "words.csv").write_text("1,2\n3,four\n")
    (root / "nothing.csv").touch()
    (root / "notes.txt").write_text("notes")

    for name in (
        "empty",
        "sizes",
        "cut_image",
        "mislabelled_image",
        "idx_cut",
        "idx_magic",
        "idx_swapped",
        "idx_gz",
    ):
        (root / name).mkdir()
    for size in (4, 5):
        Image.new("L", (size, size)).save(root / "sizes" / f"{size}.png")
    Image.fromarray(chance.integers(0, 256, (32, 32)).astype(np.uint8)).save(
        root / "cut_image" / "a.png"
    )
    (root / "cut_image" / "a.png").write_bytes((root / "cut_image" / "a.png").read_bytes()[:300])
    (root / "mislabelled_image" / "a.png").write_bytes(whole)
    images, labels = idx(x, 0x803), idx(np.arange(40), 0x801)
    (root / "idx_cut" / "train-images-idx3-ubyte").write_bytes(images[:-9])
    (root / "idx_magic" / "train-images-idx3-ubyte").write_bytes(b"\x00\x00\x0d" + images[3:])
    (root / "idx_swapped" / "train-images-idx3-ubyte").write_bytes(labels)
    (root / "idx_gz" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images)[:-20])

    (root / "files" / "mnist").mkdir(parents=True)
    for file in mnist.SOURCES["mnist"].files:
        name = file.names[0]
        (root / "files" / "mnist" / name).write_bytes(images if "images" in name else labels)

    (root / "broken.toml").write_text("[train\nepochs = 3\n")
    (root / "unknown.toml").write_text("[train]\nepoch = 3\n")
    (root / "wrong.toml").write_text("[model]\nlatent = 0\n")

    shutil.copytree(digits_run, root / "run")
    for name in ("best.safetensors", "last.pt", "recipe.toml"):
        copy = root / f"without_{name.split('.')[0]}"
        shutil.copytree(digits_run, copy)
        (copy / name).unlink()
        (copy / "results.json").unlink()
        copy = root / f"cut_{name.split('.')[0]}"
        shutil.copytree(digits_run, copy)
        (copy / name).write_bytes((copy / name).read_bytes()[:-20])
        (copy / "results.json").unlink()
    (root / "thesis").mkdir()
    (root / "thesis" / "thesis.tex").write_text("years of work")
    (root / "thesis" / ".lock").touch()  # test_run has what becomes of a folder without one
    return root


def data(source: str, **more: object) -> list[str]:
    """Words to train on that source; settings with __ for the dot."""
    settings = (
        TINY
        | {"data.source": source}
        | {key.replace("__", "."): value for key, value in more.items()}
    )
    return ["train", "quickstart", *flags(settings)]


def setting(key: str, value: object) -> list[str]:
    return ["train", "quickstart", f"--{key}", str(value)]


GAUSSIAN = {"model__likelihood": "gaussian"}
RESUME = ["train", "--resume"]

# words; what the line must name; the remedy it must have
BAD: dict[str, tuple[list[str], str, str]] = {
    # names
    "unknown command": (["trian"], "trian", "did you mean 'train'?"),
    "no recipe": (["train"], "train: name a recipe", "vaelab list"),
    "unknown recipe": (["train", "mlp20d"], "recipe mlp20d", "did you mean 'mlp-20d'?"),
    "missing recipe file": (["train", "mine.toml"], "mine.toml", "check the path"),
    "broken recipe file": (["train", "broken.toml"], "broken.toml", "correct it there"),
    "unknown key in a file": (
        ["train", "unknown.toml"],
        "unknown.toml: train.epoch: there is no such setting",
        "did you",
    ),
    "wrong value in a file": (
        ["train", "wrong.toml"],
        "wrong.toml: model.latent",
        "expected int >= 1",
    ),
    "unknown setting": (
        setting("train.epoch", 3),
        "--train.epoch:",
        "did you mean '--train.epochs'?",
    ),
    "unknown section": (
        setting("trian.epochs", 3),
        "--trian.epochs",
        "did you mean '--train.epochs'?",
    ),
    "setting without section": (
        ["train", "quickstart", "--epochs", "3"],
        "--epochs",
        "did you mean '--train.epochs'?",
    ),
    "setting without value": (
        ["train", "quickstart", "--train.epochs"],
        "--train.epochs",
        "expected a value",
    ),
    "setting of another command": (
        ["sample", "run", "--train.epochs", "3"],
        "--train.epochs",
        "vaelab train",
    ),
    "two recipes": (["train", "quickstart", "mlp-20d"], "mlp-20d", "see vaelab train --help"),
    "unknown data set": (
        data("mnits"),
        "data.source: there is no data set or path 'mnits'",
        "did you mean 'mnist'?",
    ),
    "unknown variant": (setting("model.variant", "vea"), "model.variant", "did you mean 'vae'?"),
    "unknown list": (["list", "recipe"], "recipe", "did you mean 'recipes'?"),
    "unknown language": (["train", "quickstart", "--lang", "de"], "--lang", "choose from"),
    # wrong types and ranges
    "latent 0": (setting("model.latent", 0), "model.latent", "expected int >= 1"),
    "batch -1": (setting("train.batch", -1), "train.batch", "expected int >= 1"),
    "split 1.5": (setting("data.validation", 1.5), "data.validation", "expected float < 1"),
    "lr nan": (setting("train.learning_rate", "nan"), "train.learning_rate", "expected float > 0"),
    "beta infinite": (
        setting("objective.beta", "inf"),
        "objective.beta",
        "expected a finite number",
    ),
    "lr 0": (setting("train.learning_rate", 0), "train.learning_rate", "expected float > 0"),
    "epochs a word": (setting("train.epochs", "many"), "train.epochs", "expected int"),
    "hidden a word": (
        setting("model.hidden", "big"),
        "model.hidden",
        "expected whole numbers >= 1",
    ),
    "hidden 0": (setting("model.hidden", "512,0"), "model.hidden", "expected whole numbers >= 1"),
    "schedule": (setting("train.schedule", "cosin"), "train.schedule", "did you mean 'cosine'?"),
    "switch": (
        ["train", "quickstart", "--model.batch_norm=maybe"],
        "model.batch_norm",
        "expected bool",
    ),
    "device": (setting("train.device", "gpu"), "train.device", "did you mean 'cuda'?"),
    "warm-up and cycles": (
        [*setting("objective.warmup", 3), "--objective.cycles", "2"],
        "objective.cycles",
        "set --objective.warmup to 0",
    ),
    "patience without validation": (
        [*setting("train.patience", 3), "--data.validation", "0"],
        "train.patience",
        "data.validation",
    ),
    # files of data
    "cut npy": (data("cut.npy"), "cut.npy", "replace it"),
    "npy cut in its header": (data("cut_header.npy"), "cut_header.npy", "write it with numpy.save"),
    "empty npy": (data("empty.npy"), "empty.npy", "write it with numpy.save"),
    "noise npy": (data("noise.npy"), "noise.npy", "write it with numpy.save"),
    "object npy": (data("objects.npy"), "objects.npy", "contains Python objects; store numbers"),
    "pickled npy": (data("pickled.npy"), "pickled.npy", "numbers only"),
    "cut npz": (data("cut.npz"), "cut.npz", "write it with numpy.savez"),
    "mislabelled npz": (data("text.npz"), "text.npz", "write it with numpy.savez"),
    "labels of another length": (
        data("labels.npz"),
        "labels.npz: y",
        "store one integer for each image",
    ),
    "mislabelled csv": (data("is_npy.csv"), "is_npy.csv", ";"),
    "ragged csv": (
        data("ragged.csv", **GAUSSIAN),
        "ragged.csv: line 2",
        "give every row the same number",
    ),
    "words in a csv": (
        data("words.csv", **GAUSSIAN),
        "words.csv: line 2, column 2: 'four'",
        "correct it",
    ),
    "empty csv": (data("nothing.csv"), "nothing.csv", "write one row of numbers per line"),
    "nan pixels": (
        data("nan.npy"),
        "nan.npy: x: NaN or infinite",
        "first at (3, 2, 1); replace missing values",
    ),
    "infinite pixels": (
        data("inf.npy"),
        "inf.npy: x: NaN or infinite",
        "first at (3, 2, 1); replace missing values",
    ),
    "values above a likelihood": (
        data("two.npy"),
        "two.npy: --model.likelihood 'bernoulli'",
        "data.scale",
    ),
    "values below a likelihood": (data("minus.npy"), "minus.npy: --model.likelihood", "gaussian"),
    "values beyond a treatment": (
        data("two.npy", data__treatment="dynamic", **GAUSSIAN),
        "data.treatment: 'dynamic'",
        "data.scale",
    ),
    "dequantised real values": (
        data("real.npy", data__treatment="dequantised"),
        "data.treatment",
        "set --data.treatment to grey",
    ),
    "scaled grey levels": (
        data("good.npy", data__scale=2),
        "data.scale",
        "set --data.scale to 1",
    ),
    "no images": (data("none.npy"), "none.npy: x", "store at least one image"),
    "one image": (data("one.npy"), "one.npy are too few to hold out", "add some"),
    "too few for validation": (
        data("three.npy", data__test=0.4),
        "data.validation",
        "set --data.validation to 0",
    ),
    "five axes": (data("cube.npy"), "cube.npy: x: shape (2, 2, 2, 2, 2)", "reshape it"),
    "other ending": (data("notes.txt"), "notes.txt", "write one row per line"),
    "missing path": (data("no/such/file.npy"), "no/such/file.npy", "give a path"),
    "empty folder": (data("empty"), "empty: no usable file", "put .png"),
    "images of several sizes": (
        data("sizes"),
        "sizes: 4.png has 4 x 4, 5.png has 5 x 5",
        "set --data.resize to 4",
    ),
    "cut image": (data("cut_image"), "a.png", "replace it with an undamaged copy"),
    "mislabelled image": (data("mislabelled_image"), "a.png", "replace it with an undamaged copy"),
    "cut idx": (data("idx_cut"), "train-images-idx3-ubyte", "replace it"),
    "idx of another type": (data("idx_magic"), "train-images-idx3-ubyte", "replace it"),
    "labels for images": (data("idx_swapped"), "labels where IDX images should be", "replace it"),
    "cut gzip": (data("idx_gz"), "train-images-idx3-ubyte.gz", "replace it"),
    "wrong checksum": (
        data("mnist", data__dir="files"),
        "(its sha256 differs)",
        "delete it",
    ),
    "no data folder": (
        data("mnist", data__dir="nowhere"),
        "data.dir: there is no folder ",
        "create it",
    ),
    "convolutions of rows": (
        data("digits", model__network="conv", model__hidden="1,1,1,1"),
        "model.hidden: images of 8x8",
        "name fewer channels",
    ),
    "batch norm of one": (
        data("digits", model__batch_norm=True, train__batch=1),
        "train.batch",
        "set --train.batch to 2 or more",
    ),
    # runs
    "no run": (["sample", "nowhere"], "nowhere", "create it with vaelab train"),
    "a folder that is no run": (["sample", "empty"], "empty", "check the path"),
    "a folder of runs": (["sample", "."], "recipe.toml", "name one"),
    "run in use": (
        ["train", "quickstart", "--out", "run"],
        "run: holds a run already",
        "--resume run, replace it with --overwrite, or name another folder",
    ),
    "a folder of something else": (
        ["train", "quickstart", "--out", "thesis"],
        "thesis",
        "choose an empty or a new folder",
    ),
    "not even with overwrite": (
        ["train", "quickstart", "--out", "thesis", "--overwrite"],
        "thesis",
        "choose an empty or a new folder",
    ),
    "out below a file": (
        ["train", "quickstart", "--out", "notes.txt/run"],
        "notes.txt/run",
        "another --out",
    ),
    "resume nothing": ([*RESUME, "nowhere"], "nowhere", "create it with vaelab train"),
    "resume with a recipe": (
        ["train", "quickstart", "--resume", "run"],
        "--resume",
        "leave recipe",
    ),
    "resume with another latent": (
        [*RESUME, "run", "--model.latent", "3"],
        "model.latent",
        "a folder of its own",
    ),
    "resume with another seed": (
        [*RESUME, "run", "--train.seed", "3"],
        "train.seed",
        "a folder of its own",
    ),
    "resume with fewer epochs": (
        [*RESUME, "run", "--train.epochs", "1"],
        "train.epochs",
        "a folder of its own",
    ),
    "more epochs of a schedule": (
        [*RESUME, "run", "--train.epochs", "9"],
        "only if no schedule depends on it",
        "a folder of its own",
    ),
    "resume with other data": (
        [*RESUME, "without_last", "--data.source", "good.npy"],
        "last.pt",
        "train again",
    ),
    "resume without last.pt": (
        [*RESUME, "without_last"],
        "without_last/last.pt: is missing",
        "train again",
    ),
    "resume with a cut last.pt": ([*RESUME, "cut_last"], "cut_last/last.pt", "train again"),
    "a run without recipe": (
        ["sample", "without_recipe"],
        "without_recipe/recipe.toml",
        "restore it with vaelab train --resume",
    ),
    "a run without weights": (
        ["sample", "without_best"],
        "best.safetensors: is missing",
        "vaelab train without_best/recipe.toml --out without_best --overwrite",
    ),
    "a run with cut weights": (["sample", "cut_best"], "cut_best/best.safetensors", "train again"),
    "no samples": (
        ["sample", "run", "-n", "0"],
        "-n: expected a whole number of at least 1",
        "see vaelab sample --help",
    ),
    "samples as text": (
        ["sample", "run", "--out", "x.txt"],
        "x.txt",
        "use .png, .pdf, .svg, .npy, .npz or .csv",
    ),
    "samples below a file": (
        ["sample", "run", "--out", "notes.txt/x.npy"],
        "notes.txt/x.npy",
        "choose a place",
    ),
    "codes without a place": (["encode", "run"], "--out", "see vaelab encode --help"),
    "images of another shape": (
        ["encode", "run", "--data", "good.npy", "--out", "z.npy"],
        "good.npy: images of shape 4x4, but the run learned 8x8",
        "resize them",
    ),
    "other data missing": (
        ["encode", "run", "--data", "no.npy", "--out", "z.npy"],
        "no.npy",
        "give a path",
    ),
    "unknown split": (["reconstruct", "run", "--split", "dev"], "--split", "choose from"),
    "points 0": (["figures", "run", "--points", "0"], "points", "expected int >= 1"),
    "span a word": (["figures", "run", "--span", "wide"], "span", "expected float"),
}


def check(code: int, err: str, named: str, remedy: str) -> None:
    assert code == 2
    assert err.startswith("vaelab: ")
    assert err.count("\n") == 1
    assert len(err) > len("vaelab: \n")
    assert "Traceback" not in err
    assert named in err
    assert remedy in err


@pytest.mark.parametrize(("words", "named", "remedy"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_line_and_changes_nothing(
    words: list[str],
    named: str,
    remedy: str,
    mess: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(mess)
    monkeypatch.delenv("VAELAB_DATA_DIR", raising=False)
    before = contents(mess)
    code = main(words)
    check(code, capsys.readouterr().err, named, remedy)
    assert contents(mess) == before


@pytest.mark.parametrize("name", ["unknown recipe", "lr nan", "object npy", "run in use"])
def test_bad_input_to_the_real_command(name: str, mess: Path) -> None:
    words, named, remedy = BAD[name]
    before = contents(mess)
    ended = script(*words, cwd=mess)
    check(ended.code, ended.err, named, remedy)
    assert contents(mess) == before


def test_an_empty_source_is_no_source(
    mess: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(mess / "sizes")
    assert main(data("")) == 2
    check(2, capsys.readouterr().err, "data.source: there is no data set or path ''", "give a path")


def test_a_run_without_validation_images_has_none_to_reconstruct(
    quick: None, mess: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = data(str(mess / "good.npy"), data__validation=0.0)
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    before = contents(tmp_path)
    code = main(["reconstruct", str(tmp_path / "run"), "--split", "validation"])
    check(code, capsys.readouterr().err, "--split validation", "choose another split")
    assert contents(tmp_path) == before


def test_data_that_changed_are_noticed_when_a_run_goes_on(
    quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    assert main([*data(str(tmp_path / "x.npy")), "--out", str(tmp_path / "run")]) == 0
    (tmp_path / "run" / "results.json").unlink()  # as if killed before the pictures
    np.save(tmp_path / "x.npy", x[::-1])
    before = contents(tmp_path)
    code = main([*RESUME, str(tmp_path / "run")])
    check(
        code, capsys.readouterr().err, "x holds other data than the run began with", "restore them"
    )
    assert contents(tmp_path) == before


def test_without_a_network_or_a_copy_the_places_and_digits_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise requests.ConnectionError("No route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VAELAB_DATA_DIR", raising=False)
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path / "cache" / "vaelab"))
    monkeypatch.setattr(requests, "get", offline)
    code = main(["train", "mlp-20d"])
    err = capsys.readouterr().err
    check(code, err, "mnist: train-images-idx3-ubyte.gz could not be", "data.source digits")
    for place in ("data.dir", "VAELAB_DATA_DIR", str(tmp_path / "cache" / "vaelab" / "mnist")):
        assert place in err
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


def test_a_download_with_a_wrong_checksum_leaves_nothing_in_the_cache(
    tmp_path: Path,
    server: Server,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = mnist.SOURCES["mnist"]._replace(mirrors=(server.mirror("corrupt"),))
    server.files = {file.name: b"" for file in source.files}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(mnist.SOURCES, "mnist", source)
    code = main(["train", "mlp-20d"])
    err = capsys.readouterr().err.rpartition("vaelab: ")  # after the bar of the download
    check(code, "".join(err[1:]), "could not be downloaded", "--data.source digits")
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*data("digits", train__device="cuda"), "--out", str(tmp_path / "run")])
    check(
        code,
        capsys.readouterr().err,
        "--train.device: no CUDA GPU was found",
        "set --train.device to auto or cpu",
    )
    assert contents(tmp_path) == {}
