"""What holds for every optimiser of the table, and for custom ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import outcome, tiny
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adam, Optimizer

import vaelab
from vaelab.errors import UserError
from vaelab.plots import gallery
from vaelab.recipes import Train, recipe
from vaelab.recipes.parts import OPTIMISERS
from vaelab.training import optimisers

EXTRA: dict[str, dict[str, Any]] = {"adamw": {"weight_decay": 0.01}}


class Crash(BaseException):
    """Stands for whatever ends a process without asking it."""


def settings(name: str, **others: Any) -> Train:
    return Train(optimiser=name, **EXTRA.get(name, {}), **others)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_it_minimises_a_quadratic(name: str) -> None:
    """From (3, -2): within 500 steps of 0.05 a quadratic of condition 10 is all but 0."""
    weights = Parameter(torch.tensor([3.0, -2.0]))
    optimiser = optimisers.make([weights], settings(name, learning_rate=0.05))
    values = []
    for _ in range(500):
        loss = (weights.square() * torch.tensor([1.0, 10.0])).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        values.append(loss.item())
    assert values[20] < values[0]
    assert values[-1] < 1e-2 * values[0]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_resumed_run_ends_with_the_same_bytes(
    name: str, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {f"train.{key}": value for key, value in EXTRA.get(name, {}).items()}
    chosen = tiny({"train.optimiser": name} | extra)
    whole = vaelab.train(chosen, tmp_path / "whole", quiet=True).folder

    def crash(run: object, vae: object, x: object, y: object, epoch: int) -> None:
        if epoch == 2:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(gallery, "snapshot", crash)
        with pytest.raises(Crash):
            vaelab.train(chosen, tmp_path / "run", quiet=True)
    assert outcome(vaelab.resume(tmp_path / "run", quiet=True).folder) == outcome(whole)


def test_adamw_shrinks_weights_without_a_gradient_by_the_rate_times_the_decay() -> None:
    weights = Parameter(torch.tensor([2.0]))
    optimiser = optimisers.make([weights], settings("adamw", learning_rate=0.1))
    weights.grad = torch.zeros(1)
    optimiser.step()
    assert weights.item() == pytest.approx(2.0 * (1 - 0.1 * 0.01))


@pytest.mark.parametrize(
    ("given", "says", "remedy"),
    [
        ({"train.weight_decay": 0.1}, "'adam' does not take it", {"train.weight_decay": 0.0}),
        ({"train.optimiser": "adamw"}, "is adam", {"train.weight_decay": 0.01}),
        ({"train.optimiser": "adamw"}, "is adam", {"train.optimiser": "adam"}),
    ],
    ids=str,
)
def test_settings_that_the_optimiser_does_not_take_are_refused_with_a_remedy_that_works(
    given: dict[str, Any], says: str, remedy: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=says) as caught:
        recipe("quickstart", given)
    (key, value), *_ = remedy.items()
    assert f"{key.partition('.')[2]} to {value:g}" in str(caught.value) if value != "adam" else True
    recipe("quickstart", given | remedy)


CUSTOM = """
import torch

class Plain(torch.optim.SGD):
    pass

def fast(parameters, settings):
    return torch.optim.SGD(parameters, lr=settings.learning_rate, momentum=0.9)

def wrong(parameters, settings):
    return 3
"""


def test_a_custom_optimiser_is_a_class_or_a_function_and_resumes(
    quick: None, tmp_path: Path
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CUSTOM)
    for name in ("Plain", "fast"):
        chosen = tiny({"train.optimiser": f"{path}:{name}", "train.learning_rate": 1e-4})
        run = vaelab.train(chosen, tmp_path / name, quiet=True)
        assert run.history[-1]["train"]["loss"] < run.history[0]["train"]["loss"]
    with pytest.raises(UserError, match=r"train\.optimiser: .*wrong returned a int"):
        vaelab.train(tiny({"train.optimiser": f"{path}:wrong"}), tmp_path / "wrong", quiet=True)


def test_adam_is_that_of_torch_bit_for_bit() -> None:
    """Also where its state is saved and loaded, and in a step in which a weight has no gradient."""

    def train(make: Callable[[list[Parameter]], Optimizer]) -> list[Tensor]:
        torch.manual_seed(0)
        weights = [Parameter(torch.randn(5, 3)), Parameter(torch.randn(4))]
        optimiser = make(weights)
        for step in range(12):
            if step == 4:
                state = optimiser.state_dict()
                optimiser = make(weights)
                optimiser.load_state_dict(state)
            optimiser.param_groups[0]["lr"] = 0.1 / (step + 1)
            for weight in weights:
                weight.grad = torch.randn_like(weight)
            if step == 7:
                weights[1].grad = None
            optimiser.step()
            optimiser.zero_grad()
            assert all(weight.grad is None for weight in weights)
        return weights

    asked = settings("adam", epsilon=1e-6)
    ours = train(lambda weights: optimisers.make(weights, asked))
    torchs = train(lambda weights: Adam(weights, lr=asked.learning_rate, eps=1e-6, fused=True))
    for a, b in zip(ours, torchs, strict=True):
        assert torch.equal(a, b)
