"""Exported files: onnxruntime and torch.export give what PyTorch gives, for every model."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from small_models import made, rows, settings
from torch import Tensor

from vaelab.errors import UserError
from vaelab.export import FUNCTIONS, Function, portable
from vaelab.models import VAE
from vaelab.recipes import Model, table
from vaelab.recipes.parts import LIKELIHOODS, NETWORKS

# Sums of some hundred products of size 1 have an error of some 10^-7 each in float32, which a few
# layers multiply; in another order of summation they differ by no more.
PARITY = 1e-5
SHAPES: dict[str, tuple[int, ...]] = {
    "mlp": (8, 8),
    "wide-deep": (9,),
    "conv": (8, 8),
    "resnet": (3, 9, 8),
    "conv1d": (2, 9),
}


def model(variant: str, network: str = "mlp", **given: Any) -> Model:
    """A row of the table; tables have the likelihood of tables, but where the row has its own."""
    if network == "wide-deep" and not table.ROWS[variant].likelihood and variant != "vamp":
        given = {"likelihood": "mixed"} | given
    return settings(variant=variant, network=network, **given)


def different() -> dict[str, Model]:
    """The rows of the table without those that train the same model in another way."""
    found: dict[str, Model] = {}
    for variant in table.ROWS:
        made = settings(variant=variant)
        same = (other for other in found.values() if _same(made, other))
        if next(same, None) is None:
            found[variant] = made
    return found


def _same(one: Model, other: Model) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in one.__struct_fields__
        if name not in ("variant", "temperature")
    )


DIFFERENT = list(different())
COVERING = [  # every model once, every network several times
    (variant, [*NETWORKS][i % len(NETWORKS)]) for i, variant in enumerate(DIFFERENT)
]


@pytest.fixture(autouse=True, scope="module")
def _registry() -> Iterator[None]:
    """torch reads its table of ONNX operations anew for every export, which is half of the time."""
    from torch.onnx._internal.exporter import _registration

    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(_registration.ONNXRegistry.from_torchlib)
        patch.setattr(_registration.ONNXRegistry, "from_torchlib", staticmethod(once))
        yield


def inputs(function: Function, vae: VAE, given: Model, n: int) -> tuple[Tensor, ...]:
    """Random inputs of a function: n rows."""
    first, *label = function.example(n)
    if function.name == "encoder":
        first = rows(vae, given, max(n, 1))["encode"][0][:n]
    elif function.name == "decoder" and not torch.is_nonzero(torch.tensor(n)):
        first = torch.zeros(0, vae.latent)
    else:
        first = torch.randn(first.shape)
    return (first, *(vae.classes[torch.arange(n) % len(vae.classes)] for _ in label))


def apart(found: Any, wanted: dict[str, Tensor]) -> float:
    """The largest difference, of 1 or of the value where that is larger."""
    return max(
        float(((torch.as_tensor(one) - other).abs() / other.abs().clamp(min=1)).double().max())
        for one, other in zip(found, wanted.values(), strict=True)
    )


def check(function: Function, vae: VAE, given: Model) -> float:
    """Return the largest difference of onnxruntime and PyTorch; the shapes agree for no rows."""
    session = onnxruntime.InferenceSession(portable.onnx(function, {}))
    names = [port.name for port in session.get_inputs()]
    differences = []
    for n in (1, 7, 0):
        rows = inputs(function, vae, given, n)
        found = session.run(
            None, {name: row.numpy() for name, row in zip(names, rows, strict=True)}
        )
        with torch.no_grad():
            wanted = function(*(inputs(function, vae, given, n or 1)))
        if n:
            with torch.no_grad():
                differences.append(apart(found, function(*rows)))
        for one, other in zip(found, wanted.values(), strict=True):
            assert one.shape == (n, *other.shape[1:])
            assert torch.as_tensor(one).dtype == other.dtype
    assert [port.name for port in session.get_outputs()] == list(wanted)
    return max(differences)


@pytest.mark.parametrize(("variant", "network"), COVERING)
def test_onnxruntime_gives_what_pytorch_gives(variant: str, network: str) -> None:
    given = model(variant, network)
    vae = made(SHAPES[network], given)
    for make in FUNCTIONS:
        assert check(make(vae), vae, given) < PARITY
