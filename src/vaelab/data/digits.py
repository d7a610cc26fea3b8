"""The handwritten digits that come with scikit-learn (Alpaydin & Kaynak 1998)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaelab.data.dataset import Arrays
from vaelab.recipes import Data


def load(settings: Data) -> Arrays:
    """1,797 images (8, 8) with 17 grey levels and labels 0 to 9."""
    x, y = _read()
    return Arrays(x.copy(), y.copy(), levels=17)


@cache
def _read() -> tuple[NDArray[Any], NDArray[Any]]:
    """Images and labels, once a process: they are text, which takes 20 ms to read."""
    from sklearn.datasets import load_digits  # imported here because it takes a second

    bunch = load_digits()
    return bunch.images.astype(np.uint8), bunch.target
