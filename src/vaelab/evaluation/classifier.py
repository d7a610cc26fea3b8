"""The reference classifier: a small network whose features compare samples with real images.

It is trained on the data of the run, so nothing is downloaded:

- On labelled images it learns to classify them.
- On square images without labels it learns to predict by how many quarter turns an image was
  rotated (Gidaris, Singh & Komodakis, Unsupervised representation learning by predicting image
  rotations, 2018, arXiv:1803.07728).
- On other data its features are the first principal components of the standardised values.

Runs must be compared with the same features. The classifier therefore depends only on the training
and validation images together, however they are split, on their treatment, and on a seed. It is
stored in the user's cache. Rounding differs between processors, so the weights can differ between
machines: `weights` in `Classifier.about` tells whether two runs were measured with the same
features.
"""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vaelab import devices
from vaelab.data import Batches, Form
from vaelab.errors import UserError
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import pooled
from vaelab.files import write_atomic
from vaelab.seeding import CPU, derive, generator, seeded

VERSION = 1  # increase it when the same data would give other weights
FEATURES = 64  # few, so that 10,000 images determine their covariance well
BATCH = 128
CLASSES = 1000  # with more classes, labels are not used
# Least and greatest number of images shown in the whole training; within them, two epochs
SHOWN = 30_000, 120_000


