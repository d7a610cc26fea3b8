"""THE TABLE. A published variant is a row: the parts it is made of and the settings that make it what it is.

Nothing here imports torch. A part is named once, here, with the place of its code; `build.py` puts parts together.
Likelihoods, priors, posteriors and objectives are axes: a row chooses on each, a recipe may choose otherwise
(``--model.prior vamp``), and `refusal` says which choices make no sense together, and why.
"""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from vaelab.errors import UserError, nearest


class Part(NamedTuple):
    """One choice on an axis."""

    about: str
    code: str  # module:name, below vaelab; or FILE.py:NAME of a user's own
    cites: tuple[str, ...] = ()  # keys of references.bib
    space: str = "reals"  # where z lives: prior and posterior must agree
    traits: frozenset[str] = frozenset()  # what a posterior has, what an objective needs of it


def _traits(words: str) -> frozenset[str]:
    return frozenset(words.split())


LIKELIHOODS = {
    "bernoulli": Part("x in {0, 1}; on grey levels the usual cross-entropy", "likelihoods:Bernoulli"),
    "continuous-bernoulli": Part(
        "x in [0, 1], the cross-entropy made a density", "likelihoods:ContinuousBernoulli", ("loaiza2019continuous",)
    ),
    "gaussian": Part("real x, one fixed sigma", "likelihoods:Gaussian"),
    "gaussian-learned": Part("real x, one learned sigma", "likelihoods:GaussianLearned", ("rybkin2021sigma",)),
    "gaussian-optimal": Part(
        "real x, the sigma that fits every batch best", "likelihoods:GaussianOptimal", ("rybkin2021sigma",)
    ),
    "laplace": Part("real x, one learned scale; the absolute error", "likelihoods:Laplace"),
    "logistic-mixture": Part(
        "grey levels, a mixture of logistics integrated over each level",
        "likelihoods:LogisticMixture",
        ("salimans2017pixelcnn",),
    ),
    "categorical": Part("grey levels, a free probability each", "likelihoods:Categorical", ("oord2016pixel",)),
    "poisson": Part("counts", "likelihoods:Poisson"),
    "negative-binomial": Part(
        "counts with more spread than Poisson's", "likelihoods:NegativeBinomial", ("lopez2018deep",)
    ),
}

PRIORS = {
    "normal": Part("N(0, I)", "priors:StandardNormal"),
    "mixture": Part("a learned mixture of diagonal Gaussians", "priors:Mixture", ("dilokthanakul2016deep",)),
    "vamp": Part("the posteriors of learned pseudo-inputs, mixed", "priors:VampPrior", ("tomczak2018vampprior",)),
    "flow": Part("a normalising flow (RealNVP)", "priors:Flow", ("dinh2017density", "xu2019necessity")),
    "spline-flow": Part("a normalising flow (neural splines)", "priors:SplineFlow", ("durkan2019neural",)),
    "per-class": Part("a learned diagonal Gaussian for each label", "priors:PerClass", ("sohn2015learning",)),
    "sphere": Part("uniform on the sphere", "sphere:Uniform", ("davidson2018hyperspherical",), "sphere"),
    "autoregressive": Part(
        "a causal transformer over the codes",
        "codes:Autoregressive",
        ("oord2017neural", "vaswani2017attention"),
        "codes",
    ),
    "uniform-classes": Part("every value equally likely", "codes:UniformClasses", (), "classes"),
    "top-down": Part(
        "z_L ~ N(0, I), then each level given the one above", "hierarchy:TopDown", ("sonderby2016ladder",), "levels"
    ),
}

POSTERIORS = {
    "gaussian": Part(
        "diagonal Gaussian",
        "posteriors:DiagonalGaussian",
        ("kingma2014auto",),
        traits=_traits("random density factorised moments mixable"),
    ),
    "full-covariance": Part(
        "Gaussian with all covariances",
        "posteriors:FullGaussian",
        ("kingma2019introduction",),
        traits=_traits("random density moments mixable"),
    ),
    "iaf": Part(
        "inverse autoregressive flow",
        "posteriors:InverseAutoregressiveFlow",
        ("kingma2016improved",),
        traits=_traits("random density"),
    ),
    "spline-flow": Part(
        "neural spline flow",
        "posteriors:SplineFlow",
        ("rezende2015variational", "durkan2019neural"),
        traits=_traits("random density"),
    ),
    "point": Part("a point: nothing is random, nothing is charged", "posteriors:Point"),
    "sphere": Part(
        "von Mises-Fisher", "sphere:OnSphere", ("davidson2018hyperspherical",), "sphere", _traits("random density")
    ),
    "vector-quantised": Part(
        "the nearest of learned code vectors", "codes:VectorQuantised", ("oord2017neural",), "codes"
    ),
    "fsq": Part("rounded to a few levels a number", "codes:FiniteScalarQuantised", ("mentzer2024finite",), "codes"),
    "gumbel-softmax": Part(
        "one-hot values, relaxed in training",
        "codes:GumbelSoftmax",
        ("jang2017categorical", "maddison2017concrete"),
        "classes",
        _traits("random"),
    ),
    "two-level": Part(
        "bottom-up: z_1 given x, z_2 given z_1",
        "hierarchy:BottomUp",
        ("burda2016importance",),
        "levels",
        _traits("random density"),
    ),
    "ladder": Part(
        "top-down, each level corrected by x",
        "hierarchy:Ladder",
        ("sonderby2016ladder",),
        "levels",
        _traits("random density"),
    ),
}

