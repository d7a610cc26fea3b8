"""Decoded samples and reconstructions against images: how alike, how various, and whether learned by heart.

Sets of images are compared by the features of a small classifier (classifier.py), always as many images on either
side, for most of these numbers depend on how many there are; and each number stands beside its baseline, in which
training images take the place of the samples. Numbers in other features than these cannot be compared with them.

What counts as an image that the model made? Where the data were binarised, pixels drawn from p(x|z): its mean is grey,
and no grey image was ever shown to the classifier. Elsewhere the mean E[x|z]: what people look at, and what remains
where p(x|z) adds noise to every pixel that the data do not have. Where pixels themselves are compared, for errors of
reconstruction and for what was learned by heart, it is the mean always: the noise of pixels would hide both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaelab.errors import UserError
from vaelab.evaluation.classifier import Classifier, classifier
from vaelab.evaluation.metric import Estimate, Metric, mean, pooled, resampled
from vaelab.evaluation.prepared import Subject
from vaelab.models import Linear
from vaelab.seeding import generator

CHUNK = 1000  # rows that are compared at once
FEWEST, MOST = 50, 10_000  # images that are compared
MEMORY = 2**24  # numbers that the search for neighbours holds at once
PEAK = 100.0  # dB, the PSNR of a perfect reconstruction
COPY = 0.01  # share of test images that would count as copies

# fmt: off
_AGAINST = {
    "frechet": Metric("Frechet distance of samples from test images", "", "lower", "heusel2017gans"),
    "kernel_mmd": Metric("kernel distance (KID) of the same", "", "lower", "binkowski2018demystifying"),
    "precision": Metric("samples that lie among test images; drawing the mean image always scores highest", "share",
        cites="kynkaanniemi2019improved"),
    "recall": Metric("test images that lie among samples", "share", "higher", "kynkaanniemi2019improved"),
    "density": Metric("how densely test images lie around samples, 1 for real ones", cites="naeem2020reliable"),
    "coverage": Metric("test images with a sample near", "share", "higher", "naeem2020reliable"),
}
METRICS = {
    "classifier": Metric("what compares the images: what it learned, how well, the hash of its weights",
        cites="gidaris2018unsupervised"),
    "compared": Metric("how many images each set holds", "images"),
    **_AGAINST,
    **{f"{key}_real": Metric(f"{key} of training images in place of samples") for key in _AGAINST},
    "frechet_reconstructions": Metric("Frechet distance of reconstructions from the test images", "", "lower"),
    "classifier_score": Metric("how sure and various the classes of samples are", "", "higher", "salimans2016improved"),
    "classifier_score_real": Metric("classifier_score of test images"),
    "asked_class": Metric("samples taken for the class that was asked for", "share", "higher"),
    "asked_class_real": Metric("test images taken for their class", "share"),
    "mse": Metric("squared error of reconstructions, by pixel", "squared values", "lower"),
    "psnr": Metric("peak signal-to-noise ratio of reconstructions", "dB", "higher"),
    "ssim": Metric("structural similarity of reconstructions", "", "higher", "wang2004image"),
    "nearest_train": Metric("distance of samples to the nearest training image", "pixel values"),
    "nearest_train_real": Metric("distance of test images to the nearest training image", "pixel values"),
    "copies": Metric("samples that are nearly training images; 0.01 where nothing is memorised", "share",
        cites="meehan2020non"),
}
# fmt: on
WILD = "some that the model made are infinite or not a number"


def measure(subject: Subject) -> dict[str, Any]:
    """All of METRICS that make sense for this run, and under "notes" why others are left out."""
    found, notes = _fidelity(subject)
    n = min(MOST, len(subject.samples), len(subject.x_test), len(subject.x_train))
    sets = {"train": subject.x_train, "test": subject.x_test}
    if n < FEWEST:
        few = f"{n} images on each side are fewer than {FEWEST}"
        return found | {"notes": [*notes, f"samples against images: left out, for {few}"]}
    sets |= {
        "samples": _made(subject, subject.samples),
        "reconstructions": _made(subject, subject.reconstructions),
    }
    sets = {name: _some(x, n, subject.seed, name) for name, x in sets.items()}
    eyes = classifier(subject)
    seen = {name: eyes.features(x) for name, x in sets.items()}
    if not all(bool(features.isfinite().all()) for features in seen.values()):
        return found | {"notes": [*notes, f"samples against images: left out, for {WILD}"]}
    found |= {"classifier": eyes.about(subject.x_test, subject.test.y), "compared": n}
    for suffix, name in (("", "samples"), ("_real", "train")):
        pair = seen[name], seen["test"]
        against = {
            "frechet": resampled(frechet, *pair),
            "kernel_mmd": kernel_mmd(*pair),
        } | neighbourhoods(*pair)
        found |= {key + suffix: value for key, value in against.items()}
    found["frechet_reconstructions"] = resampled(frechet, seen["reconstructions"], seen["test"])
    found |= _memory(
        _some(subject.samples, n, subject.seed, "samples"), sets["test"], subject, notes
    )
    if eyes.task == "classes":
        found |= _classes(subject, eyes, seen, found["classifier"], notes)
    else:
        notes.append("classifier_score: left out, for the classifier was told no classes")
    return found | {"notes": notes}


# ---------------------------------------------------------------- sets of features


def frechet(x: Tensor, y: Tensor) -> float:
    """|m - n|^2 + tr(S + T - 2 (S T)^(1/2)) of the means and covariances of x (N, F) and y (M, F); at least 0.

    The distance, squared, of two Gaussians with these moments. The trace of the root is the sum of the roots of the
    eigenvalues of S^(1/2) T S^(1/2), which is symmetric, so none is complex. Few images make it larger than it is.

    Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter, GANs trained by a two time-scale update rule, 2017,
    arXiv:1706.08500.
    """
    (m, s), (n, t) = (
        (z.mean(0), torch.atleast_2d(z.T.cov())) for z in (x.double().cpu(), y.double().cpu())
    )
    values, vectors = torch.linalg.eigh(s)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ t @ root).clamp(min=0).sqrt().sum()
    return max(0.0, float((m - n).square().sum() + s.trace() + t.trace() - 2 * cross))


def neighbourhoods(made: Tensor, real: Tensor) -> dict[str, Estimate]:
    """Precision, recall, density and coverage of features `made` (N, F) beside `real` (M, F), more than 5 of each.

    A point's k-ball reaches to its k-th neighbour among its own kind.
        precision   share of made in the 3-ball of any real
        recall      share of real in the 3-ball of any made
        density     mean over made of the number of 5-balls of real around it, / 5; above 1 where made crowd together
        coverage    share of real with a made in its 5-ball; of one distribution 1 - prod_{i=1..5} (M - i) / (N + M - i)

    Precision and density are means over made, and have the error of one, with real as it is. Recall and coverage have
    none: whether a real point has one made near depends on all of these at once, and counting real points alone gives
    a third to a half of what another draw of samples shows.

    Kynkaanniemi, Karras, Laine, Lehtinen & Aila, Improved precision and recall, 2019, arXiv:1904.06991.
    Naeem, Oh, Uh, Choi & Yoo, Reliable fidelity and diversity metrics, 2020, arXiv:2002.09797.
    """
    made, real = made.double(), real.double()
    (made_3, _), (real_3, real_5) = _radii(made), _radii(real)
    precise, dense = [], []
    recalled, covered = torch.zeros(2, len(real), dtype=torch.bool, device=real.device)
    for some, radius in zip(made.split(CHUNK), made_3.split(CHUNK), strict=True):
        distance = torch.cdist(some, real)  # (B, M)
        near = distance <= real_5
        precise.append((distance <= real_3).any(1))
        dense.append(near.sum(1) / 5)
        recalled |= (distance <= radius[:, None]).any(0)
        covered |= near.any(0)
    flags = {
        "precision": torch.cat(precise),
        "recall": recalled,
        "density": torch.cat(dense),
        "coverage": covered,
    }
    found = {key: pooled(values) for key, values in flags.items()}
    return found | {key: Estimate(found[key].value) for key in ("recall", "coverage")}


def kernel_mmd(x: Tensor, y: Tensor, blocks: int = 10) -> Estimate:
    """MMD^2 of x and y (N, F) with the kernel (a.b / F + 1)^3: 0 in expectation for one distribution, so also below.

    The mean of the unbiased estimates of disjoint blocks, and its standard error: rows must be in random order, and
    at least twice as many as blocks.

    Binkowski, Sutherland, Arbel & Gretton, Demystifying MMD GANs, 2018, arXiv:1801.01401.
    """

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def apart(a: Tensor) -> Tensor:
        k = kernel(a, a)
        return (k.sum() - k.trace()) / (len(a) * (len(a) - 1))

    size = len(x) // blocks
    pairs = zip(x.double().split(size)[:blocks], y.double().split(size)[:blocks], strict=True)
    each = [apart(a) + apart(b) - 2 * kernel(a, b).mean() for a, b in pairs]
    return pooled(torch.stack(each))


def classifier_score(probabilities: Tensor) -> float:
    """exp E_x KL(p(y|x) || p(y)) of probabilities (N, C): 1 if all are alike, C if sure and every class as frequent.

    Salimans, Goodfellow, Zaremba, Cheung, Radford & Chen, Improved techniques for training GANs, 2016,
    arXiv:1606.03498, by another classifier.
    """
    p = probabilities.double()
    return float((torch.xlogy(p, p) - torch.xlogy(p, p.mean(0))).sum(1).mean().exp())


def _radii(x: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each of x (N, F) to its 3rd and to its 5th neighbour among x, (N,) each."""
    nearest = torch.cat(
        [torch.cdist(some, x).topk(6, largest=False).values for some in x.split(CHUNK)]
    )
    return nearest[:, 3], nearest[:, 5]  # 0 is itself


