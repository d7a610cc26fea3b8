"""What all tests share: one thread, fixed random seeds, and small runs.

One thread is enough because the tensors are tiny.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pytest
import torch
from mirror import cache, server  # noqa: F401  # fixtures

import vaelab
from vaelab.cli.main import COMMANDS, main

torch.set_num_threads(1)
# A shell's background job ignores Ctrl-C, nohup ignores SIGHUP; so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
# The cache lasts as long as the tests run, so that what they train never reaches a user's cache.
KEPT = tempfile.TemporaryDirectory(prefix="vaelab-tests-")
os.environ["VAELAB_CACHE_DIR"] = KEPT.name
hypothesis.settings.register_profile("vaelab", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("vaelab")


# The files that last longest are first: no process is left alone with one of them at the end.
LONGEST = {
    *("test_course.py", "test_commands.py", "test_resume.py", "test_files.py", "test_remedies.py"),
    *("test_several_processes.py", "test_ranks.py", "test_latent.py", "test_evaluate.py"),
    *("test_doctor.py", "test_run_page.py", "test_console.py", "test_site.py", "test_gallery.py"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.name not in LONGEST)


_known = {"modules": 0}


def pytest_runtest_logstart() -> None:
    """Keep what modules made out of the collections of garbage, one of which every training begins
    with: to look through all of it takes a quarter of a small training.
    """
    if len(sys.modules) > _known["modules"]:  # the test before this one imported something
        gc.collect()
        gc.freeze()
        _known["modules"] = len(sys.modules)


# A test that judges seconds has the machine for itself: each other test holds a share of a lock
# that it takes whole. It waits in the door, so that no other test comes in before it.
LOCK = Path(tempfile.gettempdir(), f"vaelab-tests-{os.getuid()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    with LOCK.with_suffix(".door").open("a") as door, LOCK.with_suffix(".lock").open("a") as lock:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(lock, fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        try:
            return (yield)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)  # a process that the test left behind holds it too


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# --- the browser of the tests that open pages -----------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The Chromium that the tests of a module share."""
    from playwright.sync_api import sync_playwright  # only where there is one

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


# --- small runs, and what they leave on the disk --------------------------------------------------

TINY: dict[str, Any] = {
    "data.source": "digits",
    "data.treatment": "grey",
    "model.likelihood": "bernoulli",
    "model.hidden": [16],
    "model.latent": 2,
    "train.batch": 64,
    "train.learning_rate": 2e-3,
    "train.schedule": "cosine",
    "train.threads": 1,
    "train.epochs": 3,
    "figures.points": 50,
    "figures.examples": 3,
    "figures.samples": 4,
}
BARE = {"figures.format": []}  # plotting takes four fifths of so small a training
SMALL = TINY | BARE
# The files of a run that depend on when and how it was made.
CLOCK = {"environment.json", "times.jsonl", "report.html"}


def tiny(overrides: Mapping[str, Any] | None = None) -> vaelab.Recipe:
    """A recipe that trains in a blink."""
    return vaelab.recipe("quickstart", TINY | dict(overrides or {}))


def flags(overrides: Mapping[str, Any] | None = None) -> list[str]:
    """The same settings as words of a command line."""
    texts = {
        key: ",".join(map(str, v)) if isinstance(v, list) else str(v)
        for key, v in (overrides or {}).items()
    }
    return [
        f"--{key}={text.lower() if text in ('True', 'False') else text}"
        for key, text in texts.items()
    ]


