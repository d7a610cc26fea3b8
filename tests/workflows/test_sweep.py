"""Sweeps: runs in several processes are those that the command trains alone, whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import BARE, SMALL, Command, flags, outcome, tiny, wait_until

import vaelab
from vaelab.cli.main import main
from vaelab.workflows.compare import _by_setting
from vaelab.workflows.console import Console
from vaelab.workflows.processes import Outcome, Process, heard, packed
from vaelab.workflows.worker import Answer, Task, work
from vaelab.workflows.workers import Workers, layout

OVER = {"objective.beta": [0.5, 2.0]}
NAMES = ["beta-0.5-seed-7", "beta-0.5-seed-8", "beta-2-seed-7", "beta-2-seed-8"]
SEED = {"train.seed": 7}
GIVEN: dict[str, Any] = SMALL | SEED


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished sweep of two settings and two seeds. To look at only."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    recipe = tiny(BARE | SEED)
    found = vaelab.sweep(recipe, out, over=OVER, seeds=2, jobs=2, compared=False, quiet=True)
    assert [*found.runs] == NAMES
    assert not found.failed
    assert [*found.settings] == ["beta-0.5", "beta-2"]
    return out


def test_a_run_of_a_sweep_is_bit_for_bit_the_run_alone(swept: Path, tmp_path: Path) -> None:
    settings = {"objective.beta": 2.0, "train.seed": 8}
    alone = vaelab.train(tiny(BARE | settings), tmp_path / "alone", quiet=True)
    assert outcome(alone.folder) == outcome(swept / "beta-2-seed-8")
    assert alone.environment["threads"] == vaelab.load(swept / NAMES[3]).environment["threads"] == 1


def test_a_sweep_is_a_study(swept: Path) -> None:
    assert json.loads((swept / "study.json").read_text()) == NAMES
    assert main(["train", "--resume", str(swept / NAMES[0])]) == 0  # finished already


def test_runs_that_differ_in_the_seed_are_one_column_of_the_comparison(swept: Path) -> None:
    runs = {name: vaelab.load(swept / name) for name in NAMES}
    found = _by_setting(runs)
    assert {name: [run.recipe.train.seed for run in of] for name, of in found.items()} == {
        "beta-0.5": [7, 8],
        "beta-2": [7, 8],
    }
    single = _by_setting({name: runs[name] for name in NAMES[:2]})
    assert [*single] == NAMES[:2]  # one setting: its seeds are compared
    uneven = _by_setting({name: runs[name] for name in NAMES[:3]})
    assert [*uneven] == NAMES[:3]


def test_a_sweep_is_extended_and_a_run_that_fails_stops_no_other(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run is missing, the others are kept, and a third value diverges."""
    out = Path(shutil.copytree(swept, tmp_path / "out"))
    shutil.rmtree(out / NAMES[1])
    over = ["--over", "objective.beta=0.5,1e38,2", "--seeds", "2", "--no-compare"]
    words = ["sweep", "quickstart", *over, "--out", str(out), *flags(GIVEN)]
    assert main([*words, "--jobs", "1"]) == 2
    captured = capsys.readouterr()
    assert "6 runs, 3 of them finished" in captured.out
    assert "1 process with 1 thread each (as --jobs says)" in captured.out
    assert "beta-1e+38-seed-7: failed: epoch 1: a moment of the optimiser" in captured.out
    assert "2 runs failed (beta-1e+38-seed-7, beta-1e+38-seed-8), the others" in captured.err
    for name in NAMES:
        assert outcome(out / name) == outcome(swept / name)
    names = json.loads((out / "study.json").read_text())
    assert names == [*NAMES, "beta-1e+38-seed-7", "beta-1e+38-seed-8"]


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    start: Callable[..., Command], many: Path, tmp_path: Path
) -> None:
    """Ctrl-C reaches the command alone; its processes save their state within an epoch."""
    settings = {"data.source": str(many), "data.form": "table", "model.likelihood": "gaussian",
        "train.batch": 16, "train.epochs": 2}  # fmt: skip
    given = GIVEN | settings
    words = ["sweep", "quickstart", "--seeds", "2", "--jobs", "2", *flags(given)]
    command = start(*words, "--out", tmp_path / "out")
    wait_until(lambda: any((tmp_path / "out").glob("*/last.pt")), 60)
    ended = command.kill(signal.SIGINT)
    assert ended.code == 130
    assert "run the same command again to continue" in ended.err
    assert len([*(tmp_path / "out").glob("*/results.json")]) < 2
    again = start(*words, "--out", tmp_path / "out").wait()
    assert again.code == 0, again.err
    assert "fewer than two settings" in again.out
    alone = vaelab.train(tiny(given | {"train.seed": 8}), tmp_path / "alone", quiet=True)
    assert outcome(alone.folder) == outcome(tmp_path / "out" / "seed-8")


