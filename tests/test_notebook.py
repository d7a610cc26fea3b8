"""A real kernel: what training, evaluation, the card of a run and its explorer leave in cells."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

SOURCE = Path(__file__).parents[1] / "src"
TRAIN = """
import vaelab, vaelab.workflows.console as console
console.TICK = 0.0  # every step of the training shows its line
small = {"model.hidden": [16], "train.epochs": 4, "train.threads": 1, "figures.samples": 4}
run = vaelab.train(vaelab.recipe("quickstart", small), "runs/cell")
"""
EVALUATE = 'vaelab.evaluate(run, samples=5, images=20, sections="likelihood")'


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[nbformat.NotebookNode]:
    """The executed cells."""
    sources = [TRAIN, EVALUATE, "run", "run.explore(points=20)"]
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    folder = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(
        notebook, timeout=60, kernel_name="python3", extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.execute(env=os.environ | {"PYTHONPATH": str(SOURCE)})
    return list(notebook.cells)


def stream(cell: nbformat.NotebookNode) -> str:
    assert not [one for one in cell.outputs if one.get("name") == "stderr"]
    return "".join(one.text for one in cell.outputs if one.output_type == "stream")


def as_shown(text: str) -> str:
    """The text after its carriage returns, as a notebook shows it."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def test_a_training_shows_one_live_line_and_leaves_a_table(
    cells: list[nbformat.NotebookNode],
) -> None:
    text = stream(cells[0])
    assert "\repoch 1/4  step 1/" in text
    shown = as_shown(text)
    assert "step 1/" not in shown
    assert len(re.findall(r"^ +\d/4 ", shown, re.MULTILINE)) == 4
    assert "run folder: runs/cell" in shown


def test_an_evaluation_shows_a_bar_and_leaves_its_summary(
    cells: list[nbformat.NotebookNode],
) -> None:
    text = stream(cells[1])
    assert "\rimportance weights:   0%|" in text
    assert "%|" not in as_shown(text)
    assert "nll" in cells[1].outputs[-1].data["text/plain"]


def test_the_card_has_pictures(cells: list[nbformat.NotebookNode]) -> None:
    (card,) = cells[2].outputs
    assert card.data["text/html"].count("<img src=") == 2
    assert card.data["text/plain"].startswith("Run(")


def test_the_explorer_is_a_frame_as_wide_as_the_cell(cells: list[nbformat.NotebookNode]) -> None:
    (explorer,) = cells[3].outputs
    assert explorer.data["text/html"].startswith("<iframe srcdoc=")
    assert "width: 100%" in explorer.data["text/html"]
    assert explorer.data["text/plain"] == "Explorer()"
