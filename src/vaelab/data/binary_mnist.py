"""MNIST with the fixed binarisation on which the literature compares likelihoods."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.download import File, Source, fetched
from vaelab.data.reading import reading
from vaelab.data.schema import Array
from vaelab.errors import UserError
from vaelab.recipes import Data

SIDE = 28
SOURCES = {
    "binary-mnist": Source(
        page="http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
        mirrors=("http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",),
        files=(
            File(
                "binarized_mnist_train.amat",
                78_400_000,
                "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
            ),
            File(
                "binarized_mnist_valid.amat",
                15_680_000,
                "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
            ),
            File(
                "binarized_mnist_test.amat",
                15_680_000,
                "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
            ),
        ),
        hashes="TensorFlow Datasets (url_checksums/binarized_mnist.txt)",
    )
}


def load(settings: Data) -> Arrays:
    """50,000 training, 10,000 validation and 10,000 test images, 28 x 28, 0 or 1, no labels.

    Each pixel was sampled once from Bernoulli(grey level) (Salakhutdinov & Murray 2008); these are
    the samples that Larochelle & Murray (2011) published with their split.
    """
    x, x_validation, x_test = map(_amat, fetched(SOURCES, settings))
    return Arrays(x, x_test=x_test, x_validation=x_validation, levels=2)


def _amat(path: Path) -> Array:
    """Lines of 784 digits 0 or 1 with one blank between them: (N, 28, 28)."""
    with reading(path, "table of zeros and ones"):
        text = np.fromfile(path, np.uint8)
        values = text.reshape(-1, SIDE, SIDE, 2)[..., 0] - ord("0")
    if values.max(initial=0) > 1:
        raise UserError(f"{path}: has other values than 0 and 1; replace it")
    return values
