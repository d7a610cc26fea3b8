"""Section samples: fidelity and diversity of samples, reconstruction error, memorisation.

Images are compared by the features of the reference classifier. Both sets have the same size,
because most of these metrics depend on it. Each metric has a baseline with training images in place
of samples. Values from other features are not comparable.

For binarised data, an image of the model is a sample of the pixels, because the mean is grey. For
other data it is the mean E[x|z]. Metrics of pixels (mse, copies) always use the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vaelab.evaluation.classifier import Classifier, classifier
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate, Metric, mean, pooled, resampled
from vaelab.evaluation.metrics.fidelity import classifier_score, frechet, kernel_mmd, neighbourhoods
from vaelab.evaluation.metrics.images import psnr, ssim
from vaelab.evaluation.metrics.memorisation import NearestAmong, copies, nearest, nearness
from vaelab.seeding import generator

FEWEST, MOST = 50, 10_000  # the least and the greatest number of images that are compared
SHOWN, SHOWN_OF = 10, 1000  # samples in the figure of nearest training images, and candidates

_AGAINST = {
    "frechet": Metric(better="lower", cites="heusel2017gans"),
    "kernel_mmd": Metric(better="lower", cites="binkowski2018demystifying"),
    "precision": Metric("share", cites="kynkaanniemi2019improved"),
    "recall": Metric("share", "higher", "kynkaanniemi2019improved"),
    "density": Metric(cites="naeem2020reliable"),
    "coverage": Metric("share", "higher", "naeem2020reliable"),
}

METRICS = {
    "classifier": Metric(cites="gidaris2018unsupervised"),
    "compared": Metric("images"),
    **_AGAINST,
    **{f"{key}_real": Metric() for key in _AGAINST},
    "frechet_reconstructions": Metric(better="lower"),
    "classifier_score": Metric(better="higher", cites="salimans2016improved"),
    "classifier_score_real": Metric(),
    "asked_class": Metric("share", "higher"),
    "asked_class_real": Metric("share"),
    "mse": Metric("squared values", "lower"),
    "psnr": Metric("dB", "higher"),
    "ssim": Metric(better="higher", cites="wang2004image"),
    "nearest_train": Metric("pixel values"),
    "nearest_train_real": Metric("pixel values"),
    "copies": Metric("share", cites="meehan2020non"),
}
WILD = "some outputs of the model are infinite or NaN"


def measure(evaluator: Evaluator) -> dict[str, Any]:
    """Measure all applicable `METRICS`; "notes" give the reason why others are left out.

    Samples and reconstructions are decoded in chunks, and only their features are kept.
    """
    if evaluator.run.schema is not None:
        return {"notes": ["not applicable to tables that are read by their columns; see rows"]}
    n = min(MOST, evaluator.n_samples, len(evaluator.x_test), len(evaluator.x_train))
    if n < FEWEST:
        found, notes, _ = _reconstructions(evaluator, None)
        reason = f"{n} images on each side are fewer than {FEWEST}"
        return found | {"notes": [*notes, f"samples against images: left out, because {reason}"]}
    reference = classifier(evaluator)
    found, notes, rebuilt = _reconstructions(evaluator, reference)
    order = {
        name: _order(size, n, evaluator.seed, name) for name, size in _sizes(evaluator).items()
    }
    pixels = _pixels(evaluator)
    made = torch.cat([reference.features(pixels(x)) for x in evaluator.samples()])
    features = {
        "train": reference.features(evaluator.x_train[order["train"]]),
        "test": reference.features(evaluator.x_test[order["test"]]),
        "samples": made[order["samples"]],
        "reconstructions": rebuilt[order["reconstructions"]],
    }
    if not all(bool(values.isfinite().all()) for values in features.values()):
        return found | {"notes": [*notes, f"samples against images: left out, because {WILD}"]}
    found |= {"classifier": reference.about(evaluator.x_test, evaluator.test.y), "compared": n}
    for suffix, name in (("", "samples"), ("_real", "train")):
        pair = features[name], features["test"]
        against = {
            "frechet": resampled(frechet, *pair),
            "kernel_mmd": kernel_mmd(*pair),
        } | neighbourhoods(*pair)
        found |= {key + suffix: value for key, value in against.items()}
    found["frechet_reconstructions"] = resampled(
        frechet, features["reconstructions"], features["test"]
    )
    found |= _memorisation(evaluator, order, notes)
    if reference.task == "classes":
        found |= _classes(evaluator, reference, features, found["classifier"], notes)
    else:
        notes.append("classifier_score: left out, because the images have no classes")
    return found | {"notes": notes}


def _classes(
    evaluator: Evaluator,
    reference: Classifier,
    features: dict[str, Tensor],
    about: dict[str, Any],
    notes: list[str],
) -> dict[str, Any]:
    """Measure the classifier score and, for a conditional model, the accuracy of its classes."""
    found: dict[str, Any] = {
        f"classifier_score{suffix}": resampled(
            classifier_score, reference.probabilities(features[name])
        )
        for suffix, name in (("", "samples"), ("_real", "test"))
    }
    accuracy = about.get("accuracy")
    if accuracy and accuracy.value < 0.9:
        notes.append(
            f"the reference classifier has an accuracy of only {accuracy.value:.0%} on test "
            "images: metrics from its features are less informative"
        )
    known = evaluator.vae.classes.tolist()
    if known:
        each = -(-len(features["samples"]) // len(known))
        each = min(each, evaluator.vae.rows_at_once(most=each))
        samples = (
            (y, _pixels(evaluator)(evaluator.vae.sample(each, evaluator.seed, y))) for y in known
        )
        found["asked_class"] = pooled(torch.cat([reference.shows(x, y) for y, x in samples]))
        found |= {"asked_class_real": accuracy} if accuracy else {}
    return found


def _reconstructions(
    evaluator: Evaluator, reference: Classifier | None
) -> tuple[dict[str, Any], list[str], Tensor]:
    """Return reconstruction errors, notes, and the features (M, F) of the reconstructions."""
    shape, (low, high) = evaluator.x_test.shape[1:], evaluator.run.contract["range"]
    image = evaluator.data.form == "image"
    windows, pixels = image and min(shape[-2:]) >= 3, _pixels(evaluator)
    errors, alike, features = [], [], []
    for x, y in evaluator.reconstructions():
        errors.append((x - y).double().square().flatten(1).mean(1))
        if windows:
            alike.append(ssim(x, y, low, high))
        if reference:
            features.append(reference.features(pixels(y)))
    mse, seen = torch.cat(errors), torch.cat(features) if features else torch.empty(0)
    kind = "means of p(x|z), without its noise"
    if evaluator.run.recipe.data.binary:
        kind = (
            "pixels sampled from p(x|z), because the data were binarised; "
            "mse, psnr, ssim, nearest_train and copies use its mean"
        )
    notes = [f"samples and reconstructions are {kind}"]
    if not mse.isfinite().all():
        return {}, [*notes, f"mse, psnr, ssim: left out, because {WILD}"], seen
    if not windows:
        reason = "psnr, ssim: left out, because the data are not images of at least 3 x 3 pixels"
        return {"mse": mean(mse)}, [*notes, reason], seen
    found = {"mse": mse, "psnr": psnr(mse, high - low), "ssim": torch.cat(alike)}
    return {key: mean(values) for key, values in found.items()}, notes, seen


def _memorisation(
    evaluator: Evaluator, order: dict[str, Tensor], notes: list[str]
) -> dict[str, Estimate]:
    """Measure pixel distances of samples and of test images to all training images.

    In tables, copies are not counted: with few columns, a mean of p(x|z) is always near some row.
    """
    to_train, to_test = NearestAmong(evaluator.x_train), NearestAmong(evaluator.x_test)
    test = evaluator.x_test[order["test"]]
    parts = [(to_train(x)[0], to_test(x)[0]) for x in evaluator.samples(order["samples"])]
    made, beside = (torch.cat(part) for part in zip(*parts, strict=True))
    real = to_train(test)[0]
    found = {"nearest_train": pooled(made), "nearest_train_real": pooled(real)}
    if evaluator.data.form != "image":
        notes.append("copies: left out, because the data are not images")
        return found
    return found | {"copies": copies(nearness(made, beside), nearness(real, to_test(test, 2)[0]))}


def _pixels(evaluator: Evaluator) -> Callable[[Tensor], Tensor]:
    """Return a function from means E[x|z] to images like those of the data.

    For binarised data it samples pixels with the means as probabilities. It is called for each
    chunk in order.
    """
    if not evaluator.run.recipe.data.binary:
        return lambda means: means
    top = evaluator.run.recipe.data.scale
    stream = generator(evaluator.seed, "evaluation pixels", device=evaluator.device)
    return lambda means: top * torch.bernoulli((means / top).clamp(0, 1), generator=stream)


def _sizes(evaluator: Evaluator) -> dict[str, int]:
    tests = len(evaluator.x_test)
    return {
        "train": len(evaluator.x_train),
        "test": tests,
        "samples": evaluator.n_samples,
        "reconstructions": tests,
    }


def _order(size: int, n: int, seed: int, name: str) -> Tensor:
    """Return n random indices below `size`; files and conditional samples are sorted by class."""
    return torch.randperm(size, generator=generator(seed, f"evaluation {name}"))[:n]


def neighbours(evaluator: Evaluator) -> dict[str, Tensor]:
    """Return the SHOWN of SHOWN_OF samples that are nearest to a training image, and the images."""
    n = evaluator.n_samples
    made = torch.cat([*evaluator.samples(torch.linspace(0, n - 1, min(SHOWN_OF, n)).long())])
    to_train, which = nearest(made, evaluator.x_train)
    closest = nearness(to_train, nearest(made, evaluator.x_test)[0]).argsort()[:SHOWN]
    return {"sample": made[closest], "neighbour": evaluator.x_train[which[closest]]}
