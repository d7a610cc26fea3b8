"""What the program runs on: device, threads, memory; and a record of them."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from vaelab.errors import UserError

with warnings.catch_warnings():  # in a notebook, of a bar with widgets that vaelab does not show
    warnings.filterwarnings("ignore", "IProgress not found")
    import pooch

PACKAGES = ("vaelab", "torch", "lightning-fabric", "numpy", "scikit-learn", "safetensors")
BUDGET = 2**28  # bytes that one chunk of work may take, the same on every machine
_CHOSEN = ContextVar("chosen", default=0)  # the threads of the innermost `using`


def device(asked: str) -> torch.device:
    """The device of that name; auto takes a GPU where there is one."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise UserError("train.device: no CUDA GPU was found; set train.device to auto or cpu")
    return torch.device("cuda" if torch.cuda.is_available() and asked != "cpu" else "cpu")


def at_once(bytes_each: int, most: int = 1000) -> int:
    """How many rows of work to do at once: as many as fit the memory budget, from 1 to `most`.

    >>> at_once(784 * 4), at_once(2**30)
    (1000, 1)
    """
    return max(1, min(most, BUDGET // max(1, bytes_each)))


def threads(asked: int) -> tuple[int, str]:
    """How many CPU threads to use, and a warning where other programs slow them down (else "").

    Threads that wait for one another suffer from a busy core far beyond their share: two of them
    beside one other busy program made an epoch 20 times as long. So, unless a number is asked for,
    it is torch's own choice (one a physical core) within what this process may use and what is idle
    at the moment. The number decides the order of sums and so the last bits of the results; a run
    records it. Work within `using` keeps the threads that it has, and measures nothing again.
    """
    if _CHOSEN.get() and asked in (0, _CHOSEN.get()):
        return _CHOSEN.get(), ""
    allowed = cores()
    idle = _idle_cores()
    count = asked or max(1, min(torch.get_num_threads(), allowed, round(idle)))
    if count > allowed:
        return count, (
            f"{count} threads on {allowed} usable cores can take many times as long; "
            "lower train.threads"
        )
    if count > round(idle):
        remedy = "lower train.threads, or wait" if count > 1 else "wait, or expect slow epochs"
        uses = f"{count} thread{'s' * (count > 1)}"
        return count, (
            f"other programs use {allowed - idle:.1f} of {allowed} cores, training uses {uses}; "
            f"{remedy}"
        )
    return count, ""


def cores() -> int:
    """How many CPU cores this process may use."""
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return max(1, min(allowed, _quota()))


def _idle_cores(seconds: float = 0.2) -> float:
    """Cores that were idle during a short measurement (Linux); elsewhere all of them."""
    try:
        samples = []
        for pause in (0.0, seconds):
            time.sleep(pause)
            line = Path("/proc/stat").read_text().splitlines()[0]
            times = [int(word) for word in line.split()[1:]]
            samples.append((times[3] + times[4], sum(times[:8])))  # idle and iowait; everything
        (idle_before, all_before), (idle_after, all_after) = samples
        return (os.cpu_count() or 1) * (idle_after - idle_before) / max(1, all_after - all_before)
    except (OSError, ValueError, IndexError):
        return float(os.cpu_count() or 1)


def _quota() -> int:
    """Whole cores that a container's CPU quota allows (Linux, cgroup v2); many without a quota."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(limit) // int(period))
    except (OSError, ValueError):
        return sys.maxsize


def cache() -> Path:
    """Where downloads and classifiers are kept: VAELAB_CACHE_DIR, else the user's cache folder."""
    if folder := os.environ.get("VAELAB_CACHE_DIR"):
        return Path(folder)
    try:
        return Path(pooch.os_cache("vaelab"))
    except RuntimeError:  # no HOME, and a user without a name
        return Path(tempfile.gettempdir()) / "vaelab"


@contextmanager
def using(threads: int) -> Iterator[None]:
    """Inside, torch, NumPy and scikit-learn use so many threads, and cuDNN is deterministic."""
    before = torch.get_num_threads(), torch.backends.cudnn.deterministic
    chosen = _CHOSEN.set(threads)
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    try:
        with threadpool_limits(threads):
            yield
    finally:
        _CHOSEN.reset(chosen)
        torch.set_num_threads(before[0])
        torch.backends.cudnn.deterministic = before[1]


def keep_memory() -> None:
    """Let malloc keep what is freed, up to 62 MiB, for the next step of a training.

    glibc returns freed memory to the system at once where it is more than twice the largest block
    that it has mapped and freed (at most 32 MiB). A training whose tensors are smaller therefore
    gets new pages for the same tensors at every step, zeroed by the kernel: up to a third of an
    epoch of a convolutional network. One block, never touched, teaches it. Elsewhere nothing
    changes.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def peak_memory(device: torch.device) -> Callable[[], float | None]:
    """Start to measure; the function returned says how many MiB were needed at most since.

    On a GPU that is what its tensors take. Otherwise (Linux) it is by how much the process grew at
    most, whatever it did before: memory that was freed is returned to the system first, and program
    files, of which a process maps more the longer it runs, do not count. Elsewhere it is None.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return lambda: torch.cuda.max_memory_allocated(device) / 2**20
    gc.collect()
    with suppress(OSError, AttributeError):  # only glibc has it, and needs it
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark VmHWM
        before = _memory("RssAnon")
    except OSError:
        return lambda: None
    return lambda: _memory("VmHWM") - _memory("RssFile") - before


def memory() -> tuple[float, float]:
    """MiB that this process has needed at most, and that are free; infinite where unknown.

    Free is what Linux says, within the limit of the container (cgroup v2).
    """
    try:
        words = [line.split() for line in Path("/proc/meminfo").read_text().splitlines()]
        free = next(int(word[1]) for word in words if word[0] == "MemAvailable:") / 1024
        needed = _memory("VmHWM")
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0, math.inf
    with suppress(OSError, ValueError):  # the limit is "max" where there is none
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, (limit - used) / 2**20)
    return needed, free


def _memory(name: str) -> float:
    """MiB of this process, from a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def environment(device: torch.device, threads: int, products: str) -> dict[str, Any]:
    """What it takes to get the same numbers again; nothing in it names the user."""
    return {
        "command": [anonymous(word) for word in sys.argv],
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": processor(device),
        "device": device.type,
        "threads": threads,
        "products": products,  # who multiplies matrices, see models.linear
    }


def describe(machine: Mapping[str, Any], began: Mapping[str, Any]) -> list[str]:
    """Lines about the machine of a run, and about what differs from the one that it began on."""
    count = machine["threads"]
    lines = [
        f"device: {machine['device']}, {count} thread{'s' * (count > 1)}, matrix products: "
        f"{machine['products']} (stored in the run: rounding depends on them)"
    ]
    if (world := machine.get("world_size", 1)) > 1:
        each = max(1, count // machine["devices"])
        lines.append(
            f"processes: {world}, each with {each} thread{'s' * (each > 1)} and its part of every "
            "batch (train.batch counts the images of all)"
        )
    if began and began.get("world_size", 1) != world:
        lines.append(
            f"note: {world} process{'es' * (world > 1)}, the run began with "
            f"{began.get('world_size', 1)}; the noise differs from that of an uninterrupted run"
        )
    for name in ("processor", "threads"):
        if name in began and began[name] != machine[name]:
            lines.append(
                f"note: {name} {machine[name]}, the run began with {began[name]}; the last bits "
                "may differ from those of a run that was not interrupted"
            )
    return lines


def version(package: str) -> str:
    """The version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a checkout on the path, or a bundled program
        return "unknown"


def anonymous(word: str) -> str:
    """A word or a path without the user's home folder, whose name is often the user's."""
    with suppress(RuntimeError):  # a user without a home
        home = str(Path.home())
        if len(home) > 1:
            return word.replace(home, "~")
    return word


def processor(device: torch.device | None = None) -> str:
    """The model of a GPU; of a CPU the name that the system has for it, and torch's vectors there.

    A name such as "AMD EPYC" stands for several generations, whose speed and rounding differ with
    the instructions that torch uses.
    """
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    with suppress(OSError, StopIteration):  # not Linux, or a processor without a name
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("model name"))
        name = line.partition(":")[2].strip()
    vectors = torch.backends.cpu.get_cpu_capability()
    return name if vectors == "DEFAULT" else f"{name} ({vectors})"
