"""Exported files: onnxruntime and torch.export give what PyTorch gives, for every model."""

from __future__ import annotations

import importlib.util
import io
import json
import warnings
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType

import onnx
import onnxruntime
import pytest
import torch
from onnx_registry import one_registry
from parity import DIFFERENT, PARITY, SHAPES, apart, inputs, likelihood_of, onnx_error
from small_models import made, settings
from torch import nn

from vaelab.errors import UserError
from vaelab.export import FUNCTIONS, Function, portable
from vaelab.models import VAE
from vaelab.recipes import table
from vaelab.recipes.parts import LIKELIHOODS, NETWORKS

ENCODER, DECODER, SAMPLER = FUNCTIONS


@pytest.fixture(autouse=True, scope="module")
def _registry() -> Iterator[None]:
    with one_registry():
        yield


# ---------------------------------------------------------------- every row, every network


def covering() -> list[tuple[type[Function], str, str]]:
    """Functions with a row and a network.

    An encoder depends on the posterior and the network alone, a decoder on the likelihood and the
    network, and a sampler on the prior and a decoder. So each posterior and prior has the smallest
    network, and each network an encoder and a decoder.
    """
    found = {}
    for variant in DIFFERENT:
        given = settings(variant=variant)
        for function, part in ((ENCODER, given.posterior), (SAMPLER, given.prior)):
            found.setdefault((function, part, given.conditional), (function, variant, "mlp"))
    networks = [name for name in NETWORKS if name != "mlp"]
    return [*found.values(), *product((ENCODER, DECODER), ["vae"], networks)]


def test_the_covering_set_has_every_row() -> None:
    for axis, function in (("posterior", ENCODER), ("prior", SAMPLER)):
        found = {getattr(settings(variant=v), axis) for f, v, _ in covering() if f is function}
        assert found == {getattr(settings(variant=v), axis) for v in table.ROWS}


@pytest.mark.parametrize(
    ("make", "variant", "network"), covering(), ids=lambda part: getattr(part, "name", part)
)
def test_onnxruntime_gives_what_pytorch_gives(
    make: type[Function], variant: str, network: str
) -> None:
    likelihood = likelihood_of(variant, network)
    small = {"latent": 2, "transforms": 2}
    given = settings(variant=variant, network=network, likelihood=likelihood, **small)
    vae = made(SHAPES[network], given)
    assert onnx_error(make(vae), vae, given) < PARITY


class Decoders(Function):
    """The decoders of several models side by side, because one file is written much faster."""

    name, takes = "decoder", "z"

    def __init__(self, models: dict[str, VAE]) -> None:
        (first, *_) = models.values()
        super().__init__(first)
        self.shape = (first.latent,)
        self.decoders = nn.ModuleDict({name: DECODER(vae) for name, vae in models.items()})

    def outputs(self, rows: torch.Tensor, *y: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            f"{likelihood}.{name}": output
            for likelihood, decoder in self.decoders.items()
            for name, output in decoder(rows, *y).items()
        }


def test_onnxruntime_gives_what_pytorch_gives_for_every_likelihood() -> None:
    given = {name: settings(likelihood=name) for name in LIKELIHOODS}
    models = {
        name: made((9,) if name == "mixed" else (8, 8), model) for name, model in given.items()
    }
    assert onnx_error(Decoders(models), models["bernoulli"], given["bernoulli"]) < PARITY


def test_the_mean_of_a_continuous_bernoulli_keeps_its_digits_without_expm1() -> None:
    """For logits near 0, where the formula subtracts large numbers, and elsewhere."""
    vae = made((8,), settings(likelihood="continuous-bernoulli", hidden=()))
    z = torch.linspace(-2, 2, 2001)[:, None].expand(-1, vae.latent)
    session = onnxruntime.InferenceSession(portable.onnx(DECODER(vae), {}))
    (found,) = session.run(["mean"], {"z": z.numpy()})
    assert apart([found], {"mean": vae.double().decode(z.double()).float()}) < PARITY


