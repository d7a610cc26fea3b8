"""Caltech 101 Silhouettes: the outlines of the objects of Caltech 101, filled."""

from __future__ import annotations

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.download import File, Source, fetched
from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.recipes import Data

SOURCES = {
    "silhouettes": Source(
        page="https://people.cs.umass.edu/~marlin/data.shtml",
        mirrors=("https://people.cs.umass.edu/~marlin/data/",),
        files=(
            # Its size is published nowhere: this is ten times that of the images.
            File(
                "caltech101_silhouettes_28_split1.mat",
                68_000_000,
                "4483e9c14b188fd09937f9ea6f9ea777",
            ),
        ),
        hashes="dm_nevis (datasets_storage/handlers/silhouettes.py)",
    )
}


def load(settings: Data) -> Arrays:
    """4,100 training, 2,264 validation and 2,307 test images, 28 x 28, 0 or 1, of 101 classes.

    The values are those of the file. Its rows hold the images column by column.
    """
    from scipy.io import loadmat  # imported here because it takes a while

    (path,) = fetched(SOURCES, settings)
    with reading(path, "MAT file"):
        found = loadmat(path)
        x, x_validation, x_test = (
            _upright(found[f"{part}_data"]) for part in ("train", "val", "test")
        )
        y, y_validation, y_test = (
            found[f"{part}_labels"][:, 0].astype(np.int64) - 1 for part in ("train", "val", "test")
        )
        names = tuple(str(name.item()) for name in found.get("classnames", np.empty(0)).ravel())
    return Arrays(
        x,
        y,
        x_test,
        y_test,
        levels=2,
        x_validation=x_validation,
        y_validation=y_validation,
        class_names=names,
    )


def _upright(rows: Array) -> Array:
    """(N, 784), column by column -> (N, 28, 28)."""
    images = rows.reshape(-1, 28, 28).swapaxes(1, 2)
    return np.ascontiguousarray(images, np.uint8)
