"""Several processes that train runs at the same time."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from vaelab import devices
from vaelab.workflows.console import Console
from vaelab.workflows.worker import Answer, Task

ROOM = 1.5  # times the memory of this process, which has loaded the same data


class Layout(NamedTuple):
    """How many processes train at the same time, and with how many threads each."""

    jobs: int
    threads: int
    why: str


def layout(runs: int, jobs: int = 0, threads: int = 0, gpu: bool = False) -> Layout:
    """Share the cores and the memory out among the processes; 0 where it is to be chosen.

    As many processes as cores, with as many threads as `devices.threads` allows for all of them.

    >>> layout(1, jobs=2, threads=1)
    Layout(jobs=1, threads=1, why='as --jobs says')
    """
    cores = devices.cores()
    needed, free = devices.memory()
    fitting = max(1, int(free / (ROOM * needed))) if needed else cores
    why = "as --jobs says"
    if not jobs:
        jobs, why = max(1, cores // max(1, threads)), f"{cores} core{'s' * (cores > 1)}"
        if gpu:
            jobs, why = 1, "the GPU is shared by no two; --jobs N lets more use it"
        elif fitting < jobs:
            jobs, why = fitting, f"{free:,.0f} MiB of free memory, {ROOM * needed:,.0f} a process"
    jobs = min(jobs, runs)
    return Layout(jobs, threads or max(1, devices.threads(0)[0] // jobs), why)


class _Worker:
    """A process, and the task that it has in hand."""

    def __init__(self) -> None:
        package = str(Path(__file__).parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vaelab.workflows.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for this process, which passes it on
        )
        assert self.process.stdin
        assert self.process.stdout
        self.input, self.output = self.process.stdin, self.process.stdout
        self.task: Task | None = None

    def send(self, task: Task | None) -> None:
        with suppress(BrokenPipeError):  # its end is noticed where its answer is awaited
            self.input.write(msgspec.json.encode(task) + b"\n")
            self.input.flush()

    def answer(self) -> Answer:
        if line := self.output.readline():
            return msgspec.json.decode(line, type=Answer)
        code = self.process.wait()
        how = f"by signal {-code}" if code < 0 else f"with status {code}"
        return Answer("failed", f"its process ended {how}; with too little memory, lower --jobs")

    def end(self) -> None:
        with suppress(BrokenPipeError):  # it has ended already
            self.input.close()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class Workers:
    """Processes that carry out tasks; leaving the context ends them, and they save their runs."""

    def __init__(self, count: int, console: Console) -> None:
        self.count, self.console = count, console
        self.selector = selectors.DefaultSelector()
        self.every: list[_Worker] = []  # started when there is a task for them

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self.every:
            worker.end()
        try:
            if self.busy:
                self.console.say("saving the runs in progress")
            for worker in self.every:
                worker.process.wait()
        finally:  # after a second Ctrl-C
            for worker in self.every:
                if worker.alive:
                    worker.process.kill()
                    worker.process.wait()
                worker.output.close()
            self.selector.close()

    @property
    def busy(self) -> list[Task]:
        """The tasks in hand."""
        return [worker.task for worker in self.every if worker.task]

    @property
    def free(self) -> bool:
        """Whether a process has nothing to do."""
        return len(self.busy) < self.count

    def give(self, task: Task) -> None:
        """Let a free process carry out a task."""
        worker = next((worker for worker in self.every if not worker.task), None)
        if worker is None:
            worker = _Worker()
            self.every.append(worker)
            self.selector.register(worker.output, selectors.EVENT_READ, worker)
        worker.task = task
        worker.send(task)

    def stop(self, tasks: Collection[Task]) -> None:
        """Interrupt tasks; they save their state and answer."""
        for worker in self.every:
            if worker.task and worker.task in tasks:
                worker.send(None)

    def answers(self, seconds: float) -> Iterator[tuple[Task, Answer]]:
        """Yield the tasks that ended, after a wait for the first of them."""
        for key, _ in self.selector.select(seconds):
            worker: _Worker = key.data
            answer, task, worker.task = worker.answer(), worker.task, None
            if not worker.alive:
                self.selector.unregister(worker.output)
                self.every.remove(worker)
                worker.end()
                worker.output.close()
            if task:
                yield task, answer
