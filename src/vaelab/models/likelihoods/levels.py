"""Likelihoods for grey levels v = 0 .. levels - 1, where x = v / (levels - 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Categorical as Categories
from torch.distributions import Distribution
from torch.nn.functional import cross_entropy, logsigmoid, softplus

from vaelab.models.likelihoods.base import Likelihood, Support, need_levels


class LogisticMixture(Likelihood):
    """P(v|z) = sum_k pi_k (s((v + 1/2 - m_k) / s_k) - s((v - 1/2 - m_k) / s_k)) of grey level v,
    s(.) the sigmoid.

    The lowest and the highest level also get the tails, so the probabilities of the levels sum to
    one. The network gives log pi_k, and m_k and log s_k on a scale where the grey levels span [-1,
    1], element by element.

    In colour images (3, H, W) the three levels of a pixel depend on one another: they share k, and
    on that scale

        m_green = m_g + tanh(a) red,    m_blue = m_b + tanh(b) red + tanh(c) green.

    Each k of a pixel takes 10 outputs: log pi, three m, three log s, and a, b, c.

    Salimans, Karpathy, Chen & Kingma, PixelCNN++, 2017, arXiv:1701.05517.
    """

    support: Support = "levels"
    density = False

    def __init__(self, network: nn.Module, levels: int, shape: tuple[int, ...]) -> None:
        super().__init__(network)
        self.levels, self.colour = levels, _colour(shape)

    @staticmethod
    def outputs(levels: int | None, logistics: int, shape: tuple[int, ...]) -> int:
        need_levels("logistic-mixture", levels)
        return -(-10 * logistics // 3) if _colour(shape) else 3 * logistics

    def elements(self, outputs: Tensor) -> Distribution:
        if self.colour:
            return ColourLogistics(outputs.movedim(-1, -4).flatten(-4, -3), self.levels)
        return DiscretisedLogistics(outputs.unflatten(-1, (3, -1)), self.levels)


def _colour(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] == 3


class DiscretisedLogistics(Distribution):
    """The distribution of a grey `LogisticMixture`, for outputs (..., 3, K): logits, means and log
    scales of K logistics. An x between two levels counts as the nearer one.
    """

    def __init__(self, outputs: Tensor, levels: int) -> None:
        logits, mean, log_scale = outputs.unbind(-2)  # (..., K)
        self.top = levels - 1
        self.log_pi = logits.log_softmax(-1)
        self.m = self.top / 2 * (1 + mean)  # in levels, as all that follows
        self.scale = _in_levels(log_scale, self.top)
        super().__init__(outputs.shape[:-2], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        v = (value * self.top).round()[..., None]  # (..., 1)
        return (self.log_pi + _log_level(v, self.m, self.scale, self.top)).logsumexp(-1)

    @property
    def mean(self) -> Tensor:
        """E[x] in [0, 1]: E[v] = sum_j P(v > j)."""
        beyond = sum(
            (((self.m - j - 0.5) / self.scale).sigmoid() for j in range(self.top)),
            torch.zeros_like(self.m),
        )
        return ((self.log_pi.exp() * beyond).sum(-1) / self.top).clamp(max=1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        k = Categories(logits=self.log_pi).sample(torch.Size(sample_shape))[..., None]
        m, scale = (part.expand(*k.shape[:-1], -1).gather(-1, k) for part in (self.m, self.scale))
        return _sampled(m, scale, self.top)[..., 0]


class ColourLogistics(Distribution):
    """The distribution of colour images (3, H, W) of `LogisticMixture`, for outputs (..., 10 K or
    more, H, W); those above 10 K are not used. An x between two levels counts as the nearer one.
    """

    def __init__(self, outputs: Tensor, levels: int) -> None:
        k, self.top = outputs.shape[-3] // 10, levels - 1
        self.log_pi = outputs[..., :k, :, :].log_softmax(-3)  # (..., K, H, W)
        parts = outputs[..., k : 10 * k, :, :].unflatten(-3, (3, k, 3))
        self.loc, log_scale, slopes = parts.unbind(-5)  # (..., K, 3, H, W)
        self.scale, self.slopes = _in_levels(log_scale, self.top), slopes.tanh()
        *batch, _, height, width = outputs.shape
        super().__init__(torch.Size(batch), torch.Size((3, height, width)), validate_args=False)

    def _means(self, x: Tensor) -> Tensor:
        """The m of each channel in levels, (..., K, 3, H, W), given x of those before it."""
        a, b, c = self.slopes.split(1, -3)  # (..., K, 1, H, W)
        red, green, _ = (2 * x - 1).split(1, -3)
        on_red = a * red
        shifts = torch.cat((torch.zeros_like(on_red), on_red, b * red + c * green), -3)
        means: Tensor = self.top / 2 * (1 + self.loc + shifts)
        return means

    def log_prob(self, value: Tensor) -> Tensor:
        v = (value * self.top).round()[..., None, :, :, :]  # (..., 1, 3, H, W)
        each = _log_level(v, self._means(v / self.top), self.scale, self.top)
        pixels = (self.log_pi + each.sum(-3)).logsumexp(-3)  # (..., H, W)
        return pixels.sum((-1, -2))

    @property
    def mean(self) -> Tensor:
        """E[x] in [0, 1] by a chain: in each k, the mean of a channel where those before it have
        their means.

        The chain is exact but for what the ends of the range cut off. The levels are not rounded:
        that is within half a level.
        """
        scale = self.scale.clamp(max=1000 * self.top)  # beyond, the two terms would cancel
        x = torch.zeros_like(self.loc)
        for channel in range(3):
            m = self._means(x)
            # The mean of a logistic cut off at 0 and top is the integral of P(v > t) between them.
            mean = scale * (softplus(m / scale) - softplus((m - self.top) / scale))
            x = torch.cat([x[..., :channel, :, :], (mean / self.top)[..., channel:, :, :]], -3)
        return (self.log_pi.exp()[..., None, :, :] * x).sum(-4).clamp(0, 1)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        pixels = Categories(logits=self.log_pi.movedim(-3, -1))
        k = pixels.sample(torch.Size(sample_shape))[..., None, None, :, :]  # (..., 1, 1, H, W)
        x = torch.zeros_like(self.loc).expand(*k.shape[:-4], *self.loc.shape[-4:])
        for channel in range(3):
            drawn = _sampled(self._means(x), self.scale, self.top)
            x = torch.cat([x[..., :channel, :, :], drawn[..., channel:, :, :]], -3)
        return x.gather(-4, k.expand(*k.shape[:-3], 3, -1, -1))[..., 0, :, :, :]


def _in_levels(log_scale: Tensor, top: int) -> Tensor:
    """The scale of a logistic in levels. At the least, 0.03, a level in the middle can have a
    probability of 1 - 1e-7; above the greatest, float32 would know no difference of two levels.
    """
    return 0.03 + top / 2 * log_scale.clamp(max=40).exp()


def _sampled(m: Tensor, scale: Tensor, top: int) -> Tensor:
    """A sample of a discretised logistic, as x in [0, 1]."""
    u = torch.rand_like(m).clamp(1e-6, 1 - 1e-6)
    return (m + scale * u.logit()).detach().round().clamp(0, top) / top


def _log_level(v: Tensor, m: Tensor, scale: Tensor, top: int) -> Tensor:
    """The log probability of level v of a logistic.

    With a and b the arguments of the two sigmoids, s(a) - s(b) = s(a) s(-b) (1 - e^(b - a)), which
    subtracts no two numbers near one, so no scale is too small for float32.
    """
    above, below = v < top, v > 0  # whether there are levels above and below
    log_p = above * logsigmoid((v + 0.5 - m) / scale)
    log_p = log_p + below * logsigmoid((m - v + 0.5) / scale)
    return log_p + (above & below) * (-torch.expm1(-1 / scale)).log()


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
