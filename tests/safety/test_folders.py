"""Folders: what is not vaelab's is never touched, no link is followed, writers do not meet."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, Command, contents, flags, tiny

import vaelab
from vaelab.cli.main import main
from vaelab.files import locked, merging, put, remove_scratch, write_atomic, written
from vaelab.runs import create, default_folder
from vaelab.workflows.studies import STUDY, names

Start = Callable[..., Command]
# Takes from root the right to ignore permissions.
ORDINARY = (
    "import ctypes; ctypes.CDLL(None)"
    ".capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())"
)


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_a_hand_written_recipe_is_not_a_run(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "figures").mkdir()
    for name in ("figures/mine.png", "evaluation.json", "samples.npy"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "recipe.toml").write_text('[data]\nsource = "digits"\n')
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    words = ["train", "recipe.toml", "--out", ".", *["--overwrite"] * overwrite]
    assert main(words) == 2
    assert contents(tmp_path) == before


def test_the_recipe_of_a_run_that_was_copied_elsewhere_does_not_make_that_a_run(
    a_copy: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(a_copy / "recipe.toml", other)
    (other / "figures").mkdir()
    before = contents(other)
    with pytest.raises(vaelab.UserError, match="not a run that vaelab wrote"):
        vaelab.train(tiny(), other, overwrite=True, quiet=True)
    assert contents(other) == before


def test_a_list_of_files_that_names_others_deletes_none_of_them(
    quick: None, a_copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "victim").write_text("mine")
    (a_copy / "linked").symlink_to(tmp_path / "folder")
    with (a_copy / ".vaelab").open("a") as file:
        file.write(f"../victim\n{tmp_path / 'victim'}\nlinked/victim\nfigures\n\n")
    vaelab.train(tiny({"train.epochs": 1}), a_copy, overwrite=True, quiet=True)
    assert (tmp_path / "victim").read_text() == "mine"
    assert (tmp_path / "folder" / "victim").read_text() == "mine"


def test_no_write_follows_a_link_out_of_the_folder(quick: None, tmp_path: Path) -> None:
    victim, outside = tmp_path / "victim", tmp_path / "outside"
    victim.write_text("mine")
    outside.mkdir()
    folder = tmp_path / "run"
    folder.mkdir()
    run = create(folder, tiny())
    for name in ("recipe.toml", "metrics.jsonl"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
        put(folder, name, b"new")  # replaces the link
        assert (folder / name).read_bytes() == b"new"
        (folder / f".{name}.part").symlink_to(victim)
        put(folder, name, b"new")
    (folder / "figures").symlink_to(outside)
    with pytest.raises(vaelab.UserError, match="is a link out of the folder"):
        run.write("figures/latent.png", b"x")
    for name in (".lock", ".merging", ".vaelab"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(victim)
    with pytest.raises(vaelab.UserError, match="is a link"):
        locked(folder).__enter__()
    with merging(folder) as reason:
        assert "is a link" in reason
    with pytest.raises(vaelab.UserError, match="cannot be written"):
        put(folder, "another", b"x")
    assert victim.read_text() == "mine"
    assert not [*outside.iterdir()]


def write_many(path: Path, character: bytes) -> None:
    for _ in range(300):
        write_atomic(path, character * 1000)


def test_two_processes_that_write_one_file_do_not_disturb_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    path = tmp_path / "file"
    writers = [context.Process(target=write_many, args=(path, c)) for c in (b"a", b"b")]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        if path.exists():
            assert path.read_bytes() in (b"a" * 1000, b"b" * 1000)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def add_many(path: Path, first: int) -> None:
    for number in range(first, first + 50):
        with merging(path.parent) as reason:
            assert not reason
            rows = json.loads(path.read_text())
            write_atomic(path, json.dumps([*rows, number]).encode())


def test_results_that_two_processes_merge_are_all_kept(tmp_path: Path) -> None:
    path = write_atomic(tmp_path / "rows.json", b"[]")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=add_many, args=(path, first)) for first in (0, 50)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(json.loads(path.read_text())) == [*range(100)]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOLCK, errno.ENOSYS])
def test_merging_goes_on_without_a_lock_and_says_why(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("vaelab.files.FileLock.acquire", fails)
    with merging(tmp_path) as reason:
        assert os.strerror(number) in reason


def test_scratch_of_killed_writers_is_removed_and_nothing_else(tmp_path: Path) -> None:
    run = create(tmp_path, tiny())
    run.write("figures/a.png", b"")
    stale = [f".last.pt.{'0' * 16}.part", f"figures/.a.png.{'a' * 16}.part"]
    mine = [".notes.part", "figures/.mine.png.part", f"x{'0' * 16}.part"]
    for name in (*stale, *mine):
        (tmp_path / name).touch()
    remove_scratch(tmp_path)
    assert not any((tmp_path / name).exists() for name in stale)
    assert all((tmp_path / name).exists() for name in mine)


@pytest.mark.parametrize("way", ["moved", "deleted"])
def test_a_run_that_is_gone_during_training_is_an_error(
    way: str,
    quick: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"

    def lose(run: vaelab.Run, *_: object) -> None:
        if len(run.history) == 1:
            folder.rename(tmp_path / "moved") if way == "moved" else shutil.rmtree(folder)

    monkeypatch.setattr("vaelab.workflows.train.gallery.snapshot", lambda *_: lose_once(lose))
    calls: list[int] = []

    def lose_once(work: Callable[..., None]) -> None:
        calls.append(1)
        if len(calls) == 2:
            work(vaelab.load(folder))

    assert main(["train", "quickstart", "--out", str(folder), *flags(TINY)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is no longer a run" in error
    assert not folder.exists()
    if way == "moved":
        assert vaelab.resume(tmp_path / "moved", quiet=True).finished


def test_a_refused_study_leaves_the_study_as_it_was(tmp_path: Path, quick: None) -> None:
    out = tmp_path / "study"
    vaelab.train_all({"a": tiny({"train.epochs": 1})}, out, quiet=True)
    (out / "b").mkdir()
    (out / "b" / "thesis.txt").touch()
    before = contents(out)
    with pytest.raises(vaelab.UserError, match="b: is not a run"):
        vaelab.train_all({"a": tiny(), "b": tiny()}, out, overwrite=True, quiet=True)
    (out / "b" / "thesis.txt").unlink()
    with locked(out / "b"):
        before = {n: b for n, b in contents(out).items() if not n.startswith("b")}
        with pytest.raises(vaelab.UserError, match="another process is training"):
            vaelab.train_all({"a": tiny(), "b": tiny()}, out, overwrite=True, quiet=True)
    assert {n: b for n, b in contents(out).items() if not n.startswith("b")} == before


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '["../other"]', '[".."]', "3", "[[]]", '"a"'])
def test_the_list_of_a_study_names_folders_in_it_or_is_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / STUDY).write_text(text)
    with pytest.raises(vaelab.UserError, match="is damaged"):
        names(tmp_path)


def test_what_may_not_be_read_is_not_called_damaged(start: Start, a_copy: Path) -> None:
    for name in ("best.safetensors", "metrics.jsonl", "recipe.toml"):
        (a_copy / name).chmod(0)
        ended = start("figures", a_copy, first=ORDINARY).wait()
        (a_copy / name).chmod(0o644)
        assert ended.code == 2
        assert ended.err == (
            f"vaelab: {a_copy / name}: cannot be read (Permission denied); check its permissions\n"
        )


def test_a_run_says_before_the_work_whether_it_can_be_written(start: Start, a_copy: Path) -> None:
    assert not vaelab.load(a_copy).read_only
    look = f"{ORDINARY}; import vaelab; assert vaelab.load({str(a_copy)!r}).read_only"
    a_copy.chmod(0o555)
    assert start("list", "data", first=look).wait().code == 0
    a_copy.chmod(0o755)


def test_the_default_folder_is_named_after_the_recipe() -> None:
    assert default_folder(tiny()) == Path("runs/quickstart")


def test_what_was_written_is_listed(digits_run: Path) -> None:
    found = written(digits_run)
    assert found[0] == "recipe.toml"
    assert {*found} == {
        str(path.relative_to(digits_run))
        for path in digits_run.rglob("*")
        if path.is_file() and path.name[0] != "."
    }
