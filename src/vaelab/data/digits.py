"""The handwritten digits that come with scikit-learn (Alpaydin & Kaynak 1998)."""

from __future__ import annotations

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.recipes import Data


def load(settings: Data) -> Arrays:
    """1,797 images (8, 8) with 17 grey levels and labels 0 to 9."""
    from sklearn.datasets import load_digits  # imported here because it takes a second

    bunch = load_digits()
    return Arrays(bunch.images.astype(np.uint8), bunch.target, levels=17)
