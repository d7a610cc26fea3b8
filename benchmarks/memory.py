"""Peak memory of a training, from the file to the last figure, as a multiple of the data.

    python benchmarks/memory.py                 # every case; writes benchmarks/results/memory.json
    python benchmarks/memory.py images          # one case

Each case is written to a file and trained on for one epoch by a small network, in a process of its
own. The peak is the greatest resident memory of that process less what it holds after its imports,
divided by the size of the data in memory as the file holds them. It is taken after loading, which
includes the splits, and at the end of the training, with its evaluation and figures. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from process_memory import own

RESULTS = Path(__file__).parent / "results" / "memory.json"
ROWS = 1_000_000
MIB = 2**20


class Case(NamedTuple):
    """A data set, and the settings that are not those of `SETTINGS`."""

    write: Callable[[Path], None]
    megabytes: float  # of the data in memory
    settings: dict[str, Any]
    ending: str = ".npy"
    recipe: str = "mlp-20d"


def images(path: Path) -> None:
    """Write blocks of grey levels, (ROWS, 28, 28) uint8, in pieces."""
    x = np.lib.format.open_memmap(path, "w+", np.uint8, (ROWS, 28, 28))
    rng = np.random.default_rng(0)
    for start in range(0, ROWS, 10_000):
        blocks = rng.integers(0, 256, (10_000, 7, 7), np.uint8)
        x[start : start + 10_000] = blocks.repeat(4, 1).repeat(4, 2)


def table(path: Path) -> None:
    """Write correlated columns, (ROWS, 50) float32."""
    rng = np.random.default_rng(0)
    codes, loadings = rng.normal(size=(ROWS, 5)), rng.normal(size=(5, 50))
    np.save(path, (codes @ loadings).astype(np.float32))


def rows(path: Path) -> None:
    """Write the table as text, with a header, or as a Parquet file."""
    table(path.with_suffix(".npy"))
    x = np.load(path.with_suffix(".npy"), mmap_mode="r")
    names = [f"c{i}" for i in range(x.shape[1])]
    if path.suffix == ".parquet":
        from pandas import DataFrame

        DataFrame(np.asarray(x), columns=names).to_parquet(path)
        return
    with path.open("w") as file:
        file.write(",".join(names) + "\n")
        for start in range(0, ROWS, 10_000):
            np.savetxt(file, x[start : start + 10_000], "%.6g", ",")


COLUMNS = {  # read by the types of their columns
    f"columns{ending}": Case(
        table if ending == ".npy" else rows, ROWS * 50 * 4 / MIB, {}, ending, "table"
    )
    for ending in (".npy", ".csv", ".parquet")
}
CASES = {
    "images": Case(images, ROWS * 28 * 28 / MIB, {}),
    "table": Case(table, ROWS * 50 * 4 / MIB, {"model.likelihood": "gaussian-learned"}),
} | COLUMNS
SETTINGS = {
    "train.epochs": 1,
    "train.batch": 4096,
    "train.threads": 1,
    "model.hidden": (16,),
    "model.latent": 2,
}


def child(name: str, source: str) -> None:
    """Train on a case, and print the peaks of its stages in MiB."""
    import pandas  # noqa: F401  # is no part of the peak
    import pyarrow.parquet  # noqa: F401  # as above

    import vaelab
    from vaelab.workflows import train

    before = own("VmHWM")
    stages = {"imports": before}

    class Loaded(train.Job):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            stages["loaded"] = own("VmHWM") - before

    train.Job = Loaded  # type: ignore[misc]  # for this process
    settings = SETTINGS | CASES[name].settings | {"data.source": source}
    recipe = vaelab.recipe(CASES[name].recipe, settings)
    vaelab.train(recipe, Path(source).with_suffix(".run"), quiet=True)
    print(json.dumps(stages | {"trained": own("VmHWM") - before}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help=f"of {', '.join(CASES)} (default: all)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.case[0], arguments.child)
        return
    found = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for name in arguments.case or CASES:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / f"x{CASES[name].ending}"
            CASES[name].write(source)
            command = [sys.executable, __file__, name, "--child", str(source)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        data, stages = CASES[name].megabytes, json.loads(done.stdout.splitlines()[-1])
        found[name] = {"data_mib": round(data, 1), **{k: round(v, 1) for k, v in stages.items()}}
        for stage in ("loaded", "trained"):
            found[name][f"{stage}_ratio"] = round(stages[stage] / data, 3)
        print(name, json.dumps(found[name]), flush=True)
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
