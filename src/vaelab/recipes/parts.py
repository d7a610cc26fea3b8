"""The parts: the choices of every setting that is chosen by name, each with its source.

An axis such as ``model.prior`` has parts with code, and takes a custom one from a Python file
(``FILE.py:NAME``). The other choices are closed lists: their names mean something only to the code
that reads the setting. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

Form: TypeAlias = Literal["image", "signal", "table"]  # what the rows of a data set are


class Part(NamedTuple):
    """One choice: its name is the key in the tables below."""

    about: str
    code: str = ""  # module:name, below vaelab; FILE.py:NAME if custom; "" in a closed list
    cites: str = ""  # keys of references.bib
    space: str = "reals"  # where z lives: prior and posterior must agree
    traits: str = ""  # what a posterior has; what a prior or an objective needs of it
    reads: str = ""  # weights that an objective takes, settings that an optimiser or data set takes
    takes: tuple[Form, ...] = ("image", "signal", "table")  # forms of data that a network takes
    licence: str = ""  # of a data set


# fmt: off
DATASETS = {
    "mnist": Part("handwritten digits, 28x28, 60,000 + 10,000 images (11 MB, downloaded once)",
        "data.mnist:load", "lecun1998gradient", licence="CC BY-SA 3.0 according to Keras"),
    "binary-mnist": Part("MNIST binarised once, 28x28, 50,000 + 10,000 + 10,000 images without"
        " labels (110 MB, downloaded once)", "data.binary_mnist:load",
        "larochelle2011neural salakhutdinov2008quantitative", licence="that of MNIST"),
    "fashion-mnist": Part("clothes, 28x28 grey, 60,000 + 10,000 images of 10 classes"
        " (31 MB, downloaded once)", "data.mnist:load", "xiao2017fashion", licence="MIT"),
    "kmnist": Part("cursive hiragana, 28x28 grey, 60,000 + 10,000 images of 10 classes"
        " (21 MB, downloaded once)", "data.mnist:load", "clanuwat2018deep",
        licence="CC BY-SA 4.0"),
    "omniglot": Part("handwritten characters of 50 alphabets, 28x28 grey (data.resize: other"
        " sizes), 32,460 images (16 MB, downloaded once)", "data.omniglot:load", "lake2015human",
        reads="resize", licence="MIT"),
    "silhouettes": Part("filled outlines of objects, 28x28 binary, 4,100 + 2,264 + 2,307 images of"
        " 101 classes (downloaded once)", "data.silhouettes:load", "marlin2010inductive",
        licence="none stated"),
    "cifar10": Part("photographs, 32x32 colour, 50,000 + 10,000 images of 10 classes"
        " (170 MB, downloaded once)", "data.cifar:load", "krizhevsky2009learning",
        licence="none stated"),
    "cifar100": Part("photographs, 32x32 colour, 50,000 + 10,000 images of 100 classes"
        " (169 MB, downloaded once)", "data.cifar:load", "krizhevsky2009learning",
        licence="none stated"),
    "svhn": Part("digits of house numbers, 32x32 colour, 73,257 + 26,032 images of 10 classes"
        " (246 MB, downloaded once)", "data.svhn:load", "netzer2011reading",
        licence="non-commercial use only"),
    "celeba": Part("faces, 64x64 colour (data.resize: other sizes), 162,770 + 19,867 + 19,962"
        " images without labels (1.4 GB, to be downloaded by hand)", "data.celeba:load",
        "liu2015deep",
        reads="resize", licence="non-commercial research only"),
    "digits": Part("handwritten digits, 8x8 with 17 grey levels, 1,797 images (in scikit-learn)",
        "data.digits:load", "alpaydin1998optical pedregosa2011scikit", licence="CC BY 4.0"),
    "sprites": Part("shapes of known scale, rotation and position, any size, up to 737,280 images",
        "data.sprites:load", "matthey2017dsprites", licence="MIT"),
    "ecg": Part("generated electrocardiograms, one lead, windows of two seconds at 128 Hz",
        "data.ecg:load", "mcsharry2003dynamical", licence="MIT"),
    # An axis with this entry takes any name that is none of the others for a path.
    "PATH": Part("custom: .npy, .npz, .csv, .parquet, folder of images (sub-folders: classes), IDX",
        "data.files:read"),
}

NETWORKS = {
    "mlp": Part("fully connected layers; any data", "models.networks:mlp"),
    "wide-deep": Part("fully connected layers beside a linear map; tables of few rows",
        "models.networks:wide_deep", "cheng2016wide"),
    "conv": Part("convolutions of stride 2, each halves the image", "models.networks:conv",
        takes=("image",)),
    "resnet": Part("a residual block after each halving, pixels repeated on the way up",
        "models.networks:resnet", "he2016identity odena2016deconvolution", takes=("image",)),
    "conv1d": Part("convolutions over time, each halves the signal", "models.networks:conv1d",
        takes=("signal",)),
}

LIKELIHOODS = {
    "bernoulli": Part("x in {0, 1}; on grey levels the binary cross-entropy",
        "models.likelihoods:Bernoulli"),
    "continuous-bernoulli": Part("x in [0, 1]; the cross-entropy, normalised to a density",
        "models.likelihoods:ContinuousBernoulli", "loaiza2019continuous"),
    "gaussian": Part("real x, one fixed sigma", "models.likelihoods:Gaussian"),
    "gaussian-learned": Part("real x, one learned sigma",
        "models.likelihoods:GaussianLearned", "rybkin2021sigma"),
    "gaussian-optimal": Part("real x, the maximum-likelihood sigma of every batch",
        "models.likelihoods:GaussianOptimal", "rybkin2021sigma"),
    "laplace": Part("real x, one learned scale; the absolute error", "models.likelihoods:Laplace"),
    "logistic-mixture": Part("grey levels, a mixture of discretised logistics",
        "models.likelihoods:LogisticMixture", "salimans2017pixelcnn"),
    "categorical": Part("grey levels, one probability for each level",
        "models.likelihoods:Categorical", "oord2016pixel"),
    "poisson": Part("counts", "models.likelihoods:Poisson"),
    "negative-binomial": Part("overdispersed counts (variance above the mean)",
        "models.likelihoods:NegativeBinomial", "lopez2018deep"),
    "mixed": Part("tables: each column its own distribution by its type; cells may be empty",
        "models.likelihoods:Mixed", "nazabal2020handling mattei2019miwae"),
}

PRIORS = {
    "normal": Part("N(0, I)", "models.priors:StandardNormal"),
    "mixture": Part("learned mixture of diagonal Gaussians", "models.priors:Mixture",
        "dilokthanakul2016deep"),
    "vamp": Part("mixture of the posteriors of learned pseudo-inputs", "models.priors:VampPrior",
        "tomczak2018vampprior", traits="mixable"),
    "flow": Part("normalising flow (RealNVP)", "models.priors:Flow",
        "dinh2017density xu2019necessity"),
    "spline-flow": Part("normalising flow (neural splines)", "models.priors:SplineFlow",
        "durkan2019neural"),
    "per-class": Part("learned diagonal Gaussian for each class", "models.priors:PerClass",
        "sohn2015learning"),
    "sphere": Part("uniform on the sphere", "models.sphere:Uniform", "davidson2018hyperspherical",
        space="sphere"),
    "autoregressive": Part("causal transformer over the codes", "models.codes:Autoregressive",
        "oord2017neural vaswani2017attention", space="codes"),
    "uniform-classes": Part("uniform over the values of each code", "models.codes:UniformClasses",
        space="classes"),
    "top-down": Part("z_L ~ N(0, I), then each level given the one above",
        "models.hierarchy:TopDown", "sonderby2016ladder", space="levels"),
}

POSTERIORS = {
    "gaussian": Part("diagonal Gaussian", "models.posteriors:DiagonalGaussian", "kingma2014auto",
        traits="random density factorised moments mixable charged euclidean"),
    "full-covariance": Part("Gaussian with a full covariance matrix",
        "models.posteriors:FullGaussian", "kingma2019introduction",
        traits="random density moments mixable charged euclidean"),
    "iaf": Part("inverse autoregressive flow", "models.posteriors:InverseAutoregressiveFlow",
        "kingma2016improved", traits="random density charged euclidean"),
    "spline-flow": Part("neural spline flow", "models.posteriors:SplineFlow",
        "rezende2015variational durkan2019neural", traits="random density charged euclidean"),
    "point": Part("deterministic code, no KL term: an autoencoder", "models.posteriors:Point",
        traits="euclidean"),
    "sphere": Part("von Mises-Fisher on the sphere", "models.sphere:OnSphere",
        "davidson2018hyperspherical", space="sphere", traits="random density charged"),
    "vector-quantised": Part("nearest of learned code vectors", "models.codes:VectorQuantised",
        "oord2017neural", space="codes"),
    "fsq": Part("each code rounded to a few levels", "models.codes:FiniteScalarQuantised",
        "mentzer2024finite", space="codes"),
    "gumbel-softmax": Part("one-hot codes, relaxed during training", "models.codes:GumbelSoftmax",
        "jang2017categorical maddison2017concrete", space="classes", traits="random charged"),
    "two-level": Part("bottom-up: z_1 given x, z_2 given z_1", "models.hierarchy:BottomUp",
        "burda2016importance", space="levels", traits="random density charged"),
    "ladder": Part("top-down, each level corrected by x", "models.hierarchy:Ladder",
        "sonderby2016ladder", space="levels", traits="random density charged"),
}

OBJECTIVES = {
    "elbo": Part("E[log p(x|z)] - beta KL", "models.objectives:elbo", "kingma2014auto",
        reads="beta"),
    "capacity": Part("KL held at a capacity C: gamma |KL - C|", "models.objectives:capacity",
        "burgess2018understanding", traits="charged", reads="gamma capacity"),
    "free-bits": Part("the KL of each dimension costs at least `bits`",
        "models.objectives:free_bits", "kingma2016improved", traits="charged", reads="bits"),
    "iwae": Part("log of the mean of k importance weights", "models.objectives:iwae",
        "burda2016importance", traits="density"),
    "dreg": Part("IWAE with the doubly reparameterised gradient", "models.objectives:dreg",
        "tucker2019doubly", traits="density"),
    "stl": Part("ELBO with the path gradient only", "models.objectives:stl",
        "roeder2017sticking", traits="density"),
    "miwae": Part("mean of m IWAE bounds of k samples each", "models.objectives:miwae",
        "rainforth2018tighter", traits="density", reads="m"),
    "piwae": Part("decoder by IWAE of k m samples, encoder by MIWAE", "models.objectives:piwae",
        "rainforth2018tighter", traits="density", reads="m"),
    "ciwae": Part("alpha ELBO + (1 - alpha) IWAE", "models.objectives:ciwae",
        "rainforth2018tighter", traits="density", reads="alpha"),
    "renyi": Part("variational Renyi bound of order alpha", "models.objectives:renyi",
        "li2016renyi", traits="density", reads="alpha"),
    "beta-tc": Part("ELBO, total correlation weighted by beta", "models.objectives:beta_tc",
        "chen2018isolating", traits="factorised", reads="beta"),
    "factor": Part("ELBO - gamma total correlation, estimated by a critic",
        "models.objectives:Factor", "kim2018disentangling", traits="random", reads="gamma"),
    "dip-i": Part("covariance of the posterior means pulled to I", "models.objectives:dip_i",
        "kumar2018variational", traits="moments", reads="gamma"),
    "dip-ii": Part("covariance of the sampled codes pulled to I", "models.objectives:dip_ii",
        "kumar2018variational", traits="moments", reads="gamma"),
    "info": Part("ELBO with (1 - alpha) KL and gamma MMD", "models.objectives:info",
        "zhao2019infovae", traits="random charged euclidean", reads="alpha gamma"),
    "wae-mmd": Part("reconstruction and gamma MMD", "models.objectives:wae_mmd",
        "tolstikhin2018wasserstein", traits="euclidean", reads="gamma"),
    "rae-gp": Part("reconstruction, |z|^2, gradient penalty of the decoder",
        "models.objectives:rae_gp", "ghosh2020variational", traits="euclidean",
        reads="beta gamma"),
    "rae-l2": Part("reconstruction, |z|^2, weight decay of the decoder",
        "models.objectives:WeightPenalty", "ghosh2020variational", traits="euclidean",
        reads="beta gamma"),
}

OPTIMISERS = {
    "adam": Part("adaptive moments", "training.optimisers:adam", "kingma2015adam",
        reads="beta2 epsilon"),
    "adamw": Part("Adam with decoupled weight decay", "training.optimisers:adamw",
        "loshchilov2019decoupled", reads="beta2 epsilon weight_decay"),
    "nadam": Part("Adam with Nesterov momentum", "training.optimisers:nadam",
        "dozat2016incorporating", reads="beta2 epsilon"),
}

SCHEDULES = {
    "constant": Part("the learning rate stays as it is", "training.schedules:constant"),
    "cosine": Part("from the learning rate to 0 along half a cosine",
        "training.schedules:cosine", "loshchilov2017sgdr"),
    "linear": Part("from the learning rate to 0 in a straight line",
        "training.schedules:linear", "defazio2023when"),
    "one-cycle": Part("up over the first 30 %, then down to almost 0",
        "training.schedules:one_cycle", "smith2019super"),
    "warmup-stable-decay": Part("up over the first 5 %, constant to 60 %, then down to 0",
        "training.schedules:warmup_stable_decay", "hagele2024scaling"),
}

AXES: dict[str, dict[str, Part]] = {
    "model.likelihood": LIKELIHOODS,
    "model.prior": PRIORS,
    "model.posterior": POSTERIORS,
    "objective.name": OBJECTIVES,
    "model.network": NETWORKS,
    "train.schedule": SCHEDULES,
    "train.optimiser": OPTIMISERS,
    "data.source": DATASETS,
}

CLOSED: dict[str, dict[str, Part]] = {
    "data.form": {
        "auto": Part("as the file or the shape of the array suggests, which is reported"),
        "image": Part("images (H, W) or (C, H, W): neighbouring pixels belong together"),
        "signal": Part("signals (L,) or (C, L): values in the order of time, of C channels"),
        "table": Part("rows (D,) of a table: features in no order"),
    },
    "data.treatment": {
        "grey": Part("grey levels as numbers in [0, 1]"),
        "threshold": Part("pixels are 1 where the grey level is at least 1/2, else 0"),
        "fixed": Part("every pixel is sampled once from Bernoulli(grey level)",
            cites="salakhutdinov2008quantitative"),
        "dynamic": Part("every pixel is resampled from Bernoulli(grey level) in every epoch",
            cites="burda2016importance"),
        "dequantised": Part("grey levels plus uniform noise of one level", cites="theis2016note"),
        "counts": Part("whole numbers from 0, used as they are"),
        "columns": Part("tables: each column by its type; cells may be empty"),
    },
    "model.activation": {
        "relu": Part("max(0, x)"),
        "leaky-relu": Part("max(0.01 x, x)"),
        "elu": Part("x, or exp(x) - 1 where x < 0"),
        "gelu": Part("x Phi(x), with the normal distribution function Phi"),
        "silu": Part("x sigmoid(x)"),
        "tanh": Part("hyperbolic tangent"),
    },
    "objective.grows": {
        "beta": Part("the weight of the KL"),
        "gamma": Part("the weight of the added term"),
        "alpha": Part("the order or the share alpha"),
        "capacity": Part("the capacity of the KL"),
        "bits": Part("the free bits"),
    },
    "train.precision": {
        "float32": Part("32-bit floating point"),
        "bfloat16": Part("mixed precision: the networks in 16 bits, densities in 32"),
        "auto": Part("bfloat16 where the device multiplies it faster, else float32"),
    },
    "train.device": {
        "auto": Part("a GPU where there is one, else the CPU"),
        "cpu": Part("the processor"),
        "cuda": Part("an NVIDIA GPU"),
    },
    "figures.lang": {"en": Part("English"), "pt": Part("Portuguese")},
    "figures.size": {
        "column": Part("for a column of text"),
        "slide": Part("for a slide: larger letters and lines"),
    },
    "figures.format": {
        "png": Part("pixels"),
        "pdf": Part("vectors, for LaTeX"),
        "svg": Part("vectors, for the web"),
    },
    "figures.grid": {
        "quantile": Part("evenly spaced in the quantiles of the prior"),
        "linear": Part("evenly spaced from -span to span"),
    },
}
# fmt: on

CHOICES: Mapping[str, Mapping[str, Part]] = AXES | CLOSED
