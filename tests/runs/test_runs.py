"""The run folder: written whole or not at all, never over earlier work, and read with suspicion."""

from __future__ import annotations

import errno
import io
import json
import os
import pickle
import random
import resource
import shutil
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import BARE, TINY, Command, contents, flags, outcome, state, tiny, wait_until
from torch import Tensor

import vaelab
from vaelab.cli.main import main
from vaelab.data import Dataset, Split, numbers
from vaelab.files import locked, write_atomic
from vaelab.models import build
from vaelab.runs import FILES, Run, create

Start = Callable[..., Command]


def refused(work: Callable[[], object], *says: str) -> str:
    with pytest.raises(vaelab.UserError) as caught:
        work()
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message
    return message


# --- what is there --------------------------------------------------------------------------------


def test_a_finished_run_has_its_files_and_no_scratch(digits_run: Path) -> None:
    found = {p.name for p in digits_run.iterdir()} - {".lock", ".vaelab"}
    assert found == {*FILES, "figures", "report.html"}
    environment = json.loads((digits_run / "environment.json").read_text())
    assert torch.__version__.startswith(environment["packages"]["torch"])  # + its variant
    assert environment["threads"] == 1
    assert environment["device"] in ("cpu", "cuda", "mps")


def test_a_run_says_what_it_is(digits_run: Path) -> None:
    run = vaelab.load(digits_run)
    assert repr(run) == f"Run({str(digits_run)!r}, recipe 'quickstart')"
    assert run.finished
    assert run.recipe == tiny()


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"model.network": "conv", "model.batch_norm": True},
        {"model.likelihood": "gaussian-learned", "model.dropout": 0.5},
        {"model.variant": "ae", "model.likelihood": "continuous-bernoulli"},
    ],
    ids=str,
)
def test_a_model_that_was_saved_encodes_decodes_and_samples_bit_for_bit(
    overrides: dict[str, Any], tmp_path: Path
) -> None:
    recipe, x = tiny(overrides), torch.rand(7, 9, 11)
    vae = build(recipe.model, (9, 11))
    vae.train().draw(x)  # moves the running means of batch normalisation
    vae.eval()
    data = Dataset("x", (9, 11), None, *[Split(x, None)] * 3)
    create(tmp_path, recipe).save_best(vae, 1, data)
    again = Run(tmp_path, recipe).vae
    assert not again.training
    z = vae.encode(x)
    assert torch.equal(again.encode(x), z)
    assert torch.equal(again.decode(z), vae.decode(z))
    assert torch.equal(again.sample(5, seed=3), vae.sample(5, seed=3))


def test_the_run_that_training_returns_is_the_one_that_is_loaded(
    quick: None, tmp_path: Path
) -> None:
    run = vaelab.train(tiny(), tmp_path / "run", quiet=True)
    again = vaelab.load(str(tmp_path / "run"))
    assert again.recipe == run.recipe
    assert (again.history, again.times, again.results) == (run.history, run.times, run.results)
    x = torch.rand(3, 8, 8)
    assert torch.equal(again.vae.encode(x), run.vae.encode(x))
    assert torch.equal(again.vae.sample(3), run.vae.sample(3))


# --- missing, truncated, foreign ------------------------------------------------------------------


def test_what_is_no_run_is_refused_with_the_way_to_one(digits_run: Path, tmp_path: Path) -> None:
    refused(
        lambda: vaelab.load(tmp_path / "no"),
        str(tmp_path / "no"),
        "no such run folder; create it with vaelab train",
    )
    refused(lambda: vaelab.load(tmp_path), str(tmp_path), "check the path")
    refused(
        lambda: vaelab.load(digits_run.parent), "it holds the runs run: name one", str(digits_run)
    )
    refused(lambda: vaelab.load(digits_run / "recipe.toml"), "no such run folder")


