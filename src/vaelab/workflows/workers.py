"""Several processes that train runs at the same time."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from vaelab import devices
from vaelab.workflows.console import Console
from vaelab.workflows.processes import Process, heard, packed
from vaelab.workflows.worker import Answer, Task, work

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
        self.process = Process()
        self.task: Task | None = None

    def give(self, task: Task) -> None:
        self.task = task
        self.process.call(packed(work, (task,)))

    def answer(self) -> Answer | None:
        """How its task ended; None while it works."""
        outcome = self.process.outcome()
        if outcome is None:
            return None
        self.task = None
        match outcome.kind:
            case "result":
                answer: Answer = outcome.value
                return answer
            case "interrupted":
                return Answer("interrupted", outcome.value)
            case "killed":
                remedy = "; with too little memory, lower --jobs" * ("memory" in outcome.value)
                return Answer("failed", f"its process {outcome.value}{remedy}")
            case "user" | "lost":
                return Answer("failed", outcome.value)
            case _:  # a defect
                sys.stderr.write(outcome.value)
                return Answer("failed", outcome.value.splitlines()[-1])


class Workers:
    """Processes that carry out tasks; leaving the context ends them, and they save their runs."""

    def __init__(self, count: int, console: Console) -> None:
        self.count, self.console = count, console
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
            worker.process.end()
        try:
            if self.busy:
                self.console.say("saving the runs in progress")
            for worker in self.every:
                worker.process.process.join()
        finally:  # after a second Ctrl-C
            for worker in self.every:
                worker.process.kill()

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
        worker = next((one for one in self.every if one.process.alive and not one.task), None)
        if worker is None:
            worker = _Worker()
            self.every.append(worker)
        worker.give(task)

    def stop(self, tasks: Collection[Task]) -> None:
        """Interrupt tasks; they save their state and answer."""
        for worker in self.every:
            if worker.task and worker.task in tasks:
                worker.process.stop()

    def answers(self, seconds: float) -> Iterator[tuple[Task, Answer]]:
        """Yield the tasks that ended, after a wait for the first of them."""
        heard([worker.process for worker in self.every if worker.task], seconds)
        for worker in [worker for worker in self.every if worker.task]:
            task, answer = worker.task, worker.answer()
            if not task or not answer:  # it may have ended just now: the next look says how
                continue
            if not worker.process.alive:
                self.every.remove(worker)
            yield task, answer
