"""Arrays as a page carries them: one block of deflated bytes, and the places of the arrays in it."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ref = dict[str, Any]  # the place of an array in the bytes of a page: `Ref` of payload.ts

_TOP = 32767  # the largest 16-bit integer


class Arrays:
    """The arrays of a page, in one block of bytes; the document holds their `Ref`s.

    An array that is added twice is stored once.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}  # by the bytes of the part, in their order
        self._size = 0

    def add(self, array: NDArray[Any]) -> Ref:
        """Add an array: uint8 and int16 as they are, all other types as float32."""
        kept = array.dtype if array.dtype in (np.uint8, np.int16) else np.dtype(np.float32)
        part = np.ascontiguousarray(array, kept.newbyteorder("<")).tobytes()
        part += b"\0" * (-len(part) % 4)
        if part not in self._places:
            self._places[part] = self._size
            self._size += len(part)
        return {"dtype": kept.name, "shape": list(array.shape), "offset": self._places[part]}

    def fixed(self, array: NDArray[Any]) -> Ref:
        """Add an array as 16-bit fixed point with a scale for each row of its first axis.

        The error of an element is at most 1/65534 of the largest magnitude of its row.
        """
        stored, scale = fixed_point(array)
        return self.add(stored) | {"scale": self.add(scale)}

    def packed(self) -> str:
        """The bytes of all arrays, deflated, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._places), 6)).decode()


def fixed_point(array: NDArray[Any]) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """Return an array (R, ...) as 16-bit integers and the scale (R,) of each row."""
    rows = np.asarray(array, np.float64).reshape(len(array), -1)
    top = np.abs(rows).max(1, initial=0)
    scale = (np.where(top > 0, top, 1) / _TOP).astype(np.float32)
    stored = np.rint(rows / scale[:, None]).clip(-_TOP, _TOP).astype(np.int16)
    return stored.reshape(array.shape), scale
