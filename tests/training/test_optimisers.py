"""What holds for every optimiser of the table, and for custom ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import outcome, tiny
from torch.nn import Parameter

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


def test_the_lean_adam_is_torchs_whatever_happens_between_its_steps() -> None:
    """A parameter without a gradient in some steps, a changed rate, and a state that is loaded."""
    torch.manual_seed(0)
    lean, plain = ([Parameter(torch.ones(3)), Parameter(torch.ones(2, 2))] for _ in range(2))
    ours = optimisers.make(lean, settings("adam", learning_rate=0.1))
    theirs = torch.optim.Adam(plain, lr=0.1, eps=Train().epsilon, fused=True)
    assert isinstance(ours, optimisers.LeanAdam)
    saved: dict[str, Any] = {}
    for i in range(12):
        x, gone = torch.randn(3), i in (0, 5, 6)  # the first step lacks a gradient, too
        for parameters, optimiser in ((lean, ours), (plain, theirs)):
            optimiser.zero_grad()
            a, b = parameters
            loss = (a * x).square().sum() + (0.0 if gone else (b @ b).square().sum())
            loss.backward()
            optimiser.param_groups[0]["lr"] = 0.1 / (1 + i)
            optimiser.step()
        if i == 8:
            saved = theirs.state_dict()
        if i == 9:
            for optimiser in (ours, theirs):
                optimiser.load_state_dict(copy.deepcopy(saved))
        for a, b in zip(lean, plain, strict=True):
            assert torch.equal(a, b)
    for a, b in zip(lean, plain, strict=True):
        for name, value in theirs.state[b].items():
            assert torch.equal(ours.state[a][name], value)


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
