"""What the program runs on: the device, a number of threads that suits it, and a record of both."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from vaelab.errors import UserError

PACKAGES = ("vaelab", "torch", "lightning-fabric", "numpy", "scikit-learn", "safetensors")


def device(asked: str) -> torch.device:
    """The device of that name; auto takes a GPU where there is one."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there[asked]:
        raise UserError(f"train.device: there is no {asked} here; use auto or cpu")
    return torch.device(asked)


def threads(asked: int) -> tuple[int, str]:
    """How many CPU threads to use, and a warning where they will be crowded (else "").

    Small matrix products gain nothing from hyper-threads and lose much to a crowded core, so the most that is taken
    unasked is torch's own choice (one a physical core) within what this process may use.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = max(1, min(allowed, _quota()))
    count = asked or min(torch.get_num_threads(), allowed)
    if count > allowed:
        return (
            count,
            f"{count} threads on {allowed} usable cores: an epoch may take many times as long; lower train.threads",
        )
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if busy > max(1.0, 0.75 * (os.cpu_count() or 1)):
        return (
            count,
            f"other programs keep {busy:.1f} of {os.cpu_count()} cores busy: an epoch may take many times as long",
        )
    return count, ""


def _quota() -> int:
    """Whole cores that a container's CPU quota allows (Linux, cgroup v2); many where there is no quota."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(limit) // int(period))
    except (OSError, ValueError):
        return sys.maxsize


def environment(device: torch.device, threads: int) -> dict[str, Any]:
    """What a reader needs to know to get the same numbers again."""
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "device": device.type,
        "threads": threads,
    }
