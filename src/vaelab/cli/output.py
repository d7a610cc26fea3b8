"""Output that degrades where the screen, the pipe or the code page cannot take it."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import math
import os
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLAIN = {
    "±": "+/-", "×": "x", "→": "->", "≤": "<=", "≥": ">=", "−": "-", "–": "-", "—": "-", "·": "*",
    "…": "...", "‖": "||", "α": "alpha", "β": "beta", "γ": "gamma", "σ": "sigma", "μ": "mu",
    "ł": "l", "ø": "o", "ß": "ss", "’": "'",
}  # fmt: skip


def plain(character: str) -> str:
    """The nearest ASCII text of a character, "?" where there is none.

    >>> "".join(map(plain, "±öβ字"))
    '+/-obeta?'
    """
    if character in PLAIN:
        return PLAIN[character]
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(plain, error.object[error.start : error.end])), error.end


def prepare() -> None:
    """Make stdout and stderr safe: never missing, and no character ends the program."""
    codecs.register_error("vaelab-plain", _replace)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or getattr(stream, "closed", False):  # pythonw, services
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="vaelab-plain")


def announce(line: str) -> None:
    """Say what begins, on a terminal only: for commands whose output is their result."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


def complain(line: str) -> None:
    """Print an error."""
    with contextlib.suppress(OSError, ValueError):
        print(f"vaelab: {line}", file=sys.stderr, flush=True)


def emit(document: Mapping[str, Any]) -> None:
    """Print a document as JSON in ASCII, which no code page changes."""
    print(json.dumps(strict(document), indent=2, allow_nan=False))


def strict(value: Any) -> Any:
    """The value in the types of JSON: NaN and infinities are null, a path is its text.

    >>> strict({"nll": float("inf"), "files": (Path("a.csv"),)})
    {'nll': None, 'files': ['a.csv']}
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Path():
            return str(value)
        case Mapping():
            return {str(key): strict(inner) for key, inner in value.items()}
        case list() | tuple():
            return [strict(inner) for inner in value]
    return strict(value.tolist())  # arrays and numbers of NumPy


def abandon() -> None:
    """Print nothing more on a stdout that cannot be written, not even when Python exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
