"""Distortion, rate and log p(x), in nats per image unless a docstring says otherwise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from tqdm import tqdm

from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.evaluation.annealing import CHAINS, annealed, moments
from vaelab.evaluation.metric import Metric, mean
from vaelab.evaluation.prepared import Subject
from vaelab.models import VAE, Bernoulli, Code, Delta, Draw, Point, outputs, sampled
from vaelab.recipes import table
from vaelab.seeding import generator, seeded

ROWS = 10_000  # codes that are decoded at once, at most
ELEMENTS = 400_000  # numbers put out by the decoder at once: 500 images of 784 pixels, which a processor's cache holds
IMAGES, DRAWN = (
    100,
    100,
)  # images that are encoded at once, samples that are drawn at once for each of them
FEW = 10  # effective samples, below which the weights of an image are not to be trusted
SECOND = 50  # images about which a second opinion is asked
SURE, WORTH = (
    3.0,
    0.1,
)  # standard errors, and nats, that a second opinion must be off to be worth a word
FAR = 5.0  # nats above nll, which is as much too low with a chance of less than 1 in 100

# Of a quadrature: the cells it begins with, the nats that end it, the number of cells that ends it too, and how far
# below the highest (nats), and in which place, a cell has to be to be given up
START, HALVING, CELLS, DEEP, KEPT = 4096, 0.001, 2**18, 20, 500

METRICS = {
    "loss": Metric("-ELBO: distortion + rate", "nats per image", "lower", "kingma2014auto"),
    "distortion": Metric("-log p(x|z), averaged over q(z|x)", "nats per image"),
    "rate": Metric("KL(q(z|x) || p(z))", "nats per image"),
    "nll": Metric("-log p(x) by K importance weights, too high on average", "nats per image", "lower",
                  "burda2016importance"),
    "ess": Metric("effective number of the K samples, (sum w)^2 / sum w^2", "samples"),
    "curve": Metric("nll at fewer samples, from the same weights", "nats per image"),
    "bits_per_dim": Metric("nll by pixel or element, where x is discrete", "bits", "lower", "theis2016note"),
    "nll_by_class": Metric("nll of the images of each label", "nats per image"),
    "ais": Metric(f"-log p(x) by annealing, too high on average; {SECOND} images at most", "nats per image", "lower",
                  "neal2001annealed wu2017quantitative"),
    "ais_ess": Metric(f"effective number of its {CHAINS} chains", "samples"),
    "ais_difference": Metric("ais - nll of the same images", "nats per image"),
    "quadrature": Metric("-log p(x) by cells of z, in 1 or 2 dimensions, of the same", "nats per image", "lower"),
    "quadrature_difference": Metric("quadrature - nll of the same images", "nats per image"),
    "quadrature_halved": Metric("what halving the cells last changed, at most", "nats per image"),
}  # fmt: skip


Pieces: TypeAlias = Iterable[
    tuple[Tensor, Tensor | None]
]  # images (B, *shape) and their labels (B,), if any


def log_likelihood(vae: VAE, batches: Batches, k: int, seed: int) -> Tensor:
    """log (1/k) sum_k p(x, z_k) / q(z_k|x), (N,), in nats: for k -> infinity log p(x), below it in expectation.

    Each image is encoded once, and its k samples are decoded in bulk. Burda, Grosse & Salakhutdinov 2016,
    arXiv:1509.00519. Raises `UserError` for a k below 1, and for an autoencoder, whose point has no density.
    """
    if k < 1:
        raise UserError(f"k: expected a number of samples of at least 1, got {k}")
    if isinstance(vae.encoder, Point):
        raise UserError(
            "an autoencoder has no likelihood: its code is a point and has no density to weigh it by"
        )
    device = batches.x.device
    chance = generator(seed, "evaluation data", device=device)
    indices = torch.arange(len(batches), device=device).split(IMAGES)
    pieces = ((batches(index, chance), batches.labels(index)) for index in indices)
    return torch.cat([-curve(draw.log_weight)[k] for draw in draws(vae, pieces, k, seed)]).cpu()


def draws(vae: VAE, pieces: Pieces, k: int, seed: int) -> Iterator[Draw]:
    """k samples for each image of every piece, as `VAE.draw`, but without z, which would fill the memory.

    Piece i has a stream of chance of its own, from which only its z are drawn, DRAWN at a time: how many codes are
    decoded at once changes nothing.
    """
    for i, (x, y) in enumerate(pieces):
        noise = seeded(seed, "likelihood", i)
        with torch.no_grad():
            given = vae.given(y)
            q, p = vae.encoder(x, *given), vae.prior(*given)
            found = []
            for start in range(0, k, DRAWN):
                with noise:
                    z, log_qz = sampled(q, min(DRAWN, k - start))
                some = Draw(z, decoded(vae, z, x, given), q, p, log_qz=log_qz)
                found.append(torch.stack([some.log_px, some.log_pz, some.log_qz]))
            log_px, log_pz, log_qz = torch.cat(found, 1).double()  # (k, B) each
        yield Draw(z[:0], log_px, q, p, log_qz=log_qz, log_pz=log_pz)


def decoded(vae: VAE, z: Tensor, x: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    """log p(x|z), (K, B), of codes z (K, B, L) for images x (B, *shape), a part of them at a time."""
    rows = max(1, min(ROWS, ELEMENTS // outputs(vae, z[0], given)))
    images = min(len(x), rows)
    columns = zip(
        z.split(images, 1), x.split(images), *(y.split(images) for y in given), strict=True
    )
    found = [
        torch.cat([vae.decoder(part, *y).log_prob(x) for part in z.split(max(1, rows // images))])
        for z, x, *y in columns
    ]
    return torch.cat(found, 1)


def curve(log_w: Tensor) -> dict[int, Tensor]:
    """-log (1/k) sum_k w, (B,), at k = 1, 10, 100, ... and K, all from log weights (K, B).

    A smaller k is the mean over K // k groups of weights that share none, so all are used and each group is a fair one.
    """
    total = len(log_w)
    sizes = [10**i for i in range(len(str(total))) if 10**i < total] + [total]
    groups = {k: log_w[: total // k * k].unflatten(0, (-1, k)) for k in sizes}  # (K // k, k, B)
    return {k: math.log(k) - group.logsumexp(1).mean(0) for k, group in groups.items()}


def effective_samples(log_w: Tensor) -> Tensor:
    """(sum_k w)^2 / sum_k w^2, (B,), from 1 to K, of log weights (K, B): K where all are equal."""
    return (2 * log_w.logsumexp(0) - (2 * log_w).logsumexp(0)).exp()


@torch.no_grad()
def quadrature(
    vae: VAE, x: Tensor, y: Tensor | None = None, quiet: bool = True
) -> tuple[Tensor, Tensor]:
    """log of the integral of p(z) p(x|z) over z of 1 or 2 dimensions, (N,), and what the last halving changed, (N,).

    Midpoint rule. At first START cells cover the samples of the prior and 8 standard deviations of q(z|x). All are
    halved in each dimension but those DEEP nats below the highest, not among the KEPT highest and beyond 4 deviations
    of q, until they are no wider than a deviation of q and halving changes less than HALVING. For cells of width h and
    a smooth posterior of width s the error falls as exp(-2 pi^2 s^2 / h^2): by then it is nothing. But what the first
    cells do not show, a mode much narrower than they are and far from q, is overlooked, and halving cannot tell.
    """
    found = []
    with seeded(0, "quadrature"):
        for i in tqdm(
            range(len(x)), desc="quadrature", unit="image", disable=quiet or None, leave=False
        ):
            given = vae.given(None if y is None else y[i : i + 1])
            found.append(_integral(vae, x[i : i + 1], given))
    total, change = torch.tensor(found, dtype=torch.float64).unbind(1)
    return total, change


def _integral(vae: VAE, x: Tensor, given: tuple[Tensor, ...]) -> tuple[float, float]:
    """`quadrature` of one image."""
    p = vae.prior(*given)
    (mean,), (deviation,) = moments(vae.encoder(x, *given))  # (L,)
    prior = p.sample(torch.Size([ROWS])).view(-1, len(mean))
    low, high = prior.amin(0), prior.amax(0)
    margin = (high - low) / 4
    low, high = (
        torch.minimum(low - margin, mean - 8 * deviation),
        torch.maximum(high + margin, mean + 8 * deviation),
    )
    across = round(START ** (1 / len(mean)))
    half = (high - low) / 2 / across  # half of a cell's width, (L,)
    middles = [
        a + h * torch.arange(1, 2 * across, 2).to(low) for a, h in zip(low, half, strict=True)
    ]
    z = torch.cartesian_prod(*middles).view(-1, len(mean))  # (C, L)
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).to(low)] * len(mean)).view(
        -1, len(mean)
    )
    before = math.inf
    while True:
        log_f = (decoded(vae, z[:, None], x, given) + p.log_prob(z[:, None]))[:, 0].double()  # (C,)
        total = float(log_f.logsumexp(0) + (2 * half.double()).log().sum())
        change = abs(total - before)
        if (change < HALVING and (2 * half <= deviation).all()) or len(z) > CELLS:
            return total, change
        near = ((z - mean).abs() <= 4 * deviation + half).all(-1)
        half, before = half / 2, total
        floor = min(log_f.max() - DEEP, log_f.sort().values[-KEPT:][0])
        z = (z[near | (log_f >= floor)][:, None] + corners * half).flatten(0, 1)


@torch.no_grad()
def measure(subject: Subject, samples: int, opinions: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of METRICS, on the test images, with K = `samples`; and `notes`: what is left out or not so, and why.

    `opinions` are those of `second_opinions`, with which the weights are compared on the same images.
    An autoencoder has no likelihood; quantised codes have one value each, and so no weights, only the bound `loss`.
    """
    vae, x, y = subject.vae, subject.x_test, subject.test.y
    q = _posterior(subject)
    point, codes = isinstance(q, Delta), isinstance(q, Code)
    k = 1 if point else samples  # of a point, all samples are the same
    pieces = zip(x.split(IMAGES), repeat(None) if y is None else y.split(IMAGES), strict=False)
    rows = []
    with tqdm(
        total=len(x),
        desc="importance weights",
        unit="image",
        disable=subject.quiet or None,
        leave=False,
    ) as bar:
        for draw in draws(vae, pieces, k, subject.seed):
            one = {
                "distortion": draw.distortion,
                "rate": draw.rate,
                "ess": effective_samples(draw.log_weight),
            }
            rows.append(one | {str(size): nll for size, nll in curve(draw.log_weight).items()})
            bar.update(len(draw.rate))
    each = {key: torch.cat([row[key] for row in rows]).double().cpu() for key in rows[0]}
    loss, nll, ess = each["distortion"] + each["rate"], each[str(k)], each["ess"]

    found: dict[str, Any] = {
        "loss": mean(loss),
        "distortion": mean(each["distortion"]),
        "rate": mean(each["rate"]),
    }
    offset, note = bits_of_a_volume(vae.decoder, x, subject.test)
    notes = [note] if note else []
    if len(vae.classes):
        notes.append("the labels are given: every number is about p(x|y)")
    if offset is not None and (codes or not point):
        found["bits_per_dim"] = mean((loss if codes else nll) / x[0].numel() / math.log(2) + offset)
    if point:
        notes.append(
            "nll: left out, for all of q(z|x) is on one sequence of codes; -log p(x) is below the loss"
            if codes
            else "nll: an autoencoder has none, for its code is a point and has no density to weigh it by"
        )
        return found | {"notes": notes}

    found |= {"nll": mean(nll), "ess": mean(ess)}
    found["curve"] = {size: mean(column) for size, column in each.items() if size.isdigit()}
    if y is not None:
        labels = y.cpu()
        found["nll_by_class"] = {
            str(label): mean(nll[labels == label]) for label in labels.unique().tolist()
        }
    few = float((ess < FEW).double().mean())
    if few > 0.05:
        notes.append(
            f"nll: too high on {few:.0%} of the images, whose weights rest on fewer than {FEW} of {k} samples"
        )
    return {
        **opinions,
        **found,
        **_differences(nll, opinions, notes),
        "notes": [*notes, *opinions["notes"]],
    }


