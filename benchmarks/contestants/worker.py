"""The process of one contestant: ``python -m contestants.worker MODULE:CLASS FOLDER OPTIONS``.

It reads the data, says so, and answers requests, each a line of JSON on its standard input such as
``{"do": "epoch"}``, with the seconds that the method took and what it returned. It needs NumPy
only: the environments of the peers have no vaelab.
"""

from __future__ import annotations

import json
import os
import pkgutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

BATCH = 128
RATE = 1e-3
SAMPLES = 1000  # of the importance-weighted log-likelihood
SEED = 0


class Contestant(ABC):
    """A program that trains a VAE 784-400-20-400-784 on MNIST, an epoch at a time.

    Making one imports its libraries and reads the data: x (N, 28, 28) and its labels y, uint8.
    Everything else belongs to `build` and the training. One that has a loss has two more methods:
    ``test_loss()``, BCE + KL of the test images with one posterior sample; and where its row says
    so ``nll(images)``, -log p(x) of the first images with SAMPLES importance samples. Both are in
    nats per image.
    """

    packages: ClassVar[Sequence[str]]  # whose versions stand in the result

    def __init__(self, folder: Path, **options: Any) -> None:
        self.options = options
        with np.load(folder / "mnist.npz") as file:
            self.x, self.y = file["x"], file["y"]
            self.x_test, self.y_test = file["x_test"], file["y_test"]

    @abstractmethod
    def build(self) -> None:
        """Make the model, the optimiser, and of the images what the training loop takes."""

    @abstractmethod
    def epoch(self) -> bool:
        """Train for one epoch; whether another one can follow."""

    def versions(self) -> dict[str, str]:
        return {name: version(name) for name in self.packages}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    code, folder, options = sys.argv[1:]
    contestant = pkgutil.resolve_name(code)(Path(folder), **json.loads(options))
    print("{}", file=answers)
    for line in sys.stdin:
        request = json.loads(line)
        begun = time.perf_counter()
        value = getattr(contestant, request.pop("do"))(**request)
        seconds = time.perf_counter() - begun
        print(json.dumps({"seconds": seconds, "value": value}), file=answers)


if __name__ == "__main__":
    main()
