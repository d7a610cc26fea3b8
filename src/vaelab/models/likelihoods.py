"""p(x|z): modules whose call on codes (..., latent) returns a Distribution with batch shape (...), event shape of x.

Log densities are summed over all elements of x, constants included, in nats.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Distribution, Independent, Normal
from torch.distributions import Laplace as TorchLaplace
from torch.distributions import NegativeBinomial as TorchNegativeBinomial
from torch.distributions import Poisson as TorchPoisson
from torch.nn.functional import cross_entropy, logsigmoid, softplus

from vaelab.errors import UserError
from vaelab.models.networks import at_least_float32

# Where x lives: {0, 1} or between, any real number, whole numbers from 0, or grey levels v / (levels - 1)
Support: TypeAlias = Literal["unit", "real", "counts", "levels"]


class Likelihood(nn.Module, ABC):
    """A network (N, L) -> (N, P, *shape) and the elementwise distribution that its P outputs an element parametrise.

    A subclass names in its constructor the settings it wants (see `build.supply`), states where its x lives and, where
    an element needs more than one number, overrides `outputs`.
    """

    support: Support = "real"
    # P, the numbers that an element needs; a subclass may ask for settings by name, as in its constructor
    outputs: ClassVar[Callable[..., int]] = staticmethod(lambda: 1)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: Tensor, *y: Tensor) -> Independent[Distribution]:
        """p(x|z) of codes z (..., L); where conditional, of classes y whose shape z's leading one ends with."""
        given = (labels.expand(z.shape[:-1]).flatten() for labels in y)
        outputs = at_least_float32(self.network(z.flatten(0, -2), *given))  # (N, P, *shape)
        elements = self.elements(outputs.movedim(1, -1).unflatten(0, z.shape[:-1]))
        return Independent(elements, outputs.dim() - 2, validate_args=False)

    @abstractmethod
    def elements(self, outputs: Tensor) -> Distribution:
        """The distribution of each element (..., *shape), given the network's outputs (..., *shape, P)."""


class Bernoulli(Likelihood):
    """log p(x|z) = sum_i x_i log s(l_i) + (1 - x_i) log(1 - s(l_i)), l the network's logits, s the sigmoid.

    A likelihood for x in {0, 1}; with grey levels in [0, 1] it is the usual binary cross-entropy, which is no log
    density: its maximum is the entropy of the soft targets, not 0.
    """

    support: Support = "unit"

    def __init__(self, network: nn.Module, pixel_means: bool = False) -> None:
        super().__init__(network)
        self.pixel_means = pixel_means

    @torch.no_grad()
    def start_from_images(self, x: Tensor) -> None:
        """Where asked for, the last bias becomes the logits of the mean of x (B, *shape); one a channel if shared."""
        if self.pixel_means:
            bias, mean = [*self.network.parameters()][-1], x.mean(0)
            mean = mean if len(bias) == mean.numel() else mean.flatten(-2).mean(-1)
            bias.copy_(mean.flatten().clamp(0.001, 0.999).logit())

    def elements(self, outputs: Tensor) -> TorchBernoulli:
        return TorchBernoulli(logits=outputs[..., 0], validate_args=False)


class ContinuousBernoulli(Likelihood):
    """p(x|l) = C(l) s(l)^x (1 - s(l))^(1-x) on [0, 1]: the cross-entropy made a density by its normaliser C.

    Loaiza-Ganem & Cunningham, The continuous Bernoulli, 2019, arXiv:1907.06845.
    """

    support: Support = "unit"

    def elements(self, outputs: Tensor) -> ContinuousBernoulliOfLogits:
        return ContinuousBernoulliOfLogits(outputs[..., 0])


