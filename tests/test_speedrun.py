"""The page of the speedrun says what its result file says, and its rules are kept."""

from __future__ import annotations

import json
from pathlib import Path

import vaelab
from vaelab.models import build

ROOT = Path(__file__).parents[1]
RESULT = json.loads((ROOT / "benchmarks" / "results" / "speedrun.json").read_text())


def test_the_record_on_the_page_is_that_of_the_result_file() -> None:
    page = (ROOT / "docs" / "speedrun.md").read_text("utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| 20")]
    loss, seconds, times = rows[-1][2:5]
    assert loss == f"{RESULT['test_loss']:.2f} ± {RESULT['test_loss_half_interval']:.2f}"
    assert (seconds, times) == (f"{RESULT['seconds']:.2f}", f"{RESULT['times_faster']:.1f}")


def test_the_record_is_the_mean_of_all_its_seeds_and_reaches_the_target() -> None:
    losses = [run["test_loss"] for run in RESULT["runs"]]
    assert len({run["seed"] for run in RESULT["runs"]}) >= 10
    assert abs(RESULT["test_loss"] - sum(losses) / len(losses)) < 0.001
    assert RESULT["test_loss"] <= RESULT["target"] == 103.89
    assert RESULT["conventional_reached"]
    conventional = sum(epoch["seconds"] for epoch in RESULT["conventional"])
    assert abs(RESULT["times_faster"] - conventional / RESULT["seconds"]) < 0.1


def test_the_recipe_has_the_network_the_loss_and_the_data_of_mlp_20d() -> None:
    fast, report = vaelab.recipe("speedrun"), vaelab.recipe("mlp-20d")
    assert (fast.data, fast.objective) == (report.data, report.objective)
    vaes = [build(recipe.model, (28, 28)) for recipe in (fast, report)]
    sizes = [{name: weight.shape for name, weight in vae.named_parameters()} for vae in vaes]
    assert sizes[0] == sizes[1]
    assert sum(weight.numel() for weight in vaes[0].parameters()) == 652_824
