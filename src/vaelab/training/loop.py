"""The training loop as a generator: it yields where it stands and knows no file and no screen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn.utils import clip_grad_norm_

from vaelab import devices
from vaelab.data import Batches
from vaelab.models import linear
from vaelab.recipes import Train
from vaelab.seeding import derive, generator
from vaelab.training import checkpoint, optimisers, schedules
from vaelab.training.checkpoint import DivergenceError, History, State
from vaelab.training.gradients import Automatic, Gradient, written
from vaelab.training.ranks import join
from vaelab.training.step import Step
from vaelab.training.validation import Terms, terms

TRACE = ("distortion", "rate", "loss being optimised")  # of every step
LOOK = 50  # steps between two looks at the loss: on a GPU each look waits for the device
FAR = 1000  # times what the first step cost: a typical step that costs more has diverged


class Epoch(NamedTuple):
    """Where a training stands: at the end of an epoch, or within one, where `step` < `steps`."""

    number: int  # from 1
    step: int
    steps: int
    train: Terms  # means over the images of the epoch; within it over those of the last steps
    seconds: float  # of training and validation
    history: History  # an entry for each whole epoch
    state: Callable[
        [], State
    ]  # what a resume needs; to be called before the next epoch is asked for

    @property
    def whole(self) -> bool:
        return self.step == self.steps


def epochs(
    step: Step,
    data: Batches,
    settings: Train | None = None,
    state: State | None = None,
    *,
    held_out: Mapping[str, Batches] | None = None,
    pause: Callable[[], bool] = lambda: False,
) -> Iterator[Epoch]:
    """Train `step` on `data`, on the device of the data, and yield an `Epoch` after each of them.

    A training that starts from the state of any earlier `Epoch` continues bit for bit. The weights
    belong to the caller, who may use them between two epochs. Torch's global generators supply the
    noise; `seeding.untouched` keeps them as they were.

    Where torchrun or SLURM started several processes (``train.devices``, ``train.nodes``), all of
    them call this with the same arguments, and share every batch.

    Args:
        held_out: by name, images that are measured after every epoch.
        pause: called after every step; if it returns True, an `Epoch` within the epoch is yielded.

    Raises:
        DivergenceError: a loss is not finite or far above its start, or a weight is not finite.

    Example:
        >>> import torch, vaelab
        >>> from vaelab.data import Batches, load
        >>> from vaelab.models import build
        >>> recipe = vaelab.recipe("quickstart", {"train.epochs": 2})
        >>> digits = load(recipe.data)
        >>> images = Batches(digits.train.x, digits.levels, recipe.data, torch.device("cpu"))
        >>> step = vaelab.Step(build(recipe.model, digits.shape), recipe.objective)
        >>> for epoch in vaelab.epochs(step, images, recipe.train):
        ...     print(f"epoch {epoch.number} of {recipe.train.epochs}, {epoch.steps} steps")
        epoch 1 of 2, 23 steps
        epoch 2 of 2, 23 steps
    """
    settings = settings or Train()
    training = _Training(step, data, settings, state, held_out or {}, pause)
    for number in range(len(training.history) + 1, settings.epochs + 1):
        yield from training.epoch(number)


def batch_sizes(images: int, batch: int) -> list[int]:
    """Full batches and the rest; a single image joins the batch before it.

    Batch statistics need two images.

    >>> batch_sizes(10, 4), batch_sizes(9, 4)
    ([4, 4, 2], [4, 5])
    """
    full, rest = divmod(images, batch)
    if rest == 1 and full and batch > 1:
        return [batch] * (full - 1) + [batch + 1]
    return [batch] * full + [rest] * (rest > 0)


def precision_of(settings: Train, device: torch.device) -> str:
    """The precision of a training, where "auto" is bfloat16 if that is the faster on the device."""
    if settings.precision != "auto":
        return settings.precision
    return "bfloat16" if linear.bfloat16_pays(device) else "float32"


class _Training:
    """What stays from one epoch to the next."""

    def __init__(
        self,
        step: Step,
        data: Batches,
        settings: Train,
        state: State | None,
        held_out: Mapping[str, Batches],
        pause: Callable[[], bool],
    ) -> None:
        self.step, self.data, self.settings = step, data, settings
        self.held_out, self.pause = held_out, pause
        self.device = data.x.device
        devices.keep_memory()
        self.ranks = join()
        self.ranks.check(settings.devices, settings.nodes)
        self.precision = self.ranks.shared(lambda: precision_of(settings, self.device))
        self.optimiser = optimisers.make(step.to(self.device).parameters(), settings)
        self.model = self.ranks.setup(step, self.device.type)
        if settings.compile:
            step.model.encoder.compile()
            step.model.decoder.compile()
        self.history: History = []
        self.began: float | None = None  # distortion of the very first step
        self.interrupted: State | None = None
        if state:
            checkpoint.restore(state, step, self.optimiser)
            self.history, self.began = [*state[1]["history"]], state[1]["began"]
            self.interrupted = state if state[1]["step"] else None
        self.sizes = batch_sizes(len(data), settings.batch)
        self.rate_at = schedules.learning_rate(settings)

    def epoch(self, number: int) -> Iterator[Epoch]:
        """Train an epoch; yield where it is paused, and at its end."""
        data, settings, step, optimiser = self.data, self.settings, self.step, self.optimiser
        gradient = self._gradient()
        steps, images = len(self.sizes), {"images": len(data)}
        first = self._begin(number)
        begun = time.perf_counter()
        self.model.train()
        mine = [self.ranks.part(batch) for batch in self.batches[first:]]
        for i, index in enumerate(data.ahead(mine), first):
            self.ranks.begin(self.sizes[i])
            now = number - 1 + i / steps  # epochs since the start
            numbers = schedules.numbers(step.settings, now, settings.epochs) | images
            rate = self.rate_at(now / settings.epochs)
            for group in optimiser.param_groups:
                group["lr"] = rate
            x, y, weights = (
                data(index, self.streams["data"]),
                data.labels(index),
                data.weights(index),
            )
            terms = gradient(x, y, numbers, weights)
            if settings.clip:
                clip_grad_norm_(step.parameters(), settings.clip)
            optimiser.step()
            self.trace[i] = terms
            done = i + 1
            paused = self.ranks.agreed(self.pause) and done < steps
            if done % LOOK == 0 or done == steps or paused:
                self._check(number, done)
            if paused:
                recent = self.trace[max(0, done - LOOK) : done, :2].mean(0)
                yield self._stand(number, done, Terms(*recent.tolist()), begun)
        self.model.eval()
        yield self._end(number, numbers, rate, begun)

    def _begin(self, number: int) -> int:
        """Prepare order and random streams; the first step, above 0 in an interrupted epoch."""
        seed, device = self.settings.seed, self.device
        self.batches = self.data.order(seed, number).to(device).split(self.sizes)
        state, self.interrupted = self.interrupted, None
        own = partial(self.ranks.purpose, begun=state[1] if state else {})
        torch.manual_seed(derive(seed, own("noise"), number))  # of posterior samples and dropout
        self.streams = {
            "data": generator(seed, own("data"), number, device),  # of augmentation and treatment
            "cpu": torch.default_generator,
        }
        if device.type == "cuda":
            self.streams["cuda"] = torch.cuda.default_generators[torch.cuda.current_device()]
        shape = len(self.sizes), len(TRACE)
        self.trace = torch.zeros(shape, dtype=torch.float32, device=device)
        self.done = self.looked = int(state[1]["step"]) if state else 0
        if state:
            self.trace[: self.done] = state[0]["trace"].to(device)
            if self.ranks.began(state[1]):
                checkpoint.restore_generators(state, self.streams, self.ranks.rank)
        return self.done

    def _gradient(self) -> Gradient:
        """How a step finds its gradient."""
        alone = self.ranks.world == 1 and self.data.weight is None
        plain = alone and not self.settings.compile and written(self.step, self.precision)
        return plain or Automatic(self.model, self.precision, self.optimiser)

    def _end(self, number: int, numbers: Mapping[str, float], rate: float, begun: float) -> Epoch:
        """Measure the held-out images and write the entry of the epoch."""
        sizes, weights = torch.tensor(self.sizes).double(), self.step.settings
        *means, optimised = (sizes @ self.trace.cpu().double() / sizes.sum()).tolist()
        during = Terms(*means)
        entry: dict[str, Any] = {"epoch": number, "learning_rate": rate}
        entry |= {name: numbers[name] for name in ("beta", *weights.grows)}
        entry["train"] = during.record() | {"optimised": optimised}
        for name, images in self.held_out.items():
            measure = partial(terms, self.step.model, images, self.settings.seed, self.step.samples)
            after = self.ranks.shared(measure)
            entry[name] = after.record()
            if not math.isfinite(after.loss) or after.loss > FAR * self._bound():
                raise DivergenceError(
                    f"epoch {number}: the loss of the {name} images is {_found(after.loss)}"
                )
        self.history.append(entry)
        return self._stand(number, len(self.sizes), during, begun)

    def _stand(self, number: int, done: int, train: Terms, begun: float) -> Epoch:
        self.done = done % len(self.sizes)
        self.others = self.ranks.states(self.streams) if self.done else {}
        seconds = time.perf_counter() - begun
        steps = len(self.sizes)
        return Epoch(number, done, steps, train, seconds, [*self.history], self._state)

    def _state(self) -> State:
        facts = {"history": [*self.history], "began": self.began, "ranks": self.ranks.world}
        where = f"epoch {len(self.history) + (self.done > 0)}"
        return checkpoint.pack(
            self.step, self.optimiser, self.streams, self.others, self.trace[: self.done],
            facts, where,
        )  # fmt: skip

    def _check(self, number: int, done: int) -> None:
        """Raise `DivergenceError` if a term is not finite or a typical distortion is far off."""
        self.ranks.total_(self.trace[self.looked : done])
        self.looked = done
        trace = self.trace[:done].cpu()
        if self.began is None:
            self.began = trace[0, 0].item()
        bad = (~trace.isfinite()).nonzero()
        if len(bad):
            i, term = bad[0].tolist()
            raise DivergenceError(f"epoch {number}, step {i + 1}: the {TRACE[term]} is not finite")
        distortion = trace[-LOOK:, 0].median().item()
        if distortion > self._bound():
            raise DivergenceError(
                f"epoch {number}, step {done}: the distortion is {_found(distortion)}, from "
                f"{self.began:.4g} at the first step"
            )

    def _bound(self) -> float:
        """Nats per image that no training reaches that has not diverged."""
        return FAR * (abs(self.began or 0.0) + self.data.x[0].numel())


def _found(loss: float) -> str:
    return f"{loss:.2g} nats per image" if math.isfinite(loss) else "not finite"
