"""Why a page cannot run a function of a model."""

from __future__ import annotations

from vaelab.errors import UserError
from vaelab.language import Lang, text


class Reason(str):
    """A sentence of the catalogue `programs`, in English; `said` translates it.

    Attributes:
        key: Its key in the catalogue.
        slots: The values of its slots.
    """

    key: str
    slots: dict[str, object]

    def __new__(cls, key: str, **slots: object) -> Reason:
        reason = super().__new__(cls, text("programs", key, "en", **slots))
        reason.key, reason.slots = key, slots
        return reason

    def said(self, lang: Lang) -> str:
        """Return the sentence in a language."""
        return text("programs", self.key, lang, **self.slots)


class UntraceableError(UserError):
    """A module cannot become a program, for a `reason`."""

    def __init__(self, key: str, **slots: object) -> None:
        self.reason = Reason(key, **slots)
        super().__init__(self.reason)


class UnknownOperationError(UntraceableError):
    """A program cannot do an operation of the module, which the error names."""

    def __init__(self, operation: str) -> None:
        super().__init__("unknown", operation=operation)
