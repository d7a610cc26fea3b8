"""An interrupted run that goes on ends with the same bytes as one that was never interrupted."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
    hurry,
    outcome,
    script,
    state,
    tiny,
    wait_until,
)

import vaelab
from vaelab.cli.main import main
from vaelab.data import mapped
from vaelab.errors import UserError
from vaelab.plots import gallery
from vaelab.training import schedules

Start = Callable[..., Command]

# Every stream of chance and every schedule matters.
EVERYTHING = TINY | {
    "data.treatment": "dynamic",
    "data.rotate": 10.0,
    "data.shift": 0.1,
    "model.dropout": 0.1,
    "model.batch_norm": True,
    "objective.warmup": 3.5,
    "train.schedule": "cosine",
    "train.clip": 5.0,
    "train.batch": 32,
    "train.epochs": 6,
}


class Crash(BaseException):
    """Stands for whatever ends a process without asking it."""


def epochs_done(folder: Path) -> int:
    """Whole epochs that metrics.jsonl knows of."""
    path = folder / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


# ---------------------------------------------------------------- killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of EVERYTHING that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main(["train", "quickstart", "--out", str(folder), *flags(EVERYTHING)]) == 0
    return folder


def test_a_run_killed_at_random_moments_ends_as_if_it_had_not_been(
    whole: Path, start: Start, tmp_path: Path
) -> None:
    folder, chance = tmp_path / "run", random.Random(0)
    train = start("train", "quickstart", "--out", folder, *flags(EVERYTHING))
    wait_until((folder / "environment.json").exists)  # before the first epoch is over
    assert train.kill().code == -signal.SIGKILL
    assert not (folder / "last.pt").exists()
    for _ in range(4):
        done = epochs_done(folder)
        train = start("train", "--resume", folder)
        wait_until(lambda done=done: epochs_done(folder) > done or done == 6)
        time.sleep(chance.uniform(0, 0.12))
        assert train.kill().code == -signal.SIGKILL
    last = script("train", "--resume", folder)
    assert last.code == 0, last.err
    assert outcome(folder) == outcome(whole)


DIE_AT = """
import os
import vaelab.files

left = {0}
fsync, replace = os.fsync, type(vaelab.files.Path()).replace

def count_down():
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), 9)

def half_written(number):
    fsync(number)
    count_down()

def written(self, target):
    found = replace(self, target)
    count_down()
    return found

if {0} % 2:
    os.fsync = half_written
else:
    vaelab.files.Path.replace = type(vaelab.files.Path()).replace = written