def least(command: str) -> list[str]:
    """The fewest words that a command takes."""
    words = [command]
    for option in COMMANDS[command].options:
        if option.required:
            words += [option.name, "x.csv"]
        elif not option.name.startswith("-") and option.number != "?":
            words += [*option.choices][:1] or [option.name.lower()]
    return words


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file and folder below, hidden ones too, with its bytes."""
    return {
        str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None
        for p in sorted(folder.rglob("*"))
    }


def outcome(folder: Path) -> dict[str, bytes | None]:
    """The files of a run that must not depend on how often it was interrupted.

    These are all files except those that record time or machine (`CLOCK`) and scratch files.
    """
    return {
        name: b
        for name, b in contents(folder).items()
        if name not in CLOCK and not name.startswith(".")
    }


def state(folder: Path) -> dict[str, Any]:
    """What last.pt holds: tensors, the facts beside them, and the number of whole epochs."""
    found: dict[str, Any] = torch.load(folder / "last.pt", weights_only=True)
    facts = json.loads(found.pop("facts"))
    return found | facts | {"epoch": len(facts["history"])}


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Train without pictures, report, and checking how busy the machine is.

    For tests that are about neither.
    """
    patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
    patch.setattr("vaelab.plots.gallery.snapshot", lambda *_: None)
    patch.setattr("vaelab.workflows.train.write_finished", lambda *_: None)
    patch.setattr("vaelab.devices._idle_cores", lambda: float(os.cpu_count() or 1))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on digits with all its pictures. To look at only; `a_copy` is for damage."""
    folder = tmp_path_factory.mktemp("digits") / "run"
    assert main(["train", "quickstart", "--out", str(folder), *flags(TINY)]) == 0
    return folder


@pytest.fixture
def a_copy(digits_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(digits_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .npy with many small images, as flat rows.

    There are so many that an epoch of batches of 16 lasts about a second.
    """
    path = tmp_path_factory.mktemp("many") / "many.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (20_000, 36)).astype(np.uint8))
    return path


# --- the command line as processes of its own -----------------------------------------------------

SCRIPT = Path(sys.executable).with_name("vaelab")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


class Ended(NamedTuple):
    code: int  # negative: the signal that ended it
    out: str
    err: str


def script(*words: object, cwd: Path | None = None, timeout: float = 120) -> Ended:
    """The installed command, as a user's shell would run it."""
    done = subprocess.run(
        [SCRIPT, *map(str, words)],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def wait_until(ready: Callable[[], bool], seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.002)


# Importing what a training needs takes three seconds, so one process imports it and forks itself
# for every command. A fork is a process like any other: it has its own exit code and output, and
# can be killed.
SERVER = """
import gc, json, os, signal, sys, time, traceback
import matplotlib.backends.backend_agg
import torch, sklearn.datasets, vaelab.cli.main, vaelab.workflows.train
gc.freeze()

def command(job):
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(os.path.join(job["logs"], name), os.O_WRONLY | os.O_CREAT), number)
    torch.set_num_threads(1)
    sys.argv = ["vaelab", *job["words"]]
    code = 1
    try:
        exec(job["first"], {})
        code = vaelab.cli.main.main()
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

for line in sys.stdin:
    job = json.loads(line)
    if "words" in job:
        pid = os.fork()
        if not pid:
            command(job)
        print(pid, flush=True)
    else:
        limit = time.monotonic() + job["timeout"]
        while (ended := os.waitpid(job["pid"], os.WNOHANG)) == (0, 0):
            if time.monotonic() > limit:
                os.kill(job["pid"], signal.SIGKILL)
            time.sleep(0.002)
        print(os.waitstatus_to_exitcode(ended[1]), flush=True)
"""


class Command:
    """A command that runs."""

    def __init__(
        self,
        ask: Callable[[dict[str, Any]], int],
        words: tuple[object, ...],
        first: str,
        logs: Path,
    ) -> None:
        self.ask, self.logs, self.code = ask, logs, None
        logs.mkdir()
        self.pid = ask({"words": [*map(str, words)], "first": first, "logs": str(logs)})

    def wait(self, timeout: float = 60) -> Ended:
        code = self.ask({"pid": self.pid, "timeout": timeout})
        return Ended(code, *((self.logs / name).read_text() for name in ("out", "err")))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> Ended:
        os.kill(self.pid, number)  # until it is waited for, its number is its own
        return self.wait()


@pytest.fixture(scope="session")
def _server() -> Iterator[Callable[[dict[str, Any]], int]]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        assert process.stdin
        assert process.stdout
        into, out = process.stdin, process.stdout

        def ask(job: dict[str, Any]) -> int:
            print(json.dumps(job), file=into, flush=True)
            return int(out.readline())

        yield ask
        into.close()


@pytest.fixture
def start(_server: Callable[[dict[str, Any]], int], tmp_path: Path) -> Callable[..., Command]:
    """Start a command in its own process; `first` is Python that the process runs before it."""
    logs = tmp_path / "logs"
    logs.mkdir()

    def begin(*words: object, first: str = "") -> Command:
        return Command(_server, words, first, logs / str(len(list(logs.iterdir()))))

    return begin
