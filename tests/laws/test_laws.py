"""Laws for every row of the table, in float64.

They hold for every network and shape of data, and for every likelihood.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vaelab
from vaelab.data import Batches, Column, Schema, guess, load
from vaelab.errors import UserError
from vaelab.models import Goal, build, start, units_of
from vaelab.recipes import AXES, CHOICES, Data, Model, Recipe, code, fields, permit, table
from vaelab.recipes.parts import LIKELIHOODS, NETWORKS, POSTERIORS
from vaelab.training.schedules import numbers

LATENT, LEVELS, IMAGES = 3, 5, 100  # IMAGES: how many the training set is said to have
SHAPES = [(28, 28), (8, 8), (3, 20, 28), (1, 21, 13), (30,), (1, 26), (3, 19), (9,)]
SMALL = {"conv1d": (2, 9)}  # data of a network that takes no images (9, 8)


def reason(network: str, shape: tuple[int, ...]) -> str:
    """Why a network refuses data of a shape; "" where it takes them."""
    try:
        build(Model(network=network, hidden=(6, 8)), shape)
    except UserError as error:
        return str(error)
    return ""


REASONS = {(name, shape): reason(name, shape) for name in NETWORKS for shape in SHAPES}
PAIRS = [pair for pair, refused in REASONS.items() if not refused]
each_row = pytest.mark.parametrize("variant", table.ROWS)
each_likelihood = pytest.mark.parametrize("likelihood", LIKELIHOODS)
TABLE = Schema(
    (
        Column(name="real", kind="real", decimals=2, low=-3, high=3, rows=90, holes=10),
        Column(name="heavy", kind="heavy", low=-9, high=9, rows=100),
        Column(name="positive", kind="positive", low=0.1, high=9, rows=100),
        Column(name="count", kind="count", decimals=0, low=0, high=9, rows=100),
        Column(name="binary", kind="binary", values=("no", "yes"), rows=90, holes=10),
        Column(name="categorical", kind="categorical", values=("a", "b", "c"), rows=100),
        Column(name="two", kind="categorical", values=("x", "y"), rows=100),
        Column(name="ordinal", kind="ordinal", values=("1", "2", "3", "4"), rows=100),
        Column(name="date", kind="date", format="iso", origin=19_000, decimals=0, rows=100),
    )
)


def rows(n: int) -> Tensor:
    """Rows (N, 9) of `TABLE`, from torch's current generator, with empty cells."""
    x = torch.randn(n, 9)
    x[:, 2] = x[:, 2].exp()
    x[:, 3:] = torch.rand(n, 6) * torch.tensor([9, 2, 3, 2, 4, 90.0])
    x[:, 3:] = x[:, 3:].floor()
    x[1, 0] = x[2, 4] = x[3, 6] = x[3, 7] = torch.nan
    return x


each_network = pytest.mark.parametrize(
    ("network", "shape"),
    PAIRS,
    ids=[f"{name}-{'x'.join(map(str, shape))}" for name, shape in PAIRS],
)
weighted = [
    name for name, row in table.ROWS.items() if "density" in POSTERIORS[row.posterior].traits
]


def recipe(variant: str, **given: Any) -> Recipe:
    """The row with a small model; `given` settings of the model over it."""
    small = {
        "hidden": [6, 8],
        "latent": LATENT,
        "activation": "elu",
        "components": 4,
        "codes": 6,
        "upper": [2],
    }
    likelihood = table.ROWS[variant].likelihood or "bernoulli"
    settings = {"variant": variant, "likelihood": likelihood} | small | given
    return vaelab.recipe("quickstart", {f"model.{name}": value for name, value in settings.items()})


