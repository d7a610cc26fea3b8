"""Studies: several runs from one recipe file, on the same images in the same order.

OUT/study.json    the names of the runs, in order
OUT/NAME/         a run folder each
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from vaelab.errors import UserError
from vaelab.files import locked, write_atomic
from vaelab.recipes import Recipe
from vaelab.runs import Run, check_free, create
from vaelab.workflows.train import Job, resume

STUDY = "study.json"


def train_all(
    recipes: Mapping[str, Recipe], out: str | Path, *, overwrite: bool = False, quiet: bool = False
) -> dict[str, Run]:
    """Train each recipe into ``out/NAME``; `comparison.compare` puts them side by side. Raises as `training.train`."""
    out = Path(out)
    if is_study(out):
        if not overwrite:
            raise UserError(
                f"{out}: holds a study already; continue it with vaelab train --resume {out}, "
                "replace it with --overwrite, or choose another --out"
            )
    elif (out / "recipe.toml").exists():
        raise UserError(
            f"{out}: holds a run; a study of several wants a folder of its own: choose another --out"
        )
    else:
        check_free(out, overwrite)
    jobs = {name: Job(recipe, quiet) for name, recipe in recipes.items()}
    with locked(out):
        write_atomic(out / STUDY, (json.dumps(list(jobs)) + "\n").encode())
        for name, job in jobs.items():
            with locked(out / name):
                create(out / name, job.recipe, overwrite)
    return resume_all(out, quiet=quiet)


def resume_all(out: str | Path, *, quiet: bool = False) -> dict[str, Run]:
    """Train what is left to train of a study."""
    out = Path(out)
    with locked(out):
        return {name: resume(out / name, quiet=quiet) for name in names(out)}


def is_study(folder: Path) -> bool:
    """Whether `train_all` made this folder."""
    return (folder / STUDY).is_file()


def names(folder: Path) -> list[str]:
    """The runs of a study, in order."""
    try:
        return [str(name) for name in json.loads((folder / STUDY).read_text("utf-8"))]
    except (OSError, ValueError, TypeError):
        raise UserError(
            f'{folder / STUDY}: is damaged; write the names of the runs into it, as ["a", "b"]'
        ) from None