NEEDED: dict[str, Callable[[Path], object]] = {
    "best.safetensors": lambda folder: vaelab.load(folder).vae,
    "metrics.jsonl": lambda folder: vaelab.load(folder).history,
    "results.json": lambda folder: vaelab.load(folder).results,
    "last.pt": lambda folder: vaelab.resume(folder, quiet=True),
    "recipe.toml": lambda folder: vaelab.load(folder),
}


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_file_is_named_where_it_is_needed(name: str, a_copy: Path) -> None:
    (a_copy / name).unlink()
    refused(lambda: NEEDED[name](a_copy), str(a_copy / name), "missing")


def damaged(path: Path) -> list[bytes]:
    """What a file can have become: cut off anywhere, noise, or something else altogether."""
    whole, chance = path.read_bytes(), random.Random(0)
    cuts = {
        0,
        1,
        7,
        8,
        9,
        len(whole) // 2,
        len(whole) - 1,
        *(chance.randrange(len(whole)) for _ in range(8)),
    }
    torch.save({"weights": torch.zeros(3)}, other := io.BytesIO())
    return [
        *(whole[:cut] for cut in sorted(cuts)),
        *(chance.randbytes(size) for size in (1, 8, 100, 10_000)),
        b'{"a": 1}\n',
        b"[1, 2]\n",
        b"null\n",
        b"\x00" * 64,
        pickle.dumps({"format": 1}, 2),
        other.getvalue(),
    ]


@pytest.mark.parametrize("name", ["best.safetensors", "last.pt"])
def test_a_damaged_or_foreign_binary_is_named_with_a_remedy(name: str, a_copy: Path) -> None:
    for content in damaged(a_copy / name):
        (a_copy / name).write_bytes(content)
        refused(lambda: NEEDED[name](a_copy), str(a_copy / name), "train again")


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_a_foreign_pickle_is_refused_without_further_words(protocol: int, a_copy: Path) -> None:
    (a_copy / "last.pt").write_bytes(pickle.dumps({"a": 1}, protocol))
    refused(lambda: vaelab.resume(a_copy, quiet=True), str(a_copy / "last.pt"), "train again")


@pytest.mark.parametrize("name", ["metrics.jsonl", "results.json"])
def test_a_damaged_or_foreign_text_is_named_with_a_remedy(name: str, a_copy: Path) -> None:
    for content in damaged(a_copy / name):
        try:
            rows = [json.loads(line) for line in content.decode().splitlines()]
        except ValueError:
            rows = []
        if not rows or not all(isinstance(row, dict) for row in rows):
            (a_copy / name).write_bytes(content)
            refused(lambda: NEEDED[name](a_copy), str(a_copy / name), "is damaged", "--resume")


def test_a_recipe_cut_off_anywhere_is_no_recipe(a_copy: Path) -> None:
    path = a_copy / "recipe.toml"
    whole = path.read_bytes()
    for cut in range(len(whole) - 1):
        path.write_bytes(whole[:cut])
        refused(lambda: vaelab.load(a_copy), str(path))


def test_a_foreign_recipe_is_named(a_copy: Path) -> None:
    path = a_copy / "recipe.toml"
    for content in (
        b"{}",
        b"\xff\xfe\x00",
        b"[tool.ruff]\nline-length = 3\n",
        b"name = 3\n",
        b"\x00",
    ):
        path.write_bytes(content)
        refused(lambda: vaelab.load(a_copy), str(path))


def test_weights_of_another_recipe_are_refused(a_copy: Path) -> None:
    path = a_copy / "recipe.toml"
    path.write_text(path.read_text().replace("latent = 2", "latent = 3"))
    refused(
        lambda: vaelab.load(a_copy).vae,
        "best.safetensors",
        "recipe.toml",
        "does not fit",
    )
    refused(lambda: vaelab.resume(a_copy, quiet=True), "model.latent: the run began with 2, not 3")


