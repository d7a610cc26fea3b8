"""The search: its trials are told, pruned and taken over as they should be. No run is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import BARE, SMALL, flags, tiny

import vaelab
from vaelab.cli.main import main
from vaelab.files import presence
from vaelab.recipes import Recipe, axes
from vaelab.runs import create
from vaelab.workflows.console import Console
from vaelab.workflows.search import TRIALS, Search
from vaelab.workflows.worker import Answer

OVER = {"objective.beta": "0.1..4", "model.latent": "2..8", "model.activation": "relu,tanh"}


class Machine:
    """A process with its search, in a folder that others may share."""

    def __init__(self, folder: Path, total: int = 20, **settings: Any) -> None:
        self.folder, self.held = folder, ExitStack()
        folder.mkdir(exist_ok=True)
        recipe = tiny(BARE | {"train.epochs": 8} | settings)
        sign = self.held.enter_context(presence(folder))
        self.search = Search(recipe, axes(recipe, OVER), folder, total, sign, Console(quiet=True))

    def ask(self) -> tuple[str, Recipe]:
        found = self.search.next()
        assert found
        (self.folder / found[0]).mkdir(exist_ok=True)
        create(self.folder / found[0], found[1])
        return found

    def trained(self, name: str, losses: Sequence[float]) -> None:
        """Leave a history in the folder of a run."""
        found = [
            {"epoch": i, "learning_rate": 1e-3, "beta": 1.0}
            | {
                split: {"loss": loss, "distortion": loss, "rate": 0.0}
                for split in ("train", "validation")
            }
            for i, loss in enumerate(losses, 1)
        ]
        vaelab.load(self.folder / name).write_lines("metrics.jsonl", found)

    def finish(self, losses: Sequence[float]) -> str:
        name, _ = self.ask()
        self.trained(name, losses)
        self.search.told(name, Answer("finished"))
        return name


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path / "search")
    with found.held:
        yield found


def test_proposals_lie_in_their_ranges_and_follow_from_the_seed(tmp_path: Path) -> None:
    seen = []
    for name in ("one", "other"):
        machine = Machine(tmp_path / name)
        with machine.held:
            recipes = [machine.ask()[1] for _ in range(4)]
        seen.append([(r.objective.beta, r.model.latent, r.model.activation) for r in recipes])
    assert seen[0] == seen[1]
    assert len({beta for beta, *_ in seen[0]}) == 4
    assert all(0.1 <= b <= 4 and 2 <= n <= 8 and a in ("relu", "tanh") for b, n, a in seen[0])


def test_the_value_is_the_best_validation_value_after_the_warm_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "search", **{"objective.warmup": 2.0})
    with machine.held:
        first = machine.finish([1.0, 1.0, 9.0, 8.0])
        second = machine.finish([5.0, 5.0, 7.0, 7.5])
    assert machine.search.finished() == [second, first]
    assert {one.value for one in machine.search.study.trials} == {7.0, 8.0}
    assert json.loads((machine.folder / "study.json").read_text()) == [second, first]


def test_nothing_is_pruned_within_the_warm_up_and_a_hopeless_trial_after_it(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path / "search", **{"objective.warmup": 3.0})  # 3 + 8 // 4 epochs
    search = machine.search
    with machine.held:
        for _ in range(TRIALS):
            machine.finish([10.0 - i for i in range(8)])
        name, _ = machine.ask()
        assert not search.hopeless([name])  # before its first epoch
        for done in range(1, 9):
            machine.trained(name, [99.0] * done)
            assert [*search.hopeless([name])] == ([name] if done == 5 else [])  # and told once
        assert search.told(name, Answer("interrupted")).startswith("pruned")
        assert name not in search.finished()
        assert search.done == TRIALS + 1


def test_a_trial_of_a_process_that_ended_is_taken_over_and_no_other(tmp_path: Path) -> None:
    """Two processes share the search; one of them is killed in its first trial."""
    first, second = Machine(tmp_path / "search", 3), Machine(tmp_path / "search", 3)
    with second.held:
        with first.held:
            name, recipe = first.ask()
            assert second.ask()[0] == "trial-1"
        assert second.search.next() == (name, recipe)
        assert second.ask()[0] == "trial-2"
        assert second.search.next() is None  # three in all
        second.trained(name, [3.0])
        second.search.told(name, Answer("finished"))
        assert second.search.finished() == [name]
        assert second.search.elsewhere == 0


def test_a_refused_combination_is_reported_and_the_next_is_tried(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, refused = vaelab.workflows.search.override, iter([True])

    def override(recipe: Recipe, settings: dict[str, Any]) -> Recipe:
        if next(refused, False):
            raise vaelab.UserError("these do not go together")
        return real(recipe, settings)

    monkeypatch.setattr("vaelab.workflows.search.override", override)
    assert machine.ask()[0] == "trial-1"
    assert machine.search.refused == {"trial-0": "these do not go together"}


def test_another_search_in_the_folder_is_refused(machine: Machine) -> None:
    with pytest.raises(vaelab.UserError, match=r"holds a search with another train\.epochs"):
        Machine(machine.folder, **{"train.epochs": 9})
    Machine(machine.folder, **{"train.threads": 2}).held.close()  # decides nothing


def test_a_sweep_and_a_search_do_not_share_a_folder(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "quickstart", "--out", str(machine.folder), "--seeds", "2", *flags(SMALL)]
    assert main(words) == 2
    assert "holds a search; choose another --out" in capsys.readouterr().err


def test_settings_that_matter_more_have_the_larger_importance(machine: Machine) -> None:
    assert machine.search.importance() == {}
    for _ in range(20):
        name, recipe = machine.ask()
        machine.trained(name, [abs(recipe.objective.beta - 1)])
        machine.search.told(name, Answer("finished"))
    found = machine.search.importance()
    assert found.keys() == OVER.keys()
    assert max(found, key=lambda key: found[key]) == "objective.beta"


def test_a_search_ends_with_its_trials_by_their_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "quickstart", "--search", "3", "--jobs", "1", "--out", str(tmp_path / "out")]
    words += ["--over", "objective.beta=0.1..4", *flags(SMALL), "--no-compare"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "objective.beta: 0.1 to 4 on a logarithmic scale" in out
    assert "3 trials, 0 of them finished; the value is the validation bound at beta = 1" in out
    names = json.loads((tmp_path / "out" / "study.json").read_text())
    assert sorted(names) == ["trial-0", "trial-1", "trial-2"]
    assert all(vaelab.load(tmp_path / "out" / name).finished for name in names)
    rows = [line for line in out.splitlines() if line.startswith("trial-") and "(test)" in line]
    assert [row.split()[0] for row in rows] == names
    assert main(words) == 0  # nothing is left to do
    assert "3 trials, 3 of them finished" in capsys.readouterr().out


@pytest.mark.parametrize(("finished", "code"), [(True, 0), (False, 2)])
def test_a_search_fails_only_if_no_trial_is_finished(
    finished: bool,
    code: int,
    digits_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = {"trial-0": vaelab.load(digits_run)} if finished else {}
    result = vaelab.Sweep(tmp_path, runs, {"trial-1": "it diverged"}, (), {}, None)
    monkeypatch.setattr(vaelab, "sweep", lambda *_, **__: result)
    words = ["sweep", "quickstart", "--search", "2", "--over", "objective.beta=1..2", "--json"]
    assert main(words) == code
    document = json.loads(capsys.readouterr().out)
    if finished:
        assert document["failed"] == {"trial-1": "it diverged"}
    else:
        assert "1 run failed (trial-1)" in document["error"]
