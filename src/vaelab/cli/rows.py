"""vaelab score, impute: what a run says of new rows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import vaelab
from vaelab.cli.arguments import (
    CODE,
    FILES_KEY,
    QUIET,
    RUN,
    RUN_KEY,
    Command,
    Document,
    Option,
    share,
    whole,
)
from vaelab.cli.output import announce
from vaelab.files import write_atomic

DATA = Option("DATA", "a table (.csv, .tsv, .parquet, .npy), a folder of images, or an array")
SEED = Option("--seed", "the same seed gives the same numbers", "N", whole(0), default=0)


def score(arguments: argparse.Namespace) -> Document:
    """Print and write how odd rows are."""
    run = _opened(arguments)
    from vaelab.data.frames import encoded

    asked = {name: getattr(arguments, name) for name in ("samples", "rate", "seed")}
    asked = {name: value for name, value in asked.items() if value is not None}
    found: Any
    if run.recipe.data.window:
        found = vaelab.score_steps(run, arguments.data, **asked)
    else:
        labels = arguments.labels or ""
        found = vaelab.score(run, arguments.data, labels=labels, quiet=arguments.quiet, **asked)
    if not arguments.quiet:
        print(found.summary())
    table, files = found.table(), []
    if arguments.out:
        path = Path(arguments.out)
        files = [_written(write_atomic(path, encoded(path, table)), arguments)]
    records = zip(*table.values(), strict=True)
    areas = getattr(found, "areas", {})  # steps have no labels
    return {
        "run": run.folder,
        "threshold": found.threshold and found.threshold._asdict(),
        "auc": {name: {"value": area.value, "error": area.error} for name, area in areas.items()},
        "notes": found.notes,
        "rows": None if files else [dict(zip(table, record, strict=True)) for record in records],
        "files": files,
    }


def impute(arguments: argparse.Namespace) -> Document:
    """Write a table with its empty cells filled in."""
    run = _opened(arguments)
    from vaelab.data.frames import encoded

    found = vaelab.impute(
        run, arguments.data, draws=arguments.draws, samples=arguments.samples,
        seed=arguments.seed, quiet=arguments.quiet,
    )  # fmt: skip
    for line in () if arguments.quiet else found.notes:
        print(line)
    path = Path(arguments.out)
    columns = found.schema.columns
    written = _written(write_atomic(path, encoded(path, found.table(), columns)), arguments)
    return {"run": run.folder, "notes": found.notes, "files": [written]}


def _opened(arguments: argparse.Namespace) -> vaelab.Run:
    if not arguments.quiet:
        announce(f"opening {arguments.run}")
    return vaelab.load(arguments.run)


def _written(path: Path, arguments: argparse.Namespace) -> Path:
    if not arguments.quiet:
        print(path)
    return path


COMMANDS = {
    "score": Command(
        "how odd each row or time step is, and which column makes it so",
        [
            RUN,
            DATA,
            Option("--out", "a .csv, .tsv or .parquet file: a line for each row", "FILE"),
            Option("--rate", "share of usual rows that may be called odd (0.05; of steps 0.01)",
                "RATE", share),
            Option("--labels", "a column that says which rows are odd, for the AUC", "COLUMN"),
            Option("--samples", "importance samples for each row (200; of a window 64)", "K",
                whole(1)),
            SEED,
            CODE,
            QUIET,
        ],
        score,
        ["vaelab score RUN DATA [options]"],
        {
            "run": RUN_KEY,
            "threshold": "value, rate and held-out rows of the threshold; null without such rows",
            "auc": "score -> value and standard error, where --labels names a column",
            "notes": "what is to be said of the data and of the scores",
            "rows": "a record for each row or step; null where --out keeps them",
            "files": FILES_KEY,
        },
        memory="lower --samples, or give fewer rows",
    ),
    "impute": Command(
        "fill the empty cells of a table",
        [
            RUN,
            DATA,
            Option("--out", "a .csv, .tsv or .parquet file", "FILE", required=True),
            Option("--draws", "multiple imputations (default: the mean, or the likeliest category)",
                "M", whole(1), default=0),
            Option("--samples", "importance samples for each row (1000)", "K", whole(1),
                default=1000),
            SEED,
            CODE,
            QUIET,
        ],
        impute,
        ["vaelab impute RUN DATA --out FILE [options]"],
        {"run": RUN_KEY, "notes": "what is to be said of the data", "files": FILES_KEY},
        memory="lower --samples, or give fewer rows",
    ),
}  # fmt: skip
