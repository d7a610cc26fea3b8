"""A prior fitted afterwards to the codes of a trained run: samples without holes, and a measure of the holes.

The aggregate posterior q(z) = E_x q(z|x) is where the decoder has learned to decode; where the prior puts mass beside
it, samples are bad. A prior r fitted to q(z) by maximum likelihood, encoder and decoder left as they are, lowers the
rate by E_q(z)[log r(z) - log p(z)]. That many nats, and no fewer, p was away from q(z): the difference is
KL(q(z) || p) - KL(q(z) || r).

Ghosh et al., From variational to deterministic autoencoders, 2020, arXiv:1903.12436 (for autoencoders);
Dai & Wipf, Diagnosing and enhancing VAE models, 2019, arXiv:1903.05789.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Adam
from tqdm import tqdm

from vaelab import devices
from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.evaluation.metric import mean
from vaelab.files import locked
from vaelab.models import VAE
from vaelab.plots import gallery
from vaelab.recipes import Train, override
from vaelab.runs import FITTED, Run, check_free, create, load
from vaelab.seeding import generator, seeded, untouched
from vaelab.training import learning_rate
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job
from vaelab.workflows.train import measure

STEPS, BATCH = 4000, 256  # of codes
RATE = Train(learning_rate=3e-3, schedule="cosine")  # of Adam


def fit_prior(
    folder: str | Path,
    prior: str,
    out: str | Path | None = None,
    *,
    components: int = 100,
    overwrite: bool = False,
    quiet: bool = False,
) -> Run:
    """A new run (``FOLDER+PRIOR`` unless told otherwise): the old encoder and decoder, and this prior fitted to them.

    `components` is for a mixture, or the pseudo-inputs of a VampPrior. Raises `UserError` where the prior does not go
    with the posterior or has nothing to fit, and where the folder holds a run already.
    """
    old = load(folder)
    if old.recipe.model.posterior == "ladder":
        raise UserError(
            "fit-prior: a ladder's posterior is made of its prior's networks, so no other can be fitted to it"
        )
    job = Job(
        override(old.recipe, {"model.prior": prior, "model.components": components}),
        Console(quiet),
        fitted=True,
    )
    if not [*job.vae.prior.parameters()]:
        raise UserError(
            f"fit-prior: {prior!r} has nothing to fit; choose mixture, flow, spline-flow or vamp"
        )
    job.vae.encoder.load_state_dict(old.vae.encoder.state_dict())
    job.vae.decoder.load_state_dict(old.vae.decoder.state_dict())
    out = Path(out) if out else _default_folder(old.folder, prior)
    if out.resolve() == old.folder.resolve():
        raise UserError(
            f"--out {out}: is the run itself, which would be lost; choose another folder"
        )
    check_free(out, overwrite)
    with locked(out), devices.using(devices.threads(job.recipe.train.threads)[0]), untouched():
        gained = _fit(job, old.vae.to(job.device))
        run = create(out, job.recipe, overwrite)
        fitted = {"run": str(old.folder), "prior": prior, "components": components}
        run.write_lines(FITTED, [fitted])  # first: what it marks can be fitted again
        run.write(
            "environment.json",
            json.dumps(
                devices.environment(job.device, torch.get_num_threads(), "torch"), indent=2
            ).encode(),
        )
        run.write_lines("metrics.jsonl", old.history)
        run.save_best(job.vae, old.contract["epoch"], job.data)
        results = measure(job, run) | {"prior_gain": gained}
        gallery.plot(run, job.data, job.say)
        run.write_lines("results.json", [results])
    nats, error = gained
    before = old.recipe.model.prior
    job.say(
        f"test codes: {nats:.2f} ± {error:.2f} nats likelier under the fitted {prior} than under the old {before}"
    )
    if nats > 2 * error:
        job.say(
            f"the old prior was at least that far from the aggregate posterior: KL(q(z) || p) >= {nats:.2f} nats"
        )
    else:
        job.say("no difference between the old prior and the aggregate posterior was found")
    job.say(f"run folder: {run.folder}")
    return run


def _default_folder(folder: Path, prior: str) -> Path:
    """Beside the run, named after both; of a custom prior FILE.py:NAME, the NAME."""
    folder = folder if folder.name not in ("", "..") else folder.resolve()
    return folder.with_name(f"{folder.name}+{prior.rpartition(':')[2]}")


def _fit(job: Job, old: VAE) -> list[float]:
    """Maximise the likelihood of posterior samples of the training images; what test codes gain: mean, its error."""
    vae, seed = job.vae.to(job.device), job.recipe.train.seed
    start = getattr(vae.prior, "start_from_codes", None)
    if callable(start):
        with seeded(seed, "start"):
            start(_codes(vae, job.train, seed, 0)[0])
    held_out = _codes(vae, job.validation if len(job.validation) else job.train, seed, -1)
    adam = Adam(vae.prior.parameters(), lr=RATE.learning_rate)
    best, weights = math.inf, vae.prior.state_dict()
    epochs = math.ceil(STEPS / math.ceil(len(job.train) / BATCH))
    for epoch in tqdm(range(1, epochs + 1), disable=job.console.quiet or None):
        z, y = _codes(vae, job.train, seed, epoch)
        batches = torch.randperm(len(z), generator=generator(seed, "order", epoch)).split(BATCH)
        for step, index in enumerate(batches):
            done = (epoch - 1 + step / len(batches)) / epochs
            adam.param_groups[0]["lr"] = learning_rate(RATE, done)
            loss = -_log_prior(vae, z[index], None if y is None else y[index]).mean()
            adam.zero_grad()
            loss.backward()
            adam.step()
        with torch.no_grad():
            left = -float(_log_prior(vae, *held_out).mean())
        if left < best:
            best, weights = (
                left,
                {name: tensor.clone() for name, tensor in vae.prior.state_dict().items()},
            )
    vae.prior.load_state_dict(weights)
    test = _codes(vae, job.test, seed, -2)
    with torch.no_grad():
        gain = _log_prior(vae, *test) - _log_prior(old, *test)
    found = mean(gain)
    return [found.value, found.error or 0.0]


def _log_prior(vae: VAE, z: Tensor, y: Tensor | None) -> Tensor:
    """log p(z), (N,)."""
    found: Tensor = vae.prior(*vae.given(y)).log_prob(z)
    return found


@torch.no_grad()
def _codes(vae: VAE, images: Batches, seed: int, epoch: int) -> tuple[Tensor, Tensor | None]:
    """One posterior sample of every image, (N, L), and the labels."""
    device = images.x.device
    chance = generator(seed, "codes data", epoch, device)
    with seeded(seed, "codes", epoch):
        z = [
            vae.encoder(images(index, chance), *vae.given(images.labels(index))).sample()
            for index in torch.arange(len(images), device=device).split(vae.rows_at_once())
        ]
    return torch.cat(z), images.y
