"""Distributions of the columns of a table that contain numbers."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal, StudentT

from vaelab.data import Column
from vaelab.models.likelihoods.counts import NegativeBinomialOfLogMean

LEAST = 1e-3  # of the scale of a column: a smaller sigma would fit noise of float32
LARGEST = 15.0  # of the logarithm of a mean, beyond which samples overflow


class Block(nn.Module, ABC):
    """The columns of one likelihood: their learned scales, and their part of the decoder's outputs.

    Args:
        columns: The columns.
        shift, scale: The location and the scale (C,) of the columns over the training rows, after
            the transformation of `models.columns`.
    """

    neutral: ClassVar[float] = 0.0  # a value that every column can have, in place of an empty cell

    def __init__(self, columns: Sequence[Column], shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.columns = columns
        self.register_buffer("shift", shift.clone())
        self.register_buffer("scale", scale.clone())

    shift: Tensor
    scale: Tensor

    @property
    def outputs(self) -> int:
        """The numbers that the decoder puts out for these columns."""
        return len(self.columns)

    @abstractmethod
    def forward(self, outputs: Tensor) -> Distribution:
        """Return p(x|z) of each column, batch shape (..., C), for `outputs` numbers (..., O)."""

    def start(self, x: Tensor) -> Tensor:
        """Return the outputs (O,) with which training begins, for rows x (N, C) with empty cells
        NaN.
        """
        return torch.zeros(self.outputs)


class Real(Block):
    """A Gaussian in the user's units: log p(x) = log N(u; m, sigma^2) - log scale with u = (x -
    shift) / scale.

    m is the decoder's output, sigma learned, one for each column. It is at least the error of
    rounding, step / sqrt(12), so that rounded numbers have no infinite density.
    """

    least: Tensor

    def __init__(self, columns: Sequence[Column], shift: Tensor, scale: Tensor) -> None:
        super().__init__(columns, shift, scale)
        self.register_buffer("least", (self.steps() / math.sqrt(12) / scale).clamp(LEAST, 1.0))
        self.log_sigma = nn.Parameter(torch.zeros(len(columns)))

    def steps(self) -> Tensor:
        """Return the distance (C,) of neighbouring values of each column, 0 where it has none."""
        return torch.tensor([column.step for column in self.columns])

    @property
    def sigma(self) -> Tensor:
        """Sigma (C,) in units of the scale."""
        return self.least + self.log_sigma.exp()

    def forward(self, outputs: Tensor) -> Distribution:
        return Scaled(self.standard(outputs), self.shift, self.scale)

    def standard(self, outputs: Tensor) -> Distribution:
        """Return the distribution of u."""
        return Normal(outputs, self.sigma, validate_args=False)


class Heavy(Real):
    """A Student-t distribution of u, with learned degrees of freedom of at least 1 for each column.

    Its `mean` is its centre.
    """

    def __init__(self, columns: Sequence[Column], shift: Tensor, scale: Tensor) -> None:
        super().__init__(columns, shift, scale)
        self.log_freedom = nn.Parameter(torch.full((len(columns),), math.log(4.0)))

    def standard(self, outputs: Tensor) -> Distribution:
        freedom = 1 + self.log_freedom.clamp(-10, 5).exp()
        return CentredT(freedom, outputs, self.sigma, validate_args=False)


class CentredT(StudentT):
    """A Student-t distribution whose `mean` is its centre, also with one degree of freedom."""

    @property
    def mean(self) -> Tensor:
        return self.loc


class Positive(Real):
    """A log-normal distribution: log x is Gaussian, and log p(x) = log p(log x) - log x.

    The error of rounding is that of log x at the geometric mean of the column.
    """

    neutral = 1.0

    def steps(self) -> Tensor:
        return super().steps() / self.shift.exp()

    def forward(self, outputs: Tensor) -> Distribution:
        return LogNormal(Scaled(self.standard(outputs), self.shift, self.scale))


class Scaled(Distribution):
    """The distribution of x = shift + scale u for u of `base`."""

    def __init__(self, base: Distribution, shift: Tensor, scale: Tensor) -> None:
        self.base, self.shift, self.scale = base, shift, scale
        super().__init__(base.batch_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return self.base.log_prob((value - self.shift) / self.scale) - self.scale.log()

    @property
    def mean(self) -> Tensor:
        return self.shift + self.scale * self.base.mean

    @property
    def variance(self) -> Tensor:
        return self.base.variance * self.scale**2

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.shift + self.scale * self.base.sample(torch.Size(sample_shape))


class LogNormal(Distribution):
    """The distribution of x = e^y for y of `base`, a Gaussian."""

    def __init__(self, base: Scaled) -> None:
        self.base = base
        super().__init__(base.batch_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        y = value.clamp(min=torch.finfo(value.dtype).tiny).log()
        return self.base.log_prob(y) - y

    @property
    def mean(self) -> Tensor:
        return (self.base.mean + self.base.variance / 2).exp()

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.base.sample(sample_shape).exp()


class Count(Block):
    """A negative binomial of mean e^(shift + output) and inverse dispersion r, learned for each
    column (see `NegativeBinomial`); the Poisson distribution is the limit of large r.
    """

    def __init__(self, columns: Sequence[Column], shift: Tensor, scale: Tensor) -> None:
        super().__init__(columns, shift, scale)
        self.log_r = nn.Parameter(torch.zeros(len(columns)))

    def forward(self, outputs: Tensor) -> Distribution:
        log_mean = (self.shift + outputs).clamp(-LARGEST, LARGEST)
        return NegativeBinomialOfLogMean(log_mean, self.log_r.clamp(max=20).expand_as(log_mean))

    def start(self, x: Tensor) -> Tensor:
        return x.nanmean(0).clamp(min=1e-2).log() - self.shift
