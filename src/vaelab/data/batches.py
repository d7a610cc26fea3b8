"""One split on the device, cut into batches: how pixels become numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vaelab.data.dataset import Dataset, Values
from vaelab.data.mapped import Mapped, shuffled
from vaelab.errors import UserError
from vaelab.recipes import Data
from vaelab.seeding import generator, numpy_generator

GREY_AND_GAUSSIAN = "set data.treatment to grey and model.likelihood to gaussian"


class Batches:
    """One split on the device; a batch is an index.

        batches = Batches(split.x, dataset.levels, settings, device, augment=True)
        x = batches(index, generator)                                     # (B, *shape) float32

    Rows of a pack stay in its files: they are read batch by batch, and where `ahead` is told the
    batches that will be asked for, by other threads before they are needed.

    With the value v = level / (levels - 1), or the real value itself, u ~ U[0, 1), and [ ] 1 where
    true (where real values have a ``data.scale`` s, a binary pixel compares v / s, and is 0 or s):

        grey         v                         in [0, 1]; real values as they are
        threshold    [v >= 1/2]
        fixed        [u < v], drawn once here from `settings.split_seed`, always the same
        dynamic      [u < v], drawn afresh by every call
        dequantised  (level + u) / levels      in [0, 1); its density bounds the level's probability
                                               (Theis et al. 2016, arXiv:1511.01844)
        counts       level, or the real value, a whole number from 0 on
        columns      the cells of a table, NaN where one is empty

    Augmentation mirrors an image left to right with probability 1/2 (`flip`), rotates it by
    U(-rotate, rotate) degrees and shifts it by U(-shift, shift) of height and width, each image by
    its own, before anything is binarised at random or dequantised; what comes in from outside is 0.

    Raises `UserError` where the treatment needs levels and there are real values, or values in [0,
    1] or whole numbers and there are others, and where data that are no images, or were binarised
    for good, are to be rotated or shifted; or where flat data are to be mirrored.
    """

    def __init__(
        self,
        x: Values,
        levels: int | None,
        settings: Data,
        device: torch.device,
        augment: bool = False,
        y: Tensor | None = None,
        weights: Tensor | None = None,
    ):
        self.treatment = settings.treatment
        self.rotate, self.shift = (
            (math.radians(settings.rotate), settings.shift) if augment else (0.0, 0.0)
        )
        self.hide = settings.hide if augment else 0.0
        self.flip = augment and settings.flip
        moved = bool(self.rotate or self.shift)
        if (moved or self.flip) and x.ndim < 3:
            raise UserError(
                "data.rotate, data.shift, data.flip: flat data have no height and width; "
                "set data.rotate and data.shift to 0, and data.flip to false"
            )
        if self.treatment == "dequantised" and levels is None:
            raise UserError(
                "data.treatment: 'dequantised' needs grey levels, these are real values; "
                "set data.treatment to grey"
            )
        if settings.binary:
            _check_unit(
                x,
                levels,
                f"data.treatment: {self.treatment!r}",
                GREY_AND_GAUSSIAN,
                settings.scale,
            )
        if self.treatment == "counts" and levels is None and not _whole(x):
            raise UserError(
                "data.treatment: 'counts' needs whole numbers from 0 on, found others; "
                "set data.treatment to grey"
            )
        self.top = settings.scale if settings.binary and levels is None else 1.0
        self.seed, self.workers = settings.split_seed, settings.workers
        self.ready: tuple[Tensor | None, Tensor | None] = None, None  # an index, and its rows
        if isinstance(x, Mapped):
            pass  # binarised when a batch is cut
        elif self.treatment == "fixed" or (self.treatment == "threshold" and not moved):
            x, levels, self.treatment = _binarise(x, levels, settings), 2, "grey"  # done for good
        self.x, self.levels = x.to(device), levels
        self.y = None if y is None else y.to(device)
        self.weight = None if weights is None else (weights / weights.mean()).float().to(device)

    def __len__(self) -> int:
        return len(self.x)

    def __call__(self, index: Tensor, generator: torch.Generator) -> Tensor:
        """The images `index` (B,) as (B, *shape) float32, on the device, as is `generator`.

        Consumes random numbers only where the treatment or the augmentation needs them.
        """
        known, rows = self.ready
        if rows is None or known is not index:
            rows = self.x.index_select(0, index.to(self.x.device))
        x = rows.float()
        if self.flip:
            u = torch.rand(len(x), generator=generator, device=x.device)
            x = torch.where((u < 0.5).view(-1, *[1] * (x.ndim - 1)), x.flip(-1), x)
        if self.rotate or self.shift:
            x = self._move(x, generator)
        if self.hide:
            u = torch.rand((len(x), 1 + x.shape[1]), generator=generator, device=x.device)
            x = x.masked_fill((u[:, :1] < 0.5) & (u[:, 1:] < self.hide), math.nan)
        if self.treatment == "dequantised" and self.levels:
            u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            # A hair below 1, or 255 + u would round to 256 and x / 256 to 1.
            return u.mul_(1 - 2**-16).add_(x).div_(self.levels)
        if self.treatment == "counts":
            return x.round_()  # what moved lies between
        if self.levels is not None and self.levels > 2:
            x = x.div_(self.levels - 1)
        if self.treatment == "dynamic":
            u = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype)
            x = u.lt_(x.div_(self.top))
        elif self.treatment == "fixed":
            x = _drawn(index, x.shape, self.seed).to(x.device).lt_(x.div_(self.top))
        elif self.treatment == "threshold":
            x = x.ge_(self.top / 2)
        return x.mul_(self.top) if self.top != 1 else x

    def order(self, seed: int, epoch: int) -> Tensor:
        """The order (N,) of the rows in an epoch: a random permutation, of a pack by blocks."""
        stream = generator(seed, "order", epoch)
        if isinstance(self.x, Mapped):
            return shuffled(len(self.x), self.x.row, stream)
        return torch.randperm(len(self.x), generator=stream)

    def ahead(self, batches: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the indices of the batches; their rows are read before they are asked for.

        That is so for the rows of a pack, by `data.workers` threads, which end with the iterator.
        """
        if not isinstance(self.x, Mapped):
            yield from batches
            return
        for index, rows in zip(batches, self.x.ahead(batches, self.workers), strict=True):
            self.ready = index, rows
            yield index

    def labels(self, index: Tensor) -> Tensor | None:
        """The labels of the images `index`, (B,), where there are labels."""
        return None if self.y is None else self.y.index_select(0, index.to(self.y.device))

    def weights(self, index: Tensor) -> Tensor | None:
        """How much each of the images `index` counts, (B,), on average 1; None: all the same."""
        return None if self.weight is None else self.weight[index.to(self.weight.device)]

    def _move(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Rotate, then shift: the pixel at p, from the centre, comes from R^-1 (p - shift)."""
        (h, w), b = x.shape[-2:], len(x)
        u = (
            torch.rand(3, b, generator=generator, device=x.device, dtype=x.dtype).mul_(2).sub_(1)
        )  # (3, B) in [-1, 1)
        angle, shift = (
            u[0] * self.rotate,
            u[1:].T * self.shift,
        )  # (B,), (B, 2) fractions of width and height
        cos, sin = angle.cos(), angle.sin()
        # affine_grid measures both sides from -1 to 1; h / w turns that into pixels again, or an
        # oblong image would be sheared.
        linear = torch.stack([cos, sin * (h / w), -sin * (w / h), cos], 1).view(b, 2, 2)
        theta = torch.cat([linear, linear @ (-2 * shift[:, :, None])], 2)  # (B, 2, 3)
        images = x.view(b, -1, h, w)  # (B, C, H, W), C = 1 where there was none
        grid = F.affine_grid(theta, [*images.shape], align_corners=False)
        moved = F.grid_sample(
            images, grid, mode="bilinear", padding_mode="zeros", align_corners=False
        )
        # A weighted mean may leave its range by a rounding error; a Bernoulli refuses 1 + 1e-7.
        return moved.clamp_(images.amin().clamp_(max=0), images.amax().clamp_(min=0)).view_as(x)


def check_support(dataset: Dataset, support: str, settings: Data, likelihood: str) -> None:
    """Raise `UserError` where the treated data lie outside the support of the likelihood.

    The support is "unit", values in [0, 1]; "levels", grey levels as they are; "counts"; or "real",
    anything.
    """
    what, treatment = f"{settings.source}: model.likelihood {likelihood!r}", settings.treatment
    if settings.standardise and support in ("levels", "unit"):
        raise UserError(
            f"{what} needs {'grey levels' if support == 'levels' else 'values in [0, 1]'}, not "
            "standardised values; set data.standardise to false, or model.likelihood to gaussian"
        )
    if (support == "columns") != (treatment == "columns"):
        other = (
            "set data.treatment to columns"
            if support == "columns"
            else "set model.likelihood to mixed, or data.treatment to grey"
        )
        raise UserError(f"{what} does not go with the treatment {treatment!r}; {other}")
    if support == "columns":
        if dataset.schema is None:
            raise UserError(f"{what} needs a table; set model.likelihood to gaussian, and "
                "data.treatment to grey")  # fmt: skip
        return
    if support == "counts" and treatment != "counts":
        raise UserError(f"{what} needs counts, not {treatment!r}; set data.treatment to counts")
    if support == "levels" and dataset.levels is None:
        raise UserError(
            f"{what} needs grey levels, these are real values; set model.likelihood to gaussian"
        )
    if support == "levels" and treatment != "grey":
        raise UserError(
            f"{what} needs grey levels as they are, not {treatment!r}; set data.treatment to grey"
        )
    if support == "unit" and treatment == "counts":
        raise UserError(
            f"{what} needs values in [0, 1], not counts; set model.likelihood to poisson"
        )
    if support == "unit":
        remedy = GREY_AND_GAUSSIAN if settings.binary else "set model.likelihood to gaussian"
        for split in dataset.splits().values():
            _check_unit(split.x, dataset.levels, what, remedy, settings.scale)


def _whole(x: Values) -> bool:
    """Whether all values are whole numbers from 0 on."""
    if isinstance(x, Mapped):
        return x.whole and x.min() >= 0
    return not ((x < 0) | (x != x.round())).any()


def _check_unit(x: Values, levels: int | None, what: str, remedy: str, scale: float) -> None:
    if levels is None and x.numel():
        low, high = float(x.min()), float(x.max())
        if low < 0 or high > scale:
            scaling = f"set data.scale to {math.ceil(high)}, or " if low >= 0 else ""
            raise UserError(
                f"{what} needs values in [0, {scale:g}], found {low:g} to {high:g}; "
                f"{scaling}{remedy}"
            )


def _binarise(x: Tensor, levels: int | None, settings: Data) -> Tensor:
    """uint8 0 and 1, in pieces: all float32 values at once are four times the data."""
    rng = numpy_generator(settings.split_seed, "fixed")
    binary = torch.empty(x.shape, dtype=torch.uint8)
    for start in range(0, len(x), 4096):
        piece, target = x[start : start + 4096].cpu(), binary[start : start + 4096]
        value = piece.float() / (levels - 1 if levels else settings.scale)
        if settings.treatment == "fixed":
            target.copy_(torch.from_numpy(rng.random(piece.shape, dtype=np.float32)) < value)
        else:
            target.copy_(value >= 0.5)
    return binary


def _drawn(index: Tensor, shape: Sequence[int], seed: int) -> Tensor:
    """The uniform numbers (B, ...) that `_binarise` draws for the rows of an index."""
    rng, size = numpy_generator(seed, "fixed"), math.prod(shape[1:])
    stream: np.random.PCG64 = rng.bit_generator  # type: ignore[assignment]  # it has no subtype
    start, u = stream.state, np.empty((len(index), size), np.float32)
    for target, row in zip(u, index.tolist(), strict=True):
        stream.state = start
        stream.advance(row * size // 2)  # a number of 64 bits makes two of 32
        if row * size % 2:
            rng.random(dtype=np.float32)
        rng.random(out=target, dtype=np.float32)
    return torch.from_numpy(u).view(*shape)