class Classifier(nn.Module):
    """A network that maps images (N, *shape) to features (N, F) and class probabilities (N, C).

    Images are those that the model sees. With the task "components" there are no probabilities.

    The features are taken before the last activation. Learned features have mean 0 and variance 1
    over the training images, so distances have a scale: the root mean square distance of an image
    from the mean is sqrt(F).
    """

    def __init__(self, images: Batches, form: Form = "image") -> None:
        super().__init__()
        shape, labels = images.x.shape[1:], [] if images.y is None else images.y.unique().tolist()
        self.counts, self.labels = images.treatment == "counts", labels
        square = form == "image" and len(shape) > 1 and shape[-1] == shape[-2] > 3
        self.task = "classes" if 1 < len(labels) <= CLASSES else "turns" if square else "components"
        if self.task == "components":
            size = math.prod(shape)
            self.body = nn.Sequential(
                nn.Flatten(), nn.Linear(size, min(FEATURES, size, len(images)))
            )
            return
        layers = _signal_layers(shape) if form == "signal" else _layers(shape)
        width = layers.eval()(torch.zeros(1, *shape)).shape[1]
        self.body = nn.Sequential(
            layers, nn.Linear(width, FEATURES), nn.BatchNorm1d(FEATURES, affine=False)
        )
        self.head = nn.Sequential(
            nn.ReLU(), nn.Linear(FEATURES, len(labels) if self.task == "classes" else 4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (B, F) of images (B, *shape); counts x enter as log(1 + x)."""
        features: Tensor = self.body(x.clamp(min=0).log1p() if self.counts else x)
        return features

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Return features (N, F) of any number of images, computed in chunks."""
        return torch.cat([self(some) for some in x.split(devices.at_once(64 * x[0].numel()))])

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """Return class probabilities (N, C) from features (N, F).

        Classes are the sorted labels, or 0 .. 3 quarter turns.
        """
        probabilities: Tensor = self.head(features).softmax(1)
        return probabilities

    def shows(self, x: Tensor, label: Tensor | int) -> Tensor:
        """Return whether each image of x (N, *shape) is classified as `label`: (N,), bool.

        For the task "turns" the label is the number of quarter turns.
        """
        best = self.probabilities(self.features(x)).argmax(1)
        known = torch.tensor(self.labels if self.task == "classes" else range(4), device=x.device)
        return known[best] == label

    def about(self, x: Tensor, y: Tensor | None) -> dict[str, Any]:
        """Describe the classifier: task, size, hash of its weights, and accuracy on test images.

        The images are x (N, *shape) with labels y (N,).
        """
        turns = torch.arange(len(x), device=x.device) % 4
        found: dict[str, Any] = {"task": self.task, "features": self.features(x[:1]).shape[1]}
        found["parameters"] = sum(parameter.numel() for parameter in self.parameters())
        found["weights"] = fingerprint(self.state_dict())
        if self.task == "turns":
            x, y = turned(x, turns), turns
        if self.task != "components" and y is not None:
            found["accuracy"] = pooled(self.shows(x, y))
        return found


def classifier(evaluator: Evaluator, seed: int = 0) -> Classifier:
    """Return the classifier for the data and treatment of a run, trained if the cache lacks it.

    The cache is the folder classifiers/ in VAELAB_CACHE_DIR, by default in the user's cache.
    Damaged files are replaced. Where the cache cannot be written, every run trains again.
    """
    images, key = _images(evaluator)
    folder = devices.cache() / "classifiers"
    path = folder / f"{key}-{seed}-v{VERSION}.safetensors"
    form = evaluator.data.form
    network = _cached(path, images, form)
    if network is None:
        network = learn(images, seed, form)
        state = network.state_dict()
        with suppress(UserError):  # without a place for the cache it is learned again
            write_atomic(
                path, safetensors.torch.save(state, {"vaelab": json.dumps(fingerprint(state))})
            )
    return network.to(evaluator.device)


def learn(images: Batches, seed: int, form: Form = "image") -> Classifier:
    """Train a classifier on the CPU with one thread: bit-identical on one kind of processor."""
    stream = generator(seed, "classifier data")
    with devices.using(1):
        with seeded(seed, "classifier"):
            network = Classifier(images, form)
        if network.task == "components":
            _set_components(network, images, stream)
        else:
            _train(network, images, stream)
    return network.eval()


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """Rotate square images x (N, *shape) by `turns` (N,) quarter turns, 0 .. 3 for each image."""
    x = x.clone()
    for turn in range(1, 4):
        x[turns == turn] = x[turns == turn].rot90(turn, (-2, -1))
    return x


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """Return the first 12 hexadecimal digits of the SHA-256 of the tensors, sorted by name."""
    content = (tensors[name].cpu().contiguous().numpy().tobytes() for name in sorted(tensors))
    return hashlib.sha256(b"".join(content)).hexdigest()[:12]


def _layers(shape: tuple[int, ...]) -> nn.Module:
    """Return layers that map (B, *shape) to (B, width).

    Flat data pass through one hidden layer, images through three convolutions after pooling to
    about 32 pixels. Batch normalisation makes the output independent of the scale of the values.
    """
    if len(shape) == 1:
        return nn.Sequential(nn.Linear(shape[0], 256, bias=False), nn.BatchNorm1d(256), nn.ReLU())
    side = min(shape[-2:])
    layers: list[nn.Module] = [nn.Unflatten(1, (1, shape[0]))] if len(shape) == 2 else []
    if side >= 64:
        layers.append(nn.AvgPool2d(side // 32))
        side = 32
    channels = [math.prod(shape[:-2]), 16, 32, 64]
    for before, after in pairwise(channels):
        stride = 2 if side > 4 else 1
        layers += [
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        side = -(-side // stride)
    return nn.Sequential(*layers, nn.Flatten())


def _signal_layers(shape: tuple[int, ...]) -> nn.Module:
    """Return layers that map signals (B, L) or (B, C, L) to (B, width): convolutions over time,
    after pooling to about 128 steps, and the mean over what remains of time.
    """
    layers: list[nn.Module] = [nn.Unflatten(1, (1, shape[0]))] if len(shape) == 1 else []
    if shape[-1] >= 256:
        layers.append(nn.AvgPool1d(shape[-1] // 128))
    for before, after in pairwise([math.prod(shape[:-1]), 32, 64, 128]):
        layers += [
            nn.Conv1d(before, after, 5, 2, 2, bias=False),
            nn.BatchNorm1d(after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(4), nn.Flatten())


def _train(network: Classifier, images: Batches, stream: torch.Generator) -> None:
    """Minimise the cross-entropy with Adam and a one-cycle learning rate."""
    n, batch = len(images), min(BATCH, len(images))
    steps = min(max(2 * n, SHOWN[0]), SHOWN[1]) // batch
    order = torch.cat([torch.randperm(n, generator=stream) for _ in range(steps * batch // n + 1)])
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    network.train()
    for index in order[: steps * batch].split(batch):
        x, y = images(index, stream), images.labels(index)
        if network.task == "classes" and y is not None:
            target = torch.searchsorted(torch.tensor(network.labels), y)
        else:
            target = torch.randint(4, (batch,), generator=stream)
            x = turned(x, target)
        loss = cross_entropy(network.head(network(x)), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


@torch.no_grad()
def _set_components(network: Classifier, images: Batches, stream: torch.Generator) -> None:
    """Set W = V / s and b = -W m: the principal components V of standardised images.

    The means m and standard deviations s are those of up to 20,000 images.
    """
    from sklearn.decomposition import PCA  # imported here because it takes a second

    layer: nn.Linear = network.body[1]  # type: ignore[assignment]  # Sequential is untyped
    some = min(len(images), 20_000, max(1000, 2**27 // layer.in_features))  # bounds the memory
    x = images(torch.arange(some), stream).flatten(1)
    x = x.clamp(min=0).log1p() if network.counts else x
    s, m = torch.std_mean(x, 0)
    s = torch.where(s > 1e-6 * s.max(), s, s.max())  # constant elements must not be amplified
    pca = PCA(layer.out_features, random_state=derive(stream.initial_seed(), "components") % 2**32)
    layer.weight.copy_(torch.from_numpy(pca.fit(((x - m) / s).numpy()).components_) / s)
    layer.bias.copy_(-layer.weight @ m)


def _images(evaluator: Evaluator) -> tuple[Batches, str]:
    """Return the treated training and validation images, sorted by hash, and their cache key.

    The treatment "fixed" is one sample of "dynamic", so both use the features of "dynamic".
    """
    data, settings = evaluator.data, evaluator.run.recipe.data
    settings = msgspec.structs.replace(
        settings, treatment=settings.treatment.replace("fixed", "dynamic")
    )
    parts = data.train, data.validation
    x, labels = (
        torch.cat([part.x[:] for part in parts]),
        [part.y for part in parts if part.y is not None],
    )
    y = torch.cat(labels) if labels else None
    rows = zip(x.numpy(), [None] * len(x) if y is None else y.tolist(), strict=True)
    hashes = [
        hashlib.blake2b(row.tobytes() + str(label).encode(), digest_size=16).digest()
        for row, label in rows
    ]
    order = torch.tensor(sorted(range(len(hashes)), key=hashes.__getitem__))
    whole = hashlib.sha256(
        repr((data.shape, data.levels)).encode() + b"".join(sorted(hashes))
    ).hexdigest()[:16]
    images = Batches(x[order], data.levels, settings, CPU, y=None if y is None else y[order])
    return images, f"{whole}-{settings.treatment}"


def _cached(path: Path, images: Batches, form: Form) -> Classifier | None:
    """Load the classifier of a file; return None if the file is missing or damaged."""
    with seeded(0, "classifier"):  # keeps the global RNG unchanged; the weights are replaced
        network = Classifier(images, form)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            wanted = json.loads(file.metadata()["vaelab"])
        network.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, safetensors.SafetensorError):
        return None
    return network.eval() if fingerprint(network.state_dict()) == wanted else None
