"""The measurements of all contestants, in turns."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from contestants.process import Process, Row, Unavailable, python_of, timed, variables_of
from contestants.table import summary

T = TypeVar("T")
TARGET = 103.89  # nats per image: the test loss of `mlp-20d` after 20 epochs
REFERENCE = "vaelab"  # what the ratios divide by


class Contest:
    """The contestants that take part, what was found of each, and why the others do not.

    Args:
        rows: The contestants by name.
        folder: Where mnist.npz lies, in which their processes work.
        environments: The folder of the environments.
        threads: How many each uses.
    """

    def __init__(
        self, rows: Mapping[str, Row], folder: Path, environments: Path, threads: int
    ) -> None:
        self.rows, self.folder, self.threads = rows, folder, threads
        self.facts: dict[str, dict[str, Any]] = {name: {"about": rows[name].about} for name in rows}
        self.left_out: dict[str, str] = {}
        self.processes: dict[str, Process] = {}
        self.pythons = self._each(rows, lambda name: python_of(rows[name], environments))

    def _each(self, names: Iterable[str], measure: Callable[[str], T]) -> dict[str, T]:
        """What a measurement returns for each of these; who fails is left out from now on."""
        measured = {}
        for name in [name for name in names if name in self.facts]:
            try:
                measured[name] = measure(name)
            except Unavailable as reason:
                self.leave_out(name, str(reason))
        return measured

    def leave_out(self, name: str, reason: str) -> None:
        if name == REFERENCE:
            raise SystemExit(f"{name} itself cannot take part, by which all is divided: {reason}")
        print(f"{name} is left out: {reason}", flush=True)
        self.left_out[name] = reason
        self.facts.pop(name)
        if name in self.processes:
            self.processes.pop(name).close()

    def _start(self, name: str) -> Process:
        return Process(self.rows[name], self.pythons[name], self.folder, self.threads)

    def memory(self) -> None:
        """The most memory that a process has while it prepares and trains for one epoch."""

        def most(name: str) -> None:
            process = self._start(name)
            try:
                with process.watched() as mib:
                    process("build")
                    process("epoch")
                self.facts[name]["versions"] = process("versions")[1]
            finally:
                process.close()
            if self.rows[name].trains and mib[0]:  # it is 0 where it cannot be measured
                self.facts[name]["memory_mib"] = {
                    "before": round(mib[0]),
                    "most": round(max(mib)),
                }
            print(f"memory, {name}: {mib[0]:.0f} MiB, at most {max(mib):.0f} MiB", flush=True)

        self._each(self.rows, most)

    def epochs(self, least: int, cap: int) -> None:
        """Rounds of epochs: a first and `least` more, then until TARGET, at most `cap` in all."""
        seconds: dict[str, list[float]] = {name: [] for name in self.rows}
        losses: dict[str, list[float]] = {name: [] for name in self.rows}

        def build(name: str) -> bool:
            self.processes[name] = self._start(name)
            self.processes[name]("build")
            return True

        def epoch(name: str) -> bool:
            """Train for an epoch; whether another one is wanted."""
            row, process = self.rows[name], self.processes[name]
            spent, more = process("epoch")
            seconds[name].append(round(spent, 4))
            if row.trains:
                losses[name].append(round(process("test_loss")[1], 3))
            shown = "".join(f", test loss {loss:.2f}" for loss in losses[name][-1:])
            print(f"epoch {len(seconds[name])}, {name}: {spent:.2f} s{shown}", flush=True)
            wanted = not row.trains or row.scheduled or min(losses[name]) > TARGET
            return bool(more) and (wanted or len(seconds[name]) <= least)

        more = self._each(self.rows, build)
        for number in range(cap):
            names = [name for name in self.rows if more.get(name)]
            if any(self.rows[name].trains for name in names):  # the floor goes on as long
                more = self._each(_in_turn(number, names), epoch)
        for name, numbers in self.facts.items():
            row, ours = self.rows[name], seconds[REFERENCE][1:]
            comparable = not row.scheduled and name != REFERENCE
            counted = seconds[name][1:] or seconds[name]
            numbers["epoch"] = summary(counted, ours if comparable else [])
            numbers["epoch"]["seconds"] = seconds[name]
            if row.trains:
                numbers |= {"test_losses": losses[name]} | reached(seconds[name], losses[name])
            else:
                numbers["ways"] = self.processes[name]("chosen")[1]

    def likelihood(self, images: int, times: int) -> None:
        """The log-likelihood of the first test images, in milliseconds an image."""

        def nll(name: str) -> tuple[float, float]:
            seconds, value = self.processes[name]("nll", images=images)
            return 1000 * seconds / images, value

        names = [name for name in self.rows if self.rows[name].likelihood]
        self._turns("nll", names, times, nll)

    def imports(self, times: int) -> None:
        """The time of the import statement in a new process."""

        def imported(name: str) -> tuple[float, None]:
            row = self.rows[name]
            command = [self.pythons[name], "-c", row.imports]
            return timed(command, variables_of(row, self.threads), self.folder), None

        self._turns(
            "import", [name for name in self.rows if self.rows[name].imports], times, imported
        )

    def _turns(
        self,
        what: str,
        names: list[str],
        times: int,
        measure: Callable[[str], tuple[float, float | None]],
    ) -> None:
        """Measure in turns, `times` after one that is not counted."""
        rounds = [self._each(_in_turn(number, names), measure) for number in range(times + 1)][1:]
        for name in [name for name in names if name in self.facts]:
            values = [one[name][0] for one in rounds]
            ours = [one[REFERENCE][0] for one in rounds if REFERENCE in one]
            numbers = summary(values, [] if name == REFERENCE else ours)
            if rounds[-1][name][1] is not None:
                numbers["value"] = round(rounds[-1][name][1], 3)
            self.facts[name][what] = numbers
            print(f"{what}, {name}: {numbers}", flush=True)

    def commands(self, epochs: int) -> None:
        """A whole training with its test passes, once: from the start of its process to its end."""

        def whole(name: str) -> float:
            row = self.rows[name]
            if row.command:
                words = row.command.format(epochs=epochs, threads=self.threads)
                variables = variables_of(row, self.threads)
                with tempfile.TemporaryDirectory() as out:
                    command = [self.pythons[name], *shlex.split(words), "--out", f"{out}/run"]
                    return timed(command, variables, self.folder)
            begun = time.perf_counter()
            process = self._start(name)
            try:
                process("build")
                for _ in range(epochs):
                    process("epoch")
                    process("test_loss")
            finally:
                process.close()
            return time.perf_counter() - begun

        names = [name for name in self.rows if self.rows[name].trains]
        for name, seconds in self._each(names, whole).items():
            scheduled = self.rows[name].scheduled
            count = len(self.facts[name]["test_losses"]) if scheduled else epochs
            self.facts[name]["command"] = {"epochs": count, "seconds": round(seconds, 2)}
            print(f"whole command, {name}: {seconds:.1f} s", flush=True)

    def close(self) -> None:
        """End all processes."""
        for process in self.processes.values():
            process.close()
        self.processes.clear()


def _in_turn(number: int, names: list[str]) -> list[str]:
    """The names in the order of a round: every second one is reversed."""
    return names[::-1] if number % 2 else names


def reached(seconds: list[float], losses: list[float]) -> dict[str, Any]:
    """After how many epochs, and seconds of training, the test loss was at most TARGET."""
    for number, loss in enumerate(losses, 1):
        if loss <= TARGET:
            return {"target": {"epochs": number, "seconds": round(sum(seconds[:number]), 3)}}
    return {}
