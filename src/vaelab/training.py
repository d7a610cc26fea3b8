"""The training loop, one for every model, on Lightning Fabric for devices and precision.

(The module is not called train.py: `vaelab.train` is the function, and a module of that name would hide it.)
"""

from __future__ import annotations

import json
import signal
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Adam
from tqdm import tqdm

from vaelab import gallery, machine, schedules, zoo
from vaelab.data import Batches, Dataset, check_range
from vaelab.data import load as load_data
from vaelab.describe import summary
from vaelab.errors import UserError
from vaelab.evaluate import Terms, explained_variance, terms
from vaelab.recipe import Objective, Recipe, flatten, override, parse
from vaelab.run import History, Run, State, create, load, locked
from vaelab.seeding import derive, generator, seeded

PRECISION: dict[str, Literal["32-true", "bf16-mixed"]] = {"float32": "32-true", "bfloat16": "bf16-mixed"}
LOOK = 50  # steps between two looks at the loss: on a GPU each look waits for the device


def train(recipe: Recipe, out: str | Path | None = None, *, overwrite: bool = False, quiet: bool = False) -> Run:
    """Train a recipe into a run folder (``runs/<recipe>`` unless told otherwise), measure it and draw its pictures.

    Raises `UserError` for bad settings or data, before anything is written, and where the folder holds a run already.
    An interruption (Ctrl-C, SIGTERM) saves first, then raises KeyboardInterrupt; `resume` goes on from there.
    """
    folder = Path(out) if out else Path("runs") / recipe.name
    job = Job(recipe)
    with locked(folder):
        return job.carry_out(create(folder, job.recipe, overwrite), None, _printer(quiet))


def resume(folder: str | Path, overrides: Mapping[str, Any] | None = None, *, quiet: bool = False) -> Run:
    """Go on with an interrupted or killed run: it ends with the bytes it would have had uninterrupted.

    `overrides` may raise ``train.epochs`` where no schedule depends on it, move ``data.source`` and ``data.dir``, and
    change ``figures``; anything else would make it another run and is refused.
    """
    run, say = load(folder), _printer(quiet)
    with locked(run.folder):
        state = run.state()
        began = parse(state["recipe"], str(run.folder / "last.pt")) if state else run.recipe
        wanted = override(run.recipe, overrides or {})
        _check_continues(began, wanted)
        if run.finished and wanted.train.epochs == began.train.epochs:
            say(f"{run.folder}: finished already, nothing to do (for more epochs: --train.epochs N)")
            return run
        job = Job(wanted)
        if state and state["data"] != job.fingerprint:
            raise UserError(
                f"data.source: {wanted.data.source} is not what the run began with; restore it or train anew"
            )
        return job.carry_out(run.reopen(wanted), state, say)


class Job:
    """A recipe made ready to train: device, data and a fresh model, all checked before any file is written."""

    def __init__(self, recipe: Recipe) -> None:
        if Path(recipe.data.source).exists():  # the run folder must find it from anywhere
            source = str(Path(recipe.data.source).absolute())
            recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, source=source))
        self.recipe = recipe
        self.row = zoo.row(recipe.model.variant)
        self.device = machine.device(recipe.train.device)
        self.data = load_data(recipe.data)
        check_range(self.data, recipe)
        with seeded(recipe.train.seed, "weights"):
            self.vae = zoo.build(recipe.model, self.data.shape)
        self.train, self.validation, self.test = (
            Batches(split.x, self.data.levels, recipe.data, self.device, augment=split is self.data.train)
            for split in self.data.splits().values()
        )
        if recipe.model.batch_norm and min(batch_sizes(len(self.train), recipe.train.batch)) == 1:
            raise UserError(
                "train.batch: batch normalisation needs at least 2 images; raise it or leave model.batch_norm off"
            )
        self.fingerprint = _fingerprint(self.data)

    def carry_out(self, run: Run, state: State | None, say: Callable[[str], None]) -> Run:
        """Train, measure the best weights on the test images, draw; torch's threads and chance are as before, after."""
        began = json.loads((run.folder / "environment.json").read_text())["threads"] if state else 0
        threads, warning = machine.threads(self.recipe.train.threads or began)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            _introduce(self, say)
            if warning:
                say(f"warning: {warning}")
            if not state:
                run.write("environment.json", json.dumps(machine.environment(self.device, threads), indent=2).encode())
            with torch.random.fork_rng():
                fit(self, run, state, say)
            run = Run(run.folder, self.recipe)  # a fresh look at what was written
            results = _measure(self, run)
            gallery.draw(run, self.data, say)
            run.write_lines("results.json", [results])  # last: its presence says that the run is finished
            test = Terms(results["distortion"], results["rate"])
            say(f"test {test} nats per image, weights of epoch {results['epoch']}")
            say(f"run folder: {run.folder}")
        finally:
            torch.set_num_threads(before)
        return run


