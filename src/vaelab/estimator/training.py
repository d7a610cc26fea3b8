"""Training in memory: no run folder, no output, and torch's random state as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import safetensors.torch
import torch

from vaelab import devices
from vaelab.estimator.model import Form, Model
from vaelab.recipes import Train
from vaelab.seeding import untouched
from vaelab.training import History, State, best_epoch, epochs, exhausted
from vaelab.workflows.job import Job

# The training loop draws from torch's global generators, which all threads share, so one thread
# trains at a time.
LOCK = threading.RLock()
MOMENTS = ("model.", "objective.", "optimizer.")  # what a later call needs of a state


@contextmanager
def _alone(settings: Train) -> Iterator[None]:
    threads = settings.threads or torch.get_num_threads()
    with LOCK, untouched(), devices.using(threads):
        yield


def fitted(job: Job, form: Form) -> Model:
    """Train a job to its end; the model has the weights of its best epoch."""
    settings, warmup = job.recipe.train, job.recipe.objective.warmup
    held_out = {"validation": job.validation} if len(job.validation) else {}
    history: History = []
    with _alone(settings):
        for epoch in epochs(job.step, job.train, settings, held_out=held_out):
            history = epoch.history
            if best_epoch(history, warmup) == epoch.number:
                best = {name: tensor.clone() for name, tensor in job.vae.state_dict().items()}
            if exhausted(history, settings.patience, warmup):
                break
    job.vae.load_state_dict(best)
    return Model.of(job, best_epoch(history, warmup), history, form)


def continued(job: Job, before: Model | None, form: Form) -> Model:
    """Train one epoch on the rows of a job, from the weights and the moments of a model on.

    The learning rate is constant: a schedule needs to know the end.
    """
    history = before.history if before else []
    settings = msgspec.structs.replace(
        job.recipe.train, epochs=len(history) + 1, schedule="constant"
    )
    with _alone(settings):
        for epoch in epochs(job.step, job.train, settings, _state(job, before)):
            tensors, facts = epoch.state()
    moments = {name: tensor for name, tensor in tensors.items() if name.startswith(MOMENTS)}
    return Model.of(job, len(facts["history"]), facts["history"], form, moments)


def _state(job: Job, before: Model | None) -> State | None:
    if before is None:
        return None
    tensors = job.step.state_dict()
    if before.kept.moments:
        tensors |= safetensors.torch.load(before.kept.moments)
    else:
        tensors |= {f"model.{name}": tensor for name, tensor in before.tensors.items()}
    return tensors, {"history": before.history, "began": None, "step": 0}
