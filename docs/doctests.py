"""Examples in docstrings as blocks of code; without this, Markdown takes >>> for a quotation."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^( *)(>>> .*(?:\n *\S.*)*)", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fence each example."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of whatever griffe has loaded."""
        if obj.docstring:
            obj.docstring.value = EXAMPLE.sub(r"\1```pycon\n\1\2\n\1```", obj.docstring.value)
