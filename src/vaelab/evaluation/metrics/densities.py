"""A density fitted to codes, and tail shares of scores."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from vaelab.evaluation.metrics.estimates import Estimate, resampled

COMPONENTS = (1, 4, 16, 64)  # candidate numbers of components; held-out codes decide
UNLIKELY = 0.05  # share of the test codes that counts as unlikely, or as lost
RESAMPLES = 200  # bootstrap resamples


def fitted_density(codes: Tensor, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """Fit a Gaussian mixture to codes (N, L) and return its log density, (S, L) -> (S,), in nats.

    Covariances are full. A held-out fifth of the codes selects the number of components, among
    numbers that leave at least 10 L codes for each component.

    For any density r, E_q(z)[log r(z) - log p(z)] is a lower bound on KL(q(z) || p(z)), and
    E[log q(z|x) - log r(z)] is an upper bound on the mutual information (Poole et al. 2019).

    References:
        Poole et al., On variational bounds of mutual information, 2019, arXiv:1905.06922.
        Ghosh et al., From variational to deterministic autoencoders, 2020, arXiv:1903.12436, who
        fit mixtures to the codes of a trained autoencoder.
    """
    from sklearn.mixture import GaussianMixture  # imported here because it takes a second

    rows = codes.double().cpu()
    rows = rows if len(rows) > 1 else rows.expand(2, -1)  # scikit-learn needs two
    centre, scale = rows.mean(0), rows.std(0, correction=0)
    scale = scale.clamp(min=1e-6 * float(scale.max()) or 1e-6)  # positive for constant codes too
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
    """Share of the scores `others` (S,) above the (1 - nominal) quantile of `reference` (N,).

    The share is in [0, 1]. If both sets come from one distribution, its expectation is `nominal`
    for any score; the choice of the score determines which differences are detected. The standard
    error is a bootstrap over both sets.

    If the score is the negative log density of codes, the share is the mass of the prior outside
    the highest-density region that holds 95 % of the codes. This is 1 minus the alpha-precision of
    Alaa et al. Rosca et al. score prior samples in this way.

    References:
        Alaa et al., How faithful is your synthetic data?, 2022, arXiv:2102.08921.
        Rosca, Lakshminarayanan & Mohamed, Distribution matching in variational inference, 2018,
        arXiv:1802.06847.
    """

    def share(a: Tensor, b: Tensor) -> float:
        return float((b > a.quantile(1 - nominal, interpolation="higher")).double().mean())

    return resampled(share, reference, others, times=RESAMPLES, seed=seed)


@contextmanager
def unconverged() -> Iterator[None]:
    """Ignore convergence warnings: an early stop, or too few clusters, is acceptable here."""
    from sklearn.exceptions import ConvergenceWarning  # imported here because it takes a second

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
