"""What the program runs on: the device, a number of threads that suits it, and a record of both."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pooch
import torch
from threadpoolctl import threadpool_limits

from vaelab.errors import UserError

PACKAGES = ("vaelab", "torch", "lightning-fabric", "numpy", "scikit-learn", "safetensors")


def device(asked: str) -> torch.device:
    """The device of that name; auto takes a GPU where there is one."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device: there is no cuda here; use auto or cpu")
    return torch.device("cuda" if torch.cuda.is_available() and asked != "cpu" else "cpu")


def threads(asked: int) -> tuple[int, str]:
    """How many CPU threads to use, and a warning where they will be crowded (else "").

    Threads that wait for one another suffer from a busy core far beyond their share: two of them beside one other
    busy program made an epoch 20 times as long. So, unless a number is asked for, it is torch's own choice (one a
    physical core) within what this process may use and what is idle right now.
    """
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    allowed = max(1, min(allowed, _quota()))
    idle = _idle_cores()
    count = asked or max(1, min(torch.get_num_threads(), allowed, round(idle)))
    if count > allowed:
        return (
            count,
            f"{count} threads on {allowed} usable cores can take many times as long; lower train.threads",
        )
    if count > round(idle):
        remedy = "lower train.threads, or wait" if count > 1 else "wait, or expect slow epochs"
        return (
            count,
            f"other programs keep {allowed - idle:.1f} of {allowed} cores busy, training asks for {count}; {remedy}",
        )
    return count, ""


def _idle_cores(seconds: float = 0.2) -> float:
    """Cores that did nothing during a short look (Linux); elsewhere all of them."""
    try:
        looks = []
        for pause in (0.0, seconds):
            time.sleep(pause)
            times = [
                int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]
            ]
            looks.append(
                (times[3] + times[4], sum(times[:8]))
            )  # idle and waiting for disks; everything
        (idle_before, all_before), (idle_after, all_after) = looks
        return (os.cpu_count() or 1) * (idle_after - idle_before) / max(1, all_after - all_before)
    except (OSError, ValueError, IndexError):
        return float(os.cpu_count() or 1)


def _quota() -> int:
    """Whole cores that a container's CPU quota allows (Linux, cgroup v2); many where there is no quota."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(limit) // int(period))
    except (OSError, ValueError):
        return sys.maxsize


def cache() -> Path:
    """Where downloads and classifiers are kept: VAELAB_CACHE_DIR, or else the folder that the system has for it."""
    return Path(os.environ.get("VAELAB_CACHE_DIR") or pooch.os_cache("vaelab"))


@contextmanager
def using(threads: int) -> Iterator[None]:
    """Inside, so many CPU threads (torch's, NumPy's, scikit-learn's) and the same bits from cuDNN every time."""
    before = torch.get_num_threads(), torch.backends.cudnn.deterministic
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    try:
        with threadpool_limits(threads):
            yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.deterministic = before[1]


def peak_memory(device: torch.device) -> Callable[[], float | None]:
    """Begin to measure; the function returned says how many MiB were needed at most since, None where nobody knows.

    Of a GPU: all that its tensors take. Else (Linux): by how much the process grew at most, whatever ran in it before.
    What is held already does not count, so what was freed is given back to the system first; nor do program files, of
    which a process reads in the more the longer it runs.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return lambda: torch.cuda.max_memory_allocated(device) / 2**20
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it, and needs it
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text(
            "5"
        )  # the high-water mark VmHWM is what is held now
        before = _memory("RssAnon")
    except OSError:
        return lambda: None
    return lambda: _memory("VmHWM") - _memory("RssFile") - before


def _memory(name: str) -> float:
    """MiB, by a line of what Linux says of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def environment(device: torch.device, threads: int) -> dict[str, Any]:
    """What a reader needs to know to get the same numbers again."""
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.machine(),
        "device": device.type,
        "threads": threads,
    }


BUDGET = (
    2**28
)  # bytes that one chunk of work may take, whatever the machine: the same chunks everywhere


def at_once(bytes_each: int, most: int = 1000) -> int:
    """How many rows of work to do at once: as many as fit the memory budget, at least 1, at most `most`.

    >>> at_once(784 * 4), at_once(2**30)
    (1000, 1)
    """
    return max(1, min(most, BUDGET // max(1, bytes_each)))
