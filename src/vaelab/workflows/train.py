"""The training loop, one for every model, on Lightning Fabric for devices and precision.

(The module is not called train.py: `vaelab.train` is the function, and a module of that name would hide it.)
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Adam
from tqdm import tqdm

from vaelab import devices
from vaelab.data import Batches, anchored, check_support
from vaelab.data import load as load_data
from vaelab.data.dataset import spread
from vaelab.errors import UserError
from vaelab.evaluation.latent import explained_variance
from vaelab.evaluation.likelihood import Terms, terms
from vaelab.files import locked
from vaelab.models import build
from vaelab.models.describe import summary
from vaelab.plots import gallery
from vaelab.recipes import (
    Objective,
    Recipe,
    available,
    code,
    flatten,
    override,
    parse,
    rules,
    study,
)
from vaelab.runs import History, Run, State, Tensors, check_free, create, load
from vaelab.seeding import derive, generator, seeded, untouched
from vaelab.training import schedules

PRECISION: dict[str, Literal["32-true", "bf16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
}
TRACE = ("distortion", "rate", "loss being optimised")  # of every step
LOOK = 50  # steps between two looks at the loss: on a GPU each look waits for the device


def train(
    recipe: Recipe, out: str | Path | None = None, *, overwrite: bool = False, quiet: bool = False
) -> Run:
    """Train a recipe into a run folder (``runs/<recipe>`` unless told otherwise), measure it and draw its pictures.

    Raises `UserError` for bad settings or data, before anything is written, and where the folder holds a run already.
    An interruption (Ctrl-C, SIGTERM) saves first, then raises KeyboardInterrupt; `resume` goes on from there.
    """
    folder = Path(out) if out else Path("runs") / recipe.name
    check_free(folder, overwrite)
    job = Job(recipe, quiet)
    with locked(folder):
        return job.carry_out(create(folder, job.recipe, overwrite), None)


def resume(
    folder: str | Path, overrides: Mapping[str, Any] | None = None, *, quiet: bool = False
) -> Run:
    """Go on with an interrupted or killed run: it ends with the bytes it would have had uninterrupted.

    `overrides` may raise ``train.epochs`` where no schedule depends on it, move ``data.source`` and ``data.dir``, and
    change ``figures``; anything else would make it another run and is refused.
    """
    run = load(folder)
    with locked(run.folder):
        state = run.state()
        facts = state[1] if state else {}
        began = parse(facts["recipe"], str(run.folder / "last.pt")) if state else run.recipe
        wanted = override(run.recipe, overrides or {})
        _check_continues(began, wanted)
        if state:
            run.write_lines(
                "metrics.jsonl", facts["history"]
            )  # a kill may have come before it was written
        if run.finished and wanted.train.epochs == began.train.epochs:
            if not quiet:
                print(
                    f"{run.folder}: finished already (more epochs: --train.epochs N; other pictures: vaelab figures)"
                )
            return run
        job = Job(wanted, quiet)
        if state and facts["data"] != job.fingerprint:
            raise UserError(
                f"data.source: {job.data.name} is not what the run began with; restore it, or train anew"
            )
        if state and facts["device"] != job.device.type:
            raise UserError(
                f"train.device: the run began on {facts['device']}, this is {job.device.type}; resume it there"
            )
        return job.carry_out(run.reopen(job.recipe), state)


class Job:
    """A recipe made ready to train: device, data and a fresh model, all checked before any file is written."""

    def __init__(self, recipe: Recipe, quiet: bool = False, fitted: bool = False) -> None:
        idle = rules.idle(recipe.model, recipe.objective)
        if idle and not fitted:  # afterwards any prior can be fitted to the codes, see refit.py
            raise UserError(idle)
        self.quiet = quiet
        self.recipe = recipe = msgspec.structs.replace(recipe, data=anchored(recipe.data))
        self.device = devices.device(recipe.train.device)
        self.data = load_data(recipe.data)
        check_support(self.data, build.support(recipe.model), recipe.data, recipe.model.likelihood)
        self.train, self.validation, self.test = (
            Batches(
                split.x,
                self.data.levels,
                recipe.data,
                self.device,
                augment=split is self.data.train,
                y=split.y,
            )
            for split in self.data.splits().values()
        )
        with seeded(recipe.train.seed, "weights"):
            self.vae = build.build(
                recipe.model, self.data.shape, self.data.levels, self.data.classes()
            )
            self.goal = build.Goal(recipe.objective, self.vae)
            build.start(self.vae, self.train)
        if recipe.model.batch_norm and min(batch_sizes(len(self.train), recipe.train.batch)) == 1:
            raise UserError(
                "train.batch: batch normalisation needs at least 2 images; raise it or leave model.batch_norm off"
            )
        for name, split in self.data.splits().items():
            if recipe.model.conditional and split.y is None and len(split.x):
                raise UserError(
                    f"model.conditional: the {name} images have no labels; add labels y for them"
                )
        self.fingerprint = f"{tuple(self.data.train.x.shape)} {self.data.train.checksum()}"  # noticed where it changes

    def say(self, line: str) -> None:
        if not self.quiet:
            print(line, flush=True)

    def carry_out(self, run: Run, state: State | None) -> Run:
        """Train, measure the best weights on the test images, draw."""
        threads, warning = devices.threads(
            self.recipe.train.threads or (state[1]["threads"] if state else 0)
        )
        _introduce(self)
        if warning:
            self.say(f"warning: {warning}")
        if not state:
            run.write(
                "environment.json",
                json.dumps(devices.environment(self.device, threads), indent=2).encode(),
            )
        with devices.using(threads), untouched():
            fit(self, run, state)
            run = Run(run.folder, self.recipe)  # a fresh look at what was written
            try:
                results = measure(self, run)
                gallery.plot(run, self.data, self.say)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    "training is done and saved, its pictures are not"
                ) from None
        run.write_lines(
            "results.json", [results]
        )  # last: its presence says that the run is finished
        self.say(
            f"test {Terms(results['distortion'], results['rate'], results.get('bound'))} nats per image, "
            f"weights of epoch {results['epoch']}"
        )
        self.say(f"run folder: {run.folder}")
        return run


def fit(job: Job, run: Run, state: State | None) -> None:
    """Train from `state` (None: from the start) to the last epoch; after every epoch the folder can be resumed."""
    settings, device, vae = job.recipe.train, job.device, job.vae
    held_out, name = (job.validation, "validation") if len(job.validation) else (job.test, "test")
    sizes = batch_sizes(len(job.train), settings.batch)
    steps = len(sizes)
    few = torch.from_numpy(spread(len(job.test), job.recipe.figures.examples))
    shown = (
        job.test(few, generator(settings.seed, "pictures", device=device)),
        job.test.labels(few),
    )  # in every frame
    samples = job.recipe.objective.k * job.recipe.objective.m

    fabric = Fabric(accelerator=device.type, devices=1, precision=PRECISION[settings.precision])
    trained = nn.ModuleDict({"model": vae, "objective": job.goal.to(device)})
    adam = code("train.optimiser", settings.optimiser)(trained.parameters(), settings)
    model, optimizer = fabric.setup(vae, adam)
    if settings.compile:
        vae.encoder.compile()
        vae.decoder.compile()

    best = partial(best_epoch, warmup=job.recipe.objective.warmup)
    history: History = state[1]["history"] if state else []
    times = run.times[: len(history)] if state else []
    if state:
        _restore(state, trained, adam)

    def save(step: int, trace: Tensor, chance: torch.Generator) -> None:
        """Everything that the steps to come depend on, `step` steps after the last whole epoch."""
        if not all(parameter.isfinite().all() for parameter in trained.parameters()):
            raise _diverged("a weight", f"epoch {len(history) + 1}, step {step}", run, len(history))
        moments = adam.state_dict()["state"]
        run.save_state(
            trained.state_dict()
            | {f"optimizer.{i}.{name}": tensor for i, one in moments.items() for name, tensor in one.items()}
            | {f"chance.{name}": stream for name, stream in _chance(chance, device).items()}
            | {"trace": trace[:step]},
            {"step": step, "history": history, "data": job.fingerprint, "device": device.type,
             "threads": torch.get_num_threads()},
        )  # fmt: skip

    peak, needed = devices.peak_memory(device), None
    with (
        _asked_to_stop() as stop,
        tqdm(
            total=settings.epochs * steps, initial=len(history) * steps, disable=job.quiet or None
        ) as bar,
    ):
        for epoch in range(len(history) + 1, settings.epochs + 1):
            if (
                settings.patience
                and history
                and history[-1]["epoch"] - best(history) >= settings.patience
            ):
                job.say(f"stopped early: no better validation value in {settings.patience} epochs")
                break
            begun = time.perf_counter()
            order = torch.randperm(
                len(job.train), generator=generator(settings.seed, "order", epoch)
            ).to(device)
            batches = order.split(sizes)
            chance = generator(
                settings.seed, "data", epoch, device
            )  # for augmentation and treatment
            torch.manual_seed(
                derive(settings.seed, "noise", epoch)
            )  # for the posterior's samples and dropout
            trace = torch.zeros(steps, len(TRACE), dtype=torch.float32, device=device)
            first = 0
            if state and state[1]["step"]:  # interrupted within this epoch
                first = state[1]["step"]
                trace[:first] = state[0]["trace"].to(device)
                _set_chance(state[0], chance, device)
                bar.update(first)
            state = None

            model.train()
            for step in range(first, steps):
                now = epoch - 1 + step / steps  # epochs since the start
                numbers = schedules.numbers(job.recipe.objective, now, settings.epochs) | {
                    "images": len(job.train)
                }
                rate = schedules.learning_rate(settings, now / settings.epochs)
                for group in adam.param_groups:
                    group["lr"] = rate
                draw = model(
                    job.train(batches[step], chance), samples, job.train.labels(batches[step])
                )
                loss = -job.goal(draw, numbers).mean()
                optimizer.zero_grad()
                fabric.backward(loss)
                if settings.clip:
                    fabric.clip_gradients(
                        model, optimizer, max_norm=settings.clip, error_if_nonfinite=False
                    )
                optimizer.step()
                trace[step] = torch.stack([draw.distortion.mean(), draw.rate.mean(), loss]).detach()
                bar.update()
                halting = stop() and step + 1 < steps
                if (step + 1) % LOOK == 0 or step + 1 == steps or halting:
                    _check_finite(trace[: step + 1], epoch, run, len(history))
                    seen = Terms(*trace[max(0, step + 1 - LOOK) : step + 1, :2].mean(0).tolist())
                    bar.set_postfix_str(
                        f"loss {seen.loss:.2f}, distortion {seen.distortion:.2f}, rate {seen.rate:.2f}"
                    )
                if halting:
                    save(step + 1, trace, chance)
                    raise KeyboardInterrupt(f"saved at epoch {epoch}, step {step + 1} of {steps}")

            *means, optimised = (
                torch.tensor(sizes).double() @ trace.cpu().double() / sum(sizes)
            ).tolist()
            during, after = Terms(*means), terms(vae, held_out, settings.seed, samples)
            needed = (
                needed or peak()
            )  # every epoch needs the same; before the first picture, for pictures would count
            if not math.isfinite(after.loss):
                raise _diverged(
                    f"the loss of the {name} images", f"epoch {epoch}", run, len(history)
                )
            grown = {name: numbers[name] for name in ("beta", *job.recipe.objective.grows)}
            found = {"train": during.record() | {"optimised": optimised}, name: after.record()}
            history.append({"epoch": epoch, "learning_rate": rate} | grown | found)
            if best(history) == epoch:
                run.save_best(vae, epoch, job.data)
            if gallery.is_frame(epoch, settings.epochs):
                gallery.snapshot(run, vae, *shown, epoch)
            save(0, trace, chance)
            run.write_lines("metrics.jsonl", history)
            memory = {"peak_mib": round(needed, 1)} if needed else {}
            times.append(
                {"epoch": epoch, "seconds": round(time.perf_counter() - begun, 3)} | memory
            )
            run.write_lines("times.jsonl", times)
            growing = grown if job.recipe.objective.warmup or job.recipe.objective.cycles else {}
            weight = "".join(
                f"  {key} {growing[key]:.3g}" for key in job.recipe.objective.grows if growing
            )
            weight += "" if job.recipe.objective == Objective() else f"  optimised {optimised:.2f}"
            seconds = f"{times[-1]['seconds']:.1f} s"
            with bar.external_write_mode():
                job.say(
                    f"epoch {epoch:3}/{settings.epochs}  train {during}  {name} {after}{weight}  {seconds}"
                )
            if stop() and epoch < settings.epochs:
                raise KeyboardInterrupt(f"saved after epoch {epoch}")


def batch_sizes(images: int, batch: int) -> list[int]:
    """Whole batches and the rest; a single left-over image joins the batch before it, for it has no batch statistics.

    >>> batch_sizes(10, 4), batch_sizes(9, 4)
    ([4, 4, 2], [4, 5])
    """
    whole, rest = divmod(images, batch)
    if rest == 1 and whole and batch > 1:
        return [batch] * (whole - 1) + [batch + 1]
    return [batch] * whole + [rest] * (rest > 0)


def best_epoch(history: History, warmup: float) -> int:
    """The epoch with the lowest validation value of distortion + rate, at beta = 1 whatever was optimised.

    Where several samples an image are drawn, of the bound that they make: it is closer to -log p(x). Epochs of a
    warm-up do not count once it is over: with a smaller weight they belong to another objective. Without validation
    images nothing may be chosen, least of all on the test images: the last epoch.
    """
    if "validation" not in history[-1]:
        return int(history[-1]["epoch"])

    def rank(entry: dict[str, Any]) -> float:
        return float(entry["validation"].get("bound", entry["validation"]["loss"]))

    grown = [entry for entry in history if entry["epoch"] > warmup]
    return int(min(grown or history, key=rank)["epoch"])


def _restore(state: State, trained: nn.Module, adam: Adam) -> None:
    """Put the weights and the optimiser's moments back as they were."""
    moments: dict[int, dict[str, Tensor]] = {}
    weights: Tensors = {}
    for key, tensor in state[0].items():
        kind, _, rest = key.partition(".")
        if kind in ("model", "objective"):
            weights[key] = tensor
        elif kind == "optimizer":
            number, _, name = rest.partition(".")
            moments.setdefault(int(number), {})[name] = tensor
    trained.load_state_dict(weights)
    adam.load_state_dict(adam.state_dict() | {"state": moments})


