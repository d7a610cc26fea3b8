"""The programs of a run for a page: encoder and decoder, or the reasons why they are missing."""

from __future__ import annotations

from typing import Any, get_args

from torch import Tensor

from vaelab.export import Arrays, Program, Reason, embedded, functions
from vaelab.language import Lang
from vaelab.plots.view import is_discrete
from vaelab.runs import Run

ROWS = 8  # rows of the data on which programs are compared with the model


def programs(
    run: Run, x: Tensor, arrays: Arrays
) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Return the programs by name, and for those that are missing the reasons by language.

    Between discrete codes there is nothing to decode: such a run has neither, and the page says so.
    """
    if is_discrete(run):
        return {}, {}
    found = functions(run.vae, x[:ROWS])
    return (
        {name: embedded(one, arrays) for name, one in found.items() if isinstance(one, Program)},
        {
            name: {lang: one.said(lang) for lang in get_args(Lang)}
            for name, one in found.items()
            if isinstance(one, Reason)
        },
    )
