"""The processes that train one model together: which one this is, and its part of every batch.

Each process is a rank. All of them hold the same weights; rank r takes the r-th part of the images
of every step, with noise of its own, and the gradients are averaged (data parallelism: Li et al.,
PyTorch distributed, 2020, arXiv:2006.15704). Rank 0 alone writes and prints.

What looks across the images of a batch sees those of all ranks (`models.batch`).
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from vaelab.errors import UserError
from vaelab.launchers import LostError, Place, count, place
from vaelab.models import batch

T = TypeVar("T")
MEETING = timedelta(minutes=2)  # in which all processes have to start
SILENCE = timedelta(hours=1)  # in which a process has to answer; a dead one is noticed at once
EVERY, MOST = 0.25, 50  # seconds, and steps, between two agreements on whether to pause
LOST = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "Broken pipe")


class Ranks:
    """The ranks of a training: here the only one, for which nothing differs from plain torch."""

    rank, world, devices, nodes = 0, 1, 1, 1

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def record(self) -> dict[str, int]:
        """What a run records of them."""
        return {"devices": self.devices, "nodes": self.nodes, "world_size": self.world}

    def check(self, devices: int, nodes: int) -> None:
        """Raise `UserError` if other processes are set than there are."""
        if devices * nodes > 1:
            raise UserError(
                f"train.devices: the settings ask for {count(devices, nodes)}, and this is a "
                "process by itself; start it with torchrun or srun, or set train.devices and "
                "train.nodes to 1"
            )

    def began(self, facts: Mapping[str, Any]) -> bool:
        """Whether an interrupted epoch began with as many ranks as there are now."""
        return int(facts.get("ranks", 1)) == self.world

    def purpose(self, name: str, begun: Mapping[str, Any]) -> str:
        """The purpose of a random number stream of this rank in an epoch (see `seeding`).

        Other ranks than those that began the epoch, at a step > 0, go on with other streams.
        """
        whose = f"{name} of rank {self.rank}" if self.rank else name
        if not begun or self.began(begun):
            return whose
        return f"{whose} of {self.world} from step {begun['step']}"

    def part(self, index: Tensor) -> Tensor:
        """This rank's part of the images of a batch."""
        return index

    def begin(self, images: int) -> None:
        """Say how many images the batch of the next step has."""

    def setup(self, step: nn.Module, device: str) -> nn.Module:
        """What to call in place of the step; its loss is that of this rank's part."""
        return step

    def agreed(self, wish: Callable[[], bool]) -> bool:
        """Whether any rank wishes it, the same in all; asked at every step, answered at some."""
        return wish()

    def any(self, wish: bool) -> bool:
        """Whether any rank wishes it, the same in all."""
        return wish

    def meet(self) -> None:
        """Wait for all ranks."""
        self.any(False)

    def shared(self, work: Callable[[], T]) -> T:
        """What rank 0 computes, in all ranks."""
        return work()

    def total_(self, tensor: Tensor) -> Tensor:
        """The sum over the ranks, in place."""
        return tensor

    def states(self, streams: Mapping[str, torch.Generator]) -> dict[str, Tensor]:
        """The states of the other ranks' generators, for a checkpoint."""
        return {}


