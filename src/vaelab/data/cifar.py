"""CIFAR-10 and CIFAR-100 in their binary version: the Python version is a pickle."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import numpy as np

from vaelab.data.dataset import Arrays
from vaelab.data.download import File, Source, fetched
from vaelab.data.reading import exactly, reading
from vaelab.data.schema import Array
from vaelab.errors import UserError
from vaelab.recipes import Data

PIXELS = (3, 32, 32)
LARGEST = 2**28  # bytes of a member of the archive
NAMES = re.compile("batches.meta.txt|fine_label_names.txt")
SOURCES = {
    "cifar10": Source(
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        mirrors=(
            "https://www.cs.toronto.edu/~kriz/",
            "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/",
        ),
        files=(
            File(
                "cifar-10-binary.tar.gz",
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        hashes="TensorFlow Datasets (url_checksums/cifar10.txt)",
        pickled="cifar-10-python.tar.gz",
    ),
    "cifar100": Source(
        page="https://www.cs.toronto.edu/~kriz/cifar.html",
        mirrors=("https://www.cs.toronto.edu/~kriz/",),
        files=(
            File(
                "cifar-100-binary.tar.gz",
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
        ),
        hashes="TensorFlow Datasets (url_checksums/cifar100.txt)",
        pickled="cifar-100-python.tar.gz",
    ),
}


def load(settings: Data) -> Arrays:
    """50,000 training and 10,000 test images (3, 32, 32), 256 levels, with 10 or 100 classes.

    A record is the label (in CIFAR-100 the superclass, then the class) and 3,072 bytes, red, green,
    blue, each row by row. The batches of CIFAR-10 follow one another by number.
    """
    (path,) = fetched(SOURCES, settings)
    records, names = _members(path, labels=2 if settings.source == "cifar100" else 1)
    train = [part for name, part in records.items() if "test" not in name]
    test = [part for name, part in records.items() if "test" in name]
    if not (train and test and names):
        raise UserError(f"{path}: lacks the images or the names of the classes; replace it")
    (x, y), (x_test, y_test) = _joined(train), _joined(test)
    return Arrays(x, y, x_test, y_test, levels=256, class_names=names, channels_first=True)


def _members(path: Path, labels: int) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The records of every .bin file in the order of their names, and the names of the classes.

    The archive is read once from front to back, and nothing of it is written to the disk.
    """
    records, names = {}, tuple[str, ...]()
    size = labels + int(np.prod(PIXELS))
    with reading(path, "tar archive"), tarfile.open(path, "r|gz") as archive:
        for member in archive:
            name, file = Path(member.name).name, archive.extractfile(member)
            if file is None or member.size > LARGEST:
                continue
            if name.endswith(".bin"):
                content = exactly(file, member.size, f"{path}: {name}")
                records[name] = np.frombuffer(content, np.uint8).reshape(-1, size)
            elif NAMES.fullmatch(name):
                names = tuple(file.read().decode("ascii").split())
    return dict(sorted(records.items())), names


def _joined(parts: list[Array]) -> tuple[Array, Array]:
    """The images (N, 3, 32, 32) and the labels (N,) of records."""
    count = int(np.prod(PIXELS))
    x = np.concatenate([part[:, -count:] for part in parts]).reshape(-1, *PIXELS)
    return x, np.concatenate([part[:, -count - 1] for part in parts])
