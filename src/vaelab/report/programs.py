"""The programs of a run for a page: encoder and decoder, or the reasons why they are missing."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vaelab.export import Arrays, Program, embedded, functions
from vaelab.plots.view import is_discrete
from vaelab.runs import Run

ROWS = 8  # rows of the data on which programs are compared with the model


def programs(run: Run, x: Tensor, arrays: Arrays) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the programs by name, and the reasons by the names of those that are missing.

    Between discrete codes there is nothing to decode: such a run has neither, and the page says so.
    """
    if is_discrete(run):
        return {}, {}
    found = functions(run.vae, x[:ROWS])
    return (
        {name: embedded(one, arrays) for name, one in found.items() if isinstance(one, Program)},
        {name: one for name, one in found.items() if isinstance(one, str)},
    )
