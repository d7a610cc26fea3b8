"""vaelab train, fit-prior, track: what makes runs, and sends them on."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import vaelab
from vaelab.cli.arguments import (
    CODE,
    LANG,
    OVERWRITE,
    QUIET,
    RUN,
    Command,
    Document,
    Option,
    whole,
)
from vaelab.cli.measure import compared
from vaelab.errors import UserError, quoted
from vaelab.launchers import LostError, place
from vaelab.recipes import AXES, Recipe, available, study
from vaelab.workflows.console import say

T = TypeVar("T")
MEMORY = (
    "use fewer images or store them as uint8, or lower --train.batch, --model.hidden or "
    "--model.latent"
)

TRACKERS = "tensorboard, mlflow, wandb or trackio (several: tensorboard,mlflow)"


def train(arguments: argparse.Namespace) -> Document:
    """Train a recipe or a study, or continue one; of several processes the first one answers."""
    where = place()
    arguments.quiet = arguments.quiet or bool(where and where.rank)
    overrides = arguments.settings | ({"figures.lang": arguments.lang} if arguments.lang else {})
    if arguments.resume:
        return _resume(arguments, overrides)
    if not arguments.recipe:
        raise UserError(
            "train: name a recipe (vaelab list recipes), a .toml file or data, or --resume a run "
            "folder"
        )
    recipes = recipes_of(arguments.recipe, overrides, quiet=arguments.quiet)
    given = {name: getattr(arguments, name) for name in ("overwrite", "quiet", "watch", "track")}
    folder = Path(arguments.out) if arguments.out else _default_folder(recipes)
    if len(recipes) == 1:
        (recipe,) = recipes.values()
        return _alone(_with_hint(lambda: vaelab.train(recipe, folder, **given), folder))
    runs = _with_hint(lambda: vaelab.train_all(recipes, folder, **given), folder)
    return _together(runs.values(), folder, arguments)


def _alone(run: vaelab.Run) -> Document:
    return {"runs": [facts(run)], "comparison": None, "files": []}


def _together(runs: Iterable[vaelab.Run], folder: Path, arguments: argparse.Namespace) -> Document:
    """Compare the runs of a study, which have all been trained."""
    comparison = vaelab.compare([folder], quiet=arguments.quiet)
    return {"runs": [facts(run) for run in runs], **compared(comparison)}


def facts(run: vaelab.Run) -> Document:
    """A finished run as a document."""
    return {"run": run.folder, "recipe": run.recipe.name, "results": run.results}


def recipes_of(name: str, overrides: Mapping[str, str], *, quiet: bool) -> dict[str, Recipe]:
    """The runs of a recipe or a study; for data those of the recipe that fits them."""
    if not _is_data(name):
        recipes = study(name, overrides)
        if not quiet:
            say(f"training {name}")
        return recipes
    if not quiet:
        say(f"training on {name}")
    from vaelab.workflows.fitting import fitting, recipe_for

    found, recipe = fitting(name), recipe_for(name, overrides)
    if not quiet:
        settings = "".join(f" --{key} {value}" for key, value in found.settings.items())
        say(
            f"{found.why}, so by the recipe {found.recipe}, as vaelab train {found.recipe} "
            f"--data.source {quoted(name)}{settings}"
        )
    return {recipe.name: recipe}


def _is_data(name: str) -> bool:
    """Whether a word names data, and no recipe."""
    path = Path(name)
    if name in available() or path.suffix == ".toml":
        return False
    try:
        there = path.exists()
    except (OSError, ValueError):
        there = False
    if there and any((path / file).exists() for file in ("recipe.toml", "study.json")):
        raise UserError(f"{name}: is a run, not a recipe; vaelab train --resume {quoted(name)}")
    return there or name in AXES["data.source"].keys() - {"PATH"}


def fit_prior(arguments: argparse.Namespace) -> Document:
    """Fit a prior to the codes of a run."""
    if not arguments.quiet:
        say(f"fitting the prior {arguments.prior} to the codes of {arguments.run}")
    run = vaelab.fit_prior(
        arguments.run,
        arguments.prior,
        arguments.out,
        components=arguments.components,
        steps=arguments.steps,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    return facts(run)


def track(arguments: argparse.Namespace) -> Document:
    """Send the records of a run to trackers."""
    if not arguments.quiet:
        say(f"opening {arguments.run}")
    names = getattr(arguments, "with")
    vaelab.track(arguments.run, names, quiet=arguments.quiet)
    return {"run": arguments.run, "trackers": names}


def _resume(arguments: argparse.Namespace, overrides: Mapping[str, str]) -> Document:
    if arguments.recipe or arguments.out or arguments.overwrite:
        raise UserError(
            "--resume: takes a run folder, which decides all the rest; "
            "leave recipe, --out and --overwrite out"
        )
    folder = Path(arguments.resume)
    given = {name: getattr(arguments, name) for name in ("quiet", "watch", "track")}
    if not arguments.quiet:
        say(f"continuing {folder}")
    from vaelab.workflows.studies import is_study, resume_all

    if not is_study(folder):
        return _alone(_with_hint(lambda: vaelab.resume(folder, overrides, **given), folder))
    if overrides:
        raise UserError(
            f"{folder}: is a study of several runs; resume it without settings, "
            "or one of its runs with them"
        )
    runs = _with_hint(lambda: resume_all(folder, **given), folder)
    return _together(runs.values(), folder, arguments)


def _default_folder(recipes: Mapping[str, Recipe]) -> Path:
    """The folder that the Python API takes too: of a study, the one of all its runs."""
    from vaelab.runs import default_folder

    folder = default_folder(next(iter(recipes.values())))
    return folder if len(recipes) == 1 else folder.parent


def _with_hint(work: Callable[[], T], folder: Path) -> T:
    """Do the work; after an interruption say how to continue. Of several processes that torchrun or
    SLURM started, only the first one answers.
    """
    where, remedy = place(), f"continue with: vaelab train --resume {quoted(folder)}"
    follows = where is not None and where.rank > 0
    try:
        found = work()
    except KeyboardInterrupt as interruption:
        if follows:
            raise SystemExit(130) from None
        if str(interruption):
            raise KeyboardInterrupt(f"{interruption}; {remedy}") from None
        raise
    except LostError as error:
        raise UserError(f"{error}; {remedy}") from None
    if follows:
        raise SystemExit(0)
    return found


COMMANDS = {
    "train": Command(
        "train a recipe, evaluate it and plot its figures",
        [
            Option("RECIPE", "a name from `vaelab list recipes`, a .toml file or data", number="?"),
            Option("--out", "the run folder (default: runs/RECIPE)", "FOLDER"),
            Option("--resume", "run folder of the training to continue", "RUN"),
            Option("--watch", "keep the report fresh while training; its page reloads itself"),
            Option("--track", f"send the records to {TRACKERS}", "NAME",
                several=True, default=()),
            OVERWRITE,
            LANG,
            CODE,
            QUIET,
        ],
        train,
        [
            "vaelab train RECIPE [options] [--SECTION.NAME VALUE ...]",
            "vaelab train DATA [options] [--SECTION.NAME VALUE ...]",
            "vaelab train --resume RUN",
        ],
        {
            "runs": "for each run its folder, its recipe and what results.json holds",
            "comparison": "of a study, what comparison.json holds; null for one run",
            "files": "the paths of the files of the comparison",
        },
        settings=True,
        ranks=True,
        memory=MEMORY,
    ),
    "fit-prior": Command(
        "fit a prior to the codes of a run, for better samples",
        [
            RUN,
            Option("--prior", "mixture, flow, spline-flow or vamp", "PRIOR", default="mixture"),
            Option(
                "--components", "Gaussians of a mixture, pseudo-inputs of vamp", "N",
                whole(1), default=100,
            ),
            Option("--steps", "optimiser steps (default: 4,000)", "N", whole(1)),
            Option("--out", "the new run folder (default: RUN+PRIOR)", "FOLDER"),
            OVERWRITE,
            CODE,
            QUIET,
        ],
        fit_prior,
        ["vaelab fit-prior RUN [options]"],
        {
            "run": "the new run folder",
            "recipe": "the name of its recipe",
            "results": "what results.json holds, prior_gain and its standard error included",
        },
        memory="lower --components",
    ),
    "track": Command(
        "send the records of a run to a tracker",
        [
            RUN,
            Option("--with", TRACKERS, "NAME", several=True, default=(), required=True),
            CODE,
            QUIET,
        ],
        track,
        ["vaelab track RUN --with NAME [options]"],
        {"run": "the run folder", "trackers": "the names of --with"},
    ),
}  # fmt: skip
