"""The state of a training as tensors and plain values, and back. `runs` writes the files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from vaelab.errors import UserError

Tensors = dict[str, Tensor]
Facts = dict[str, Any]  # whatever JSON can express
State = tuple[Tensors, Facts]
History = list[dict[str, Any]]  # one entry an epoch, as in metrics.jsonl


class DivergenceError(UserError):
    """A loss, a weight or a moment that is not finite or has grown beyond all bounds."""

    REMEDY = "lower the learning rate, or bring the data to a scale near 1"

    def __init__(self, finding: str) -> None:
        super().__init__(f"{finding}; {self.REMEDY}")
        self.finding = finding


def pack(
    step: nn.Module,
    optimiser: Optimizer,
    generators: Mapping[str, torch.Generator],
    others: Mapping[str, Tensor],
    trace: Tensor,
    facts: Facts,
    where: str,
) -> State:
    """Everything that the remaining steps depend on, after len(trace) steps of an epoch.

    `others` are the states of the generators of other processes, by name; `where` names the epoch
    in messages.

    Raises `DivergenceError` if a weight or a moment of the optimiser is not finite.
    """
    moments: Tensors = {}
    for number, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            if not isinstance(value, Tensor):
                raise UserError(
                    f"train.optimiser: its state {name!r} is a {type(value).__name__}, which a "
                    "checkpoint cannot hold; make it a tensor"
                )
            moments[f"optimizer.{number}.{name}"] = value
    for kind, tensors in (
        ("a weight", [*step.parameters()]),
        ("a moment of the optimiser", [*moments.values()]),
    ):
        if not all(tensor.isfinite().all() for tensor in tensors):
            raise DivergenceError(f"{where}: {kind} is not finite")
    states = {name: one.get_state() for name, one in generators.items()} | dict(others)
    streams = {f"generator.{name}": state for name, state in states.items()}
    return step.state_dict() | moments | streams | {"trace": trace}, facts | {"step": len(trace)}


def restore(state: State, step: nn.Module, optimiser: Optimizer) -> None:
    """Restore weights and moments of the optimiser. Raises `UserError` if they do not fit."""
    moments: dict[int, Tensors] = {}
    weights: Tensors = {}
    try:
        for key, tensor in state[0].items():
            kind, _, rest = key.partition(".")
            if kind in ("model", "objective"):
                weights[key] = tensor
            elif kind == "optimizer":
                number, _, name = rest.partition(".")
                moments.setdefault(int(number), {})[name] = tensor
        step.load_state_dict(weights)
        optimiser.load_state_dict(optimiser.state_dict() | {"state": moments})
    except (KeyError, RuntimeError, ValueError):
        raise UserError(
            "last.pt: its weights do not fit the model of the recipe (was a file of custom code "
            "changed?); restore the two together, or train again with --overwrite"
        ) from None


def restore_generators(
    state: State, generators: Mapping[str, torch.Generator], rank: int = 0
) -> None:
    """Continue the random streams that process `rank` had in an interrupted epoch."""
    whose = f".{rank}" if rank else ""
    try:
        for name, generator in generators.items():
            generator.set_state(state[0][f"generator.{name}{whose}"])
    except (KeyError, RuntimeError, TypeError):
        raise UserError(
            "last.pt: lacks the random streams of the interrupted epoch; restore it, or train "
            "again with --overwrite"
        ) from None
