"""The settings of a recipe by section, as frozen structures: names, types, ranges and meanings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from vaelab.recipes import table

Count = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]


def _doc(text: str) -> Meta:
    return Meta(description=text)


class Data(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is learned from, and how pixels become numbers."""

    source: Annotated[
        str, _doc("mnist, digits, sprites, or the path of a .npy, .npz, .csv, image or IDX folder")
    ] = "mnist"
    dir: Annotated[
        str,
        _doc("folder searched first for a named data set (then VAELAB_DATA_DIR, then the cache)"),
    ] = ""
    images: Annotated[int, Meta(ge=1, le=737_280), _doc("of sprites: how many are drawn")] = 10_000
    size: Annotated[int, Meta(ge=16, le=256), _doc("of sprites: height and width in pixels")] = 32
    test: Annotated[
        float,
        Meta(gt=0, lt=1),
        _doc("fraction held out for testing where the data set has no test set of its own"),
    ] = 0.1
    validation: Annotated[
        Fraction, _doc("fraction of the training images held out for every choice made on the way")
    ] = 0.1
    split_seed: Annotated[int, Meta(ge=0), _doc("seed of both splits")] = 0
    treatment: Annotated[
        Literal["grey", "threshold", "fixed", "dynamic", "dequantised", "counts"],
        _doc(
            "grey levels as they are; binarised at 1/2, once by chance, or afresh every epoch; with uniform noise; "
            "or whole numbers as counts"
        ),
    ] = "grey"
    scale: Annotated[Positive, _doc("real values (not grey levels) are divided by this number")] = (
        1.0
    )
    rotate: Annotated[
        float, Meta(ge=0, le=180), _doc("augmentation: largest rotation, degrees")
    ] = 0.0
    shift: Annotated[
        Fraction, _doc("augmentation: largest shift, fraction of height and width")
    ] = 0.0

    def __post_init__(self) -> None:
        if self.treatment == "fixed" and (self.rotate or self.shift):
            raise ValueError(
                "data.treatment: 'fixed' images cannot be rotated or shifted; use 'dynamic'"
            )

    @property
    def binary(self) -> bool:
        """Whether every pixel becomes 0 or 1."""
        return self.treatment in ("threshold", "fixed", "dynamic")