def fit(job: Job, run: Run, state: State | None, say: Callable[[str], None]) -> None:
    """Train from `state` (None: from the start) to the last epoch; after every epoch the folder can be resumed."""
    settings, device, vae = job.recipe.train, job.device, job.vae
    held_out, name = (job.validation, "validation") if len(job.validation) else (job.test, "test")
    sizes = batch_sizes(len(job.train), settings.batch)
    steps = len(sizes)

    fabric = Fabric(accelerator=device.type, devices=1, precision=PRECISION[settings.precision])
    optimizer = Adam(vae.parameters(), lr=settings.learning_rate, fused=device.type != "mps")
    model, optimizer = fabric.setup(vae, optimizer)
    if settings.compile:
        vae.encoder.compile()
        vae.decoder.compile()

    done, history, times = 0, [], []
    if state:
        done, history, times = state["epoch"], run.history[: state["epoch"]], run.times[: state["epoch"]]
        vae.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])

    def save(epoch: int, step: int, trace: Tensor, chance: torch.Generator) -> None:
        """Everything that the steps to come depend on, after `step` steps beyond `epoch` whole epochs."""
        noise = {"cpu": torch.get_rng_state()} | ({"cuda": torch.cuda.get_rng_state()} if device.type == "cuda" else {})
        run.save_state(
            {"epoch": epoch, "step": step, "model": vae.state_dict(), "optimizer": optimizer.state_dict(),
             "trace": trace, "noise": noise, "chance": chance.get_state(), "data": job.fingerprint}
        )  # fmt: skip

    with _asked_to_stop() as stop, tqdm(total=settings.epochs * steps, initial=done * steps, disable=None) as bar:
        for epoch in range(done + 1, settings.epochs + 1):
            if settings.patience and history and history[-1]["epoch"] - _best(history) >= settings.patience:
                say(f"stopped early: no better validation value in {settings.patience} epochs")
                break
            begun = time.perf_counter()
            order = torch.randperm(len(job.train), generator=generator(settings.seed, "order", epoch)).to(device)
            batches = order.split(sizes)
            chance = generator(settings.seed, "data", epoch, device)  # for augmentation and treatment
            torch.manual_seed(derive(settings.seed, "noise", epoch))  # for the posterior's samples and dropout
            trace = torch.zeros(steps, 2, dtype=torch.float32, device=device)  # distortion and rate of every step
            first = 0
            if state and state["step"]:  # interrupted within this epoch
                first = state["step"]
                trace[:first] = state["trace"].to(device)
                chance.set_state(state["chance"])
                torch.set_rng_state(state["noise"]["cpu"])
                if device.type == "cuda":
                    torch.cuda.set_rng_state(state["noise"]["cuda"])
                bar.update(first)
            state = None

            model.train()
            for step in range(first, steps):
                now = epoch - 1 + step / steps  # epochs since the start
                beta = schedules.beta(job.recipe.objective, now, settings.epochs)
                rate = schedules.learning_rate(settings, now / settings.epochs)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                draw = model(job.train(batches[step], chance))
                loss = -job.row.objective(draw, beta).mean()
                optimizer.zero_grad()
                fabric.backward(loss)
                if settings.clip:
                    fabric.clip_gradients(model, optimizer, max_norm=settings.clip)
                optimizer.step()
                trace[step] = torch.stack([draw.distortion.detach().mean(), draw.rate.detach().mean()])
                bar.update()
                if (step + 1) % LOOK == 0 or step + 1 == steps or stop():
                    _check_finite(trace[: step + 1], epoch, run, done=len(history))
                    seen = Terms(*trace[max(0, step + 1 - LOOK) : step + 1].mean(0).tolist())
                    bar.set_postfix_str(f"loss {seen.loss:.2f}, distortion {seen.distortion:.2f}, rate {seen.rate:.2f}")
                if stop() and step + 1 < steps:
                    save(epoch - 1, step + 1, trace[: step + 1].clone(), chance)
                    raise KeyboardInterrupt(f"saved at epoch {epoch}, step {step + 1} of {steps}")

            during = Terms(*(torch.tensor(sizes).double() @ trace.cpu().double() / sum(sizes)).tolist())
            after = terms(vae, held_out, settings.seed)
            _check_finite(torch.tensor([after]), epoch, run, done=len(history))
            numbers = {"train": during.record(), name: after.record()}
            history.append({"epoch": epoch, "beta": beta, "learning_rate": rate} | numbers)
            times.append({"epoch": epoch, "seconds": round(time.perf_counter() - begun, 3)})
            if _best(history) == epoch:
                run.save_best(vae, epoch, job.data.span())
            gallery.snapshot(run, vae, job.data, epoch)
            run.write_lines("metrics.jsonl", history)
            run.write_lines("times.jsonl", times)
            save(epoch, 0, trace[:0].clone(), chance)
            weight = f"  beta {beta:.3g}" if job.recipe.objective != Objective() else ""
            seconds = f"{times[-1]['seconds']:.1f} s"
            with bar.external_write_mode():
                say(f"epoch {epoch:3}/{settings.epochs}  train {during}  {name} {after}{weight}  {seconds}")
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