def _differences(nll: Tensor, opinions: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """The second opinions less the nll (N,) of the same images; where they disagree, that goes into `notes`.

    An estimate of p(x) that is p(x) in expectation exceeds e^b p(x) with a probability of at most e^-b. So of nll and
    ais the lower is nearer to -log p(x), but for a little, and what lies far above the other has failed.
    """
    found: dict[str, Any] = {}
    asked = _few(len(nll))
    for name, who in (("ais", "annealing"), ("quadrature", "quadrature")):
        if name not in opinions:
            continue
        each = torch.from_numpy(opinions[name].each) - nll[asked]
        found[f"{name}_difference"] = apart = mean(each)
        error, images = apart.error or math.inf, f"the same {len(asked)} images"
        if apart.value < -max(WORTH, SURE * error):
            notes.append(f"nll: {who} finds {-apart.value:.2f} ± {error:.2f} nats less on {images}")
        if apart.value > max(WORTH, SURE * error):
            notes.append(
                f"{name}: falls short, for nll is {apart.value:.2f} ± {error:.2f} nats less on {images}"
            )
        if failed := int((each > FAR).sum()):
            says = f"failed on {failed} of {images}, more than {FAR:g} nats above nll: its mean says little"
            notes.append(f"{name}: {says}")
    return found


def bits_of_a_volume(decoder: nn.Module, x: Tensor, batches: Batches) -> tuple[float | None, str]:
    """What turns -log2 p(x) an element into bits: 0 where p is a probability, log2 levels where noise filled those.

    None where p is a density of something else, or nothing normalised; and what has to be said of p.
    """
    if isinstance(decoder, Bernoulli):
        x = x if decoder.units is None else decoder.units.inward(x)
        floor = float(-(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).double().sum() / len(x))
        says = (
            "NO LIKELIHOOD: grey levels under a Bernoulli make a cross-entropy, and its floor on these images is "
            f"{floor:.1f} nats, the entropy of their pixels, not 0; never compare it with binarised images "
            "(data.treatment: dynamic)"
        )
        return (None, says) if floor else (0.0, "")
    if getattr(decoder, "support", "real") in ("counts", "levels"):
        return 0.0, ""
    if batches.treatment == "dequantised" and batches.levels:
        return math.log2(
            batches.levels
        ), "bits_per_dim: a bound, by the density of levels that noise made continuous"
    return None, (
        "nll is of a density of real values: it can be negative, it moves with the unit of x, and there are no bits; "
        "compare it only on the same data, treated alike"
    )


def second_opinions(subject: Subject) -> dict[str, Any]:
    """-log p(x) without importance weights, on SECOND of the test images; and `notes`, as of `measure`.

    By annealing, and by quadrature where z has no more than 2 dimensions. Models without weights get none.
    """
    vae, images = subject.vae, subject.x_test
    if isinstance(_posterior(subject), Delta):
        return {"notes": []}
    space = table.part("model.posterior", subject.run.recipe.model.posterior).space
    if space not in ("reals", "levels"):
        where = f"posterior: {space or 'your own'}"
        return {"notes": [f"ais: left out, for z is not known to be of real numbers ({where})"]}
    index = _few(len(images))
    x, y = images[index], None if subject.test.y is None else subject.test.y[index]
    log_w = annealed(vae, x, y, subject.seed, quiet=subject.quiet)
    found: dict[str, Any] = {
        "ais": mean(curve(log_w)[len(log_w)]),
        "ais_ess": mean(effective_samples(log_w)),
    }
    if vae.latent > 2:
        return found | {"notes": []}
    total, change = quadrature(vae, x, y, subject.quiet)
    halved = float(change.max())
    says = (
        f"quadrature: not to be trusted, for halving its cells still moves it by {halved:.2g} nats"
    )
    notes = [says] if halved > 10 * HALVING else []
    return found | {"quadrature": mean(-total), "quadrature_halved": halved, "notes": notes}


@torch.no_grad()
def _posterior(subject: Subject) -> Distribution:
    """q(z|x) of one image, to see of what kind it is."""
    vae, y = subject.vae, subject.test.y
    given = vae.given(None if y is None else y[:1])
    return cast(Distribution, vae.encoder(subject.x_test[:1], *given))


def _few(images: int) -> Tensor:
    """The indices of the images about which a second opinion is asked, spread over all."""
    return torch.linspace(0, images - 1, min(SECOND, images)).long()