def test_a_worker_that_is_stopped_while_it_starts_trains_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that a pruned trial stops, and one whose input ends, as where the command was killed.

    A file of the working folder that has the name of a module of Python is not imported.
    """
    (tmp_path / "types.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(tmp_path)
    recipe = tiny(BARE | {"train.epochs": 1000, "train.threads": 1})
    stopped, left = Process(), Process()
    for name, process in (("stopped", stopped), ("left", left)):
        process.call(packed(work, (Task(tmp_path / name, recipe, overwrite=False, weights=0),)))
    stopped.stop()
    left.end()
    outcome = None
    while not outcome:
        heard([stopped], 30)
        outcome = stopped.outcome()
    assert outcome.kind == "interrupted"
    for process in (stopped, left):
        process.end()
        process.process.join(30)
        assert process.process.exitcode == 0
    assert not [*tmp_path.glob("*/metrics.jsonl")]


def test_a_worker_that_is_killed_fails_its_task_and_another_takes_its_place(
    tmp_path: Path,
) -> None:
    with Workers(1, Console(quiet=True)) as workers:
        for name in ("one", "two"):
            workers.give(Task(tmp_path / name, tiny(BARE), overwrite=False, weights=0))
            assert not workers.free
            (worker,) = workers.every
            worker.process.process.kill()
            ((task, answer),) = workers.answers(30)
            assert task.folder.name == name
            assert answer.status == "failed"
            assert answer.text.startswith("its process was killed by SIGKILL")
            assert answer.text.endswith("with too little memory, lower --jobs")
            assert workers.free


def test_a_task_that_the_user_is_to_correct_fails_with_the_reason_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "mine.txt").write_text("mine")
    with Workers(1, Console(quiet=True)) as workers:
        workers.give(Task(tmp_path / "one", tiny(BARE), overwrite=False, weights=0))
        answers: list[tuple[Task, Answer]] = []
        while not answers:
            answers += workers.answers(30)
    ((_, answer),) = answers
    assert answer.status == "failed"
    assert answer.text.startswith(f"{tmp_path / 'one'}: ")
    assert not capsys.readouterr().err


def test_a_task_whose_process_ends_between_two_looks_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look finds it at work, although it ends before the look is over."""
    looks = []

    def outcome(process: Process) -> Outcome | None:
        looks.append(process)
        process.process.kill()
        process.process.join()
        return None if len(looks) == 1 else Outcome("killed", "was killed")

    monkeypatch.setattr(Process, "outcome", outcome)
    with Workers(1, Console(quiet=True)) as workers:
        workers.give(Task(tmp_path / "one", tiny(BARE), overwrite=False, weights=0))
        assert not [*workers.answers(0)]
        assert workers.busy
        assert [answer.status for _, answer in workers.answers(0)] == ["failed"]
        assert not workers.busy
        assert not workers.every


