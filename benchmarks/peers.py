"""vaelab beside its peers: programs that train the same network on the same images, in turns.

    python benchmarks/peers.py                      # measures; writes benchmarks/results/peers.json
    python benchmarks/peers.py --table              # prints the table of the result file
    python benchmarks/peers.py --write PAGE ...     # brings the table of these pages up to date

All train 784-400-20-400-784 (652,824 parameters) on the 60,000 images of MNIST by Adam, batch 128,
rate 1e-3, on BCE + KL with one posterior sample. Each has a process of its own, in an environment
of its own where it is not plain PyTorch (contestants/*.txt, made by venv and pip in the cache
folder), and its own file in contestants/. Only one works at a time, in rounds that alternate their
order, with the same number of cores. Quote medians and ratios, never a single time.

The measurements, in this order: memory of a first epoch, which is not counted; epochs, each with
its test pass outside of the time, until the test loss is at most TARGET; the importance-weighted
log-likelihood; the import; the whole command, from the start of the process to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contestants.contest import REFERENCE, TARGET, Contest
from contestants.process import Row
from contestants.table import put, table

import vaelab
from vaelab import devices
from vaelab.data import load
from vaelab.models.linear import bfloat16_pays
from vaelab.recipes import available

RESULT = Path(__file__).parent / "results" / "peers.json"
# Memory that is freed stays with the process: else page faults of the results add up to a third to
# the products of an epoch, which none of the training loops shows.
KEEPING = {f"MALLOC_{name}_": str(2**30) for name in ("TRIM_THRESHOLD", "MMAP_THRESHOLD")}
TIMES = 5  # that each is imported, and that the likelihood is computed


def rows(cap: int, speedrun: str) -> dict[str, Row]:
    """The contestants by name."""
    vae, data = "contestants.vaelab:Recipe", {"data.source": "mnist.npz"}
    train = "-m vaelab train {} --data.source mnist.npz --train.device cpu --train.threads "
    torch = "import torch"
    found = {
        "conventional loop": Row(
            "the loop of most tutorials, with PIL images and two data workers",
            "contestants.conventional:Loop",
            imports=f"{torch}, torch.utils.data, PIL.Image",
        ),
        "pythae": Row(
            "its VAE and BaseTrainer",
            "contestants.pythae:Trainer",
            requirements="pythae.txt",
            imports="import pythae.models, pythae.trainers",
            likelihood=True,
        ),
        "Keras 3": Row(
            "a compiled model on JAX and its `fit`",
            "contestants.keras:Fit",
            requirements="keras.txt",
            variables={"KERAS_BACKEND": "jax"},
            imports="import keras",
        ),
        "lean PyTorch": Row(
            "slices of a tensor, loss of logits, fused Adam",
            "contestants.lean:Loop",
            imports=torch,
        ),
        REFERENCE: Row(
            "the recipe `mlp-20d`",
            vae,
            {"name": "mlp-20d", "settings": data | {"train.epochs": cap}},
            imports="from vaelab import train",
            command=train.format("mlp-20d") + "{threads} --train.epochs {epochs}",
            likelihood=True,
        ),
        f"{REFERENCE} {speedrun}": Row(
            f"the recipe `{speedrun}` with its own number of epochs",
            vae,
            {"name": speedrun, "settings": data},
            command=train.format(speedrun) + "{threads}",
            scheduled=True,
        ),
    }
    for precision in ("float32", "bfloat16"):
        found[f"products in {precision}"] = Row(
            "the matrix products of an epoch alone",
            "contestants.floor:Products",
            {"precision": precision},
            variables=KEEPING,
            trains=False,
        )
    return found


def measure(asked: argparse.Namespace) -> dict[str, Any]:
    """All measurements; the environment variables and cores of this process are inherited."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[: asked.threads]
        if len(cores) < asked.threads:
            print(f"warning: {asked.threads} threads on {len(cores)} cores")
        os.sched_setaffinity(0, cores)
    data = load(vaelab.recipe("mlp-20d").data)
    splits = {"x": data.train.x, "y": data.train.y, "x_test": data.test.x, "y_test": data.test.y}
    with tempfile.TemporaryDirectory() as folder:
        arrays = {name: np.asarray(split[: asked.images]) for name, split in splits.items()}
        np.savez(Path(folder) / "mnist.npz", **arrays)
        contestants = rows(asked.cap, asked.speedrun)
        contest = Contest(contestants, Path(folder), asked.environments, asked.threads)
        if asked.speedrun not in available():
            contest.leave_out(f"{REFERENCE} {asked.speedrun}", "vaelab has no such recipe yet")
        if not bfloat16_pays(torch.device("cpu")):
            contest.leave_out("products in bfloat16", "no faster than float32 on this processor")
        try:
            contest.memory()
            contest.epochs(asked.least, asked.cap)
            contest.likelihood(asked.nll, TIMES)
            contest.imports(TIMES)
            if asked.commands:
                contest.commands(asked.commands)
        finally:
            contest.close()
    return {
        "what": "vaelab and other programs that train 784-400-20 on MNIST, in turns",
        "contestants": contest.facts,
        "left_out": contest.left_out,
        "target": TARGET,
        "images": len(arrays["x"]),
        "threads": asked.threads,
        "processor": devices.processor(),
        "vaelab": vaelab.__version__,
        "python": platform.python_version(),
        "date": date.today().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", action="store_true", help="only print the table of the result")
    parser.add_argument("--write", nargs="+", type=Path, help="only write it to these pages")
    parser.add_argument("--threads", type=int, default=2, help="of each contestant")
    parser.add_argument("--least", type=int, default=5, help="epochs of each after the first")
    parser.add_argument("--cap", type=int, default=40, help="epochs within which to reach the loss")
    parser.add_argument("--images", type=int, default=60_000, help="of training, to try it quickly")
    parser.add_argument("--nll", type=int, default=100, help="images of the log-likelihood")
    parser.add_argument("--commands", type=int, default=20, help="epochs of a command; 0: none")
    parser.add_argument("--speedrun", default="speedrun", help="the recipe of vaelab's speedrun")
    parser.add_argument("--environments", type=Path, default=devices.cache() / "peers")
    parser.add_argument("--out", type=Path, default=RESULT)
    asked = parser.parse_args()
    if not (asked.table or asked.write):
        found = measure(asked)
        asked.out.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    text = table(json.loads(asked.out.read_text("utf-8")))
    for page in asked.write or []:
        put(text, page)
    if not asked.write:
        print(text)


if __name__ == "__main__":
    main()