class ContinuousBernoulliOfLogits(Distribution):
    """log p(x) = x l - softplus(l) + log C(l) with C(l) = l / tanh(l/2), and mean 1 / (1 - e^-l) - 1/l.

    Written in the logits l throughout: torch's own clamps the probability, which in float32 costs 0.2 nats a pixel at
    l = 20 and keeps the mean below 0.94. Near l = 0, where both formulas read 0/0, their Taylor series stand in.
    """

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        self.near = logits.abs() < 0.04  # next terms of both series below 1e-11 there
        self.away = torch.where(
            self.near, torch.ones_like(logits), logits
        )  # l where the formulas hold
        super().__init__(logits.shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        l2 = (self.logits / 2) ** 2
        series = l2 / 3 - 7 * l2**2 / 90 + 62 * l2**3 / 2835
        log_c = math.log(2) + torch.where(
            self.near, series, (self.away / 2 / (self.away / 2).tanh()).log()
        )
        return value * self.logits - softplus(self.logits) + log_c

    @property
    def mean(self) -> Tensor:
        series = 0.5 + self.logits / 12 - self.logits**3 / 720
        return torch.where(self.near, series, 1 / -torch.expm1(-self.away) - 1 / self.away)


class Gaussian(Likelihood):
    """log p(x|z) = -sum_i ((x_i - f_i(z))^2 / (2 sigma^2) + log(sigma sqrt(2 pi))), one sigma for all elements."""

    log_sigma: Tensor

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__(network)
        self.register_buffer("log_sigma", torch.tensor(sigma).log())

    def elements(self, outputs: Tensor) -> Normal:
        return Normal(outputs[..., 0], self.log_sigma.exp(), validate_args=False)


class GaussianLearned(Gaussian):
    """The Gaussian with a learned sigma, which starts at the value given.

    Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders, 2021, arXiv:2006.13202.
    """

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__(network, sigma)
        del self.log_sigma  # the buffer
        self.log_sigma = nn.Parameter(torch.tensor(sigma).log())


class GaussianOptimal(Gaussian):
    """The Gaussian with the sigma that fits best: in training the root mean square error of each batch it is asked for.

    The log density of that batch is then its maximum over sigma, -D/2 log(2 pi e MSE) on average over images of D
    elements. Evaluation goes by a running mean of log sigma, which starts at the value given.

    Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders, 2021, arXiv:2006.13202.
    """

    def elements(self, outputs: Tensor) -> Normal:
        return (
            NormalOfBestSigma(outputs[..., 0], self.log_sigma)
            if self.training
            else super().elements(outputs)
        )


class NormalOfBestSigma(Normal):
    """log p(x) = max over sigma of log N(x; loc, sigma^2), one sigma >= e^-6 for all elements of x.

    The gradient is that of the maximum, through sigma too. Every call moves `log_sigma`, in place, a tenth of the way.
    """

    def __init__(self, loc: Tensor, log_sigma: Tensor) -> None:
        self.log_sigma = log_sigma
        super().__init__(loc, log_sigma.exp(), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        variance = (
            (value - self.loc).square().mean().clamp(min=math.exp(-12))
        )  # below, its logarithm runs away
        self.log_sigma.lerp_(variance.detach().log() / 2, 0.1)
        log_p: Tensor = Normal(self.loc, variance.sqrt(), validate_args=False).log_prob(value)
        return log_p


class Laplace(Likelihood):
    """log p(x|z) = -sum_i (|x_i - f_i(z)| / b + log 2b), one learned b for all elements, which starts at `sigma`."""

    def __init__(self, network: nn.Module, sigma: float) -> None:
        super().__init__(network)
        self.log_scale = nn.Parameter(torch.tensor(sigma).log())

    def elements(self, outputs: Tensor) -> TorchLaplace:
        return TorchLaplace(outputs[..., 0], self.log_scale.exp(), validate_args=False)


class LogisticMixture(Likelihood):
    """P(v|z) = sum_k pi_k (s((v + 1/2 - m_k) / s_k) - s((v - 1/2 - m_k) / s_k)) of grey level v, s(.) the sigmoid.

    x = v / (levels - 1); the lowest and the highest level have the tails too, so the levels' probabilities sum to one.
    The network gives log pi_k, and m_k and log s_k on a scale where the grey levels span [-1, 1], element by element:
    channels are independent.

    Salimans, Karpathy, Chen & Kingma, PixelCNN++, 2017, arXiv:1701.05517.
    """

    support: Support = "levels"

    def __init__(self, network: nn.Module, levels: int) -> None:
        super().__init__(network)
        self.levels = levels

    @staticmethod
    def outputs(levels: int | None, logistics: int) -> int:
        _need_levels("logistic-mixture", levels)
        return 3 * logistics

    def elements(self, outputs: Tensor) -> DiscretisedLogistics:
        return DiscretisedLogistics(outputs.unflatten(-1, (3, -1)), self.levels)


class DiscretisedLogistics(Distribution):
    """The mixture of `LogisticMixture`, of outputs (..., 3, K): logits, means and log scales of K logistics.

    With a and b the arguments of the two sigmoids, s(a) - s(b) = s(a) s(-b) (1 - e^(b - a)): no difference of two
    numbers near one, so no scale is too sharp for float32. An x between two levels counts as the nearer one.
    """

    def __init__(self, outputs: Tensor, levels: int) -> None:
        logits, mean, log_scale = outputs.unbind(-2)  # (..., K)
        self.top = levels - 1
        self.log_pi = logits.log_softmax(-1)
        self.m = self.top / 2 * (1 + mean)  # in levels, from here on
        self.scale = (
            0.03 + self.top / 2 * log_scale.exp()
        )  # sharp enough: a level in the middle can have 1 - 1e-7
        super().__init__(outputs.shape[:-2], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        v = (value * self.top).round()[..., None]  # (..., 1)
        above, below = v < self.top, v > 0  # are there levels above, below? Else the tail is ours
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
    """log P(v|z) = l_v - log sum_u e^(l_u): a free probability for every grey level v, where x = v / (levels - 1).

    van den Oord, Kalchbrenner & Kavukcuoglu, Pixel recurrent neural networks, 2016, arXiv:1601.06759.
    """

    support: Support = "levels"

    @staticmethod
    def outputs(levels: int | None) -> int:
        return _need_levels("categorical", levels)

    def elements(self, outputs: Tensor) -> CategoricalLevels:
        return CategoricalLevels(outputs)


class CategoricalLevels(Distribution):
    """The grey levels of `Categorical`, of logits (..., levels). An x between two levels counts as the nearer one."""

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


class Poisson(Likelihood):
    """log P(x|z) = sum_i x_i l_i - e^l_i - log x_i!, l the network's outputs, counts x.

    The rate is e^l, not a softplus: the log density is concave in l, exact for rates next to 0, and a rate of hundreds
    is a few units away from a fresh network's 1, not hundreds.
    """

    support: Support = "counts"

    def elements(self, outputs: Tensor) -> PoissonOfLogRate:
        return PoissonOfLogRate(outputs[..., 0])


class PoissonOfLogRate(TorchPoisson):
    """Torch's own takes the logarithm of the rate, and so has no gradient where that underflows."""

    def __init__(self, log_rate: Tensor) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.exp(), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        return value * self.log_rate - self.rate - (value + 1).lgamma()


class NegativeBinomial(Likelihood):
    """Counts x of mean m = e^l, l the network's outputs, and variance m + m^2 / r, summed over the elements:

        log P(x|z) = log G(x + r) - log G(r) - log x! + r log(r / (r + m)) + x log(m / (r + m)), G the gamma function.

    Every element has an inverse dispersion r of its own, learned, the same for all z, at first 1; as r grows this is
    a Poisson's.

    Lopez, Regier, Cole, Jordan & Yosef, Deep generative modeling for single-cell transcriptomics, 2018,
    doi:10.1038/s41592-018-0229-2, whose dispersion belongs to a gene.
    """

    support: Support = "counts"

    def __init__(self, network: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__(network)
        self.log_r = nn.Parameter(torch.zeros(shape))

    def elements(self, outputs: Tensor) -> NegativeBinomialOfLogMean:
        return NegativeBinomialOfLogMean(
            outputs[..., 0], self.log_r.clamp(max=20)
        )  # a Poisson's long before


class NegativeBinomialOfLogMean(TorchNegativeBinomial):
    """The counts of `NegativeBinomial`, of log m and log r; in float64 where terms of the size of r log r cancel."""

    def __init__(self, log_mean: Tensor, log_r: Tensor) -> None:
        self.log_r = log_r
        super().__init__(log_r.exp(), logits=log_mean - log_r, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        x, r = value.double(), self.log_r.double().exp()
        ways = ((x + r).lgamma() - r.lgamma() - (x + 1).lgamma()).to(self.logits)  # (B, *shape)
        return ways + self.total_count * logsigmoid(-self.logits) + value * logsigmoid(self.logits)


def _need_levels(likelihood: str, levels: int | None) -> int:
    if levels is None:
        raise UserError(
            f"model.likelihood: {likelihood!r} needs grey levels, these data are real values; use gaussian"
        )
    return levels
