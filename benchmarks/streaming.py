"""Training from a pack: time per image at any size, memory, and data twice as large as memory.

    python benchmarks/streaming.py              # all; writes benchmarks/results/streaming.json
    python benchmarks/streaming.py sizes        # 10,000, 100,000 and 1,000,000 images
    python benchmarks/streaming.py limited      # 1,500,000 images in half of their memory

The images are generated blocks of grey levels, 28x28; the network is that of `mlp-20d`, on one
thread. Each measurement is a process of its own; those that are compared alternate, and medians are
reported. `sizes` trains 150,000 images of a pack of each size (a whole epoch of a pack that is as
small). `limited` trains as many images of a pack that is not in the page cache, in a control group
(Linux cgroup, v1 or v2; needs root) whose memory, page cache included, is half of the pack, and
beside it as many of the same images in memory without a limit. Memory is the greatest anonymous
memory (RssAnon) less that after the imports.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from process_memory import own

RESULTS = Path(__file__).parent / "results" / "streaming.json"
SIZES = 10_000, 100_000, 1_000_000
LARGE = 1_500_000
TRAINED = 150_000  # images of a measurement
WARM = 100  # steps before the clock starts
REPEATS = 3
MIB = 2**20
CGROUPS = Path("/sys/fs/cgroup")


class EnoughError(Exception):
    """Ends a training."""


def generate(folder: Path, images: int) -> Path:
    """Write a pack of blocks of grey levels."""
    import vaelab

    source = folder / "x.npy"
    x = np.lib.format.open_memmap(source, "w+", np.uint8, (images, 28, 28))
    rng = np.random.default_rng(0)
    for start in range(0, images, 10_000):
        x[start : start + 10_000] = (
            rng.integers(0, 256, (10_000, 7, 7), np.uint8).repeat(4, 1).repeat(4, 2)
        )
    del x
    out = vaelab.pack(source, folder / f"{images}.pack", quiet=True)
    source.unlink()
    return out


def forget(pack: Path) -> None:
    """Take the files of a pack out of the page cache."""
    for file in pack.glob("*.npy"):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def child(pack: str, memory: bool, workers: int) -> None:
    """Train some images of a pack, and print seconds per image and anonymous memory."""
    import torch

    import vaelab
    from vaelab.data import Batches, load
    from vaelab.models import build

    torch.set_num_threads(1)
    settings = {"data.source": pack, "data.workers": workers, "train.epochs": 1000}
    recipe = vaelab.recipe("mlp-20d", settings)
    before, stop = own("RssAnon"), threading.Event()
    peaks = [before]

    def watch() -> None:
        while not stop.wait(0.02):
            peaks[0] = max(peaks[0], own("RssAnon"))

    threading.Thread(target=watch, daemon=True).start()
    data = load(recipe.data)
    x = data.train.x[:] if memory else data.train.x
    images = Batches(x, data.levels, recipe.data, torch.device("cpu"))
    step = vaelab.Step(build(recipe.model, data.shape, data.levels), recipe.objective)
    steps, wanted = 0, TRAINED // recipe.train.batch
    begun = 0.0

    def count() -> bool:
        nonlocal steps, begun
        steps += 1
        if steps == WARM:
            begun = time.perf_counter()
        if steps == WARM + wanted:
            raise EnoughError
        return False

    try:
        for _ in vaelab.epochs(step, images, recipe.train, pause=count):
            pass  # `count` ends it
    except EnoughError:
        seconds = time.perf_counter() - begun
    stop.set()
    each = seconds / wanted / recipe.train.batch
    print(json.dumps({"microseconds": each * 1e6, "anonymous_mib": peaks[0] - before}))


@contextmanager
def limited(size: int) -> Iterator[Path]:
    """Make a control group of so many bytes; yield the file that takes its processes."""
    new = (CGROUPS / "cgroup.controllers").exists()
    group = (CGROUPS if new else CGROUPS / "memory") / f"vaelab-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.max" if new else "memory.limit_in_bytes")).write_text(str(size))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()


def measure(
    pack: Path, *, memory: bool = False, workers: int = 1, group: Path | None = None
) -> Any:
    """Measure in a process of its own, in a control group if one is given."""
    command = [sys.executable, __file__, "--child", str(pack), f"--workers={workers}"]
    enter = None if group is None else lambda: group.write_text(str(os.getpid()))
    done = subprocess.run(
        command + ["--memory"] * memory,
        check=True, capture_output=True, text=True, preexec_fn=enter,
    )  # fmt: skip
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def summary(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(one[key] for one in runs), 2) for key in runs[0]}


def sizes(folder: Path) -> dict[str, Any]:
    """Measure packs of several sizes, in turn."""
    packs = {images: generate(folder, images) for images in SIZES}
    measured: dict[int, list[Any]] = {images: [] for images in SIZES}
    for _ in range(REPEATS):
        for images, pack in packs.items():
            measured[images].append(measure(pack))
            print(images, measured[images][-1], flush=True)
    smallest = measured[SIZES[0]]
    ratios = {
        str(images): round(
            statistics.median(
                one["microseconds"] / first["microseconds"]
                for one, first in zip(several, smallest, strict=True)
            ),
            3,
        )
        for images, several in measured.items()
    }
    rows = {str(images): summary(several) for images, several in measured.items()}
    return {"images": rows, "time_per_image_to_the_smallest": ratios}


def large(folder: Path) -> dict[str, Any]:
    """Measure a pack in half of its memory, and the same images in memory, in turn."""
    pack = generate(folder, LARGE)
    size = sum(file.stat().st_size for file in pack.glob("*.npy"))
    ways: dict[str, dict[str, Any]] = {
        "in memory, no limit": {"memory": True},
        "from the pack, half of its memory, 1 thread ahead": {"workers": 1},
        "from the pack, half of its memory, 2 threads ahead": {"workers": 2},
        "from the pack, half of its memory, none ahead": {"workers": 0},
    }
    measured: dict[str, list[Any]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            if "memory" in way:
                measured[name].append(measure(pack, **way))
            else:
                forget(pack)
                with limited(size // 2) as group:
                    measured[name].append(measure(pack, **way, group=group))
            print(name, measured[name][-1], flush=True)
    first, *others = measured.values()
    throughput = [
        round(
            statistics.median(
                a["microseconds"] / b["microseconds"] for a, b in zip(first, other, strict=True)
            ),
            3,
        )
        for other in others
    ]
    return {
        "pack_mib": round(size / MIB, 1),
        "limit_mib": round(size / 2 / MIB, 1),
        "disk": disk(pack),
        "ways": {name: summary(several) for name, several in measured.items()},
        "runs": {name: len(several) for name, several in measured.items()},
        "throughput_to_memory": dict(zip([*measured][1:], throughput, strict=True)),
    }


def disk(pack: Path) -> dict[str, Any]:
    """Return the device of a file, and how fast it is read in order, without the page cache."""
    (file,) = sorted(pack.glob("train-000.npy"))
    forget(pack)
    begun, size = time.perf_counter(), 0
    with file.open("rb", buffering=0) as opened:
        while piece := opened.read(MIB):
            size += len(piece)
    rate = size / MIB / (time.perf_counter() - begun)
    device = subprocess.run(["df", "--output=source", file], capture_output=True, text=True)
    return {"device": device.stdout.split()[-1], "mib_per_second": round(rate)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=["sizes", "limited"])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=1, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.memory, arguments.workers)
        return
    from vaelab import devices

    result = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    result["processor"] = devices.processor()
    for name, work in {"sizes": sizes, "limited": large}.items():
        if arguments.what in (None, name):
            folder = Path(tempfile.mkdtemp(dir=os.environ.get("TMPDIR", "/var/tmp")))
            try:
                result[name] = work(folder)
            finally:
                shutil.rmtree(folder)
            RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
            print(json.dumps(result[name], indent=2))


if __name__ == "__main__":
    main()
