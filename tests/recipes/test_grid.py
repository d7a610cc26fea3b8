"""The axes of a sweep, and the names of its runs."""

from __future__ import annotations

from typing import Any

import pytest

import vaelab
from vaelab.recipes import Range, Recipe, Values, axes, grid


def test_values_get_the_types_of_their_settings() -> None:
    over = {
        "objective.beta": "0.5, 1,2",
        "model.latent": [2, 8],
        "model.hidden": "400;512,256",
        "model.activation": "relu,tanh",
        "model.batch_norm": "false,true",
        "train.learning_rate": "1e-4..1e-2",
        "train.batch": "32..64",
    }
    found = {one.key: one for one in axes(Recipe(), over)}
    values = {key: one.values for key, one in found.items() if isinstance(one, Values)}
    assert values == {
        "objective.beta": (0.5, 1.0, 2.0),
        "model.latent": (2, 8),
        "model.hidden": ([400], [512, 256]),
        "model.activation": ("relu", "tanh"),
        "model.batch_norm": (False, True),
    }
    assert found["train.learning_rate"] == Range("train.learning_rate", 1e-4, 1e-2, whole=False)
    assert found["train.learning_rate"].log
    assert found["train.batch"] == Range("train.batch", 32, 64, whole=True)
    assert not found["train.batch"].log


def test_a_grid_holds_every_combination_once() -> None:
    over = [Values("objective.beta", (0.5, 1.0)), Values("model.hidden", ([16], [32, 16]))]
    runs = grid(Recipe(), over, seeds=3)
    assert len(runs) == 12
    seen = {(r.objective.beta, r.model.hidden, r.train.seed) for r in runs.values()}
    assert len(seen) == 12
    assert {seed for *_, seed in seen} == {42, 43, 44}
    assert runs["beta-0.5-hidden-32x16-seed-43"].model.hidden == (32, 16)


def test_names_are_safe_for_folders_and_differ() -> None:
    values = Values("data.source", ("../a b", "../a/b", "../A b", "x" * 300))
    names = [*grid(Recipe(), [values])]
    assert names == ["source-..-a-b", "source-..-a-b-2", "source-..-A-b-3", f"source-{'x' * 93}"]


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"objective.bta": "1"}, "objective.bta: there is no such setting; did you mean"),
        ({"objective.beta": ""}, "--over objective.beta: a value is missing; write the values as"),
        ({"objective.beta": []}, "objective.beta: a value is missing"),
        ({"objective.beta": "1,,2"}, "objective.beta: a value is missing"),
        ({"objective.beta": "1,2,1.0"}, "objective.beta: has the value 1 twice; name each once"),
        ({"objective.beta": "1,two"}, "objective.beta: expected float"),
        ({"objective.beta": "-1,2"}, "objective.beta: expected float >= 0"),
        ({"objective.beta": "2..1"}, "objective.beta: expected a range of numbers from low"),
        ({"model.latent": "2..8.5"}, "model.latent: expected a range of whole numbers"),
        ({"objective.beta": "-1..2"}, "objective.beta: expected"),
        ({"model.activation": "relu,tnh"}, "model.activation: there is no 'tnh'; did you mean"),
    ],
)
def test_what_does_not_vary_is_refused(over: dict[str, Any], says: str) -> None:
    with pytest.raises(vaelab.UserError, match=says):
        axes(Recipe(), over)


def test_a_grid_that_is_empty_doubled_or_far_too_large_is_refused() -> None:
    seeds = Values("train.seed", (1, 2))
    with pytest.raises(vaelab.UserError, match="nothing varies; add --seeds 8 or"):
        grid(Recipe(), [])
    with pytest.raises(vaelab.UserError, match=r"train\.seed: is varied twice"):
        grid(Recipe(), [seeds], seeds=2)
    with pytest.raises(vaelab.UserError, match="2,000 runs are more than 1,000"):
        grid(Recipe(), [Values("objective.beta", tuple(map(float, range(20))))], seeds=100)
