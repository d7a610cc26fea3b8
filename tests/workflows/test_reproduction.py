"""The reports' numbers against the result files and, where MNIST is available, against new runs."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import vaelab
from vaelab.recipes import available

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"

# Results of report 3 and of report 2's MLP: epoch -> nats per image (loss, distortion, rate).
MLP_20D = {
    1: {"train": (165.68, 150.38, 15.30), "test": (128.35, 107.18, 21.17)},
    2: {"train": (121.77, 99.10, 22.67), "test": (116.13, 91.98, 24.15)},
    3: {"train": (114.86, 90.53, 24.34), "test": (112.53, 87.64, 24.89)},
    10: {"train": (106.48, 80.92, 25.56), "test": (105.85, 80.20, 25.64)},
    20: {"train": (104.12, 78.50, 25.62), "test": (103.89, 78.27, 25.62)},
}
MLP_2D = {1: 192.8, 10: 156.0, 20: 151.7}

needs_mnist = pytest.mark.skipif(
    not list(
        Path(os.environ.get("VAELAB_DATA_DIR", "nowhere")).glob("**/train-images-idx3-ubyte*")
    ),
    reason="needs the MNIST files: set VAELAB_DATA_DIR to a folder that holds them",
)


def recorded(name: str) -> dict[str, Any]:
    (run,) = json.loads((RESULTS / f"recipe-{name}.json").read_text())["runs"]
    return dict(run)


def benchmark(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def follows_report_3(history: list[dict[str, Any]]) -> None:
    """Within 0.5 nats, 1.5 at epoch 1, in total and in each part, for the epochs there are."""
    for epoch, splits in MLP_20D.items():
        for split, wanted in splits.items():
            if epoch <= len(history):
                found = history[epoch - 1][split]
                for name, value in zip(("loss", "distortion", "rate"), wanted, strict=True):
                    assert abs(found[name] - value) < (1.5 if epoch == 1 else 0.5), (
                        epoch,
                        split,
                        name,
                    )


def test_the_recorded_mlp_20d_follows_report_3() -> None:
    run = recorded("mlp-20d")
    assert run["results"]["parameters"] == 652_824
    assert run["epochs"] == 20
    follows_report_3(run["history"])
    assert 0.15 <= run["results"]["explained_variance_2"] <= 0.18


def test_chance_explains_how_far_other_seeds_lie_from_report_3() -> None:
    """At epoch 20 the report lies within three standard deviations of ten seeds.

    This holds for training and test images.
    """
    module = benchmark("recipes")
    runs = json.loads((RESULTS / "seeds-mlp-20d.json").read_text())["runs"]
    assert len(runs) == 10
    for split in ("train", "test"):
        centre, deviation = module.spread(runs, split, 20)
        assert abs(MLP_20D[20][split][0] - centre) < 3 * deviation


def test_the_recorded_mlp_2d_follows_report_2() -> None:
    history = recorded("mlp-2d")["history"]
    for epoch, wanted in MLP_2D.items():
        assert abs(history[epoch - 1]["train"]["loss"] - wanted) < 1.5, epoch


def test_the_recorded_study_backs_the_lesson_of_report_4() -> None:
    """The autoencoder's samples are worse than the VAE's and lie further from the digits.

    Its reconstructions are better.
    """
    found = json.loads((RESULTS / "comparison-vae-vs-ae-2d.json").read_text())
    assert found["reference"] == "vae"
    rows = {row["number"]: row for row in found["numbers"] if row["run"] == "ae"}
    assert rows["nearest_train"]["low"] > 0.1
    assert rows["frechet"]["verdict"] == "worse"
    assert rows["kernel_mmd"]["low"] > 0  # larger, but not judged: it says the same once more
    assert rows["frechet_reconstructions"]["high"] < 0
    assert rows["mse"]["verdict"] == "better"


def test_the_readme_says_how_fast_vaelab_is_as_the_result_files_do() -> None:
    page = " ".join((ROOT / "README.md").read_text("utf-8").replace("*", "").split())
    peers = json.loads((RESULTS / "peers.json").read_text())["contestants"]
    ratio = {name: f"{row['epoch'].get('ratio_median', 1):.1f}" for name, row in peers.items()}
    assert (
        f"loop takes {ratio['conventional loop']} times as long, pythae {ratio['pythae']} times, "
        f"a lean PyTorch loop {ratio['lean PyTorch']} times, and Keras 3, compiled on JAX, "
        f"{ratio['Keras 3']} times; the matrix products alone take "
        f"{ratio['products in float32']} times"
    ) in page
    record = json.loads((RESULTS / "speedrun.json").read_text())
    assert f"{record['times_faster']:.0f} times as fast as the conventional loop" in page


def test_the_tables_of_the_pages_are_those_of_the_result_files() -> None:
    module = benchmark("recipes")
    page = (ROOT / "docs" / "systems.md").read_text("utf-8")
    table = page.partition(module.BEGIN)[2].partition(module.END)[0]
    assert table == module.table()
    published = benchmark("tables")
    lines = (
        (ROOT / "README.md")
        .read_text("utf-8")
        .partition(published.BEGIN)[2]
        .partition(published.END)[0]
    )
    assert lines == published.table()
    for page in ("images", "signals", "tables"):  # recipes of your own data
        lines += (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    for name in available():
        assert f"`{name}" in table + lines, (
            f"{name} has no line: python benchmarks/recipes.py {name}"
        )


@needs_mnist
def test_three_epochs_of_mlp_20d_follow_report_3(tmp_path: Path) -> None:
    recipe = vaelab.recipe("mlp-20d", {"train.epochs": 3, "figures.points": 100})
    follows_report_3(vaelab.train(recipe, tmp_path / "run", quiet=True).history)


@pytest.mark.slow
@needs_mnist
def test_twenty_epochs_of_mlp_20d_follow_report_3(tmp_path: Path) -> None:
    run = vaelab.train(vaelab.recipe("mlp-20d"), tmp_path / "run", quiet=True)
    follows_report_3(run.history)
    assert 0.15 <= run.results["explained_variance_2"] <= 0.18


@pytest.mark.slow
@needs_mnist
def test_twenty_epochs_of_mlp_2d_follow_report_2(tmp_path: Path) -> None:
    history = vaelab.train(vaelab.recipe("mlp-2d"), tmp_path / "run", quiet=True).history
    for epoch, wanted in MLP_2D.items():
        assert abs(history[epoch - 1]["train"]["loss"] - wanted) < 1.5, epoch
