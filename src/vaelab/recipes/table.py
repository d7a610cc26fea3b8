"""The table of models: a published variant is a row of parts and settings.

A row chooses a posterior, a prior, an objective and perhaps a likelihood (`parts`); a recipe may
choose otherwise (``--model.prior vamp``), and `rules` says which choices do not go together.
Nothing here imports torch: `models.build` looks the code of the parts up and puts them together.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from vaelab.errors import UserError, nearest
from vaelab.recipes.custom import names_of
from vaelab.recipes.parts import AXES, CHOICES, Part

NUMBERS = ("beta", "gamma", "alpha", "capacity", "bits", "k", "m")  # weights an objective may take
LACKS = {  # why an objective or a prior refuses a posterior without the trait
    "density": "has no density to weight its samples by",
    "factorised": "does not factorise over dimensions",
    "moments": "has no mean and covariance in closed form",
    "random": "is not random",
    "charged": "has no rate that its encoder could change",
    "euclidean": "has codes that Euclidean distance does not compare",
    "mixable": "is not Gaussian, so it cannot be a component of a mixture",
}
SYNONYMS = {"gpu": "cuda", "bf16": "bfloat16", "fp32": "float32", "binary": "dynamic"}

Choice: TypeAlias = Any  # a name of the axis; in a custom row also the class or function itself


class Row(NamedTuple):
    """A published variant. What a recipe sets itself goes over the row's settings."""

    about: str
    cites: str  # keys of references.bib
    posterior: Choice = "gaussian"
    prior: Choice = "normal"
    objective: Choice = "elbo"
    likelihood: Choice = ""  # any, unless the variant is defined by it
    settings: Mapping[str, Any] = {}

    def laid_out(self) -> dict[str, Any]:
        """``{"model.posterior": "gaussian", ...}``."""
        axes = {
            "model.posterior": self.posterior,
            "model.prior": self.prior,
            "objective.name": self.objective,
            "model.likelihood": self.likelihood,
        }
        return {axis: name for axis, name in axes.items() if name} | dict(self.settings)


# fmt: off
ROWS = {
    "vae": Row("variational autoencoder", "kingma2014auto rezende2014stochastic"),
    "ae": Row("autoencoder: deterministic code, no KL term", "hinton2006reducing",
        posterior="point"),
    "rae-gp": Row("regularised autoencoder, gradient penalty", "ghosh2020variational",
        posterior="point", objective="rae-gp",
        settings={"objective.beta": 0.1, "objective.gamma": 0.01}),
    "rae-l2": Row("regularised autoencoder, weight decay", "ghosh2020variational",
        posterior="point", objective="rae-l2",
        settings={"objective.beta": 0.1, "objective.gamma": 0.01}),
    "wae-mmd": Row("Wasserstein autoencoder", "tolstikhin2018wasserstein",
        posterior="point", objective="wae-mmd", settings={"objective.gamma": 10.0}),
    "beta-vae": Row("KL weighted by beta", "higgins2017beta", settings={"objective.beta": 4.0}),
    "capacity-vae": Row("KL held at a growing capacity", "burgess2018understanding",
        objective="capacity", settings={"objective.capacity": 25.0, "objective.gamma": 30.0,
        "objective.grows": ["capacity"], "objective.warmup": 10.0}),
    "free-bits": Row("free bits", "kingma2016improved",
        objective="free-bits", settings={"objective.bits": 0.25}),
    "sigma-vae": Row("Gaussian decoder of optimal variance", "rybkin2021sigma",
        likelihood="gaussian-optimal"),
    "cvae": Row("conditional on the class", "sohn2015learning kingma2014semi",
        prior="per-class", settings={"model.conditional": True}),
    "iwae": Row("importance weighted autoencoder", "burda2016importance",
        objective="iwae", settings={"objective.k": 5}),
    "dreg": Row("doubly reparameterised IWAE", "tucker2019doubly",
        objective="dreg", settings={"objective.k": 5}),
    "stl": Row("sticking the landing", "roeder2017sticking", objective="stl"),
    "miwae": Row("multiply importance weighted", "rainforth2018tighter",
        objective="miwae", settings={"objective.k": 4, "objective.m": 2}),
    "piwae": Row("partially importance weighted", "rainforth2018tighter",
        objective="piwae", settings={"objective.k": 4, "objective.m": 2}),
    "ciwae": Row("combination of ELBO and IWAE", "rainforth2018tighter",
        objective="ciwae", settings={"objective.k": 8, "objective.alpha": 0.5}),
    "renyi-vae": Row("Renyi divergence of order alpha", "li2016renyi",
        objective="renyi", settings={"objective.k": 5, "objective.alpha": 0.5}),
    "beta-tcvae": Row("total correlation weighted by beta", "chen2018isolating",
        objective="beta-tc", settings={"objective.beta": 6.0}),
    "factor-vae": Row("total correlation penalised by a critic", "kim2018disentangling",
        objective="factor", settings={"objective.gamma": 10.0}),
    "dip-vae-i": Row("disentangled inferred prior, I", "kumar2018variational",
        objective="dip-i", settings={"objective.gamma": 10.0}),
    "dip-vae-ii": Row("disentangled inferred prior, II", "kumar2018variational",
        objective="dip-ii", settings={"objective.gamma": 10.0}),
    "info-vae": Row("information maximising, MMD", "zhao2019infovae",
        objective="info", settings={"objective.alpha": 0.5, "objective.gamma": 10.0}),
    "vamp": Row("VampPrior", "tomczak2018vampprior",
        prior="vamp", settings={"model.components": 500}),
    "gmm-prior": Row("prior is a mixture of Gaussians", "dilokthanakul2016deep",
        prior="mixture", settings={"model.components": 100}),
    "flow-prior": Row("prior is a normalising flow", "xu2019necessity", prior="flow"),
    "iaf": Row("inverse autoregressive flow posterior", "kingma2016improved", posterior="iaf"),
    "flow-posterior": Row("neural spline flow posterior", "rezende2015variational",
        posterior="spline-flow"),
    "full-cov": Row("full covariance posterior", "kingma2019introduction",
        posterior="full-covariance"),
    "svae": Row("hyperspherical", "davidson2018hyperspherical",
        posterior="sphere", prior="sphere", settings={"objective.warmup": 10.0}),
    "vq-vae": Row("vector quantised, with a learned prior", "oord2017neural",
        posterior="vector-quantised", prior="autoregressive", settings={"model.latent": 8}),
    "fsq": Row("finite scalar quantisation, with a learned prior", "mentzer2024finite",
        posterior="fsq", prior="autoregressive", settings={"model.latent": 6}),
    "gumbel": Row("categorical codes by Gumbel-softmax", "jang2017categorical maddison2017concrete",
        posterior="gumbel-softmax", prior="uniform-classes", settings={"model.codes": 10}),
    "two-level": Row("two levels, bottom-up", "burda2016importance",
        posterior="two-level", prior="top-down"),
    "ladder": Row("ladder: two or more levels, top-down", "sonderby2016ladder",
        posterior="ladder", prior="top-down",
        settings={"model.batch_norm": True, "objective.warmup": 15.0}),
}
# fmt: on


