"""TODO"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaelab.evaluation.classifier import Classifier, classifier
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate, Metric, mean, pooled, resampled
from vaelab.evaluation.metrics.fidelity import classifier_score, frechet, kernel_mmd, neighbourhoods
from vaelab.evaluation.metrics.images import psnr, ssim
from vaelab.evaluation.metrics.memorisation import copies, nearest, nearness
from vaelab.seeding import generator

FEWEST, MOST = 50, 10_000  # images that are compared
SHOWN = 10  # samples in the figure of nearest training images


_AGAINST = {
    "frechet": Metric(
        "Frechet distance of samples from test images", "", "lower", "heusel2017gans"
    ),
    "kernel_mmd": Metric(
        "kernel distance (KID) of the same", "", "lower", "binkowski2018demystifying"
    ),
    "precision": Metric(
        "samples that lie among test images; drawing the mean image always scores highest",
        "share",
        cites="kynkaanniemi2019improved",
    ),
    "recall": Metric(
        "test images that lie among samples", "share", "higher", "kynkaanniemi2019improved"
    ),
    "density": Metric(
        "how densely test images lie around samples, 1 for real ones", cites="naeem2020reliable"
    ),
    "coverage": Metric("test images with a sample near", "share", "higher", "naeem2020reliable"),
}


METRICS = {
    "classifier": Metric(
        "what compares the images: what it learned, how well, the hash of its weights",
        cites="gidaris2018unsupervised",
    ),
    "compared": Metric("how many images each set holds", "images"),
    **_AGAINST,
    **{f"{key}_real": Metric(f"{key} of training images in place of samples") for key in _AGAINST},
    "frechet_reconstructions": Metric(
        "Frechet distance of reconstructions from the test images", "", "lower"
    ),
    "classifier_score": Metric(
        "how sure and various the classes of samples are", "", "higher", "salimans2016improved"
    ),
    "classifier_score_real": Metric("classifier_score of test images"),
    "asked_class": Metric("samples taken for the class that was asked for", "share", "higher"),
    "asked_class_real": Metric("test images taken for their class", "share"),
    "mse": Metric("squared error of reconstructions, by pixel", "squared values", "lower"),
    "psnr": Metric("peak signal-to-noise ratio of reconstructions", "dB", "higher"),
    "ssim": Metric("structural similarity of reconstructions", "", "higher", "wang2004image"),
    "nearest_train": Metric("distance of samples to the nearest training image", "pixel values"),
    "nearest_train_real": Metric(
        "distance of test images to the nearest training image", "pixel values"
    ),
    "copies": Metric(
        "samples that are nearly training images; 0.01 where nothing is memorised",
        "share",
        cites="meehan2020non",
    ),
}
WILD = "some that the model made are infinite or not a number"


def measure(evaluator: Evaluator) -> dict[str, Any]:
    """All of METRICS that make sense for this run, and under "notes" why others are left out."""
    found, notes = _fidelity(evaluator)
    n = min(MOST, len(evaluator.samples), len(evaluator.x_test), len(evaluator.x_train))
    sets = {"train": evaluator.x_train, "test": evaluator.x_test}
    if n < FEWEST:
        few = f"{n} images on each side are fewer than {FEWEST}"
        return found | {"notes": [*notes, f"samples against images: left out, for {few}"]}
    sets |= {
        "samples": _made(evaluator, evaluator.samples),
        "reconstructions": _made(evaluator, evaluator.reconstructions),
    }
    sets = {name: _some(x, n, evaluator.seed, name) for name, x in sets.items()}
    eyes = classifier(evaluator)
    seen = {name: eyes.features(x) for name, x in sets.items()}
    if not all(bool(features.isfinite().all()) for features in seen.values()):
        return found | {"notes": [*notes, f"samples against images: left out, for {WILD}"]}
    found |= {"classifier": eyes.about(evaluator.x_test, evaluator.test.y), "compared": n}
    for suffix, name in (("", "samples"), ("_real", "train")):
        pair = seen[name], seen["test"]
        against = {
            "frechet": resampled(frechet, *pair),
            "kernel_mmd": kernel_mmd(*pair),
        } | neighbourhoods(*pair)
        found |= {key + suffix: value for key, value in against.items()}
    found["frechet_reconstructions"] = resampled(frechet, seen["reconstructions"], seen["test"])
    found |= _memory(
        _some(evaluator.samples, n, evaluator.seed, "samples"), sets["test"], evaluator, notes
    )
    if eyes.task == "classes":
        found |= _classes(evaluator, eyes, seen, found["classifier"], notes)
    else:
        notes.append("classifier_score: left out, for the classifier was told no classes")
    return found | {"notes": notes}


def _classes(
    evaluator: Evaluator,
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
    known = evaluator.vae.classes.tolist()
    if known:
        each = -(-len(seen["samples"]) // len(known))
        samples = (
            (y, _made(evaluator, evaluator.vae.sample(each, evaluator.seed, y))) for y in known
        )
        found["asked_class"] = pooled(torch.cat([eyes.shows(x, y) for y, x in samples]))
        found |= {"asked_class_real": accuracy} if accuracy else {}
    return found


def _fidelity(evaluator: Evaluator) -> tuple[dict[str, Any], list[str]]:
    """Errors of reconstruction by image, and notes: what is left out, what a reconstruction is."""
    x, y = evaluator.x_test, evaluator.reconstructions
    low, high = evaluator.run.contract["range"]
    mse = (x - y).double().square().flatten(1).mean(1)
    drawn = "pixels drawn from p(x|z), for the data were binarised; its mean for mse, psnr, ssim, nearest_train, copies"
    drawn = drawn if evaluator.run.recipe.data.binary else "means of p(x|z), without its noise"
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


def _memory(
    samples: Tensor, test: Tensor, evaluator: Evaluator, notes: list[str]
) -> dict[str, Estimate]:
    """Samples and test images beside all training images, by pixels.

    Of tables there are no copies: with few columns the mean of p(x|z) lies near some row or other by nature.
    """
    train, others = evaluator.x_train, evaluator.x_test
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


def _made(evaluator: Evaluator, means: Tensor) -> Tensor:
    """What the model made, as its data are: of binarised ones, pixels drawn with these means as probabilities."""
    if not evaluator.run.recipe.data.binary:
        return means
    chance = generator(evaluator.seed, "evaluation pixels", device=means.device)
    return torch.bernoulli(means.clamp(0, 1), generator=chance)


def _some(x: Tensor, n: int, seed: int, name: str) -> Tensor:
    """n of x in random order: a folder's images come class by class, and so do the samples of a conditional model."""
    return x[
        torch.randperm(len(x), generator=generator(seed, f"evaluation {name}"))[:n].to(x.device)
    ]


def neighbours(evaluator: Evaluator) -> dict[str, Tensor]:
    """Return the ten of a thousand samples that are nearest to a training image, and those images."""
    made = evaluator.samples[
        torch.linspace(0, len(evaluator.samples) - 1, min(1000, len(evaluator.samples))).long()
    ]
    to_train, which = nearest(made, evaluator.x_train)
    closest = nearness(to_train, nearest(made, evaluator.x_test)[0]).argsort()[:SHOWN]
    return {"sample": made[closest], "neighbour": evaluator.x_train[which[closest]]}