def test_a_program_of_torch_export_gives_what_pytorch_gives() -> None:
    for variant, make in (("cvae", ENCODER), ("ladder", ENCODER), ("gmm-prior", SAMPLER)):
        given = settings(variant=variant)
        vae = made((8, 8), given)
        function, extra = make(vae), {"vaelab": ""}
        content = io.BytesIO(portable.pt2(function, {"a": 1}))
        program = torch.export.load(content, extra_files=extra).module()
        assert json.loads(extra["vaelab"]) == {"a": 1}
        for n in (1, 7):
            rows = inputs(function, vae, given, n)
            with torch.no_grad():
                found, wanted = program(*rows), function(*rows)
            assert [*found] == [*wanted]
            assert apart(found.values(), wanted) < PARITY


# ---------------------------------------------------------------- what the functions compute


@pytest.mark.parametrize("variant", DIFFERENT)
def test_the_functions_are_the_verbs_of_the_model(variant: str) -> None:
    given = settings(variant=variant)
    vae = made((8, 8), given)
    encoder, decoder, sampler = (make(vae) for make in FUNCTIONS)
    with torch.no_grad():
        x, *y = inputs(encoder, vae, given, 5)
        z = encoder(x, *y)["mean"]
        torch.testing.assert_close(z, vae.encode(x, *y))
        torch.testing.assert_close(decoder(z, *y)["mean"], vae.decode(z, *y))
        noise, *y = inputs(sampler, vae, given, 5)
        found = sampler(noise, *y)
        torch.testing.assert_close(found["x"], vae.decode(found["z"], *y))


@pytest.mark.parametrize("variant", DIFFERENT)
def test_noise_becomes_samples_of_the_prior(variant: str) -> None:
    """First and second moments of 4000 samples, within 6 standard errors of their difference."""
    vae = made((8,), settings(variant=variant))
    sampler, n = SAMPLER(vae), 4000
    first, *label = sampler.example(n)
    with torch.no_grad():
        found = sampler(torch.randn(first.shape), *label)["z"]
        p = vae.prior(*vae.given(*label or (None,)))
        wanted = p.sample(() if p.batch_shape else (n,))
    for one, other in (
        (found, wanted),
        (found**2, wanted**2),
        (found[:, :1] * found, wanted[:, :1] * wanted),
    ):
        error = ((one.var(0) + other.var(0)) / n).sqrt()
        assert ((one.mean(0) - other.mean(0)).abs() <= 6 * error + 1e-6).all()


def test_a_gaussian_posterior_has_mean_and_log_variance() -> None:
    vae = made((8, 8), settings(variant="full-cov"))
    x = torch.rand(4, 8, 8)
    found, q = ENCODER(vae)(x), vae.encoder(x)
    torch.testing.assert_close(found["log_variance"].exp(), q.variance)
    torch.testing.assert_close(found["scale_tril"] @ found["scale_tril"].mT, q.covariance_matrix)


def test_the_probabilities_of_a_table_are_those_of_its_columns() -> None:
    given = settings(likelihood="mixed", network="wide-deep")
    vae = made((9,), given)
    z = torch.randn(5, vae.latent)
    with torch.no_grad():
        found, p = DECODER(vae)(z)["probabilities"], vae.decoder(z).base_dist
        at = 0
        for column, size in ((1, 4), (4, 2), (5, 3), (8, 5)):  # as in small_models.COLUMNS
            for value in range(size):
                x = torch.zeros(5, 9)
                x[:, column] = value
                wanted = p.log_prob(x)[:, column].exp()
                torch.testing.assert_close(found[:, at + value], wanted)
            at += size
    assert found.shape == (5, at)


def test_a_label_that_was_never_seen_gives_no_number() -> None:
    vae = made((8, 8), settings(variant="cvae"))  # of the classes 0, 1 and 7
    found = ENCODER(vae)(torch.rand(4, 8, 8), torch.tensor([7, 3, 99, 0]))["mean"]
    assert found.isnan().all(1).tolist() == [False, True, True, False]


# ---------------------------------------------------------------- the files


CONTRACT = {"a": [1, "ü"]}


@pytest.fixture(scope="module")
def vae() -> VAE:
    torch.manual_seed(0)
    return made((8, 8), settings(variant="fsq"))  # inside, torch calls a value `mean`, too


