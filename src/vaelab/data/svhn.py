"""SVHN: digits of house numbers, cut out of street views."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.download import File, Source, fetched
from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.recipes import Data

SOURCES = {
    "svhn": Source(
        page="http://ufldl.stanford.edu/housenumbers/",
        mirrors=("http://ufldl.stanford.edu/housenumbers/",),
        files=(
            File(
                "train_32x32.mat",
                182_040_794,
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
            ),
            File(
                "test_32x32.mat",
                64_275_384,
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
            ),
        ),
        hashes="TensorFlow Datasets (url_checksums/svhn_cropped.txt)",
    )
}


def load(settings: Data) -> Arrays:
    """73,257 training and 26,032 test images (3, 32, 32), 256 levels, with labels 0 .. 9.

    The 531,131 easier images that are published as extra are left out.
    """
    (x, y), (x_test, y_test) = map(_mat, fetched(SOURCES, settings))
    return Arrays(x, y, x_test, y_test, levels=256, channels_first=True)


def _mat(path: Path) -> tuple[Array, Array]:
    """X (32, 32, 3, N) as (N, 3, 32, 32), and y (N, 1), where 10 stands for the digit 0."""
    from scipy.io import loadmat  # imported here because it takes a while

    with reading(path, "MAT file"):
        found = loadmat(path, variable_names=("X", "y"))
        x = np.ascontiguousarray(found["X"].transpose(3, 2, 0, 1))
        return x, found["y"][:, 0] % 10
