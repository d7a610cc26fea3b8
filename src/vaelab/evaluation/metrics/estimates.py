"""What a number is: its meaning, its unit, which way is better; and its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelab.seeding import generator


class Metric(NamedTuple):
    """A row of a section's table of numbers."""

    about: str  # one line
    unit: str = ""  # nats, bits, nats per image, share, ...
    better: Literal["", "lower", "higher"] = ""  # "": neither, as for a rate
    cites: str = ""  # keys of references.bib, after spaces


class Estimate(NamedTuple):
    """A number, its standard error where there is one, and what it is the mean of."""

    value: float
    error: float | None = None
    each: NDArray[np.float64] | None = None  # (N,), a value for each test image, in their order

    def __str__(self) -> str:
        """The value as far as two digits of its error reach.

        >>> print(Estimate(101.0432, 0.8519), Estimate(0.25))
        101.04 ± 0.85 0.25
        """
        if self.value is None or not math.isfinite(self.value):  # None: as JSON has it
            return "not a number"
        if not self.error or not math.isfinite(self.error):
            return f"{self.value:.4g}"
        places = max(0, 1 - math.floor(math.log10(self.error)))
        return f"{self.value:.{places}f} ± {self.error:.{places}f}"


def number(found: Any) -> Estimate | None:
    """A finite number of an evaluation as an `Estimate`; None for a text, a table, and what is missing."""
    found = Estimate(found) if isinstance(found, int | float) else found
    known = isinstance(found, Estimate) and found.value is not None and math.isfinite(found.value)
    return found if known else None


def pooled(each: Tensor) -> Estimate:
    """`mean` of values that are not those of all test images in their order, so without them."""
    return mean(each)._replace(each=None)


def resampled(
    measure: Callable[..., float], *sets: Tensor, times: int = 20, seed: int = 0
) -> Estimate:
    """A number of sets (N, ...), and as its error its standard deviation over sets drawn from them with replacement."""
    chance = generator(seed, "bootstrap")
    again = (
        [x[torch.randint(len(x), x.shape[:1], generator=chance).to(x.device)] for x in sets]
        for _ in range(times)
    )
    return Estimate(
        measure(*sets),
        float(np.std([measure(*drawn) for drawn in again], ddof=1)) if times else None,
    )


def mean(each: Tensor) -> Estimate:
    """The mean of one value for each image (N,), its standard error sqrt(Var / N), and the values.

    The error says how far the mean would move with other test images (None for a single one), not how far it would move
    with another seed of training.
    """
    values = each.detach().to("cpu", torch.float64)
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return Estimate(float(values.mean()), error, values.numpy())
