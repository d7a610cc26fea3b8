"""What a number is: its meaning, its unit, which way is better; and its standard error."""

from __future__ import annotations

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
        return f"{self.value:.4g}" if self.error is None else f"{self.value:.4g} ± {self.error:.2g}"


def mean(each: Tensor) -> Estimate:
    """The mean of one value for each image (N,), its standard error sqrt(Var / N), and the values.

    The error says how far the mean would move with other test images (NaN for a single one), not how far it would move
    with another seed of training.
    """
    values = each.detach().to("cpu", torch.float64)
    return Estimate(float(values.mean()), float(values.std() / len(values) ** 0.5), values.numpy())
