"""Inputs, outputs and nats are in the user's units; networks see standardised values."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY, flags

import vaelab
from vaelab.cli.main import main
from vaelab.errors import UserError
from vaelab.models import build, units_of
from vaelab.models.objectives import rae_gp
from vaelab.recipes import Data, Model

D, SIGMA = 4, 0.5
MEANS, SCALES = torch.tensor([0.0, -500.0, 3.0, 7e4]), torch.tensor([1.0, 300.0, 0.01, 2e3])
EXACT = {"rtol": 1e-5, "atol": 1e-4}


def rows(n: int = 400) -> torch.Tensor:
    return MEANS + SCALES * torch.randn(n, D)


def model(likelihood: str, data: Data, x: torch.Tensor | None) -> vaelab.VAE:
    torch.manual_seed(1)
    settings = Model(likelihood=likelihood, hidden=(6,), latent=2, sigma=SIGMA)
    return build(settings, (D,), units=units_of(data, (D,), x))


@pytest.mark.parametrize(
    "likelihood", ["gaussian", "gaussian-learned", "gaussian-optimal", "laplace"]
)
@pytest.mark.parametrize("data", [Data(scale=20.0), Data(standardise=True)])
def test_a_density_in_user_units_is_that_of_the_networks_less_the_log_of_the_scales(
    likelihood: str, data: Data
) -> None:
    x = rows()
    outside, inside = model(likelihood, data, x), model(likelihood, Data(), None)
    shift, scale = (
        (x.mean(0), x.std(0, correction=0)) if data.standardise else (0.0, torch.full((D,), 20.0))
    )
    u, z = (x - shift) / scale, torch.randn(len(x), 2)
    p, q = outside.decoder(z), inside.decoder(z)
    torch.testing.assert_close(p.log_prob(x), q.log_prob(u) - scale.log().sum(), **EXACT)
    torch.testing.assert_close(p.mean, shift + scale * q.mean, **EXACT)
    torch.testing.assert_close(outside.encode(x), inside.encode(u), **EXACT)


def test_nats_of_a_standardised_gaussian_in_user_units_are_the_closed_form() -> None:
    x = rows()
    vae = model("gaussian", Data(standardise=True), x)
    z = torch.randn(len(x), 2)
    deviation = SIGMA * x.double().std(0, correction=0)
    residual = (x.double() - vae.decode(z).double()) / deviation
    normaliser = (deviation * math.sqrt(2 * math.pi)).log().sum()
    wanted = -(residual.square() / 2).sum(1) - normaliser
    torch.testing.assert_close(vae.decoder(z).log_prob(x).double(), wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("likelihood", "jacobian"), [("bernoulli", 0.0), ("continuous-bernoulli", D * math.log(255))]
)
def test_values_up_to_the_scale_are_values_up_to_one_and_only_a_density_has_a_jacobian(
    likelihood: str, jacobian: float
) -> None:
    x = 255 * torch.rand(9, D)
    outside, inside = model(likelihood, Data(scale=255.0), x), model(likelihood, Data(), None)
    z = torch.randn(9, 2)
    wanted = inside.decoder(z).log_prob(x / 255) - jacobian
    torch.testing.assert_close(outside.decoder(z).log_prob(x), wanted, **EXACT)
    assert outside.sample(50).max() > 1


def test_columns_that_never_vary_keep_their_value_and_the_scale_one() -> None:
    x = rows()
    x[:, 2] = 41.0
    units = units_of(Data(standardise=True), (D,), x)
    assert units is not None
    assert units.scale[2] == 1
    assert units.shift[2] == 41
    torch.testing.assert_close(units.outward(units.inward(x)), x, rtol=1e-5, atol=1e-3)


def test_the_gradient_penalty_does_not_depend_on_the_units() -> None:
    x = rows(20)
    outside = model("gaussian", Data(standardise=True), x)
    inside = model("gaussian", Data(), None)
    u = (x - x.mean(0)) / x.std(0, correction=0)
    values = []
    for vae, seen in ((outside, x), (inside, u)):
        torch.manual_seed(0)
        draw = vae.draw(seen)
        values.append(rae_gp(draw, beta=1.0, gamma=1.0) + draw.distortion)
    torch.testing.assert_close(*values, rtol=1e-4, atol=1e-4)


def test_a_table_of_columns_of_different_scale_trains_and_python_and_command_line_agree(
    tmp_path: Path, quick: None
) -> None:
    x = rows(300).numpy()
    x[:, 3] = 7e4 + 2e3 * (x[:, 1] + 500) / 300  # two columns that know one another
    np.save(tmp_path / "table.npy", x)
    given = TINY | {
        "data.source": str(tmp_path / "table.npy"),
        "data.standardise": True,
        "model.likelihood": "gaussian-learned",
        "model.sigma": 0.5,
        "model.hidden": [32],
        "model.latent": 3,
        "train.epochs": 60,
        "train.learning_rate": 1e-2,
        "train.batch": 32,
    }
    run = vaelab.train(vaelab.recipe("quickstart", given), tmp_path / "run", quiet=True)
    again = vaelab.load(tmp_path / "run")
    table = torch.from_numpy(x)
    found = again.vae.reconstruct(table)
    explained = 1 - (found - table).square().mean(0) / table.var(0, correction=0)
    assert (explained > 0.8).all()
    assert torch.equal(found, run.vae.reconstruct(table))
    samples = again.vae.sample(500)
    assert ((samples.mean(0) - table.mean(0)).abs() < table.std(0)).all()
    out = str(tmp_path / "codes.npy")
    assert (
        main(["encode", str(tmp_path / "run"), "--data", given["data.source"], "--out", out]) == 0
    )
    np.testing.assert_allclose(np.load(out), again.vae.encode(table).numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "given",
    [
        {"model.likelihood": "bernoulli"},
        {"model.likelihood": "categorical", "data.source": "digits"},
        {"data.scale": 2.0},
        {"data.treatment": "dynamic"},
        {"data.treatment": "counts", "model.likelihood": "poisson"},
    ],
)
def test_standardising_is_refused_where_it_makes_no_sense(
    given: dict[str, object], tmp_path: Path
) -> None:
    np.save(tmp_path / "table.npy", np.random.default_rng(0).random((50, 4)).astype(np.float32))
    base = TINY | {"data.source": str(tmp_path / "table.npy"), "model.likelihood": "gaussian"}
    with pytest.raises(UserError, match=r"set data.(scale|treatment|standardise) to"):
        vaelab.train(
            vaelab.recipe("quickstart", base | {"data.standardise": True} | given),
            tmp_path / "run",
            quiet=True,
        )
    assert flags(given)


@pytest.mark.parametrize("shape", [(3, 40), (40,)])
def test_a_signal_is_standardised_by_channel_with_its_jacobian(shape: tuple[int, ...]) -> None:
    """One mean and deviation for all steps of a channel: a wave keeps its form."""
    size = (*shape[:-1], 1)
    shift, scale = 5 * torch.randn(size), 10 ** torch.randn(size)
    x = shift + scale * torch.randn(300, *shape)
    units = units_of(Data(standardise=True), shape, x, form="signal")
    assert units is not None
    assert units.shift.shape == units.scale.shape == size
    u = units.inward(x)
    torch.testing.assert_close(u.mean((0, -1)), torch.zeros(size[:-1]), rtol=0, atol=1e-4)
    torch.testing.assert_close(u.std((0, -1), correction=0), torch.ones(size[:-1]))
    settings = Model(likelihood="gaussian", hidden=(6,), latent=2, network="conv1d")
    models = []
    for given in (units, None):
        torch.manual_seed(1)
        models.append(build(settings, shape, units=given, form="signal"))
    z, steps = torch.randn(len(x), 2), shape[-1]
    p, q = (vae.decoder(z) for vae in models)
    jacobian = steps * units.scale.log().sum()
    torch.testing.assert_close(p.log_prob(x), q.log_prob(u) - jacobian, rtol=1e-5, atol=1e-2)