class Case:
    """A row made for data of one shape, in float64, with images and labels to try it on."""

    def __init__(
        self, variant: str, shape: tuple[int, ...] = (8, 8), seed: int = 0, n: int = 4, **given: Any
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe(variant, **given)
        self.x = torch.randint(LEVELS, (n, *shape)).double() / (LEVELS - 1)
        schema = units = None
        if self.recipe.model.likelihood == "mixed":
            schema, shape, self.x = TABLE, (9,), rows(n).double()
            units = units_of(self.recipe.data, shape, rows(100), schema=schema)
        model = self.recipe.model
        self.vae = build(model, shape, LEVELS, (0, 1, 7), units, schema=schema).double()
        self.goal = Goal(self.recipe.objective, self.vae).double()
        self.y = torch.tensor([0, 7, 1, 7, 0, 1])[torch.arange(n) % 6]
        self.k = self.recipe.objective.k * self.recipe.objective.m
        self.numbers = numbers(self.recipe.objective, 30.0, 40) | {"images": IMAGES}

    def value(self) -> Tensor:
        """Nats per image that are maximised, (B,)."""
        value: Tensor = self.goal(self.vae.draw(self.x, self.k, self.y), self.numbers)
        return value

    def step(self, training: bool = True) -> Tensor:
        self.vae.train(training)
        value = self.value()
        (-value.mean()).backward()
        self.vae.eval()
        return value.detach()

    def parameters(self) -> list[tuple[str, Tensor]]:
        return [*self.vae.named_parameters(), *self.goal.named_parameters()]


def is_finite_and_reaches_everything(case: Case) -> None:
    value = case.step()
    assert value.shape == (len(case.x),)
    assert value.dtype == torch.float64
    assert value.isfinite().all()
    for name, parameter in case.parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


# ---------------------------------------------------------------- networks


def test_a_network_refuses_only_data_of_other_forms_and_its_remedy_works() -> None:
    for (network, shape), refused in REASONS.items():
        assert bool(refused) == (guess(shape) not in NETWORKS[network].takes), (network, shape)
        if refused:
            assert f"needs {NETWORKS[network].takes[0]}s, these data are {guess(shape)}s" in refused
            (remedies,) = re.findall(r"set model.network to ([\w -]+)", refused)
            for remedy in remedies.split(" or "):
                assert not reason(remedy, shape)
    assert reason("conv", (9,)).endswith("set model.network to mlp or wide-deep")
    assert "or data.form to image if they are images" in reason("conv", (3, 19))
    assert "or data.form to signal if they are signals" in reason("conv1d", (8, 8))


CUSTOM = """
from torch import nn
from vaelab.models import Networks

def plain(shape, inputs, outputs):
    size = shape[0] * shape[1]
    decoder = nn.Sequential(nn.Linear(inputs, outputs * size), nn.Unflatten(1, (outputs, *shape)))
    return Networks(nn.Flatten(), size, decoder)

class Wide(nn.Module):
    def __init__(self, shape, inputs, outputs, latent):
        super().__init__()
        self.encoder, self.features, self.decoder = plain(shape, inputs, outputs)

def lacking(shape): return 3
def greedy(shape, colours): return 3
def narrow(shape, inputs, outputs): return Networks(nn.Flatten(), 7, nn.Linear(inputs, 2))
def deaf(shape, inputs, outputs): return Networks(nn.Linear(5, 2), 2, nn.Linear(inputs, 2))
"""


@pytest.mark.parametrize("name", ["plain", "Wide"])
@pytest.mark.parametrize("variant", ["vae", "cvae", "vamp", "vq-vae", "ladder"])
def test_a_custom_network_is_a_function_or_class_of_a_file(
    name: str, variant: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(CUSTOM)
    network = f"{tmp_path / 'mine.py'}:{name}"
    is_finite_and_reaches_everything(Case(variant, (8, 8), n=6, network=network))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lacking", "has no attribute 'encoder'; return vaelab.models.Networks"),
        ("greedy", "asks for 'colours', which does not exist"),
        ("narrow", r"turns shape \(2, 8, 8\) into \(2, 64\), not \(2, 7\)"),
        ("deaf", r"cannot take shape \(2, 8, 8\)"),
        ("absent", "absent is not a function"),
    ],
)
def test_a_custom_network_that_does_not_fit_is_refused_with_the_reason(
    name: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(CUSTOM)
    with pytest.raises(UserError, match=message):
        Case("vae", (8, 8), network=f"{tmp_path / 'mine.py'}:{name}")


# ---------------------------------------------------------------- shapes, finite numbers, gradients


@each_row
@each_network
def test_the_loss_is_finite_and_gradient_reaches_every_parameter(
    variant: str, network: str, shape: tuple[int, ...]
) -> None:
    is_finite_and_reaches_everything(Case(variant, shape, n=6, network=network))


@each_likelihood
@each_network
def test_so_it_is_with_every_likelihood(
    likelihood: str, network: str, shape: tuple[int, ...]
) -> None:
    if likelihood == "mixed" and "table" not in NETWORKS[network].takes:
        with pytest.raises(UserError, match=r"set model\.network to"):
            Case("vae", shape, network=network, likelihood=likelihood)
        return
    is_finite_and_reaches_everything(Case("vae", shape, network=network, likelihood=likelihood))


@each_row
@each_likelihood
def test_every_row_goes_with_every_likelihood(variant: str, likelihood: str) -> None:
    # gaussian-optimal has one sigma per batch; pseudo-inputs cannot be words.
    if (variant, likelihood) == ("dreg", "gaussian-optimal"):
        with pytest.raises(UserError, match="'dreg' is biased"):
            Case(variant, likelihood=likelihood)
        return
    if (variant, likelihood) == ("vamp", "mixed"):
        with pytest.raises(UserError, match=r"set model\.prior to mixture"):
            Case(variant, likelihood=likelihood)
        return
    case = Case(variant, likelihood=likelihood)
    assert case.step().isfinite().all()
    assert case.vae.eval().sample(2).isfinite().all()


@each_row
@each_network
def test_codes_reconstructions_and_samples_have_the_shape_type_and_range_of_the_data(
    variant: str, network: str, shape: tuple[int, ...]
) -> None:
    case = Case(variant, shape, network=network)
    vae, size = case.vae, case.vae.latent
    draw = vae.draw(case.x, 2, case.y)
    assert draw.z.shape == (2, 4, size)
    assert draw.log_px.shape == draw.log_pz.shape == (2, 4)
    assert draw.distortion.shape == draw.rate.shape == (4,)
    assert draw.rates.shape in ((4, size), (4, 1))
    torch.testing.assert_close(draw.rates.sum(1), draw.rate)
    assert vae.encode(case.x, case.y).shape == (4, size)
    for images in (vae.reconstruct(case.x, case.y), vae.sample(4)):
        assert images.shape == (4, *shape)
        assert images.dtype == torch.float64
        assert images.isfinite().all()
        if table.ROWS[variant].likelihood == "":  # and so a Bernoulli here
            assert ((images >= 0) & (images <= 1)).all()


@each_row
@pytest.mark.parametrize("network", NETWORKS)
def test_a_batch_of_one_is_a_batch(variant: str, network: str) -> None:
    shape = SMALL.get(network, (9, 8))
    assert (
        Case(variant, shape, n=1, network=network, dropout=0.2, batch_norm=False)
        .step()
        .isfinite()
        .all()
    )
    normed = Case(variant, shape, n=1, network=network, batch_norm=variant != "dreg")
    assert normed.step(training=False).isfinite().all()


@each_row
@pytest.mark.parametrize("network", NETWORKS)
def test_dropout_and_batch_norm_train(variant: str, network: str) -> None:
    case = Case(
        variant,
        SMALL.get(network, (9, 8)),
        n=6,
        network=network,
        hidden=[16, 16],
        dropout=0.2,
        batch_norm=variant != "dreg",
    )
    assert case.step().isfinite().all()
    for name, parameter in case.parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


# ---------------------------------------------------------------- the same again: seeds, files


@each_row
@pytest.mark.parametrize("network", NETWORKS)
def test_weights_loaded_into_another_model_make_it_the_same_to_the_bit(
    variant: str, network: str, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    one, two = (
        Case(
            variant, SMALL.get(network, (9, 8)), seed, network=network, batch_norm=variant != "dreg"
        )
        for seed in (1, 2)
    )
    one.step()  # moves the running means of the normalisation, and a quantiser's code vectors
    x, y = one.x, one.y
    assert not torch.equal(one.vae.reconstruct(x, y), two.vae.reconstruct(x, y))
    save_file(
        {name: tensor.contiguous() for name, tensor in one.vae.state_dict().items()},
        tmp_path / "weights",
    )
    two.vae.load_state_dict(load_file(tmp_path / "weights"))
    assert torch.equal(one.vae.encode(x, y), two.vae.encode(x, y))
    assert torch.equal(one.vae.reconstruct(x, y), two.vae.reconstruct(x, y))
    assert torch.equal(one.vae.sample(3), two.vae.sample(3))
    drawn = []
    for vae in (one.vae, two.vae):
        torch.manual_seed(3)
        drawn.append(vae.eval().draw(x, 1, y).log_px)
    assert torch.equal(*drawn)


@each_row
def test_encoding_is_deterministic_and_leaves_the_model_as_it_was(variant: str) -> None:
    case = Case(variant, dropout=0.5)
    before = {name: tensor.clone() for name, tensor in case.vae.state_dict().items()}
    first = case.vae.encode(case.x, case.y)
    torch.rand(7)
    assert torch.equal(first, case.vae.encode(case.x, case.y))
    assert all(torch.equal(before[name], tensor) for name, tensor in case.vae.state_dict().items())


@each_row
def test_the_same_seed_builds_the_same_model_and_samples_the_same_images(variant: str) -> None:
    one, same, other = (Case(variant, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.vae.sample(2), same.vae.sample(2))
    assert not torch.equal(one.vae.sample(2), other.vae.sample(2))
    values = []
    for case in (one, same):
        torch.manual_seed(5)
        values.append(case.step())
    assert torch.equal(*values)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("variant", weighted)
def test_more_samples_make_a_tighter_bound(variant: str) -> None:
    """E[IWAE_1] = E[ELBO] <= E[IWAE_4] <= E[IWAE_8], over repeated draws of the same images."""
    case = Case(variant, (8,), n=2, likelihood=table.ROWS[variant].likelihood or "bernoulli")
    case.vae.eval()
    with torch.no_grad():
        weights = case.vae.draw(case.x, 8 * 400, case.y).log_weight.view(400, 8, 2)
    # Three estimates use the same samples, 400 times, so their differences are paired.
    bounds = [
        (weights.view(400, 8 // k, k, 2).logsumexp(2) - torch.tensor(k).log()).mean((1, 2))
        for k in (1, 4, 8)
    ]
    for loose, tight in itertools.pairwise(bounds):
        gain = tight - loose
        assert gain.mean() > -4 * gain.std() / 20
    assert (bounds[2] - bounds[0]).mean() > 0


# ---------------------------------------------------------------- learning


@each_row
def test_two_hundred_steps_on_digits_improve_it(variant: str) -> None:
    data = load(Data(source="digits", validation=0.0))
    shown = {"hidden": [64], "latent": 8, "components": 20, "upper": [4], "codes": 16}
    settings = recipe(variant, **shown, activation="relu")
    torch.manual_seed(0)
    batches = Batches(data.train.x, data.levels, settings.data, torch.device("cpu"), y=data.train.y)
    vae = build(settings.model, data.shape, data.levels, data.classes())
    goal = Goal(settings.objective, vae)
    start(vae.train(), batches)
    adam = torch.optim.Adam([*vae.parameters(), *goal.parameters()], lr=3e-3)
    k, chance, losses = (
        settings.objective.k * settings.objective.m,
        torch.Generator().manual_seed(0),
        [],
    )
    given = numbers(settings.objective, 30.0, 40) | {"images": len(batches)}
    for _ in range(200):
        index = torch.randint(len(batches), (64,))
        loss = -goal(vae.draw(batches(index, chance), k, batches.labels(index)), given).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    first, last = torch.tensor(losses[:10]), torch.tensor(losses[-50:])
    assert last.isfinite().all()
    assert last.mean() < first.mean() - 5 * last.std() / 50**0.5


def test_a_model_told_the_label_samples_what_it_is_asked_for() -> None:
    case = Case("cvae")
    with torch.no_grad():
        case.vae.prior.get_parameter(next(n for n, p in case.vae.prior.named_parameters())).add_(
            1.0
        )
    assert torch.equal(case.vae.sample(2, seed=3, y=7), case.vae.sample(2, seed=3, y=7))
    assert not torch.equal(case.vae.sample(2, seed=3, y=7), case.vae.sample(2, seed=3, y=1))
    with pytest.raises(UserError, match="knows no class 5; choose one of: 0, 1, 7"):
        case.vae.sample(2, y=5)
    with pytest.raises(UserError, match="conditional on labels; give one for each row"):
        case.vae.encode(case.x)
    with pytest.raises(UserError, match="not conditional"):
        Case("vae").vae.sample(2, y=7)
    with pytest.raises(UserError, match="no labels"):
        build(Model(conditional=True), (8, 8))


def test_an_autoencoder_pays_no_rate_and_draws_no_noise() -> None:
    case = Case("ae")
    draw = case.vae.eval().draw(case.x, 3)
    assert (draw.rate == 0).all()
    assert torch.equal(draw.z[0], draw.z[2])
    assert torch.equal(draw.z[0], case.vae.encode(case.x))


# ---------------------------------------------------------------- the table itself


def test_the_table_has_the_rows_that_the_field_asks_for() -> None:
    wanted = """ae rae-l2 rae-gp vae beta-vae capacity-vae sigma-vae cvae iwae dreg miwae piwae
    ciwae beta-tcvae factor-vae dip-vae-i dip-vae-ii info-vae wae-mmd vamp gmm-prior flow-prior iaf
    full-cov svae vq-vae fsq gumbel
    ladder"""
    assert set(wanted.split()) <= set(table.ROWS)
    assert len(table.ROWS) >= 27


@each_row
def test_every_row_names_parts_that_go_together_and_where_it_comes_from(variant: str) -> None:
    row = table.row(variant)
    assert row.about
    assert row.cites
    found = recipe(variant)
    assert (found.model.posterior, found.model.prior, found.objective.name) == (
        row.posterior,
        row.prior,
        row.objective,
    )
    assert row.laid_out().keys() <= {field.key for field in fields()}


def test_every_part_of_the_table_is_used_or_can_be_named() -> None:
    for axis, parts in AXES.items():
        for name in parts:
            assert callable(code(axis, name)), name


def test_every_choice_of_a_setting_has_a_meaning_and_only_parts_of_an_axis_have_code() -> None:
    choices = {field.key: field.choices for field in fields() if field.choices}
    assert choices == dict(CHOICES)
    for key, parts in choices.items():
        for name, part in parts.items():
            assert part.about, (key, name)
            assert bool(part.code) == (key in AXES), (key, name)
    from vaelab.models.networks import ACTIVATIONS

    assert set(choices["model.activation"]) == set(ACTIVATIONS)


@pytest.mark.parametrize(
    "axis",
    ["model.variant", *(k for k in CHOICES if k != "data.source" and not k.startswith("figures."))],
)
def test_an_unknown_name_is_refused_with_the_nearest(axis: str) -> None:
    known = next(iter(CHOICES.get(axis, table.ROWS)))
    with pytest.raises(UserError, match=rf"{axis}: there is no .*'{known[:-1]}x'; did you mean '"):
        vaelab.recipe("quickstart", {axis: f"{known[:-1]}x"})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"model.variant": "ae", "objective.name": "iwae"}, "has no density"),
        ({"model.variant": "full-cov", "objective.name": "beta-tc"}, "does not factorise"),
        ({"model.variant": "iaf", "objective.name": "dip-i"}, "no mean and covariance"),
        ({"model.variant": "ae", "objective.name": "info"}, "is not random"),
        (
            {"model.variant": "ae", "objective.name": "capacity"},
            "no rate that its encoder could change",
        ),
        (
            {"model.variant": "vq-vae", "objective.name": "free-bits"},
            "no rate that its encoder could change",
        ),
        ({"model.variant": "vq-vae", "model.prior": "vamp"}, "lives on codes"),
        ({"model.variant": "svae", "model.prior": "normal"}, "lives on sphere"),
        (
            {"model.variant": "svae", "objective.name": "wae-mmd"},
            "Euclidean distance does not compare",
        ),
        ({"model.variant": "vamp", "model.posterior": "iaf"}, "is not Gaussian"),
        ({"model.variant": "vamp", "model.conditional": True}, "have no classes"),
        (
            {"model.variant": "ladder", "model.prior": "mine.py:P"},
            "shares the networks of the prior top-down",
        ),
        ({"model.prior": "per-class"}, "needs classes"),
        ({"model.prior": "per-class", "objective.name": "mine.py:goal"}, "needs classes"),
        ({"model.variant": "piwae", "train.compile": True}, "differentiates the decoder twice"),
        ({"model.variant": "gumbel", "objective.k": 3}, "no density to weight samples by"),
        ({"model.variant": "dreg", "model.batch_norm": True}, "'dreg' is biased"),
        ({"model.variant": "dreg", "model.likelihood": "gaussian-optimal"}, "'dreg' is biased"),
        (
            {"model.variant": "dreg", "objective.beta": 4.0},
            "objective.beta: 'dreg' does not take it; set objective.beta to 1",
        ),
        (
            {"model.variant": "iwae", "objective.m": 3},
            "objective.m: 'iwae' does not take it; set objective.m to 1",
        ),
        (
            {"model.variant": "ladder", "objective.name": "iwae"},
            "does not take beta, so nothing grows",
        ),
        ({"model.variant": "ciwae", "objective.alpha": -1.0}, "objective.alpha"),
        ({"model.variant": "info-vae", "objective.alpha": -20.0}, "alpha . gamma of at least 1"),
    ],
)
def test_what_makes_no_sense_together_is_refused_with_the_reason(
    given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        vaelab.recipe("quickstart", given)


def test_a_row_lies_under_what_the_recipe_says_and_over_it_where_it_is_named_later() -> None:
    def k(overrides: dict[str, Any]) -> int:
        return vaelab.recipe("quickstart", overrides).objective.k

    assert k({"model.variant": "iwae"}) == 5
    assert k({"model.variant": "iwae", "objective.k": 50}) == 50
    beta = vaelab.recipe("beta-16d", {"model.variant": "capacity-vae"}).objective
    # The objective `capacity` takes no beta, so the recipe's beta is dropped.
    assert (beta.name, beta.grows, beta.beta) == ("capacity", ("capacity",), 1.0)
    warm = vaelab.recipe("improved-32d", {"model.variant": "vamp"}).objective
    assert warm.warmup == vaelab.recipe("improved-32d").objective.warmup > 0
    assert vaelab.recipe("improved-32d", {"model.variant": "iwae"}).objective.warmup == 0
    assert vaelab.recipe("beta-16d", {"objective.beta": 2.0}).objective.beta == 2.0


OWN = """
import vaelab
from vaelab.models.posteriors import DiagonalGaussian

class Half(DiagonalGaussian):
    pass

def half(draw, *, beta):
    return -draw.distortion - beta * draw.rate / 2

SETTINGS = {"objective.beta": 3.0}
ROW = vaelab.Row(
    "half the rate", "kingma2014auto", posterior=Half, objective=half, settings=SETTINGS
)
"""


def test_a_row_of_ones_own_is_a_python_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    found = vaelab.recipe("quickstart", {"model.variant": "mine.py"})
    assert found.model.variant == str(tmp_path / "mine.py")
    assert found.objective.name == f"{tmp_path / 'mine.py'}:half"
    vae = build(found.model, (8, 8))
    assert type(vae.encoder).__name__ == "Half"
    draw = vae.draw(torch.rand(3, 8, 8))
    value = Goal(found.objective, vae)(draw, numbers(found.objective, 0.0, 1) | {"images": 3})
    torch.testing.assert_close(value, -draw.distortion - 1.5 * draw.rate)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read"),
        ("x = 1", "defines no ROW"),
        ("ROW = 3", "defines no ROW"),
        (
            "import vaelab\nROW = vaelab.Row('a', 'b', settings={'k': 3})",
            "expected names such as objective.k, got 'k'",
        ),
        ("1 / 0", "ZeroDivisionError"),
        ("ROW = (", "SyntaxError"),
    ],
)
def test_a_file_that_holds_no_row_is_refused_by_name(
    text: str | None, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"mine.py: .*{message}"):
        vaelab.recipe("quickstart", {"model.variant": str(path)})