def row(variant: str) -> Row:
    """The row of that name, or the ``ROW`` of a Python file; else a `UserError`."""
    if variant.endswith(".py"):
        return _custom_row(Path(variant))
    if variant not in ROWS:
        hint = nearest(variant, ROWS, "vaelab list models")
        raise UserError(
            f"model.variant: there is no model {variant!r}; {hint} (or name a .py file)"
        )
    return ROWS[variant]


def part(axis: str, name: str) -> Part:
    """The choice of that name for a setting such as ``model.prior``; FILE.py:NAME is custom."""
    choices = CHOICES[axis]
    if name in choices:
        return choices[name]
    if axis in AXES and ".py:" in name:
        # Nothing is known about it, so nothing is refused.
        return Part("custom", name, space="", traits=" ".join(LACKS), reads=" ".join(NUMBERS))
    if "PATH" in choices:
        return choices["PATH"]
    hint = nearest(SYNONYMS.get(name, name), choices, "vaelab train --help-all")
    own = " (or name FILE.py:NAME)" if axis in AXES else ""
    raise UserError(f"{axis}: there is no {name!r}; {hint}{own}")


def _custom_row(path: Path) -> Row:
    """The ROW of a Python file; the classes and functions it names become FILE.py:NAME."""
    found = names_of(path, "model.variant").get("ROW")
    if not isinstance(found, Row):
        raise UserError(f"model.variant: {path}: defines no ROW; end it with ROW = vaelab.Row(...)")
    if not isinstance(found.cites, str):
        raise UserError(
            f"model.variant: {path}: ROW.cites: expected one text of keys separated by blanks, "
            f"got {found.cites!r}; join them"
        )
    for key in found.settings:
        if key.count(".") != 1:
            raise UserError(
                f"model.variant: {path}: ROW.settings: expected names such as objective.k, "
                f"got {key!r}"
            )
    axes = ("posterior", "prior", "objective", "likelihood")
    custom: dict[str, Any] = {
        axis: f"{path}:{c.__name__}" for axis in axes if callable(c := getattr(found, axis))
    }
    return found._replace(**custom)


def code(axis: str, name: str, kind: type | None = None) -> Any:
    """The class or function behind a name, or behind FILE.py:NAME, which must be a `kind`."""
    where, _, attribute = part(axis, name).code.rpartition(":")
    if not where.endswith(".py"):
        return pkgutil.resolve_name(f"vaelab.{where}:{attribute}")
    found = names_of(Path(where), axis).get(attribute)
    if not callable(found) or (kind and not (inspect.isclass(found) and issubclass(found, kind))):
        wanted = f"a subclass of {kind.__module__}.{kind.__name__}" if kind else "a function"
        raise UserError(f"{axis}: {where}: {attribute} is not {wanted}; define it there")
    return found
