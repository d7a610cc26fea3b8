"""What two processes try out together, for test_ranks.py: each function runs in both of them."""

from __future__ import annotations

import copy
import errno
import os
import socket
from collections.abc import Callable
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import vaelab
from vaelab.data import Batches, load
from vaelab.models import build
from vaelab.recipes import Recipe, Train, table
from vaelab.seeding import derive, generator
from vaelab.training import Epoch, Step, epochs, join, terms
from vaelab.training.schedules import numbers

SHAPE, LEVELS = (8, 8), 5
SMALL = {"hidden": [6, 8], "latent": 3, "components": 4, "codes": 6, "upper": [2]}
# Rows and parts that look across the images of a batch, beside the rows of the table.
OTHERS = {
    "batch norm": {"model.batch_norm": True},
    "batch norm, convolutions": {"model.batch_norm": True, "model.network": "conv"},
    "batch norm under a gradient penalty": {"model.variant": "rae-gp", "model.batch_norm": True},
    "batch norm under stl": {"model.variant": "stl", "model.batch_norm": True},
    "one sigma for all": {"model.likelihood": "gaussian-optimal", "objective.k": 3},
    "info with labels": {"model.variant": "info-vae", "model.conditional": True},
}


class Known(TorchDispatchMode):
    """Random numbers that are functions of their place: of the row of the batch, of its other
    indices and of how many were drawn before. `first` is the first row of this process.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first, self.calls = first, count()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Tensor:
        drawn: Tensor = func(*args, **(kwargs or {}))
        if torch.Tag.nondeterministic_seeded not in func.tags or isinstance(drawn, tuple):
            return drawn  # a tuple: attention without dropout
        call, name = next(self.calls), func.overloadpacket.__name__
        axis = 1 if drawn.dim() > 2 else 0
        rows = torch.arange(drawn.shape[axis]) + self.first
        if drawn.dim() == 1:  # of a rejection: the rows that are left
            rows = torch.zeros_like(rows)
        rest = torch.arange(drawn.numel() // max(1, len(rows))).view(
            *[1 if i == axis else size for i, size in enumerate(drawn.shape)]
        )
        place = rows.view(-1, *[1] * (drawn.dim() - axis - 1)) * 0.7548776662 + rest * 0.5698402910
        uniform = ((place + call * 0.6180339887 + 0.31) % 1).clamp(1e-6, 1 - 1e-6).to(drawn)
        if name in ("randn", "randn_like", "normal_", "normal"):
            noise = torch.special.ndtri(uniform)
            if name == "normal":  # of means and deviations
                noise = args[0] + args[1] * noise
            return drawn.copy_(noise)
        return drawn.copy_(uniform if "rand" in name or name == "uniform_" else -uniform.log())


def small(changed: dict[str, Any]) -> Recipe:
    row = table.ROWS[changed.get("model.variant", "vae")]
    own = {"model.likelihood": row.likelihood or "bernoulli"}
    given = {f"model.{name}": value for name, value in SMALL.items()}
    return vaelab.recipe("quickstart", own | given | changed)


def gradients() -> dict[str, float]:
    """For each row of the table, and for `OTHERS`, the largest deviation of gradients, losses and
    buffers from those of a single process with the same noise, over steps of 7 and 6 images.
    """
    cases = {name: {"model.variant": name} for name in table.ROWS} | OTHERS
    torch.set_default_dtype(torch.float64)
    try:
        return {name: _deviation(small(changed)) for name, changed in cases.items()}
    finally:
        torch.set_default_dtype(torch.float32)


def _deviation(recipe: Recipe) -> float:
    torch.manual_seed(0)
    ranks = join()
    vae = build(recipe.model, SHAPE, LEVELS, (0, 1, 7))
    step = Step(vae, recipe.objective).double()
    alone = copy.deepcopy(step).train()
    for module in alone.modules():
        if hasattr(module, "all_reduce_fn"):  # of a code book, which adds up what all ranks chose
            module.all_reduce_fn = lambda tensor: None
    x = torch.randint(LEVELS, (13, *SHAPE)).double() / (LEVELS - 1)
    y = torch.tensor([0, 7, 1, 7, 0, 1, 1, 0, 0, 7, 1, 1, 0])
    weights = torch.linspace(0.5, 1.5, 13)
    values = numbers(recipe.objective, 30.0, 40) | {"images": 100}
    optimiser = torch.optim.SGD(step.parameters(), 1e-3)
    model = ranks.setup(step, "cpu")
    own = torch.optim.SGD(alone.parameters(), 1e-3)
    model.train()
    largest = 0.0
    for index in torch.arange(13).split([7, 6]):
        mine = ranks.part(index)
        ranks.begin(len(index))
        with Known(int(mine[0] - index[0])):
            loss, measured = model(x[mine], y[mine], values, weights[mine])
            optimiser.zero_grad()
            loss.backward()
        with Known(0):
            expected, whole = alone(x[index], y[index], values, weights[index])
            own.zero_grad()
            expected.backward()
        pairs = [(ranks.total_(measured.clone()), whole)]
        pairs += [
            (a.grad, b.grad) for a, b in zip(step.parameters(), alone.parameters(), strict=True)
        ]
        optimiser.step()
        own.step()
        pairs += list(zip(step.buffers(), alone.buffers(), strict=True))
        for a, b in pairs:
            away = (a.double() - b.double()).norm() / b.double().norm().clamp(min=1)
            largest = max(largest, away.item())
    return largest


# ---------------------------------------------------------------- curves


class Recorded(Step):
    """A step that notes the sum of the losses of its images, and how many they are."""

    def forward(self, x: Tensor, *given: Any) -> tuple[Tensor, Tensor]:
        loss, measured = super().forward(x, *given)
        self.sums = [*getattr(self, "sums", []), [loss.item() * len(x), len(x)]]
        return loss, measured


def prepared(changed: dict[str, Any]) -> tuple[Recipe, Batches, Batches, Callable[[], Recorded]]:
    """Digits, and a function that builds a model, always the same."""
    recipe = vaelab.recipe("quickstart", {"train.batch": 101, "train.devices": 2} | changed)
    data = load(recipe.data)

    def step() -> Recorded:
        torch.manual_seed(1)
        return Recorded(build(recipe.model, data.shape, data.levels), recipe.objective)

    cpu = torch.device("cpu")
    splits = data.train.x, data.validation.x
    images, held_out = (Batches(x, data.levels, recipe.data, cpu) for x in splits)
    return recipe, images, held_out, step


def reference(step: Step, data: Batches, settings: Train, parts: int, steps: int) -> list[float]:
    """The losses of a single process that takes each part of a batch with the noise of its rank,
    and averages the gradients by hand.
    """
    optimiser = torch.optim.Adam(step.parameters(), settings.learning_rate, eps=settings.epsilon)
    step.train()
    losses: list[float] = []
    for number in count(1):
        order = torch.randperm(len(data), generator=generator(settings.seed, "order", number))
        names = ["noise", *(f"noise of rank {rank}" for rank in range(1, parts))]
        states = []
        for name in names:
            torch.manual_seed(derive(settings.seed, name, number))
            states.append(torch.get_rng_state())
        for index in order.split(settings.batch):
            optimiser.zero_grad()
            losses.append(0.0)
            for rank, part in enumerate(index.tensor_split(parts)):
                torch.set_rng_state(states[rank])
                x = data(part, generator(0, "unused"))
                loss = step(x, None, {"beta": 1.0, "images": len(data)})[0]
                (loss * (len(part) / len(index))).backward()
                losses[-1] += loss.item() * len(part) / len(index)
                states[rank] = torch.get_rng_state()
            optimiser.step()
            if len(losses) == steps:
                return losses
    raise AssertionError


def curves(steps: int = 50) -> dict[str, tuple[list[float], list[float]]]:
    """The losses of the first steps: of two processes, and of the reference."""
    losses_of = {}
    for variant, parts in (("ae", 1), ("vae", 2)):
        given = {"model.variant": variant, "train.epochs": 4, "train.schedule": "constant"}
        recipe, images, _, step = prepared(given)
        together = step()
        list(epochs(together, images, recipe.train))
        sums = join().total_(torch.tensor(together.sums, dtype=torch.float64)[:steps])
        losses = (sums[:, 0] / sums[:, 1]).tolist()
        losses_of[variant] = losses, reference(step(), images, recipe.train, parts, steps)
    return losses_of


def _weights(step: nn.Module) -> Tensor:
    return torch.cat([tensor.flatten().double() for tensor in step.state_dict().values()])


def resumed() -> dict[str, Any]:
    """An epoch that was interrupted in the middle, and the same one without an interruption."""
    ranks = join()
    given = {"train.epochs": 2, "data.treatment": "dynamic", "model.likelihood": "bernoulli"}
    recipe, images, held_out, step = prepared(
        given | {"model.dropout": 0.1, "model.batch_norm": True, "train.batch": 401}
    )

    def train(model: Step, **more: Any) -> list[Epoch]:
        return [*epochs(model, images, recipe.train, held_out={"validation": held_out}, **more)]

    whole = step()
    history = train(whole)[-1].history
    # Rank 1 alone asks for a pause; both pause, at the same step.
    first = epochs(step(), images, recipe.train, pause=lambda: ranks.rank == 1)
    (paused,) = islice(first, 1)
    state = ranks.shared(paused.state)
    again = step()
    train(again, state=state)
    single = terms(whole.model, held_out, recipe.train.seed)
    return {
        "step": paused.step,
        "equal": torch.equal(_weights(whole), _weights(again)),
        "generators": sorted(name for name in state[0] if name.startswith("generator.")),
        "validation": (history[-1]["validation"], single.record()),
        "apart": _apart(_weights(whole)),
        "streams": not torch.equal(state[0]["generator.cpu"], state[0]["generator.cpu.1"]),
    }


def _apart(tensor: Tensor) -> float:
    """How far a tensor differs between the two ranks."""
    ranks = join()
    return ranks.total_(tensor if ranks.rank else -tensor).abs().max().item()


def tiny_batches() -> float:
    """The deviation of the loss of a batch of one image from that of a single process."""
    recipe, images, _, step = prepared({"model.variant": "ae"})
    ranks, model, index = join(), step().train(), torch.tensor([3])
    together = ranks.setup(step().train(), "cpu")
    ranks.begin(len(index))
    x = images(ranks.part(index), generator(0, "unused"))
    values = numbers(recipe.objective, 0, 1) | {"images": len(images)}
    loss = ranks.total_(together(x, None, values)[0].detach().clone()).item() / ranks.world
    alone = model(images(index, generator(0, "unused")), None, values)[0].item()
    return abs(loss - alone) / abs(alone)


def port_is_held() -> bool:
    """Whether nobody can take the port of the store, although no rank has connected to it."""
    assert not torch.distributed.is_initialized()
    with socket.socket() as other:
        try:
            other.bind((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def everything() -> dict[str, Any]:
    return {
        "port": port_is_held(),
        "gradients": gradients(),
        "curves": curves(),
        "resumed": resumed(),
        "tiny": tiny_batches(),
    }
