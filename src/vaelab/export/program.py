"""A program: a function as a list of a few kinds of steps on flat arrays, which a page can run.

An operand of a step is an array with an offset and strides, so transposing, slicing and
broadcasting cost no step. The kinds of steps are

    map       elementwise: output[i] = f(inputs[0][i], ...), f by its name (`kernels.MAPS`)
    reduce    sum, max or logsumexp over the last `reduced` of the dimensions in `shape`
    linear    x W^T + b, with `shape` = (rows, outputs, inputs)
    conv      a convolution of one image, with `shape` = (outputs, height, width of the result,
              channels, height, width of the image, height, width of the kernel, stride down and
              right, padding above and left); pixels beyond the image are 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaelab.export.arrays import Arrays, fixed_point

FIXED = 64  # elements from which an array is worth a scale for each of its rows


class Operand(NamedTuple):
    """Elements of an array: the one at index i is at offset + sum_d i_d strides_d."""

    array: int
    offset: int
    strides: tuple[int, ...]


class Step(NamedTuple):
    """One step; see the kinds above."""

    kind: str
    name: str
    shape: tuple[int, ...]
    inputs: tuple[Operand, ...]
    output: Operand
    reduced: int = 0


class Slot(NamedTuple):
    """An input or an output: a whole array, and its shape."""

    array: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """A function of float32 arrays.

    Attributes:
        sizes: The number of elements of each array.
        doubles: The arrays that are of float64.
        constants: The values of the arrays that no step writes, such as weights.
        inputs: Where the inputs go, the first dimension of each a batch of one.
        outputs: Where the results are.
        steps: What is done, in order.
        fixed: Whether a page holds the weights as 16-bit fixed point.
    """

    sizes: tuple[int, ...]
    doubles: frozenset[int]
    constants: Mapping[int, NDArray[np.float64] | NDArray[np.float32]]
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    steps: tuple[Step, ...]
    fixed: bool = False

    def rounded(self) -> Program:
        """Return the program with its weights as 16-bit fixed point holds them."""
        constants = {
            place: _restored(array) if _is_weight(array) else array
            for place, array in self.constants.items()
        }
        return replace(self, constants=constants, fixed=True)


def embedded(program: Program, arrays: Arrays) -> dict[str, Any]:
    """Return a program as JSON types, `ProgramSpec` of program.ts, its constants in `arrays`."""

    def array(place: int) -> dict[str, Any]:
        constant = program.constants.get(place)
        if constant is None:
            return {"size": program.sizes[place], "double": place in program.doubles}
        if program.fixed and _is_weight(constant):
            return {"constant": arrays.fixed(constant)}
        return {"constant": arrays.add(constant)}

    return {
        "arrays": [array(place) for place in range(len(program.sizes))],
        "inputs": [slot._asdict() for slot in program.inputs],
        "outputs": [slot._asdict() for slot in program.outputs],
        "steps": [
            step._asdict()
            | {"inputs": [o._asdict() for o in step.inputs], "output": step.output._asdict()}
            for step in program.steps
        ],
    }


def _is_weight(array: NDArray[Any]) -> bool:
    return array.ndim > 1 and array.size >= FIXED


def _restored(array: NDArray[Any]) -> NDArray[np.float32]:
    """What a page makes of 16-bit fixed point."""
    stored, scale = fixed_point(array)
    return stored * scale.reshape(-1, *(1 for _ in array.shape[1:]))
