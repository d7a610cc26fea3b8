"""One-hot codes: T categorical variables of C values each."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.distributions.kl import register_kl
from torch.nn.functional import gumbel_softmax, one_hot

from vaelab.models.posteriors import Affine


class GumbelSoftmax(Affine):
    """q(z|x) = prod_t Categorical(z_t; softmax(l_t(x))), z_t one-hot; relaxed to the simplex in
    training. L = T * C.

    The rate is always that of the categorical variables, so with relaxed samples the ELBO is not a
    bound; in evaluation it is. Jang, Gu & Poole, Categorical reparameterization with
    Gumbel-softmax, 2017, arXiv:1611.01144; Maddison, Mnih & Teh, The concrete distribution, 2017,
    arXiv:1611.00712.
    """

    def __init__(
        self, network: nn.Module, features: int, latent: int, codes: int, temperature: float
    ) -> None:
        super().__init__(network, features, latent * codes)
        self.codes, self.temperature = codes, temperature

    @staticmethod
    def size(latent: int, codes: int) -> int:
        """Return L = T * C."""
        return latent * codes

    def forward(self, x: Tensor, *y: Tensor) -> OneHots:
        logits = self.read(x, *y).unflatten(-1, (-1, self.codes))  # (B, T, C)
        return OneHots(logits, self.temperature if self.training else 0.0)


class UniformClasses(nn.Module):
    """p(z) = C^-T: uniform over the values of each of T variables."""

    zero: Tensor

    def __init__(self, latent: int, codes: int) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(latent, codes), persistent=False)

    def forward(self, *y: Tensor) -> OneHots:
        return OneHots(self.zero)


class OneHots(Distribution):
    """T independent categorical variables as one-hot vectors side by side: logits (*batch, T, C),
    event (T * C,).

    log_prob is that of the values, in nats; `mean` is their probabilities. Above temperature 0,
    samples are relaxed: softmax((logits + Gumbel noise) / temperature), differentiable.
    """

    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float = 0.0) -> None:
        self.logits, self.temperature = logits.log_softmax(-1), temperature
        super().__init__(
            logits.shape[:-2], torch.Size([logits.shape[-2:].numel()]), validate_args=False
        )

    @property
    def mean(self) -> Tensor:
        return self.logits.exp().flatten(-2)

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        noisy = gumbel_softmax(
            self.logits.expand(*sample_shape, *self.logits.shape), self.temperature or 1.0
        )
        # The argmax of logits and Gumbel noise is a categorical sample at any temperature.
        hard = one_hot(noisy.argmax(-1), noisy.shape[-1]).to(noisy)
        return (noisy if self.temperature else hard).flatten(-2)

    def log_prob(self, value: Tensor) -> Tensor:
        return (value * self.logits.flatten(-2)).sum(-1)

    def entropy(self) -> Tensor:
        return -(self.logits.exp() * self.logits).sum((-2, -1))


def _kl_of_values(q: OneHots, p: OneHots) -> Tensor:
    """sum_t sum_c q_tc (log q_tc - log p_tc); log C - H_t each where p is uniform."""
    return (q.logits.exp() * (q.logits - p.logits)).sum((-2, -1))


register_kl(OneHots, OneHots)(_kl_of_values)
