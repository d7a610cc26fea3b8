"""A density fitted to codes, and the share of one set of scores beyond another."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from vaelab.evaluation.metrics.estimates import Estimate, resampled

COMPONENTS = (1, 4, 16, 64)  # of that mixture: what fits held-out codes best
UNLIKELY = 0.05  # share of the test codes themselves that counts as unlikely, or as lost
RESAMPLES = 200  # of the bootstrap


def fitted_density(codes: Tensor, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """The log density, in nats, of a mixture of Gaussians fitted to codes (N, L): a function from (S, L) to (S,).

    All covariances are free. How many components there are, each with 10 L codes or more, a fifth of the codes decides.
    For any density r, E_q(z)[log r(z) - log p(z)] is at most KL(q(z) || p(z)), and E[log q(z|x) - log r(z)] at least
    the mutual information (Poole et al. 2019, arXiv:1905.06922). Mixtures fitted to the codes of a trained
    autoencoder: Ghosh et al. 2020, arXiv:1903.12436.
    """
    from sklearn.mixture import GaussianMixture  # here, for it takes a second to import

    rows = codes.double().cpu()
    rows = rows if len(rows) > 1 else rows.expand(2, -1)  # scikit-learn wants two
    centre, scale = rows.mean(0), rows.std(0, correction=0)
    scale = scale.clamp(min=1e-6 * float(scale.max()) or 1e-6)  # where all codes are equal
    standard = ((rows - centre) / scale).numpy()
    held_out = np.arange(len(rows)) % 5 == 0
    counts = [
        count for count in COMPONENTS if count == 1 or 10 * count * rows.shape[1] <= len(rows)
    ]
    mixtures = [GaussianMixture(count, reg_covar=1e-4, random_state=seed) for count in counts]
    with unconverged():
        for mixture in mixtures:
            mixture.fit(standard if len(counts) == 1 else standard[~held_out])
    best = max(mixtures, key=lambda mixture: mixture.score(standard[held_out]))

    def log_density(z: Tensor) -> Tensor:
        scores = best.score_samples(((z.double().cpu() - centre) / scale).numpy())
        return torch.from_numpy(scores) - scale.log().sum()

    return log_density


def share_beyond(
    reference: Tensor, others: Tensor, nominal: float = UNLIKELY, seed: int = 0
) -> Estimate:
    """Share of the scores `others` (S,) above the (1 - nominal) quantile of the scores `reference` (N,), in [0, 1].

    Where both come from one distribution it is `nominal` but for chance, whatever the score: that decides only which
    differences are seen. With minus the log density of codes for a score, it is the mass of the prior outside the
    region of highest density that holds 95 % of the codes, 1 less the alpha-precision of Alaa et al., How faithful is
    your synthetic data?, 2022, arXiv:2102.08921; prior samples were scored so by Rosca, Lakshminarayanan & Mohamed,
    Distribution matching in variational inference, 2018, arXiv:1802.06847. The standard error is a bootstrap's, over
    both.
    """

    def share(a: Tensor, b: Tensor) -> float:
        return float((b > a.quantile(1 - nominal, interpolation="higher")).double().mean())

    return resampled(share, reference, others, times=RESAMPLES, seed=seed)


@contextmanager
def unconverged() -> Iterator[None]:
    """A fit that stopped early, or found fewer clusters than components, is good enough here."""
    from sklearn.exceptions import ConvergenceWarning  # here, for it takes a second to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
