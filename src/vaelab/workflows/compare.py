"""`compare`: which runs, trained where they are not yet, evaluated alike, and written side by side.

OUT/comparison.md, .csv, .json    the numbers, their differences with intervals, what was the same, the cost
OUT/comparison.html               the same with the pictures in it: one file that needs nothing else
OUT/figures/                      latent, samples, reconstructions, manifold: a panel for each run
OUT/NAME/, OUT/NAME/seed-S/       the runs that were trained for it
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from vaelab.data import anchored
from vaelab.errors import UserError
from vaelab.evaluation import WEIGHTS, paired, read
from vaelab.evaluation.paired import Comparison
from vaelab.recipes import Recipe, available, flatten, override, study
from vaelab.report.comparison import brief, write
from vaelab.runs import Run, load
from vaelab.workflows import studies as side_by_side
from vaelab.workflows.evaluate import evaluate
from vaelab.workflows.train import resume, train

SAMPLES = 100  # importance weights an image, where no run has been evaluated with more
FREE = {
    "name",
    "about",
    "data.dir",
    "train.threads",
}  # settings that leave a recipe's numbers as they are

Given = Run | Recipe


def compare(
    what: str | Path | Run | Sequence[str | Path | Run],
    out: str | Path | None = None,
    *,
    seeds: int = 0,
    overrides: Mapping[str, Any] | None = None,
    samples: int = 0,
    images: int = 0,
    overwrite: bool = False,
    quiet: bool = False,
) -> Comparison:
    """Evaluate runs on the same test images with the same noise, write tables and a page to `out`, print the verdicts.

    Each of `what` is a run, its folder, the folder of a study (all its runs), or the name or .toml file of a recipe,
    which is trained first, `overrides` laid over it. With `seeds` N, every recipe (a run's too) is trained with the
    seeds 0 .. N-1; finished runs of the same recipe in `out` are taken as they are, interrupted ones go on.
    Without `out` the folder is runs/A-vs-B, with `seeds` runs/A-vs-B-seeds, for a study alone without them its own.
    `samples` is K, the importance weights of an image (0: as many as a run of these was evaluated with, at least 100);
    `images` caps the test images. Raises `UserError` for fewer than two runs, unfinished ones, data of different
    shapes, and a folder that cannot be written.
    """
    if seeds < 0 or seeds == 1:
        raise UserError(
            f"seeds: expected at least 2, got {seeds}: one training says nothing about chance"
        )
    words = [*what] if isinstance(what, Iterable) and not isinstance(what, str) else [what]
    if odd := [word for word in words if not isinstance(word, str | Path | Run)]:
        raise UserError(
            f"compare: expected runs, their folders or names of recipes, got {odd[0]!r}"
        )
    given = _named([one for word in words for one in _expand(word, overrides or {}, bool(seeds))])
    if len(given) < 2:
        raise UserError("compare: name at least two runs or recipes, or a study of several")
    look = functools.cache(paired.look)  # once for each kind of data
    shapes = {name: look(anchored(_recipe(one).data)).shape for name, one in given.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(
            f"compare: these learn data of different shapes ({shapes}); name runs of the same data"
        )
    folder = Path(out) if out else _usual(words, given, bool(seeds))
    if (folder / "recipe.toml").exists():
        raise UserError(f"--out {folder}: holds a run; a comparison wants a folder of its own")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out {folder}: cannot be made ({error.strerror}); choose another folder"
        ) from None
    runs = _trained(given, folder, seeds, overwrite, quiet)
    k = samples or max(
        [SAMPLES, *(_weights(run, images) for several in runs.values() for run in several)]
    )
    entries = {}
    for name, several in runs.items():
        if not quiet:
            print(f"evaluating {name} ...", flush=True)
        found = [evaluate(run, samples=k, images=images, quiet=True) for run in several]
        entries[name] = paired.entry(
            several, found, [look(anchored(run.recipe.data)) for run in several]
        )
    comparison = paired.comparison(entries, seeds)
    paths = write(comparison, folder)
    if not quiet:
        print("", brief(comparison), *paths, sep="\n")
    return comparison


# --- which runs -------------------------------------------------------------------------------------------------


def _usual(words: Sequence[str | Path | Run], names: Iterable[str], seeds: bool) -> Path:
    """The folder of a comparison that was given none; another with seeds, so that neither page replaces the other."""
    alone = words[0]
    if (
        len(words) == 1
        and not seeds
        and not isinstance(alone, Run)
        and side_by_side.is_study(Path(alone))
    ):
        return Path(alone)
    return Path("runs") / ("-vs-".join(name.replace("/", "-") for name in names) + "-seeds" * seeds)


def _expand(
    word: str | Path | Run, overrides: Mapping[str, Any], seeds: bool
) -> list[tuple[tuple[str, ...], Given]]:
    """The runs or recipes that a word stands for, each with the parts of its path, of which names are made."""
    if isinstance(word, Run):
        found: list[tuple[tuple[str, ...], Given]] = [(word.folder.resolve().parts, word)]
    elif side_by_side.is_study(Path(word)):
        folder = Path(word).resolve()
        found = [
            ((*folder.parts, name), load(Path(word) / name)) for name in side_by_side.names(folder)
        ]
    elif Path(word).suffix == ".toml" or (
        str(word) in available() and not (Path(word) / "recipe.toml").exists()
    ):
        recipes, stem = study(word, overrides), Path(word).with_suffix("").parts
        return [
            ((*stem, name) if len(recipes) > 1 else stem, recipe)
            for name, recipe in recipes.items()
        ]
    elif Path(word).exists() or len(Path(word).parts) > 1:
        found = [(Path(word).resolve().parts, load(word))]
    else:
        study(word)  # says what is near that name
    if overrides and not seeds:
        override(_recipe(found[0][1]), overrides)  # says what is no setting at all
        raise UserError(
            f"--{next(iter(overrides))}: {word} is trained already; settings are for recipes, or add --seeds"
        )
    for _, run in found:
        if isinstance(run, Run) and not run.finished:
            raise UserError(f"{run.folder}: is not finished; vaelab train --resume {run.folder}")
        if isinstance(run, Run) and seeds and "prior_gain" in run.results:
            raise UserError(
                f"{run.folder}: its prior was fitted afterwards, which --seeds would not do; leave it out"
            )
    return [(parts, override(_recipe(one), overrides) if seeds else one) for parts, one in found]


def _recipe(one: Given) -> Recipe:
    return one.recipe if isinstance(one, Run) else one


def _named(given: Sequence[tuple[tuple[str, ...], Given]]) -> dict[str, Given]:
    """Each under the last part of its path, or so many of the last parts that no two are called the same."""
    for count in range(1, max((len(parts) for parts, _ in given), default=0) + 1):
        names = ["/".join(parts[-count:]) for parts, _ in given]
        if len(set(names)) == len(names):
            return dict(zip(names, (one for _, one in given), strict=True))
    if given:
        raise UserError("compare: a run is named twice; name each once")
    return {}


def _trained(
    given: Mapping[str, Given], out: Path, seeds: int, overwrite: bool, quiet: bool
) -> dict[str, list[Run]]:
    """Of each a run, or one of each seed; seed after seed, so that an interruption leaves whole pairs behind."""
    if not seeds:
        return {
            name: [one if isinstance(one, Run) else trained(one, out / name, overwrite, quiet)]
            for name, one in given.items()
        }
    runs: dict[str, list[Run]] = {name: [] for name in given}
    for seed in range(seeds):
        for name, one in given.items():
            recipe = override(_recipe(one), {"train.seed": seed})
            runs[name].append(trained(recipe, out / name / f"seed-{seed}", overwrite, quiet))
    return runs


def trained(recipe: Recipe, folder: Path, overwrite: bool = False, quiet: bool = False) -> Run:
    """The run in the folder where it is of this recipe, gone on with where it is unfinished; else a new one."""
    if not (folder / "recipe.toml").exists():
        return train(recipe, folder, quiet=quiet)
    old, wanted = load(folder), msgspec.structs.replace(recipe, data=anchored(recipe.data))
    was, new = flatten(old.recipe), flatten(wanted)
    changed = [
        key
        for key in new
        if was[key] != new[key] and key not in FREE and not key.startswith("figures.")
    ]
    if not changed:
        return old if old.finished else resume(folder, quiet=quiet)
    if not overwrite:
        key = changed[0]
        raise UserError(
            f"{folder}: holds a run of another recipe ({key} {paired.plain(was[key])}, not {paired.plain(new[key])}); "
            "remove it, choose another folder, or replace it with --overwrite"
        )
    return train(recipe, folder, overwrite=True, quiet=quiet)


def _weights(run: Run, images: int) -> int:
    """With how many importance weights a run has been evaluated on these test images."""
    found = read(run, images)
    return int(found.protocol[WEIGHTS]) if found and "likelihood" in found.sections else 0
