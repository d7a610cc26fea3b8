"""The settings of a recipe by section, as frozen structures: names, types, ranges and meanings.

The choices of a setting that is chosen by name are in `parts`, each with its meaning.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Names = tuple[str, ...]


def _doc(text: str, *, common: bool = False, cites: str = "") -> Meta:
    """The meaning of a setting; `common` ones stand in the short help.

    `cites` are the keys of the papers that a run uses where the setting is not at its default.
    """
    return Meta(description=text, extra={"common": common, "cites": cites})


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Data set, splits, treatment of the pixels, augmentation."""

    source: Annotated[
        str, _doc("data set: a name, or the path of a file or folder", common=True)
    ] = "mnist"
    labels: Annotated[
        str, _doc("tables: the column of the labels, or none (empty: inferred and reported)")
    ] = ""
    real: Annotated[Names, _doc("tables: columns of real numbers (Gaussian)")] = ()
    heavy: Annotated[Names, _doc("tables: columns of heavy-tailed numbers (Student-t)")] = ()
    positive: Annotated[Names, _doc("tables: columns of skewed positive numbers (log-normal)")] = ()
    count: Annotated[Names, _doc("tables: columns of counts (negative binomial)")] = ()
    categorical: Annotated[Names, _doc("tables: columns of categories", common=True)] = ()
    ordinal: Annotated[
        Names, _doc("tables: columns of ordered categories; of words: size=small<medium<large")
    ] = ()
    date: Annotated[Names, _doc("tables: columns of dates")] = ()
    ignore: Annotated[Names, _doc("tables: columns that are left out", common=True)] = ()
    missing: Annotated[Names, _doc("tables: more words that stand for an empty cell")] = ()
    hide: Annotated[
        Fraction,
        _doc("tables: share of cells hidden at random from every second training row"),
    ] = 0.0
    form: Annotated[
        str, _doc("what the rows are; auto: tables of files are tables, of arrays the shape tells")
    ] = "auto"
    window: Annotated[
        Whole, _doc("signals: cut one long signal into windows of this many steps (0: do not)")
    ] = 0
    stride: Annotated[
        Whole, _doc("signals: steps from one window to the next (0: a quarter of a window)")
    ] = 0
    resize: Annotated[
        int,
        Meta(ge=0, le=1024),
        _doc(
            "folders of images, celeba, omniglot: cut all to squares of this many pixels "
            "(0: as they are; celeba 64, omniglot 28)"
        ),
    ] = 0
    dir: Annotated[
        str,
        _doc("folder searched first for a named data set (then VAELAB_DATA_DIR, then the cache)"),
    ] = ""
    images: Annotated[int, Meta(ge=1, le=737_280), _doc("sprites: number of images")] = 10_000
    size: Annotated[int, Meta(ge=16, le=256), _doc("sprites: height and width in pixels")] = 32
    test: Annotated[
        float,
        Meta(ge=0, lt=1),
        _doc("fraction held out for testing where the data set has no test set"),
    ] = 0.1
    validation: Annotated[Fraction, _doc("fraction of the training images held out")] = 0.1
    split_seed: Annotated[Whole, _doc("random seed of both splits")] = 0
    treatment: Annotated[str, _doc("how grey levels become values", common=True)] = "grey"
    scale: Annotated[
        Positive, _doc("divisor of real values (not grey levels) before the networks")
    ] = 1.0
    standardise: Annotated[
        bool,
        _doc(
            "standardise every element (of signals: every channel) to mean 0 and deviation 1 over "
            "the training rows"
        ),
    ] = False
    rotate: Annotated[
        float, Meta(ge=0, le=180), _doc("augmentation: largest rotation in degrees")
    ] = 0.0
    shift: Annotated[
        Fraction, _doc("augmentation: largest shift as a fraction of height and width")
    ] = 0.0

    flip: Annotated[
        bool, _doc("augmentation: mirror every other image left to right, at random")
    ] = False
    workers: Annotated[Whole, _doc("packs: threads that read the next rows (0: none)")] = 1

    def __post_init__(self) -> None:
        if self.window and self.form not in ("auto", "signal"):
            raise ValueError(
                f"data.window: cuts signals, not {self.form}s; set data.window to 0, or data.form "
                "to signal"
            )
        if self.stride and not self.window:
            raise ValueError(
                "data.stride: is the distance of windows; set data.stride to 0, or name data.window"
            )
        if self.treatment == "fixed" and (self.rotate or self.shift):
            raise ValueError(
                "data.treatment: 'fixed' images cannot be rotated or shifted; "
                "set data.treatment to dynamic"
            )
        if self.hide and self.treatment != "columns":
            raise ValueError(
                "data.hide: only cells of a table that is read by its columns are hidden; "
                "set data.hide to 0"
            )
        if self.scale != 1 and self.treatment == "counts":
            raise ValueError("data.scale: counts are used as they are; set data.scale to 1")
        if self.scale != 1 and self.standardise:
            raise ValueError("data.scale: data.standardise scales already; set data.scale to 1")
        if self.standardise and self.treatment != "grey":
            raise ValueError(
                f"data.standardise: is for values as they are, not {self.treatment!r} ones; "
                "set data.treatment to grey"
            )

    @property
    def binary(self) -> bool:
        """Whether every pixel becomes 0 or 1."""
        return self.treatment in ("threshold", "fixed", "dynamic")


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Likelihood, prior, posterior, and the networks between them."""

    variant: Annotated[
        str,
        _doc("published variant (vaelab list models), or a Python file with a ROW", common=True),
    ] = "vae"
    likelihood: Annotated[str, _doc("p(x|z)", common=True)] = "bernoulli"
    prior: Annotated[str, _doc("p(z); default: that of the variant", common=True)] = "normal"
    posterior: Annotated[str, _doc("q(z|x); default: that of the variant")] = "gaussian"
    conditional: Annotated[
        bool, _doc("condition encoder, decoder and prior on the class", cites="sohn2015learning")
    ] = False
    sigma: Annotated[
        Positive, _doc("scale of gaussian and laplace likelihoods (initial value of a learned one)")
    ] = 1.0
    components: Annotated[
        Count, _doc("components of a mixture prior, pseudo-inputs of the VampPrior")
    ] = 10
    logistics: Annotated[Count, _doc("components of the logistic-mixture likelihood")] = 5
    transforms: Annotated[Count, _doc("steps of a normalising flow")] = 3
    codes: Annotated[int, Meta(ge=2), _doc("values that each discrete code can take")] = 256
    commitment: Annotated[NonNegative, _doc("vector-quantised: weight of the commitment loss")] = (
        0.25
    )
    temperature: Annotated[Positive, _doc("gumbel-softmax: temperature of the samples")] = 0.67
    upper: Annotated[
        tuple[Count, ...], _doc("two-level, ladder: dimensions of the levels above the lowest")
    ] = (16,)
    pixel_means: Annotated[
        bool, _doc("bernoulli: initialise the decoder's bias from the pixel means")
    ] = False
    network: Annotated[str, _doc("architecture of encoder and decoder", common=True)] = "mlp"
    hidden: Annotated[
        tuple[Count, ...],
        _doc("widths (mlp) or channels of the encoder; the decoder mirrors them", common=True),
    ] = (400,)
    latent: Annotated[
        Count, _doc("dimensions of z; the number of codes where they are discrete", common=True)
    ] = 20
    activation: Annotated[str, _doc("activation between the layers")] = "relu"
    batch_norm: Annotated[
        bool, _doc("batch normalisation before every activation", cites="ioffe2015batch")
    ] = False
    dropout: Annotated[
        Fraction, _doc("probability of dropping a hidden unit", cites="srivastava2014dropout")
    ] = 0.0


class Objective(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The training objective. The reported loss is always distortion + rate, with beta = 1."""

    name: Annotated[str, _doc("objective; default: that of the variant")] = "elbo"
    k: Annotated[Count, _doc("importance samples per image", common=True)] = 1
    m: Annotated[Count, _doc("bounds that miwae and piwae average")] = 1
    beta: Annotated[
        NonNegative,
        _doc("weight of the KL, or of the part of it that the objective singles out", common=True),
    ] = 1.0
    gamma: Annotated[NonNegative, _doc("weight of the term that is added to the ELBO")] = 1.0
    alpha: Annotated[
        float,
        Meta(ge=-100, le=1),
        _doc("order of renyi; share of the ELBO in ciwae; alpha of info"),
    ] = 0.0
    capacity: Annotated[NonNegative, _doc("capacity: the KL's target, in nats")] = 0.0
    bits: Annotated[NonNegative, _doc("free-bits: minimum KL of a dimension, in nats")] = 0.0
    grows: Annotated[tuple[str, ...], _doc("weights that are scheduled by warmup or cycles")] = (
        "beta",
    )
    warmup: Annotated[
        NonNegative, _doc("epochs over which the weights in grows rise from 0", common=True)
    ] = 0.0
    cycles: Annotated[
        Whole, _doc("how many times these weights grow from 0 during training (0: never)")
    ] = 0


