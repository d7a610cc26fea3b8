"""What looks across the images of a batch, where several processes share it (`training.ranks`).

Inside a training step `over_batch`, `everyone` and `own` see the images of all ranks, so that a
statistic of the batch and its gradient are those of a single process. Anywhere else they return
what they are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Parts(NamedTuple):
    """How a batch is divided: the images of each rank, and which one this is."""

    sizes: Sequence[int]
    rank: int

    @property
    def share(self) -> float:
        """This rank's share of the images."""
        return self.sizes[self.rank] / sum(self.sizes)


_parts: Parts | None = None  # of the step that runs


@contextmanager
def divided(parts: Parts) -> Iterator[None]:
    """Inside, a batch is the images of all ranks; all of them have to enter."""
    global _parts
    _parts = parts
    try:
        yield
    finally:
        _parts = None


def over_batch(mean: Tensor) -> Tensor:
    """The mean over the whole batch, of a mean over this rank's images; differentiable."""
    return mean if _parts is None else _sum(mean * _parts.share)


def everyone(rows: Tensor, dim: int = 0) -> Tensor:
    """The rows of all ranks along `dim`, in the order of the batch; differentiable."""
    if _parts is None:
        return rows
    mine = rows.movedim(dim, 0)[: _parts.sizes[_parts.rank]]
    before, after = sum(_parts.sizes[: _parts.rank]), sum(_parts.sizes[_parts.rank + 1 :])
    zeros = [mine.new_zeros(count, *mine.shape[1:]) for count in (before, after)]
    return _sum(torch.cat([zeros[0], mine, zeros[1]])).movedim(0, dim)


def own(rows: Tensor, dim: int = 0) -> Tensor:
    """This rank's part of the rows of all ranks along `dim`."""
    if _parts is None:
        return rows
    size = max(_parts.sizes[_parts.rank], 1)
    start = min(sum(_parts.sizes[: _parts.rank]), rows.shape[dim] - 1)
    return rows.narrow(dim, start, size)


def _sum(tensor: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(tensor)  # type: ignore[no-untyped-call]  # torch gives it no types
    return total


class _Sum(torch.autograd.Function):
    """The sum over the ranks. Each rank's loss depends on it, so its gradient is their sum, too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _sum(gradients[0])


def convert(step: nn.Module) -> None:
    """Let the layers of batch normalisation see the whole batch, from now on."""
    for module in step.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = BatchNorm


class BatchNorm(_BatchNorm):
    """Batch normalisation by mean and variance of the whole batch, on any device.

    torch's own SyncBatchNorm needs GPUs. Ioffe & Szegedy 2015, arXiv:1502.03167.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions goes."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or _parts is None:
            return super().forward(input)
        axes = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        mean = over_batch(x.mean(axes))
        centred = x - mean.view(shape)
        variance = over_batch(centred.square().mean(axes))
        if self.running_mean is not None and self.running_var is not None:
            values = x.numel() // len(x) // x.shape[1] * sum(_parts.sizes)
            unbiased = variance.detach() * (values / max(values - 1, 1))
            count = cast("Tensor", self.num_batches_tracked).add_(1)
            momentum = 1 / int(count) if self.momentum is None else self.momentum  # None: the mean
            self.running_mean.lerp_(mean.detach().to(self.running_mean), momentum)
            self.running_var.lerp_(unbiased.to(self.running_var), momentum)
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input)
