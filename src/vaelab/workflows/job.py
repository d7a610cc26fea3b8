"""A recipe prepared for training: device, data and model, checked before files are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import msgspec

from vaelab import devices
from vaelab.data import Batches, Dataset, Split, anchored, check_support, load
from vaelab.errors import UserError
from vaelab.models import build, start, summary, support, units_of
from vaelab.models.linear import bfloat16_pays
from vaelab.recipes import Objective, Recipe, changes, file_of, flatten, rules
from vaelab.seeding import seeded
from vaelab.training import Step, batch_sizes, precision_of, schedules
from vaelab.workflows.console import Console

FEW_STEPS = 500  # of the optimiser, below which a network has hardly learned
# Real values beyond these are far from the scale that networks are made for.
TINY, SMALL, LARGE = 0.01, 0.1, 100.0


class Job:
    """Device, data and a model with initial weights.

    Args:
        recipe: The recipe.
        console: The console output.
        fitted: Whether the prior is fitted after the training; see `posthoc_prior`.
        data: The data, where they are in memory; by default they are loaded.

    Raises:
        UserError: The recipe cannot be trained.
    """

    def __init__(
        self,
        recipe: Recipe,
        console: Console,
        *,
        fitted: bool = False,
        data: Dataset | None = None,
    ) -> None:
        idle = rules.idle(recipe.model, recipe.objective)
        if idle and not fitted:
            raise UserError(idle)
        self.console = console
        self.asked = recipe
        self.device = devices.device(recipe.train.device)
        if data is None:
            recipe = msgspec.structs.replace(recipe, data=anchored(recipe.data))
        self.data = load(recipe.data) if data is None else data
        self.recipe = recipe = self._settled(recipe)
        check_support(self.data, support(recipe.model), recipe.data, recipe.model.likelihood)
        self.train = self._batches(self.data.train, augment=True)
        self.validation = self._batches(self.data.validation)
        self.test = self._batches(self.data.test)
        with seeded(recipe.train.seed, "weights"):
            shape, levels = self.data.shape, self.data.levels
            kind = (self.data.form, self.data.schema)
            units = units_of(recipe.data, shape, self.data.train.x, levels, *kind)
            self.vae = build(recipe.model, shape, levels, self.data.classes(), units, *kind)
            self.step = Step(self.vae, recipe.objective)
            start(self.vae, self.train)
        schedules.check(recipe.train)
        self._check()
        # A resumed run detects that its data were replaced.
        self.fingerprint = f"{tuple(self.data.train.x.shape)} {self.data.train.checksum()}"

    def _settled(self, recipe: Recipe) -> Recipe:
        """The recipe with a precision for this device and as many epochs as its steps need.

        The run stores it, so that a resume on another machine does the same.
        """
        settings = recipe.train
        a_pass = len(batch_sizes(len(self.data.train.x), settings.batch))
        needed = -(-settings.steps // a_pass)
        self.raised = needed > settings.epochs
        precision, epochs = precision_of(settings, self.device), max(needed, settings.epochs)
        train = msgspec.structs.replace(settings, epochs=epochs, precision=precision)
        return msgspec.structs.replace(recipe, train=train)

    def _batches(self, split: Split, augment: bool = False) -> Batches:
        levels, settings = self.data.levels, self.recipe.data
        return Batches(
            split.x,
            levels,
            settings,
            self.device,
            augment=augment,
            y=split.y,
            weights=split.weights,
        )

    def _check(self) -> None:
        settings = self.recipe
        sizes = batch_sizes(len(self.train), settings.train.batch)
        if settings.model.batch_norm and min(sizes) == 1:
            raise UserError(
                "train.batch: batch normalisation needs at least 2 images; set train.batch to 2 "
                "or more, or model.batch_norm to false"
            )
        for name, split in self.data.splits().items():
            if settings.model.conditional and split.y is None and len(split.x):
                raise UserError(
                    f"model.conditional: the {name} images have no labels; add labels y for them"
                )

    @property
    def say(self) -> Callable[[str], None]:
        """The function that prints a line."""
        return self.console.say

    @property
    def row(self) -> str:
        """What messages call a row of the data."""
        return "image" if self.data.form == "image" else "row"

    @property
    def measured(self) -> tuple[str, Batches]:
        """The images that the results are measured on, and their name."""
        splits = {"test": self.test, "validation": self.validation, "training": self.train}
        return self.data.measured, splits[self.data.measured]

    @cached_property
    def largest(self) -> float:
        """The largest absolute value that the networks see; 1 for grey levels, 0 standardised."""
        if self.data.schema or self.data.levels is not None or self.recipe.data.standardise:
            return float(self.data.levels is not None)
        x = self.data.train.x
        return max(float(x.max()), -float(x.min())) / self.recipe.data.scale

    @property
    def large(self) -> float:
        """The largest value where the data are far above the scale 1, else 0."""
        return self.largest if self.largest > LARGE else 0.0


def introduce(job: Job) -> None:
    """Print the data, the model, the meaning of the values, and remarks on the settings."""
    recipe, data, say = job.recipe, job.data, job.say
    counts = {name: len(split.x) for name, split in data.splits().items()}
    images = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    say(f"{recipe.name}: {recipe.about}" if recipe.about else recipe.name)
    if changed := [f"{key} {value}" for key, (_, value) in changes(job.asked).items()]:
        say(f"changed settings: {', '.join(changed)}")
    labels = "with labels" if data.train.y is not None else "no labels"
    shape = "x".join(map(str, data.shape))
    say(f"data: {data.name}, shape {shape}, {labels}; {images}")
    if data.form == "signal":
        say(f"  signals: {_channels(data.shape, cut=bool(recipe.data.window))}")
    for note in data.notes:
        say(f"  {note}")
    if job.raised:
        say(
            f"epochs: {recipe.train.epochs:,}, so that the optimiser makes train.steps "
            f"{recipe.train.steps:,} steps"
        )
    if job.asked.train.precision == "auto":
        say(f"precision: {recipe.train.precision}, which this device multiplies faster")
    say(f"treatment: {recipe.data.treatment}; likelihood: {recipe.model.likelihood}")
    job.console.once(summary(job.vae))
    for line in _remarks(job):
        say(line)
    say(f"nats per {job.row}: loss = distortion + rate")
    if job.step.samples > 1:
        say(
            "bound = -log of the mean of the samples' importance weights; it selects the best epoch"
        )
    if recipe.objective != Objective():
        say("optimised = the value of the training objective")


def _remarks(job: Job) -> list[str]:
    """Return warnings and notes on settings that may have unintended effects."""
    recipe, settings, found = job.recipe, job.recipe.train, []
    if not len(job.validation):
        found.append("note: without validation images the weights of the last epoch are kept")
    if job.data.note:
        found.append(job.data.note)
    if settings.precision == "bfloat16" and not bfloat16_pays(job.device):
        found.append(
            "warning: this device multiplies bfloat16 no faster than float32; train.precision auto "
            "chooses the faster"
        )
    if recipe.objective.warmup >= settings.epochs:
        found.append(
            f"warning: objective.warmup {recipe.objective.warmup:g} is not shorter than "
            f"train.epochs {settings.epochs}: {', '.join(recipe.objective.grows)} "
            "will not reach its value"
        )
    if recipe.model.posterior == "point":
        found.append(
            "note: an autoencoder has no KL term: its rate is 0, and its loss is not a bound"
        )
    a_pass = len(batch_sizes(len(job.train), settings.batch))
    if a_pass * settings.epochs < FEW_STEPS:
        found.append(
            f"warning: {a_pass * settings.epochs:,} steps of the optimiser are few; set "
            f"train.epochs to {-(-FEW_STEPS // a_pass)}, or lower train.batch"
        )
    parts = recipe.model.posterior, recipe.model.prior, recipe.objective.name
    if settings.devices * settings.nodes > 1 and any(map(file_of, parts)):
        found.append(
            "note: a custom part sees one process's part of a batch, unless it calls the "
            "functions of vaelab.models.batch"
        )
    if job.large:
        found.append(f"warning: the values reach {job.large:g}; set data.standardise to true")
    unit = recipe.data.scale != 1 or support(recipe.model) == "unit"
    if unit and 0 < job.largest < SMALL:
        top = job.largest * recipe.data.scale
        found.append(
            f"warning: the values reach {job.largest:.2g} of data.scale {recipe.data.scale:g}; "
            f"set data.scale to {math.ceil(top) if top > 1 else top:g}"
        )
    elif 0 < job.largest < TINY:
        found.append(
            f"warning: the values reach only {job.largest:.2g}; set data.standardise to true"
        )
    return found


def _channels(shape: tuple[int, ...], cut: bool) -> str:
    """What the axes of a signal are taken for; what flat images, unlike windows, should be."""
    if len(shape) > 1:
        return f"{shape[0]} channels of {shape[1]} steps"
    steps = f"{shape[0]} steps"
    for channels in () if cut else (1, 3):
        side = math.isqrt(shape[0] // channels)
        if channels * side * side == shape[0]:
            sides = f"{side}, {side}" if channels == 1 else f"{channels}, {side}, {side}"
            return f"{steps}; if they are images, store them as (N, {sides})"
    return steps


def check_continues(began: Recipe, wanted: Recipe) -> None:
    """Raise a `UserError` if the resumed run would have another recipe."""
    old, new = flatten(began), flatten(wanted)
    free = {"name", "about", "data.source", "data.dir", "train.steps"}
    free |= {"data.workers", "train.devices", "train.nodes"}
    free |= {key for key in new if key.startswith("figures.")}
    constant = wanted.train.schedule == "constant" and not wanted.objective.cycles
    if constant and wanted.train.epochs > began.train.epochs:
        free.add("train.epochs")
    for key in sorted(new.keys() - free):
        if old[key] != new[key]:
            why = (
                "it can only grow, and only if no schedule depends on it"
                if key == "train.epochs"
                else "this would be another run"
            )
            raise UserError(
                f"{key}: the run began with {old[key]!r}, not {new[key]!r} ({why}); leave it, or "
                "train the other recipe into a folder of its own"
            )
