"""What the code says about each column of a table, in nats, measured on held-out rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from vaelab.data.dataset import spread
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate, mean
from vaelab.seeding import seeded

ROWS, CODES = 500, 200  # held-out rows, and training rows whose codes stand for any code
DRAWS = 4  # codes of each held-out row
CHUNK = 10  # codes of training rows that are decoded at once, for all held-out rows


class Cells(NamedTuple):
    """The gain of each cell by its code, and what rows cost without one."""

    gains: list[Estimate]  # of each column: the mean over its filled cells, in nats per cell
    independent: Estimate  # -sum_j log p(x_j), of columns that know nothing of one another


@torch.no_grad()
def cells_of(evaluator: Evaluator) -> Cells:
    """Compare each column's density given the code with its density given any code.

        gain_j = E[log p(x_j|z)] - log p(x_j),    p(x_j) = mean_s p(x_j|z_s)

    with z ~ q(z|x) of the row itself and z_s ~ q(z|x_s) of training rows. A gain of 0 means that
    the reconstruction of a column is no better than its marginal distribution.
    """
    vae, (x, labels) = evaluator.vae, evaluator.held_out
    few = torch.from_numpy(spread(len(x), ROWS)).to(x.device)
    others = torch.from_numpy(spread(len(evaluator.x_train), CODES)).to(x.device)
    x, y = x[few], vae.given(None if labels is None else labels[few])
    known = vae.given(evaluator.train.labels(others))
    with seeded(evaluator.seed, "doctor cells"):
        own = vae.encoder(x, *y).sample(torch.Size([DRAWS]))
        any_code = vae.encoder(evaluator.x_train[others], *known).sample()

    def densities(z: Tensor) -> Tensor:
        """Return log p(x_ij|z_sij), (S, N, D)."""
        log_p: Tensor = vae.decoder(z, *y).base_dist.log_prob(x)
        return log_p.double()

    given = densities(own).mean(0)
    parts = [
        densities(z[:, None].expand(-1, len(x), -1)).logsumexp(0) for z in any_code.split(CHUNK)
    ]
    alone = torch.stack(parts).logsumexp(0) - math.log(len(any_code))  # (N, D)
    filled = ~x.isnan()
    gains = [
        mean((given - alone)[which, i]) if which.any() else Estimate(math.nan)
        for i, which in enumerate(filled.T)
    ]
    return Cells(gains, mean(-alone.sum(1)))  # the density of an empty cell is 1
