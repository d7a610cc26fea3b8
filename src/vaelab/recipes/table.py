"""THE TABLE. A published variant is a row: the parts it is made of and the settings that make it what it is.

Nothing here imports torch. A part is named once, here, with the place of its code; `build.py` puts parts together.
Likelihoods, priors, posteriors and objectives are axes: a row chooses on each, a recipe may choose otherwise
(``--model.prior vamp``), and `refusal` says which choices make no sense together, and why.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from vaelab.errors import UserError, nearest
from vaelab.recipes.custom import names_of


class Part(NamedTuple):
    """One choice on an axis."""

    about: str
    code: str  # module:name, below vaelab; or FILE.py:NAME of a user's own
    cites: str = ""  # keys of references.bib
    space: str = "reals"  # where z lives: prior and posterior must agree
    traits: str = ""  # what a posterior has; what a prior or an objective needs of it
    reads: str = ""  # the numbers of [objective] that an objective takes


# An argument a line would take four times the room.
# fmt: off
LIKELIHOODS = {
    "bernoulli": Part("x in {0, 1}; on grey levels the usual cross-entropy", "models.likelihoods:Bernoulli"),
    "continuous-bernoulli": Part("x in [0, 1], the cross-entropy made a density", "models.likelihoods:ContinuousBernoulli",
        "loaiza2019continuous"),
    "gaussian": Part("real x, one fixed sigma", "models.likelihoods:Gaussian"),
    "gaussian-learned": Part("real x, one learned sigma", "models.likelihoods:GaussianLearned", "rybkin2021sigma"),
    "gaussian-optimal": Part("real x, the sigma that fits every batch best", "models.likelihoods:GaussianOptimal",
        "rybkin2021sigma"),
    "laplace": Part("real x, one learned scale; the absolute error", "models.likelihoods:Laplace"),
    "logistic-mixture": Part("grey levels, a mixture of logistics integrated over each level",
        "models.likelihoods:LogisticMixture", "salimans2017pixelcnn"),
    "categorical": Part("grey levels, a free probability each", "models.likelihoods:Categorical", "oord2016pixel"),
    "poisson": Part("counts", "models.likelihoods:Poisson"),
    "negative-binomial": Part("counts with more spread than Poisson's", "models.likelihoods:NegativeBinomial",
        "lopez2018deep"),
}

PRIORS = {
    "normal": Part("N(0, I)", "models.priors:StandardNormal"),
    "mixture": Part("a learned mixture of diagonal Gaussians", "models.priors:Mixture", "dilokthanakul2016deep"),
    "vamp": Part("the posteriors of learned pseudo-inputs, mixed", "models.priors:VampPrior", "tomczak2018vampprior",
        traits="mixable"),
    "flow": Part("a normalising flow (RealNVP)", "models.priors:Flow", "dinh2017density xu2019necessity"),
    "spline-flow": Part("a normalising flow (neural splines)", "models.priors:SplineFlow", "durkan2019neural"),
    "per-class": Part("a learned diagonal Gaussian for each label", "models.priors:PerClass", "sohn2015learning"),
    "sphere": Part("uniform on the sphere", "models.sphere:Uniform", "davidson2018hyperspherical", space="sphere"),
    "autoregressive": Part("a causal transformer over the codes", "models.codes:Autoregressive",
        "oord2017neural vaswani2017attention", space="codes"),
    "uniform-classes": Part("every value equally likely", "models.codes:UniformClasses", space="classes"),
    "top-down": Part("z_L ~ N(0, I), then each level given the one above", "models.hierarchy:TopDown", "sonderby2016ladder",
        space="levels"),
}

POSTERIORS = {
    "gaussian": Part("diagonal Gaussian", "models.posteriors:DiagonalGaussian", "kingma2014auto",
        traits="random density factorised moments mixable charged euclidean"),
    "full-covariance": Part("Gaussian with all covariances", "models.posteriors:FullGaussian", "kingma2019introduction",
        traits="random density moments mixable charged euclidean"),
    "iaf": Part("inverse autoregressive flow", "models.posteriors:InverseAutoregressiveFlow", "kingma2016improved",
        traits="random density charged euclidean"),
    "spline-flow": Part("neural spline flow", "models.posteriors:SplineFlow", "rezende2015variational durkan2019neural",
        traits="random density charged euclidean"),
    "point": Part("a point: nothing is random, nothing is charged", "models.posteriors:Point", traits="euclidean"),
    "sphere": Part("von Mises-Fisher", "models.sphere:OnSphere", "davidson2018hyperspherical", space="sphere",
        traits="random density charged"),
    "vector-quantised": Part("the nearest of learned code vectors", "models.codes:VectorQuantised", "oord2017neural",
        space="codes"),
    "fsq": Part("rounded to a few levels a number", "models.codes:FiniteScalarQuantised", "mentzer2024finite", space="codes"),
    "gumbel-softmax": Part("one-hot values, relaxed in training", "models.codes:GumbelSoftmax",
        "jang2017categorical maddison2017concrete", space="classes", traits="random charged"),
    "two-level": Part("bottom-up: z_1 given x, z_2 given z_1", "models.hierarchy:BottomUp", "burda2016importance",
        space="levels", traits="random density charged"),
    "ladder": Part("top-down, each level corrected by x", "models.hierarchy:Ladder", "sonderby2016ladder", space="levels",
        traits="random density charged"),
}

OBJECTIVES = {
    "elbo": Part("E[log p(x|z)] - beta KL", "models.objectives:elbo", "kingma2014auto", reads="beta"),
    "capacity": Part("the rate held at a capacity: gamma |KL - C|", "models.objectives:capacity", "burgess2018understanding",
        traits="charged", reads="gamma capacity"),
    "free-bits": Part("no dimension charged below its bits", "models.objectives:free_bits", "kingma2016improved",
        traits="charged", reads="bits"),
    "iwae": Part("log of the mean of k weights", "models.objectives:iwae", "burda2016importance", traits="density"),
    "dreg": Part("IWAE, doubly reparameterised gradient", "models.objectives:dreg", "tucker2019doubly", traits="density"),
    "stl": Part("ELBO, path gradient only", "models.objectives:stl", "roeder2017sticking", traits="density"),
    "miwae": Part("mean of m IWAE bounds of k", "models.objectives:miwae", "rainforth2018tighter", traits="density",
        reads="m"),
    "piwae": Part("decoder by IWAE of k m, encoder by MIWAE", "models.objectives:piwae", "rainforth2018tighter",
        traits="density", reads="m"),
    "ciwae": Part("alpha ELBO + (1 - alpha) IWAE", "models.objectives:ciwae", "rainforth2018tighter", traits="density",
        reads="alpha"),
    "renyi": Part("variational Renyi bound of order alpha", "models.objectives:renyi", "li2016renyi", traits="density",
        reads="alpha"),
    "beta-tc": Part("the total correlation weighed by beta", "models.objectives:beta_tc", "chen2018isolating",
        traits="factorised", reads="beta"),
    "factor": Part("the total correlation by a critic, weighed by gamma", "models.objectives:Factor", "kim2018disentangling",
        traits="random", reads="gamma"),
    "dip-i": Part("covariance of the means held near I", "models.objectives:dip_i", "kumar2018variational", traits="moments",
        reads="gamma"),
    "dip-ii": Part("covariance of the codes held near I", "models.objectives:dip_ii", "kumar2018variational",
        traits="moments", reads="gamma"),
    "info": Part("ELBO with (1 - alpha) KL and gamma MMD", "models.objectives:info", "zhao2019infovae",
        traits="random charged euclidean", reads="alpha gamma"),
    "wae-mmd": Part("reconstruction and gamma MMD", "models.objectives:wae_mmd", "tolstikhin2018wasserstein",
        traits="euclidean", reads="gamma"),
    "rae-gp": Part("reconstruction, |z|^2 and the decoder's gradient", "models.objectives:rae_gp", "ghosh2020variational",
        traits="euclidean", reads="beta gamma"),
    "rae-l2": Part("reconstruction, |z|^2 and the decoder's weights", "models.objectives:WeightPenalty",
        "ghosh2020variational", traits="euclidean", reads="beta gamma"),
}
# fmt: on

LACKS = {  # why an objective or a prior refuses a posterior
    "density": "has no density to weigh its samples by",
    "factorised": "does not factorise over dimensions",
    "moments": "has no mean and covariance in closed form",
    "random": "is not random",
    "charged": "has no rate that its encoder could change",
    "euclidean": "has codes between which no straight line is a distance",
    "mixable": "is not Gaussian, and so cannot be mixed",
}
NUMBERS = (
    "beta",
    "gamma",
    "alpha",
    "capacity",
    "bits",
    "k",
    "m",
)  # of [objective], that an objective may take

AXES: dict[str, dict[str, Part]] = {
    "model.likelihood": LIKELIHOODS,
    "model.prior": PRIORS,
    "model.posterior": POSTERIORS,
    "objective.name": OBJECTIVES,
}


Choice: TypeAlias = (
    Any  # a name of the axis; in a file of one's own also the class or the function itself
)


class Row(NamedTuple):
    """A published variant. Its settings lie under those that a recipe gives itself."""

    about: str
    cites: str  # keys of references.bib
    posterior: Choice = "gaussian"
    prior: Choice = "normal"
    objective: Choice = "elbo"
    likelihood: Choice = ""  # any, unless the variant is one
    settings: Mapping[str, Any] = {}

    def laid_out(self) -> dict[str, Any]:
        """``{"model.posterior": "gaussian", ...}``."""
        axes = {
            "model.posterior": self.posterior,
            "model.prior": self.prior,
            "objective.name": self.objective,
        }
        return (
            axes
            | ({"model.likelihood": self.likelihood} if self.likelihood else {})
            | dict(self.settings)
        )


# fmt: off
ROWS = {
    "vae": Row("variational autoencoder", "kingma2014auto rezende2014stochastic"),
    "ae": Row("plain autoencoder: nothing charged for the code", "hinton2006reducing", posterior="point"),
    "rae-gp": Row("regularised autoencoder, gradient penalty", "ghosh2020variational", posterior="point",
        objective="rae-gp", settings={"objective.beta": 0.1, "objective.gamma": 0.01}),
    "rae-l2": Row("regularised autoencoder, weight penalty", "ghosh2020variational", posterior="point",
        objective="rae-l2", settings={"objective.beta": 0.1, "objective.gamma": 0.01}),
    "wae-mmd": Row("Wasserstein autoencoder", "tolstikhin2018wasserstein", posterior="point", objective="wae-mmd",
        settings={"objective.gamma": 10.0}),
    "beta-vae": Row("rate weighed by beta", "higgins2017beta", settings={"objective.beta": 4.0}),
    "capacity-vae": Row("rate held at a growing capacity", "burgess2018understanding", objective="capacity",
        settings={"objective.capacity": 25.0, "objective.gamma": 30.0, "objective.grows": ["capacity"],
        "objective.warmup": 10.0}),
    "free-bits": Row("free bits", "kingma2016improved", objective="free-bits", settings={"objective.bits": 0.25}),
    "sigma-vae": Row("Gaussian decoder of optimal variance", "rybkin2021sigma", likelihood="gaussian-optimal"),
    "cvae": Row("conditional on the label", "sohn2015learning kingma2014semi", prior="per-class",
        settings={"model.conditional": True}),
    "iwae": Row("importance weighted", "burda2016importance", objective="iwae", settings={"objective.k": 5}),
    "dreg": Row("doubly reparameterised IWAE", "tucker2019doubly", objective="dreg", settings={"objective.k": 5}),
    "stl": Row("sticking the landing", "roeder2017sticking", objective="stl"),
    "miwae": Row("multiply importance weighted", "rainforth2018tighter", objective="miwae", settings={"objective.k": 4,
        "objective.m": 2}),
    "piwae": Row("partially importance weighted", "rainforth2018tighter", objective="piwae",
        settings={"objective.k": 4, "objective.m": 2}),
    "ciwae": Row("combination of ELBO and IWAE", "rainforth2018tighter", objective="ciwae", settings={"objective.k": 8,
        "objective.alpha": 0.5}),
    "renyi-vae": Row("Renyi divergence of order alpha", "li2016renyi", objective="renyi", settings={"objective.k": 5,
        "objective.alpha": 0.5}),
    "beta-tcvae": Row("total correlation weighed by beta", "chen2018isolating", objective="beta-tc",
        settings={"objective.beta": 6.0}),
    "factor-vae": Row("total correlation by a critic", "kim2018disentangling", objective="factor",
        settings={"objective.gamma": 10.0}),
    "dip-vae-i": Row("disentangled inferred prior, I", "kumar2018variational", objective="dip-i",
        settings={"objective.gamma": 10.0}),
    "dip-vae-ii": Row("disentangled inferred prior, II", "kumar2018variational", objective="dip-ii",
        settings={"objective.gamma": 10.0}),
    "info-vae": Row("information maximising, MMD", "zhao2019infovae", objective="info",
        settings={"objective.alpha": 0.5, "objective.gamma": 10.0}),
    "vamp": Row("VampPrior", "tomczak2018vampprior", prior="vamp", settings={"model.components": 500}),
    "gmm-prior": Row("prior a mixture of Gaussians", "dilokthanakul2016deep", prior="mixture",
        settings={"model.components": 100}),
    "flow-prior": Row("prior a normalising flow", "xu2019necessity", prior="flow"),
    "iaf": Row("inverse autoregressive flow posterior", "kingma2016improved", posterior="iaf"),
    "flow-posterior": Row("neural spline flow posterior", "rezende2015variational", posterior="spline-flow"),
    "full-cov": Row("full covariance posterior", "kingma2019introduction", posterior="full-covariance"),
    "svae": Row("hyperspherical", "davidson2018hyperspherical", posterior="sphere", prior="sphere",
        settings={"objective.warmup": 10.0}),
    "vq-vae": Row("vector quantised, with a learned prior", "oord2017neural", posterior="vector-quantised",
        prior="autoregressive", settings={"model.latent": 8}),
    "fsq": Row("finite scalar quantisation, with a learned prior", "mentzer2024finite", posterior="fsq",
        prior="autoregressive", settings={"model.latent": 6}),
    "gumbel": Row("categorical codes by Gumbel-softmax", "jang2017categorical maddison2017concrete",
        posterior="gumbel-softmax", prior="uniform-classes", settings={"model.codes": 10}),
    "two-level": Row("two levels, bottom-up", "burda2016importance", posterior="two-level", prior="top-down"),
    "ladder": Row("ladder: two or more levels, top-down", "sonderby2016ladder", posterior="ladder", prior="top-down",
        settings={"model.batch_norm": True, "objective.warmup": 15.0}),
}
# fmt: on


def row(variant: str) -> Row:
    """The row of that name, or the ``ROW`` of a user's own Python file; else a `UserError` with the nearest name."""
    if variant.endswith(".py"):
        return _own(Path(variant))
    if variant not in ROWS:
        hint = nearest(variant, ROWS, "vaelab list models")
        raise UserError(
            f"model.variant: there is no model {variant!r}; {hint} (or name a .py file)"
        )
    return ROWS[variant]


