"""What trackers are told, what they cannot do to a training, and what is said of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, contents, flags, outcome, tiny

import vaelab
from vaelab.cli import train as commands
from vaelab.cli.main import main
from vaelab.recipes import flatten
from vaelab.tracking import TRACKERS, Finished, Opened, Start, trackers_of
from vaelab.tracking.records import ABOUT, flat
from vaelab.tracking.tensorboard import TensorBoard

NOTES = "tracking.json"


class Listener:
    """Remembers what it is told.

    `continues` is what it answers to a start; after epoch `stop` it interrupts, as Ctrl-C does.
    """

    def __init__(self, continues: bool | None = None, stop: int = 0) -> None:
        self.continues, self.stop = continues, stop
        self.starts: list[Start] = []
        self.epochs: list[tuple[int, dict[str, float]]] = []
        self.found: list[dict[str, float]] = []
        self.ends: list[bool] = []

    def begin(self, start: Start) -> Opened | None:
        self.starts.append(start)
        return None if self.continues is None else Opened("here", self.continues)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.epochs.append((number, dict(values)))
        if number == self.stop:
            os.kill(os.getpid(), signal.SIGINT)

    def results(self, finished: Finished) -> None:
        self.found.append(finished.results)

    def end(self, finished: bool) -> None:
        self.ends.append(finished)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.epochs]


class Rude(Listener):
    """Reseeds the generators, then changes what it was given, then fails."""

    def begin(self, start: Start) -> None:
        torch.manual_seed(1)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        torch.manual_seed(number)
        assert isinstance(values, dict)
        values.clear()
        if number == 2:
            raise OSError(28, "No space left on device")


@pytest.mark.usefixtures("quick")
def test_a_tracker_receives_the_records_of_the_run(tmp_path: Path) -> None:
    heard = Listener()
    run = vaelab.train(tiny(), tmp_path / "run", quiet=True, track=heard)
    (start,) = heard.starts
    assert (start.name, start.folder) == ("quickstart", run.folder)
    assert start.settings == flatten(run.recipe)
    rows = [
        (row["epoch"], flat(row, time)) for row, time in zip(run.history, run.times, strict=True)
    ]
    assert heard.epochs == rows
    assert {"train/loss", "validation/rate", "beta", "learning_rate", "seconds"} <= {*rows[0][1]}
    assert heard.found == [
        {f"results/{k}": v for k, v in run.results.items() if not isinstance(v, str)}
    ]
    assert heard.ends == [True]
    assert {name.rpartition("/")[2] for name in rows[0][1]} <= ABOUT.keys()


@pytest.mark.usefixtures("quick")
def test_no_tracker_changes_or_stops_a_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vaelab.train(tiny(), tmp_path / "alone", quiet=True)
    rude, heard, other = Rude(), Listener(), Listener()
    vaelab.train(tiny(), tmp_path / "run", track=[rude, heard, other])
    found = outcome(tmp_path / "run")
    del found[NOTES]
    assert found == outcome(tmp_path / "alone")
    said = [line for line in capsys.readouterr().out.splitlines() if "Rude" in line]
    assert said == ["note: Rude failed ([Errno 28] No space left on device); the training goes on"]
    assert heard.numbers == other.numbers == [1, 2, 3]
    assert rude.ends == []


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("continues", "expected"),
    [(True, [3]), (False, [1, 2, 3]), (None, [1, 2, 3])],
    ids=["it has the earlier epochs", "it has lost them", "it does not say"],
)
def test_a_resumed_run_sends_what_a_tracker_lacks(
    continues: bool | None, expected: list[int], tmp_path: Path
) -> None:
    first, second, third = Listener(continues, stop=2), Listener(continues), Listener(continues)
    with pytest.raises(KeyboardInterrupt):
        vaelab.train(tiny(), tmp_path, quiet=True, track=first)
    assert (first.numbers, first.found, first.ends) == ([1, 2], [], [False])
    run = vaelab.resume(tmp_path, quiet=True, track=second)
    assert second.numbers == expected
    assert second.starts[0].id == first.starts[0].id
    assert (len(second.found), second.ends) == (1, [True])
    vaelab.track(run, third, quiet=True)
    assert third.numbers == ([] if continues else [1, 2, 3])
    assert len(third.found) == (not continues)


@pytest.mark.usefixtures("quick")
def test_a_new_run_in_the_folder_has_another_identity(tmp_path: Path) -> None:
    heard = Listener(continues=True)
    for _ in range(2):
        vaelab.train(tiny(), tmp_path, overwrite=True, quiet=True, track=heard)
    assert heard.starts[0].id != heard.starts[1].id
    assert heard.numbers == [1, 2, 3] * 2


@pytest.mark.usefixtures("quick")
def test_damaged_notes_begin_a_new_run(tmp_path: Path) -> None:
    vaelab.train(tiny(), tmp_path, quiet=True, track=(heard := Listener(continues=True)))
    (tmp_path / NOTES).write_text('{"id": 3')
    vaelab.track(tmp_path, heard, quiet=True)
    assert heard.numbers == [1, 2, 3] * 2


@pytest.mark.usefixtures("quick")
def test_each_run_of_a_study_is_a_run_of_the_tracker(tmp_path: Path) -> None:
    recipes = {name: tiny({"train.epochs": 1}) for name in ("a", "b")}
    vaelab.train_all(recipes, tmp_path, quiet=True, track=(heard := Listener()))
    assert [start.folder.name for start in heard.starts] == ["a", "b"]
    assert heard.ends == [True, True]


def test_a_missing_package_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vaelab.tracking.table.find_spec", lambda name: None)
    assert main(["train", "quickstart", "--track", "wandb"]) == 2
    assert (
        "--track: wandb is needed to send records to wandb; install it: pip install wandb"
        in capsys.readouterr().err
    )
    assert not contents(tmp_path)


def test_a_package_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaelab.tracking.table.find_spec", lambda name: True)
    monkeypatch.setattr("vaelab.tracking.table.version", lambda name: "0.0.6")
    with pytest.raises(vaelab.UserError, match=r"trackio 0\.0\.6 is installed, but .* 0\.43"):
        trackers_of("trackio")


def test_trackers_are_named_in_a_list_and_each_counts_once() -> None:
    heard = Listener()
    found = trackers_of(["tensorboard,mlflow", "tensorboard", heard])
    assert [type(one).__name__ for one in found] == ["TensorBoard", "MLflow", "Listener"]
    with pytest.raises(vaelab.UserError, match="did you mean 'tensorboard'"):
        trackers_of("tensorbord")


def test_the_help_names_every_tracker() -> None:
    assert all(name in commands.TRACKERS for name in TRACKERS)


def test_a_finished_run_is_sent_afterwards(
    a_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", str(a_copy), "--with", "tensorboard"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == [
        f"tensorboard: records in {a_copy}; look at them with: tensorboard --logdir "
        f"{a_copy.parent}",
        f"{a_copy}: 3 epochs and the results",
    ]
    (events,) = a_copy.glob("events.out.tfevents.*")
    assert b"figures/reconstructions" in events.read_bytes()
    points = (a_copy / "00003" / "codes" / "tensors.tsv").read_text().splitlines()
    assert len(points) == TINY["figures.points"]
    assert main(["train", "quickstart", "--out", str(a_copy), "--overwrite", *flags(TINY)]) == 0
    assert not [*a_copy.glob("events*"), *a_copy.glob("000*"), *a_copy.glob("projector*")]


def test_a_tracker_that_fails_is_one_line(
    a_copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any) -> None:
        print("a package prints")
        raise OSError(28, "No space left on device\nand a second line")

    monkeypatch.setattr(TensorBoard, "epoch", full)
    assert main(["track", str(a_copy), "--with", "tensorboard"]) == 2
    out, error = capsys.readouterr()
    assert "a package prints" not in out + error
    assert error.count("\n") == 1
    assert "tensorboard failed ([Errno 28] No space left on device" in error
    assert f"vaelab track {a_copy} --with tensorboard sends the rest later" in error
    assert json.loads((a_copy / NOTES).read_text())["sent"]["tensorboard"]["epochs"] == 0
    monkeypatch.undo()
    assert main(["track", str(a_copy), "--with", "tensorboard"]) == 0


def test_vaelab_track_needs_a_run_and_a_tracker(
    a_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", str(tmp_path / "none"), "--with", "tensorboard"]) == 2
    assert main(["track", str(a_copy)]) == 2
    with pytest.raises(vaelab.UserError, match="name a tracker"):
        vaelab.track(a_copy, [])
