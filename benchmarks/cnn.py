"""Seconds per epoch of cnn-16d: vaelab's loop against a lean one, and against the bare arithmetic.

    python benchmarks/cnn.py                    # writes benchmarks/results/cnn.json

The lean loop is what someone writes by hand who knows torch: tensors that are sliced, torch's own
layers, the loss from logits, fused Adam, no DataLoader. vaelab's is `vaelab.epochs` with the recipe
cnn-16d, in float32 and in bfloat16, without held-out images. The floor is the time of the products
alone: each layer's output, the gradient of its input (but that of the images, which nobody needs)
and that of its weights, each by the fastest of oneDNN's convolutions in either layout and of the
equivalent matrix products, measured without unfolding, activations, biases, loss and optimiser. A
processor that does not multiply bfloat16 faster has no contenders in it.

Each contender lives in a process of its own, because malloc keeps what an earlier contender taught
it about the size of blocks, and they take turns. Quote medians of ratios, never a single time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from contestants.floor import onednn
from contestants.lean import LeanVAE, train
from torch import nn

from vaelab.models.linear import bfloat16_pays

BATCH, IMAGES, LATENT = 128, 54_000, 16
NAMES = ("vaelab", "vaelab bfloat16", "lean", "floor", "floor bfloat16")


def conv_vae() -> LeanVAE:
    """The network of cnn-16d in torch's own layers."""
    return LeanVAE(
        nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(),
            nn.Flatten(), nn.Linear(3136, 2 * LATENT),
        ),
        nn.Sequential(
            nn.Linear(LATENT, 3136), nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1),
        ),
    )  # fmt: skip


def lean(images: int) -> Callable[[], float]:
    torch.manual_seed(0)
    x, model = torch.rand(images, 1, 28, 28), conv_vae()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def epoch() -> float:
        begun = time.perf_counter()
        train(model, optimizer, x, BATCH)
        return time.perf_counter() - begun

    return epoch


def ours(images: int, precision: str) -> Callable[[], float]:
    import vaelab
    from vaelab.data import Batches
    from vaelab.models import build, linear

    settings = {"train.precision": precision, "train.epochs": 10**6, "train.batch": BATCH}
    recipe = vaelab.recipe("cnn-16d", settings)
    pixels = torch.randint(0, 256, (images, 28, 28), dtype=torch.uint8)
    cpu = torch.device("cpu")
    data = Batches(pixels, 256, recipe.data, cpu)
    step = vaelab.Step(build(recipe.model, (28, 28), 256), recipe.objective)
    products = linear.fastest(cpu, step, BATCH)
    epochs = vaelab.epochs(step, data, recipe.train)

    def epoch() -> float:
        with linear.using(products):
            return next(epochs).seconds

    return epoch


def floor(images: int, dtype: torch.dtype) -> Callable[[], float]:
    products = [
        *convolution(1, 32, 14, dtype, first=True), *convolution(32, 64, 7, dtype),
        *matrices(BATCH, 3136, 2 * LATENT, dtype), *matrices(BATCH, LATENT, 3136, dtype),
        *convolution(32, 64, 7, dtype), *convolution(1, 32, 14, dtype),
    ]  # fmt: skip

    def epoch() -> float:
        return sum(min(map(seconds, ways)) for ways in products) * images / BATCH

    return epoch


