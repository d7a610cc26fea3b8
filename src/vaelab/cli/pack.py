"""vaelab pack: data that are larger than memory, made ready for a training."""

from __future__ import annotations

import argparse
import json

import vaelab
from vaelab.cli.arguments import CODE, FILES_KEY, QUIET, Command, Document, Option
from vaelab.cli.output import announce
from vaelab.errors import quoted


def pack(arguments: argparse.Namespace) -> Document:
    """Write a pack, and say what it holds."""
    if not arguments.quiet:
        announce(f"packing {arguments.source}")
    given = {name: getattr(arguments, name) for name in ("overwrite", "quiet")}
    out = vaelab.pack(arguments.source, arguments.out, arguments.settings, **given)
    if not arguments.quiet:
        print(f"train on it: vaelab train {quoted(arguments.out)}")
    described = json.loads((out / "pack.json").read_text("utf-8"))
    names = ("shape", "dtype", "form", "levels", "notes")
    rows = {name: part["rows"] for name, part in described["splits"].items()}
    files = [out / "pack.json", *sorted(out.glob("*.npy"))]
    return {"pack": out, "rows": rows, **{name: described[name] for name in names}, "files": files}


COMMANDS = {
    "pack": Command(
        "write data that are larger than memory as a pack, for trainings that read it row by row",
        [
            Option("SOURCE", "a folder of images, a table, a .npy or .npz file, or a long signal"),
            Option("OUT", "the folder of the pack"),
            Option("--overwrite", "replace the pack that is in the folder"),
            CODE,
            QUIET,
        ],
        pack,
        ["vaelab pack SOURCE OUT [options] [--data.NAME VALUE ...]"],
        {
            "pack": "the folder of the pack: a data.source",
            "rows": "the number of rows of each split that the source has",
            "shape": "the shape of a row",
            "dtype": "the type of a value: uint8 or float32",
            "form": "what the rows are: image, signal or table",
            "levels": "the number of grey levels; null for real values",
            "notes": "how the source was read",
            "files": FILES_KEY,
        },
        settings=True,
        sections=("data",),
        memory="use float32 or uint8, or pack a .npy, a Parquet file or a folder of images, which "
        "are read a piece at a time",
    )
}