OBJECTIVES = {
    "elbo": Part("E[log p(x|z)] - beta KL", "objectives:elbo", ("kingma2014auto",)),
    "capacity": Part(
        "the rate held at a capacity: gamma |KL - C|", "objectives:capacity", ("burgess2018understanding",)
    ),
    "free-bits": Part("no dimension charged below its bits", "objectives:free_bits", ("kingma2016improved",)),
    "iwae": Part(
        "log of the mean of k weights", "objectives:iwae", ("burda2016importance",), traits=_traits("density")
    ),
    "dreg": Part(
        "IWAE, doubly reparameterised gradient", "objectives:dreg", ("tucker2019doubly",), traits=_traits("density")
    ),
    "stl": Part("ELBO, path gradient only", "objectives:stl", ("roeder2017sticking",), traits=_traits("density")),
    "miwae": Part(
        "mean of m IWAE bounds of k", "objectives:miwae", ("rainforth2018tighter",), traits=_traits("density")
    ),
    "piwae": Part(
        "decoder by IWAE of k m, encoder by MIWAE",
        "objectives:piwae",
        ("rainforth2018tighter",),
        traits=_traits("density"),
    ),
    "ciwae": Part(
        "alpha ELBO + (1 - alpha) IWAE", "objectives:ciwae", ("rainforth2018tighter",), traits=_traits("density")
    ),
    "renyi": Part(
        "variational Renyi bound of order alpha", "objectives:renyi", ("li2016renyi",), traits=_traits("density")
    ),
    "beta-tc": Part(
        "the total correlation weighed by beta",
        "objectives:beta_tc",
        ("chen2018isolating",),
        traits=_traits("factorised"),
    ),
    "factor": Part(
        "the total correlation by a critic, weighed by gamma",
        "objectives:Factor",
        ("kim2018disentangling",),
        traits=_traits("random"),
    ),
    "dip-i": Part(
        "covariance of the means held near I", "objectives:dip_i", ("kumar2018variational",), traits=_traits("moments")
    ),
    "dip-ii": Part(
        "covariance of the codes held near I", "objectives:dip_ii", ("kumar2018variational",), traits=_traits("moments")
    ),
    "info": Part(
        "ELBO with (1 - alpha) KL and gamma MMD", "objectives:info", ("zhao2019infovae",), traits=_traits("random")
    ),
    "wae-mmd": Part("reconstruction and gamma MMD", "objectives:wae_mmd", ("tolstikhin2018wasserstein",)),
    "rae-gp": Part("reconstruction, |z|^2 and the decoder's gradient", "objectives:rae_gp", ("ghosh2020variational",)),
    "rae-l2": Part(
        "reconstruction, |z|^2 and the decoder's weights", "objectives:WeightPenalty", ("ghosh2020variational",)
    ),
}

AXES: dict[str, dict[str, Part]] = {
    "model.likelihood": LIKELIHOODS,
    "model.prior": PRIORS,
    "model.posterior": POSTERIORS,
    "objective.name": OBJECTIVES,
}


Choice: TypeAlias = Any  # a name of the axis; in a file of one's own also the class or the function itself


class Row(NamedTuple):
    """A published variant. Its settings lie under those that a recipe gives itself."""

    about: str
    cites: tuple[str, ...]
    posterior: Choice = "gaussian"
    prior: Choice = "normal"
    objective: Choice = "elbo"
    likelihood: Choice = ""  # any, unless the variant is one
    settings: Mapping[str, Any] = {}

    def laid_out(self) -> dict[str, Any]:
        """``{"model.posterior": "gaussian", ...}``."""
        axes = {"model.posterior": self.posterior, "model.prior": self.prior, "objective.name": self.objective}
        return axes | ({"model.likelihood": self.likelihood} if self.likelihood else {}) | dict(self.settings)


