"""Files that are written whole or not at all, folders that know what vaelab wrote, and locks."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

from filelock import FileLock, Timeout

from vaelab.errors import UserError

# A folder that vaelab made lists in this file what vaelab wrote there. Only that is ever deleted.
WRITTEN = ".vaelab"
FORMAT = 2  # of the files of a run; raised when this vaelab cannot read older ones
SCRATCH = re.compile(r"\..+\.[0-9a-f]{16}\.part")
ELSEWHERE = "choose another --out"

Payload = bytes | Callable[[BinaryIO], object]  # the content, or what writes it into an open file


def absolute(path: str | Path, field: str) -> Path:
    """Return the path with ``~`` expanded, from the root; `field` names the setting in messages."""
    try:
        return Path(path).expanduser().absolute()
    except (RuntimeError, OSError) as error:  # no such user; no home; the working folder is gone
        raise UserError(f"{field}: {path}: {error}; write the whole path") from None


@contextmanager
def opened(path: Path, missing: str, shown: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file for reading; `missing` is the remedy where there is none.

    Messages call the file `shown`, where its path says nothing to the user.
    """
    shown = shown or path
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{shown}: is not a file; remove it")
        file = path.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{shown}: is missing; {missing}") from None
    except OSError as error:
        raise UserError(
            f"{shown}: cannot be read ({error.strerror}); check its permissions"
        ) from None
    with file:
        yield file


def write_atomic(path: Path, payload: Payload) -> Path:
    """Write a file so that at any moment the old one or the new one is there, whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _replace(path, payload)
    except OSError as error:
        raise unwritable(path, error) from None


def claim(folder: Path, names: Iterable[str]) -> None:
    """Make the folder, before the work whose results `put` will write there under these names.

    Raises:
        UserError: If it cannot be written, or holds such a file that vaelab did not write.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: cannot be written (Permission denied); {ELSEWHERE}")
    ours = written(folder)
    for name in names:
        if name not in ours and (folder / name).exists():
            raise UserError(f"{folder / name}: was not written by vaelab; {ELSEWHERE}")


def put(folder: Path, name: str, payload: Payload) -> Path:
    """Write a file of a folder that vaelab made, as `write_atomic`, and list it there.

    The folder must exist, and no link below it is followed: the file lands inside.
    """
    path = below = folder / name
    try:
        for below in _parents(folder, name):
            if below.is_symlink():
                raise UserError(f"{below}: is a link out of the folder; remove it")
            below.mkdir(exist_ok=True)
        note(folder, name)
        return _replace(path, payload)
    except OSError as error:
        raise unwritable(path, error) from None


def note(folder: Path, name: str) -> None:
    """List a file as written by vaelab, before it is written."""
    if name in written(folder):
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(folder / WRITTEN, flags, 0o666), "ab") as file:
            file.write(f"{name}\n".encode())
    except OSError as error:
        raise unwritable(folder / name, error) from None


def written(folder: Path) -> list[str]:
    """The files below the folder that vaelab wrote, in the order of their first writing."""
    try:
        lines = (folder / WRITTEN).read_text("utf-8").splitlines()
    except (OSError, ValueError):
        return []
    return [name for name in lines if name and _is_below(name)]


def remove_written(folder: Path) -> None:
    """Delete what vaelab wrote below the folder, the first file last, and nothing else."""
    names = written(folder)
    try:
        for name in reversed(names):
            folders = _parents(folder, name)
            path = folder / name
            if not any(below.is_symlink() for below in folders) and not path.is_dir():
                path.unlink(missing_ok=True)
            for below in reversed(folders):
                with contextlib.suppress(OSError):  # what else is in it stays
                    below.rmdir()
        if names:
            _replace(folder / WRITTEN, f"{names[0]}\n".encode())
    except OSError as error:
        raise UserError(f"{folder}: cannot be replaced ({error.strerror}); {ELSEWHERE}") from None


def remove_scratch(folder: Path) -> None:
    """Delete the scratch files that killed writers left; call it while the folder is locked."""
    names = written(folder)
    for place in {folder, *(below for name in names for below in _parents(folder, name))}:
        if place.is_dir() and (place == folder or not place.is_symlink()):
            for path in place.glob(".*.part"):
                if SCRATCH.fullmatch(path.name):
                    with contextlib.suppress(OSError):  # a leftover that stays does no harm
                        path.unlink()


@contextmanager
def locked(folder: Path, remedy: str = ELSEWHERE) -> Iterator[None]:
    """Hold a run folder against other processes that train there.

    The lock ends with the process, however that ends. `remedy` is for a folder that cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(folder / ".lock", 0)
    except Timeout:
        raise UserError(
            f"{folder}: another process is training there; wait for it, or {remedy}"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); {remedy}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def merging(folder: Path, seconds: float = 60) -> Iterator[str]:
    """Hold a folder while a file in it is read, extended and written again; wait for the lock.

    Yields "" where the lock is held, else the reason why there is none (the folder cannot be
    written, or its file system has no locks). The work goes on without it, so print the reason.
    """
    lock, reason = None, ""
    try:
        lock = _lock(folder / ".merging", seconds)
    except Timeout:
        raise UserError(
            f"{folder}: another process has been writing there for {seconds:g} s; try again later"
        ) from None
    except OSError as error:
        reason = f"{folder}: cannot be locked ({error.strerror}); run one command at a time there"
    try:
        yield reason
    finally:
        if lock:
            lock.release()


@contextmanager
def presence(folder: Path) -> Iterator[str]:
    """Show that this process works in the folder, however it ends; yields the name of its sign."""
    sign = f".{secrets.token_hex(8)}.present"
    try:
        lock = _lock(folder / sign, 0)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be locked ({error.strerror}); choose a place that can be"
        ) from None
    try:
        yield sign
    finally:
        lock.release()
        (folder / sign).unlink(missing_ok=True)


def is_present(folder: Path, sign: str) -> bool:
    """Return whether the process with this sign works in the folder still."""
    path = folder / sign
    if not path.exists():
        return False
    try:
        _lock(path, 0).release()
    except Timeout:
        return True
    path.unlink(missing_ok=True)
    return False


def _lock(path: Path, seconds: float) -> FileLock:
    if path.is_symlink():  # it would be emptied, wherever it points to
        raise OSError(errno.ELOOP, f"{path.name} is a link")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=seconds)
    except NotImplementedError:  # filelock's answer where the file system has no flock
        raise OSError(errno.ENOSYS, "no file locks on this file system") from None
    return lock


def _replace(path: Path, payload: Payload) -> Path:
    """Write a new file with a name that nobody can guess, flush it to the disk, move it to `path`.

    Mode "x" creates the file: it fails where there is one, a link included.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with scratch.open("xb") as file:
            if isinstance(payload, bytes):
                file.write(payload)
            else:
                payload(file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the first error is the one to raise
            scratch.unlink()
        raise
    return path


def unwritable(path: Path, error: OSError) -> UserError:
    """Return the error of a file or folder that could not be written."""
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None), errno.EFBIG)
    remedy = "free some space" if full else "choose a place that can be written"
    return UserError(
        f"{path}: cannot be written ({error.strerror}); {remedy}; what was there before is intact"
    )


def _parents(folder: Path, name: str) -> list[Path]:
    """The folders between `folder` and a file below it, from above."""
    parts = PurePath(name).parts[:-1]
    return [folder.joinpath(*parts[: count + 1]) for count in range(len(parts))]


def _is_below(name: str) -> bool:
    path = PurePath(name)
    return not path.is_absolute() and not path.drive and ".." not in path.parts
