"""Studies: several runs from one recipe file, on the same images in the same order.

OUT/study.json    the names of the runs, in order
OUT/NAME/         a run folder for each name
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from vaelab.data import anchored, load
from vaelab.errors import UserError, quoted
from vaelab.evaluation.entries import plain
from vaelab.files import locked, opened, put, written
from vaelab.recipes import Recipe, Train, flatten
from vaelab.runs import Run, check_free, create
from vaelab.runs import load as load_run
from vaelab.tracking import Tracked, trackers_of
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job
from vaelab.workflows.together import together
from vaelab.workflows.train import complete, resume, train

STUDY = "study.json"
NAME = re.compile(r"[^/\\.][^/\\]*")  # a folder below the study, never one outside
FREE = {"name", "about", "data.dir", "train.threads"}  # settings that do not change the results


@together(lambda recipes, *_, **__: _alike(recipes))
def train_all(
    recipes: Mapping[str, Recipe],
    out: str | Path,
    *,
    overwrite: bool = False,
    quiet: bool = False,
    watch: bool = False,
    track: Tracked = (),
) -> dict[str, Run]:
    """Train each recipe into ``out/NAME``, ready for `compare`.

    All recipes and folders are checked before anything is written. Raises the same errors as
    `train`.
    """
    out, console, loaded = Path(out), Console(quiet), cache(load)
    trackers = trackers_of(track)
    check_place(out, overwrite)
    recipes = {name: replace(one, data=anchored(one.data)) for name, one in recipes.items()}
    jobs = {name: Job(one, console, data=loaded(one.data)) for name, one in recipes.items()}
    for name in jobs:
        check_free(out / name, overwrite)
    with locked(out):
        with ExitStack() as held:  # all or none, because another process may train one of them
            for name in jobs:
                held.enter_context(locked(out / name))
            list_runs(out, jobs)
            runs = {n: create(out / n, job.recipe, overwrite) for n, job in jobs.items()}
        for name, job in jobs.items():
            with locked(out / name):
                runs[name] = complete(job, runs[name], None, watch=watch, trackers=trackers)
        return runs


@together(lambda *_, **__: None)  # each run is resumed as it was trained
def resume_all(
    out: str | Path, *, quiet: bool = False, watch: bool = False, track: Tracked = ()
) -> dict[str, Run]:
    """Resume all unfinished runs of a study."""
    out = Path(out)
    given: dict[str, Any] = {"console": Console(quiet), "watch": watch, "track": trackers_of(track)}
    with locked(out):
        return {name: resume(out / name, **given) for name in names(out)}


def standing(recipe: Recipe, folder: Path, overwrite: bool = False) -> Run | None:
    """Return the run in the folder if it has this recipe; None if one is to begin there.

    Raises:
        UserError: The folder holds a run of another recipe, and `overwrite` is not set; or files
            that vaelab did not write.
    """
    if not (folder / "recipe.toml").exists():
        check_free(folder, overwrite)
        return None
    old, wanted = load_run(folder), replace(recipe, data=anchored(recipe.data))
    was, new = flatten(old.recipe), flatten(wanted)
    free = set(FREE)
    if recipe.train.steps and was["train.epochs"] > new["train.epochs"]:  # it was raised
        free.add("train.epochs")
    if recipe.train.precision == "auto":  # its machine chose
        free.add("train.precision")
    changed = [
        key
        for key in new
        if was[key] != new[key] and key not in free and not key.startswith("figures.")
    ]
    if not changed:
        return old
    if not overwrite:
        key = changed[0]
        change = f"{key} {plain(was[key])}, not {plain(new[key])}"
        raise UserError(
            f"{folder}: contains a run of another recipe ({change}); "
            "remove it, choose another folder, or replace it with --overwrite"
        )
    return None


def trained(recipe: Recipe, folder: Path, overwrite: bool = False, quiet: bool = False) -> Run:
    """Return the run in the folder if it has this recipe, resumed if necessary, or a new run."""
    old = standing(recipe, folder, overwrite)
    if old is None:
        return train(recipe, folder, overwrite=overwrite, quiet=quiet)
    return old if old.finished else resume(folder, quiet=quiet)


def _alike(recipes: Mapping[str, Recipe]) -> Train:
    """The settings of the training, whose number of processes all runs of a study share."""
    first, *others = [recipe.train for recipe in recipes.values()]
    if any((one.devices, one.nodes) != (first.devices, first.nodes) for one in others):
        raise UserError(
            "train.devices: the runs of a study differ in train.devices or train.nodes; give all "
            "of them the same"
        )
    return first


def is_study(folder: Path) -> bool:
    """Return whether `train_all` created this folder."""
    return (folder / STUDY).is_file()


def names(folder: Path) -> list[str]:
    """Return the names of the runs of a study, in order."""
    with opened(folder / STUDY, "name the folder of a study") as file:
        content = file.read()
    with suppress(ValueError, RecursionError):  # damaged, which is said below
        found = json.loads(content)
        if isinstance(found, list) and all(isinstance(n, str) and NAME.fullmatch(n) for n in found):
            return found
    raise UserError(
        f'{folder / STUDY}: is damaged; write the names of the runs into it, as ["a", "b"]'
    )


def list_runs(out: Path, runs: Iterable[str]) -> None:
    """Write the names of the runs of a study."""
    put(out, STUDY, (json.dumps(list(runs)) + "\n").encode())


def check_place(out: Path, overwrite: bool, extended: bool = False) -> None:
    """Raise a `UserError` where a study must not begin, or be `extended` by more runs."""
    if is_study(out):
        if STUDY not in written(out):
            raise UserError(f"{out / STUDY}: was not written by vaelab; choose another --out")
        if not (overwrite or extended):
            raise UserError(
                f"{out}: holds a study already; continue it with vaelab train --resume "
                f"{quoted(out)}, replace it with --overwrite, or choose another --out"
            )
    elif (out / "recipe.toml").exists():
        raise UserError(
            f"{out}: holds a run; a study needs a folder of its own: choose another --out"
        )
    else:
        check_free(out, overwrite)
