"""Building programs step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from vaelab.export.program import Operand, Program, Slot, Step


@dataclass(frozen=True)
class Value:
    """A result that is known only when the program runs.

    Attributes:
        array: The array that holds it.
        meta: A view, without data, of that array: its shape, strides, offset and type.
    """

    array: int
    meta: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.meta.shape)


Input: TypeAlias = Value | Tensor | float  # what an operation takes: tensors are constants


class Builder:
    """Collects the steps and arrays of a program."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.doubles: set[int] = set()
        self.constants: dict[int, NDArray[np.float32]] = {}
        self.steps: list[Step] = []
        self._known: dict[tuple[Any, ...], int] = {}  # constants by their content

    def program(self, inputs: Sequence[Value], outputs: Sequence[Input]) -> Program:
        """Return what was built, without arrays that nothing uses."""
        results = [self._whole(output) for output in outputs]
        slots = [Slot(value.array, value.shape) for value in inputs]
        return _pruned(
            Program(
                tuple(self.sizes),
                frozenset(self.doubles),
                self.constants,
                tuple(slots),
                tuple(results),
                tuple(self.steps),
            )
        )

    def new(self, shape: Sequence[int], double: bool = False) -> Value:
        """Return a new array."""
        dtype = torch.float64 if double else torch.float32
        meta = torch.empty(tuple(shape), dtype=dtype, device="meta")
        self.sizes.append(meta.numel())
        if double:
            self.doubles.add(len(self.sizes) - 1)
        return Value(len(self.sizes) - 1, meta)

    def constant(self, tensor: Tensor) -> Value:
        """Return an array with these values; the same array for the same values."""
        if tensor.dtype == torch.float64 and not torch.equal(tensor, tensor.float().double()):
            high = tensor.float()  # pages hold float32: the sum of two is exact enough
            return self.map("add", high, (tensor - high).float(), into=self.new(tensor.shape, True))
        array = tensor.detach().cpu().to(torch.float32).contiguous().numpy()
        key = (array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.new(array.shape).array
            self.constants[self._known[key]] = array
        return Value(self._known[key], torch.empty(array.shape, device="meta"))

    def map(self, name: str, *inputs: Input, into: Value | None = None) -> Value:
        """Apply a function of `kernels.MAPS` elementwise, with broadcasting, also to `into`."""
        values = [self._value(given) for given in inputs]
        shape = into.shape if into else torch.broadcast_shapes(*(v.shape for v in values))
        double = any(value.meta.dtype == torch.float64 for value in values)
        output = into or self.new(shape, double)
        views = [value.meta.expand(shape) for value in values] + [output.meta]
        extents, strides = _collapsed(shape, [view.stride() for view in views])
        operands = [
            Operand(value.array, int(view.storage_offset()), tuple(steps))
            for value, view, steps in zip([*values, output], views, strides, strict=True)
        ]
        self.steps.append(Step("map", name, extents, tuple(operands[:-1]), operands[-1]))
        return output

    def reduce(
        self, name: str, given: Input, dims: Sequence[int] | None = None, keep: bool = False
    ) -> Value:
        """Reduce over some dimensions, all of them if None, by sum, logsumexp or argmax."""
        value = self._value(given)
        rank = len(value.shape)
        gone = {d % rank for d in dims or range(rank)}
        order = [d for d in range(rank) if d not in gone] + sorted(gone)
        view = value.meta.permute(order)
        kept = [1 if d in gone else n for d, n in enumerate(value.shape) if keep or d not in gone]
        output = self.new(kept, value.meta.dtype == torch.float64)
        operand = Operand(value.array, int(view.storage_offset()), view.stride())
        flat = Operand(output.array, 0, ())
        self.steps.append(Step("reduce", name, tuple(view.shape), (operand,), flat, len(gone)))
        return output

    def linear(self, given: Input, weight: Tensor, bias: Tensor | None) -> Value:
        """Return x W^T + b."""
        x = self.contiguous(given)
        outputs, inputs = weight.shape
        bias = torch.zeros(outputs) if bias is None else bias
        output = self.new((*x.shape[:-1], outputs))
        rows = output.meta.numel() // outputs
        self._step("linear", (rows, outputs, inputs), x, weight, bias, output)
        return output

    def conv(
        self,
        given: Input,
        weight: Tensor,
        bias: Tensor,
        stride: Sequence[int],
        padding: Sequence[int],
        output: Value,
    ) -> None:
        """Convolve an image (1, C, H, W) into a view (1, O, H', W') of an array."""
        x = self.contiguous(given)
        sizes = (*output.shape[1:], *x.shape[1:], *weight.shape[2:], *stride, *padding)
        self._step("conv", sizes, x, weight, bias, output)

    def contiguous(self, given: Input) -> Value:
        """Return the value with its elements in order, copied only if they are not."""
        value = self._value(given)
        return value if value.meta.is_contiguous() else self.map("copy", value)

    def view(self, function: Callable[..., Any], given: Input, args: Any, kwargs: Any) -> Any:
        """Apply a function that only looks at the elements in another way, such as `permute`.

        They are copied first where no strides can do that.
        """
        args = [one.meta if isinstance(one, Value) else one for one in args]  # for its shape
        if not isinstance(given, Value):
            return function(given, *args, **kwargs)
        try:
            found = function(given.meta, *args, **kwargs)
            shared = all(_storage(view) == _storage(given.meta) for view in tree_leaves(found))
        except (RuntimeError, ValueError):
            shared = False
        if not shared:
            given = self.contiguous(given)
            found = function(given.meta, *args, **kwargs)
        array = given.array
        return tree_map(lambda view: Value(array, view), found)

    def _step(
        self, kind: str, shape: Sequence[int], x: Value, weight: Tensor, bias: Tensor, out: Value
    ) -> None:
        operands = [
            Operand(value.array, int(value.meta.storage_offset()), value.meta.stride())
            for value in (x, self.constant(weight), self.constant(bias), out)
        ]
        self.steps.append(Step(kind, "", tuple(shape), tuple(operands[:-1]), operands[-1]))

    def _value(self, given: Input) -> Value:
        if isinstance(given, Value):
            return given
        if not isinstance(given, Tensor):
            return self.constant(torch.tensor(float(given)))
        # A dimension along which nothing changes is stored once.
        once = given[tuple(slice(1 if step == 0 else None) for step in given.stride())]
        value = self.constant(once)
        return Value(value.array, value.meta.expand(given.shape))

    def _whole(self, given: Input) -> Slot:
        """An array of float32 that holds this and nothing else."""
        value = self.contiguous(given)
        if value.meta.numel() != self.sizes[value.array] or value.array in self.doubles:
            value = self.map("copy", value, into=self.new(value.shape))
        return Slot(value.array, value.shape)


def _storage(view: Tensor) -> int:
    return int(view.untyped_storage()._cdata)


def _collapsed(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], list[list[int]]]:
    """The same loops with as few dimensions as possible, at least one."""
    extents: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for d, extent in enumerate(shape):
        if extent == 1:
            continue
        now = [given[d] for given in strides]
        if extents and all(one[-1] == step * extent for one, step in zip(steps, now, strict=True)):
            extents[-1] *= extent
            for one, step in zip(steps, now, strict=True):
                one[-1] = step
        else:
            extents.append(extent)
            for one, step in zip(steps, now, strict=True):
                one.append(step)
    return (tuple(extents), steps) if extents else ((1,), [[0] for _ in strides])


def _pruned(program: Program) -> Program:
    """The program without steps and arrays that its outputs do not need."""
    needed = {slot.array for slot in program.outputs}
    steps = []
    for step in reversed(program.steps):
        if step.output.array in needed:
            needed |= {operand.array for operand in step.inputs}
            steps.append(step)
    needed |= {slot.array for slot in program.inputs}
    order = {array: place for place, array in enumerate(sorted(needed))}

    def moved(operand: Operand) -> Operand:
        return operand._replace(array=order[operand.array])

    return Program(
        tuple(program.sizes[array] for array in order),
        frozenset(order[array] for array in program.doubles & needed),
        {order[array]: v for array, v in program.constants.items() if array in order},
        tuple(Slot(order[array], shape) for array, shape in program.inputs),
        tuple(Slot(order[array], shape) for array, shape in program.outputs),
        tuple(
            step._replace(inputs=tuple(map(moved, step.inputs)), output=moved(step.output))
            for step in reversed(steps)
        ),
    )