def seconds(way: Callable[[], object], times: int = 12) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        way()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def convolution(
    below: int, above: int, size: int, dtype: torch.dtype, first: bool = False
) -> list[list[Callable[[], object]]]:
    """The ways of the three products of a 4x4 convolution of stride 2, or of its transpose.

    The transposed convolution has the same three, with the first two exchanged.
    """
    geometry = [2, 2], [1, 1], [1, 1], False, [0, 0], 1
    ways: list[list[Callable[[], object]]] = [[], [], []]
    for layout in (torch.contiguous_format, torch.channels_last):
        x, y, weight = (
            torch.randn(shape).to(dtype).to(memory_format=layout)
            for shape in (
                (BATCH, below, 2 * size, 2 * size),
                (BATCH, above, size, size),
                (above, below, 4, 4),
            )
        )
        ways[0].append(partial(F.conv2d, x, weight, None, 2, 1))
        backward = partial(torch.ops.aten.convolution_backward, y, x, weight, None, *geometry)
        ways[1].append(partial(backward, [True, False, False]))
        ways[2].append(partial(backward, [False, True, False]))
    equivalent = matrices(BATCH * size * size, 16 * below, above, dtype)
    ways = [one + other for one, other in zip(ways, equivalent, strict=True)]
    return ways[::2] if first else ways


def matrices(
    rows: int, into: int, out: int, dtype: torch.dtype
) -> list[list[Callable[[], object]]]:
    """The ways of the three products of a linear layer, by MKL and by oneDNN."""
    ways: list[list[Callable[[], object]]] = []
    for n, k, m in ((rows, into, out), (rows, out, into), (into, rows, out)):
        x, weight = torch.randn(n, k, dtype=dtype), torch.randn(m, k, dtype=dtype)
        ways.append([partial(F.linear, x, weight), partial(onednn, x, weight.t())])
    return ways


def contender(name: str, images: int, threads: int, pipe: Connection) -> None:
    """Answer each message by the seconds of an epoch, until an empty one comes."""
    torch.set_num_threads(threads)
    bf16 = name.endswith("bfloat16")
    make: dict[str, Callable[[], Callable[[], float]]] = {
        "lean": lambda: lean(images),
        "vaelab": lambda: ours(images, "bfloat16" if bf16 else "float32"),
        "floor": lambda: floor(images, torch.bfloat16 if bf16 else torch.float32),
    }
    epoch = make[name.split()[0]]()
    while pipe.recv():
        pipe.send(epoch())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="after one that is not counted")
    parser.add_argument("--images", type=int, default=IMAGES, help="an epoch")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "cnn.json")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    names = [n for n in NAMES if bfloat16_pays(torch.device("cpu")) or "bfloat16" not in n]
    if len(names) < len(NAMES):
        print("left out: bfloat16, no faster than float32 on this processor", flush=True)
    context, pipes = multiprocessing.get_context("spawn"), {}
    for name in names:
        pipes[name], theirs = context.Pipe()
        facts = name, arguments.images, arguments.threads, theirs
        context.Process(target=contender, args=facts, daemon=True).start()
    rounds: list[dict[str, float]] = []
    for number in range(arguments.rounds + 1):
        row = {}
        for name in names if number % 2 else reversed(names):
            pipes[name].send("epoch")
            row[name] = round(pipes[name].recv(), 3)
        print(f"round {number}{'' if number else ' (not counted)'}: {row}", flush=True)
        rounds += [row] if number else []
    for pipe in pipes.values():
        pipe.send("")
    result = summary(rounds) | {"images": arguments.images, "threads": arguments.threads}
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["median_ratios"], indent=2), arguments.out)


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    from vaelab import devices

    pairs = [
        ("lean", "vaelab"), ("lean", "vaelab bfloat16"), ("vaelab", "floor"),
        ("vaelab bfloat16", "floor bfloat16"), ("lean", "floor"),
    ]  # fmt: skip
    ratios = {
        f"{a} / {b}": [row[a] / row[b] for row in rounds]
        for a, b in pairs
        if {a, b} <= rounds[0].keys()
    }
    return {
        "what": f"seconds an epoch of {len(rounds)} alternating rounds, cnn-16d at batch {BATCH}",
        "median_ratios": {name: round(statistics.median(r), 3) for name, r in ratios.items()},
        "ranges": {name: [round(min(r), 3), round(max(r), 3)] for name, r in ratios.items()},
        "median_seconds": {n: statistics.median(row[n] for row in rounds) for n in rounds[0]},
        "rounds": rounds,
        "processor": devices.processor(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
