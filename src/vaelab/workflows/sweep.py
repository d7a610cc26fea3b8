"""`sweep`: many runs of one recipe at the same time, each with other settings or another seed.

OUT/study.json    the names of the runs, of a search those of the finished ones, best first
OUT/NAME/         a run folder for each name, such as beta-0.5-seed-42
OUT/search.log    of a search: Optuna's journal, by which several machines share it
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from msgspec.structs import replace

from vaelab.data import Dataset, anchored, load
from vaelab.errors import UserError
from vaelab.evaluation.paired import Comparison
from vaelab.files import claim, locked, presence
from vaelab.launchers import alone
from vaelab.recipes import (
    Axis,
    Data,
    Over,
    Range,
    Recipe,
    axes,
    flatten,
    grid,
    override,
    setting_of,
    text_of,
)
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.workflows.compare import SAMPLES, compare
from vaelab.workflows.console import Console
from vaelab.workflows.job import Job, introduce
from vaelab.workflows.plans import Listed, Plan, run_plan
from vaelab.workflows.search import JOURNAL, Search, value_of
from vaelab.workflows.studies import check_place, is_study, list_runs, names, standing
from vaelab.workflows.workers import Layout, Workers, layout

COMPARED = 6  # settings, at most, that the comparison at the end of a sweep shows
BEST = 3  # the same of a search


class Sweep(NamedTuple):
    """The result of `sweep`."""

    folder: Path
    runs: dict[str, Run]  # the finished runs by name; of a search, the best first
    failed: dict[str, str]  # by name, why a run could not be finished
    varied: tuple[str, ...]  # of a search: the settings that differ between its trials
    importance: dict[str, float]  # of a search: share of the variation that a setting explains
    comparison: Comparison | None

    @property
    def settings(self) -> dict[str, list[Run]]:
        """The finished runs by setting, which are those that differ only in their seeds.

        Where nothing but seeds varies, the name of the setting is that of the recipe.
        """
        found: dict[str, list[Run]] = {}
        for name, run in self.runs.items():
            setting = setting_of(name, run.recipe.train.seed) or run.recipe.name
            found.setdefault(setting, []).append(run)
        return found


def sweep(
    recipe: Recipe,
    out: str | Path | None = None,
    *,
    over: Over | None = None,
    seeds: int = 0,
    search: int = 0,
    jobs: int = 0,
    compared: bool = True,
    overwrite: bool = False,
    quiet: bool = False,
) -> Sweep:
    """Train a recipe with every combination of settings and seeds, several runs at the same time.

    The runs are those that `train` gives with the same settings and number of threads, in folders
    of a study. The same call continues an interrupted sweep, and extends one by more values or
    seeds: finished runs are kept, interrupted ones are resumed bit for bit.

    Args:
        recipe: The recipe.
        out: The folder of the study; by default ``runs/NAME-sweep`` or ``runs/NAME-search``.
        over: By setting, its values: ``{"objective.beta": [0.5, 1, 2]}``, or text as on the command
            line, where ``LOW..HIGH`` is the range of a search.
        seeds: Train every setting with so many seeds, from that of the recipe on.
        search: Instead of all combinations, so many trials that Optuna chooses (Akiba et al. 2019,
            arXiv:1907.10902). The objective is the validation bound at beta = 1. Several processes
            or machines may share the folder.
        jobs: The number of processes; 0 chooses by cores and memory.
        compared: Whether to `compare` the settings at the end, if there are several.
        overwrite: Whether to replace runs of other recipes in the folder.
        quiet: Whether to print nothing.

    Raises:
        UserError: A setting, a value or the folder cannot be used; nothing is written.
        KeyboardInterrupt: After Ctrl-C; the runs in progress are saved.
    """
    console, ends = Console(quiet), axes(recipe, over or {})
    folder = Path(out or Path("runs") / f"{recipe.name}-{'search' if search else 'sweep'}")
    _check_processes(recipe, ends)
    _check_folder(folder, bool(search), overwrite)
    loaded = cache(load)
    base = _prepared(recipe, loaded, console)
    if search:
        _check_search(base, ends, seeds)
        return _searched(base, ends, folder, search, jobs, compared)
    recipes = {
        name: _prepared(one, loaded, Console(quiet=True)).recipe
        for name, one in grid(base.asked, ends, seeds).items()
    }
    return _swept(base, recipes, folder, jobs, overwrite, compared)


def _check_processes(recipe: Recipe, ends: Sequence[Axis]) -> None:
    """Raise a `UserError` where the processes of the sweep would not be the only ones."""
    alone("sweep")
    varied = {"train.devices", "train.nodes"} & {one.key for one in ends}
    if varied or recipe.train.devices * recipe.train.nodes > 1:
        raise UserError(
            "train.devices: each run of a sweep is trained by one process; set train.devices and "
            "train.nodes to 1"
        )


def _check_folder(folder: Path, search: bool, overwrite: bool) -> None:
    """Raise a `UserError` where the folder holds something else than a sweep, or a search."""
    check_place(folder, overwrite, extended=True)
    if is_study(folder) and (folder / JOURNAL).exists() != search:
        holds = "a study that is no search" if search else "a search"
        raise UserError(f"{folder}: holds {holds}; choose another --out")


def _prepared(recipe: Recipe, loaded: Callable[[Data], Dataset], console: Console) -> Job:
    """A recipe that was checked with its data, which are read once."""
    settings = anchored(recipe.data)
    return Job(replace(recipe, data=settings), console, data=loaded(settings))


def _layout(base: Job, runs: int, jobs: int) -> Layout:
    """Choose the number of processes and threads, and say why."""
    shape = layout(max(1, runs), jobs, base.recipe.train.threads, base.device.type == "cuda")
    if runs:
        processes = f"{shape.jobs} process{'es' * (shape.jobs > 1)}"
        threads = f"{shape.threads} thread{'s' * (shape.threads > 1)}"
        base.say(f"{processes} with {threads} each ({shape.why})")
    return shape


def _on(recipe: Recipe, shape: Layout) -> Recipe:
    return override(recipe, {"train.threads": shape.threads})


def _swept(
    base: Job,
    recipes: Mapping[str, Recipe],
    folder: Path,
    jobs: int,
    overwrite: bool,
    compared: bool,
) -> Sweep:
    """Train all combinations, which have been checked."""
    left = {
        name: one
        for name, one in recipes.items()
        if not ((run := standing(one, folder / name, overwrite)) and run.finished)
    }
    introduce(base)
    base.say(f"{len(recipes)} runs, {len(recipes) - len(left)} of them finished")
    shape = _layout(base, len(left), jobs)
    left = {name: _on(one, shape) for name, one in left.items()}
    with locked(folder), Workers(shape.jobs, base.console) as workers:
        before = names(folder) if is_study(folder) else []
        list_runs(folder, dict.fromkeys([*before, *recipes]))
        failed = _run_plan(Listed(left), folder, workers, base.console, overwrite)
        done = {name: load_run(folder / name) for name in recipes if name not in failed}
        return _ended(Sweep(folder, done, failed, (), {}, None), workers, base.console, compared)


def _check_search(base: Job, ends: Sequence[Axis], seeds: int) -> None:
    if seeds:
        raise UserError("sweep: a search trains one seed a trial; leave --seeds or --search out")
    if not ends:
        raise UserError(
            "sweep: a search needs what it varies; add --over objective.beta=0.5..4, for example"
        )
    if not len(base.validation):
        raise UserError(
            "data.validation: a search chooses by validation images, of which there are none; "
            "set data.validation to 0.1"
        )


def _searched(
    base: Job, ends: Sequence[Axis], folder: Path, total: int, jobs: int, compared: bool
) -> Sweep:
    console = base.console
    claim(folder, ())
    with presence(folder) as sign:
        search = Search(base.asked, ends, folder, total, sign, console)
        introduce(base)
        for one in ends:
            if isinstance(one, Range):
                scale = "logarithmic" if one.log else "linear"
                console.say(f"{one.key}: {one.low:g} to {one.high:g} on a {scale} scale")
        console.say(f"{total} trials, {search.done} of them finished; the value is the validation "
            "bound at beta = 1")  # fmt: skip
        shape = _layout(base, total - search.done, jobs)
        search.recipe = _on(base.asked, shape)
        with Workers(shape.jobs, console) as workers:
            failed = _run_plan(search, folder, workers, console) | search.refused
            done = {name: load_run(folder / name) for name in search.finished()}
            if search.elsewhere:
                trials = f"{search.elsewhere} trial{'s' * (search.elsewhere > 1)}"
                console.say(f"{trials} still run in other processes, and are not in the table")
            varied = tuple(one.key for one in ends)
            result = Sweep(folder, done, failed, varied, search.importance(), None)
            return _ended(result, workers, console, compared)


def _run_plan(
    plan: Plan, folder: Path, workers: Workers, console: Console, overwrite: bool = False
) -> dict[str, str]:
    try:
        return run_plan(plan, folder, workers, console, overwrite)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "finished runs are kept, those in progress are saved; run the same command again to "
            "continue"
        ) from None


def _ended(result: Sweep, workers: Workers, console: Console, compared: bool) -> Sweep:
    """Show the results, and compare the settings."""
    for line in _table(result):
        console.say(line)
    for name, share in result.importance.items():
        console.say(f"importance of {name}: {share:.0%}")
    for name, why in result.failed.items():
        console.say(f"{name} failed: {why}")
    if not compared:
        return result
    chosen = _chosen(result, console)
    if len(chosen) < 2:
        console.say("nothing is compared, because fewer than two settings are finished")
        return result
    runs = {run.folder.name: run for several in chosen.values() for run in several}
    recipes = {name: run.recipe for name, run in runs.items()}
    console.say(f"evaluating {len(runs)} runs")
    _run_plan(Listed(recipes, SAMPLES), result.folder, workers, console)
    comparison = compare([*runs.values()], result.folder, quiet=console.quiet)
    return result._replace(comparison=comparison)


def _chosen(result: Sweep, console: Console) -> dict[str, list[Run]]:
    """The settings that are compared: complete ones, and of many the best."""
    settings = result.settings
    seeds = max(map(len, settings.values()), default=0)
    whole = {name: runs for name, runs in settings.items() if len(runs) == seeds}
    if lacking := [*(settings.keys() - whole.keys())]:
        console.say(f"not compared, because a seed is missing: {', '.join(sorted(lacking))}")
    most = BEST if result.varied else COMPARED
    if len(whole) <= most:
        return whole
    if all("validation" in run.history[-1] for runs in whole.values() for run in runs):
        whole = dict(sorted(whole.items(), key=lambda one: mean(map(value_of, one[1]))))
        which = "with the lowest validation values"
    else:
        which = "that come first, because there are no validation images to choose by"
    console.say(f"compared are the {most} settings {which}")
    return dict([*whole.items()][:most])


def _table(result: Sweep) -> list[str]:
    """A line for each setting: how many runs, and means over them with standard deviations."""
    rows = [("setting", "runs", "validation", "measured", *result.varied)]
    for name, runs in result.settings.items():
        chosen_by = all("validation" in run.history[-1] for run in runs)
        found = [run.results for run in runs]
        values = _spread([one.get("bound", one["loss"]) for one in found])
        flat = flatten(runs[0].recipe)
        rows.append((
            name,
            str(len(runs)),
            _spread([value_of(run) for run in runs]) if chosen_by else "none",
            f"{values} ({found[0]['split']})",
            *(text_of(flat[key]) for key in result.varied),
        ))  # fmt: skip
    if len(rows) == 1:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _spread(values: Sequence[float]) -> str:
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{spread}"