@pytest.fixture(scope="module")
def content(vae: VAE) -> bytes:
    return portable.onnx(ENCODER(vae), CONTRACT)


def test_an_onnx_file_is_whole_and_has_the_names_of_the_page(content: bytes) -> None:
    model = onnx.load_from_string(content)
    assert [(p.key, json.loads(p.value)) for p in model.metadata_props] == [("vaelab", CONTRACT)]
    assert not any(weight.external_data for weight in model.graph.initializer)
    assert [value.name for value in model.graph.input] == ["x"]
    assert [value.name for value in model.graph.output] == ["mean", "indices"]
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "N"


def test_a_file_is_the_same_each_time_and_torch_says_nothing_of_its_work(
    vae: VAE, content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert portable.onnx(ENCODER(vae), CONTRACT) == content
    assert not caught
    assert capfd.readouterr() == ("", "")


def test_a_file_names_nothing_of_the_machine_that_wrote_it(vae: VAE, content: bytes) -> None:
    for file in (content, portable.pt2(ENCODER(vae), CONTRACT)):
        assert b"/vaelab/" not in file
        assert b"site-packages" not in file


# ---------------------------------------------------------------- what is refused


class Deciding(nn.Module):
    """A network that looks at the values of its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


class Foreign(nn.Module):
    """A network with an operation that ONNX does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x.flatten(1))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            Deciding(),
            r"^encoder: torch.export cannot trace it \(.+\); write .* or choose --format safet",
        ),
        (Foreign(), r"^encoder: ONNX cannot express it \(.*bessel_j0.*\); choose --format torch"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    network: nn.Module, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    vae = made((8,), settings(hidden=()))
    vae.encoder.network = network
    with pytest.raises(UserError, match=message) as caught:
        portable.onnx(ENCODER(vae), {})
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_weights_that_are_too_many_for_onnx_are_refused(
    vae: VAE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable, "LARGEST", 1000)
    with pytest.raises(UserError, match=r"ends at 2 GiB; choose --format torch-export"):
        portable.onnx(ENCODER(vae), {})


def test_a_missing_package_is_named(vae: VAE, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript.*; install it: pip install 'vaelab\[onnx\]'"):
        portable.onnx(ENCODER(vae), {})


class Flat(nn.Module):
    """A prior whose samples are no function of normal noise."""

    def forward(self) -> torch.distributions.Distribution:
        return torch.distributions.Independent(
            torch.distributions.StudentT(torch.full((3,), 4.0)), 1
        )


def test_a_prior_without_an_inverse_has_no_sampler() -> None:
    vae = made((8,), settings())
    vae.prior = Flat()
    with pytest.raises(UserError, match=r"model\.prior: Independent has no samples as a function"):
        SAMPLER(vae)
    vae.prior.forward = lambda: torch.distributions.Independent(  # type: ignore[method-assign]  # a custom prior
        torch.distributions.Laplace(torch.zeros(3), 1.0), 1
    )
    z = SAMPLER(vae)(torch.randn(4000, 3))["z"]
    assert abs(z.abs().mean() - 1) < 5 * 4000**-0.5  # E|z| = 1, Var|z| = 1, 12000 numbers


# ---------------------------------------------------------------- the whole product


def _benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "export.py"
    spec = importlib.util.spec_from_file_location("benchmark_of_export", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_page_is_that_of_the_measurement_and_below_the_tolerance() -> None:
    benchmark = _benchmark()
    results = json.loads(benchmark.RESULTS.read_text("utf-8"))
    assert benchmark.as_table(results) in benchmark.PAGE.read_text("utf-8")
    assert [*results["models"]] == DIFFERENT
    for cases in results["models"].values():
        assert [case["network"] for case in cases] == [*NETWORKS]
        assert all(case[f.name]["difference"] < PARITY for case in cases for f in FUNCTIONS)


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("variant", DIFFERENT)
def test_so_it_is_for_every_row_with_every_network(variant: str, network: str) -> None:
    found = _benchmark().measure(variant, network)
    assert all(found[function.name]["difference"] < PARITY for function in FUNCTIONS)
