"""Fit a prior to the codes of a trained run, which improves samples and measures the mismatch.

The decoder is trained where the aggregate posterior q(z) = E_x q(z|x) has mass. Samples are bad
where the prior p(z) has mass elsewhere. A prior r that is fitted to q(z) by maximum likelihood,
with fixed encoder and decoder, lowers the rate by

    E_q(z)[log r(z) - log p(z)] = KL(q(z) || p) - KL(q(z) || r) <= KL(q(z) || p).

This gain, in nats, is a lower bound on the mismatch between q(z) and p.

References:
    Ghosh et al., From variational to deterministic autoencoders, 2020, arXiv:1903.12436.
    Dai & Wipf, Diagnosing and enhancing VAE models, 2019, arXiv:1903.05789.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from vaelab import devices
from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.evaluation.metrics.estimates import mean
from vaelab.files import locked
from vaelab.models import VAE
from vaelab.plots import View, gallery
from vaelab.recipes import Code, Train, override
from vaelab.runs import FITTED, Run, check_free, create, load
from vaelab.screen import bar
from vaelab.seeding import generator, seeded, untouched
from vaelab.training import learning_rate, optimisers
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job
from vaelab.workflows.report import write_finished
from vaelab.workflows.train import measure

# A density of a few dimensions converges within a few thousand steps, at a higher learning rate
# than a VAE. Every epoch samples new codes, so the prior does not overfit one sample.
STEPS, BATCH = 4000, 256  # optimiser steps, and codes in each
SETTINGS = Train(learning_rate=3e-3, schedule="cosine")


def fit_prior(
    folder: str | Path,
    prior: str,
    out: str | Path | None = None,
    *,
    components: int = 100,
    steps: int | None = None,
    overwrite: bool = False,
    quiet: bool = False,
    code: Code = (),
) -> Run:
    """Fit a prior to the codes of a run, and write a new run with the old encoder and decoder.

    An interrupted fit leaves a folder that is replaced when the fit is repeated.

    Args:
        folder: The run folder.
        prior: The name of a prior, or FILE.py:NAME.
        out: The new run folder; ``FOLDER+PRIOR`` by default.
        components: The components of a mixture, or the pseudo-inputs of a VampPrior.
        steps: The optimiser steps, rounded up to whole passes over the codes; None for 4,000.
        overwrite: Whether to replace a run in the new folder.
        quiet: Whether to print nothing.
        code: The Python files that the run may execute.

    Returns:
        The new run.

    Raises:
        UserError: The prior does not fit the posterior or has no parameters, or the folder holds a
            run.
    """
    steps = STEPS if steps is None else steps
    if steps < 1:
        raise UserError(f"steps: expected at least 1, got {steps}; fit-prior needs some to fit")
    old = load(folder, code=code)
    history = old.history
    job = _job(old, prior, components, quiet)
    out = Path(out) if out else _default_folder(old.origin, prior)
    if out.resolve() == old.folder.resolve():
        raise UserError(f"--out {out}: is the run itself, which would be lost; name another folder")
    check_free(out, overwrite)
    with locked(out), devices.using(devices.threads(job.recipe.train.threads)[0]), untouched():
        gained = _fit(job, old.vae.to(job.device), steps)
        run = create(out, job.recipe, overwrite)
        settings = {"prior": prior, "components": components, "steps": steps}
        origin = {"run": str(old.origin)} | settings
        run.write_lines(FITTED, [origin])  # first, because it marks the run as a fit
        machine = devices.environment(job.device, torch.get_num_threads(), "torch")
        run.write("environment.json", json.dumps(machine, indent=2).encode())
        run.write_lines("metrics.jsonl", history)
        run.save_best(job.vae, old.contract["epoch"], job.data)
        results = measure(job, run) | {"prior_gain": gained}
        view = View(run, job.data.in_memory().with_measured())
        gallery.plot(view, job.say)
        run.write_lines("results.json", [results])
        write_finished(view, job.data, job.say)
    _report(job, old, prior, *gained)
    job.say(f"run folder: {run.folder}")
    return run


def _job(old: Run, prior: str, components: int, quiet: bool) -> Job:
    """Return a job with the old encoder and decoder and the new prior."""
    if old.recipe.model.posterior == "ladder":
        raise UserError(
            "fit-prior: the posterior of a ladder contains the networks of its prior, so no other "
            "prior can be fitted to it; choose another run"
        )
    recipe = override(old.recipe, {"model.prior": prior, "model.components": components})
    job = Job(recipe, Console(quiet), fitted=True)
    if not [*job.vae.prior.parameters()]:
        raise UserError(
            f"fit-prior: {prior!r} has nothing to fit; choose mixture, flow, spline-flow or vamp"
        )
    job.vae.encoder.load_state_dict(old.vae.encoder.state_dict())
    job.vae.decoder.load_state_dict(old.vae.decoder.state_dict())
    return job


def _report(job: Job, old: Run, prior: str, nats: float, error: float) -> None:
    before = old.recipe.model.prior
    job.say(
        f"test codes: {nats:.2f} ± {error:.2f} nats likelier under the fitted {prior} than under "
        f"the old {before}"
    )
    if nats > 2 * error:
        job.say(
            "mismatch between the aggregate posterior and the old prior: "
            f"KL(q(z) || p) >= {nats:.2f} nats"
        )
    else:
        job.say("no mismatch between the aggregate posterior and the old prior was found")


def _default_folder(folder: Path, prior: str) -> Path:
    """Return the folder ``FOLDER+PRIOR`` beside the run; a custom FILE.py:NAME counts as NAME."""
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    return folder.with_name(f"{folder.name}+{prior.rpartition(':')[2]}")


def _fit(job: Job, old: VAE, steps: int) -> list[float]:
    """Maximise the likelihood of posterior samples of the training images.

    The weights of the epoch with the best validation likelihood are kept.

    Returns:
        The gain in log likelihood of test codes, in nats, and its standard error.
    """
    vae, seed = job.vae.to(job.device), job.recipe.train.seed
    start = getattr(vae.prior, "start_from_codes", None)
    if callable(start):
        with seeded(seed, "start"):
            start(_codes(vae, job.train, seed, 0)[0])
    held_out = _codes(vae, job.validation if len(job.validation) else job.train, seed, -1)
    optimiser, rate_at = optimisers.make(vae.prior.parameters(), SETTINGS), learning_rate(SETTINGS)
    best, weights = math.inf, vae.prior.state_dict()
    epochs = math.ceil(steps / math.ceil(len(job.train) / BATCH))
    for epoch in bar(range(1, epochs + 1), "prior", epochs, quiet=job.console.quiet):
        z, y = _codes(vae, job.train, seed, epoch)
        batches = torch.randperm(len(z), generator=generator(seed, "order", epoch)).split(BATCH)
        for step, index in enumerate(batches):
            done = (epoch - 1 + step / len(batches)) / epochs
            optimiser.param_groups[0]["lr"] = rate_at(done)
            loss = -_log_prior(vae, z[index], None if y is None else y[index]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        with torch.no_grad():
            loss = -_log_prior(vae, *held_out).mean()
        if float(loss) < best:
            best, state = float(loss), vae.prior.state_dict()
            weights = {name: tensor.clone() for name, tensor in state.items()}
    vae.prior.load_state_dict(weights)
    test = _codes(vae, job.measured[1], seed, -2)
    with torch.no_grad():
        gain = mean(_log_prior(vae, *test) - _log_prior(old, *test))
    return [gain.value, gain.error or 0.0]


def _log_prior(vae: VAE, z: Tensor, y: Tensor | None) -> Tensor:
    """Return log p(z), (N,)."""
    found: Tensor = vae.prior(*vae.given(y)).log_prob(z)
    return found


@torch.no_grad()
def _codes(vae: VAE, images: Batches, seed: int, epoch: int) -> tuple[Tensor, Tensor | None]:
    """Return a posterior sample for every image, (N, L), and the labels."""
    device = images.x.device
    stream = generator(seed, "codes data", epoch, device)
    with seeded(seed, "codes", epoch):
        z = [
            vae.encoder(images(index, stream), *vae.given(images.labels(index))).sample()
            for index in torch.arange(len(images), device=device).split(vae.rows_at_once())
        ]
    return torch.cat(z), images.y
