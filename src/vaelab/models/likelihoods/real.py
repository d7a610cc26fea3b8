"""Likelihoods for real values."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Laplace as TorchLaplace
from torch.distributions import Normal

from vaelab.models.batch import over_batch
from vaelab.models.likelihoods.base import Likelihood


class Gaussian(Likelihood):
    """log p(x|z) = -sum_i ((x_i - f_i(z))^2 / (2 sigma^2) + log(sigma sqrt(2 pi))), one sigma for
    all elements.
    """

    log_sigma: Tensor

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__(network)
        self.register_buffer("log_sigma", torch.tensor(sigma).log())

    def elements(self, outputs: Tensor) -> Normal:
        return Normal(outputs.squeeze(-1), self.log_sigma.exp(), validate_args=False)


class GaussianLearned(Gaussian):
    """The Gaussian with a learned sigma, initially `sigma`.

    Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders, 2021,
    arXiv:2006.13202.
    """

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__(network, sigma)
        del self.log_sigma  # the buffer becomes a parameter
        self.log_sigma = nn.Parameter(torch.tensor(sigma).log())


class GaussianOptimal(Gaussian):
    """The Gaussian with the maximum-likelihood sigma: in training the root mean square error of
    each batch.

    The log density of a batch is then its maximum over sigma, -D/2 log(2 pi e MSE) on average over
    images of D elements. Evaluation uses a running mean of log sigma, initially log `sigma`.

    Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders, 2021,
    arXiv:2006.13202.
    """

    def elements(self, outputs: Tensor) -> Normal:
        return (
            NormalOfBestSigma(outputs.squeeze(-1), self.log_sigma)
            if self.training
            else super().elements(outputs)
        )


class NormalOfBestSigma(Normal):
    """log p(x) = max over sigma of log N(x; loc, sigma^2), one sigma >= e^-6 for all elements of x.

    The gradient is that of the maximum, through sigma too. Every call moves `log_sigma` a tenth of
    the way, in place.
    """

    def __init__(self, loc: Tensor, log_sigma: Tensor) -> None:
        self.log_sigma = log_sigma
        super().__init__(loc, log_sigma.exp(), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        mse = over_batch((value - self.loc).square().mean())
        variance = mse.clamp(min=math.exp(-12))  # its logarithm must not diverge
        self.log_sigma.lerp_(variance.detach().log() / 2, 0.1)
        log_p: Tensor = Normal(self.loc, variance.sqrt(), validate_args=False).log_prob(value)
        return log_p


class Laplace(Likelihood):
    """log p(x|z) = -sum_i (|x_i - f_i(z)| / b + log 2b), one learned b for all elements, initially
    `sigma`.
    """

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__(network)
        self.log_scale = nn.Parameter(torch.tensor(sigma).log())

    def elements(self, outputs: Tensor) -> TorchLaplace:
        return TorchLaplace(outputs.squeeze(-1), self.log_scale.exp(), validate_args=False)
