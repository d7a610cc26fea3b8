"""Convolutions, transposed convolutions and repeated pixels of torch as steps of programs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from vaelab.export.builder import Builder, Value
from vaelab.export.reasons import UnknownOperationError


def conv2d(
    b: Builder,
    x: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Value:
    _check_convolution(x, dilation, groups)
    stride, padding = _pair(stride), _pair(padding)
    size = [
        (n + 2 * p - k) // s + 1
        for n, p, k, s in zip(x.shape[2:], padding, weight.shape[2:], stride, strict=True)
    ]
    output = b.new((1, len(weight), *size))
    b.conv(x, weight, _bias(bias, len(weight)), stride, padding, output)
    return output


def conv1d(
    b: Builder,
    x: Value,
    weight: Tensor,  # (O, C, taps)
    bias: Tensor | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Value:
    """A convolution over time, as one of images of one row."""
    x = b.contiguous(x)
    image = Value(x.array, x.meta.unsqueeze(2))
    strides, paddings = (1, stride[0]), (0, padding[0])
    found = conv2d(b, image, weight.unsqueeze(2), bias, strides, paddings, dilation, groups)
    return Value(found.array, found.meta.squeeze(2))


def conv_transpose2d(
    b: Builder,
    x: Value,
    weight: Tensor,  # (C, O, height, width)
    bias: Tensor | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    output_padding: Sequence[int] = (0, 0),
    groups: int = 1,
    dilation: Sequence[int] = (1, 1),
) -> Value:
    """A transposed convolution, as one convolution for each phase of the stride.

    Row y of the result is the sum over k of row (y + p - k) / s of x times row k of the kernel. All
    y of one remainder (y + p) mod s see the rows of the kernel with that remainder.
    """
    _check_convolution(x, dilation, groups)
    strides, before, after = _pair(stride), _pair(padding), _pair(output_padding)
    height, width = (
        (n - 1) * s - 2 * p + k + more
        for n, s, p, k, more in zip(
            x.shape[2:], strides, before, weight.shape[2:], after, strict=True
        )
    )
    outputs = weight.shape[1]
    output, bias = b.new((1, outputs, height, width)), _bias(bias, outputs)
    for phase in itertools.product(*map(range, strides)):  # the first row and column with it
        (down, right), shifted = strides, [n + p for n, p in zip(phase, before, strict=True)]
        part = weight.transpose(0, 1)[:, :, shifted[0] % down :: down, shifted[1] % right :: right]
        view = Value(output.array, output.meta[:, :, phase[0] :: down, phase[1] :: right])
        if part.numel():
            above = part.shape[2] - 1 - shifted[0] // down
            left = part.shape[3] - 1 - shifted[1] // right
            b.conv(x, part.flip(2, 3), bias, (1, 1), (above, left), view)
        else:  # the kernel is smaller than the stride
            b.map("copy", bias.view(-1, 1, 1), into=view)
    return output


def upsample_nearest2d(b: Builder, x: Value, size: None, factors: Sequence[float]) -> Value:
    """Repeat every pixel: rows and columns of one remainder by the factor are a copy of x."""
    down, right = (int(factor) for factor in factors)
    if size is not None or (down, right) != tuple(factors):
        raise UnknownOperationError(f"upsample_nearest2d({size}, {factors})")
    output = b.new((*x.shape[:2], down * x.shape[2], right * x.shape[3]))
    for i, j in itertools.product(range(down), range(right)):
        b.map("copy", x, into=Value(output.array, output.meta[:, :, i::down, j::right]))
    return output


def _check_convolution(x: Value, dilation: Sequence[int], groups: int) -> None:
    if not isinstance(x, Value) or groups != 1 or set(dilation) != {1} or x.shape[0] != 1:
        raise UnknownOperationError(f"convolution(dilation={tuple(dilation)}, groups={groups})")


def _pair(numbers: Sequence[int]) -> tuple[int, int]:
    return (numbers[0], numbers[-1])


def _bias(bias: Tensor | None, outputs: int) -> Tensor:
    return torch.zeros(outputs) if bias is None else bias
