"""vaelab info: what a bug report needs to know of this installation, and nothing of its user."""

from __future__ import annotations

import argparse
import os
import platform
from contextlib import suppress
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import vaelab
from vaelab.cli.arguments import Command, Document
from vaelab.cli.help import columns
from vaelab.errors import EXTRAS
from vaelab.files import FORMAT

MOST = 20_000  # files of a folder that are counted


def info(arguments: argparse.Namespace) -> Document:
    """Print versions, machine and folders."""
    from vaelab import devices
    from vaelab.tracking import TRACKERS

    device = devices.device("auto")
    optional = (*EXTRAS, *(row.package for row in TRACKERS.values()))
    data = os.environ.get("VAELAB_DATA_DIR")
    found: dict[str, Any] = {
        "vaelab": vaelab.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: devices.version(name) for name in devices.PACKAGES[1:]},
        "optional": {name: devices.version(name) if find_spec(name) else None for name in optional},
        "system": platform.platform(),
        "device": device.type,
        "processor": devices.processor(device),
        "cores": os.cpu_count(),
        "threads": devices.threads(0)[0],
        "memory": _memory(),
        "cache": _folder(devices.cache()),
        "data": _folder(Path(data)) if data else None,
        "run_format": FORMAT,
    }
    for name, value in found.items():
        print("\n".join(columns(name.replace("_", " "), _said(name, value), 12)))
    return found


def _memory() -> int | None:
    """Bytes of this machine's memory; None where the system does not tell."""
    with suppress(AttributeError, ValueError, OSError):  # no sysconf, or not these names
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _folder(path: Path) -> dict[str, Any]:
    """A folder without the user's name, and how much the files below it take."""
    from vaelab.devices import anonymous

    sizes = []
    with suppress(OSError):  # a folder that cannot be read
        for file in islice(path.rglob("*"), MOST):
            with suppress(OSError):  # a file that is gone meanwhile, or cannot be read
                sizes.append(file.stat().st_size if file.is_file() else 0)
    return {
        "path": anonymous(str(path)),
        "exists": path.is_dir(),
        "bytes": sum(sizes),
        "complete": len(sizes) < MOST,
    }


def _said(name: str, value: Any) -> str:
    if name in ("packages", "optional"):
        return ", ".join(f"{key} {one or '(not installed)'}" for key, one in value.items())
    if name == "memory" and value:
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, dict):
        least = "" if value["complete"] else "at least "
        size = f"{least}{value['bytes'] / 2**20:,.1f} MiB"
        return f"{value['path']} ({size if value['exists'] else 'does not exist'})"
    return "unknown" if value is None and name == "memory" else str(value or "not set")


COMMANDS = {
    "info": Command(
        "versions, device and folders, for a bug report",
        [],
        info,
        ["vaelab info [options]"],
        {
            "vaelab": "its version",
            "python": "the interpreter and its version",
            "packages": "package -> version",
            "optional": "optional package -> version; null where it is not installed",
            "system": "operating system",
            "device": "cpu or cuda: what `auto` takes",
            "processor": "the model of the CPU or GPU",
            "cores": "logical cores",
            "threads": "threads that a training begun now would use",
            "memory": "bytes of memory",
            "cache": "the folder of downloads and classifiers, and the bytes below it",
            "data": "the folder VAELAB_DATA_DIR, if it is set",
            "run_format": "version of the files of run folders that this vaelab writes and reads",
        },
    ),
}
