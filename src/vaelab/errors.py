"""User errors: one line that says what is wrong and what to do, safe to print on a terminal."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable
from importlib import import_module
from typing import Any

# The optional packages that vaelab imports, and the extra that installs each.
EXTRAS = {
    "zuko": "flows", "vector_quantize_pytorch": "codes", "pandas": "tables", "pyarrow": "tables",
    "onnx": "onnx", "onnxscript": "onnx", "onnx_ir": "onnx",
    "optuna": "sweep",
}  # fmt: skip


class UserError(ValueError):
    """Bad input. The message names the file or the field, what is wrong, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: object) -> str:
    r"""Return the text with control characters escaped, so that a name cannot steer a terminal.

    >>> print(printable("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return "".join(c if c.isprintable() or c == "\xa0" else _escaped(c) for c in str(text))


def quoted(path: object) -> str:
    r"""Return a path as one word of a shell command, for a remedy that is pasted into a shell.

    >>> print(quoted("my runs/a"), quoted("runs/a"), quoted("-x"), quoted("a\n'"))
    'my runs/a' runs/a ./-x $'a\n\''
    """
    text = str(path)
    if text.startswith("-"):  # else it would be an option
        text = f"./{text}"
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(_escaped(c) if not c.isprintable() or c in _QUOTES else c for c in text)}'"


_QUOTES = "\\'"


def _escaped(character: str) -> str:
    if character in _QUOTES:
        return f"\\{character}"
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that is not text
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def nearest(name: str, known: Iterable[str], listing: str = "vaelab train --help") -> str:
    """Return ``did you mean 'x'?`` for a misspelt name, else what there is to choose from.

    Of more than 12 names, `listing` is the command that shows all; "" if there is none.

    >>> nearest("mnits", ["mnist", "digits"])
    "did you mean 'mnist'?"
    >>> nearest("zebra", ["mnist", "digits"])
    'choose one of: mnist, digits'
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    if len(known) > 12 and listing:
        return f"{listing} lists them all"
    return f"choose one of: {', '.join(known[:12])}" + ", ..." * (len(known) > 12)


def needed(module: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Raises:
        UserError: It is missing; the message says what installs it.
    """
    try:
        return import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UserError(
            f"{package.replace('_', '-')} is needed {purpose}; "
            f"install it: pip install 'vaelab[{EXTRAS[package]}]'"
        ) from None
