"""Processes that call functions: started here, told to stop, and heard until they have ended.

The script that starts them is not run again in them, so it needs no ``if __name__`` guard. Ctrl-C
reaches the starting process alone, which hands it on.
"""

from __future__ import annotations

import _thread
import io
import os
import pickle
import signal
import sys
import threading
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import Pipe, connection, get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple

from vaelab.errors import UserError
from vaelab.launchers import LostError
from vaelab.recipes import permit, permitted
from vaelab.screen import replaces_lines
from vaelab.workflows.console import say


class Outcome(NamedTuple):
    """How a call ended, with what it returned or why it failed."""

    kind: Literal["result", "user", "killed", "failed", "interrupted", "lost"]
    value: Any


class Process:
    """A new process that carries out calls, one after the other.

    What it prints appears here. The end of the process that started it interrupts it, too.
    """

    def __init__(self) -> None:
        self.pipe, there = Pipe()
        with _without_script(), _without_folder(), _ignored(signal.SIGINT):
            self.process = get_context("spawn").Process(
                target=_serve, args=(there, replaces_lines())
            )
            self.process.start()
        there.close()
        self.begun = False  # it works on its call, and answers to `stop`

    def call(self, call: bytes) -> None:
        """Let it carry out a call that was `packed`."""
        with suppress(OSError):  # it has ended, as `outcome` says
            self.pipe.send(call)

    def stop(self) -> None:
        """Interrupt its call."""
        with suppress(OSError):  # it has ended, as `outcome` says
            self.pipe.send(None)

    def outcome(self) -> Outcome | None:
        """How its call ended; None while it works."""
        ended = not self.alive  # then all that it sent is in the pipe
        try:
            while self.pipe.poll():
                match self.pipe.recv():
                    case str() as text:
                        say(text, end="")
                    case Outcome() as outcome:
                        return outcome
                    case None:
                        self.begun = True
        except (EOFError, OSError):
            ended = True
        if not ended:
            return None
        self.process.join()
        return Outcome("killed", _cause(self.process.exitcode))

    @property
    def alive(self) -> bool:
        """Whether it runs; one whose end wakes `heard` does not, although the system may still have
        it on its list.
        """
        return self.process.is_alive() and not connection.wait([self.process.sentinel], 0)

    def end(self) -> None:
        """Let it end; a call in progress is interrupted."""
        self.pipe.close()

    def kill(self, seconds: float = 0) -> None:
        """End it, after it had so many seconds to do so by itself."""
        self.process.join(seconds)
        self.process.kill()
        self.process.join()


def heard(processes: Iterable[Process], seconds: float | None) -> None:
    """Wait until one of these processes says something or ends, at most so many seconds."""
    sources = [source for one in processes for source in (one.pipe, one.process.sentinel)]
    connection.wait(sources, seconds)


def packed(
    function: Callable[..., Any],
    args: tuple[Any, ...] = (),
    given: Mapping[str, Any] | None = None,
    variables: Mapping[str, str] | None = None,
) -> bytes:
    """A call of a function of a module, for a process with these environment variables, too.

    Raises:
        PicklingError, AttributeError, TypeError: An argument cannot be given to another process.
    """
    with _without_script():
        return pickle.dumps((variables or {}, permitted(), function, args, given or {}))


def _cause(code: int | None) -> str:
    """How a process ended that said nothing."""
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    memory = " (as the system does where memory is short)" if code == -signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-code).name}{memory}"


# ---------------------------------------------------------------- within the new process


def _serve(pipe: Connection[Any, Any], terminal: bool) -> None:
    """Carry out calls until the other end of the pipe is closed."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C reaches the process that started this one, which hands it on
    os.dup2(2, 1)  # what libraries print is no output of the command
    sys.stdout = _Lines(pipe, terminal)
    calls: SimpleQueue[bytes | None] = SimpleQueue()
    working, stop = False, threading.Event()

    def interrupt(number: int, frame: object) -> None:
        nonlocal working
        if working:  # a stop that comes too late concerns nobody
            working = False
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    threading.Thread(target=_listen, args=(pipe, calls, stop), daemon=True).start()
    while call := calls.get():
        working = True
        try:  # a stop may have come while this process was starting
            outcome = Outcome("interrupted", "") if stop.is_set() else _called(call, pipe)
        except KeyboardInterrupt as interruption:
            outcome = Outcome("interrupted", str(interruption))
        working = False
        with suppress(OSError):  # the process that started this one has ended
            pipe.send(outcome)


def _listen(
    pipe: Connection[Any, Any], calls: SimpleQueue[bytes | None], stop: threading.Event
) -> None:
    """Put calls into the queue; `stop` is set while the last of them is to be interrupted."""
    with suppress(EOFError, OSError):  # the end of the pipe, after which there is no call
        while True:
            if call := pipe.recv():
                stop.clear()
                calls.put(call)
            else:
                stop.set()
                _thread.interrupt_main()
    stop.set()
    calls.put(None)
    _thread.interrupt_main()


def _called(call: bytes, pipe: Connection[Any, Any]) -> Outcome:
    try:
        variables, code, function, args, given = pickle.loads(call)
        os.environ |= variables
        permit(code)
        pipe.send(None)
        outcome = Outcome("result", function(*args, **given))
        pickle.dumps(outcome)
    except LostError as error:
        return Outcome("lost", str(error))
    except UserError as error:
        return Outcome("user", str(error))
    except Exception:  # a defect; the process that started this one shows all of it
        return Outcome("failed", traceback.format_exc())
    return outcome


class _Lines(io.TextIOBase):
    """What a process prints, sent to the one that started it."""

    def __init__(self, pipe: Connection[Any, Any], terminal: bool) -> None:
        self.pipe, self.terminal = pipe, terminal

    def write(self, text: str) -> int:
        with suppress(OSError):  # nobody is left to read it
            self.pipe.send(text)
        return len(text)

    def isatty(self) -> bool:
        return self.terminal


# ---------------------------------------------------------------- while one is started


_starting = threading.Lock()  # by one thread at a time: what is below changes this process


@contextmanager
def _without_script() -> Iterator[None]:
    """Inside, new processes do not import the script that runs here, nor is any of it sent."""
    with _starting:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = script


@contextmanager
def _without_folder() -> Iterator[None]:
    """Inside, new processes do not take modules of the working folder for those of Python.

    To be entered after `_without_script`, which lets one thread in at a time.
    """
    name = "PYTHONSAFEPATH"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before


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
