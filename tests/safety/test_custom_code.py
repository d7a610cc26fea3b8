"""A Python file runs only where the user's own command or call names it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY

import vaelab
from vaelab.cli.main import main
from vaelab.recipes import parse, permit, to_toml
from vaelab.runs import Run

PRIOR = """
from pathlib import Path
from vaelab.models.priors import StandardNormal

class P(StandardNormal):
    pass

Path(__file__).with_suffix(".ran").touch()
"""
ROW = PRIOR + "import vaelab\nROW = vaelab.Row('custom', 'kingma2014auto', prior=P)\n"


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    path = tmp_path / "shared" / "pay load.py"
    path.parent.mkdir()
    path.write_text(ROW)
    return path


def trap(run: Path, field: str, value: str) -> None:
    """Change one setting in recipe.toml, as the sender of a folder could."""
    path = run / "recipe.toml"
    lines = path.read_text().splitlines()
    lines = [f'{field} = "{value}"' if line.startswith(f"{field} =") else line for line in lines]
    path.write_text("\n".join(lines) + "\n")


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "resume": lambda run: ["train", "--resume", str(run)],
    "doctor": lambda run: ["doctor", str(run)],
    "evaluate": lambda run: ["evaluate", str(run), "--only", "likelihood"],
    "compare": lambda run: ["compare", str(run), str(run.parent / "other")],
    "figures": lambda run: ["figures", str(run)],
    "sample": lambda run: ["sample", str(run)],
    "cite": lambda run: ["cite", str(run)],
    "fit-prior": lambda run: ["fit-prior", str(run)],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_runs_a_file_that_a_run_folder_names(
    command: str, payload: Path, a_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(a_copy, a_copy.parent / "other")
    trap(a_copy, "variant", str(payload))
    trap(a_copy, "prior", f"{payload}:P")
    vaelab.load(a_copy)  # reading the recipe needs no code
    assert main(COMMANDS[command](a_copy)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    if command != "resume":  # which notices first that the recipe is not the one it began with
        assert f"add --code '{payload}'" in error
    assert not payload.with_suffix(".ran").exists()


def test_a_state_that_names_a_file_does_not_run_it(
    payload: Path, a_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = vaelab.load(a_copy)
    state = run.state()
    assert state
    recipe = to_toml(run.recipe).replace('prior = "normal"', f'prior = "{payload}:P"')
    Run(a_copy, parse(recipe, "")).save_state(*state)
    (a_copy / "recipe.toml").write_text(recipe)
    (a_copy / "results.json").unlink()
    facts = vaelab.load(a_copy).state()
    assert facts
    state[1].pop("recipe")
    Run(a_copy, parse(recipe, "")).save_state(*state)
    assert main(["train", "--resume", str(a_copy)]) == 2
    assert f"--code '{payload}'" in capsys.readouterr().err
    assert not payload.with_suffix(".ran").exists()


def test_a_recipe_file_runs_code_only_where_the_command_names_it(
    payload: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for field, value in (("variant", payload), ("prior", f"{payload}:P")):
        path = tmp_path / "someone.toml"
        path.write_text(f'[model]\n{field} = "{value}"\n')
        with pytest.raises(vaelab.UserError, match="--code"):
            vaelab.train(vaelab.recipe(path, TINY), tmp_path / "run", quiet=True)
        assert not payload.with_suffix(".ran").exists()
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("way", ["override", "code", "permit"])
def test_a_file_that_the_call_names_runs_and_its_run_opens_again(
    way: str, quick: None, payload: Path, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'[model]\nvariant = "{payload}"\n')
    settings: dict[str, Any] = dict(TINY) | {"train.epochs": 1}
    if way == "override":
        recipe = vaelab.recipe("quickstart", settings | {"model.variant": str(payload)})
    elif way == "code":
        recipe = vaelab.recipe(path, settings, code=payload)
    else:
        permit([payload])
        recipe = vaelab.recipe(path, settings)
    run = vaelab.train(recipe, tmp_path / "run", quiet=True)
    assert payload.with_suffix(".ran").exists()
    assert run.resume_command == f"vaelab train --resume {run.folder} --code '{payload}'"
    assert type(vaelab.load(run.folder, code=[str(payload)]).vae.prior).__name__ == "P"


def test_a_link_to_a_permitted_file_is_that_file(payload: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to(payload)
    with pytest.raises(vaelab.UserError, match="--code"):
        vaelab.recipe(write(tmp_path, link), TINY)
    assert vaelab.recipe(write(tmp_path, link), TINY, code=payload).model.prior == f"{link}:P"


def write(folder: Path, variant: Path) -> Path:
    path = folder / "linked.toml"
    path.write_text(f'[model]\nvariant = "{variant}"\n')
    return path


def test_a_user_without_a_home_is_an_error_of_one_line() -> None:
    for key, name in (("model.variant", "~nosuch/x.py"), ("model.prior", "~nosuch/x.py:P")):
        with pytest.raises(vaelab.UserError, match="write the whole path"):
            vaelab.recipe("quickstart", {key: name})
