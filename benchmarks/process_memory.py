"""The memory of processes, in MiB, as Linux says it in /proc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def own(name: str) -> float:
    """A line of /proc/self/status: "RssAnon", anonymous memory; "VmHWM", the most so far.

    getrusage counts the most memory of the parent, too.
    """
    return _mib(Path("/proc/self/status").read_text("ascii"), name)


def of_tree(pid: int) -> float:
    """The anonymous memory of a process and its descendants; 0 where it cannot be read.

    A page that several of them share counts once.
    """
    total = 0.0
    for one in [pid, *_descendants(pid)]:
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text("ascii")
        except OSError:  # it has ended
            continue
        total += _mib(text, "Pss_Anon")
    return total


def _mib(text: str, name: str) -> float:
    return int(text.partition(f"{name}:")[2].split()[0]) / 1024


def _descendants(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(word) for word in path.read_text("ascii").split()]
        except OSError:  # it has ended
            continue
        for child in children:
            yield child
            yield from _descendants(child)
