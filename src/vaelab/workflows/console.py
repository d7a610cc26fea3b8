"""Console output: lines, and on a terminal or in a notebook one live line below them.

Output never stops a training. Characters that the encoding lacks are replaced, and nothing is
printed if stdout is missing, the pipe is closed or the disk is full. The module does not import
torch, so that a command can print its first line immediately.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from vaelab.screen import replaces_lines

WIDTH = 79  # columns of the table of epochs
LINES = 20  # approximate number of lines for a training of any length
SILENCE = 300.0  # after this many seconds without a line, one is printed in any case
TICK = 0.2  # seconds between updates of the live line


def say(text: str = "", *, end: str = "\n") -> None:
    """Print to stdout; never raise an error."""
    stream = sys.stdout
    if stream is None:  # as in pythonw and services
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
    """Discard all further output, so that flushing at exit does not fail."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Console:
    """Print lines, and where they can be replaced a live line. With `quiet` nothing is printed."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = not quiet and replaces_lines()
        self._told: set[str] = set()
        self._shown = 0  # columns of the current live line
        self._next = 0.0

    def say(self, text: str) -> None:
        """Print a permanent line."""
        if not self.quiet:
            self.clear()
            say(text)

    def once(self, text: str) -> None:
        """Print a line only the first time, if several trainings share it."""
        if text not in self._told:
            self._told.add(text)
            self.say(text)

    def due(self) -> bool:
        """Return whether it is time to update the live line."""
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


class Progress:
    """The live line of a training: its progress and the remaining time."""

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
            ahead = f"  {duration(each * (self.epochs * steps - done))} left"
        self.console.live(f"epoch {number}/{self.epochs}  step {step}/{steps}  {loss}{ahead}")


class Table:
    """The table of epochs: a header and a line for some of the epochs, within 79 columns.

    The columns are the values of an entry of metrics.jsonl. If there is not enough room, the rate
    and the distortion of the training images are left out first.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self.columns: list[tuple[str, str, int]] = []  # split or "", name, width
        self.last = time.monotonic()

    def show(self, entry: Mapping[str, Any], seconds: float, extra: Sequence[str] = ()) -> None:
        """Print the line of an epoch, if it is the first, the last or one of the spaced ones."""
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
    """Return the columns: the terms of each split, then `extra`, then the seconds."""
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
    """Return two lines: the splits above their columns, and the names of the columns."""
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


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
