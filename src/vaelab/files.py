"""Files written whole or not at all, and folders held by one process."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from vaelab.errors import UserError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder against other processes; the lock goes with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder}: another process is training there; wait for it or choose another --out"
        ) from None
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}); choose another --out"
        ) from None
    try:
        yield
    finally:
        lock.release()


def write_atomic(path: Path, payload: bytes) -> Path:
    """Write beside the place, flush to the disk, move there: the file is the old one or the new one, never half."""
    scratch = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink()
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); make room or choose a place that can be written; "
            "what was there before is intact"
        ) from None
    return path
