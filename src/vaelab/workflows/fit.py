"""The epochs of a run: train, save after each, and stop where it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import torch

from vaelab import devices
from vaelab.errors import UserError
from vaelab.plots import chosen, gallery
from vaelab.recipes import Objective
from vaelab.runs import Run
from vaelab.seeding import generator
from vaelab.tracking import Sending
from vaelab.training import (
    DivergenceError,
    Epoch,
    Facts,
    State,
    best_epoch,
    epochs,
    exhausted,
    join,
)
from vaelab.workflows.console import Progress, Table
from vaelab.workflows.interruptions import interruptions
from vaelab.workflows.job import Job
from vaelab.workflows.report import Watch

End = Literal["", "last", "exhausted", "interrupted"]  # why a training ends; "": it goes on


def fit(
    job: Job, run: Run, state: State | None, facts: Facts, watching: Watch | None, track: Sending
) -> None:
    """Train to the last epoch, and after each epoch save what `resume` needs."""
    epochs_asked = job.recipe.train.epochs
    save = _Saving(job, run, len(state[1]["history"]) if state else 0, facts)
    table, progress = Table(job.console, epochs_asked), Progress(job.console, epochs_asked)
    try:
        with interruptions() as stopping:
            for epoch in _epochs(job, state, stopping):
                if epoch.whole:
                    save(epoch)
                    track()
                    if watching:
                        watching(run)
                    table.show(epoch.history[-1], epoch.seconds, _columns(job.recipe.objective))
                end = _end(job, epoch, stopping)
                if end == "exhausted":
                    job.say(
                        "stopped early: no lower validation loss for "
                        f"{job.recipe.train.patience} epochs"
                    )
                if end in ("last", "exhausted"):
                    break
                progress.show(*epoch[:3], f"loss {epoch.train}")
                if end == "interrupted":
                    save.state(epoch)
                    raise KeyboardInterrupt(_saved(epoch))
    except DivergenceError as error:
        raise UserError(_explained(error, job, run)) from None
    finally:
        job.console.clear()


def follow(job: Job, state: State | None) -> None:
    """Train as `fit` does, in a process that writes nothing."""
    with interruptions() as stopping:
        for epoch in _epochs(job, state, stopping):
            end = _end(job, epoch, stopping)
            if end == "interrupted":
                raise KeyboardInterrupt(_saved(epoch))
            if end:
                break


def _epochs(job: Job, state: State | None, stopping: Callable[[], bool]) -> Iterator[Epoch]:
    """The epochs of the training, unless it has ended already."""
    settings, warmup = job.recipe.train, job.recipe.objective.warmup
    name, held_out = ("validation", job.validation) if len(job.validation) else ("test", job.test)
    if not exhausted(state[1]["history"] if state else [], settings.patience, warmup):
        yield from epochs(
            job.step,
            job.train,
            settings,
            state,
            held_out={name: held_out} if len(held_out) else {},
            pause=lambda: stopping() or job.console.due(),
        )


def _end(job: Job, epoch: Epoch, stopping: Callable[[], bool]) -> End:
    """Why the training ends here, the same in all processes; "" where it goes on."""
    settings, stop = job.recipe.train, join().any(stopping())
    if epoch.whole and epoch.number == settings.epochs:
        return "last"
    if stop:
        return "interrupted"
    warmup = job.recipe.objective.warmup
    return "exhausted" if exhausted(epoch.history, settings.patience, warmup) else ""


class _Saving:
    """Write the files of an epoch to the run folder."""

    def __init__(self, job: Job, run: Run, done: int, facts: Facts) -> None:
        self.job, self.run, self.facts = job, run, facts
        self.times = run.times[:done]
        self.peak, self.needed = devices.peak_memory(job.device), 0.0
        _, images = job.measured
        y = None if images.y is None else images.y.cpu().numpy()
        few = torch.from_numpy(chosen(y, len(images), job.recipe.figures.examples))
        stream = generator(job.recipe.train.seed, "pictures", device=job.device)
        self.shown = images(few, stream), images.labels(few)  # the same in every frame

    def __call__(self, epoch: Epoch) -> None:
        job, run, history = self.job, self.run, epoch.history
        self.needed = self.needed or self.peak() or 0.0  # before a figure uses memory, too
        state = epoch.state()
        if best_epoch(history, job.recipe.objective.warmup) == epoch.number:
            run.save_best(job.vae, epoch.number, job.data)
        if gallery.is_frame(epoch.number, job.recipe.train.epochs):
            gallery.snapshot(run, job.vae, *self.shown, epoch.number)
        run.save_state(state[0], state[1] | self.facts)
        run.write_lines("metrics.jsonl", history)
        memory = {"peak_mib": round(self.needed, 1)} if self.needed else {}
        self.times.append({"epoch": epoch.number, "seconds": round(epoch.seconds, 3)} | memory)
        run.write_lines("times.jsonl", self.times)

    def state(self, epoch: Epoch) -> None:
        """Write only the state that an interrupted epoch needs."""
        if not epoch.whole:
            tensors, facts = epoch.state()
            self.run.save_state(tensors, facts | self.facts)


def _columns(objective: Objective) -> list[str]:
    """Return the columns besides the terms: scheduled weights and the optimised value."""
    scheduled = [*objective.grows] if objective.warmup or objective.cycles else []
    return scheduled + (["optimised"] if objective != Objective() else [])


def _saved(epoch: Epoch) -> str:
    if epoch.whole:
        return f"saved after epoch {epoch.number}"
    return f"saved at epoch {epoch.number}, step {epoch.step} of {epoch.steps}"


def _explained(error: DivergenceError, job: Job, run: Run) -> str:
    """Return the message for a diverged training: finding, last good checkpoint and advice."""
    done = len(run.history) if (run.folder / "metrics.jsonl").exists() else 0
    good = (
        f"the last good checkpoint is epoch {done}, {run.folder / 'last.pt'}"
        if done
        else "no epoch was finished"
    )
    if job.large:
        return (
            f"{error.finding}; {good}; the values of the data reach {job.large:g}: "
            "set data.standardise to true"
        )
    lower = job.recipe.train.learning_rate / 10
    return f"{error.finding}; {good}; set train.learning_rate to {lower:g}"
