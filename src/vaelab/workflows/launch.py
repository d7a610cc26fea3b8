"""Processes that train together: started here, and watched until the last of them has ended.

They are started as torchrun would start them, so all that follows is the same for both. What rank 0
prints appears here, and what it returns or raises is returned or raised here.
"""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.distributed import TCPStore  # type: ignore[attr-defined]  # documented, not in __all__

from vaelab.errors import UserError
from vaelab.launchers import LostError
from vaelab.recipes import Train
from vaelab.workflows.processes import Outcome, Process, heard, packed

GRACE = 30.0  # seconds that the others have to end after one has failed
BAD = ("user", "killed", "failed", "interrupted", "lost")  # the first of them tells the cause


def launch(
    function: Callable[..., Any], args: tuple[Any, ...], given: Mapping[str, Any], settings: Train
) -> Any:
    """Call a function of a module in `settings.devices` new processes; return what rank 0 returns.

    Raises:
        UserError: That of the function; or a process was killed.
        KeyboardInterrupt: The training was interrupted.
    """
    if settings.nodes > 1:
        raise UserError(
            f"train.nodes: {settings.nodes} machines need a launcher on each of them; start the "
            "command with torchrun or srun, or set train.nodes to 1"
        )
    # The store by which the ranks meet is here, as torchrun's is in its agent: nobody else can take
    # the port that the system chose for it.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    try:
        calls = [
            packed(function, args, given, _variables(rank, settings.devices, store.port))
            for rank in range(settings.devices)
        ]
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"track: this cannot be given to other processes ({error}); name a tracker such "
            "as tensorboard, or start the script with torchrun"
        ) from None
    ranks = _Ranks([Process() for _ in calls])
    try:
        for process, call in zip(ranks.processes, calls, strict=True):
            process.call(call)
        with _forwarded(ranks):
            ranks.wait()
    finally:
        ranks.end()
    return ranks.answer()


def _variables(rank: int, count: int, port: int) -> dict[str, str]:
    """The environment variables by which torchrun tells a process its place."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # every rank connects to it, and none opens one
        "TORCHELASTIC_RESTART_COUNT": "0",
    }


class _Ranks:
    """Processes by rank, and how their calls end."""

    def __init__(self, processes: list[Process]) -> None:
        self.processes = processes
        self.outcomes: dict[int, Outcome] = {}

    def wait(self) -> None:
        """Wait until all calls have ended; no longer than GRACE after the first that failed."""
        limit: float | None = None
        while working := {r: p for r, p in enumerate(self.processes) if r not in self.outcomes}:
            left = None if limit is None else limit - time.monotonic()
            if left is not None and left <= 0:
                return
            heard(working.values(), left)
            for rank, process in working.items():
                if outcome := process.outcome():
                    self.outcomes[rank] = outcome
                    process.end()
            if limit is None and any(self._bad(rank) for rank in self.outcomes):
                limit = time.monotonic() + GRACE

    def _bad(self, rank: int) -> bool:
        """Whether the others cannot go on; rank 0 still saves what others leave interrupted."""
        kind = self.outcomes[rank].kind
        return kind in BAD and not (kind == "interrupted" and rank)

    def end(self) -> None:
        """Leave no process behind."""
        for rank, process in enumerate(self.processes):
            process.kill(GRACE if rank in self.outcomes else 0)
            self.outcomes.setdefault(rank, Outcome("lost", "it did not end by itself"))

    def forward(self) -> None:
        """Ask rank 0 to stop; it agrees on the step with the others."""
        if not self.processes[0].begun:
            raise KeyboardInterrupt
        self.processes[0].stop()

    def answer(self) -> Any:
        """What rank 0 returned; or the error that tells the cause of the failure."""
        for cause in BAD:
            for rank, (kind, text) in sorted(self.outcomes.items()):
                if kind != cause:
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
        return self.outcomes[0].value


@contextmanager
def _forwarded(ranks: _Ranks) -> Iterator[None]:
    """Hand Ctrl-C, SIGTERM and SIGHUP on to rank 0."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    before = {
        number: signal.signal(number, lambda *_: ranks.forward())
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
