"""A run made ready to be measured."""

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
    """A run's best model and its data, treated as in its training; what several measures need is worked out once.

    `images` caps how many validation and test images are looked at (0: all), evenly spread, for data may be sorted;
    `n_samples` how many samples of the prior are decoded.
    """

    run: Run
    images: int = 0
    n_samples: int = 10_000
    seed: int = 0
    quiet: bool = True

    @cached_property
    def device(self) -> torch.device:
        """The CPU where the run asked for it, else what is here: a run from a GPU can be measured without one."""
        return devices.device("cpu" if self.run.recipe.train.device == "cpu" else "auto")

    @cached_property
    def vae(self) -> VAE:
        vae = deepcopy(self.run.vae).to(self.device)  # the run's own stays on the CPU
        return vae.requires_grad_(
            False
        )  # annealing asks for slopes in z: half of its time would go into the weights'

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
        """The indices of the images of a split that are looked at."""
        capped = self.images and split is not self.data.train
        return torch.from_numpy(spread(len(split.x), self.images if capped else len(split.x)))

    def _batches(self, split: Split) -> Batches:
        images = Batches(split.x, self.data.levels, self.run.recipe.data, self.device, y=split.y)
        some = self.chosen(split).to(
            self.device
        )  # only now: "fixed" images are drawn one after the other
        images.x, images.y = images.x[some], None if images.y is None else images.y[some]
        return images

    @cached_property
    def x_train(self) -> Tensor:
        """The training images as the model sees them, (N, *shape), one draw of their treatment, on the device."""
        return self._treated(self.data.train, "train")

    @cached_property
    def x_test(self) -> Tensor:
        """The test images as the model sees them, (M, *shape)."""
        return self._treated(self.data.test, "test")

    def _treated(self, split: Split, name: str) -> Tensor:
        """On the CPU, whose chance is another than a GPU's: runs are compared on the same binary images."""
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
        """Codes of `n_samples` samples of the prior, (S, L), those of `VAE.sample`; and their classes."""
        known, n = self.vae.classes, self.n_samples
        y = known[torch.arange(n) * len(known) // n] if len(known) else None
        with seeded(self.seed, "sample"), torch.no_grad():
            prior = self.vae.prior(*self.vae.given(y))
            return prior.sample((n,) if not prior.batch_shape else ()), y

    def samples(self, which: Tensor | None = None) -> Iterator[Tensor]:
        """Yield E[x|z] of the samples with the indices `which` (None: all), as many at once as fit memory."""
        z, y = self.prior_codes
        index = torch.arange(len(z)) if which is None else which.cpu()
        for chunk in index.split(self.vae.rows_at_once()):
            yield self.vae.decode(z[chunk], None if y is None else y[chunk])

    def reconstructions(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield test images and E[x|z] at their codes, as many at once as fit memory."""
        rows, y = self.vae.rows_at_once(), self.test.y
        for start in range(0, len(self.x_test), rows):
            x = self.x_test[start : start + rows]
            yield x, self.vae.reconstruct(x, None if y is None else y[start : start + rows])