ROWS = {
    "vae": Row("variational autoencoder", ("kingma2014auto", "rezende2014stochastic")),
    "ae": Row("plain autoencoder: nothing charged for the code", ("hinton2006reducing",), "point"),
    "rae-gp": Row(
        "regularised autoencoder, gradient penalty",
        ("ghosh2020variational",),
        "point",
        objective="rae-gp",
        settings={"objective.beta": 0.1, "objective.gamma": 0.01},
    ),
    "rae-l2": Row(
        "regularised autoencoder, weight penalty",
        ("ghosh2020variational",),
        "point",
        objective="rae-l2",
        settings={"objective.beta": 0.1, "objective.gamma": 0.01},
    ),
    "wae-mmd": Row(
        "Wasserstein autoencoder",
        ("tolstikhin2018wasserstein",),
        "point",
        objective="wae-mmd",
        settings={"objective.gamma": 100.0},
    ),
    "beta-vae": Row("rate weighed by beta", ("higgins2017beta",), settings={"objective.beta": 4.0}),
    "capacity-vae": Row(
        "rate held at a growing capacity",
        ("burgess2018understanding",),
        objective="capacity",
        settings={
            "objective.capacity": 25.0,
            "objective.gamma": 30.0,
            "objective.grows": ["capacity"],
            "objective.warmup": 10.0,
        },
    ),
    "free-bits": Row("free bits", ("kingma2016improved",), objective="free-bits", settings={"objective.bits": 0.25}),
    "sigma-vae": Row("Gaussian decoder of optimal variance", ("rybkin2021sigma",), likelihood="gaussian-optimal"),
    "cvae": Row(
        "conditional on the label",
        ("sohn2015learning", "kingma2014semi"),
        prior="per-class",
        settings={"model.conditional": True},
    ),
    "iwae": Row("importance weighted", ("burda2016importance",), objective="iwae", settings={"objective.k": 5}),
    "dreg": Row("doubly reparameterised IWAE", ("tucker2019doubly",), objective="dreg", settings={"objective.k": 5}),
    "stl": Row("sticking the landing", ("roeder2017sticking",), objective="stl"),
    "miwae": Row(
        "multiply importance weighted",
        ("rainforth2018tighter",),
        objective="miwae",
        settings={"objective.k": 4, "objective.m": 2},
    ),
    "piwae": Row(
        "partially importance weighted",
        ("rainforth2018tighter",),
        objective="piwae",
        settings={"objective.k": 4, "objective.m": 2},
    ),
    "ciwae": Row(
        "combination of ELBO and IWAE",
        ("rainforth2018tighter",),
        objective="ciwae",
        settings={"objective.k": 8, "objective.alpha": 0.5},
    ),
    "renyi-vae": Row(
        "Renyi divergence of order alpha",
        ("li2016renyi",),
        objective="renyi",
        settings={"objective.k": 5, "objective.alpha": 0.5},
    ),
    "beta-tcvae": Row(
        "total correlation weighed by beta",
        ("chen2018isolating",),
        objective="beta-tc",
        settings={"objective.beta": 6.0},
    ),
    "factor-vae": Row(
        "total correlation by a critic",
        ("kim2018disentangling",),
        objective="factor",
        settings={"objective.gamma": 10.0},
    ),
    "dip-vae-i": Row(
        "disentangled inferred prior, I",
        ("kumar2018variational",),
        objective="dip-i",
        settings={"objective.gamma": 10.0},
    ),
    "dip-vae-ii": Row(
        "disentangled inferred prior, II",
        ("kumar2018variational",),
        objective="dip-ii",
        settings={"objective.gamma": 10.0},
    ),
    "info-vae": Row(
        "information maximising, MMD",
        ("zhao2019infovae",),
        objective="info",
        settings={"objective.alpha": 0.5, "objective.gamma": 100.0},
    ),
    "vamp": Row("VampPrior", ("tomczak2018vampprior",), prior="vamp", settings={"model.components": 500}),
    "gmm-prior": Row(
        "prior a mixture of Gaussians",
        ("dilokthanakul2016deep",),
        prior="mixture",
        settings={"model.components": 100},
    ),
    "flow-prior": Row("prior a normalising flow", ("xu2019necessity",), prior="flow"),
    "iaf": Row("inverse autoregressive flow posterior", ("kingma2016improved",), "iaf"),
    "flow-posterior": Row("neural spline flow posterior", ("rezende2015variational",), "spline-flow"),
    "full-cov": Row("full covariance posterior", ("kingma2019introduction",), "full-covariance"),
    "svae": Row("hyperspherical", ("davidson2018hyperspherical",), "sphere", "sphere"),
    "vq-vae": Row(
        "vector quantised, with a learned prior",
        ("oord2017neural",),
        "vector-quantised",
        "autoregressive",
        settings={
            "model.latent": 8
        },  # few codes: the encoder pays nothing for its rate, so more are more than it needs
    ),
    "fsq": Row(
        "finite scalar quantisation, with a learned prior",
        ("mentzer2024finite",),
        "fsq",
        "autoregressive",
        settings={"model.latent": 6},
    ),
    "gumbel": Row(
        "categorical codes by Gumbel-softmax",
        ("jang2017categorical", "maddison2017concrete"),
        "gumbel-softmax",
        "uniform-classes",
        settings={"model.codes": 10},
    ),
    "two-level": Row("two levels, bottom-up", ("burda2016importance",), "two-level", "top-down"),
    "ladder": Row(
        "ladder: two or more levels, top-down",
        ("sonderby2016ladder",),
        "ladder",
        "top-down",
        settings={"model.batch_norm": True, "objective.warmup": 15.0},  # without these the upper levels fall silent
    ),
}


