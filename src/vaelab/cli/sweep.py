"""vaelab sweep: many runs of one recipe at the same time."""

from __future__ import annotations

import argparse

import vaelab
from vaelab.cli.arguments import CODE, FILES_KEY, OVERWRITE, QUIET, Command, Document, Option, whole
from vaelab.cli.measure import compared
from vaelab.cli.train import facts, recipes_of
from vaelab.errors import UserError


def sweep(arguments: argparse.Namespace) -> Document:
    """Train a recipe with several settings and seeds, and compare the settings."""
    recipes = recipes_of(arguments.recipe, arguments.settings, quiet=arguments.quiet)
    if len(recipes) > 1:
        raise UserError(
            f"{arguments.recipe}: trains several runs already ({', '.join(recipes)}); sweep a "
            "recipe of one run"
        )
    over: dict[str, str] = {}
    for word in arguments.over:
        key, equals, values = word.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise UserError(f"--over {word}: expected KEY=A,B, as objective.beta=0.5,1,2")
        if key in over:
            raise UserError(f"--over {key}: is given twice; write all values behind one --over")
        over[key] = values
    (recipe,) = recipes.values()
    result = vaelab.sweep(
        recipe,
        arguments.out,
        over=over,
        seeds=arguments.seeds,
        search=arguments.search,
        jobs=arguments.jobs,
        compared=not arguments.no_compare,
        overwrite=arguments.overwrite,
        quiet=arguments.quiet,
    )
    if result.failed and not (arguments.search and result.runs):  # a search tries what may fail
        count, names = len(result.failed), ", ".join(result.failed)
        raise UserError(
            f"{result.folder}: {count} run{'s' * (count > 1)} failed ({names}), the others are "
            "finished; correct the settings, or leave them out"
        )
    return {
        "folder": result.folder,
        "runs": [facts(run) for run in result.runs.values()],
        "failed": result.failed,
        "importance": result.importance,
        **(compared(result.comparison) if result.comparison else {"comparison": None, "files": []}),
    }


COMMANDS = {
    "sweep": Command(
        "train a recipe with many settings and seeds at the same time",
        [
            Option("RECIPE", "a name from `vaelab list recipes`, a .toml file or data"),
            Option("--over", "a setting and its values, KEY=A,B,C; for a search also KEY=LOW..HIGH",
                "KEY=VALUES", several=True, default=()),
            Option("--seeds", "train every setting with N seeds", "N", whole(1), default=0),
            Option("--search", "let Optuna choose the settings of N trials", "N", whole(1),
                default=0),
            Option("--jobs", "processes at the same time (default: by cores and memory)", "N",
                whole(1), default=0),
            Option("--no-compare", "leave the comparison of the settings out"),
            Option("--out", "the folder of the study (default: runs/RECIPE-sweep)", "FOLDER"),
            OVERWRITE._replace(about="replace runs of other recipes in the folder"),
            CODE,
            QUIET,
        ],
        sweep,
        ["vaelab sweep RECIPE --seeds N [options] [--SECTION.NAME VALUE ...]",
         "vaelab sweep RECIPE --over KEY=A,B [--over KEY=A,B ...] [options]",
         "vaelab sweep RECIPE --over KEY=LOW..HIGH --search N [options]"],
        {
            "folder": "the folder of the study",
            "runs": "for each finished run its folder, its recipe and what results.json holds",
            "failed": "of a search: name of each trial that failed or was refused -> why",
            "importance": "of a search: setting -> share of the variation that it explains",
            "comparison": "what comparison.json holds; null where nothing was compared",
            "files": FILES_KEY,
        },
        settings=True,
        memory="lower --jobs or --train.batch, or use fewer images",
    ),
}  # fmt: skip
