"""The gradient that is written out is that of autograd, and serves the models it is written for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

import vaelab
from vaelab.data import Batches, load
from vaelab.models import build, linear
from vaelab.recipes import Model, Objective, recipe
from vaelab.training import loop
from vaelab.training.gradients import Automatic, Gradient, written

SHAPE = 28, 28
PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed"}


def a_step(objective: Objective | None = None, **model: Any) -> vaelab.Step:
    settings = Model(**{"hidden": (400,), "latent": 20} | model)
    classes = range(3) if settings.conditional else ()
    return vaelab.Step(build(settings, SHAPE, 256, classes), objective)


def gradients(step: vaelab.Step, gradient: Gradient, x: Tensor, beta: float) -> list[Tensor]:
    """The terms and all gradients, by noise that is the same at every call."""
    torch.manual_seed(1)
    terms = gradient(x, None, {"beta": beta}, None)
    return [
        terms,
        *(weight.grad.clone() for weight in step.parameters() if weight.grad is not None),
    ]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("products", ["torch", "torch by columns", "onednn"])
@pytest.mark.parametrize(
    ("hidden", "activation", "rows"),
    [((400,), "relu", 128), ((512, 256), "tanh", 96), ((), "relu", 1), ((30,), "relu", 50)],
)
def test_it_is_that_of_autograd(
    hidden: tuple[int, ...], activation: str, rows: int, products: str, precision: str
) -> None:
    """Up to the order of sums of at most 784 numbers; in bfloat16 up to its 8 digits."""
    step = a_step(hidden=hidden, activation=activation)
    x, digits = torch.rand(rows, *SHAPE), 2**-8 if precision == "bfloat16" else 1e-5
    fabric = Fabric(accelerator="cpu", devices=1, precision=PRECISIONS[precision])  # type: ignore[arg-type]  # a literal
    automatic = Automatic(step, fabric, torch.optim.SGD(step.parameters()))
    ours = written(step, precision)
    assert ours is not None
    with linear.using(products):
        wanted = gradients(step, automatic, x, 0.7)
        found = gradients(step, ours, x, 0.7)
    assert len(found) == len(wanted) == 1 + len([*step.parameters()])
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype == torch.float32
        assert a.stride() == b.stride()
        torch.testing.assert_close(a, b, rtol=digits, atol=digits * b.abs().max().item())


@pytest.mark.parametrize(
    "model",
    [
        {"network": "conv", "hidden": (4,)},
        {"activation": "elu"},
        {"batch_norm": True},
        {"dropout": 0.1},
        {"conditional": True},
        {"likelihood": "gaussian"},
        {"likelihood": "continuous-bernoulli"},
        {"posterior": "full-covariance"},
        {"posterior": "point"},
        {"prior": "mixture"},
    ],
)
def test_other_models_have_none(model: dict[str, Any]) -> None:
    assert written(a_step(**model), "float32") is None


@pytest.mark.parametrize("settings", [{"name": "iwae", "k": 5}, {"k": 2}, {"name": "free-bits"}])
def test_other_objectives_have_none(settings: dict[str, Any]) -> None:
    assert written(a_step(Objective(**settings)), "float32") is None


def test_who_listens_to_a_step_is_heard() -> None:
    """Hooks, frozen weights and other classes leave the gradient to autograd."""
    step = a_step()
    assert written(step, "float32")
    for listen in (
        lambda: step.model.decoder.register_forward_hook(lambda *_: None),
        lambda: step.model.encoder.head.register_full_backward_hook(lambda *_: None),
        lambda: next(step.parameters()).register_hook(lambda grad: grad),
    ):
        handle = listen()
        assert written(step, "float32") is None
        handle.remove()
        assert written(step, "float32")
    next(step.parameters()).requires_grad_(False)
    assert written(step, "float32") is None

    shared = a_step(hidden=(784,), latent=784)
    shared.model.decoder.network[0] = shared.model.encoder.network[1]  # type: ignore[index, operator]  # both are Sequential
    assert written(shared, "float32") is None

    class Other(vaelab.Step):
        """A step of somebody else."""

    assert written(Other(a_step().model), "float32") is None


@pytest.mark.parametrize("weighted", [False, True])
def test_a_training_is_the_same_with_and_without(
    weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses of three epochs agree to rounding; sample weights are autograd's."""
    chosen = recipe("quickstart", {"train.epochs": 3})
    digits, calls = load(chosen.data), []
    weights = torch.rand(len(digits.train.x)) if weighted else None
    cpu = torch.device("cpu")
    images = Batches(digits.train.x, digits.levels, chosen.data, cpu, weights=weights)

    def losses() -> list[float]:
        torch.manual_seed(0)
        step = vaelab.Step(build(chosen.model, digits.shape, digits.levels), chosen.objective)
        epochs = loop.epochs(step, images, chosen.train)
        return [epoch.train.loss for epoch in epochs]

    def watched(*settings: Any) -> Any:
        calls.append(settings)
        return written(*settings)

    monkeypatch.setattr(loop, "written", watched)
    found = losses()
    assert bool(calls) is not weighted
    monkeypatch.setattr(loop, "written", lambda *_: None)
    assert found == pytest.approx(losses(), rel=1e-5)
