"""What a number is: its meaning, its unit, which way is better; and its standard error."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


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


def mean(each: Tensor) -> Estimate:
    """The mean of one value for each image (N,), its standard error sqrt(Var / N), and the values.

    The error says how far the mean would move with other test images (None for a single one), not how far it would move
    with another seed of training.
    """
    values = each.detach().to("cpu", torch.float64)
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return Estimate(float(values.mean()), error, values.numpy())
