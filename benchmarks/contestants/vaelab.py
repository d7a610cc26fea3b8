"""vaelab's own loop on a recipe, without a run folder: `vaelab.epochs`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from contestants.worker import SAMPLES, Contestant

from vaelab import Epoch, devices, epochs, recipe
from vaelab.data import Batches, load
from vaelab.evaluation.likelihood import log_likelihood
from vaelab.models import linear
from vaelab.training import terms
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job


class Recipe(Contestant):
    """The recipe `name` with other `settings`, as `vaelab train` prepares it."""

    packages = ("torch", "numpy")

    def __init__(self, folder: Path, name: str, settings: dict[str, Any]) -> None:
        here = {"train.device": "cpu", "train.threads": torch.get_num_threads()}
        self.recipe = recipe(name, here | settings)
        self.data = load(self.recipe.data)

    def build(self) -> None:
        self.job = job = Job(self.recipe, Console(quiet=True), data=self.data)
        self.within = ExitStack()  # of the products and threads of a run, until the process ends
        self.within.enter_context(devices.using(self.recipe.train.threads))
        rows = self.recipe.train.batch * self.recipe.objective.k
        products = linear.fastest(job.device, job.vae, rows)
        self.within.enter_context(linear.using(products))
        self.epochs: Iterator[Epoch] = epochs(job.step, job.train, job.recipe.train)

    def epoch(self) -> bool:
        return next(self.epochs).number < self.job.recipe.train.epochs

    def test_loss(self) -> float:
        return terms(self.job.vae, self.job.test, self.recipe.train.seed).loss

    def nll(self, images: int) -> float:
        job, x = self.job, self.data.test.x[:images]
        batches = Batches(x, self.data.levels, self.recipe.data, job.device)
        return -float(log_likelihood(job.vae, batches, SAMPLES, self.recipe.train.seed).mean())
