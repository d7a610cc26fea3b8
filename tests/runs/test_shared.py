"""Runs and model cards open from folders and from archives; hostile archives do nothing."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

import vaelab
from vaelab.cli.main import main
from vaelab.runs import archives


@pytest.fixture(scope="module")
def card(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card. To look at only."""
    return vaelab.write_card(digits_run, tmp_path_factory.mktemp("card") / "card", quiet=True)


def packed(path: Path, folder: Path, inside: str = "", **more: bytes) -> Path:
    """A .zip of a folder, below `inside`, with more files by name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, f"{inside}{file.relative_to(folder)}")
        for name, content in more.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("kind", ["run", "card"])
@pytest.mark.parametrize("inside", ["", "top/"])
def test_an_archive_is_the_run_that_was_packed(
    kind: str, inside: str, digits_run: Path, card: Path, tmp_path: Path
) -> None:
    folder = digits_run if kind == "run" else card
    path = packed(tmp_path / "shared.zip", folder, inside, **{"__MACOSX/._recipe.toml": b"\0"})
    one, other = vaelab.load(path), vaelab.load(digits_run)
    assert torch.equal(one.sample(3), other.sample(3))
    assert one.results == other.results
    assert one.contract == other.contract
    assert one.recipe.model == other.recipe.model
    assert str(path) in repr(one)
    assert not (one.folder / "last.pt").exists()  # a pickle stays in the archive
    assert not path.parent.samefile(one.folder.parent)


READS = (
    ("sample", "--out", "x.png"),
    ("encode", "--out", "z.npy"),
    ("reconstruct", "--out", "x.npy"),
    ("cite",),
    ("report", "--out", "x.html"),
    ("explore", "--no-open", "--out", "x.html"),
    ("codes", "--images", "20"),
    ("card", "again"),
)


@pytest.mark.parametrize("kind", ["archive", "card"])
def test_commands_that_read_run_on_what_is_shared(
    kind: str, digits_run: Path, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    what = packed(tmp_path / "run.zip", digits_run) if kind == "archive" else card
    before = {path: path.read_bytes() for path in card.rglob("*") if path.is_file()}
    for name, *others in READS:
        assert main([name, str(what), *others, "--quiet"][: -1 if name == "cite" else None]) == 0
    assert before == {path: path.read_bytes() for path in card.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sample WHAT", "name a place with --out"),
        ("report WHAT", "name a place with --out"),
        ("explore WHAT --no-open", "name a place with --out"),
        ("figures WHAT", "plot the figures of the run folder"),
        ("train --resume WHAT", "resume the run folder"),
    ],
)
@pytest.mark.parametrize("kind", ["archive", "card"])
def test_commands_that_write_say_that_it_is_only_read(
    words: str, says: str, kind: str, digits_run: Path, card: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    what = packed(tmp_path / "run.zip", digits_run) if kind == "archive" else card
    assert main(words.replace("WHAT", str(what)).split()) == 2
    error = capsys.readouterr().err
    assert f"{what}: is a" in error
    assert says in error


def test_an_evaluation_of_a_card_is_printed_or_kept_elsewhere(
    card: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vaelab.evaluation.annealing.TEMPERATURES", 5)
    words = ["evaluate", str(card), "--only", "likelihood", "--samples", "2", "--images", "20"]
    assert main(words) == 0
    assert "is only read; results are only printed; set --out" in capsys.readouterr().out
    assert main([*words, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "evaluation-20.json").is_file()


@pytest.mark.parametrize("words", ["doctor WHAT", "compare WHAT RUN", "fit-prior WHAT"])
def test_what_needs_the_history_says_that_a_card_has_none(
    words: str, card: Path, digits_run: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(words.replace("WHAT", str(card)).replace("RUN", str(digits_run)).split()) == 2
    assert f"{card}/metrics.jsonl: is missing; a model card has no" in capsys.readouterr().err


def test_a_card_without_its_data_says_so_and_still_encodes(card: Path, tmp_path: Path) -> None:
    config = json.loads((card / "config.json").read_text())
    config["recipe"]["data"]["source"] = "gone.npy"
    for name in ("model.safetensors", "results.json"):
        (tmp_path / name).write_bytes((card / name).read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(config))
    run = vaelab.load(tmp_path)
    assert run.vae.encode(run.sample(2)).shape == (2, 2)
    with pytest.raises(vaelab.UserError, match=r"gone\.npy.*a model card holds no data"):
        run.data  # noqa: B018  # reading it is what is tested


# ---------------------------------------------------------------- what is hostile or damaged


def refusal(path: Path) -> str:
    with pytest.raises(vaelab.UserError) as caught:
        vaelab.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def written(path: Path, files: Mapping[str, bytes], **settings: int) -> Path:
    with zipfile.ZipFile(path, "w", **settings) as archive:  # type: ignore[arg-type]  # ints
        for name, content in files.items():
            archive.writestr(name, content)
    return path


EVIL = (
    "../recipe.toml",
    "../../evil",
    "figures/../../evil.png",
    "figures/epochs/../../../evil.png",
    "..\\evil.png",
    "C:\\evil.png",
    "a/b/recipe.toml",
)


def test_no_name_in_an_archive_leads_out_of_its_folder(
    digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "a" / "b" / "home"  # so deep that every way out of it ends in tmp_path
    home.mkdir(parents=True)
    monkeypatch.setattr(archives, "_home", lambda: str(home))
    evil = dict.fromkeys((*EVIL, str(tmp_path / "evil")), b"evil")
    run = vaelab.load(packed(tmp_path / "run.zip", digits_run, **evil))
    assert [file for file in tmp_path.rglob("*") if "evil" in file.name] == []
    assert run.folder.is_relative_to(home)
    assert {file.suffix for file in run.folder.rglob("*") if file.is_file()} <= {
        ".toml", ".json", ".jsonl", ".safetensors", ".png", ".gif",
    }  # fmt: skip
    assert run.vae.latent == 2


def test_pickles_scripts_and_archives_inside_stay_inside(digits_run: Path, tmp_path: Path) -> None:
    trap = b"cos\nsystem\n(S'touch ran'\ntR."  # runs where it is unpickled
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("recipe.toml", "x")
    more = {"last.pt": trap, "model.pkl": trap, "setup.py": b"1/0", "nested.zip": inner.getvalue()}
    folder = tmp_path / "run"
    folder.mkdir()
    for file in digits_run.iterdir():
        if file.is_file() and file.name not in more:
            (folder / file.name).write_bytes(file.read_bytes())
    run = vaelab.load(packed(tmp_path / "run.zip", folder, **more))
    run.vae, run.results, run.history  # noqa: B018  # reading it is what is tested
    assert not {file.name for file in run.folder.rglob("*")} & more.keys()


def test_links_in_an_archive_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "link.zip"
    entry = zipfile.ZipInfo("recipe.toml")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert "is a link" in refusal(path)


def test_an_archive_that_grows_beyond_measure_is_refused_before_it_is_unpacked(
    tmp_path: Path,
) -> None:
    zeros = b"\0" * (archives.FREE + 2**20)
    bomb = {"recipe.toml": b"", "best.safetensors": zeros}
    path = written(tmp_path / "bomb.zip", bomb, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20
    assert "more than a run has" in refusal(path)


def test_an_archive_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST", 5)
    files = {f"figures/{i}.png": b"" for i in range(9)}
    assert "10 files" in refusal(written(tmp_path / "more.zip", files | {"config.json": b""}))


@pytest.mark.parametrize("kind", ["lzma", "twice", "encrypted", "two runs", "no run", "no zip"])
def test_what_cannot_be_a_run_is_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "some.zip"
    says = {"lzma": "rare way", "twice": "is in it twice", "encrypted": "encrypted",
            "two runs": "holds the runs a, b", "no run": "holds neither a run nor",
            "no zip": "no .zip"}[kind]  # fmt: skip
    if kind == "lzma":
        written(path, {"recipe.toml": b"x"}, compression=zipfile.ZIP_LZMA)
    elif kind == "twice":
        written(path, {"recipe.toml": b"x", "recipe.tomm": b"y"})
        path.write_bytes(path.read_bytes().replace(b"recipe.tomm", b"recipe.toml"))
    elif kind == "two runs":
        written(path, {"a/recipe.toml": b"", "b/recipe.toml": b""})
    elif kind == "no zip":
        path.write_bytes(b"PK no zip")
    else:
        written(path, {"recipe.toml" if kind == "encrypted" else "notes.txt": b"x"})
    if kind == "encrypted":  # the flag, in the entry and in the directory
        content = bytearray(path.read_bytes())
        content[6] |= 1
        content[content.index(b"PK\1\2") + 8] |= 1
        path.write_bytes(content)
    assert says in refusal(path)


def test_a_damaged_archive_is_a_line_and_no_traceback(digits_run: Path, tmp_path: Path) -> None:
    path = packed(tmp_path / "run.zip", digits_run)
    whole = path.read_bytes()
    for cut in (len(whole) // 3, len(whole) - 30):
        path.write_bytes(whole[:cut])
        refusal(path)
    for place in range(40, len(whole), len(whole) // 40):
        content = bytearray(whole)
        content[place] ^= 0xFF
        path.write_bytes(content)
        message = error_of(path)
        assert not message or str(path) in message
        assert "\n" not in message


def error_of(path: Path) -> str:
    """The message of the user error that opening a run ends with; "" where it opens."""
    try:
        vaelab.load(path).vae  # noqa: B018  # reading it is what is tested
    except vaelab.UserError as error:
        return str(error)
    return ""


DAMAGED = (b"", b"[]", b"{", b'{"recipe": 3}', b'{"recipe": {}}', b"\xff")


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_config_is_refused(content: bytes, card: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(vaelab.UserError, match=r"config\.json: is damaged, or not written by"):
        vaelab.load(tmp_path)


def test_damaged_weights_of_a_card_are_noticed(card: Path, tmp_path: Path) -> None:
    weights = bytearray((card / "model.safetensors").read_bytes())
    weights[-5] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_bytes((card / "config.json").read_bytes())
    with pytest.raises(vaelab.UserError, match=r"model\.safetensors: is damaged"):
        vaelab.load(tmp_path).vae  # noqa: B018  # reading it is what is tested


def test_a_card_that_names_a_python_file_does_not_run_it(card: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    config = json.loads((card / "config.json").read_text())
    config["recipe"]["model"] |= {"variant": str(trap), "prior": f"{trap}:P"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((card / "model.safetensors").read_bytes())
    with pytest.raises(vaelab.UserError, match="--code"):
        vaelab.load(tmp_path).vae  # noqa: B018  # reading it is what is tested
    assert not (tmp_path / "ran").exists()