"""


@pytest.mark.parametrize(
    ("first", "least", "settings"),
    [
        pytest.param(1, 8, EVERYTHING | BARE, id="from its first, without figures"),
        pytest.param(8, 11, EVERYTHING, id="from the second epoch's first"),
    ],
)
def test_a_run_killed_at_each_of_its_writes_ends_as_if_it_had_not_been(
    first: int, least: int, settings: dict[str, Any], start: Start, tmp_path: Path
) -> None:
    folder, whole = tmp_path / "run", tmp_path / "whole"
    assert main(["train", "quickstart", "--out", str(whole), *flags(settings)]) == 0
    words: tuple[object, ...] = ("train", "quickstart", "--out", folder, *flags(settings))
    # Each process dies one write later, before or after the file is in place.
    for count in itertools.count(first):
        ended = start(*words, first=DIE_AT.format(count)).wait()
        if ended.code == 0:
            break
        assert ended.code == -signal.SIGKILL, ended.err
        if (folder / "recipe.toml").exists():
            words = ("train", "--resume", folder)
    assert count > least
    assert outcome(folder) == outcome(whole)


# ---------------------------------------------------------------- asked to stop


@pytest.fixture(scope="module")
def long(many: Path) -> list[str]:
    """Settings with which an epoch lasts about a second."""
    settings = {
        "data.source": many,
        "data.treatment": "dynamic",
        "model.dropout": 0.1,
        "train.batch": 16,
    }
    return flags(TINY | BARE | settings | {"train.schedule": "one-cycle", "train.epochs": 2})


@pytest.fixture(scope="module")
def long_whole(long: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("long") / "run"
    assert main(["train", "quickstart", "--out", str(folder), *long]) == 0
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_asked_to_stop_within_an_epoch_saves_and_goes_on_from_there(
    number: signal.Signals, long: list[str], long_whole: Path, start: Start, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    train = start("train", "quickstart", "--out", folder, *long)
    wait_until(lambda: epochs_done(folder) == 1)
    time.sleep(0.1)
    ended = train.kill(number)
    assert ended.code == 130
    assert ended.err.startswith("vaelab: interrupted; saved at epoch 2, step ")
    assert ended.err.endswith(f"continue with: vaelab train --resume {folder}\n")
    assert ended.err.count("\n") == 1
    saved = state(folder)
    assert saved["epoch"] == 1
    assert saved["step"] > 0
    last = start("train", "--resume", folder).wait()
    assert last.code == 0, last.err
    assert outcome(folder) == outcome(long_whole)


def test_ctrl_c_reaches_the_real_command(long: list[str], tmp_path: Path) -> None:
    words = [SCRIPT, "train", "quickstart", "--out", tmp_path / "run", *long, "--train.epochs=50"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, env=ENVIRONMENT, text=True, **quiet) as train:
        wait_until(lambda: epochs_done(tmp_path / "run") == 1)
        train.send_signal(signal.SIGINT)
        _, err = train.communicate(timeout=30)
    assert train.returncode == 130
    assert err.count("\n") == 1
    assert err.endswith(f"continue with: vaelab train --resume {tmp_path / 'run'}\n")


def test_ctrl_c_while_the_pictures_are_drawn_says_how_to_go_on(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gallery, "plot", lambda *_: signal.raise_signal(signal.SIGINT))
    folder = tmp_path / "run"
    assert main(["train", "quickstart", "--out", str(folder), *flags(TINY)]) == 130
    assert f"vaelab train --resume {folder}" in capsys.readouterr().err


def interrupted(
    folder: Path, overrides: dict[str, Any], after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Train, with Ctrl-C pressed during step number `after` since the start."""
    steps = itertools.count(1)
    real = schedules.numbers

    def numbers(*arguments: Any) -> dict[str, float]:
        if next(steps) == after:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(schedules, "numbers", numbers)
        with pytest.raises(KeyboardInterrupt, match="saved"):
            vaelab.train(tiny(overrides), folder, quiet=True)


# An epoch has 23 steps: the interruptions are within epochs and at their ends.
@pytest.mark.parametrize("after", [5, 23, 30, 45, 46, 68])
def test_ctrl_c_at_any_step_changes_nothing(
    after: int, quick: None, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path / "run", STEPS, after, monkeypatch)
    assert (state(tmp_path / "run")["epoch"], state(tmp_path / "run")["step"]) == divmod(after, 23)
    vaelab.resume(tmp_path / "run", quiet=True)
    assert outcome(tmp_path / "run") == outcome(uninterrupted)


