"""Likelihoods for grey levels v = 0 .. levels - 1, where x = v / (levels - 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import cross_entropy, logsigmoid

from vaelab.models.likelihoods.base import Likelihood, Support, need_levels


class LogisticMixture(Likelihood):
    """P(v|z) = sum_k pi_k (s((v + 1/2 - m_k) / s_k) - s((v - 1/2 - m_k) / s_k)) of grey level v,
    s(.) the sigmoid.

    The lowest and the highest level also get the tails, so the probabilities of the levels sum to
    one. The network gives log pi_k, and m_k and log s_k on a scale where the grey levels span [-1,
    1], element by element: channels are independent.

    Salimans, Karpathy, Chen & Kingma, PixelCNN++, 2017, arXiv:1701.05517.
    """

    support: Support = "levels"
    density = False

    def __init__(self, network: nn.Module, levels: int) -> None:
        super().__init__(network)
        self.levels = levels

    @staticmethod
    def outputs(levels: int | None, logistics: int) -> int:
        need_levels("logistic-mixture", levels)
        return 3 * logistics

    def elements(self, outputs: Tensor) -> DiscretisedLogistics:
        return DiscretisedLogistics(outputs.unflatten(-1, (3, -1)), self.levels)


class DiscretisedLogistics(Distribution):
    """The distribution of `LogisticMixture`, for outputs (..., 3, K): logits, means and log scales
    of K logistics.

    With a and b the arguments of the two sigmoids, s(a) - s(b) = s(a) s(-b) (1 - e^(b - a)), which
    subtracts no two numbers near one, so no scale is too small for float32. An x between two levels
    counts as the nearer one.
    """

    def __init__(self, outputs: Tensor, levels: int) -> None:
        logits, mean, log_scale = outputs.unbind(-2)  # (..., K)
        self.top = levels - 1
        self.log_pi = logits.log_softmax(-1)
        self.m = self.top / 2 * (1 + mean)  # in levels, as all that follows
        # At the least scale, 0.03 levels, a level in the middle can have a probability of 1 - 1e-7.
        self.scale = 0.03 + self.top / 2 * log_scale.exp()
        super().__init__(outputs.shape[:-2], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        v = (value * self.top).round()[..., None]  # (..., 1)
        above, below = v < self.top, v > 0  # whether there are levels above and below
        log_p = above * logsigmoid((v + 0.5 - self.m) / self.scale)
        log_p = log_p + below * logsigmoid((self.m - v + 0.5) / self.scale)
        log_p = log_p + (above & below) * (-torch.expm1(-1 / self.scale)).log()
        return (self.log_pi + log_p).logsumexp(-1)

    @property
    def mean(self) -> Tensor:
        """E[x] in [0, 1]: E[v] = sum_j P(v > j)."""
        beyond = sum(
            (((self.m - j - 0.5) / self.scale).sigmoid() for j in range(self.top)),
            torch.zeros_like(self.m),
        )
        return ((self.log_pi.exp() * beyond).sum(-1) / self.top).clamp(max=1)


class Categorical(Likelihood):
    """log P(v|z) = l_v - log sum_u e^(l_u): a free probability for every grey level v.

    van den Oord, Kalchbrenner & Kavukcuoglu, Pixel recurrent neural networks, 2016,
    arXiv:1601.06759.
    """

    support: Support = "levels"
    density = False

    @staticmethod
    def outputs(levels: int | None) -> int:
        return need_levels("categorical", levels)

    def elements(self, outputs: Tensor) -> CategoricalLevels:
        return CategoricalLevels(outputs)


class CategoricalLevels(Distribution):
    """The distribution of `Categorical`, for logits (..., levels). An x between two levels counts
    as the nearer one.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits, self.top = logits, logits.shape[-1] - 1
        super().__init__(logits.shape[:-1], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        shape = torch.broadcast_shapes(value.shape, self.batch_shape)
        v = (value * self.top).round().long().expand(shape)
        return -cross_entropy(self.logits.expand(*shape, -1).movedim(-1, 1), v, reduction="none")

    @property
    def mean(self) -> Tensor:
        """E[x] in [0, 1]."""
        x = torch.arange(self.top + 1).to(self.logits) / self.top
        return (self.logits.softmax(-1) * x).sum(-1)
