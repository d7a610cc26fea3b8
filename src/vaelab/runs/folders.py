"""Run folders: which folder, opened, begun, and never over files that vaelab did not write."""

from __future__ import annotations

from pathlib import Path

from vaelab.errors import UserError, quoted
from vaelab.files import opened, remove_scratch, remove_written, written
from vaelab.recipes import Code, Recipe, parse, permit, to_toml
from vaelab.runs.archives import unpacked
from vaelab.runs.run import FITTED, Run
from vaelab.runs.shared import closed, is_card, recipe_of

FILES = (
    "recipe.toml",
    "environment.json",
    "metrics.jsonl",
    "times.jsonl",
    "best.safetensors",
    "last.pt",
    "results.json",
)


def load(folder: str | Path, *, code: Code = ()) -> Run:
    """Open a run folder, a model card, or a .zip of one of them; nothing in it is executed.

    A card (`write_card`) and a .zip are only read: what a command writes goes where --out says. A
    card has neither a training history nor the data.

    Args:
        folder: The path.
        code: The Python files that the model may run.

    Raises:
        UserError: There is no run, or its recipe is missing, damaged or unreadable. The other
            files are checked when they are used.
    """
    permit(code)
    given = folder = Path(folder)
    if given.is_file():
        folder = unpacked(given)
    if not folder.is_dir():
        raise UserError(f"{given}: there is no such run folder; create it with vaelab train")
    if is_card(folder):
        return Run(folder, recipe_of(folder))
    path, shown = folder / "recipe.toml", given / "recipe.toml"
    with opened(path, f"{given} is not a run; {_hint(folder)}", shown) as file:
        content = file.read()
    try:
        return Run(folder, parse(content.decode(), str(shown)))
    except UnicodeDecodeError:
        raise UserError(f"{shown}: is not text; {_hint(folder)}") from None


def recover(folder: str | Path) -> Run:
    """Open a run to continue it; recipe.toml is restored from last.pt if need be."""
    try:
        run = load(folder)
    except UserError:
        run = Run(Path(folder), Recipe())
        if not (run.folder / "last.pt").is_file() or not (state := run.state()):
            raise
        run = Run(run.folder, parse(state[1]["recipe"], str(run.folder / "last.pt")))
        run.write("recipe.toml", to_toml(run.recipe).encode())
        return run
    if reason := closed(run.folder):
        raise UserError(f"{run.origin}: {reason}; resume the run folder that it is from")
    return run


def _hint(folder: Path) -> str:
    """What to do about a folder whose recipe.toml cannot be used."""
    if (folder / "last.pt").is_file():
        return f"restore it with vaelab train --resume {quoted(folder)}"
    inner = sorted(inside.parent.name for inside in folder.glob("*/recipe.toml"))
    if inner:
        return f"it holds the runs {', '.join(inner)}: name one, as {quoted(folder / inner[0])}"
    return "check the path"


def default_folder(recipe: Recipe) -> Path:
    """The run folder of a recipe where none is named: runs/NAME."""
    return Path("runs") / recipe.name


def check_free(folder: Path, overwrite: bool) -> None:
    """Raise `UserError` where a run must not begin.

    That is a folder with files that vaelab did not write, unless it is a run; and a run, unless
    `overwrite` is set. A run that has not finished an epoch, or a fit, has nothing to lose.
    """
    if not folder.is_dir():
        return
    if "recipe.toml" not in written(folder):
        theirs = sorted(inside.name for inside in folder.iterdir() if inside.name[0] != ".")
        if theirs:
            raise UserError(
                f"{folder}: is not a run that vaelab wrote, but holds {', '.join(theirs[:3])}"
                f"{', ...' * (len(theirs) > 3)}; choose an empty or a new folder with --out"
            )
        return
    unfinished_fit = (folder / FITTED).exists() and not (folder / "results.json").exists()
    begun = FILES[2:] if not unfinished_fit else ()
    if not overwrite and any((folder / name).exists() for name in begun):
        raise UserError(
            f"{folder}: holds a run already; continue it with vaelab train --resume "
            f"{quoted(folder)}, replace it with overwrite=True, or name another folder"
        )


def create(folder: Path, recipe: Recipe, overwrite: bool = False) -> Run:
    """Begin a run in an empty folder, or in place of an earlier run where `overwrite` is set.

    Of the earlier run, only the files that vaelab wrote are deleted.
    """
    check_free(folder, overwrite)
    remove_scratch(folder)
    remove_written(folder)
    run = Run(folder, recipe)
    run.write("recipe.toml", to_toml(recipe).encode())
    return run
