"""Discrete codes: z is T variables of C values each, as the vectors that stand for the values, side
by side.

`model.latent` is T, `model.codes` is C. Quantised codes are not random: all mass of q(z|x) is on
one sequence of values, so KL(q || p) = -log p(z) is the length of that code in nats, and distortion
+ rate bounds -log p(x).
"""

from vaelab.models.codes.autoregressive import Autoregressive, CodeSequence
from vaelab.models.codes.onehot import GumbelSoftmax, OneHots, UniformClasses
from vaelab.models.codes.quantised import (
    LEVELS,
    Code,
    FiniteScalarQuantised,
    Quantised,
    VectorQuantised,
    levels_of,
)

__all__ = [
    "LEVELS",
    "Autoregressive",
    "Code",
    "CodeSequence",
    "FiniteScalarQuantised",
    "GumbelSoftmax",
    "OneHots",
    "Quantised",
    "UniformClasses",
    "VectorQuantised",
    "levels_of",
]
