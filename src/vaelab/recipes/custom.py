"""Custom parts and rows from the user's own Python files."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from vaelab.errors import UserError


def names_of(path: Path, field: str) -> Mapping[str, Any]:
    """What a user's Python file defines; `field` is named where it cannot be read or run."""
    try:
        return _run(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise UserError(
            f"{field}: {path}: cannot be read ({error.strerror}); restore it, or check the path"
        ) from None
    except Exception as error:
        raise UserError(
            f"{field}: {path}: {type(error).__name__}: {error}; mend it there"
        ) from None


@cache
def _run(path: Path, written: int) -> Mapping[str, Any]:
    """Once for each time that the file was written: its classes are the same, whoever asks for them."""
    return runpy.run_path(str(path))