class Train(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Optimiser, schedule, hardware and random seed."""

    epochs: Annotated[Count, _doc("passes over the training images", common=True)] = 20
    batch: Annotated[Count, _doc("images per step", common=True)] = 128
    optimiser: Annotated[str, _doc("optimiser")] = "adam"
    learning_rate: Annotated[
        Positive, _doc("learning rate; its maximum where a schedule changes it", common=True)
    ] = 1e-3
    weight_decay: Annotated[NonNegative, _doc("adamw: coefficient of the weight decay")] = 0.0
    beta2: Annotated[
        Fraction, _doc("Adam: what stays in a step of the mean of the gradients' squares")
    ] = 0.999
    epsilon: Annotated[Positive, _doc("Adam's epsilon, added to the root of the second moment")] = (
        1e-8
    )
    steps: Annotated[
        Whole,
        _doc("least number of steps: with few images more epochs are trained (0: as epochs says)"),
    ] = 0
    schedule: Annotated[str, _doc("schedule of the learning rate", common=True)] = "constant"
    patience: Annotated[
        Whole,
        _doc("stop after this many epochs without a better validation loss (0: never)"),
    ] = 0
    clip: Annotated[NonNegative, _doc("largest gradient norm (0: no clipping)")] = 0.0
    precision: Annotated[str, _doc("floating-point precision")] = "float32"
    compile: Annotated[bool, _doc("compile the networks with torch.compile")] = False
    threads: Annotated[Whole, _doc("CPU threads (0: chosen for the machine)")] = 0
    device: Annotated[str, _doc("where the training runs", common=True)] = "auto"
    devices: Annotated[
        Count,
        _doc("processes on each machine, one a GPU, that share every batch", cites="li2020pytorch"),
    ] = 1
    nodes: Annotated[Count, _doc("machines; above 1 torchrun or srun starts the processes")] = 1
    seed: Annotated[
        Whole, _doc("random seed of weights, order, augmentation and noise", common=True)
    ] = 42


class Figures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Language and size of the figures."""

    lang: Annotated[Literal["en", "pt"], _doc("language of the labels", common=True)] = "en"
    size: Annotated[Literal["column", "slide"], _doc("size of figures and fonts")] = "column"
    format: Annotated[
        tuple[Literal["png", "pdf", "svg"], ...],
        _doc("formats of the files, one or several (none: no figures)"),
    ] = ("png",)
    examples: Annotated[Count, _doc("images in the reconstruction figure")] = 10
    samples: Annotated[Count, _doc("images in the figure of prior samples")] = 64
    points: Annotated[Count, _doc("images in the latent scatter")] = 5000
    tsne: Annotated[Count, _doc("images in the t-SNE (time grows with their number)")] = 2000
    grid: Annotated[Literal["quantile", "linear"], _doc("spacing of the latent manifold")] = (
        "quantile"
    )
    span: Annotated[Positive, _doc("the linear manifold extends from -span to span")] = 3.0
