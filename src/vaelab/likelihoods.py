"""p(x|z): modules whose call on codes (..., latent) returns a Distribution with batch shape (...), event shape of x.

Log densities are summed over all elements of x, constants included, in nats.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Distribution, Independent, Normal
from torch.nn.functional import softplus

from vaelab.networks import at_least_float32


class Likelihood(nn.Module, ABC):
    """A network (N, latent) -> (N, *shape) and the elementwise distribution its outputs parametrise."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor) -> Independent[Distribution]:
        outputs = at_least_float32(self.network(z.flatten(0, -2)))
        elements = self.elements(outputs.unflatten(0, z.shape[:-1]))
        return Independent(elements, outputs.dim() - 1, validate_args=False)

    @abstractmethod
    def elements(self, outputs: Tensor) -> Distribution:
        """The distribution of each element, given the network's outputs (..., *shape)."""


class Bernoulli(Likelihood):
    """log p(x|z) = sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)), l the network's logits, s the sigmoid.

    A likelihood for x in {0, 1}; with grey levels in [0, 1] it is the usual binary cross-entropy, which is no log
    density: its maximum is the entropy of the soft targets, not 0.
    """

    def elements(self, outputs: Tensor) -> TorchBernoulli:
        return TorchBernoulli(logits=outputs, validate_args=False)


class ContinuousBernoulli(Likelihood):
    """p(x|l) = C(l) s(l)^x (1 - s(l))^(1-x) on [0, 1]: the cross-entropy made a density by its normaliser C.

    Loaiza-Ganem & Cunningham, The continuous Bernoulli, 2019, arXiv:1907.06845.
    """

    def elements(self, outputs: Tensor) -> ContinuousBernoulliOfLogits:
        return ContinuousBernoulliOfLogits(outputs)


class ContinuousBernoulliOfLogits(Distribution):
    """log p(x) = x l - softplus(l) + log C(l) with C(l) = l / tanh(l/2), and mean 1 / (1 - e^-l) - 1/l.

    Written in the logits l throughout: torch's own clamps the probability, which in float32 costs 0.2 nats a pixel at
    l = 20 and keeps the mean below 0.94. Near l = 0, where both formulas read 0/0, their Taylor series stand in.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.near = logits.abs() < 0.04  # next terms of both series below 1e-11 there
        self.away = torch.where(self.near, torch.ones_like(logits), logits)  # l where the formulas hold
        super().__init__(logits.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        l2 = (self.logits / 2) ** 2
        series = l2 / 3 - 7 * l2**2 / 90 + 62 * l2**3 / 2835
        log_c = math.log(2) + torch.where(self.near, series, (self.away / 2 / (self.away / 2).tanh()).log())
        return value * self.logits - softplus(self.logits) + log_c

    @property
    def mean(self) -> Tensor:
        series = 0.5 + self.logits / 12 - self.logits**3 / 720
        return torch.where(self.near, series, 1 / -torch.expm1(-self.away) - 1 / self.away)


class Gaussian(Likelihood):
    """log p(x|z) = -sum_i ((x_i - f_i(z))^2 / (2 sigma^2) + log(sigma sqrt(2 pi))), one sigma for all elements.

    Where sigma is learned it starts at the value given: Rybkin, Daniilidis & Levine, Simple and effective VAE
    training with calibrated decoders, 2021, arXiv:2006.13202.
    """

    log_sigma: Tensor

    def __init__(self, network: nn.Module, sigma: float, learned: bool = False) -> None:
        super().__init__(network)
        log_sigma = torch.tensor(sigma).log()
        if learned:
            self.log_sigma = nn.Parameter(log_sigma)
        else:
            self.register_buffer("log_sigma", log_sigma)

    def elements(self, outputs: Tensor) -> Normal:
        return Normal(outputs, self.log_sigma.exp(), validate_args=False)