def _classes(
    subject: Subject,
    eyes: Classifier,
    seen: dict[str, Tensor],
    about: dict[str, Any],
    notes: list[str],
) -> dict[str, Any]:
    """The classifier score, and, of a conditional model, whether it makes what is asked for."""
    found: dict[str, Any] = {
        f"classifier_score{suffix}": resampled(classifier_score, eyes.probabilities(seen[name]))
        for suffix, name in (("", "samples"), ("_real", "test"))
    }
    accuracy = about.get("accuracy")
    if accuracy and accuracy.value < 0.9:
        notes.append(
            f"the classifier is right on {accuracy.value:.0%} of test images only: its features say less"
        )
    known = subject.vae.classes.tolist()
    if known:
        each = -(-len(seen["samples"]) // len(known))
        samples = ((y, _made(subject, subject.vae.sample(each, subject.seed, y))) for y in known)
        found["asked_class"] = pooled(torch.cat([eyes.shows(x, y) for y, x in samples]))
        found |= {"asked_class_real": accuracy} if accuracy else {}
    return found


# ---------------------------------------------------------------- reconstructions


def psnr(mse: Tensor, span: float) -> Tensor:
    """10 log10(span^2 / mse) in dB, of mean squared errors (N,) of values in a range of `span`; at most PEAK."""
    return (-10 * (mse / span**2).log10()).clamp(max=PEAK)


def ssim(x: Tensor, y: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Structural similarity of images x and y (N, H, W) or (N, C, H, W) with values in [low, high]: (N,), in [-1, 1].

        (2 m n + a) (2 c + b) / ((m^2 + n^2 + a) (s^2 + t^2 + b)),    a = 0.01^2, b = 0.03^2 on a range of [0, 1],

    with means m, n, variances s^2, t^2 and covariance c of the pixels in a Gaussian window of deviation 1.5, 11 x 11 or
    as large as the image lets it be; averaged over all places where the window fits, and over channels.

    Wang, Bovik, Sheikh & Simoncelli, Image quality assessment: from error visibility to structural similarity, 2004,
    doi:10.1109/TIP.2003.819861. Raises `UserError` for images of fewer than 3 x 3 pixels.
    """
    size = min(11, *x.shape[-2:])
    size -= 1 - size % 2
    if size < 3:
        raise UserError(
            f"ssim: images of {x.shape[-2]} x {x.shape[-1]} pixels are too small for a window of 3 x 3"
        )
    line = (
        -((torch.arange(size, dtype=torch.float64, device=x.device) - size // 2) ** 2)
        / (2 * 1.5**2)
    ).exp()
    line = line / line.sum()
    # The window is a product, so its mean at all places is A z B, in A a row for each place down and in B across.
    down, across = (
        torch.eye(n).to(line).unfold(1, size, 1) @ line for n in x.shape[-2:]
    )  # (H, H - size + 1), ...

    def chunk(x: Tensor, y: Tensor) -> Tensor:
        u, v = (((z.double() - low) / (high - low)) for z in (x, y))
        m, n, uu, vv, uv = (down.T @ z @ across for z in (u, v, u * u, v * v, u * v))
        alike = (2 * m * n + 1e-4) * (2 * (uv - m * n) + 9e-4)
        index: Tensor = alike / ((m**2 + n**2 + 1e-4) * (uu - m**2 + vv - n**2 + 9e-4))
        return index.flatten(1).mean(1)

    return torch.cat([chunk(*pair) for pair in zip(x.split(CHUNK), y.split(CHUNK), strict=True)])


def _fidelity(subject: Subject) -> tuple[dict[str, Any], list[str]]:
    """Errors of reconstruction by image, and notes: what is left out, what a reconstruction is."""
    x, y = subject.x_test, subject.reconstructions
    low, high = subject.run.contract["range"]
    mse = (x - y).double().square().flatten(1).mean(1)
    drawn = "pixels drawn from p(x|z), for the data were binarised; its mean for mse, psnr, ssim, nearest_train, copies"
    drawn = drawn if subject.run.recipe.data.binary else "means of p(x|z), without its noise"
    notes = [f"samples and reconstructions are {drawn}"]
    if not mse.isfinite().all():
        return {}, [*notes, f"mse, psnr, ssim: left out, for {WILD}"]
    if x.dim() < 3 or min(x.shape[-2:]) < 3:
        return {"mse": mean(mse)}, [
            *notes,
            "psnr, ssim: left out, for the data are no images of 3 x 3 pixels or more",
        ]
    return {
        "mse": mean(mse),
        "psnr": mean(psnr(mse, high - low)),
        "ssim": mean(ssim(x, y, low, high)),
    }, notes


# ---------------------------------------------------------------- memorising


def nearest(x: Tensor, among: Tensor, rank: int = 1) -> tuple[Tensor, Tensor]:
    """Euclidean distance, in pixel values, of each of x (N, *shape) to the nearest of `among` (M, *shape), and which.

    Both (N,). With rank 2 the second nearest: where x lies among them itself, the nearest other. The search is made
    of products in float32, which leave 0.01 between an image and its copy; so the distances of the best two more than
    asked for are worked out again, in float64, and these decide. Beside a copy of `among` the memory is bounded.
    """
    middle = among.flatten(1).float().mean(0)  # far from 0 the products would cancel
    rows, columns = x.flatten(1), among.flatten(1).float() - middle
    score = Linear(
        columns.shape[1], len(columns), device="meta"
    )  # x.a - |a|^2 / 2, largest for the nearest
    score.weight = nn.Parameter(columns, requires_grad=False)
    score.bias = nn.Parameter(-columns.square().sum(1) / 2, requires_grad=False)
    distances, indices = [], []
    for some in rows.split(max(1, MEMORY // max(columns.shape))):
        found = (
            score(some.float() - middle).topk(min(rank + 2, len(columns))).indices
        )  # (B, rank + 2)
        exact = (among.flatten(1)[found].double() - some[:, None].double()).norm(dim=2)
        distance, place = exact.sort(1)
        distances.append(distance[:, rank - 1])
        indices.append(found.gather(1, place)[:, rank - 1])
    return torch.cat(distances), torch.cat(indices)


def nearness(to_train: Tensor, to_test: Tensor) -> Tensor:
    """t / (t + s) of the distances t to the nearest training and s to the nearest test image: 0 for a copy, (N,)."""
    total = to_train + to_test
    return torch.where(total > 0, to_train / total, 0.5)


def copies(samples: Tensor, real: Tensor) -> Estimate:
    """Share of samples whose `nearness` (N,) is below what only COPY of test images (M,) stay below.

    COPY in expectation where samples are to the training images as test images are, so where nothing was memorised.
    The distance to a training image alone would not do: samples of a VAE are smooth and lie nearer to any image than
    real ones do, to training and test images alike, so the ratio stays. (A decoder's means of MNIST's training images,
    blurred copies, give 48 %, of its test images 0 %; by the distance alone 4 % either way.) Pixels, not features,
    decide: a classifier is taught to overlook what makes one image of a class this image. Where test images are of
    other makers than training images, the number grows a little: MNIST's own training images, held out, give 2 %.

    The error counts the samples and the test images the limit was read from. After Meehan, Chaudhuri & Dasgupta, A
    non-parametric test to detect data-copying, 2020, arXiv:2004.05675, who rank such distances.
    """
    limit = np.quantile(
        real.cpu().numpy(), COPY, method="weibull"
    )  # unbiased in the share below, down to 1 / (M + 1)
    share = float((samples < float(limit)).double().mean())
    return Estimate(
        share, (share * (1 - share) / len(samples) + COPY * (1 - COPY) / len(real)) ** 0.5
    )


def _memory(
    samples: Tensor, test: Tensor, subject: Subject, notes: list[str]
) -> dict[str, Estimate]:
    """Samples and test images beside all training images, by pixels.

    Of tables there are no copies: with few columns the mean of p(x|z) lies near some row or other by nature.
    """
    train, others = subject.x_train, subject.x_test
    made, real = nearest(samples, train)[0], nearest(test, train)[0]
    distances = {"nearest_train": made, "nearest_train_real": real}
    found = {key: pooled(values) for key, values in distances.items()}
    if train.dim() < 3:
        notes.append("copies: left out, for the data are no images")
        return found
    shares = (
        nearness(made, nearest(samples, others)[0]),
        nearness(real, nearest(test, others, 2)[0]),
    )
    return found | {"copies": copies(*shares)}


# ---------------------------------------------------------------- which images


def _made(subject: Subject, means: Tensor) -> Tensor:
    """What the model made, as its data are: of binarised ones, pixels drawn with these means as probabilities."""
    if not subject.run.recipe.data.binary:
        return means
    chance = generator(subject.seed, "evaluation pixels", device=means.device)
    return torch.bernoulli(means.clamp(0, 1), generator=chance)


def _some(x: Tensor, n: int, seed: int, name: str) -> Tensor:
    """n of x in random order: a folder's images come class by class, and so do the samples of a conditional model."""
    return x[
        torch.randperm(len(x), generator=generator(seed, f"evaluation {name}"))[:n].to(x.device)
    ]
