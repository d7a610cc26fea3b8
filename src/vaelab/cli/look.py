"""vaelab sample, reconstruct, encode, export, figures: what a run makes of codes and images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import vaelab
from vaelab.cli.arguments import (
    CODE,
    FILES_KEY,
    LANG,
    QUIET,
    RUN,
    RUN_KEY,
    Command,
    Document,
    Option,
    whole,
)
from vaelab.cli.output import announce
from vaelab.errors import UserError, nearest
from vaelab.files import write_atomic
from vaelab.recipes import CHOICES, override

PICTURE = Option(
    "--out",
    "a picture (.png, .pdf, .svg) or numbers (.npy, .csv); default: in the run folder",
    "FILE",
)
SPLIT = Option(
    "--split", "images or rows of the run's own data", "SPLIT", default="test",
    choices={
        "train": "those that it was trained on",
        "validation": "those by which the best epoch was chosen",
        "test": "those that it has not seen",
    },
)  # fmt: skip
DATA = Option("--data", "other data: a file or folder, all of it", "PATH")


def sample(arguments: argparse.Namespace) -> Document:
    """Decode samples of the prior into a picture, numbers or rows of a table."""
    run = _opened(arguments)
    label = None if arguments.label is None else _label(run, arguments.label)
    if run.schema is not None:
        from vaelab.data.frames import encoded

        found = vaelab.sample_rows(run, arguments.n, seed=arguments.seed, label=label)
        path = Path(arguments.out) if arguments.out else run.beside("samples.csv")
        for line in () if arguments.quiet else found.notes:
            announce(line)
        written = write_atomic(path, encoded(path, found.table(), run.schema.columns))
        return _result(run, written, arguments)
    from vaelab.workflows.exports import write_samples

    written = write_samples(run, arguments.n, arguments.seed, arguments.out, label)
    return _result(run, written, arguments)


def reconstruct(arguments: argparse.Namespace) -> Document:
    """Encode and decode images into a picture or numbers, or rows into a table."""
    run = _opened(arguments)
    rows = _given(run, arguments)
    if run.schema is not None:
        from vaelab.data.frames import encoded

        path = Path(arguments.out) if arguments.out else run.beside("reconstructions.csv")
        n = arguments.n or len(rows.x)
        y = None if rows.y is None else rows.y[:n]
        again = run.vae.reconstruct(rows.x[:n], y).numpy()
        cells = run.schema.cells(again, {name: each[:n] for name, each in rows.others.items()})
        written = write_atomic(path, encoded(path, cells, run.schema.columns))
        return _result(run, written, arguments)
    from vaelab.workflows.exports import write_reconstructions

    first = slice(arguments.n or 10)
    y = None if rows.y is None else rows.y[first]
    written = write_reconstructions(run, rows.x[first], y, arguments.out)
    return _result(run, written, arguments)


def encode(arguments: argparse.Namespace) -> Document:
    """Write the posterior means of images or rows."""
    run = _opened(arguments)
    rows = _given(run, arguments)
    from vaelab.data.numbers import save_codes

    z = run.vae.encode(rows.x, rows.y)
    return _result(run, save_codes(Path(arguments.out), z, rows.y, rows.others), arguments)


def export(arguments: argparse.Namespace) -> Document:
    """Write the model of a run for programs that need no vaelab."""
    run = _opened(arguments)
    given = {"format": arguments.format, "quiet": arguments.quiet}
    return {"files": [*vaelab.export_model(run, arguments.out, **given).values()]}


def _given(run: vaelab.Run, arguments: argparse.Namespace) -> Any:
    """The rows that --data or --split names; what is to be said of them is said."""
    from vaelab.workflows.given import given

    rows = given(run, arguments.data, arguments.split)
    for line in () if arguments.quiet else rows.notes:
        announce(f"{arguments.data}: {line}")
    return rows


def figures(arguments: argparse.Namespace) -> Document:
    """Plot the figures of runs again."""
    if not arguments.quiet:
        announce(f"plotting {', '.join(arguments.run)}")
    from vaelab import devices
    from vaelab.plots import View, gallery
    from vaelab.runs import Run

    asked = {
        name: getattr(arguments, name) for name in ("lang", "size", "format", "points", "tsne")
    }
    asked |= {"span": arguments.span, "grid": arguments.grid or (arguments.span and "linear")}
    settings = {f"figures.{name}": value for name, value in asked.items() if value}
    runs = [vaelab.load(folder) for folder in arguments.run]
    for run in runs:
        run.check_writable("plot the figures of the run folder that it is from")
    runs = [Run(run.folder, override(run.recipe, settings)) for run in runs]
    for run in runs:
        if not run.recipe.figures.format:
            raise UserError(f"format: the recipe of {run.folder} names none; add --format png")
    with devices.using(devices.threads(0)[0]):
        for run in runs:
            say = (lambda line: None) if arguments.quiet else print
            if run.data.note:
                say(run.data.note)
            gallery.plot(View(run, run.data.with_measured()), say)
    return {"runs": [run.folder for run in runs]}


def _opened(arguments: argparse.Namespace) -> vaelab.Run:
    if not arguments.quiet:
        announce(f"opening {arguments.run}")
    return vaelab.load(arguments.run)


def _result(run: vaelab.Run, path: Path, arguments: argparse.Namespace) -> Document:
    if not arguments.quiet:
        print(path)
    return {"run": run.folder, "files": [path]}


def _label(run: vaelab.Run, text: str) -> int:
    """The number of a class, given by its name or its number."""
    if text in run.class_names:
        return run.class_names.index(text)
    if text.isascii() and text.isdigit():
        return int(text)
    names = run.class_names or [str(label) for label in run.vae.classes.tolist()]
    hint = nearest(text, names, "") if names else "leave it out, the model is not conditional"
    raise UserError(f"label: there is no class {text!r}; {hint}")


WRITTEN = {"run": RUN_KEY, "files": FILES_KEY}


def _choices(setting: str) -> dict[str, str]:
    return {name: part.about for name, part in CHOICES[setting].items()}


COMMANDS = {
    "sample": Command(
        "decode samples of the prior",
        [
            RUN,
            Option("-n", "how many", "N", whole(1), default=64),
            Option("--seed", "the same seed gives the same samples", "N", whole(0), default=0),
            Option("--label", "name or number of the class, of a conditional model", "CLASS"),
            PICTURE,
            CODE,
            QUIET,
        ],
        sample,
        ["vaelab sample RUN [options]"],
        WRITTEN,
        memory="lower -n",
    ),
    "reconstruct": Command(
        "encode and decode images or rows",
        [RUN, Option("-n", "how many (default: 10; of a table all rows)", "N", whole(1)), PICTURE,
         SPLIT, DATA, CODE, QUIET],
        reconstruct,
        ["vaelab reconstruct RUN [options]"],
        WRITTEN,
        memory="lower -n, or give fewer images with --data",
    ),
    "encode": Command(
        "write the posterior means of images or rows",
        [RUN, Option("--out", "a .npy, .npz (z and labels y) or .csv file", "FILE", required=True),
         SPLIT, DATA, CODE, QUIET],
        encode,
        ["vaelab encode RUN --out FILE [options]"],
        WRITTEN,
        memory="give fewer images with --data",
    ),
    "export": Command(
        "write the model for programs that need no vaelab: ONNX, torch.export, weights",
        [
            RUN,
            Option("--format", "what to write", "FORMAT", default="onnx", choices={
                "onnx": "encoder, decoder and sampler for any ONNX runtime",
                "torch-export": "the same three for torch.export.load",
                "safetensors": "the weights",
            }),
            Option("--out", "the folder of the files; default: export in the run folder", "FOLDER"),
            CODE,
            QUIET,
        ],
        export,
        ["vaelab export RUN [options]"],
        {"files": FILES_KEY},
        memory="close other programs",
    ),
    "figures": Command(
        "plot the figures of runs again",
        [
            Option("RUN", "run folders", number="+"),
            LANG,
            Option("--size", "what the figures are for", "SIZE", choices=_choices("figures.size")),
            Option("--format", "png, pdf or svg, or several: png,pdf", "FORMAT"),
            Option("--grid", "spacing of the latent manifold", "GRID",
                choices=_choices("figures.grid")),
            Option("--span", "the linear manifold extends from -SPAN to SPAN", "SPAN"),
            Option("--points", "images in the latent scatter", "N"),
            Option("--tsne", "images in the t-SNE", "N"),
            CODE,
            QUIET,
        ],
        figures,
        ["vaelab figures RUN [RUN ...] [options]"],
        {"runs": "the run folders, whose folders figures/ were written"},
        memory="lower --points or --tsne",
    ),
}  # fmt: skip
