"""What the explorer shows of a run: images and numbers of its test images, samples, as arrays."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vaelab.data import Dataset
from vaelab.data.dataset import spread
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.results import read
from vaelab.plots.pixels import signals
from vaelab.plots.posterior import Posterior
from vaelab.plots.style import Array, Labels
from vaelab.plots.view import displayed
from vaelab.runs import Run
from vaelab.runs.rows import treated
from vaelab.seeding import seeded

POINTS = 10_000  # test images at most
TILE = 64  # pixels of the longer side of an embedded image at most
BUDGET = 4_000_000  # bytes of all embedded images at most, deflated
FEW = 100  # rows by whose size the number of all is chosen
PRIOR = 2000  # codes sampled from the prior
CLOUD, NEIGHBOUR = 4000, 5  # samples of the aggregate posterior; the neighbour that is measured
QUANTILES = (0.95, 0.99)
NUMBERS = ("nll", "loss", "distortion", "rate", "ess")  # of an evaluation, in the page's order


@dataclass(frozen=True)
class Shown:
    """Test images as the model sees them."""

    which: Array  # (N,), their indices
    x: Tensor  # (N, *shape)
    y: Labels
    total: int


def shown(run: Run, data: Dataset, points: int) -> Shown:
    """Return at most `points` test images, evenly spread, as many as a page can hold."""
    total = len(data.test.x)
    few = treated(run, data.levels, data.test, spread(total, FEW))[0]
    which = spread(total, max(2, min(points, held(embedded(run, few)[0], BUDGET))))
    return Shown(which, *treated(run, data.levels, data.test, which), total)


def held(few: Array, budget: int) -> int:
    """Return how many rows like these the budget holds, in bytes of the deflated block."""
    return int(budget * len(few) / max(len(few), len(zlib.compress(few.tobytes(), 1))))


def embedded(run: Run, x: Tensor) -> tuple[Array, bool]:
    """Return what the page holds of rows x (N, *shape), and whether it restores them.

    Of images, pixels (N, H, W) or (N, H, W, 3) as uint8 at the range of the display; of tables and
    signals the values (N, T, C).
    """
    shape = tuple(x.shape[1:])
    if run.form != "image":
        return signals(x.numpy()).astype(np.float32), True
    pixels = displayed(run, x, TILE)
    channels = shape[0] if len(shape) == 3 else 1
    whole = max(shape[-2:]) <= TILE and channels in (1, 3)
    return (pixels if channels in (3, 4) else pixels[..., 0]), whole


def numbers(run: Run, images: Shown, codes: Posterior) -> dict[str, Array]:
    """Return the numbers of each image, (N,): of a stored evaluation, else of one sample."""
    stored = read(run)
    section = stored.sections.get("likelihood", {}) if stored else {}
    each = {
        name: section[name].each[images.which]
        for name in NUMBERS
        if isinstance(section.get(name), Estimate)
        and section[name].each is not None
        and len(section[name].each) == images.total
    }
    rate, distortion = (np.asarray(one) for one in (codes.rate, codes.distortion))
    if "distortion" not in each:
        each = {"loss": distortion + rate, "distortion": distortion, "rate": rate}
    if not rate.any():  # a point has no rate, and its loss is its distortion
        each = {name: each[name] for name in each if name not in ("rate", "loss")}
    each = {name: values for name, values in each.items() if np.isfinite(values).all()}
    judged = next((each[name] for name in ("nll", "loss", "distortion") if name in each), None)
    if judged is not None:  # the share of images that are less surprising, in per cent
        ranks = np.argsort(np.argsort(judged, kind="stable"), kind="stable")
        each["surprise"] = 100 * ranks / max(1, len(ranks) - 1)
    return each


@torch.no_grad()
def from_prior(run: Run, count: int) -> tuple[Array, Array | None] | None:
    """Return codes (S, L) sampled from the prior, and their classes; None where it has no sampler.

    Of a conditional model they are the same number of every class.
    """
    vae = run.vae
    labels = None
    if kinds := len(vae.classes):
        labels = vae.classes[torch.arange(count) * kinds // count]
    try:
        with seeded(0, "sample"):
            prior = vae.prior(*vae.given(labels))
            z = prior.sample((count,) if not prior.batch_shape else ())
    except NotImplementedError:  # torch's answer for a prior that has a density but no sampler
        return None
    return z.float().numpy(), None if labels is None else labels.numpy()


def thinness(samples: Array) -> tuple[Array, list[float]]:
    """Return codes (M, L) of samples (N, L) of the aggregate posterior, and quantiles of their own
    distances.

    The distance of a code is that to its nearest neighbour but `NEIGHBOUR` - 1 among the codes.
    """
    cloud = torch.from_numpy(samples[spread(len(samples), CLOUD)])
    asked = cloud[torch.from_numpy(spread(len(cloud), 1000))]
    k = min(NEIGHBOUR + 1, len(cloud))  # the nearest is the sample itself
    distances = torch.cdist(asked, cloud).kthvalue(k, dim=1).values.double().numpy()
    return cloud.numpy(), [float(q) for q in np.quantile(distances, QUANTILES)]
