"""A program: a function as a list of a few kinds of steps on flat arrays, which a page can run.

An operand of a step is an array with an offset and strides, so transposing, slicing and
broadcasting cost no step. The kinds of steps are

    map       elementwise: output[i] = f(inputs[0][i], ...), f by its name (`kernels.MAPS`)
    reduce    sum or logsumexp over the last `reduced` of the dimensions in `shape`
    linear    x W^T + b, with `shape` = (rows, outputs, inputs)
    conv      a convolution of one image, with `shape` = (outputs, height, width of the result,
              channels, height, width of the image, height, width of the kernel, stride down and
              right, padding above and left); pixels beyond the image are 0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vaelab.export.arrays import Arrays

WEIGHTS = 64  # elements from which a matrix is worth a scale for each of its rows


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
    """

    sizes: tuple[int, ...]
    doubles: frozenset[int]
    constants: Mapping[int, NDArray[np.float32]]
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    steps: tuple[Step, ...]


def embedded(program: Program, arrays: Arrays) -> dict[str, Any]:
    """Return a program as JSON types, `ProgramSpec` of program.ts, its constants in `arrays`.

    Weights are fixed point of 24 bits, which loses nothing. Neither 16 bits nor float16 would do:
    in trained models they change means of pixels by up to 5e-4 and 1e-3.
    """

    def array(place: int) -> dict[str, Any]:
        constant = program.constants.get(place)
        if constant is None:
            return {"size": program.sizes[place], "double": place in program.doubles}
        weight = constant.ndim > 1 and constant.size >= WEIGHTS and np.isfinite(constant).all()
        return {"constant": arrays.fixed(constant, 24) if weight else arrays.add(constant)}

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
