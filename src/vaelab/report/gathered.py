"""What the explorer shows of a run: codes, images and numbers of its test images, as arrays."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelab.data import Dataset
from vaelab.data.dataset import spread
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.results import read
from vaelab.models import Draw
from vaelab.plots.pixels import form, signals
from vaelab.plots.style import Array, Labels
from vaelab.plots.view import displayed, treated
from vaelab.runs import Run
from vaelab.seeding import seeded

POINTS = 10_000  # test images at most
TILE = 64  # pixels of the longer side of an embedded image at most
BUDGET = 4_000_000  # bytes of all embedded images at most, deflated
PRIOR = 2000  # codes sampled from the prior
CLOUD, NEIGHBOUR = 4000, 5  # samples of the aggregate posterior; the neighbour that is measured
QUANTILES = (0.95, 0.99)
NUMBERS = ("nll", "loss", "distortion", "rate", "ess")  # of an evaluation, in the page's order


class Codes(NamedTuple):
    """The posterior of N test images, one sample of each, and the terms of the ELBO."""

    mean: Array  # (N, L)
    std: Array | None  # (N, L); None for a point, or where it is not known in closed form
    sample: Array  # (N, L)
    rates: Array  # (N, J), nats; J = L where the rate is a sum over dimensions, else 1
    distortion: Array  # (N,), nats


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
    few = treated(run, data.levels, data.test, spread(total, 100))[0]
    size = max(1, len(zlib.compress(embedded(run, few)[0].tobytes(), 1)) / len(few))
    which = spread(total, max(2, min(points, int(BUDGET / size))))
    return Shown(which, *treated(run, data.levels, data.test, which), total)


def embedded(run: Run, x: Tensor) -> tuple[Array, bool]:
    """Return what the page holds of rows x (N, *shape), and whether it restores them.

    Of images, pixels (N, H, W) or (N, H, W, 3) as uint8 at the range of the display; of tables and
    signals the values (N, T, C).
    """
    shape = tuple(x.shape[1:])
    if form(shape) != "image":
        return signals(x.numpy()).astype(np.float32), True
    pixels = displayed(run, x, TILE)
    channels = shape[0] if len(shape) == 3 else 1
    whole = max(shape[-2:]) <= TILE and channels in (1, 3)
    return (pixels if channels in (3, 4) else pixels[..., 0]), whole


@torch.no_grad()
def codes_of(run: Run, images: Shown) -> Codes:
    """Return the posteriors of images, with one sample of each."""
    vae = run.vae
    y = None if images.y is None else torch.from_numpy(images.y)
    parts: list[tuple[Tensor, ...]] = []
    known = True
    with seeded(0, "explorer"):
        for i in torch.arange(len(images.x)).split(vae.rows_at_once()):
            draw = vae.draw(images.x[i], 1, None if y is None else y[i])
            std = _std(draw)
            known = known and std is not None
            mean = draw.q.mean
            parts.append((mean, mean if std is None else std, draw.z[0], draw.rates,
                          draw.distortion))  # fmt: skip
    means, stds, z, rates, distortion = (
        torch.cat(part).float().numpy() for part in zip(*parts, strict=True)
    )
    return Codes(means, stds if known and stds.any() else None, z, rates, distortion)


def _std(draw: Draw) -> Tensor | None:
    try:
        return draw.q.stddev
    except NotImplementedError:  # torch's answer where a distribution has no closed form
        return None


def numbers(run: Run, images: Shown, codes: Codes) -> dict[str, Array]:
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
    if "distortion" not in each:
        rate = codes.rates.sum(1)
        each = {"loss": codes.distortion + rate, "distortion": codes.distortion, "rate": rate}
    if not codes.rates.any():  # a point has no rate, and its loss is its distortion
        each = {name: each[name] for name in each if name not in ("rate", "loss")}
    each = {name: values for name, values in each.items() if np.isfinite(values).all()}
    judged = next((each[name] for name in ("nll", "loss", "distortion") if name in each), None)
    if judged is not None:  # the share of images that are less surprising, in per cent
        ranks = np.argsort(np.argsort(judged, kind="stable"), kind="stable")
        each["surprise"] = 100 * ranks / max(1, len(ranks) - 1)
    return each


@torch.no_grad()
def from_prior(run: Run) -> tuple[Array, Array | None] | None:
    """Return codes (S, L) sampled from the prior, and their classes; None where it has no sampler.

    Of a conditional model they are the same number of every class.
    """
    vae = run.vae
    count = len(vae.classes)
    labels = vae.classes[torch.arange(PRIOR) * count // PRIOR] if count else None
    try:
        with seeded(0, "sample"):
            prior = vae.prior(*vae.given(labels))
            z = prior.sample((PRIOR,) if not prior.batch_shape else ())
    except NotImplementedError:
        return None
    return z.float().numpy(), None if labels is None else labels.numpy()


def thinness(codes: Codes) -> tuple[Array, list[float]]:
    """Return samples of the aggregate posterior (M, L), and quantiles of their own distances.

    The distance of a code is that to its nearest neighbour but `NEIGHBOUR` - 1 among the samples.
    """
    cloud = torch.from_numpy(codes.sample[spread(len(codes.sample), CLOUD)])
    asked = cloud[torch.from_numpy(spread(len(cloud), 1000))]
    k = min(NEIGHBOUR + 1, len(cloud))  # the nearest is the sample itself
    distances = torch.cdist(asked, cloud).kthvalue(k, dim=1).values.double().numpy()
    return cloud.numpy(), [float(q) for q in np.quantile(distances, QUANTILES)]
