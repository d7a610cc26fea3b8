"""p(x|z): modules whose call on codes (..., latent) returns a Distribution with batch shape (...), event shape of x.

Log densities are summed over all elements of x, constants included, in nats.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import ContinuousBernoulli as TorchContinuousBernoulli
from torch.distributions import Distribution, Independent, Normal

from vaelab.networks import at_least_float32


class Likelihood(nn.Module):
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

    def elements(self, outputs: Tensor) -> TorchContinuousBernoulli:
        return TorchContinuousBernoulli(logits=outputs, validate_args=False)


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
