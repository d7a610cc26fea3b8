"""One training in several processes: rank 0 does the work of a run, the others train with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar

from vaelab import devices
from vaelab.errors import UserError
from vaelab.models import linear
from vaelab.recipes import Recipe, Train, permit, permitted
from vaelab.seeding import untouched
from vaelab.training import State, connected, join
from vaelab.workflows.console import Console
from vaelab.workflows.fit import follow
from vaelab.workflows.job import Job
from vaelab.workflows.launch import launch

P = ParamSpec("P")
T = TypeVar("T")


class Plan(NamedTuple):
    """A training that all ranks begin."""

    recipe: Recipe
    state: State | None
    code: list[str]


class Done(NamedTuple):
    """What the function returned in rank 0, or that it failed before or after its trainings."""

    result: Any
    failed: bool = False


_state = {"leading": False, "training": False}  # of rank 0


def together(settings: Callable[P, Train | None]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Run a function in all ranks: in rank 0 as it is, in the others as far as it trains.

    Where no launcher started processes and `settings` asks for several, they are started here.
    `settings` is None for a function that calls other ones of this kind.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def run(*args: P.args, **given: P.kwargs) -> T:
            ranks = join()
            if ranks.world > 1 and not _state["leading"]:
                with connected(ranks):
                    return _lead(run, *args, **given) if ranks.first else _serve()
            train = settings(*args, **given)
            if train:
                _check(train)
            if train and ranks.world == 1 and train.devices * train.nodes > 1:
                result: T = launch(run, args, given, train)
                return result
            if train:
                ranks.check(train.devices, train.nodes)
            return function(*args, **given)

        return run

    return decorate


def _check(train: Train) -> None:
    processes = train.devices * train.nodes
    if train.batch < processes:
        raise UserError(
            f"train.batch: a batch of {train.batch} cannot be shared by {processes} processes; set "
            f"train.batch to {processes}, or set train.devices and train.nodes to 1"
        )


def _lead(function: Callable[P, T], *args: P.args, **given: P.kwargs) -> T:
    done = Done(None, failed=True)
    _state.update(leading=True, training=False)
    try:
        result = function(*args, **given)
        done = Done(result)
    finally:
        _state["leading"] = False
        if not _state["training"]:  # else the others wait for a step, and notice the end of this
            join().shared(lambda: done)
    return result


def _serve() -> Any:
    """Train what rank 0 trains, until it has done all; return what it returned."""
    ranks = join()
    while isinstance(message := ranks.shared(lambda: None), Plan):
        permit(message.code)
        job = Job(message.recipe, Console(quiet=True))
        ranks.meet()
        threads, products = ranks.shared(lambda: (0, ""))
        with devices.using(threads), untouched(), linear.using(products):
            follow(job, message.state)
        ranks.meet()
    assert isinstance(message, Done)
    if message.failed:
        raise UserError("the command failed; see the message of rank 0")
    return message.result


def begin(job: Job, state: State | None) -> None:
    """Tell the other ranks what rank 0 trains, and wait until they have data and model."""
    ranks, _state["training"] = join(), True
    ranks.shared(lambda: Plan(job.recipe, state, permitted()))
    ranks.meet()


def end() -> None:
    """Let the other ranks wait for the next training."""
    join().meet()
    _state["training"] = False
