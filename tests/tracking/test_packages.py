"""What real trackers hold after a training and its resume is what metrics.jsonl says."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ENVIRONMENT, contents

import vaelab
from vaelab.files import written
from vaelab.tracking import TRACKERS
from vaelab.tracking.records import flat

Read = dict[str, dict[str, list[list[float]]]]


def tracked(folder: Path, names: str) -> tuple[vaelab.Run, Read]:
    """Train with these trackers, resume, and return the run and what they hold."""
    words = [sys.executable, Path(__file__).with_name("packages.py"), folder, names]
    done = subprocess.run(
        words, env=ENVIRONMENT, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "note:" not in done.stdout, done.stdout
    *said, found = done.stdout.splitlines()
    for name in names.split(","):  # one line for the training, its resume and vaelab track
        assert sum(line.startswith(f"{name}: ") for line in said) == 3
        assert sum(name in line for line in said) == 3
    return vaelab.load(folder / "run"), json.loads(found)


def records(run: vaelab.Run) -> dict[str, list[list[float]]]:
    """Name -> [[epoch, value], ...] by the files of the run."""
    found: dict[str, list[list[float]]] = {}
    for row, time in zip(run.history, run.times, strict=True):
        for name, value in flat(row, time).items():
            found.setdefault(name, []).append([row["epoch"], value])
    assert len(found["train/loss"]) == 5
    return found


def results(run: vaelab.Run) -> dict[str, Any]:
    numbers = {k: v for k, v in run.results.items() if not isinstance(v, str)}
    return {f"results/{name}": [5, value] for name, value in numbers.items()}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[vaelab.Run, Read]:
    return tracked(tmp_path_factory.mktemp("tracked"), "tensorboard,mlflow,wandb")


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
def test_a_tracker_holds_the_records_of_a_resumed_run_once(
    name: str, both: tuple[vaelab.Run, Read]
) -> None:
    run, read = both
    for key, pairs in records(run).items():
        held = read[name][key]
        if name == "tensorboard":  # stores float32
            pairs = [[epoch, float(np.float32(value))] for epoch, value in pairs]
        assert held == pairs, key
    for key, pair in results(run).items():
        step, value = read[name][key][-1]
        assert [step, value] == pytest.approx(pair, rel=6e-8 if name == "tensorboard" else 0), key


def test_tensorboard_shows_pictures_and_labelled_codes(both: tuple[vaelab.Run, Read]) -> None:
    run, read = both
    found = read["tensorboard"]
    assert found["figures/losses"] == [[5, 40, 30]]
    assert [step for step, *_ in found["progress"]] == [1, 2, 3, 4, 5]
    labels = {label for label, _ in found["codes"]}
    assert len(found["codes"]) == 30
    assert labels <= set(range(10))
    assert {size for _, size in found["codes"]} == {3}  # what the projector needs at least
    assert (run.folder / "00005" / "codes" / "sprite.png").is_file()


def test_nothing_outside_this_machine_is_asked_for(both: tuple[vaelab.Run, Read]) -> None:
    assert both[1]["tried"] == []


def test_a_new_run_in_the_folder_deletes_what_tensorboard_wrote(
    both: tuple[vaelab.Run, Read],
) -> None:
    run = both[0]
    files = {name for name, content in contents(run.folder).items() if content is not None}
    unlisted = {".vaelab", ".lock", "figures/losses.png"}  # the last one by packages.py
    assert files - unlisted <= {*written(run.folder)}


def test_trackio_holds_the_records_of_a_resumed_run_once(tmp_path: Path) -> None:
    try:
        found = version("trackio")
    except PackageNotFoundError:
        found = "0.0"
    if tuple(map(int, found.split(".")[:2])) < TRACKERS["trackio"].least:
        pytest.skip("trackio: its releases since 0.43 ask for an older Pillow than the tests use")
    run, read = tracked(tmp_path, "trackio")
    for key, pairs in records(run).items():
        assert sorted(read["trackio"][key]) == pairs, key
    for key, pair in results(run).items():
        assert read["trackio"][key][-1] == pair, key
    assert read["tried"] == []
