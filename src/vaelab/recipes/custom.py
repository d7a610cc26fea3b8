"""Custom rows and parts: Python files that run only where the user's own command names them.

A recipe or a run folder may come from somebody else, and it may name a file. So reading one never
runs code: a file runs only after `permit` was called with it. An override permits the file that it
names (``--model.variant mine.py``), and so does ``--code FILE.py``, or ``code=`` in Python.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from vaelab.errors import UserError, quoted
from vaelab.files import absolute

Code = str | Path | Iterable[str | Path]  # what the API takes as code=

_permitted: set[str] = set()


def permit(*code: Code) -> None:
    """Allow these Python files to run when a recipe or a run names them, in this process."""
    for one in code:
        for file in [one] if isinstance(one, str | Path) else one:
            _permitted.add(os.path.realpath(absolute(file, "code")))


def permitted() -> list[str]:
    """The files that may run, for another process of the same command."""
    return sorted(_permitted)


def file_of(name: str) -> str:
    """The Python file behind the name of a row or a part; "" for a name of the tables.

    >>> file_of("mine.py:Prior"), file_of("mine.py"), file_of("mixture")
    ('mine.py', 'mine.py', '')
    """
    file = name.rpartition(":")[0] if ".py:" in name else name
    return file if file.endswith(".py") else ""


def names_of(path: Path, field: str) -> Mapping[str, Any]:
    """What a permitted Python file defines; `field` is the setting that names the file."""
    if os.path.realpath(path) not in _permitted:
        raise UserError(
            f"{field}: {path}: this file was not named in the command, so it was not run; "
            f"if you trust it, add --code {quoted(path)} (in Python: code={str(path)!r})"
        )
    try:
        return _run(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(
            f"{field}: {path}: cannot be read ({error.strerror}); restore it, or check the path"
        ) from None
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{field}: {path}: {type(error).__name__}: {error}; correct it there"
        ) from None


@cache
def _run(path: Path, written: int) -> Mapping[str, Any]:
    """Run a file once for each time that it was written, so that its classes stay the same."""
    return runpy.run_path(str(path))
