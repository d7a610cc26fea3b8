"""The code of docs/extending.md does what its text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from conftest import TINY, flags

import vaelab
from vaelab.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """sparse.py of the page, in the working directory."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "sparse.py").write_text("\n".join(blocks))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "sparse.py"


def test_the_row_of_the_page_trains_from_the_command_line_and_loads_again(own: Path) -> None:
    given = {name: value for name, value in TINY.items() if name != "model.likelihood"} | {
        "train.epochs": 4
    }
    assert (
        main(
            ["train", "quickstart", "--out", "run", *flags(given | {"model.variant": "sparse.py"})]
        )
        == 0
    )
    run = vaelab.load("run")
    assert run.recipe.model.likelihood == f"{own}:HeavyTailed"
    assert run.recipe.objective.capacity == 1.0
    assert run.history[-1]["validation"]["loss"] < run.history[0]["validation"]["loss"]
    z = run.vae.prior().sample((4000,))
    # E|z| = 1; the tolerance is 5 standard errors.
    torch.testing.assert_close(z.abs().mean(), torch.tensor(1.0), atol=0.06, rtol=0)
    draw = run.vae.draw(torch.rand(3, 8, 8))
    assert type(draw.px.base_dist).__name__ == "StudentT"
    assert run.vae.sample(2).shape == (2, 8, 8)


def test_a_part_of_the_page_goes_with_another_row(own: Path, quick: None) -> None:
    run = vaelab.train(
        vaelab.recipe(
            "quickstart", TINY | {"model.variant": "iwae", "model.prior": "sparse.py:SparsePrior"}
        ),
        "run",
    )
    assert type(run.vae.prior).__name__ == "SparsePrior"
    assert run.recipe.objective.k == 5


def test_a_run_whose_file_has_gone_names_it(own: Path, quick: None) -> None:
    vaelab.train(
        vaelab.recipe("quickstart", TINY | {"model.variant": "sparse.py"}), "run", quiet=True
    )
    own.unlink()
    with pytest.raises(vaelab.UserError, match=r"sparse.py: cannot be read"):
        _ = vaelab.load("run").vae
