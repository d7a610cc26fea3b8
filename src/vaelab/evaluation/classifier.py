"""The reference classifier: a small network whose features compare samples with real images.

It is trained on the data of the run, so nothing is downloaded. Labelled images: it learns to classify
them. Square images without labels: it learns by how many quarter turns an image was rotated (Gidaris,
Singh & Komodakis, Unsupervised representation learning by predicting image rotations, 2018,
arXiv:1803.07728). Other data: its features are the first principal components of the standardised values.

Runs are compared by the same features. So the classifier depends on the images that are not for testing,
whichever of them were held out for validation, on their treatment and on a seed, and is kept in the
user's cache. Processors round differently, so weights can differ between machines: `weights` in
`Classifier.about` says whether two runs were measured by the same features.
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
from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import pooled
from vaelab.files import write_atomic
from vaelab.seeding import CPU, derive, generator, seeded

VERSION = 1  # raised when the same data would give other weights
FEATURES = 64  # few, so that 10,000 images determine their covariances well
BATCH = 128
CLASSES = 1000  # with more, labels are not learned
SHOWN = 30_000, 120_000  # images in all of training: each twice, but at least and at most so many


class Classifier(nn.Module):
    """Features (N, F) of images (N, *shape) as the model sees them, and, but for "components", probabilities (N, C).

    The features come before the last activation. Where they were learned, their mean is 0 and their variance 1, each,
    over the images of training, so distances have a scale: all images put into the mean one lie sqrt(F) from it.
    """

    def __init__(self, images: Batches) -> None:
        super().__init__()
        shape, labels = images.x.shape[1:], [] if images.y is None else images.y.unique().tolist()
        self.counts, self.labels = images.treatment == "counts", labels
        square = len(shape) > 1 and shape[-1] == shape[-2] > 3
        self.task = "classes" if 1 < len(labels) <= CLASSES else "turns" if square else "components"
        if self.task == "components":
            size = math.prod(shape)
            self.body = nn.Sequential(
                nn.Flatten(), nn.Linear(size, min(FEATURES, size, len(images)))
            )
            return
        layers = _layers(shape)
        width = layers.eval()(torch.zeros(1, *shape)).shape[1]
        self.body = nn.Sequential(
            layers, nn.Linear(width, FEATURES), nn.BatchNorm1d(FEATURES, affine=False)
        )
        self.head = nn.Sequential(
            nn.ReLU(), nn.Linear(FEATURES, len(labels) if self.task == "classes" else 4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, F) of images (B, *shape); of counts, as in the encoders, their logarithm is looked at."""
        features: Tensor = self.body(x.clamp(min=0).log1p() if self.counts else x)
        return features

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Features (N, F) of any number of images."""
        return torch.cat([self(some) for some in x.split(devices.at_once(64 * x[0].numel()))])

    @torch.no_grad()
    def probabilities(self, features: Tensor) -> Tensor:
        """(N, C), of the labels in order or of 0 .. 3 quarter turns, of features (N, F)."""
        probabilities: Tensor = self.head(features).softmax(1)
        return probabilities

    def shows(self, x: Tensor, label: Tensor | int) -> Tensor:
        """Whether each of x (N, *shape) is taken for its label, or was turned that often: (N,), bool."""
        best = self.probabilities(self.features(x)).argmax(1)
        known = torch.tensor(self.labels if self.task == "classes" else range(4), device=x.device)
        return known[best] == label

    def about(self, x: Tensor, y: Tensor | None) -> dict[str, Any]:
        """What it learned, how often it is right on test images x (N, *shape) with labels y, its size, its weights."""
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
    """Return the classifier of the data and treatment of a run: from the cache, or trained and kept there.

    The cache is classifiers/ in VAELAB_CACHE_DIR, or else in the user's own cache. What is damaged there is replaced;
    where the cache cannot be written, the next run trains again.
    """
    images, key = _images(evaluator)
    folder = devices.cache() / "classifiers"
    path = folder / f"{key}-{seed}-v{VERSION}.safetensors"
    network = _cached(path, images)
    if network is None:
        network = learn(images, seed)
        state = network.state_dict()
        with suppress(UserError):
            write_atomic(
                path, safetensors.torch.save(state, {"vaelab": json.dumps(fingerprint(state))})
            )
    return network.to(evaluator.device)


def learn(images: Batches, seed: int) -> Classifier:
    """Train a classifier on the CPU with one thread: the same bits every time on one kind of processor."""
    stream = generator(seed, "classifier data")
    with devices.using(1):
        with seeded(seed, "classifier"):
            network = Classifier(images)
        if network.task == "components":
            _set_components(network, images, stream)
        else:
            _train(network, images, stream)
    return network.eval()


def turned(x: Tensor, turns: Tensor) -> Tensor:
    """Images x (N, *shape), square, each turned by its own number of quarter turns, (N,) of 0 .. 3."""
    x = x.clone()
    for turn in range(1, 4):
        x[turns == turn] = x[turns == turn].rot90(turn, (-2, -1))
    return x


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of the tensors' bytes, in the order of their names."""
    content = (tensors[name].cpu().contiguous().numpy().tobytes() for name in sorted(tensors))
    return hashlib.sha256(b"".join(content)).hexdigest()[:12]


def _layers(shape: tuple[int, ...]) -> nn.Module:
    """(B, *shape) -> (B, width): one hidden layer for flat data; else three convolutions that see about 32 pixels.

    Normalised after their first layer, they do not ask for the scale of the values.
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


def _train(network: Classifier, images: Batches, stream: torch.Generator) -> None:
    """Adam on the cross-entropy, its learning rate in one cycle."""
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
    """W = V / s and b = -W m: means m and deviations s of up to 20,000 images, V the standardised ones' components."""
    from sklearn.decomposition import PCA  # here, for it takes a second to import

    layer: nn.Linear = network.body[1]  # type: ignore[assignment]  # a Sequential does not say what it holds
    some = min(len(images), 20_000, max(1000, 2**27 // layer.in_features))  # bounds the memory
    x = images(torch.arange(some), stream).flatten(1)
    x = x.clamp(min=0).log1p() if network.counts else x
    s, m = torch.std_mean(x, 0)
    s = torch.where(s > 1e-6 * s.max(), s, s.max())  # what never varied must not be blown up
    pca = PCA(layer.out_features, random_state=derive(stream.initial_seed(), "components") % 2**32)
    layer.weight.copy_(torch.from_numpy(pca.fit(((x - m) / s).numpy()).components_) / s)
    layer.bias.copy_(-layer.weight @ m)


def _images(evaluator: Evaluator) -> tuple[Batches, str]:
    """Training and validation images, in the order of their hashes, treated; and a name for them and their treatment.

    "fixed" images are one draw of the "dynamic" ones, so both are compared by the features of the latter.
    """
    data, settings = evaluator.data, evaluator.run.recipe.data
    settings = msgspec.structs.replace(
        settings, treatment=settings.treatment.replace("fixed", "dynamic")
    )
    parts = data.train, data.validation
    x, labels = (
        torch.cat([part.x for part in parts]),
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


def _cached(path: Path, images: Batches) -> Classifier | None:
    """The classifier in that file; None where there is none, or not what was written."""
    with seeded(0, "classifier"):  # its first weights are drawn, only to be replaced
        network = Classifier(images)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            wanted = json.loads(file.metadata()["vaelab"])
        network.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, safetensors.SafetensorError):
        return None
    return network.eval() if fingerprint(network.state_dict()) == wanted else None