@pytest.mark.parametrize(
    ("axis", "text", "message"),
    [
        (
            "model.prior",
            "from torch import nn\nclass P(nn.Module):\n    def __init__(self, nonsense): ...",
            "'nonsense'",
        ),
        ("model.prior", "P = 3", "P is not a subclass of torch.nn"),
        ("model.prior", "class P: pass", "P is not a subclass of torch.nn"),
        (
            "model.likelihood",
            "from torch import nn\nclass P(nn.Module): pass",
            "not a subclass of vaelab.models.likelihoods",
        ),
        ("model.posterior", "def P(): pass", "not a subclass of vaelab.models.posteriors"),
        ("model.prior", "import nonsense", "ModuleNotFoundError"),
        ("model.prior", "Q = {}['x']", "KeyError"),
        ("objective.name", "def P(draw, *, temperature): pass", "'temperature'"),
    ],
)
def test_a_part_of_ones_own_that_cannot_be_used_is_refused_by_name(
    axis: str, text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text)
    settings = vaelab.recipe("quickstart", {axis: f"{path}:P"})
    with pytest.raises(UserError, match=message):
        Goal(settings.objective, build(settings.model, (8, 8)))


def test_the_classes_of_a_file_are_the_same_whoever_asks_for_them(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from vaelab.models.priors import StandardNormal\nclass P(StandardNormal): pass\n"
    )
    permit(path)
    assert code("model.prior", f"{path}:P") is code("model.prior", f"{path}:P")


@pytest.mark.parametrize("name", AXES["objective.name"])
def test_the_table_says_which_numbers_an_objective_takes(name: str) -> None:
    vae = build(Model(hidden=(4,), latent=2), (8, 8))
    asked = set(
        Goal(vaelab.recipe("quickstart").objective.__class__(name=name, gamma=2.0), vae).asked
    ) - {"images"}
    assert asked == set(AXES["objective.name"][name].reads.split())