STEPS = {key: EVERYTHING[key] for key in EVERYTHING if key != "train.epochs"} | {"train.batch": 64}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of STEPS that nothing interrupted. To look at only."""
    folder = tmp_path_factory.mktemp("uninterrupted") / "run"
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        return vaelab.train(tiny(STEPS), folder, quiet=True).folder


def test_ctrl_c_at_the_very_last_step_finishes_the_run(
    quick: None, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, real = itertools.count(1), schedules.numbers

    def numbers(*arguments: Any) -> dict[str, float]:
        if next(steps) == 69:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(schedules, "numbers", numbers)
    vaelab.train(tiny(STEPS), tmp_path / "run", quiet=True)
    assert outcome(tmp_path / "run") == outcome(uninterrupted)


def test_a_second_ctrl_c_stops_at_once_and_the_last_epoch_is_kept(
    quick: None, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, real = itertools.count(1), schedules.numbers

    def numbers(*arguments: Any) -> dict[str, float]:
        if next(steps) == 30:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(schedules, "numbers", numbers)
        with pytest.raises(KeyboardInterrupt):
            vaelab.train(tiny(STEPS), tmp_path / "run", quiet=True)
    assert (state(tmp_path / "run")["epoch"], state(tmp_path / "run")["step"]) == (1, 0)
    vaelab.resume(tmp_path / "run", quiet=True)
    assert outcome(tmp_path / "run") == outcome(uninterrupted)


# ---------------------------------------------------------------- whatever is trained


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """End every training within that epoch: its best weights are written, its metrics are not."""

    def at(last: int) -> None:
        def snapshot(run: object, vae: object, x: object, y: object, epoch: int) -> None:
            if epoch == last:
                raise Crash

        monkeypatch.setattr(gallery, "snapshot", snapshot)

    return at


@pytest.mark.parametrize(
    "overrides",
    [
        {"train.schedule": "one-cycle"},
        {"objective.cycles": 2, "objective.beta": 4.0},
        {"train.precision": "bfloat16"},
        {"model.variant": "ae", "train.schedule": "constant"},
        {"model.likelihood": "gaussian-learned", "model.network": "conv"},
        {"data.treatment": "fixed"},
        {"data.treatment": "dequantised", "model.likelihood": "continuous-bernoulli"},
        {"data.treatment": "threshold", "data.rotate": 20.0, "data.validation": 0.0},
        {"train.batch": 5000, "train.seed": 3},
        {"model.variant": "vq-vae"},  # code vectors that are running means
        {"model.variant": "factor-vae"},  # a critic of its own
        {"model.variant": "sigma-vae"},  # a running sigma
        {"model.variant": "vamp", "model.components": 5},  # pseudo-inputs that start at images
        {"model.variant": "cvae"},
        {"model.variant": "piwae"},
    ],
    ids=str,
)
def test_whatever_is_trained_goes_on_bit_for_bit(
    overrides: dict[str, Any], quick: None, crash_at: Callable[[int], None], tmp_path: Path
) -> None:
    recipe = tiny(overrides)
    crash_at(0)
    vaelab.train(recipe, tmp_path / "whole", quiet=True)
    crash_at(3)
    with pytest.raises(Crash):
        vaelab.train(recipe, tmp_path / "run", quiet=True)
    crash_at(0)
    vaelab.resume(tmp_path / "run", quiet=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


OVERFITS = {
    "train.patience": 3,
    "train.epochs": 40,
    "train.learning_rate": 0.03,
    "train.schedule": "constant",
}


@pytest.fixture(scope="module")
def stopped_early(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of OVERFITS that nothing interrupted. To look at only."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        return vaelab.train(tiny(OVERFITS), folder, quiet=True).folder


def test_early_stopping_stops_at_the_same_epoch_wherever_the_run_was_interrupted(
    quick: None, stopped_early: Path, crash_at: Callable[[int], None], tmp_path: Path
) -> None:
    ended = len(vaelab.load(stopped_early).history)
    assert 4 < ended < 40
    for epoch in (2, ended - 1, ended):
        folder = tmp_path / str(epoch)
        crash_at(epoch)
        with pytest.raises(Crash):
            vaelab.train(tiny(OVERFITS), folder, quiet=True)
        crash_at(0)
        vaelab.resume(folder, quiet=True)
        assert outcome(folder) == outcome(stopped_early), epoch


def test_a_run_stopped_early_and_killed_before_its_pictures_trains_no_further(
    quick: None, stopped_early: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(gallery, "plot", crash)
        with pytest.raises(Crash):
            vaelab.train(tiny(OVERFITS), tmp_path / "run", quiet=True)
    vaelab.resume(tmp_path / "run", quiet=True)
    assert outcome(tmp_path / "run") == outcome(stopped_early)


# ---------------------------------------------------------------- more epochs, and a finished run


@pytest.mark.parametrize("warmup", [0.0, 7.0])
def test_five_epochs_and_five_more_are_ten(warmup: float, quick: None, tmp_path: Path) -> None:
    settings = {"train.schedule": "constant", "objective.warmup": warmup, "model.dropout": 0.1}
    ten = vaelab.train(tiny(settings | {"train.epochs": 10}), tmp_path / "ten", quiet=True)
    vaelab.train(tiny(settings | {"train.epochs": 5}), tmp_path / "five", quiet=True)
    five = vaelab.resume(tmp_path / "five", {"train.epochs": 10}, quiet=True)
    assert five.recipe == ten.recipe
    assert outcome(five.folder) == outcome(ten.folder)


def test_more_epochs_can_be_asked_for_after_an_interruption_and_be_interrupted_too(
    quick: None, crash_at: Callable[[int], None], tmp_path: Path
) -> None:
    settings = {"train.schedule": "constant", "train.epochs": 3}
    crash_at(0)
    whole = vaelab.train(tiny(settings | {"train.epochs": 6}), tmp_path / "whole", quiet=True)
    crash_at(2)
    with pytest.raises(Crash):
        vaelab.train(tiny(settings), tmp_path / "run", quiet=True)
    crash_at(5)
    with pytest.raises(Crash):
        vaelab.resume(tmp_path / "run", {"train.epochs": 6}, quiet=True)
    crash_at(0)
    vaelab.resume(tmp_path / "run", quiet=True)
    assert outcome(tmp_path / "run") == outcome(whole.folder)


def test_going_on_with_a_finished_run_does_nothing_and_says_so(
    a_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(a_copy)
    assert main(["train", "--resume", str(a_copy)]) == 0
    assert f"{a_copy}: finished already" in capsys.readouterr().out
    assert contents(a_copy) == before


def test_a_run_can_be_moved_and_so_can_its_data(
    quick: None, crash_at: Callable[[int], None], tmp_path: Path
) -> None:
    np.save(
        tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (90, 5, 5)).astype(np.uint8)
    )
    crash_at(2)
    with pytest.raises(Crash):
        vaelab.train(tiny({"data.source": str(tmp_path / "a.npy")}), tmp_path / "run", quiet=True)
    crash_at(0)
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    (tmp_path / "a.npy").rename(tmp_path / "b.npy")
    with pytest.raises(vaelab.UserError, match=r"a\.npy"):
        vaelab.resume(tmp_path / "elsewhere", quiet=True)
    run = vaelab.resume(
        tmp_path / "elsewhere", {"data.source": str(tmp_path / "b.npy")}, quiet=True
    )
    assert run.finished
    assert len(run.history) == 3


def test_the_last_state_is_tensors_and_plain_values(digits_run: Path) -> None:
    found = torch.load(digits_run / "last.pt", weights_only=True)
    assert isinstance(found.pop("facts"), str)
    assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())
    assert (state(digits_run)["epoch"], state(digits_run)["step"]) == (3, 0)


def test_metrics_have_a_line_an_epoch_whatever_interrupted_them(
    quick: None, uninterrupted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path / "run", STEPS, 30, monkeypatch)
    run = vaelab.resume(tmp_path / "run", quiet=True)
    rows = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [row["epoch"] for row in run.times] == [1, 2, 3]


# ---------------------------------------------------------------- from a pack


@pytest.fixture(scope="module")
def digits_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return vaelab.pack("digits", tmp_path_factory.mktemp("digits") / "pack", quiet=True)


def learned(folder: Path) -> tuple[bytes, dict[str, Any], list[bytes]]:
    """What a run learned, whatever its data are called: losses, results, weights."""
    run = vaelab.load(folder)
    weights = [part.numpy().tobytes() for part in run.vae.state_dict().values()]
    return (folder / "metrics.jsonl").read_bytes(), run.results, weights


def test_a_run_from_a_pack_learns_what_a_run_from_its_source_does(
    quick: None, uninterrupted: Path, digits_pack: Path, tmp_path: Path
) -> None:
    vaelab.train(tiny(STEPS | {"data.source": str(digits_pack)}), tmp_path / "run", quiet=True)
    assert learned(tmp_path / "run") == learned(uninterrupted)


@pytest.mark.parametrize("after", [5, 23, 40])
def test_ctrl_c_changes_nothing_where_rows_are_read_ahead(
    after: int, quick: None, digits_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within an epoch, with blocks of ten rows, and whatever the number of threads."""
    for name, value in {"BLOCK": 640, "BLOCKS": 8, "AHEAD": 64 * 150}.items():
        monkeypatch.setattr(mapped, name, value)
    settings = STEPS | {"data.source": str(digits_pack)}
    vaelab.train(tiny(settings | {"data.workers": 0}), tmp_path / "whole", quiet=True)
    interrupted(tmp_path / "run", settings | {"data.workers": 2}, after, monkeypatch)
    assert (state(tmp_path / "run")["epoch"], state(tmp_path / "run")["step"]) == divmod(after, 23)
    vaelab.resume(tmp_path / "run", {"data.workers": 1}, quiet=True)
    assert learned(tmp_path / "run") == learned(tmp_path / "whole")


def test_a_run_does_not_go_on_with_another_pack(
    quick: None, digits_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "pack"
    shutil.copytree(digits_pack, pack)
    interrupted(tmp_path / "run", STEPS | {"data.source": str(pack)}, 30, monkeypatch)
    described = json.loads((pack / "pack.json").read_text())
    described["splits"]["train"]["shards"][0]["crc32"] = "00000000"
    (pack / "pack.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="holds other data than the run began with"):
        vaelab.resume(tmp_path / "run", quiet=True)
