"""Metrics with unit and better side, and estimates with standard errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaelab.language import Lang, local, text
from vaelab.seeding import generator


class Metric(NamedTuple):
    """A metric in the table of a section; language/metrics.toml says what it is."""

    unit: str = ""  # nats, bits, nats per image, share, ...
    better: Literal["", "lower", "higher"] = ""  # "": neither, for example for a rate
    cites: str = ""  # keys of references.bib, separated by spaces


class Estimate(NamedTuple):
    """A value, its standard error if it has one, and the values of which it is the mean."""

    value: float
    error: float | None = None
    each: NDArray[np.float64] | None = None  # (N,), the value of each test image, in order

    def __str__(self) -> str:
        """The value, rounded to two digits of its standard error.

        >>> print(Estimate(101.0432, 0.8519), Estimate(0.25))
        101.04 ± 0.85 0.25
        """
        return self.written("en")

    def written(self, lang: Lang) -> str:
        """Return the value like `str`, as the language writes it.

        >>> Estimate(-101.0432, 0.8519).written("pt")
        '−101,04 ± 0,85'
        """
        if self.value is None or not math.isfinite(self.value):  # JSON stores NaN as null
            return text("units", "not a number", lang)
        if not self.error or not math.isfinite(self.error):
            return local(f"{self.value:.4g}", lang)
        places = max(0, 1 - math.floor(math.log10(self.error)))
        return local(f"{self.value:.{places}f} ± {self.error:.{places}f}", lang)


def number(found: Any) -> Estimate | None:
    """Return a finite number of an evaluation as an `Estimate`, and None for anything else."""
    found = Estimate(found) if isinstance(found, int | float) else found
    known = isinstance(found, Estimate) and found.value is not None and math.isfinite(found.value)
    return found if known else None


def pooled(each: Tensor) -> Estimate:
    """Return the `mean` without the individual values.

    It is meant for values that do not belong to all test images in order.
    """
    return mean(each)._replace(each=None)


def resampled(
    measure: Callable[..., float], *sets: Tensor, times: int = 20, seed: int = 0
) -> Estimate:
    """Return a measure of sets (N, ...), with the standard deviation over bootstrap resamples."""
    rng = generator(seed, "bootstrap")
    again = (
        [x[torch.randint(len(x), x.shape[:1], generator=rng).to(x.device)] for x in sets]
        for _ in range(times)
    )
    return Estimate(
        measure(*sets),
        float(np.std([measure(*drawn) for drawn in again], ddof=1)) if times else None,
    )


def mean(each: Tensor) -> Estimate:
    """Return the mean of a value for each image (N,), with the standard error sqrt(Var / N).

    The standard error covers the choice of test images, but not the training seed. It is None for
    a single image.
    """
    values = each.detach().to("cpu", torch.float64)
    error = float(values.std() / len(values) ** 0.5) if len(values) > 1 else None
    return Estimate(float(values.mean()), error, values.numpy())
