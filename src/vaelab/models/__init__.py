"""Models: a VAE is three distributions and the networks between them.

`VAE` and `Draw` are what the rest of the program uses. Likelihoods, priors, posteriors, networks
and objectives are the parts that a recipe names; `build` puts them together by one rule, which its
module describes.
"""

from vaelab.models.build import Goal, build, start, support
from vaelab.models.codes import Code, CodeSequence, OneHots, Quantised
from vaelab.models.columns import Features
from vaelab.models.describe import layers, summary
from vaelab.models.draw import Draw, sampled
from vaelab.models.flows import Flowed
from vaelab.models.hierarchy import Chain
from vaelab.models.importance import POOR, Imputed, Scores, imputed, scores
from vaelab.models.likelihoods import (
    Bernoulli,
    Choice,
    Columns,
    ContinuousBernoulliOfLogits,
    Likelihood,
    Mixed,
)
from vaelab.models.linear import Linear
from vaelab.models.networks import Networks
from vaelab.models.objectives import elbo, iwae
from vaelab.models.parts import evaluating
from vaelab.models.posteriors import Delta, FullNormal, Point, Posterior
from vaelab.models.sphere import VonMisesFisher, great_circle
from vaelab.models.units import InUnits, Units, units_of
from vaelab.models.vae import VAE, outputs

__all__ = [
    "POOR",
    "VAE",
    "Bernoulli",
    "Chain",
    "Choice",
    "Code",
    "CodeSequence",
    "Columns",
    "ContinuousBernoulliOfLogits",
    "Delta",
    "Draw",
    "Features",
    "Flowed",
    "FullNormal",
    "Goal",
    "Imputed",
    "InUnits",
    "Likelihood",
    "Linear",
    "Mixed",
    "Networks",
    "OneHots",
    "Point",
    "Posterior",
    "Quantised",
    "Scores",
    "Units",
    "VonMisesFisher",
    "build",
    "elbo",
    "evaluating",
    "great_circle",
    "imputed",
    "iwae",
    "layers",
    "outputs",
    "sampled",
    "scores",
    "start",
    "summary",
    "support",
    "units_of",
]