@pytest.mark.parametrize("content", [None, b"", b'{"python": "3.', b"[]"], ids=str)
@pytest.mark.parametrize("name", ["environment.json", "metrics.jsonl"])
def test_a_run_goes_on_without_the_files_it_does_not_need(
    name: str, content: bytes | None, quick: None, a_copy: Path
) -> None:
    (a_copy / "results.json").unlink()  # so there is something left to do
    whole = (a_copy / "metrics.jsonl").read_bytes()
    if content is None:
        (a_copy / name).unlink()
    else:
        (a_copy / name).write_bytes(content)
    assert vaelab.resume(a_copy, quiet=True).finished
    assert (a_copy / "metrics.jsonl").read_bytes() == whole


def test_a_run_goes_on_without_its_times(quick: None, a_copy: Path) -> None:
    (a_copy / "results.json").unlink()
    (a_copy / "times.jsonl").unlink()
    assert vaelab.resume(a_copy, quiet=True).finished


class Trap:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (str(self.path), 0o777)


def test_no_code_in_any_file_is_ever_run(a_copy: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    torch.save({"format": 1, "recipe": Trap(trap)}, zipped := io.BytesIO())
    torch.save(
        {"format": 1, "recipe": Trap(trap)},
        old := io.BytesIO(),
        _use_new_zipfile_serialization=False,
    )
    bare = pickle.dumps(Trap(trap), 2)
    (a_copy / "results.json").unlink()
    for name in ("last.pt", "best.safetensors"):
        whole = (a_copy / name).read_bytes()
        for content in (zipped.getvalue(), old.getvalue(), bare):
            (a_copy / name).write_bytes(content)
            refused(lambda: NEEDED[name](a_copy), str(a_copy / name))  # noqa: B023 (called at once)
            assert not trap.exists()
        (a_copy / name).write_bytes(whole)
    pickle.loads(bare)
    assert trap.exists()  # the trap was a good one


# --- never over earlier work ----------------------------------------------------------------------


def test_a_run_is_replaced_only_when_told(quick: None, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    vaelab.train(tiny(), folder, quiet=True)
    vaelab.load(folder).write("figures/latent.png", b"of the first run")
    (folder / "figures" / "mine.png").touch()
    (folder / "evaluation-mine.json").touch()
    (folder / "samples.npy").touch()
    mine = {"figures", "figures/mine.png", "evaluation-mine.json", "samples.npy"}
    before = contents(folder)
    remedies = (f"vaelab train --resume {folder}", "overwrite=True", "another folder")
    refused(
        lambda: vaelab.train(tiny({"model.latent": 3}), folder, quiet=True),
        "holds a run already",
        *remedies,
    )
    assert contents(folder) == before
    vaelab.train(tiny({"model.latent": 3}), folder, overwrite=True, quiet=True)
    vaelab.train(tiny({"model.latent": 3}), tmp_path / "fresh", quiet=True)
    found = outcome(folder)
    assert mine <= found.keys()
    assert {name: b for name, b in found.items() if name not in mine} == outcome(tmp_path / "fresh")


def test_bad_input_replaces_nothing_even_when_told_to_overwrite(a_copy: Path) -> None:
    before = contents(a_copy)
    for bad in (
        {"data.source": "mnits"},
        {"model.variant": "x"},
        {"data.treatment": "dequantised", "data.test": 0.999},
    ):
        refused(lambda bad=bad: vaelab.train(tiny(bad), a_copy, overwrite=True, quiet=True))
    assert contents(a_copy) == before


def test_a_replacement_killed_on_the_way_can_be_made_again(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    folder = tmp_path / "run"
    real = Path.unlink
    for survived in range(len(FILES)):
        shutil.rmtree(folder, ignore_errors=True)
        vaelab.train(tiny({"train.epochs": 1}), folder, quiet=True)
        left = iter(range(survived))

        def unlink(path: Path, missing_ok: bool = False, left: Any = left) -> None:
            if path.parent == folder and path.name in FILES and next(left, None) is None:
                raise Killed
            real(path, missing_ok=missing_ok)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", unlink)
            with pytest.raises(Killed):
                vaelab.train(tiny(), folder, overwrite=True, quiet=True)
        assert vaelab.train(tiny({"train.epochs": 1}), folder, overwrite=True, quiet=True).finished


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_with_other_things_in_it_is_not_used(overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    refused(
        lambda: vaelab.train(tiny(), tmp_path, overwrite=overwrite, quiet=True),
        "is not a run that vaelab wrote",
        "--out",
    )
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_with_other_things_in_it_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    refused(lambda: vaelab.train(tiny(), tmp_path, quiet=True))
    assert list(contents(tmp_path)) == ["thesis.txt"]


def test_an_empty_folder_is_used(quick: None, tmp_path: Path) -> None:
    assert vaelab.train(tiny(), tmp_path, quiet=True).finished


def test_a_run_that_finished_no_epoch_leaves_nothing_to_lose_and_is_begun_anew(
    quick: None, tmp_path: Path
) -> None:
    refused(
        lambda: vaelab.train(tiny({"train.learning_rate": 1e9}), tmp_path, quiet=True),
        "is not finite",
    )
    assert vaelab.train(tiny(), tmp_path, quiet=True).finished
    refused(lambda: vaelab.train(tiny(), tmp_path, quiet=True), "holds a run already")


# --- one process at a time ------------------------------------------------------------------------


def test_a_second_process_is_turned_away_and_the_first_is_undisturbed(
    many: Path, start: Start, tmp_path: Path
) -> None:
    settings = flags(TINY | BARE | {"data.source": many, "train.epochs": 1})
    words = ("train", "quickstart", "--out", tmp_path / "run", *settings)
    alone = start(*words[:3], tmp_path / "alone", *settings).wait()
    assert alone.code == 0, alone.err
    first = start(*words)
    wait_until((tmp_path / "run" / "environment.json").exists)
    os.kill(first.pid, signal.SIGSTOP)  # or it might be through before the others come
    for others in (words, (*words, "--overwrite"), ("train", "--resume", tmp_path / "run")):
        second = start(*others).wait()
        assert second.code == 2
        assert second.err.startswith(
            f"vaelab: {tmp_path / 'run'}: another process is training there; "
        )
        assert second.err.count("\n") == 1
    os.kill(first.pid, signal.SIGCONT)
    ended = first.wait()
    assert ended.code == 0, ended.err
    assert outcome(tmp_path / "run") == outcome(tmp_path / "alone")


def test_the_lock_goes_with_a_killed_process(many: Path, start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = (
        "train",
        "quickstart",
        "--out",
        folder,
        *flags(TINY | BARE | {"data.source": many, "train.batch": 16}),
    )
    first = start(*words)
    wait_until((folder / "environment.json").exists)
    refused(lambda: locked(folder).__enter__(), "another process")
    assert first.kill().code == -signal.SIGKILL
    with locked(folder):
        pass  # nobody holds it any more


# --- disks that are full, places that cannot be written -------------------------------------------


def fails(number: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO]
)
@pytest.mark.parametrize(
    "where", ["os.fsync", "pathlib.Path.open", "pathlib.Path.replace", "pathlib.Path.mkdir"]
)
def test_a_write_that_fails_leaves_the_old_file_and_no_scratch(
    where: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_atomic(tmp_path / "file", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(where, fails(number))
        refused(
            lambda: write_atomic(path, b"new"),
            f"{path}: cannot be written ({os.strerror(number)}); ",
        )
    assert contents(tmp_path) == {"file": b"old"}


def test_a_write_that_fails_half_way_leaves_the_old_file_and_no_scratch(
    start: Start, tmp_path: Path
) -> None:
    """With a real limit of the system: the file cannot grow beyond 1000 bytes."""
    path = write_atomic(tmp_path / "file", b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        message = refused(lambda: write_atomic(path, b"x" * 5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "cannot be written (File too large)" in message
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir() if p.name != "logs"] == ["file"]


def test_a_file_is_never_seen_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "file", []
    real = os.fsync

    def look(number: int) -> None:
        seen.append(path.read_bytes())
        real(number)

    write_atomic(path, b"old")
    monkeypatch.setattr(os, "fsync", look)
    write_atomic(path, b"new")
    assert seen == [b"old"]
    assert path.read_bytes() == b"new"


def test_a_place_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(
        lambda: write_atomic(tmp_path / "file" / "x", b""),
        str(tmp_path / "file" / "x"),
        "cannot be written (",
    )
    refused(
        lambda: vaelab.train(tiny(), tmp_path / "file" / "run", quiet=True),
        str(tmp_path / "file" / "run"),
        "--out",
    )
    refused(
        lambda: vaelab.train(tiny(), tmp_path / "file", quiet=True), str(tmp_path / "file"), "--out"
    )
    assert contents(tmp_path) == {"file": b""}


def test_a_place_of_the_system_s_cannot_be_written(digits_run: Path) -> None:
    for place in ("/proc/vaelab", "/sys/vaelab"):  # not even root can
        refused(
            lambda place=place: vaelab.train(tiny(), place, quiet=True),
            place,
            "cannot be written (",
            "--out",
        )
        refused(lambda place=place: write_atomic(Path(place), b""), place, "cannot be written (")


def test_no_permission_for_the_lock_is_no_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", fails(errno.EACCES))
    refused(
        lambda: vaelab.train(tiny(), tmp_path, quiet=True),
        str(tmp_path),
        "cannot be written (Permission denied)",
    )


@pytest.mark.parametrize("written", range(14))
def test_a_disk_that_fills_up_while_training_leaves_the_last_good_epoch(
    written: int,
    quick: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = vaelab.train(tiny(), tmp_path / "whole", quiet=True)
    folder, left, real = tmp_path / "run", iter(range(written)), os.fsync

    def full(number: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(["train", "quickstart", "--out", str(folder), *flags(TINY)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"vaelab: {folder}{os.sep}")
    assert "cannot be written (No space left on device); free some space" in err
    assert err.count("\n") == 1
    assert not [p for p in folder.iterdir() if p.name.endswith(".part")]
    # First the recipe and the environment, then best, last, metrics and times of every epoch.
    epochs = written // 4
    assert (folder / "last.pt").exists() == (epochs > 0)
    if epochs:
        assert vaelab.load(folder).vae.sample(2).isfinite().all()
        assert state(folder)["history"] == whole.history[:epochs]
        vaelab.resume(folder, quiet=True)
        assert outcome(folder) == outcome(whole.folder)


def test_a_limit_of_the_system_stops_a_real_training_in_one_line(
    start: Start, tmp_path: Path
) -> None:
    """Files up to 20 kB: the recipe and the metrics can be written, last.pt cannot."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    ended = start(
        "train", "quickstart", "--out", tmp_path / "run", *flags(TINY), first=limit
    ).wait()
    assert ended.code == 2
    assert ended.err.startswith(f"vaelab: {tmp_path / 'run'}{os.sep}")
    assert "cannot be written (File too large); " in ended.err
    assert ended.err.count("\n") == 1


# --- what is made of a run ------------------------------------------------------------------------


def read_back(path: Path) -> Tensor:
    match path.suffix:
        case ".npy":
            return torch.from_numpy(np.load(path))
        case ".npz":
            with np.load(path) as found:
                return torch.from_numpy(found["z"])
    return torch.from_numpy(np.loadtxt(path, delimiter=",", ndmin=2))


def test_arrays_are_written_whole_and_labels_go_with_them(tmp_path: Path) -> None:
    z, y = torch.randn(4, 3), np.arange(4)
    for suffix in (".npy", ".npz"):
        assert torch.equal(read_back(numbers.save_array(tmp_path / f"z{suffix}", z, y)), z)
    with np.load(tmp_path / "z.npz") as found:
        assert np.array_equal(found["y"], y)
    written = read_back(numbers.save_array(tmp_path / "z.csv", z, y))
    assert torch.allclose(written, z.double(), rtol=1e-6)
    refused(lambda: numbers.save_array(tmp_path / "z.txt", z), "z.txt", "use .npy, .npz or .csv")
    assert not zipfile.is_zipfile(tmp_path / "z.npy")
