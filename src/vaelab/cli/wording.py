"""From the words of the Python API to those of the command line.

The core speaks of settings (``data.test``) and parameters (``n``, ``overwrite=True``); a person at
a shell types ``--data.test``, ``-n`` and ``--overwrite``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vaelab.cli.arguments import Command
from vaelab.recipes import fields


def as_flags(message: str, command: Command, given: Iterable[str] = ()) -> str:
    """The message with settings and parameters named as the options of this command.

    A message about a recipe file names the setting as it stands in the file. `given` are the
    settings of the command line, which may be misspelt.
    """
    options = {option.name.lstrip("-"): option.name for option in command.options}
    named = {name: flag for name, flag in options.items() if flag.startswith("-")}
    where, colon, text = message.partition(": ")
    if colon and where in named:
        message = f"{named[where]}: {text}"
    for name, flag in named.items():
        message = re.sub(rf"\b{name}=True\b", flag, message)
        message = re.sub(rf"(?<![\w-]){name}=(?=[\w'\"])", f"{flag} ", message)
    if re.match(r"\S*\.toml: ", message):
        return message
    keys = sorted({*(field.key for field in fields()), *given}, key=len, reverse=True)
    pattern = "|".join(map(re.escape, keys))
    return re.sub(rf"(?<![\w./-])(?<!--over )({pattern})(?![\w/]|[.=]\w)", r"--\1", message)
