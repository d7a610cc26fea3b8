"""Likelihoods for counts: whole numbers from 0."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import NegativeBinomial as TorchNegativeBinomial
from torch.distributions import Poisson as TorchPoisson
from torch.nn.functional import logsigmoid

from vaelab.models.likelihoods.base import Likelihood, Support


class Poisson(Likelihood):
    """log P(x|z) = sum_i x_i l_i - e^l_i - log x_i!, l the network's outputs, counts x.

    The rate is e^l, not a softplus: the log density is concave in l and exact for rates near 0, and
    a rate of hundreds is a few units of l away from the 1 of an untrained network, not hundreds.
    """

    support: Support = "counts"
    density = False

    def elements(self, outputs: Tensor) -> PoissonOfLogRate:
        return PoissonOfLogRate(outputs.squeeze(-1))


class PoissonOfLogRate(TorchPoisson):
    """A Poisson in the logarithm of its rate; torch's own has no gradient where the rate
    underflows.
    """

    def __init__(self, log_rate: Tensor) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.exp(), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return value * self.log_rate - self.rate - (value + 1).lgamma()


class NegativeBinomial(Likelihood):
    """Counts x of mean m = e^l, l the network's outputs, and variance m + m^2 / r; summed over the
    elements,

        log P(x|z) = log G(x + r) - log G(r) - log x! + r log(r / (r + m)) + x log(m / (r + m)), G
        the gamma function.

    Every element has its own inverse dispersion r, learned, the same for all z, initially 1. The
    limit of large r is the Poisson distribution.

    Lopez, Regier, Cole, Jordan & Yosef, Deep generative modeling for single-cell transcriptomics,
    2018, doi:10.1038/s41592-018-0229-2, whose dispersion belongs to a gene.
    """

    support: Support = "counts"
    density = False

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__(network)
        self.log_r = nn.Parameter(torch.zeros(shape))

    def elements(self, outputs: Tensor) -> NegativeBinomialOfLogMean:
        log_r = self.log_r.clamp(max=20)  # indistinguishable from a Poisson
        return NegativeBinomialOfLogMean(outputs.squeeze(-1), log_r)


class NegativeBinomialOfLogMean(TorchNegativeBinomial):
    """The counts of `NegativeBinomial`, by log m and log r; in float64 where terms of the size of r
    log r cancel.
    """

    def __init__(self, log_mean: Tensor, log_r: Tensor) -> None:
        self.log_r = log_r
        super().__init__(log_r.exp(), logits=log_mean - log_r, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        x, r = value.double(), self.log_r.double().exp()
        ways = ((x + r).lgamma() - r.lgamma() - (x + 1).lgamma()).to(self.logits)  # (B, *shape)
        return ways + self.total_count * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
