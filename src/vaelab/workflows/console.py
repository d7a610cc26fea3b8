"""What a command prints while it works: plain lines, and on a terminal one live line below them.

Output degrades and never ends a training: characters that the encoding lacks are replaced, and
where nobody reads (no stdout, a closed pipe, a full disk) nothing is printed. It
imports no torch, so a command can print its first line at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 79  # columns of a line of the table of epochs
LINES = 20  # about so many lines for a training, however many epochs it has
SILENCE = 300.0  # seconds after which there is a line all the same
TICK = 0.2  # seconds between two versions of the live line


def say(text: str = "", *, end: str = "\n") -> None:
    """Print to stdout as far as that is possible."""
    stream = sys.stdout
    if stream is None:  # pythonw and services have none
        return
    try:
        try:
            stream.write(text + end)
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            stream.write((text + end).encode(encoding, "replace").decode(encoding))
        stream.flush()
    except (OSError, ValueError):  # the reader has gone, the disk is full, the stream is closed
        _silence()


def _silence() -> None:
    """Discard what is still printed, so that Python does not fail to write it when it exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Console:
    """The lines of a command, and a live line while it works. `quiet` prints neither."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = not quiet and _is_terminal()
        self._told: set[str] = set()
        self._shown = 0  # columns of the live line
        self._next = 0.0

    def say(self, text: str) -> None:
        """Print a line for good."""
        if not self.quiet:
            self.clear()
            say(text)

    def once(self, text: str) -> None:
        """Print what several trainings of a command have in common for the first of them alone."""
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def due(self) -> bool:
        """Whether it is time for another version of the live line."""
        return self.terminal and time.monotonic() >= self._next

    def live(self, text: str) -> None:
        """Replace the live line, cut to the width of the terminal."""
        if self.terminal:
            text = text[: shutil.get_terminal_size().columns - 1]
            say("\r" + text.ljust(self._shown), end="")
            self._shown, self._next = len(text), time.monotonic() + TICK

    def clear(self) -> None:
        """Remove the live line."""
        if self._shown:
            say("\r" + " " * self._shown + "\r", end="")
            self._shown = 0


def _is_terminal() -> bool:
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


class Progress:
    """The live line of a training: where it stands and how long it will take."""

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self.begun, self.first = time.monotonic(), -1

    def show(self, number: int, step: int, steps: int, loss: str) -> None:
        """Show that `step` of `steps` steps of epoch `number` are done."""
        done = (number - 1) * steps + step
        if self.first < 0:
            self.begun, self.first = time.monotonic(), done
        ahead = ""
        if done > self.first:
            each = (time.monotonic() - self.begun) / (done - self.first)
            ahead = f"  {_duration(each * (self.epochs * steps - done))} left"
        self.console.live(f"epoch {number}/{self.epochs}  step {step}/{steps}  {loss}{ahead}")


class Table:
    """The table of epochs: a header, then a line for some of the epochs, all within 79 columns.

    The columns are those of an entry of metrics.jsonl; without room for all, distortion and rate of
    the training images go first.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self.columns: list[tuple[str, str, int]] = []  # split or "", name, width
        self.last = time.monotonic()

    def show(self, entry: Mapping[str, Any], seconds: float, extra: Sequence[str] = ()) -> None:
        """Print the line of an epoch: of the first, the last, and evenly spaced others."""
        number = entry["epoch"]
        spaced = (self.epochs - number) % -(-self.epochs // LINES) == 0
        if not (number == 1 or spaced or time.monotonic() - self.last > SILENCE):
            return
        if not self.columns:
            self.columns = _columns(entry, extra)
            for line in _header(self.columns):
                self.console.say(line)
        cells = {("", "epoch"): f"{number}/{self.epochs}", ("", "seconds"): f"{seconds:.1f}"}
        for split, name, width in self.columns:
            value = entry[split].get(name) if split else entry.get(name, entry["train"].get(name))
            cells.setdefault((split, name), _number(value, width))
        self.console.say(
            "".join(f"{cells[split, name]:>{width}}" for split, name, width in self.columns)
        )
        self.last = time.monotonic()


def _columns(entry: Mapping[str, Any], extra: Sequence[str]) -> list[tuple[str, str, int]]:
    """Which columns there are: for each split its terms, then `extra` ones, then the seconds."""
    splits = [name for name, value in entry.items() if isinstance(value, Mapping)]
    columns = [("", "epoch", 9)]
    for split in splits:
        names = [name for name in entry[split] if name != "optimised"]
        columns += [(split, name, len(name) + 2 if len(name) > 6 else 9) for name in names]
    columns += [("", name, max(8, len(name) + 2)) for name in extra]
    columns.append(("", "seconds", 9))
    for least in ("rate", "distortion"):
        if sum(width for *_, width in columns) > WIDTH:
            columns = [column for column in columns if column[:2] != ("train", least)]
    while sum(width for *_, width in columns) > WIDTH:
        columns.pop(-2)
    return columns


def _header(columns: Sequence[tuple[str, str, int]]) -> list[str]:
    """Two lines: the splits over their columns, and the names of the columns."""
    top, seen = "", set()
    for split, _, width in columns:
        if split and split not in seen:
            group = sum(w for s, _, w in columns if s == split)
            top += f"  {split} ".ljust(group, "-")
            seen.add(split)
        elif not split:
            top += " " * width
    return [top.rstrip(), "".join(f"{name:>{width}}" for _, name, width in columns)]


def _number(value: Any, width: int) -> str:
    if value is None:
        return ""
    text = f"{value:.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1e}"
    return text if len(text) < width else f"{value:.2g}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
