"""The gradient that is written out is that of autograd, and serves the models it is written for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import vaelab
from vaelab.data import Batches, load
from vaelab.models import Linear, build, linear
from vaelab.recipes import Model, Objective, recipe
from vaelab.training import loop
from vaelab.training.gradients import Automatic, Gradient, written

SHAPE = 28, 28
PRECISIONS = ("float32", "bfloat16")


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
@pytest.mark.parametrize("products", ["torch", "onednn"])
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
    automatic = Automatic(step, precision, torch.optim.SGD(step.parameters()))
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

    changed = a_step()
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert written(changed, "float32") is None
    handle.remove()
    assert written(changed, "float32")
    changed.model.decoder.network.forward = lambda z: z
    assert written(changed, "float32") is None

    class Other(vaelab.Step):
        """A step of somebody else."""

    assert written(Other(a_step().model), "float32") is None


def custom(*layers: nn.Module) -> vaelab.Step:
    """A step whose decoder, from 784 numbers to 784, consists of these layers."""
    step = a_step(hidden=(), latent=784)
    step.model.decoder.network = nn.Sequential(*layers, nn.Unflatten(1, (1, *SHAPE)))
    return step


def test_custom_networks_have_it_only_where_its_formulas_hold() -> None:
    first, second, relu = Linear(784, 784), Linear(784, 784), nn.ReLU()
    assert written(custom(first, relu, second), "float32")
    assert written(custom(first, relu, second, relu, first), "float32") is None  # one serves twice
    assert written(custom(Linear(784, 784, bias=False), relu, second), "float32") is None
    second.bias = first.bias
    assert written(custom(first, relu, second), "float32") is None


def test_pixels_may_have_channels_and_the_default_type_may_be_another(
    request: pytest.FixtureRequest,
) -> None:
    step = vaelab.Step(build(Model(hidden=(30,), latent=5), (3, 8, 8), 256))
    x, ours = torch.rand(7, 3, 8, 8), written(step, "float32")
    automatic = Automatic(step, "float32", torch.optim.SGD(step.parameters()))
    assert ours is not None
    request.addfinalizer(lambda: torch.set_default_dtype(torch.float32))
    torch.set_default_dtype(torch.float64)
    found, wanted = gradients(step, ours, x, 1.0), gradients(step, automatic, x, 1.0)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * b.abs().max().item())


@pytest.mark.parametrize("logit", [-1e4, 1e4, float("inf"), float("nan")])
def test_logits_of_any_size_have_their_loss(logit: float) -> None:
    """Of 1e4 the exact one; of what is not finite none, by which a divergence is noticed."""
    step = a_step()
    ours, x = written(step, "float32"), torch.rand(2, *SHAPE)
    assert ours is not None
    with torch.no_grad():
        step.model.decoder.network[-2].bias.fill_(logit)  # type: ignore[index, operator, union-attr]  # a Sequential
    distortion = ours(x, None, {"beta": 1.0}, None)[0].item()
    if abs(logit) == 1e4:
        wrong = (1 - x if logit > 0 else x).flatten(1).sum(1).mean().item()
        assert distortion == pytest.approx(1e4 * wrong, rel=1e-4)  # of other logits within 1
    else:
        assert not math.isfinite(distortion)


def test_nothing_of_a_step_is_kept_but_the_gradients() -> None:
    ours = written(a_step(), "bfloat16")
    assert ours is not None
    ours(torch.rand(2, *SHAPE), None, {"beta": 1.0}, None)
    for chain in (ours.encoder, ours.decoder):
        assert not chain.inputs
        assert not chain.weights


@pytest.mark.parametrize("weighted", [False, True])
def test_a_training_is_the_same_with_and_without(
    weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses of three epochs agree to rounding; sample weights are autograd's."""
    chosen = recipe("quickstart", {"train.epochs": 3, "model.likelihood": "bernoulli"})
    digits, used = load(chosen.data), list[bool]()
    weights = torch.rand(len(digits.train.x)) if weighted else None
    cpu = torch.device("cpu")
    images = Batches(digits.train.x, digits.levels, chosen.data, cpu, weights=weights)

    def losses() -> list[float]:
        torch.manual_seed(0)
        step = vaelab.Step(build(chosen.model, digits.shape, digits.levels), chosen.objective)
        epochs = loop.epochs(step, images, chosen.train)
        return [epoch.train.loss for epoch in epochs]

    def watched(*settings: Any) -> Any:
        gradient = written(*settings)
        used.append(gradient is not None)
        return gradient

    monkeypatch.setattr(loop, "written", watched)
    found = losses()
    assert used == ([] if weighted else [True] * 3)
    monkeypatch.setattr(loop, "written", lambda *_: None)
    assert found == pytest.approx(losses(), rel=1e-5)