def _best(history: History) -> int:
    """The epoch with the lowest validation value of distortion + rate, at beta = 1 whatever was optimised.

    Without validation images nothing may be chosen, least of all on the test images: the last epoch.
    """
    if "validation" not in history[-1]:
        return int(history[-1]["epoch"])
    return int(min(history, key=lambda entry: float(entry["validation"]["loss"]))["epoch"])


def _measure(job: Job, run: Run) -> dict[str, Any]:
    """The best weights on the test images: what results.json holds."""
    vae = run.vae.to(job.device)
    test = terms(vae, job.test, job.recipe.train.seed)
    means = vae.encode(
        job.test(torch.arange(len(job.test), device=job.device), generator(0, "means", device=job.device))
    )
    return {
        **test.record(),
        "epoch": _best(run.history),
        "images": len(job.test),
        "unit": "nats per image, one posterior sample",
        "treatment": job.recipe.data.treatment,
        "parameters": sum(parameter.numel() for parameter in vae.parameters()),
        "explained_variance_2": explained_variance(means.cpu()),
    }


def _introduce(job: Job, say: Callable[[str], None]) -> None:
    """What is about to happen: data, model, and what the numbers will mean."""
    recipe, data = job.recipe, job.data
    images = ", ".join(f"{len(split.x):,} {name}" for name, split in data.splits().items() if len(split.x))
    say(f"{recipe.name}: {recipe.about}" if recipe.about else recipe.name)
    say(f"data: {data.name}, shape {'x'.join(map(str, data.shape))}, {recipe.data.treatment}; {images}")
    say(summary(job.vae))
    soft = recipe.data.treatment in ("grey", "dequantised") and data.levels != 2
    if recipe.model.likelihood == "bernoulli" and soft:
        say("note: cross-entropy of grey levels is no log-likelihood: compare it with other grey-level runs only")
    if recipe.objective.warmup >= recipe.train.epochs:
        say(
            f"warning: objective.warmup {recipe.objective.warmup:g} is not shorter than train.epochs "
            f"{recipe.train.epochs}: the rate never gets its full weight {recipe.objective.beta:g}"
        )
    say("nats per image: loss = distortion + rate")


def _check_continues(began: Recipe, wanted: Recipe) -> None:
    """Refuse to resume a run with another recipe than it began with."""
    old, new = flatten(began), flatten(wanted)
    free = {"name", "about", "data.source", "data.dir", *(key for key in new if key.startswith("figures."))}
    if wanted.train.schedule == "constant" and not wanted.objective.cycles and wanted.train.epochs > began.train.epochs:
        free.add("train.epochs")
    for key in sorted(new.keys() - free):
        if old[key] != new[key]:
            hint = "the schedules depend on it" if key == "train.epochs" else "it would be another run"
            raise UserError(
                f"{key}: the run began with {old[key]!r}, not {new[key]!r} ({hint}); restore it or train anew"
            )


def _check_finite(trace: Tensor, epoch: int, run: Run, done: int) -> None:
    """Stop where distortion or rate (columns of `trace`, a row a step) is not finite, before anything is saved."""
    bad = (~trace.isfinite()).nonzero()
    if len(bad):
        step, term = bad[0].tolist()
        good = (
            f"the last good checkpoint is epoch {done} in {run.folder / 'last.pt'}" if done else "no epoch was finished"
        )
        raise UserError(
            f"epoch {epoch}, step {step + 1}: the {Terms._fields[term]} is not finite ({trace[step, term].item()}); "
            f"{good}; lower train.learning_rate, or set train.clip"
        )


def _fingerprint(data: Dataset) -> str:
    """Shape and checksum of the training images in their order, to notice data that changed between two sittings."""
    return f"{tuple(data.train.x.shape)} {zlib.crc32(data.train.x.numpy().data):08x}"


def _printer(quiet: bool) -> Callable[[str], None]:
    return (lambda line: None) if quiet else (lambda line: print(line, flush=True))


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Inside, Ctrl-C and SIGTERM only ask: the loop stops where it can save. A second one stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():  # signals reach the main thread only
        yield lambda: False
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