class Model(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three distributions and the networks between them."""

    variant: Annotated[
        str,
        _doc(
            "row of the table of models (vaelab list models), or a Python file with a ROW of your own"
        ),
    ] = "vae"
    likelihood: Annotated[
        str, _doc(f"p(x|z): {', '.join(table.LIKELIHOODS)}, or FILE.py:CLASS")
    ] = "bernoulli"
    prior: Annotated[
        str, _doc(f"p(z); the row's unless named: {', '.join(table.PRIORS)}, or FILE.py:CLASS")
    ] = "normal"
    posterior: Annotated[
        str,
        _doc(f"q(z|x); the row's unless named: {', '.join(table.POSTERIORS)}, or FILE.py:CLASS"),
    ] = "gaussian"
    conditional: Annotated[bool, _doc("encoder, decoder and prior are told the label")] = False
    sigma: Annotated[
        Positive, _doc("scale of gaussian and laplace likelihoods (where learned: where it starts)")
    ] = 1.0
    components: Annotated[
        Count, _doc("of a mixture: of the prior's Gaussians, of the pseudo-inputs")
    ] = 10
    logistics: Annotated[
        Count, _doc("components of the logistic-mixture likelihood, for each element")
    ] = 5
    transforms: Annotated[Count, _doc("steps of a normalising flow")] = 3
    codes: Annotated[int, Meta(ge=2), _doc("values that each discrete dimension of z can take")] = (
        256
    )
    commitment: Annotated[
        NonNegative, _doc("weight of the pull of the encoder to its code vectors")
    ] = 0.25
    temperature: Annotated[Positive, _doc("of the relaxed samples of gumbel-softmax")] = 0.67
    upper: Annotated[
        tuple[Count, ...],
        _doc("dimensions of the levels above z, from below, of two-level and ladder"),
    ] = (16,)
    pixel_means: Annotated[
        bool, _doc("of bernoulli: the decoder starts from the mean of each pixel")
    ] = False
    network: Annotated[
        Literal["mlp", "conv", "resnet"],
        _doc(
            "fully connected, convolutions that halve the image, or residual blocks between the halvings"
        ),
    ] = "mlp"
    hidden: Annotated[
        tuple[Count, ...],
        _doc("widths (mlp) or channels (conv, resnet) of the encoder; the decoder mirrors them"),
    ] = (400,)
    latent: Annotated[Count, _doc("dimensions of z; of discrete codes, how many there are")] = 20
    activation: Annotated[
        Literal["relu", "leaky-relu", "elu", "gelu", "silu", "tanh"], _doc("between the layers")
    ] = "relu"
    batch_norm: Annotated[bool, _doc("batch normalisation before every activation")] = False
    dropout: Annotated[Fraction, _doc("probability of dropping a hidden unit")] = 0.0


class Objective(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is optimised. What is *reported* is always distortion + rate, at beta = 1."""

    name: Annotated[
        str, _doc(f"the row's unless named: {', '.join(table.OBJECTIVES)}, or FILE.py:NAME")
    ] = "elbo"
    k: Annotated[Count, _doc("posterior samples of each image, in one bound")] = 1
    m: Annotated[Count, _doc("bounds that miwae and piwae average")] = 1
    beta: Annotated[
        NonNegative, _doc("weight of the rate, or of the part of it that the objective singles out")
    ] = 1.0
    gamma: Annotated[NonNegative, _doc("weight of what the objective adds to the ELBO")] = 1.0
    alpha: Annotated[
        float,
        Meta(ge=-100, le=1),
        _doc("order of renyi; share of the ELBO in ciwae; alpha of info"),
    ] = 0.0
    capacity: Annotated[
        NonNegative, _doc("nats at which the objective capacity holds the rate")
    ] = 0.0
    bits: Annotated[NonNegative, _doc("nats below which free-bits charges no dimension less")] = 0.0
    grows: Annotated[
        tuple[Literal["beta", "gamma", "alpha", "capacity", "bits"], ...],
        _doc("which of the numbers above warm up or go in cycles"),
    ] = ("beta",)
    warmup: Annotated[
        NonNegative, _doc("epochs over which those grow linearly from 0 to their value")
    ] = 0.0
    cycles: Annotated[
        int,
        Meta(ge=0),
        _doc("those grow from 0 to their value this many times over the training (0: never)"),
    ] = 0


class Train(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long, how fast, and with what chance."""

    epochs: Annotated[Count, _doc("passes over the training images")] = 20
    batch: Annotated[Count, _doc("images per step")] = 128
    learning_rate: Annotated[Positive, _doc("Adam's; the highest where a schedule changes it")] = (
        1e-3
    )
    epsilon: Annotated[Positive, _doc("Adam's: added to the root of the second moment")] = 1e-8
    schedule: Annotated[
        Literal["constant", "cosine", "one-cycle"], _doc("of the learning rate")
    ] = "constant"
    patience: Annotated[
        int,
        Meta(ge=0),
        _doc("stop after this many epochs without a better validation value (0: never)"),
    ] = 0
    clip: Annotated[NonNegative, _doc("largest gradient norm (0: no clipping)")] = 0.0
    precision: Annotated[Literal["float32", "bfloat16"], _doc("bfloat16: mixed precision")] = (
        "float32"
    )
    compile: Annotated[bool, _doc("compile the networks with torch.compile")] = False
    threads: Annotated[int, Meta(ge=0), _doc("CPU threads (0: what suits the machine)")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda"], _doc("where it runs; auto takes a GPU where there is one")
    ] = "auto"
    seed: Annotated[int, Meta(ge=0), _doc("of weights, order, augmentation and noise")] = 42


class Figures(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the pictures of a run are drawn."""

    lang: Annotated[Literal["en", "pt"], _doc("language of the labels")] = "en"
    examples: Annotated[Count, _doc("images in the reconstruction figure")] = 10
    samples: Annotated[Count, _doc("images in the figure of prior samples")] = 64
    points: Annotated[Count, _doc("images in the latent scatter")] = 5000
    grid: Annotated[Literal["quantile", "linear"], _doc("spacing of the latent manifold")] = (
        "quantile"
    )
    span: Annotated[Positive, _doc("the linear manifold reaches from -span to span")] = 3.0
