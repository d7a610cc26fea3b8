"""Likelihoods for values in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Distribution
from torch.nn.functional import softplus

from vaelab.models.likelihoods.base import Likelihood, Support
from vaelab.models.operations import log_bernoulli


class Bernoulli(Likelihood):
    """log p(x|z) = sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)), l the network's logits, s the
    sigmoid.

    A likelihood for x in {0, 1}; for grey levels in [0, 1] it is the usual binary cross-entropy,
    which is not a log density: its least value is the entropy of the soft targets, not 0.
    """

    support: Support = "unit"
    density = False

    def __init__(self, network: nn.Module, pixel_means: bool = False) -> None:
        super().__init__(network)
        self.pixel_means = pixel_means

    @property
    def start_from_images(self) -> Callable[[Tensor], None] | None:
        """Set the last bias to the logits of the pixel means of x (B, *shape), or of the channel
        means if it is shared.

        None unless `pixel_means` asks for it.
        """
        return self._set_bias if self.pixel_means else None

    @torch.no_grad()
    def _set_bias(self, x: Tensor) -> None:
        x = x if self.units is None else self.units.inward(x)
        bias, mean = [*self.network.parameters()][-1], x.mean(0)
        mean = mean if len(bias) == mean.numel() else mean.flatten(-2).mean(-1)
        bias.copy_(mean.flatten().clamp(0.001, 0.999).logit())

    def elements(self, outputs: Tensor) -> BernoulliOfLogits:
        return BernoulliOfLogits(logits=outputs.squeeze(-1), validate_args=False)


class BernoulliOfLogits(TorchBernoulli):
    """torch's Bernoulli, whose density is evaluated in fewer steps (`log_bernoulli`)."""

    def log_prob(self, value: Tensor) -> Tensor:
        return log_bernoulli(value, self.logits)


class ContinuousBernoulli(Likelihood):
    """p(x|l) = C(l) s(l)^x (1 - s(l))^(1-x) on [0, 1]: the cross-entropy, normalised to a density
    by C.

    Loaiza-Ganem & Cunningham, The continuous Bernoulli, 2019, arXiv:1907.06845.
    """

    support: Support = "unit"

    def elements(self, outputs: Tensor) -> ContinuousBernoulliOfLogits:
        return ContinuousBernoulliOfLogits(outputs.squeeze(-1))


class ContinuousBernoulliOfLogits(Distribution):
    """log p(x) = x l - softplus(l) + log C(l) with C(l) = l / tanh(l/2), and mean 1 / (1 - e^-l) -
    1/l.

    Written in the logits l throughout: torch's own clamps the probability, which in float32 costs
    0.2 nats a pixel at l = 20 and keeps the mean below 0.94. Near l = 0, where both formulas lose
    digits (and more of them where a runtime has no expm1), their Taylor series replace them.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.near = logits.abs() < 0.25  # there the next terms of both series are below 1e-10
        self.away = torch.where(self.near, torch.ones_like(logits), logits)
        super().__init__(logits.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        l2 = (self.logits / 2) ** 2
        series = l2 / 3 - 7 * l2**2 / 90 + 62 * l2**3 / 2835 - 127 * l2**4 / 18900
        log_c = math.log(2) + torch.where(
            self.near, series, (self.away / 2 / (self.away / 2).tanh()).log()
        )
        return value * self.logits - softplus(self.logits) + log_c

    @property
    def mean(self) -> Tensor:
        series = 0.5 + self.logits / 12 - self.logits**3 / 720 + self.logits**5 / 30240
        return torch.where(self.near, series, 1 / -torch.expm1(-self.away) - 1 / self.away)
