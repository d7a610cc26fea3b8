"""Runs that are trained in two processes: killed, resumed, interrupted, and finished in one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import BARE, ENVIRONMENT, SCRIPT, TINY, Ended, flags, state, tiny, wait_until

import vaelab
from vaelab.errors import UserError

# Every random number stream of a step, and statistics of the batch.
GIVEN = TINY | BARE | {
    "data.treatment": "dynamic",
    "model.dropout": 0.1,
    "model.batch_norm": True,
    "train.batch": 32,
    "train.schedule": "constant",
    "train.epochs": 40,
    "train.devices": 2,
    "train.threads": 2,
}  # fmt: skip


def children(pid: int) -> list[int]:
    """The processes of the ranks, in their order; the last ones that a process started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        child
        for child in sorted(map(int, found))
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def epochs_done(folder: Path) -> int:
    path = folder / "metrics.jsonl"
    return len(path.read_text().splitlines()) if path.exists() else 0


class Training:
    """A command of its own process, and the processes that it starts."""

    def __init__(self, *words: object) -> None:
        self.process = subprocess.Popen(
            [SCRIPT, "train", *map(str, words)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ends(self) -> Ended:
        out, err = self.process.communicate(timeout=60)
        return Ended(self.process.returncode, out, err)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
def test_a_run_in_two_processes_is_killed_resumed_interrupted_and_finished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    training = Training("quickstart", "--out", folder, *flags(GIVEN))
    wait_until(lambda: epochs_done(folder) > 0, 60)
    ranks = children(training.process.pid)
    os.kill(ranks[1], signal.SIGKILL)
    ended = training.ends()
    assert ended.code == 2
    assert "the process of rank 1 was killed by SIGKILL" in ended.err
    assert f"continue with: vaelab train --resume {folder}" in ended.err
    assert "Traceback" not in ended.err
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks), "a process is left behind"
    assert ended.out.count("processes: 2, each with 1 thread") == 1, "rank 0 alone prints"
    before = state(folder)
    assert before["epoch"] == epochs_done(folder) > 0
    assert before["step"] == 0

    training = Training("--resume", folder)
    wait_until(lambda: epochs_done(folder) > before["epoch"], 60)
    training.process.send_signal(signal.SIGTERM)
    ended = training.ends()
    assert ended.code == 130
    assert "saved at epoch" in ended.err or "saved after epoch" in ended.err
    paused: dict[str, Any] = state(folder)
    assert paused["ranks"] == 2

    # One process goes on where two have stopped, and finishes the run.
    run = vaelab.resume(folder, {"train.devices": 1})
    assert "note: 1 process, the run began with 2; the noise differs" in capsys.readouterr().out
    assert [entry["epoch"] for entry in run.history] == list(range(1, GIVEN["train.epochs"] + 1))
    assert run.finished
    machine = json.loads((folder / "environment.json").read_text())
    assert (machine["devices"], machine["nodes"], machine["world_size"]) == (2, 1, 2)


def test_several_machines_need_a_launcher(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 machines need a launcher on each of them; start the"):
        vaelab.train(tiny({"train.nodes": 2}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_has_an_image_for_each_process(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"set train\.batch to 6, or set train\.devices and train"):
        vaelab.train(tiny({"train.batch": 4, "train.devices": 6}), tmp_path / "run")
    with pytest.raises(UserError, match="2 machines need a launcher"):  # enough images now
        vaelab.train(tiny({"train.batch": 6, "train.devices": 3, "train.nodes": 2}), tmp_path)


def test_what_is_refused_in_the_processes_is_raised_here(tmp_path: Path) -> None:
    given = {"data.source": str(tmp_path / "absent.npy"), "train.devices": 2}
    with pytest.raises(UserError, match=r"absent\.npy"):
        vaelab.train(tiny(given), tmp_path / "run")
