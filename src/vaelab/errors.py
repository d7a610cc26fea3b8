"""The one exception that stands for a mistake the reader of its message can mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: the message is one line that names the file or field and the remedy."""


def nearest(name: str, known: Iterable[str], listing: str = "vaelab train --help") -> str:
    """``did you mean 'x'?`` for a misspelt name, else the list of what there is.

    >>> nearest("mnits", ["mnist", "digits"])
    "did you mean 'mnist'?"
    >>> nearest("zebra", ["mnist", "digits"])
    'choose one of: mnist, digits'
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"choose one of: {', '.join(known)}" if len(known) <= 12 else f"{listing} lists them all"
