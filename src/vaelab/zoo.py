"""THE TABLE. A published variant is a row: the posterior, the prior and the objective it is made of.

The likelihood and the network are axes of their own (``model.likelihood``, ``model.network``): any row goes with any.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from vaelab import likelihoods, networks, objectives, posteriors, priors
from vaelab.core import VAE, Draw
from vaelab.errors import UserError, nearest
from vaelab.recipe import Model


class Row(NamedTuple):
    about: str
    posterior: Callable[[nn.Module, int, int], nn.Module]  # network, its features, latent -> q(z|x)
    prior: Callable[[int], nn.Module]  # latent -> p(z)
    objective: Callable[[Draw, float], Tensor]  # draw, beta -> nats per image (B,)
    reference: str


ROWS = {
    "vae": Row(
        "variational autoencoder; with objective.beta other than 1 a beta-VAE",
        posteriors.DiagonalGaussian,
        priors.StandardNormal,
        objectives.elbo,
        "Kingma & Welling 2013, arXiv:1312.6114",
    ),
    "ae": Row(
        "plain autoencoder: a point for a posterior, and nothing charged for the code",
        posteriors.Point,
        priors.StandardNormal,
        objectives.elbo,
        "Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647",
    ),
}

LIKELIHOODS: dict[str, Callable[[nn.Module, float], likelihoods.Likelihood]] = {  # network, sigma -> p(x|z)
    "bernoulli": lambda network, sigma: likelihoods.Bernoulli(network),
    "continuous-bernoulli": lambda network, sigma: likelihoods.ContinuousBernoulli(network),
    "gaussian": likelihoods.Gaussian,
    "gaussian-learned": partial(likelihoods.Gaussian, learned=True),
}

NETWORKS = {"mlp": networks.mlp, "conv": networks.conv}


def row(variant: str) -> Row:
    """The row of that name, or a `UserError` with the nearest one."""
    if variant not in ROWS:
        raise UserError(f"model.variant: there is no model {variant!r}; {nearest(variant, ROWS)}")
    return ROWS[variant]


def build(settings: Model, shape: tuple[int, ...]) -> VAE:
    """The model a recipe asks for, for data of this shape, freshly initialised from torch's global generator."""
    chosen = row(settings.variant)
    encoder, features, decoder = NETWORKS[settings.network](settings, shape)
    return VAE(
        chosen.posterior(encoder, features, settings.latent),
        LIKELIHOODS[settings.likelihood](decoder, settings.sigma),
        chosen.prior(settings.latent),
        shape,
    )
