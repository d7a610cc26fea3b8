"""Programs: what a module does as steps, what cannot become one, and how a page holds them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from small_models import CASES, LAYERS, made, rows, settings
from torch import Tensor, nn

from vaelab.export import Arrays, Program, Reason, embedded, functions, trace
from vaelab.export.arrays import fixed_point
from vaelab.export.kernels import run
from vaelab.export.model import Decode, Distortion, Encode, Rates
from vaelab.export.reasons import UnknownOperationError, UntraceableError
from vaelab.recipes import table

FUNCTIONS = {"encode": Encode, "decode": Decode, "distortion": Distortion, "rates": Rates}


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, *x: Tensor) -> object:
        return self.function(*x)  # type: ignore[operator]


def equal(module: nn.Module, *x: Tensor) -> Program:
    """Trace a module with one returned tensor; its program gives the same for the input."""
    program = trace(module, *x)
    found, wanted = run(program, *x)[0], module(*x)
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-6)
    return program


# ---------------------------------------------------------------- tracing


@pytest.mark.parametrize("name", CASES)
def test_a_program_does_what_its_model_does(name: str) -> None:
    shape, given = CASES[name]
    model = settings(**given)
    vae = made(shape, model)
    inputs = rows(vae, model, 2)
    for function, program in functions(vae, inputs["encode"][0]).items():
        if isinstance(program, Reason):
            assert function == "rates"
            continue
        row = tuple(given[1:] for given in inputs[function])
        with torch.no_grad():
            wanted = FUNCTIONS[function](vae)(*row)
        for found, one in zip(run(program, *row), wanted, strict=True):
            assert found.shape == one.shape
            assert torch.allclose(found, one, rtol=1e-5, atol=2e-5), function


@pytest.mark.parametrize("variant", table.ROWS)
def test_every_function_of_every_row_of_the_table_is_a_program_or_a_sentence(variant: str) -> None:
    vae = made((8, 8), settings(variant=variant))
    found = functions(vae, torch.rand(2, 8, 8))
    assert found.keys() == FUNCTIONS.keys()
    assert isinstance(found["decode"], Program)
    for function in found.values():
        if not isinstance(function, Program):
            assert function.endswith(".")
            assert function.key not in ("different", "untraceable")


def test_rates_are_those_of_the_dimensions_where_posterior_and_prior_factorise() -> None:
    def outputs(variant: str) -> object:
        found = functions(made((4,), settings(variant=variant)), torch.rand(2, 4))["rates"]
        return found.outputs[0].shape if isinstance(found, Program) else found.key

    assert outputs("vae") == (1, 3)
    assert outputs("full-cov") == (1, 1)
    assert outputs("ae") == "point"
    assert outputs("vamp") == "open"


def test_the_codes_of_an_autoencoder_have_no_spread() -> None:
    program = functions(made((4,), settings(variant="ae")), torch.rand(2, 4))["encode"]
    assert isinstance(program, Program)
    assert not run(program, torch.rand(1, 4))[1].any()


def test_batch_normalisation_becomes_part_of_the_layer_before_it() -> None:
    layers = [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5)]
    model = nn.Sequential(*layers, nn.BatchNorm1d(5), nn.Dropout(0.5))
    for _ in range(3):
        model(torch.randn(8, 2, 4, 4))
    program = equal(model.eval(), torch.randn(1, 2, 4, 4))
    assert [step.kind for step in program.steps] == ["conv", "map", "linear"]


def test_views_and_constants_take_no_step() -> None:
    def view(x: Tensor) -> Tensor:
        rows = x.reshape(2, 3, 4).transpose(0, 2)[1:, :, 0] * torch.arange(3.0).exp()
        return rows.unsqueeze(-1).expand(3, 3, 2) + x.flatten()[2]

    assert [step.name for step in equal(Function(view), torch.rand(24)).steps] == ["mul", "add"]


def test_a_shape_that_strides_cannot_give_costs_a_copy() -> None:
    program = equal(Function(lambda x: x.T.reshape(-1) + 1), torch.rand(3, 4))
    assert [step.name for step in program.steps] == ["copy", "add"]


@pytest.mark.parametrize("name", LAYERS)
def test_convolutions_of_any_stride_and_padding(name: str) -> None:
    equal(LAYERS[name], torch.randn(1, 3, 5, 4))


def test_a_change_in_place_that_nothing_else_sees_is_like_any_other() -> None:
    equal(nn.Sequential(nn.Linear(4, 3), nn.ReLU(inplace=True)), torch.randn(1, 4))


# ---------------------------------------------------------------- what cannot become a program


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: x.cumsum(0), "cumsum"),
        (lambda x: torch.fft.fft(x).real, "fft_fft"),
        (lambda x: x.view(2, 2) @ x.view(2, 2), "matmul"),
        (lambda x: nn.functional.gelu(x, approximate="tanh"), r"gelu\(approximate='tanh'\)"),
        (lambda x: x.div(2, rounding_mode="floor"), r"div\(rounding_mode=floor\)"),
        (lambda x: nn.functional.selu(x), "selu"),
    ],
)
def test_an_unknown_operation_is_named(function: object, named: str) -> None:
    with pytest.raises(UnknownOperationError, match=f"The model uses {named}, an operation"):
        trace(Function(function), torch.rand(4))


def test_a_model_that_decides_by_its_data_is_refused() -> None:
    with pytest.raises(UntraceableError, match="depends on its data"):
        trace(Function(lambda x: x if x.sum() > 0 else -x), torch.rand(4))


def test_a_reason_is_a_sentence_in_both_languages() -> None:
    reason = Reason("unknown", operation="cumsum")
    assert "The model uses cumsum" in reason
    assert "O modelo usa cumsum" in reason.said("pt")


def test_a_program_that_gives_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: Program, *x: Tensor) -> list[Tensor]:
        return [output + 0.01 for output in run(program, *x)]

    monkeypatch.setattr("vaelab.export.model.run", wrong)
    found = functions(made((4,), settings()), torch.rand(2, 4))
    assert {one.key for one in found.values() if isinstance(one, Reason)} == {"different"}


def test_a_model_too_large_for_a_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaelab.export.model.LARGEST", 10)
    found = functions(made((4,), settings()), torch.rand(2, 4))
    assert {one.key for one in found.values() if isinstance(one, Reason)} == {"large"}
    assert not any(isinstance(one, Program) for one in found.values())


# ---------------------------------------------------------------- in a page


def test_a_page_holds_shared_weights_once() -> None:
    vae = made((28, 28), settings(hidden=(50,), batch_norm=False))
    found, arrays = functions(vae, torch.rand(2, 28, 28)), Arrays()
    for program in found.values():
        assert isinstance(program, Program)
        json.dumps(embedded(program, arrays), allow_nan=False)
    weights = sum(weight.numel() for weight in vae.parameters())
    assert len(arrays) < 3.2 * weights


@pytest.mark.parametrize("bits", [16, 24])
def test_fixed_point_is_exact_to_its_bits(bits: int) -> None:
    array = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    array[1] *= 1e-6
    array[2] = 0
    stored, scale = fixed_point(array, bits)
    error = np.abs(stored * scale.astype(np.float64)[:, None, None] - array).max((1, 2))
    assert (error <= 1.01 * 2.0**-bits * np.abs(array).max((1, 2))).all()
