"""The trackers that have a name: each is a row with the package that it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import NamedTuple

from vaelab.errors import UserError, nearest
from vaelab.tracking.mlflow import MLflow
from vaelab.tracking.protocol import Tracker
from vaelab.tracking.tensorboard import TensorBoard
from vaelab.tracking.trackio import Trackio
from vaelab.tracking.wandb import WandB

Tracked = str | Tracker | Iterable[str | Tracker]  # names, also several as "a,b", and trackers


class Row(NamedTuple):
    """A tracker: its class, its package, and what it is."""

    make: Callable[[], Tracker]
    about: str
    package: str
    least: tuple[int, ...] = ()  # version of the package


TRACKERS = {
    "tensorboard": Row(TensorBoard, "TensorBoard files in the run folder", "tensorboard"),
    "mlflow": Row(MLflow, "MLflow at MLFLOW_TRACKING_URI, or in mlflow.db", "mlflow"),
    "wandb": Row(WandB, "Weights & Biases, offline unless WANDB_MODE says otherwise", "wandb"),
    "trackio": Row(Trackio, "trackio, on this machine", "trackio", (0, 43)),
}


def trackers_of(track: Tracked) -> list[Tracker]:
    """Return the trackers that are named or given, each once.

    Raises:
        UserError: There is no such tracker, or its package is not installed.
    """
    given = [track] if isinstance(track, str) or not isinstance(track, Iterable) else [*track]
    found: dict[object, Tracker] = {}
    for one in given:
        if not isinstance(one, str):
            found[id(one)] = one
            continue
        for name in filter(None, map(str.strip, one.split(","))):
            found.setdefault(name, _made(name))
    return [*found.values()]


def _made(name: str) -> Tracker:
    if name not in TRACKERS:
        raise UserError(f"track: there is no tracker {name!r}; {nearest(name, TRACKERS)}")
    row = TRACKERS[name]
    if find_spec(row.package) is None:
        raise UserError(
            f"track: {row.package} is needed to send records to {name}; "
            f"install it: pip install {row.package}"
        )
    try:
        there = version(row.package)
    except PackageNotFoundError:  # mlflow may be there as mlflow-skinny
        there = ""
    if there and tuple(int(part) for part in there.split(".")[:2] if part.isdigit()) < row.least:
        least = ".".join(map(str, row.least))
        raise UserError(
            f"track: {name} {there} is installed, but vaelab needs {least} or later; "
            f"pip install -U {row.package}"
        )
    return row.make()
