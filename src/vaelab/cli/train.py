"""vaelab train, fit-prior: what makes runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

import vaelab
from vaelab.cli.arguments import CODE, LANG, OVERWRITE, QUIET, RUN, Command, Option, whole
from vaelab.errors import UserError, quoted
from vaelab.recipes import AXES, Recipe, available, study
from vaelab.workflows.console import say

MEMORY = (
    "use fewer images or store them as uint8, or lower --train.batch, --model.hidden or "
    "--model.latent"
)


def train(arguments: argparse.Namespace) -> None:
    """Train a recipe or a study, or continue one."""
    overrides = arguments.settings | ({"figures.lang": arguments.lang} if arguments.lang else {})
    if arguments.resume:
        _resume(arguments, overrides)
        return
    if not arguments.recipe:
        raise UserError(
            "train: name a recipe (vaelab list recipes), a .toml file or data, or --resume a run "
            "folder"
        )
    recipes = _recipes(arguments.recipe, overrides, quiet=arguments.quiet)
    given = {name: getattr(arguments, name) for name in ("overwrite", "quiet", "watch")}
    folder = Path(arguments.out) if arguments.out else _default_folder(recipes)
    if len(recipes) == 1:
        (recipe,) = recipes.values()
        _with_hint(lambda: vaelab.train(recipe, folder, **given), folder)
    else:
        _with_hint(lambda: vaelab.train_all(recipes, folder, **given), folder)
        vaelab.compare([folder], quiet=arguments.quiet)


def _recipes(name: str, overrides: Mapping[str, str], *, quiet: bool) -> dict[str, Recipe]:
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


def fit_prior(arguments: argparse.Namespace) -> None:
    """Fit a prior to the codes of a run."""
    if not arguments.quiet:
        say(f"fitting the prior {arguments.prior} to the codes of {arguments.run}")
    vaelab.fit_prior(
        arguments.run,
        arguments.prior,
        arguments.out,
        components=arguments.components,
        steps=arguments.steps,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )


def _resume(arguments: argparse.Namespace, overrides: Mapping[str, str]) -> None:
    if arguments.recipe or arguments.out or arguments.overwrite:
        raise UserError(
            "--resume: takes a run folder, which decides all the rest; "
            "leave recipe, --out and --overwrite out"
        )
    folder = Path(arguments.resume)
    given = {"quiet": arguments.quiet, "watch": arguments.watch}
    if not arguments.quiet:
        say(f"continuing {folder}")
    from vaelab.workflows.studies import is_study, resume_all

    if not is_study(folder):
        _with_hint(lambda: vaelab.resume(folder, overrides, **given), folder)
    elif overrides:
        raise UserError(
            f"{folder}: is a study of several runs; resume it without settings, "
            "or one of its runs with them"
        )
    else:
        _with_hint(lambda: resume_all(folder, **given), folder)
        vaelab.compare([folder], quiet=arguments.quiet)


def _default_folder(recipes: Mapping[str, Recipe]) -> Path:
    """The folder that the Python API takes too: of a study, the one of all its runs."""
    from vaelab.runs import default_folder

    folder = default_folder(next(iter(recipes.values())))
    return folder if len(recipes) == 1 else folder.parent


def _with_hint(work: Callable[[], object], folder: Path) -> None:
    """Do the work; after an interruption say how to continue."""
    try:
        work()
    except KeyboardInterrupt as interruption:
        if str(interruption):
            raise KeyboardInterrupt(
                f"{interruption}; continue with: vaelab train --resume {quoted(folder)}"
            ) from None
        raise


COMMANDS = {
    "train": Command(
        "train a recipe, evaluate it and plot its figures",
        [
            Option("RECIPE", "a name from `vaelab list recipes`, a .toml file or data", number="?"),
            Option("--out", "the run folder (default: runs/RECIPE)", "FOLDER"),
            Option("--resume", "run folder of the training to continue", "RUN"),
            Option("--watch", "keep the report fresh while training; its page reloads itself"),
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
        settings=True,
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
        memory="lower --components",
    ),
}  # fmt: skip