def part(axis: str, name: str) -> Part:
    """The part of that name on an axis such as ``model.prior``; FILE.py:NAME is a user's own, which may be anything."""
    if ".py:" in name:
        return Part("your own", name, space="", traits=" ".join(LACKS), reads=" ".join(NUMBERS))
    if name not in AXES[axis]:
        hint = nearest(name, AXES[axis], "vaelab train --help")
        raise UserError(f"{axis}: there is no {name!r}; {hint} (or name FILE.py:NAME)")
    return AXES[axis][name]


def _own(path: Path) -> Row:
    """The ROW of a Python file; the classes and functions it names become FILE.py:NAME."""
    found = names_of(path, "model.variant").get("ROW")
    if not isinstance(found, Row):
        raise UserError(f"model.variant: {path}: defines no ROW; end it with ROW = vaelab.Row(...)")
    if not isinstance(found.cites, str):
        raise UserError(
            f"model.variant: {path}: ROW.cites: expected one text, the keys with blanks between them"
        )
    for key in found.settings:
        if key.count(".") != 1:
            raise UserError(
                f"model.variant: {path}: ROW.settings: expected names such as objective.k, got {key!r}"
            )
    axes = ("posterior", "prior", "objective", "likelihood")
    own: dict[str, Any] = {
        axis: f"{path}:{c.__name__}" for axis in axes if callable(c := getattr(found, axis))
    }
    return found._replace(**own)


def code(axis: str, name: str, kind: type | None = None) -> Any:
    """The class or function behind a name of the table, or behind FILE.py:NAME, which must be a `kind`."""
    where, _, attribute = part(axis, name).code.rpartition(":")
    if not where.endswith(".py"):
        return pkgutil.resolve_name(f"vaelab.{where}:{attribute}")
    found = names_of(Path(where), axis).get(attribute)
    if not callable(found) or (kind and not (inspect.isclass(found) and issubclass(found, kind))):
        wanted = f"a subclass of {kind.__module__}.{kind.__name__}" if kind else "a function"
        raise UserError(f"{axis}: {where}: {attribute} is not {wanted}; define it there")
    return found
