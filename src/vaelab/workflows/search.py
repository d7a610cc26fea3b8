"""A search for the best settings, by Optuna (Akiba et al. 2019, arXiv:1907.10902).

The journal search.log in the folder holds all trials, so that several processes and machines share
one search. Trials of a process that ended are taken over by the next one that looks.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from vaelab.errors import UserError, needed
from vaelab.files import is_present, merging, note
from vaelab.recipes import Axis, Range, Recipe, flatten, override, text_of
from vaelab.runs import Run, load
from vaelab.seeding import derive
from vaelab.training import best_epoch, counting, validated
from vaelab.workflows.console import Console
from vaelab.workflows.studies import FREE, list_runs
from vaelab.workflows.worker import Answer

JOURNAL, LOCK = "search.log", ".search"
TRIALS = 5  # trials that end before the first is pruned
ENOUGH = 10  # finished trials from which the importance of settings is estimated


class Search:
    """The plan of a search: a trial is a run, its value the validation bound at beta = 1.

    The values are proposed by the tree-structured Parzen estimator (Bergstra et al. 2011), seeded
    by the recipe's seed. A trial is pruned if its best value so far is above the median of the
    others at the same epoch, in no case within the warm-up and the quarter of the epochs after it.

    Raises:
        UserError: Optuna is missing, or the folder holds another search.
    """

    weights = 0

    def __init__(
        self,
        recipe: Recipe,
        axes: Sequence[Axis],
        folder: Path,
        total: int,
        sign: str,
        console: Console,
    ) -> None:
        self.optuna = needed("optuna", "to search for settings")
        self.recipe, self.axes, self.folder = recipe, axes, folder
        self.total, self.sign, self.console = total, sign, console
        self.running: dict[str, Any] = {}  # this process's trials in progress
        self.reported: dict[str, int] = {}  # the last epoch of each that Optuna knows
        self.stopped: set[str] = set()
        self.refused: dict[str, str] = {}
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        begin = math.ceil(recipe.objective.warmup) + recipe.train.epochs // 4
        note(folder, JOURNAL)
        with merging(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", self.optuna.exceptions.ExperimentalWarning)
            journal = self.optuna.storages.journal
            # Optuna's own locks outlive a process that is killed; this one does not.
            backend = journal.JournalFileBackend(str(folder / JOURNAL), FileLock(folder / LOCK))
            storage = self.optuna.storages.JournalStorage(backend)
            self.study = self.optuna.create_study(
                study_name="vaelab",
                storage=storage,
                load_if_exists=True,
                pruner=self.optuna.pruners.MedianPruner(TRIALS, begin),
            )
            self._check_same()
            list_runs(folder, self.finished())

    def _check_same(self) -> None:
        free = (*FREE, "train.device")
        flat = {k: v for k, v in flatten(self.recipe).items() if k not in free}
        wanted = json.loads(json.dumps({"recipe": flat, "over": [[*one] for one in self.axes]}))
        found = self.study.user_attrs.get("search")
        if not found:
            self.study.set_user_attr("search", wanted)
        elif found != wanted:
            keys = [k for k, v in wanted["recipe"].items() if found["recipe"].get(k) != v]
            raise UserError(
                f"{self.folder}: holds a search with another "
                f"{keys[0] if keys else 'choice of --over'}; choose another --out"
            )

    @property
    def done(self) -> int:
        return len(self._named(finished=True))

    @property
    def elsewhere(self) -> int:
        """How many trials are in progress in other processes."""
        return sum(
            not one.state.is_finished() and one.user_attrs.get("owner") != self.sign
            for one in self._named().values()
        )

    def _named(self, finished: bool = False) -> dict[str, Any]:
        """The trials by the names of their runs; of those that were taken over, the last."""
        trials = self.study.get_trials(deepcopy=False)
        found = {one.user_attrs["run"]: one for one in trials if "run" in one.user_attrs}
        return {n: one for n, one in found.items() if one.state.is_finished() or not finished}

    def next(self) -> tuple[str, Recipe] | None:
        """Ask for a trial: an abandoned one first, else a new one."""
        with merging(self.folder):
            while self._take_over() or len(self._named()) < self.total:
                count = len(self._named())
                seed = derive(self.recipe.train.seed, "search", count) % 2**32
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", self.optuna.exceptions.ExperimentalWarning)
                    self.study.sampler = self.optuna.samplers.TPESampler(
                        seed=seed, constant_liar=True
                    )
                trial = self.study.ask()
                name = trial.user_attrs.get("run", f"trial-{count}")
                trial.set_user_attr("run", name)
                trial.set_user_attr("owner", self.sign)
                settings = {one.key: _value(trial, one) for one in self.axes}
                try:
                    recipe = override(self.recipe, settings)
                except UserError as error:
                    self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
                    self.refused[name] = str(error)
                    self.console.say(f"{name}: refused: {error}")
                    continue
                self.running[name], self.reported[name] = trial, 0
                said = ", ".join(f"{key} {text_of(value)}" for key, value in settings.items())
                self.console.say(f"{name}: {said}")
                return name, recipe
        return None

    def _take_over(self) -> bool:
        """Put the trials of processes that ended into the queue again; whether there is one."""
        states, queued = self.optuna.trial.TrialState, False
        for name, one in self._named().items():
            if one.state == states.RUNNING and not (
                name in self.running or is_present(self.folder, one.user_attrs.get("owner", "x"))
            ):
                self.study.tell(one.number, state=states.FAIL)
                self.study.enqueue_trial(one.params, user_attrs={"run": name})
            queued |= self._named()[name].state == states.WAITING
        return queued

    def told(self, name: str, answer: Answer) -> str:
        """Tell Optuna how a trial ended."""
        trial, states = self.running.pop(name), self.optuna.trial.TrialState
        if answer.status == "finished":
            self._report(name, trial)
            self.study.tell(trial, value_of(load(self.folder / name)))
            with merging(self.folder):
                list_runs(self.folder, self.finished())
        elif answer.status == "failed":
            self.study.tell(trial, state=states.FAIL)
        elif name in self.stopped:  # else its process was interrupted: it is taken over later
            self.study.tell(trial, state=states.PRUNED)
            return "pruned: worse than the median"
        return ""

    def hopeless(self, names: Collection[str]) -> Collection[str]:
        """Report the new epochs of the trials in progress; return those to be pruned."""
        found = []
        for name in names:
            trial = self.running[name]
            with suppress(UserError):  # before the first epoch there is no history
                if self._report(name, trial) and name not in self.stopped and trial.should_prune():
                    self.stopped.add(name)
                    found.append(name)
        return found

    def _report(self, name: str, trial: Any) -> bool:
        """Report the epochs that Optuna does not know; whether there were any."""
        run, last = load(self.folder / name), self.reported[name]
        fresh = [
            entry
            for entry in counting(run.history, run.recipe.objective.warmup)
            if entry["epoch"] > last
        ]
        for entry in fresh:
            trial.report(validated(entry), entry["epoch"])
            self.reported[name] = entry["epoch"]
        return bool(fresh)

    def finished(self) -> list[str]:
        """The names of the finished trials, the best first."""
        state = self.optuna.trial.TrialState.COMPLETE
        found = {n: one.value for n, one in self._named().items() if one.state == state}
        return sorted(found, key=lambda name: found[name])

    def importance(self) -> dict[str, float]:
        """By setting the share of the variation among good trials that it explains.

        PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255). Empty for one setting or few trials.
        """
        if len(self.finished()) < ENOUGH or len(self.axes) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: dict[str, float] = self.optuna.importance.get_param_importances(self.study)
        return found


def value_of(run: Run) -> float:
    """The validation value of the best epoch of a run at beta = 1, in nats."""
    best = best_epoch(run.history, run.recipe.objective.warmup)
    return validated(next(entry for entry in run.history if entry["epoch"] == best))


def _value(trial: Any, axis: Axis) -> Any:
    if isinstance(axis, Range):
        suggest = trial.suggest_int if axis.whole else trial.suggest_float
        return suggest(axis.key, axis.low, axis.high, log=axis.log)
    texts = [text_of(value) for value in axis.values]
    return axis.values[texts.index(trial.suggest_categorical(axis.key, texts))]
