"""`compare`: train recipes, evaluate all runs in the same way, and write a comparison.

OUT/comparison.md, .csv, .json    metrics, differences with intervals, different settings, cost
OUT/comparison.tex                metrics and cost as LaTeX tables
OUT/comparison.html               the same with pictures, in one self-contained file
OUT/figures/                      latent, samples, reconstructions, manifold: a panel for each run
OUT/NAME/, OUT/NAME/seed-S/       the runs that were trained for the comparison
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vaelab.data import Dataset, anchored
from vaelab.data import load as load_data
from vaelab.errors import UserError
from vaelab.evaluation import WEIGHTS, entries, paired, read
from vaelab.evaluation.paired import Comparison
from vaelab.files import claim
from vaelab.language import Lang
from vaelab.recipes import Data, Recipe, available, override, permit, setting_of, study
from vaelab.report.comparison import FILES, brief, write
from vaelab.runs import Run, load
from vaelab.workflows.console import Console
from vaelab.workflows.evaluate import evaluate
from vaelab.workflows.studies import is_study, names, trained

SAMPLES = 100  # importance weights per image, unless a run was evaluated with more

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
    lang: Lang | None = None,
    code: str | Path | Collection[str | Path] = (),
    quiet: bool = False,
) -> Comparison:
    """Evaluate runs on the same test images with the same noise, and write a report.

    Args:
        what: Runs, their folders, the folder of a study (of a sweep, each setting),
            or names or .toml files of recipes, which are trained first.
        out: The folder of the comparison; by default runs/A-vs-B (with `seeds` -seeds), and for a
            single study its own folder.
        seeds: Train every recipe, including those of runs, with the seeds 0 .. N-1. Finished runs
            of the same recipe in `out` are reused, interrupted ones are resumed.
        overrides: Settings that replace those of the recipes.
        samples: The number K of importance weights per image; 0 for the largest with which a run
            was evaluated, at least 100.
        images: The number of test images; 0 for all.
        overwrite: Whether to replace runs of other recipes in `out`.
        lang: The language; None for that of the first run's figures on the page, else English.
        code: The Python files that the models may run.
        quiet: Whether to print nothing.

    Returns:
        The comparison, as written to the folder.

    Raises:
        UserError: There are fewer than two runs, a run is unfinished, shapes differ, or the folder
            cannot be written.
    """
    if seeds < 0 or seeds == 1:
        raise UserError(f"seeds: expected at least 2, got {seeds}: one training shows no variation")
    permit(*([code] if isinstance(code, str | Path) else code))
    words = [*what] if isinstance(what, Iterable) and not isinstance(what, str) else [what]
    if odd := [word for word in words if not isinstance(word, str | Path | Run)]:
        raise UserError(f"compare: expected runs, their folders or recipes, got {odd[0]!r}")
    given = _named([one for word in words for one in _expand(word, overrides or {}, bool(seeds))])
    if len(given) < 2:
        raise UserError("compare: name at least two runs or recipes, or a study of several")
    data = _Shared()
    shapes = {name: data.of(_recipe(one)).shape for name, one in given.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(f"compare: data of different shapes ({shapes}); name runs of one data set")
    folder, console = _folder(out, words, given, bool(seeds)), Console(quiet)
    claim(folder, FILES)
    runs = _trained(given, folder, seeds, overwrite, quiet)
    evaluated = _evaluated(runs, data, samples, images, console)
    comparison = paired.comparison(evaluated, _seeds(runs))
    console.live("plotting")
    files = tuple(write(comparison, folder, lang))
    console.say("\n".join(["", brief(comparison, lang or "en"), *map(str, files)]))
    return replace(comparison, files=files)


class _Shared:
    """A cache of data sets by their settings, so that files are read only once."""

    def __init__(self) -> None:
        self.known: dict[Data, Dataset] = {}

    def of(self, one: Recipe) -> Dataset:
        """Return the data of a recipe."""
        settings = anchored(one.data)
        if settings not in self.known:
            self.known[settings] = load_data(settings).in_memory()
        return self.known[settings]


def _evaluated(
    runs: Mapping[str, list[Run]], data: _Shared, samples: int, images: int, console: Console
) -> dict[str, entries.Entry]:
    """Evaluate all runs with the same number of importance weights."""
    every = [run for several in runs.values() for run in several]
    k = samples or max([SAMPLES, *(_weights(run, images) for run in every)])
    found = {}
    for number, (name, several) in enumerate(runs.items(), 1):
        evaluations, checks = [], []
        for run in several:
            seed = f", seed {run.recipe.train.seed}" if len(several) > 1 else ""
            console.say(f"evaluating {name} ({number} of {len(runs)}{seed})")
            run.data = data.of(run.recipe)
            evaluations.append(evaluate(run, samples=k, images=images, quiet=console.quiet))
            checks.append(entries.checked(run.data, run.recipe.data))
        found[name] = entries.entry(several, evaluations, checks)
    return found


# --- which runs -----------------------------------------------------------------------------


def _folder(
    out: str | Path | None, words: Sequence[str | Path | Run], given: Iterable[str], seeds: bool
) -> Path:
    """Create and return the folder of the comparison.

    The default folder with seeds differs from that without, so that neither report replaces the
    other.
    """
    alone = words[0]
    if out:
        folder = Path(out)
    elif len(words) == 1 and not seeds and not isinstance(alone, Run) and is_study(Path(alone)):
        folder = Path(alone)
    else:
        folder = Path("runs") / ("-vs-".join(n.replace("/", "-") for n in given) + "-seeds" * seeds)
    if (folder / "recipe.toml").exists():
        raise UserError(f"--out {folder}: contains a run; choose another folder for the comparison")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--out {folder}: cannot be created ({error.strerror}); choose another folder"
        ) from None
    return folder


def _expand(
    word: str | Path | Run, overrides: Mapping[str, Any], seeds: bool
) -> list[tuple[tuple[str, ...], Given]]:
    """Return the runs or recipes that an argument names, each with the parts of its path."""
    if isinstance(word, Run):
        found: list[tuple[tuple[str, ...], Given]] = [(word.folder.resolve().parts, word)]
    elif is_study(Path(word)):
        folder = Path(word).resolve()
        found = [((*folder.parts, name), load(Path(word) / name)) for name in names(folder)]
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
        study(word)  # raises a UserError that suggests the nearest name
    if overrides and not seeds:
        override(_recipe(found[0][1]), overrides)  # raises for unknown settings
        raise UserError(
            f"--{next(iter(overrides))}: {word} is already trained; settings apply to recipes, "
            "or add --seeds"
        )
    for _, run in found:
        if isinstance(run, Run) and not run.finished:
            raise UserError(f"{run.origin}: is not finished; finish it with {run.resume_command}")
        if isinstance(run, Run):
            run.history  # noqa: B018  # raises before the work where it is missing
        if isinstance(run, Run) and seeds and "prior_gain" in run.results:
            raise UserError(
                f"{run.origin}: its prior was fitted after training, which --seeds does not "
                "repeat; leave it out"
            )
    return [(parts, override(_recipe(one), overrides) if seeds else one) for parts, one in found]


def _recipe(one: Given) -> Recipe:
    return one.recipe if isinstance(one, Run) else one


def _named(given: Sequence[tuple[tuple[str, ...], Given]]) -> dict[str, Given]:
    """Name each by the last part of its path, or by as many last parts as make names unique."""
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
    """Return a run for each name, or one run per seed.

    All recipes are trained with one seed before the next, so that an interruption leaves complete
    pairs.
    """
    if not seeds:
        return _by_setting({
            name: one if isinstance(one, Run) else trained(one, out / name, overwrite, quiet)
            for name, one in given.items()
        })  # fmt: skip
    runs: dict[str, list[Run]] = {name: [] for name in given}
    for seed in range(seeds):
        for name, one in given.items():
            recipe = override(_recipe(one), {"train.seed": seed})
            runs[name].append(trained(recipe, out / name / f"seed-{seed}", overwrite, quiet))
    return runs


def _seeds(runs: Mapping[str, Sequence[Run]]) -> int:
    """How many seeds each setting was trained with; 0 where there is one run of each."""
    count = max(len(several) for several in runs.values())
    return count if count > 1 else 0


def _by_setting(runs: Mapping[str, Run]) -> dict[str, list[Run]]:
    """Runs of a sweep that differ only in their seeds belong together; others stand alone."""
    seeds_of: dict[str, dict[int, Run]] = {}
    for name, run in runs.items():
        seed = run.recipe.train.seed
        seeds_of.setdefault(setting_of(name, seed), {})[seed] = run
    seeds = {tuple(sorted(of)) for of in seeds_of.values()}
    if len(seeds_of) > 1 and len(seeds) == 1 and sum(map(len, seeds_of.values())) == len(runs):
        return {name: [of[seed] for seed in sorted(of)] for name, of in seeds_of.items()}
    return {name: [run] for name, run in runs.items()}


def _weights(run: Run, images: int) -> int:
    """Return the number of importance weights of the stored evaluation of a run, or 0."""
    found = read(run, images)
    return int(found.protocol[WEIGHTS]) if found and "likelihood" in found.sections else 0
