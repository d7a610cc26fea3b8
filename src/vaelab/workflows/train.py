"""Train a recipe into a run folder, and continue a run that was interrupted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from vaelab import devices
from vaelab.errors import UserError
from vaelab.evaluation.metrics.codes import explained_variance
from vaelab.evaluation.sections.likelihood import bits_per_dim
from vaelab.files import locked
from vaelab.models import linear
from vaelab.plots import View, gallery
from vaelab.recipes import Code, Recipe, Train, override, parse, permit
from vaelab.runs import Run, check_free, create, default_folder, recover
from vaelab.seeding import generator, untouched
from vaelab.tracking import Tracked, Tracker, sending, trackers_of
from vaelab.training import State, Terms, best_epoch, join, terms
from vaelab.workflows.console import Console
from vaelab.workflows.fit import fit
from vaelab.workflows.job import Job, check_continues, introduce
from vaelab.workflows.report import kept_fresh, write_finished
from vaelab.workflows.together import begin, end, together

FEW = 100  # images, whose values show whether they are binary


@together(lambda recipe, *_, **__: recipe.train)
def train(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    quiet: bool = False,
    watch: bool = False,
    track: Tracked = (),
    console: Console | None = None,
) -> Run:
    """Train a recipe into a run folder, measure the best weights, plot the figures, and report.

    An interruption (Ctrl-C, SIGTERM, SIGHUP) saves the state and raises KeyboardInterrupt. `resume`
    continues from there.

    Args:
        recipe: The recipe.
        out: The run folder; by default ``runs/NAME`` with the name of the recipe.
        overwrite: Whether to replace a run in the folder.
        quiet: Whether to print nothing.
        watch: Whether to keep report.html fresh during the training.
        track: The trackers that receive the records: names such as "tensorboard", or a `Tracker`.
        console: The console output, shared by all trainings of a command.

    Returns:
        The finished run.

    Raises:
        UserError: Settings or data are invalid, or the folder contains a run; nothing is written.
            Also if the training diverges.
    """
    trackers, folder = trackers_of(track), Path(out) if out else default_folder(recipe)
    check_free(folder, overwrite)
    job = Job(recipe, console or Console(quiet))
    with locked(folder):
        run = create(folder, job.recipe, overwrite)
        return complete(job, run, None, watch=watch, trackers=trackers)


@together(lambda folder, overrides=None, *_, **__: _continued(folder, overrides))
def resume(
    folder: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    quiet: bool = False,
    watch: bool = False,
    track: Tracked = (),
    console: Console | None = None,
    code: Code = (),
) -> Run:
    """Continue an interrupted or killed run; the result is bit-identical to an uninterrupted one.

    Args:
        folder: The run folder.
        overrides: Changed settings. ``train.epochs`` can be increased if no schedule depends on it,
            and ``data.source``, ``data.dir`` and ``figures`` can be changed. Other settings would
            make another run and raise an error.
        quiet: Whether to print nothing.
        watch: Whether to keep report.html fresh during the training.
        track: The trackers that receive the records.
        console: The console output.
        code: The Python files that the run may execute.

    Returns:
        The finished run.
    """
    permit(code)
    trackers = trackers_of(track)
    run, console = recover(folder), console or Console(quiet)
    with locked(run.folder, "resume a copy of it"):
        state = run.state()
        facts = state[1] if state else {}
        began = parse(facts["recipe"], str(run.folder / "last.pt")) if state else run.recipe
        wanted = override(run.recipe, overrides or {})
        check_continues(began, wanted)
        if facts.get("history"):  # the run may have been killed before it was written
            run.write_lines("metrics.jsonl", facts["history"])
        if run.finished and wanted.train.epochs == began.train.epochs:
            console.say(
                f"{run.folder}: finished already (more epochs: --train.epochs N; other figures: "
                "vaelab figures)"
            )
            return run
        job = Job(wanted, console)
        if state and facts["data"] != job.fingerprint:
            raise UserError(
                f"data.source: {job.data.name} holds other data than the run began with; restore "
                "them, or name their place with --data.source"
            )
        if state and facts["device"] != job.device.type:
            raise UserError(
                f"train.device: the run began on {facts['device']}, this is {job.device.type}; "
                "resume it there"
            )
        run = run.reopen(job.recipe)
        return complete(job, run, state, watch=watch, trackers=trackers)


def _continued(folder: str | Path, overrides: Mapping[str, Any] | None) -> Train:
    """The settings with which `resume` trains."""
    return override(recover(folder).recipe, overrides or {}).train


def complete(
    job: Job,
    run: Run,
    state: State | None,
    *,
    watch: bool = False,
    trackers: Sequence[Tracker] = (),
) -> Run:
    """Train, measure the best weights on the test images, plot the figures, and report."""
    began = state[1] if state else run.environment  # without a finished epoch there is no state
    ranks = join()
    begin(job, state)
    threads, warning = devices.threads(job.recipe.train.threads or began.get("threads", 0))
    each = max(1, threads // ranks.devices)
    with devices.using(each), untouched():
        rows = job.recipe.train.batch // ranks.world * job.recipe.objective.k
        products = began.get("products") or linear.fastest(job.device, job.vae, rows)
        machine = devices.environment(job.device, threads, products) | ranks.record()
        ranks.shared(lambda: (each, products))
        introduce(job)
        for line in (*devices.describe(machine, began), f"warning: {warning}" if warning else ""):
            if line:
                job.say(line)
        if not state:
            run.write("environment.json", json.dumps(machine, indent=2).encode())
        fresh = kept_fresh(run, job.data.in_memory(), job.say) if watch else nullcontext()
        sent = sending(trackers, run, job.say)
        with linear.using(products), fresh as watching, sent as track:
            names = "device", "threads", "products", "processor", "world_size"
            facts = {name: machine[name] for name in names}
            fit(job, run, state, facts | {"data": job.fingerprint}, watching, track)
            run = Run(run.folder, job.recipe)  # reads what was written
            run.data = job.data.in_memory()  # and no data a second time
            view = View(run, run.data.with_measured())
            try:
                results = measure(job, run)
                gallery.plot(view, job.say)
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    "the training is finished and saved, but its figures are not"
                ) from None
            run.write_lines("results.json", [results])  # it marks the run as finished
            write_finished(view, run.data, job.say)
            track.finish(lambda: view)
    end()
    found = Terms(results["distortion"], results["rate"], results.get("bound"))
    bits = f" ({results['bits_per_dim']:.4g} bits/dim)" if "bits_per_dim" in results else ""
    unit = f"nats per {job.row}{bits}"
    job.say(f"{results['split']} {found} {unit}, weights of epoch {results['epoch']}")
    job.say(f"run folder: {run.folder}")
    return run


def measure(job: Job, run: Run) -> dict[str, Any]:
    """Measure the best weights on the split `Job.measured`; return the contents of results.json."""
    vae, seed, device = job.vae, job.recipe.train.seed, job.device
    vae.load_state_dict(run.vae.state_dict())
    samples = job.step.samples
    split, images = job.measured
    found = terms(vae, images, seed, samples)
    if not math.isfinite(found.loss):
        raise UserError(
            f"{split} images: the loss is not finite, possibly because their values are far from "
            "those of the training images; check the data (the weights are saved in "
            f"{run.folder / 'best.safetensors'})"
        )
    stream = generator(seed, "pictures", device=device)
    codes = [
        vae.encode(images(index, stream), images.labels(index)).cpu()
        for index in images.ahead(torch.arange(len(images), device=device).split(
            devices.at_once(4 * math.prod(vae.shape))
        ))
    ]  # fmt: skip
    given = ", given the label" if len(vae.classes) else ""
    some = images(torch.arange(min(len(images), FEW), device=device), stream)
    no_density = job.recipe.model.posterior == "point"
    bits = None if no_density else bits_per_dim(found.loss, vae.decoder, some, images)
    return {
        **found.record(),
        **({} if bits is None else {"bits_per_dim": bits}),
        "epoch": best_epoch(run.history, job.recipe.objective.warmup),
        "split": split,
        "images": len(images),
        "unit": f"nats per {job.row}{given}, {samples} posterior sample{'s' * (samples > 1)}",
        "treatment": job.recipe.data.treatment,
        "parameters": sum(parameter.numel() for parameter in vae.parameters()),
        "explained_variance_2": explained_variance(torch.cat(codes)),
    }
