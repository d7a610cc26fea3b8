"""The driver's side of a contestant: its environment, its process, and that process's memory.

Lines of JSON on standard streams are all that both sides share: the environments of the peers have
neither vaelab, whose `workflows.processes` start trainings, nor its version of Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from process_memory import of_tree

from vaelab import devices

HERE = Path(__file__).parent
PATIENCE = 900  # seconds for one answer
INTERVAL = 0.02  # seconds between two looks at the memory


class Unavailable(Exception):  # noqa: N818  # a state, not a mistake
    """A contestant cannot take part, or stops; the reason is one line."""


class Row(NamedTuple):
    """A contestant: what it is, and how its process is started.

    Args:
        code: The class of its worker, MODULE:CLASS.
        options: What that class is called with.
        requirements: The file that lists the packages of its environment; "": vaelab's.
        variables: Its environment variables.
        imports: The statement whose time is its import time.
        command: The arguments of Python for a whole training; "": its worker is the program.
        trains: Whether it has a loss: the floor has none.
        likelihood: Whether it computes an importance-weighted log-likelihood.
        scheduled: Whether its recipe says how many epochs it trains.
    """

    about: str
    code: str
    options: Mapping[str, Any] = {}
    requirements: str = ""
    variables: Mapping[str, str] = {}
    imports: str = ""
    command: str = ""
    trains: bool = True
    likelihood: bool = False
    scheduled: bool = False


def python_of(row: Row, folder: Path) -> str:
    """The interpreter of the environment of a row, which is made in `folder` where it is missing.

    Raises:
        Unavailable: The environment cannot be made.
    """
    if not row.requirements:
        return sys.executable
    listed = HERE / row.requirements
    key = hashlib.sha256(listed.read_bytes() + sys.version.encode()).hexdigest()[:8]
    home = folder / f"{listed.stem}-{key}"
    python, ready = home / "bin" / "python", home / "ready"
    if not ready.exists():
        print(f"making the environment of {listed.name} in {devices.anonymous(str(home))}")
        _run(sys.executable, "-m", "venv", "--clear", str(home))
        _run(str(python), "-m", "pip", "install", "--quiet", "-r", str(listed))
        ready.touch()
    return str(python)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"no environment: {_reason(done.stderr)}")


def _reason(text: str) -> str:
    """The last line that names an error, else the last; without addresses and the user's folder."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    errors = [line for line in lines if "error" in line.lower()] or lines
    return devices.anonymous(re.sub(r"\w+://\S+", "...", errors[-1]))[:200]


def variables_of(row: Row, threads: int) -> dict[str, str]:
    """The environment variables of a contestant: a peer does not see vaelab's packages."""
    kept = dict(os.environ)
    path = kept.pop("PYTHONPATH", "")
    paths = [str(HERE.parent)] if row.requirements or not path else [str(HERE.parent), path]
    ours = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(threads)}
    return kept | ours | dict(row.variables)


class Process:
    """The process of a contestant, which has read its data and waits for requests."""

    def __init__(self, row: Row, python: str, folder: Path, threads: int) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # until `close`
        self.process = subprocess.Popen(
            [python, "-m", "contestants.worker", row.code, str(folder), json.dumps(row.options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            bufsize=1,
            cwd=folder,
            env=variables_of(row, threads),
        )
        try:
            self._answer()
        except Unavailable:
            self.close()
            raise

    def __call__(self, do: str, **given: Any) -> tuple[float, Any]:
        """The seconds of a method of the worker, and what it returns."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # `_answer` says why
            self.process.stdin.write(json.dumps({"do": do, **given}) + "\n")
        answer = self._answer()
        return answer["seconds"], answer["value"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        timer = threading.Timer(PATIENCE, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise Unavailable(f"its process ended: {_reason(self.errors.read())}")
        return dict(json.loads(line))

    def close(self) -> None:
        """End the process, and wait until it has ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """Inside, the memory of the process and its own processes is measured again and again.

        The list holds MiB of anonymous memory, a page that several processes share counted once.
        """
        mib, over = [of_tree(self.process.pid)], threading.Event()

        def watch() -> None:
            while not over.wait(INTERVAL):
                mib.append(of_tree(self.process.pid))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield mib
        finally:
            over.set()
            thread.join()


def timed(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> float:
    """The seconds of a whole command."""
    begun = time.perf_counter()
    done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise Unavailable(f"{' '.join(command[1:4])} failed: {_reason(done.stderr)}")
    return seconds
