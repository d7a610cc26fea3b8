"""Pictures that Python decodes for the explorer of a model whose decoder cannot run in the page."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from vaelab.data.dataset import spread
from vaelab.export import Arrays, Ref
from vaelab.plots.classes import Classes
from vaelab.plots.posterior import Posterior
from vaelab.plots.view import is_discrete
from vaelab.recipes import table
from vaelab.report.explorer.gathered import FEW, Shown, embedded, from_prior, held
from vaelab.runs import Run

BUDGET = 1_100_000  # bytes of all reconstructions at most, deflated: 1.5 MB of the page
SAMPLES = 64  # of the prior


def stored(
    run: Run, images: Shown, codes: Posterior, classes: Classes, arrays: Arrays
) -> dict[str, Any]:
    """Return reconstructions of test images, samples of the prior, and class means decoded.

    `which` are the places of the reconstructed images among those shown: all, or as many, evenly
    spread, as the budget holds. Between discrete codes there is no mean to decode.
    """

    def put(x: Tensor) -> Ref:
        return arrays.add(embedded(run, x)[0])

    few = _reconstructed(run, images, spread(len(images.x), FEW))
    which = spread(len(images.x), max(1, held(embedded(run, few)[0], BUDGET)))
    sampled = from_prior(run, SAMPLES)
    present, means = _class_means(run, images, codes, classes)
    return {
        "which": which.tolist(),
        "reconstructions": put(_reconstructed(run, images, which)),
        "samples": None if sampled is None else put(run.vae.decode(*sampled)),
        "classes": present,
        "means": None if means is None else put(means),
    }


def _reconstructed(run: Run, images: Shown, which: np.ndarray[Any, Any]) -> Tensor:
    return run.vae.reconstruct(images.x[which], None if images.y is None else images.y[which])


def _class_means(
    run: Run, images: Shown, codes: Posterior, classes: Classes
) -> tuple[list[int], Tensor | None]:
    """Return the places of the classes that have images, and the mean code of each, decoded."""
    if images.y is None or is_discrete(run):
        return [], None
    present = [i for i, label in enumerate(classes.labels) if (images.y == label).any()]
    if not present:
        return [], None
    labels = np.array([classes.labels[i] for i in present])
    means = np.stack([codes.means[images.y == label].mean(0) for label in labels])
    if table.part("model.posterior", run.recipe.model.posterior).space == "sphere":
        means /= np.linalg.norm(means, axis=1, keepdims=True)
    return present, run.vae.decode(means, labels)
