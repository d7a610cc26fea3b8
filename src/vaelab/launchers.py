"""Where torchrun or SLURM put this process among those of a training.

The module does not import torch, so that a command knows at once whether it prints.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from vaelab.errors import UserError


class Place(NamedTuple):
    """The place of this process among those that a launcher started."""

    launcher: str
    rank: int
    world: int
    local: int  # the rank among the processes of this machine
    devices: int  # processes of this machine
    address: str

    @property
    def nodes(self) -> int:
        return self.world // self.devices


def place() -> Place | None:
    """Where torchrun or SLURM put this process; None where it was started by itself.

    A step of SLURM is one of `srun`; the script of `sbatch` itself is a process by itself.
    """
    e = os.environ
    try:
        if "RANK" in e and int(e.get("WORLD_SIZE", "1")) > 1:
            local = int(e["LOCAL_RANK"]), int(e["LOCAL_WORLD_SIZE"])
            return Place("torchrun", int(e["RANK"]), int(e["WORLD_SIZE"]), *local, e["MASTER_ADDR"])
        if int(e.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
            world = int(e["SLURM_STEP_NUM_TASKS"])
            devices = world // int(e.get("SLURM_STEP_NUM_NODES", "1"))
            local = int(e["SLURM_LOCALID"]), devices
            address = e.get("MASTER_ADDR") or _first(e["SLURM_STEP_NODELIST"])
            return Place("SLURM", int(e["SLURM_PROCID"]), world, *local, address)
    except (KeyError, ValueError) as error:
        raise UserError(
            f"train.devices: the variables of the launcher are incomplete ({error}); start the "
            "training with torchrun or srun"
        ) from None
    return None


def alone(what: str) -> None:
    """Refuse what each of the processes of a launcher would do once more.

    Raises:
        UserError: torchrun or SLURM started several processes.
    """
    if where := place():
        without = "torchrun" if where.launcher == "torchrun" else "srun, or with --ntasks 1"
        raise UserError(
            f"{what}: {where.launcher} started {where.world} processes, and each would do all of "
            f"it; start it without {without}"
        )


def _first(nodes: str) -> str:
    """The first machine of a list of SLURM.

    >>> _first("gpu[03-05,9],cpu1"), _first("a,b"), _first("n[7]")
    ('gpu03', 'a', 'n7')
    """
    head, bracket, rest = nodes.partition("[")
    if not bracket or "," in head:
        return head.partition(",")[0]
    inside, _, after = rest.partition("]")
    return head + inside.replace("-", ",").partition(",")[0] + after.partition(",")[0]


def count(devices: int, nodes: int) -> str:
    each = f"{devices} process{'es' * (devices > 1)}"
    return f"{each} on {'each of ' * (nodes > 1)}{nodes} machine{'s' * (nodes > 1)}"


class LostError(UserError):
    """Another process of the training has ended."""

    REMEDY = "what was saved is in the run folder, and a resume continues from there"