class Group(Ranks):
    """Several ranks, connected by gloo for tensors of the CPU and by NCCL for those of GPUs."""

    def __init__(self, where: Place) -> None:
        self.rank, self.world = where.rank, where.world
        self.devices, self.nodes, self.local = where.devices, where.nodes, where.local
        self.launcher = where.launcher
        self.parts = batch.Parts([1] * self.world, self.rank)  # of the current batch
        self.wait, self.asked, self.steps = 1, time.monotonic(), 1

    def check(self, devices: int, nodes: int) -> None:
        if (devices, nodes) != (self.devices, self.nodes):
            raise UserError(
                f"train.devices: the settings ask for {count(devices, nodes)}, {self.launcher} "
                f"started {count(self.devices, self.nodes)}; set train.devices to "
                f"{self.devices} and train.nodes to {self.nodes}"
            )

    def part(self, index: Tensor) -> Tensor:
        """The r-th of contiguous parts whose sizes differ by at most one.

        A rank without an image of so small a batch takes the first one, of no weight.
        """
        mine = index.tensor_split(self.world)[self.rank]
        return mine if len(mine) else index[:1]

    def begin(self, images: int) -> None:
        each, rest = divmod(images, self.world)
        sizes = [each + (rank < rest) for rank in range(self.world)]
        self.parts = batch.Parts(sizes, self.rank)

    def setup(self, step: nn.Module, device: str) -> nn.Module:
        """The step in Lightning Fabric's DistributedDataParallel."""
        if device == "cuda" and torch.cuda.device_count() < self.devices:
            raise UserError(
                f"train.devices: {count(self.devices, 1)} need as many GPUs, each process sees "
                f"{torch.cuda.device_count()}; lower train.devices, or set train.device to cpu"
            )
        # Slow to import, with torch's compiler, and only trainings of several processes need it.
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy

        logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # vaelab says what it does
        fabric = Fabric(
            accelerator=device,
            strategy=DDPStrategy(gradient_as_bucket_view=True),
            devices=self.devices,
            num_nodes=self.nodes,
            plugins=[TorchElasticEnvironment()],
        )
        fabric.launch()
        self.wait, self.asked, self.steps = 1, time.monotonic(), 1
        batch.convert(step)
        return fabric.setup_module(Together(step, self))

    def agreed(self, wish: Callable[[], bool]) -> bool:
        self.wait -= 1
        if self.wait > 0:
            return False
        now = time.monotonic()
        each = (now - self.asked) / self.steps
        flags = torch.tensor([float(wish()), min(MOST, max(1.0, EVERY // max(each, 1e-6)))])
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        self.asked, self.wait = now, int(flags[1])
        self.steps = self.wait
        return bool(flags[0])

    def any(self, wish: bool) -> bool:
        flag = torch.tensor(float(wish))
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def shared(self, work: Callable[[], T]) -> T:
        box: list[Any] = [work() if self.first else None]
        dist.broadcast_object_list(box)
        return cast("T", box[0])

    def total_(self, tensor: Tensor) -> Tensor:
        dist.all_reduce(tensor)
        return tensor

    def states(self, streams: Mapping[str, torch.Generator]) -> dict[str, Tensor]:
        mine = {f"{name}.{self.rank}": one.get_state() for name, one in streams.items()}
        boxes: list[Any] = [None] * self.world
        dist.all_gather_object(boxes, mine)
        return {name: state for box in boxes[1:] for name, state in box.items()}


ALONE = Ranks()
_joined: list[Group] = []


def join() -> Ranks:
    """The ranks among which a launcher put this process, connected; `ALONE` without one."""
    if _joined:
        return _joined[0]
    where = place()
    if where is None:
        return ALONE
    port = 15_000 + int(os.environ.get("SLURM_JOB_ID", "0")[-4:])  # every task of a job knows it
    given = {"RANK": where.rank, "WORLD_SIZE": where.world, "LOCAL_RANK": where.local}
    os.environ |= {name: str(value) for name, value in given.items()}
    os.environ |= {"MASTER_ADDR": where.address, "LOCAL_WORLD_SIZE": str(where.devices)}
    os.environ.setdefault("MASTER_PORT", str(port))
    gpus = torch.cuda.device_count()
    if gpus >= where.devices:
        torch.cuda.set_device(where.local)
    try:
        store, rank, world = next(iter(rendezvous("env://", timeout=MEETING)))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpus else "gloo",
            store=PrefixStore("vaelab", store), rank=rank, world_size=world, timeout=SILENCE,
        )  # fmt: skip
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise UserError(
            f"train.devices: rank {where.rank} of {where.world} found no connection to the others "
            f"({str(error).splitlines()[0]}); start all of them within two minutes, and see that "
            f"{where.address} can be reached"
        ) from None
    atexit.register(_leave)
    _joined.append(Group(where))
    return _joined[0]


def _leave() -> None:
    gc.collect()  # an exception may still hold a model whose threads use the connection
    dist.destroy_process_group()


@contextmanager
def connected(ranks: Ranks) -> Iterator[None]:
    """Turn the loss of another rank into a `UserError`; name this rank in all errors of others."""
    try:
        yield
    except UserError as error:
        if ranks.first:
            raise
        raise UserError(f"rank {ranks.rank}: {error}") from None
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and not any(text in str(error) for text in LOST):
            raise
        raise LostError(
            f"train.devices: rank {ranks.rank} lost the connection to another process, which has "
            f"ended or was killed; {LostError.REMEDY}"
        ) from None


class Together(nn.Module):
    """A training step on this rank's part of the batch.

    The mean of its losses over the ranks is the mean over all images of the batch, whose parts may
    be of different sizes; and so is the sum of its terms.
    """

    def __init__(self, step: nn.Module, ranks: Group) -> None:
        super().__init__()
        self.step, self.ranks = step, ranks
        # Each rank computes the same buffers (batch normalisation, code books), so none is sent.
        buffers = [name for name, _ in self.named_buffers()]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(self, buffers)

    def forward(self, *given: Any) -> tuple[Tensor, Tensor]:
        with batch.divided(self.ranks.parts):
            loss, terms = self.step(*given)
        share = self.ranks.parts.share
        return loss * (share * self.ranks.world), terms * share
