"""The posteriors of a run's test images, as figures and explorers need them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Independent, MultivariateNormal

from vaelab.evaluation.metrics.information import variance_of_means
from vaelab.models import Draw, sampled
from vaelab.plots.style import Array, Labels
from vaelab.recipes import table
from vaelab.runs import Run
from vaelab.seeding import seeded


class Posterior(NamedTuple):
    """What is known of q(z|x) of N images; None where the model does not have it."""

    means: Array  # (N, L)
    z: Array | None = None  # (N, L), a sample of each; together, of the aggregate posterior
    prior: Array | None = None  # (N, L), samples of the prior; None where it is N(0, I)
    scales: Array | None = None  # (N, L), standard deviations
    rates: Array | None = None  # (N, L), KL divergence by dimension, nats
    rate: Array | None = None  # (N,), the whole KL divergence, nats; where terms are asked for
    distortion: Array | None = None  # (N,), -log p(x|z) of the sample, nats; likewise

    @property
    def activity(self) -> Array:
        """Var_x(E[z_j|x]) of each dimension, (L,)."""
        return np.asarray(variance_of_means(torch.from_numpy(self.means)))

    @property
    def order(self) -> Array:
        """The dimensions (L,), the most informative first: by KL, else by activity."""
        rank = self.activity if self.rates is None else self.rates.mean(0)
        return np.argsort(-rank, kind="stable")

    def axis(self, dimension: int, steps: Array) -> Array:
        """Return the values of a latent coordinate at `steps` standard deviations about its mean.

        They are those of the prior N(0, I), or else of the codes.
        """
        if self.prior is None and self.scales is not None:
            return steps
        codes = self.means if self.z is None else self.z
        return np.asarray(codes[:, dimension].mean() + steps * codes[:, dimension].std())


@torch.no_grad()
def posterior_of(run: Run, x: Tensor, y: Labels, terms: bool = False) -> Posterior:
    """Return the posteriors of images x (N, *shape), in chunks that fit the memory budget.

    With `terms` also rate and distortion, which need the decoder.
    """
    vae, part = run.vae, table.part("model.posterior", run.recipe.model.posterior)
    columns: dict[str, list[Tensor]] = {}
    random = "random" in part.traits
    with seeded(run.recipe.train.seed, "posterior"):
        for which in torch.arange(len(x)).split(vae.rows_at_once()):
            rows = x[which]
            given = vae.given(None if y is None else torch.from_numpy(y)[which])
            q, p = vae.encoder(rows, *given), vae.prior(*given)
            z, log_qz = sampled(q, 1)
            log_px = z.new_zeros(z.shape[:2])
            if terms:
                log_px = vae.decoder(z, *given).log_prob(rows)
            draw = Draw(z, log_px, q, p, log_qz=log_qz)
            found = {"means": q.mean}
            if part.space not in ("codes", "classes"):
                found |= _parts(draw, run.recipe.model.prior != "normal", random)
            if terms:
                found |= {"rate": draw.rate, "distortion": draw.distortion}
            for key, value in found.items():
                columns.setdefault(key, []).append(value)
    return Posterior(**{key: torch.cat(parts).numpy() for key, parts in columns.items()})


def _parts(draw: Draw, learned: bool, random: bool) -> dict[str, Tensor]:
    """Return the columns of a chunk beside the means, each (B, L)."""
    z, q, p = draw.z[0], draw.q, draw.p
    found = {"z": z}
    if learned:
        found["prior"] = p.sample() if p.batch_shape else p.sample((len(z),))
    if random and isinstance(q, Independent | MultivariateNormal):
        found["scales"] = q.stddev
    if random:
        found |= {"rates": draw.rates} if draw.rates.shape == z.shape else {}
    return found
