"""How much memory a computation takes: the width of its widest tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from vaelab.seeding import Mode


def widest(function: Callable[[], object]) -> int:
    """Return the size in bytes of the largest tensor that a call of the function allocates.

    >>> widest(lambda: torch.ones(2, 3, dtype=torch.float64).expand(100, 2, 3).sum(1))
    2400
    """
    with torch.no_grad(), _Widest() as mode:
        function()
    return int(mode.bytes)


class _Widest(Mode):
    """Note the storage of every result that is not a view of an argument, in the thread that enters
    the mode.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.bytes: int = 0

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        results = func(*args, **(kwargs or {}))
        arguments = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if _is(leaf)}
        for leaf in filter(_is, tree_leaves(results)):
            if _storage(leaf) not in arguments:
                self.bytes = max(self.bytes, leaf.untyped_storage().nbytes())
        return results


def _is(value: object) -> bool:
    return isinstance(value, Tensor)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
