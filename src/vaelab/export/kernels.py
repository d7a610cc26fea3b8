"""Programs run here, by torch: what web/src/engine does in a page, to check a program by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vaelab.export.program import Operand, Program, Step

MAPS: dict[str, Callable[..., Tensor]] = {
    "abs": torch.abs,
    "add": torch.add,
    "atan": torch.atan,
    "copy": lambda x: x,
    "cos": torch.cos,
    "div": torch.div,
    "elu": lambda x, alpha: torch.where(x > 0, x, alpha * x.expm1()),
    "eq": torch.eq,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "fma": lambda x, scale, shift: x * scale + shift,
    "ge": torch.ge,
    "gelu": functional.gelu,
    "gt": torch.gt,
    "le": torch.le,
    "leaky_relu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "lgamma": torch.lgamma,
    "log": torch.log,
    "log1p": torch.log1p,
    "log_sigmoid": functional.logsigmoid,
    "lt": torch.lt,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "mul": torch.mul,
    "ne": torch.ne,
    "neg": torch.neg,
    "pow": torch.pow,
    "reciprocal": torch.reciprocal,
    "relu": torch.relu,
    "round": torch.round,
    "rsqrt": torch.rsqrt,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "sin": torch.sin,
    "softplus": functional.softplus,
    "sqrt": torch.sqrt,
    "square": torch.square,
    "sub": torch.sub,
    "tanh": torch.tanh,
    "trunc": torch.trunc,
    "where": lambda condition, x, other: torch.where(condition != 0, x, other),
}
_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "argmax": lambda x: x.argmax(-1),
    "sum": lambda x: x.sum(-1),
    "logsumexp": lambda x: x.logsumexp(-1),
}


@torch.no_grad()
def run(program: Program, *inputs: Tensor) -> list[Tensor]:
    """Return the outputs of a program for inputs of one row."""
    arrays = [
        torch.empty(size, dtype=torch.float64 if place in program.doubles else torch.float32)
        for place, size in enumerate(program.sizes)
    ]
    for place, constant in program.constants.items():
        arrays[place] = torch.from_numpy(np.ascontiguousarray(constant)).flatten()
    for slot, given in zip(program.inputs, inputs, strict=True):
        arrays[slot.array].copy_(given.flatten())
    for step in program.steps:
        _KINDS[step.kind](step, arrays)
    return [arrays[slot.array].view(slot.shape) for slot in program.outputs]


def _map(step: Step, arrays: list[Tensor]) -> None:
    inputs = [_view(arrays, operand, step.shape) for operand in step.inputs]
    _view(arrays, step.output, step.shape).copy_(MAPS[step.name](*inputs))


def _reduce(step: Step, arrays: list[Tensor]) -> None:
    view = _view(arrays, step.inputs[0], step.shape)
    rows = view.reshape(-1, int(np.prod(step.shape[len(step.shape) - step.reduced :])))
    arrays[step.output.array].copy_(_REDUCTIONS[step.name](rows))


def _linear(step: Step, arrays: list[Tensor]) -> None:
    rows, outputs, inputs = step.shape
    x, weight, bias = (
        _whole(arrays, operand, shape)
        for operand, shape in zip(
            step.inputs, ((rows, inputs), (outputs, inputs), (outputs,)), strict=True
        )
    )
    _whole(arrays, step.output, (rows, outputs)).copy_(functional.linear(x, weight, bias))


def _conv(step: Step, arrays: list[Tensor]) -> None:
    outputs, height, width, channels, h, w, high, wide, sy, sx, above, left = step.shape
    x = _whole(arrays, step.inputs[0], (1, channels, h, w))
    weight = _whole(arrays, step.inputs[1], (outputs, channels, high, wide))
    below, right = ((height - 1) * sy + high - h - above, (width - 1) * sx + wide - w - left)
    padded = functional.pad(x, (left, right, above, below))
    found = functional.conv2d(padded, weight, arrays[step.inputs[2].array], (sy, sx))
    _view(arrays, step.output, (1, outputs, height, width)).copy_(found)


_KINDS = {"map": _map, "reduce": _reduce, "linear": _linear, "conv": _conv}


def _view(arrays: list[Tensor], operand: Operand, shape: tuple[int, ...]) -> Tensor:
    return torch.as_strided(arrays[operand.array], shape, operand.strides, operand.offset)


def _whole(arrays: list[Tensor], operand: Operand, shape: tuple[int, ...]) -> Tensor:
    size = int(np.prod(shape))
    return arrays[operand.array][operand.offset : operand.offset + size].view(shape)
