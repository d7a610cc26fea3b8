"""A process that trains runs one after the other: `workers` starts it, and says which.

Its standard input has a JSON document a line: a `Task`, or null, which interrupts the task in hand
as Ctrl-C would. The end of the input interrupts it, too, and ends the process. The output has an
`Answer` for each task.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

import msgspec

from vaelab import devices
from vaelab.errors import UserError
from vaelab.recipes import parse, permit
from vaelab.workflows.evaluate import evaluate
from vaelab.workflows.studies import trained


class Task(msgspec.Struct, frozen=True):
    """A run to train, or to continue."""

    folder: str
    recipe: str  # as TOML
    overwrite: bool  # whether it replaces a run of another recipe
    weights: int  # importance weights per image of the evaluation that follows; 0: none
    code: tuple[str, ...]  # the Python files that the recipe may run


class Answer(msgspec.Struct, frozen=True):
    """How a task ended, and why."""

    status: Literal["finished", "failed", "interrupted"]
    text: str = ""


def main() -> None:
    """Carry out tasks until the input ends."""
    # What libraries print goes to stderr, so that answers are alone.
    with os.fdopen(os.dup(1), "wb", buffering=0) as answers:
        os.dup2(2, 1)
        tasks: SimpleQueue[Task | None] = SimpleQueue()
        working, stop = threading.Event(), threading.Event()

        def interrupt(number: int, frame: object) -> None:
            if working.is_set():  # a stop that comes too late concerns nobody
                raise KeyboardInterrupt

        signal.signal(signal.SIGINT, interrupt)
        threading.Thread(target=_listen, args=(tasks, stop), daemon=True).start()
        while task := tasks.get():
            try:
                working.set()
                if stop.is_set():  # it came while this process was starting
                    raise KeyboardInterrupt
                answer = _carry_out(task)
            except KeyboardInterrupt as interruption:
                answer = Answer("interrupted", str(interruption))
            finally:
                working.clear()
            with suppress(BrokenPipeError):  # the command was killed; the input has ended, too
                answers.write(msgspec.json.encode(answer) + b"\n")


def _listen(tasks: SimpleQueue[Task | None], stop: threading.Event) -> None:
    """Put the tasks into the queue; `stop` is set while the last of them is to be interrupted."""
    for line in sys.stdin.buffer:
        if task := msgspec.json.decode(line, type=Task | None):
            stop.clear()
            tasks.put(task)
        else:
            stop.set()
            _thread.interrupt_main()
    stop.set()
    tasks.put(None)
    _thread.interrupt_main()


def _carry_out(task: Task) -> Answer:
    try:
        permit(*task.code)
        folder, recipe = Path(task.folder), parse(task.recipe, task.folder)
        with devices.using(recipe.train.threads):  # else each part looks for idle cores, for 0.2 s
            run = trained(recipe, folder, task.overwrite, quiet=True)
            if task.weights:
                evaluate(run, samples=task.weights, quiet=True)
    except UserError as error:
        return Answer("failed", str(error))
    except (MemoryError, RuntimeError, OSError) as error:
        return Answer("failed", f"{type(error).__name__}: {error}")
    return Answer("finished")


if __name__ == "__main__":
    main()
