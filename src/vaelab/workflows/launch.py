"""Processes that train together: started here, and watched until the last of them has ended.

They are started as torchrun would start them, so all that follows is the same for both. What rank 0
prints appears here, and what it returns or raises is returned or raised here.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import socket
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, connection
from typing import Any

from torch.multiprocessing.spawn import start_processes

from vaelab.errors import UserError
from vaelab.launchers import LostError
from vaelab.recipes import Train, permit, permitted
from vaelab.screen import replaces_lines
from vaelab.workflows.console import say

GRACE = 30.0  # seconds that the others have to end after one has failed
Outcome = tuple[str, Any]  # a kind of BAD with its text, or "result" with what was returned
BAD = ("user", "killed", "failed", "interrupted", "lost")  # the first of them tells the cause


def launch(
    function: Callable[..., Any], args: tuple[Any, ...], given: Mapping[str, Any], settings: Train
) -> Any:
    """Call a function of a module in `settings.devices` new processes; return what rank 0 returns.

    The script that asked for it is not run again in them, so it needs no ``if __name__`` guard.

    Raises:
        UserError: That of the function; or a process was killed.
        KeyboardInterrupt: The training was interrupted.
    """
    if settings.nodes > 1:
        raise UserError(
            f"train.nodes: {settings.nodes} machines need a launcher on each of them; start the "
            "command with torchrun or srun, or set train.nodes to 1"
        )
    count, port = settings.devices, _free_port()
    ends = [Pipe(duplex=False) for _ in range(count)]
    with _without_script():
        try:
            call = pickle.dumps((function, args, given, permitted()))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UserError(
                f"track: this cannot be given to other processes ({error}); name a tracker such "
                "as tensorboard, or start the script with torchrun"
            ) from None
        with _ignored(signal.SIGINT):
            context = start_processes(
                _process, (count, port, [out for _, out in ends], call, replaces_lines()),
                count, join=False, start_method="spawn",
            )  # fmt: skip
    watched = _Watched(context.processes, [reader for reader, _ in ends])
    for _, out in ends:
        out.close()
    try:
        with _forwarded(watched):
            watched.wait()
    finally:
        watched.kill()
    return watched.answer()


class _Watched:
    """Processes by rank, what they print, and how they end."""

    def __init__(self, processes: list[Any], readers: list[Any]) -> None:
        self.processes, self.readers = processes, dict(enumerate(readers))
        self.outcomes: dict[int, Outcome] = {}
        self.ready = False  # rank 0 answers to signals

    def wait(self) -> None:
        """Wait until all have ended; end them if one fails and they do not follow."""
        limit: float | None = None
        while running := [p for p in self.processes if p.exitcode is None]:
            left = None if limit is None else limit - time.monotonic()
            if left is not None and left <= 0:
                return
            sources = [*self.readers.values(), *(process.sentinel for process in running)]
            connection.wait(sources, left)
            self._read()
            if limit is None and any(self._bad(rank) for rank in self.outcomes):
                limit = time.monotonic() + GRACE
        self._read()

    def _bad(self, rank: int) -> bool:
        """Whether the others cannot go on; rank 0 still saves what others leave interrupted."""
        kind = self.outcomes[rank][0]
        return kind in BAD and not (kind == "interrupted" and rank)

    def _read(self) -> None:
        for rank, process in enumerate(self.processes):
            ended = process.exitcode is not None
            with suppress(EOFError, OSError):  # it has ended; `ended` says so below
                while rank in self.readers and self.readers[rank].poll():
                    self._take(rank, self.readers[rank].recv())
            if ended:
                self.readers.pop(rank, None)
                self.outcomes.setdefault(rank, ("killed", _cause(process.exitcode)))

    def _take(self, rank: int, message: Any) -> None:
        match message:
            case str():
                say(message, end="")
            case None:
                self.ready = True
            case _:
                self.outcomes[rank] = message

    def kill(self) -> None:
        """Leave no process behind."""
        for rank, process in enumerate(self.processes):
            if process.exitcode is None:
                self.outcomes.setdefault(rank, ("lost", "it did not end by itself"))
                process.kill()
            process.join()

    def forward(self) -> None:
        """Ask rank 0 to stop; it agrees on the step with the others."""
        if not self.ready:
            raise KeyboardInterrupt
        with suppress(ProcessLookupError):  # it has ended already
            os.kill(self.processes[0].pid, signal.SIGINT)

    def answer(self) -> Any:
        """What rank 0 returned; or the error that tells the cause of the failure."""
        for kind in BAD:
            for rank, (found, text) in sorted(self.outcomes.items()):
                if found != kind:
                    continue
                if kind == "killed":
                    raise LostError(
                        f"train.devices: the process of rank {rank} {text}; {LostError.REMEDY}"
                    )
                if kind == "failed":
                    raise RuntimeError(f"rank {rank}: {text}")
                if kind == "interrupted":
                    raise KeyboardInterrupt(text)
                raise LostError(text) if kind == "lost" else UserError(text)
        return self.outcomes[0][1]


def _cause(code: int) -> str:
    """How a process ended that said nothing."""
    if code >= 0:
        return f"ended with exit code {code}"
    memory = " (as the system does where memory is short)" if code == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{memory}"


def _process(
    rank: int, count: int, port: int, outs: list[Any], call: bytes, terminal: bool
) -> None:
    """A process of a training."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C reaches the process that started this one, which hands it on
    with suppress(ValueError):  # not the main thread of this process
        signal.signal(signal.SIGINT, signal.default_int_handler)
    out = outs[rank]
    for other in outs[:rank] + outs[rank + 1 :]:
        other.close()
    where = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
    os.environ |= {name: str(value) for name, value in where.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    sys.stdout = _Lines(out, terminal)
    out.send(None)
    outcome: Outcome
    try:
        function, args, given, code = pickle.loads(call)
        permit(code)
        outcome = "result", function(*args, **given)
        pickle.dumps(outcome)
    except LostError as error:
        outcome = "lost", str(error)
    except UserError as error:
        outcome = "user", str(error)
    except KeyboardInterrupt as interruption:
        outcome = "interrupted", str(interruption)
    except Exception:  # a defect; the process that started this one shows all of it
        outcome = "failed", traceback.format_exc()
    with suppress(OSError):  # the process that started this one may have been killed
        out.send(outcome)


class _Lines(io.TextIOBase):
    """What a process prints, sent to the one that started it."""

    def __init__(self, out: Any, terminal: bool) -> None:
        self.out, self.terminal = out, terminal

    def write(self, text: str) -> int:
        self.out.send(text)
        return len(text)

    def isatty(self) -> bool:
        return self.terminal


@contextmanager
def _forwarded(watched: _Watched) -> Iterator[None]:
    """Hand Ctrl-C, SIGTERM and SIGHUP on to rank 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    before = {
        number: signal.signal(number, lambda *_: watched.forward())
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _without_script() -> Iterator[None]:
    """Inside, new processes do not import the script that runs here, nor is any of it sent."""
    script = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _ignored(number: signal.Signals) -> Iterator[None]:
    """Inside, a signal is ignored, and by processes that are started until they handle it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