def test_threads_may_start_processes_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    script, length = sys.modules["__main__"], packed(len, ("four",))

    def outcome(_: int) -> Outcome:
        process, found = Process(), None
        process.call(length)
        while not found:
            heard([process], 30)
            found = process.outcome()
        process.end()
        process.process.join(30)
        return found

    with ThreadPoolExecutor(3) as pool:
        assert [*pool.map(outcome, range(3))] == [Outcome("result", 4)] * 3
    assert sys.modules["__main__"] is script
    assert "PYTHONSAFEPATH" not in os.environ


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing varies; add --seeds 8 or"),
        (["--over", "objective.beta"], "--over objective.beta: expected KEY=A,B"),
        (["--over", "objective.beta=1,2", "--over", "objective.beta=3"], "is given twice"),
        (["--over", "objective.beta=0.5..2"], "objective.beta: a range is for a search; add"),
        (["--over", "model.latent=2,two"], "model.latent: expected int"),
        (["--over", "data.treatment=grey,counts"], "needs"),
        (["--seeds", "2", "--over", "train.seed=1,2"], "train.seed: is varied twice"),
        (["--seeds", "2", "--search", "4"], "a search trains one seed a trial"),
        (["--seeds", "2", "--train.devices", "2"], "set --train.devices and --train.nodes to 1"),
        (["--over", "train.nodes=1,2"], "each run of a sweep is trained by one process"),
        (["--search", "4"], "a search needs what it varies; add --over"),
        (
            ["--search", "4", "--over", "objective.beta=1..2", "--data.validation", "0"],
            "data.validation: a search chooses by validation images, of which there are none",
        ),
        (["--seeds", "2", "--out", "RUN"], "holds a run; a study needs a folder of its own"),
        (["--seeds", "0"], "--seeds: expected a whole number of at least 1"),
    ],
)
def test_misuse_is_one_line_and_writes_nothing(
    words: list[str],
    says: str,
    digits_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word.replace("RUN", str(digits_run)) for word in words]
    out = [] if "--out" in words else ["--out", str(tmp_path / "out")]
    assert main(["sweep", "quickstart", *flags(GIVEN), *words, *out]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_sweep_that_several_processes_begin_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"NUM_TASKS": "4", "NUM_NODES": "2", "NODELIST": "a,b"}
    for name, value in variables.items():
        monkeypatch.setenv(f"SLURM_STEP_{name}", value)
    for name in ("PROCID", "LOCALID"):
        monkeypatch.setenv(f"SLURM_{name}", "0")
    with pytest.raises(vaelab.UserError, match="sweep: SLURM started 4 processes, and each would"):
        vaelab.sweep(tiny(BARE), tmp_path / "out", over=OVER)
    assert not (tmp_path / "out").exists()


def test_other_recipes_in_the_folder_are_refused(
    swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = outcome(swept)
    words = ["sweep", "quickstart", "--out", str(swept), "--seeds", "2"]
    given = flags(GIVEN | {"train.epochs": 4})
    assert main([*words, "--over", "objective.beta=0.5", *given]) == 2
    assert "contains a run of another recipe (--train.epochs 3, not 4)" in capsys.readouterr().err
    assert outcome(swept) == before


def test_processes_and_threads_fit_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaelab.devices.cores", lambda: 8)
    monkeypatch.setattr("vaelab.devices.threads", lambda asked: (8, ""))
    monkeypatch.setattr("vaelab.devices.memory", lambda: (1000.0, 100_000.0))
    assert layout(100)[:2] == (8, 1)
    assert layout(2)[:2] == (2, 4)
    assert layout(100, threads=2)[:2] == (4, 2)
    assert layout(100, jobs=3)[:2] == (3, 2)
    assert layout(100, gpu=True)[:2] == (1, 8)
    monkeypatch.setattr("vaelab.devices.memory", lambda: (1000.0, 4600.0))
    assert layout(100) == (3, 2, "4,600 MiB of free memory, 1,500 a process")
