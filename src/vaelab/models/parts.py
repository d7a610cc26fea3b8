"""What the parts of a model share: a reference to a part that another one owns, and evaluation mode
for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True)
class Borrowed(Generic[M]):
    """A module that another part owns: it is called here, but trained, moved and saved there."""

    module: M


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode inside; parts that are in it already are not touched."""
    switched = [part for part in module.modules() if part.training]
    for part in switched:
        part.training = False
    try:
        yield
    finally:
        for part in switched:
            part.training = True
