"""p(x|z): modules whose call on codes (..., latent) returns a Distribution, batch shape (...),
event shape of x.

Log densities are summed over all elements of x, constants included, in nats.
"""

from vaelab.models.likelihoods.base import Likelihood, Support
from vaelab.models.likelihoods.categories import Choice
from vaelab.models.likelihoods.counts import (
    NegativeBinomial,
    NegativeBinomialOfLogMean,
    Poisson,
    PoissonOfLogRate,
)
from vaelab.models.likelihoods.levels import (
    Categorical,
    CategoricalLevels,
    ColourLogistics,
    DiscretisedLogistics,
    LogisticMixture,
)
from vaelab.models.likelihoods.mixed import Columns, Mixed
from vaelab.models.likelihoods.real import (
    Gaussian,
    GaussianLearned,
    GaussianOptimal,
    Laplace,
    NormalOfBestSigma,
)
from vaelab.models.likelihoods.unit import (
    Bernoulli,
    ContinuousBernoulli,
    ContinuousBernoulliOfLogits,
)

__all__ = [
    "Bernoulli",
    "Categorical",
    "CategoricalLevels",
    "Choice",
    "ColourLogistics",
    "Columns",
    "ContinuousBernoulli",
    "ContinuousBernoulliOfLogits",
    "DiscretisedLogistics",
    "Gaussian",
    "GaussianLearned",
    "GaussianOptimal",
    "Laplace",
    "Likelihood",
    "LogisticMixture",
    "Mixed",
    "NegativeBinomial",
    "NegativeBinomialOfLogMean",
    "NormalOfBestSigma",
    "Poisson",
    "PoissonOfLogRate",
    "Support",
]