def _chance(data: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """The states of the streams that go on within an epoch: of the data, and of torch itself."""
    cuda = {"cuda": torch.cuda.get_rng_state()} if device.type == "cuda" else {}
    return {"data": data.get_state(), "cpu": torch.get_rng_state()} | cuda


def _set_chance(tensors: Tensors, data: torch.Generator, device: torch.device) -> None:
    data.set_state(tensors["chance.data"])
    torch.set_rng_state(tensors["chance.cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["chance.cuda"])


def measure(job: Job, run: Run) -> dict[str, Any]:
    """The best weights on the test images: what results.json holds."""
    vae, seed, device = job.vae, job.recipe.train.seed, job.device
    vae.load_state_dict(run.vae.state_dict())
    samples = job.recipe.objective.k * job.recipe.objective.m
    test = terms(vae, job.test, seed, samples)
    images = job.test(
        torch.arange(len(job.test), device=device), generator(seed, "pictures", device=device)
    )
    given = ", given the label" if len(vae.classes) else ""
    if not math.isfinite(test.loss):
        raise UserError(
            f"test images: the loss is not finite, their values may lie far from those learned; "
            f"the weights are saved in {run.folder / 'best.safetensors'}; check the data"
        )
    return {
        **test.record(),
        "epoch": best_epoch(run.history, job.recipe.objective.warmup),
        "images": len(job.test),
        "unit": f"nats per image{given}, {samples} posterior sample{'s' * (samples > 1)}",
        "treatment": job.recipe.data.treatment,
        "parameters": sum(parameter.numel() for parameter in vae.parameters()),
        "explained_variance_2": explained_variance(vae.encode(images, job.test.y).cpu()),
    }


def _introduce(job: Job) -> None:
    """What is about to happen: data, model, and what the numbers will mean."""
    recipe, data = job.recipe, job.data
    images = ", ".join(
        f"{len(split.x):,} {name}" for name, split in data.splits().items() if len(split.x)
    )
    job.say(f"{recipe.name}: {recipe.about}" if recipe.about else recipe.name)
    if changes := _changes(recipe):
        job.say(f"changed: {', '.join(changes)}")
    labels = "with labels" if data.train.y is not None else "no labels"
    job.say(f"data: {data.name}, shape {'x'.join(map(str, data.shape))}, {labels}; {images}")
    job.say(f"treatment: {recipe.data.treatment}; likelihood: {recipe.model.likelihood}")
    job.say(summary(job.vae))
    if not len(job.validation):
        job.say("note: no validation images: nothing is chosen on the way, the last weights count")
    low, high = data.span(recipe.data.treatment)
    if max(abs(low), abs(high)) > 10 and recipe.data.treatment != "counts":
        job.say(
            f"note: values reach from {low:g} to {high:g}; networks like them near 1: consider data.scale"
        )
    soft = recipe.data.treatment in ("grey", "dequantised") and data.levels != 2
    if recipe.model.likelihood == "bernoulli" and soft:
        job.say(
            "note: cross-entropy of grey levels is no log-likelihood: compare it with other grey-level runs only"
        )
    elif build.support(recipe.model) == "real" or recipe.model.likelihood == "continuous-bernoulli":
        job.say("note: the likelihood is a density, which can exceed 1: its nats can be negative")
    if recipe.objective.warmup >= recipe.train.epochs:
        job.say(
            f"warning: objective.warmup {recipe.objective.warmup:g} is not shorter than train.epochs "
            f"{recipe.train.epochs}: {', '.join(recipe.objective.grows)} never gets there"
        )
    if recipe.model.posterior == "point":
        job.say(
            "note: an autoencoder is charged nothing for its code: its rate is 0 by definition, its loss no bound"
        )
    job.say("nats per image: loss = distortion + rate")
    if recipe.objective.k * recipe.objective.m > 1:
        job.say(
            "bound = -log of the mean of the samples' importance weights; the best epoch is chosen by it"
        )
    if recipe.objective != Objective():
        job.say("optimised = the loss as the objective has it")


def _changes(recipe: Recipe) -> list[str]:
    """What differs from the built-in recipe of that name, where there is one."""
    plain = study(recipe.name).get(recipe.name) if recipe.name in available() else None
    old = flatten(plain or recipe)
    return [
        f"{key} {value}"
        for key, value in flatten(recipe).items()
        if value != old[key] and "." in key
    ]


def _check_continues(began: Recipe, wanted: Recipe) -> None:
    """Refuse to resume a run with another recipe than it began with."""
    old, new = flatten(began), flatten(wanted)
    free = {
        "name",
        "about",
        "data.source",
        "data.dir",
        *(key for key in new if key.startswith("figures.")),
    }
    if (
        wanted.train.schedule == "constant"
        and not wanted.objective.cycles
        and wanted.train.epochs > began.train.epochs
    ):
        free.add("train.epochs")
    for key in sorted(new.keys() - free):
        if old[key] != new[key]:
            why = (
                "it can only grow, and only if no schedule depends on it"
                if key == "train.epochs"
                else "another run"
            )
            raise UserError(
                f"{key}: the run began with {old[key]!r}, not {new[key]!r} ({why}); restore it, or train anew"
            )


def _check_finite(trace: Tensor, epoch: int, run: Run, done: int) -> None:
    """Stop where a column of `trace` (a row a step) is not finite, before anything is saved."""
    bad = (~trace.isfinite()).nonzero()
    if len(bad):
        step, term = bad[0].tolist()
        raise _diverged(f"the {TRACE[term]}", f"epoch {epoch}, step {step + 1}", run, done)


def _diverged(what: str, where: str, run: Run, done: int) -> UserError:
    good = (
        f"the last good checkpoint is epoch {done}, {run.folder / 'last.pt'}"
        if done
        else "no epoch was finished"
    )
    return UserError(
        f"{where}: {what} is not finite; {good}; lower train.learning_rate, or set train.clip"
    )


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Inside, Ctrl-C and SIGTERM only ask: the loop stops where it can save. A second one stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if (
        threading.current_thread() is not threading.main_thread()
    ):  # signals reach the main thread only
        yield lambda: False
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
