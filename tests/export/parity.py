"""Models, inputs and comparisons for the tests of exported files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import onnxruntime
import torch
from small_models import made, rows, settings  # noqa: F401  # also for those who import this module
from torch import Tensor

from vaelab.export import Function, portable
from vaelab.models import VAE
from vaelab.recipes import Model, table

# A sum of some hundred products of size 1 has in float32 an error of some 1e-7, whatever the order
# of the summation; a few layers multiply it by ten or so.
PARITY = 1e-5
SHAPES: dict[str, tuple[int, ...]] = {  # data for each network
    "mlp": (8, 8),
    "wide-deep": (9,),
    "conv": (8, 8),
    "resnet": (3, 9, 8),
    "conv1d": (2, 9),
}


def same_model(one: str, other: str) -> bool:
    """Whether two rows of the table differ in how they train a model alone."""
    models = [settings(variant=variant) for variant in (one, other)]
    return msgspec.structs.replace(models[0], variant=other) == models[1]


def _different() -> list[str]:
    """The first of the rows of each model."""
    found: list[str] = []
    for variant in table.ROWS:
        if not any(same_model(variant, other) for other in found):
            found.append(variant)
    return found


DIFFERENT = _different()


def likelihood_of(variant: str, network: str) -> str:
    """The likelihood of a case: that of tables for networks of tables, where the row allows it."""
    own = settings(variant=variant).likelihood
    tables = network == "wide-deep" and not table.ROWS[variant].likelihood and variant != "vamp"
    return "mixed" if tables else own


def inputs(function: Function, vae: VAE, model: Model, n: int) -> tuple[Tensor, ...]:
    """Random inputs of a function: n rows, in tables with empty cells, and their labels."""
    first, *label = function.example(n)
    x = rows(vae, model, n)["encode"][0] if function.name == "encoder" else torch.randn(first.shape)
    return (x, *(vae.classes[torch.arange(n) % len(vae.classes)] for _ in label))


def apart(found: Iterable[Any], wanted: dict[str, Tensor]) -> float:
    """The largest difference, in units of the value where that is larger than 1."""
    return max(
        float(((torch.as_tensor(one) - other).abs() / other.abs().clamp(min=1)).max())
        for one, other in zip(found, wanted.values(), strict=True)
    )


@torch.no_grad()
def onnx_error(function: Function, vae: VAE, model: Model, content: bytes | None = None) -> float:
    """The largest difference of onnxruntime and PyTorch, for batches of one, of seven, and of none,
    whose shapes must be right."""
    session = onnxruntime.InferenceSession(content or portable.onnx(function, {}))
    names = [port.name for port in session.get_inputs()]
    error = 0.0
    for n in (1, 7, 0):
        given = inputs(function, vae, model, n)
        found = session.run(None, dict(zip(names, (row.numpy() for row in given), strict=True)))
        wanted = function(*(given if n else function.example()))
        assert [port.name for port in session.get_outputs()] == [*wanted]
        for one, other in zip(found, wanted.values(), strict=True):
            assert one.shape == (n, *other.shape[1:])
            assert torch.as_tensor(one).dtype == other.dtype
        error = max(error, apart(found, wanted)) if n else error
    return error