def row(variant: str) -> Row:
    """The row of that name, or the ``ROW`` of a user's own Python file; else a `UserError` with the nearest name."""
    if variant.endswith(".py"):
        return _own(Path(variant))
    if variant not in ROWS:
        hint = nearest(variant, ROWS, "vaelab list models")
        raise UserError(f"model.variant: there is no model {variant!r}; {hint} (or name a .py file)")
    return ROWS[variant]


def part(axis: str, name: str) -> Part:
    """The part of that name on an axis such as ``model.prior``; FILE.py:NAME is a user's own."""
    if ".py:" in name:
        return Part("your own", name)
    if name not in AXES[axis]:
        hint = nearest(name, AXES[axis], "vaelab train --help")
        raise UserError(f"{axis}: there is no {name!r}; {hint} (or name FILE.py:NAME)")
    return AXES[axis][name]


def _own(path: Path) -> Row:
    """The ROW of a Python file; the classes and functions it names become FILE.py:NAME."""
    try:
        found = runpy.run_path(str(path))["ROW"]
    except OSError as error:
        raise UserError(f"model.variant: {path}: cannot be read ({error.strerror}); check the path") from None
    except KeyError:
        raise UserError(f"model.variant: {path}: defines no ROW; end it with ROW = vaelab.Row(...)") from None
    except Exception as error:
        raise UserError(f"model.variant: {path}: {type(error).__name__}: {error}; mend it there") from None
    if not isinstance(found, Row):
        raise UserError(f"model.variant: {path}: ROW is no vaelab.Row; write ROW = vaelab.Row(...)")
    axes = ("posterior", "prior", "objective", "likelihood")
    own: dict[str, Any] = {axis: f"{path}:{c.__name__}" for axis in axes if callable(c := getattr(found, axis))}
    return found._replace(**own)


def refusal(choices: Mapping[str, str], k: int = 1, conditional: bool = False) -> str:
    """Why these parts make no sense together ("" where they do); `choices` has a name for every axis."""
    parts = {axis: part(axis, name) for axis, name in choices.items()}
    posterior, prior, objective = (parts[a] for a in ("model.posterior", "model.prior", "objective.name"))
    q, p, goal = (choices[a] for a in ("model.posterior", "model.prior", "objective.name"))
    if q == "ladder" and p != "top-down":
        return f"model.prior: the ladder is made of the networks of the prior top-down; {p!r} has none"
    if any(".py:" in name for name in (q, p, goal)):
        return ""  # nothing is known of a user's own
    if posterior.space != prior.space:
        fitting = ", ".join(name for name, other in PRIORS.items() if other.space == posterior.space)
        return (
            f"model.prior: z of the posterior {q!r} lives on {posterior.space}, {p!r} on {prior.space}; use {fitting}"
        )
    if p == "vamp" and "mixable" not in posterior.traits:
        return f"model.prior: vamp mixes Gaussian posteriors, {q!r} is none; use gaussian or full-covariance"
    if p == "per-class" and not conditional:
        return "model.prior: per-class needs labels; set model.conditional"
    if p == "vamp" and conditional:
        return "model.prior: the pseudo-inputs of vamp have no labels; use per-class or normal"
    missing = objective.traits - posterior.traits
    if missing:
        why = {
            "density": "has no density to weigh its samples by",
            "factorised": "does not factorise over dimensions",
            "moments": "has no mean and covariance in closed form",
            "random": "is not random",
        }[min(missing)]
        return f"objective.name: the posterior {q!r} {why}, which {goal!r} needs; choose another of the two"
    if posterior.space != "reals" and goal in ("wae-mmd", "info", "rae-gp", "rae-l2"):
        return f"objective.name: {goal!r} measures Euclidean distances between codes, {q!r} lives on {posterior.space}"
    if k > 1 and "density" not in posterior.traits:
        return f"objective.k: {k} samples of {q!r} say no more than one; set objective.k and objective.m to 1"
    return ""
