"""The user's units: what a model takes and returns is in them, and its networks work in units of
their own.

With x = shift + scale u, element by element, the encoder network sees u, and p(x|z) is the
distribution of x where the decoder gives that of u. A density of x is that of u divided by the
scale, so nats in the user's units are

    log p(x|z) = log p(u|z) - sum_i log scale_i.

A probability, such as a Bernoulli's, is the same in all units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from vaelab.data import Form, Schema, Values, some
from vaelab.recipes import Data

ROWS = 4096  # rows whose moments are summed at once
NORMAL = 1.349  # the interquartile range of a standard normal distribution


class Units(nn.Module):
    """x = shift + scale u, with `shift` and `scale` of a shape that broadcasts to that of x; they
    are saved with the weights.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, shift: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("shift", shift)
        self.register_buffer("scale", scale)

    def inward(self, x: Tensor) -> Tensor:
        """Return u, in the units of the networks, for x (..., *shape) in the user's."""
        return (x - self.shift) / self.scale

    def outward(self, u: Tensor) -> Tensor:
        """Return x, in the user's units, for u (..., *shape) in those of the networks."""
        return self.shift + self.scale * u


def units_of(
    settings: Data,
    shape: tuple[int, ...],
    x: Values | None = None,
    levels: int | None = None,
    form: Form = "table",
    schema: Schema | None = None,
) -> Units | None:
    """Return the units that ``data.scale`` or ``data.standardise`` ask for; None where neither
    does. The columns of a table have units of their own.

    Args:
        settings: The data section of the recipe.
        shape: The shape of one row.
        x: The training rows (N, *shape), for their moments; None if these will be loaded with the
            weights.
        levels: The number of grey levels of x, None for real values.
        form: What a row is. Of signals each channel is standardised, over all steps; of other data
            each element.
        schema: The columns of a table that is read by their types.
    """
    if schema is not None:
        return moments(schema, x if x is None or isinstance(x, Tensor) else x[some(x)])
    if settings.standardise:
        size = (*shape[:-1], 1) if form == "signal" else shape
        shift, scale = torch.zeros(size), torch.ones(size)
        return Units(shift, scale) if x is None else _standardised(x, size, levels)
    if settings.scale != 1:
        return Units(torch.zeros(()), torch.tensor(settings.scale, dtype=torch.float32))
    return None


def _standardised(x: Values, size: tuple[int, ...], levels: int | None) -> Units:
    """The mean and the standard deviation of each element, (*size), over the rows and the axes
    along which the size is 1; the scale of an element that never varies is 1.
    """
    top, n = (levels - 1 if levels else 1), x.numel() / math.prod(size)
    mean = sum(rows.double().sum(0).sum_to_size(size) for rows in x.split(ROWS)) / n
    squares = sum(
        (rows.double() - mean).square().sum(0).sum_to_size(size) for rows in x.split(ROWS)
    )
    mean, deviation = torch.as_tensor(mean) / top, (torch.as_tensor(squares) / n).sqrt() / top
    varies = deviation > 1e-6 * mean.abs()  # float32 resolves no less
    return Units(mean.float(), torch.where(varies, deviation, 1.0).float())


def moments(schema: Schema, x: Tensor | None) -> Units:
    """Return the location and the scale (D,) of each column of the training rows x (N, D).

    They are mean and standard deviation of a real column or a date, median and interquartile range
    (of a Gaussian with deviation 1) where tails are heavy, mean and deviation of log x where x is
    positive, log of the mean and deviation of log(1 + x) of counts, and 0 and 1 of categories.
    Empty cells do not count.
    """
    shift, scale = torch.zeros(len(schema.modelled)), torch.ones(len(schema.modelled))
    for i, column in enumerate(schema.modelled if x is not None else ()):
        values = x[:, i][~x[:, i].isnan()].double()  # type: ignore[index]  # None has no columns
        if not len(values):
            continue
        match column.kind:
            case "real" | "date":
                shift[i], scale[i] = values.mean(), values.std(correction=0)
            case "heavy":
                first, third = _quantile(values, 0.25), _quantile(values, 0.75)
                spread = (third - first) / NORMAL
                shift[i], scale[i] = values.median(), spread or values.std(correction=0)
            case "positive":
                logarithms = values.clamp(min=1e-300).log()
                shift[i], scale[i] = logarithms.mean(), logarithms.std(correction=0)
            case "count":
                shift[i] = values.mean().clamp(min=1e-2).log()
                scale[i] = values.log1p().std(correction=0)
    scale = torch.where(scale > 1e-6 * shift.abs(), scale, 1.0)
    return Units(shift, scale)


def _quantile(values: Tensor, share: float) -> float:
    return float(values.kthvalue(max(1, round(share * len(values))))[0])


class Standardised(nn.Module):
    """An encoder network that takes x in the user's units and sees it in its own."""

    def __init__(self, network: nn.Module, units: Units) -> None:
        super().__init__()
        self.network, self.units = network, units

    def forward(self, x: Tensor, *y: Tensor) -> Tensor:
        features: Tensor = self.network(self.units.inward(x), *y)
        return features


class InUnits(Distribution):
    """The distribution of x = shift + scale u, each element of u by `base`.

    Where `density` is false, log_prob is a log probability, or a cross-entropy, and has no
    Jacobian.
    """

    def __init__(self, base: Distribution, units: Units, density: bool) -> None:
        self.base, self.units, self.density = base, units, density
        self.has_rsample = base.has_rsample
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.units.outward(self.base.mean)

    @property
    def variance(self) -> Tensor:
        return self.base.variance * self.units.scale**2

    def log_prob(self, value: Tensor) -> Tensor:
        log_p = self.base.log_prob(self.units.inward(value))
        return log_p - self.units.scale.log() if self.density else log_p

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.units.outward(self.base.sample(torch.Size(sample_shape)))

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.units.outward(self.base.rsample(torch.Size(sample_shape)))


def standardised(px: Distribution | None) -> Distribution | None:
    """Return p(u|z), in the units of the networks, for p(x|z) in the user's."""
    if isinstance(px, Independent) and isinstance(px.base_dist, InUnits):
        return Independent(px.base_dist.base, px.reinterpreted_batch_ndims, validate_args=False)
    return px
