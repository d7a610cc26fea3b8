"""The posteriors of a run's test images, as the figures of latent dimensions need them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal

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

    @property
    def activity(self) -> Array:
        """Var_x(E[z_j|x]) of each dimension, (L,)."""
        return np.asarray(self.means.var(0, dtype=np.float64))

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
def posterior_of(run: Run, x: Tensor, y: Labels) -> Posterior:
    """Return the posteriors of images x (N, *shape), in chunks that fit the memory budget."""
    vae, part = run.vae, table.part("model.posterior", run.recipe.model.posterior)
    columns: dict[str, list[Tensor]] = {"means": []}
    random = "random" in part.traits
    size = vae.rows_at_once()
    with seeded(run.recipe.train.seed, "posterior"):
        for i in range(0, len(x), size):
            rows = x[i : i + size]
            given = vae.given(None if y is None else torch.from_numpy(y[i : i + size]))
            q = vae.encoder(rows, *given)
            columns["means"].append(q.mean)
            if part.space not in ("codes", "classes"):
                p = vae.prior(*given)
                for key, value in _parts(q, p, run.recipe.model.prior != "normal", random).items():
                    columns.setdefault(key, []).append(value)
    return Posterior(**{key: torch.cat(parts).numpy() for key, parts in columns.items()})


def _parts(q: Distribution, p: Distribution, learned: bool, random: bool) -> dict[str, Tensor]:
    """Return the columns of a chunk beside the means, each (B, L)."""
    z, log_qz = sampled(q, 1)
    found = {"z": z[0]}
    if learned:
        found["prior"] = p.sample() if p.batch_shape else p.sample((len(z[0]),))
    if random and isinstance(q, Independent | MultivariateNormal):
        found["scales"] = q.stddev
    if random:
        rates = Draw(z, z.new_zeros(z.shape[:2]), q, p, log_qz=log_qz).rates
        found |= {"rates": rates} if rates.shape == z.shape[1:] else {}
    return found
