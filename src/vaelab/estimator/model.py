"""What an estimator keeps of a training: a model, the columns of its table, and how it went."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec
import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from vaelab.data import KINDS, Array, Dataset, Schema, Split, read_rows, source_of
from vaelab.data.frames import frame
from vaelab.data.memory import NAME, checked, treated
from vaelab.models import VAE, scores
from vaelab.recipes import Recipe, parse, to_toml
from vaelab.runs.stored import packed, rebuilt, unpacked
from vaelab.training import Facts, History, Tensors
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job


class Form(NamedTuple):
    """How rows are given to an estimator."""

    framed: bool  # as data frames, in which they come back
    shape: tuple[int, ...]  # the shape of one


class Kept(NamedTuple):
    """A model as plain data: what a pickle holds."""

    recipe: str  # TOML
    weights: bytes  # as best.safetensors of a run
    moments: bytes  # weights and moments of the optimiser as safetensors; b"" after `fit`
    history: str  # JSON
    notes: tuple[str, ...]
    form: Form
    fingerprint: str  # of the training rows


class Model:
    """A trained model, with what its use and its further training need.

    It is pickled as texts and safetensors bytes (`Kept`): no code, and no pickle of torch.

    Attributes:
        vae: The VAE, in float64, so that a row's code hardly depends on the rows beside it.
        history: An entry for each epoch, as in metrics.jsonl.
    """

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.recipe: Recipe = parse(kept.recipe, "the estimator")
        self.contract, self.tensors = unpacked(kept.weights)
        self.vae: VAE = rebuilt(self.recipe, self.contract, self.tensors).double()
        self.schema = msgspec.convert(self.contract["schema"], Schema | None)
        self.history: History = json.loads(kept.history)
        columns = self.schema.columns if self.schema else ()
        self.columns = [column for column in columns if column.kind != "label"]

    @classmethod
    def of(
        cls, job: Job, epoch: int, history: History, form: Form, moments: Tensors | None = None
    ) -> Model:
        """Return the model of a job with its present weights, which are those of an epoch."""
        weights = packed(job.vae, job.recipe, job.data, epoch)
        state = safetensors.torch.save(moments) if moments else b""
        recipe, notes = to_toml(job.recipe), job.data.notes
        return cls(Kept(recipe, weights, state, json.dumps(history), notes, form, job.fingerprint))

    def __getstate__(self) -> Facts:
        return self.kept._asdict() | {"form": self.kept.form._asdict()}

    def __setstate__(self, state: Facts) -> None:
        kept = Kept(**state | {"form": Form(**state["form"])})
        self.__init__(kept)  # type: ignore[misc]  # the same object, built again

    @property
    def seed(self) -> int:
        return self.recipe.train.seed

    # --- rows in

    def rows(self, x: Any) -> tuple[Tensor, Array]:
        """Return rows as a split holds them, and which of them are impossible, (N,) bool.

        Args:
            x: An array (N, D) or a data frame with as many columns as in training.
        """
        if self.schema is None:
            levels = self.contract["levels"]
            found = checked(x.reshape(-1, *self.kept.form.shape), self.recipe.data, levels)
            return found, np.zeros(len(x), bool)
        source = source_of(x)
        source.names = [column.name for column in self.columns]
        read = read_rows(source, self.schema)
        return torch.from_numpy(read.x), np.asarray(read.impossible.any(1))

    def treated(self, x: Tensor) -> Tensor:
        """Return rows of a data set as the model sees them."""
        return treated(x, self.recipe.data, self.contract["levels"], self.seed)

    def log_p(self, x: Tensor, samples: int) -> Array:
        """Return log p(x), (N,), in nats; each row gets the same random numbers."""
        found = scores(self.vae, x.double(), samples, self.seed)
        return torch.cat([one.log_p for one in found]).numpy()

    def job(self, rows: Any, weights: Array) -> Job:
        """Return a job that trains the model on more rows, with their weights (N,)."""
        x, _ = self.rows(rows)
        none, found = Split(x[:0], None), self.contract
        split = Split(x, None, weights=torch.from_numpy(weights))
        data = Dataset(
            NAME, self.vae.shape, found["levels"], split, none, none,
            notes=self.kept.notes, form=found["form"], schema=self.schema,
        )  # fmt: skip
        return Job(self.recipe, Console(quiet=True), data=data)

    # --- rows out

    def table(self, x: Tensor) -> Any:
        """Return rows in the form of the training data: an array (N, D), or a data frame.

        Columns that are no part of the model are empty, but for constant ones.
        """
        if self.schema is None:
            given = [size for size in self.kept.form.shape if size > 1]
            turned = given != [size for size in x.shape[1:] if size > 1]  # channels last
            return (x.movedim(1, -1) if turned else x).flatten(1).numpy().astype(np.float64)
        values = x.numpy()
        if self.kept.form.framed:
            names = [column.name for column in self.columns]
            return frame(self.schema, values).reindex(columns=names)
        found = np.full((len(x), len(self.columns)), np.nan)
        at = 0
        for i, column in enumerate(self.columns):
            if column.modelled:
                numbers, at = column.numbers(values[:, at]), at + 1
                if KINDS[column.kind].words:
                    known = np.array([float(value) for value in column.values])
                    numbers = known[numbers.astype(int)]
                found[:, i] = numbers
            elif column.kind == "constant" and column.values:
                found[:, i] = float(column.values[0])
        return found
