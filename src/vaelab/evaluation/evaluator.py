"""A run that is prepared for measurement."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from vaelab import devices
from vaelab.data import Batches, Dataset, Split
from vaelab.data.dataset import spread
from vaelab.models import VAE
from vaelab.runs import Run
from vaelab.seeding import CPU, generator, seeded


@dataclass(frozen=True)
class Evaluator:
    """The best model of a run and its data, treated as in training.

    Values that several sections need are computed once and cached.

    Args:
        run: The run.
        images: The number of validation images and of test images that are used; 0 for all. They
            are evenly spaced, because data may be sorted.
        n_samples: The number of prior samples.
        seed: The random seed.
        quiet: Whether to hide progress bars.
    """

    run: Run
    images: int = 0
    n_samples: int = 10_000
    seed: int = 0
    quiet: bool = True

    @cached_property
    def device(self) -> torch.device:
        """The CPU if the run was set to it, else the best device that is available here.

        A run that was trained on a GPU can be measured without one.
        """
        return devices.device("cpu" if self.run.recipe.train.device == "cpu" else "auto")

    @cached_property
    def vae(self) -> VAE:
        vae = deepcopy(self.run.vae).to(self.device)  # the model of the run stays on the CPU
        # Annealing needs gradients in z only; those of the weights would double its time.
        return vae.requires_grad_(False)

    @cached_property
    def data(self) -> Dataset:
        return self.run.data.with_measured()

    @cached_property
    def train(self) -> Batches:
        return self._batches(self.data.train)

    @cached_property
    def validation(self) -> Batches:
        return self._batches(self.data.validation)

    @cached_property
    def test(self) -> Batches:
        return self._batches(self.data.test)

    def chosen(self, split: Split) -> Tensor:
        """Return the indices of the images of a split that are used."""
        capped = self.images and split is not self.data.train
        return torch.from_numpy(spread(len(split.x), self.images if capped else len(split.x)))

    def _batches(self, split: Split) -> Batches:
        images = Batches(split.x, self.data.levels, self.run.recipe.data, self.device, y=split.y)
        # The subset is taken after the treatment: "fixed" images are sampled in order.
        some = self.chosen(split).to(self.device)
        if len(some) < len(images):  # all images at once would be a copy
            images.x, images.y = images.x[some], None if images.y is None else images.y[some]
        return images

    @cached_property
    def x_train(self) -> Tensor:
        """The training images as the model sees them, treated once: (N, *shape), on the device."""
        return self._treated(self.data.train, "train")

    @cached_property
    def x_test(self) -> Tensor:
        """The test images as the model sees them, (M, *shape)."""
        return self._treated(self.data.test, "test")

    def _treated(self, split: Split, name: str) -> Tensor:
        """Treat images on the CPU, so that the binary images are the same on every device."""
        images = Batches(split.x, self.data.levels, self.run.recipe.data, CPU)
        return images(self.chosen(split), generator(self.seed, f"evaluation {name}")).to(
            self.device
        )

    @cached_property
    def z_train(self) -> Tensor:
        """E[z|x] of `x_train`, (N, L)."""
        return self.vae.encode(self.x_train, self.train.y)

    @cached_property
    def z_test(self) -> Tensor:
        """E[z|x] of `x_test`, (M, L)."""
        return self.vae.encode(self.x_test, self.test.y)

    @cached_property
    def prior_codes(self) -> tuple[Tensor, Tensor | None]:
        """The codes of `n_samples` prior samples, (S, L), as in `VAE.sample`, and their classes."""
        known, n = self.vae.classes, self.n_samples
        y = known[torch.arange(n) * len(known) // n] if len(known) else None
        with seeded(self.seed, "sample"), torch.no_grad():
            prior = self.vae.prior(*self.vae.given(y))
            return prior.sample((n,) if not prior.batch_shape else ()), y

    def samples(self, which: Tensor | None = None) -> Iterator[Tensor]:
        """Yield E[x|z] of the prior samples with indices `which` (None: all), in chunks."""
        z, y = self.prior_codes
        index = torch.arange(len(z)) if which is None else which.cpu()
        for chunk in index.split(self.vae.rows_at_once()):
            yield self.vae.decode(z[chunk], None if y is None else y[chunk])

    def reconstructions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield test images and their reconstructions E[x|z], in chunks."""
        rows, y = self.vae.rows_at_once(), self.test.y
        for start in range(0, len(self.x_test), rows):
            x = self.x_test[start : start + rows]
            yield x, self.vae.reconstruct(x, None if y is None else y[start : start + rows])
