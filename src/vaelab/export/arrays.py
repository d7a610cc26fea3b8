"""Arrays as a page carries them: one block of deflated bytes, and where each array is in it."""

from __future__ import annotations

import base64
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Ref = dict[str, Any]  # the place of an array in the bytes of a page: `Ref` of payload.ts


class Arrays:
    """The arrays of a page, in one block of bytes; the document holds their `Ref`s.

    An array that is added twice is stored once.
    """

    def __init__(self) -> None:
        self._places: dict[bytes, int] = {}  # by the bytes of the part, in their order
        self._size = 0

    def __len__(self) -> int:
        """The bytes of all arrays."""
        return self._size

    def add(self, array: NDArray[Any]) -> Ref:
        """Add an array: uint8 and int16 as they are, all other types as float32."""
        kept = array.dtype if array.dtype in (np.uint8, np.int16) else np.dtype(np.float32)
        part = np.ascontiguousarray(array, kept.newbyteorder("<")).tobytes()
        part += b"\0" * (-len(part) % 4)
        if part not in self._places:
            self._places[part] = self._size
            self._size += len(part)
        return {"dtype": kept.name, "shape": list(array.shape), "offset": self._places[part]}

    def fixed(self, array: NDArray[Any], bits: Literal[16, 24] = 16) -> Ref:
        """Add an array as fixed point with a scale for each row of its first axis.

        The error of an element is at most 2^-bits of the largest magnitude of its row; with 24
        bits it is that of float32, in three quarters of the bytes.
        """
        stored, scale = fixed_point(array, bits)
        if bits == 16:
            return self.add(stored.astype(np.int16)) | {"scale": self.add(scale)}
        high, low = (stored >> 8).astype(np.int16), (stored & 255).astype(np.uint8)
        return self.add(high) | {"low": self.add(low), "scale": self.add(scale)}

    def packed(self) -> str:
        """The bytes of all arrays, deflated, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._places), 6)).decode()


def fixed_point(array: NDArray[Any], bits: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return an array (R, ...) as integers of so many bits and the scale (R,) of each row."""
    largest = 2 ** (bits - 1) - 1
    rows = np.asarray(array, np.float64).reshape(len(array), -1)
    top = np.abs(rows).max(1, initial=0)
    scale = (np.where(top > 0, top, 1) / largest).astype(np.float32)
    stored = np.rint(rows / scale[:, None]).clip(-largest, largest).astype(np.int32)
    return stored.reshape(array.shape), scale
