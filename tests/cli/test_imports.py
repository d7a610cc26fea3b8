"""What commands import: nothing that they do not use."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny

import vaelab

HEAVY = ("torch", "numpy", "scipy", "sklearn", "matplotlib", "pandas", "PIL", "lightning_fabric")
# Which of the packages were imported by a command of the words that follow the program.
PROGRAM = """
import json, sys
from vaelab.cli.main import main
code = main(sys.argv[2:])
print(json.dumps([code, [name for name in json.loads(sys.argv[1]) if name in sys.modules]]))
"""


def imported(*words: str | Path, of: tuple[str, ...]) -> tuple[int, list[str]]:
    """The exit code of a command, and which of these packages it imported."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(of), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, found = json.loads(done.stdout.splitlines()[-1])
    return code, found


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("list", 0),
        ("--help", 0),
        ("train --help", 0),
        ("help settings", 0),
        ("completion bash", 0),
        ("train no-such-recipe", 2),
        ("train mlp-20d --train.epochs none", 2),
        ("trian mlp-20d", 2),
    ],
)
def test_help_lists_and_refusals_import_nothing_that_computes(words: str, code: int) -> None:
    assert imported(*words.split(), of=HEAVY) == (code, [])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> vaelab.Run:
    folder = tmp_path_factory.mktemp("run")
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    settings = {"data.source": str(folder / "images.npy"), "figures.format": []}
    return vaelab.train(tiny({"train.epochs": 1} | settings), folder / "run", quiet=True)


@pytest.mark.parametrize(
    ("words", "out"),
    [("sample -n 2", "x.npy"), ("reconstruct -n 2", "x.npy"), ("encode", "z.csv")],
)
def test_commands_on_a_run_import_neither_plots_nor_training(
    run: vaelab.Run, tmp_path: Path, words: str, out: str
) -> None:
    name, *rest = words.split()
    asked = (name, run.folder, *rest, "--quiet", "--out", tmp_path / out)
    unused = ("matplotlib", "sklearn", "scipy", "pandas", "lightning_fabric", "torch._dynamo")
    assert imported(*asked, of=unused) == (0, [])
    assert (tmp_path / out).exists()


def test_a_training_in_one_process_imports_no_compiler_and_no_statistics(tmp_path: Path) -> None:
    """With all its figures, t-SNE among them, and its report."""
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    settings = ("--model.latent=4", "--model.hidden=8", "--train.epochs=6", "--train.threads=1")
    asked = ("train", tmp_path / "images.npy", "--out", tmp_path / "run", "--quiet", *settings)
    unused = ("lightning_fabric", "torch._dynamo", "sklearn", "scipy.stats")
    assert imported(*asked, of=unused) == (0, [])
    assert (tmp_path / "run" / "figures" / "latent.png").exists()
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("collecting", [True, False])
def test_an_import_leaves_the_search_for_garbage_as_it_was(collecting: bool) -> None:
    try:
        (gc.enable if collecting else gc.disable)()
        assert callable(vaelab.train)
        assert gc.isenabled() == collecting
    finally:
        gc.enable()
