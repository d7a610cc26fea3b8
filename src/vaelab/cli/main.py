"""The command line. Each command is a few lines over the Python API; torch is imported only by those that need it."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from vaelab import __version__
from vaelab.errors import UserError, nearest
from vaelab.recipes import AXES, SWITCH, available, fields, study

COMMANDS = """\
examples:
  vaelab train quickstart                        train on scikit-learn's digits, a few seconds
  vaelab train mlp-20d                           MNIST: found locally, else downloaded once
  vaelab train cnn-16d --train.epochs 40 --objective.beta 4 --out runs/beta4
  vaelab train my-recipe.toml --data.source faces.npy
  vaelab train --resume runs/beta4               go on after Ctrl-C, a kill or a power cut
  vaelab train mlp-20d --model.variant iwae --objective.k 50
  vaelab sample runs/cvae --label 7              of a conditional model: only sevens
  vaelab evaluate runs/mlp-20d                   likelihood, latent space, samples: numbers with their errors
  vaelab doctor runs/mlp-20d                     what is wrong with it, and what to try
  vaelab compare runs/mlp-2d runs/cnn-16d        side by side; --seeds 5 trains both five times
  vaelab list                                    recipes, data sets, models

MNIST is looked for in --data.dir, in $VAELAB_DATA_DIR and in the user's cache before it is downloaded.
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 on success, 2 on bad input, 130 when interrupted."""
    try:
        settings, words = _settings(sys.argv[1:] if argv is None else argv)
        arguments, unknown = _parser().parse_known_args(words)
        if unknown:
            raise UserError(f"{unknown[0]}: {_no_such_argument(arguments.command, unknown[0])}")
        if settings and arguments.command not in ("train", "compare"):
            raise UserError(
                f"--{next(iter(settings))}: settings belong to vaelab train and vaelab compare; "
                f"see vaelab {arguments.command} --help"
            )
        arguments.settings = settings
        arguments.run(arguments)
    except UserError as error:
        print(f"vaelab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interruption:
        print(
            f"vaelab: interrupted; {str(interruption) or 'nothing more was saved'}", file=sys.stderr
        )
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as head does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(
            f"vaelab: {error.filename or 'a file'}: {error.strerror or error}; check the path",
            file=sys.stderr,
        )
        return 2
    except (MemoryError, RuntimeError) as error:
        if not (
            isinstance(error, MemoryError)
            or "allocate memory" in str(error)
            or "out of memory" in str(error)
        ):
            raise
        print(
            "vaelab: not enough memory; lower train.batch, the sizes of the model, or -n",
            file=sys.stderr,
        )
        return 2
    return 0


def _train(arguments: argparse.Namespace) -> None:
    overrides = arguments.settings | ({"figures.lang": arguments.lang} if arguments.lang else {})
    if arguments.resume:
        if arguments.recipe or arguments.out or arguments.overwrite:
            raise UserError(
                "--resume: takes a run folder and nothing else decides the run; leave recipe, --out, --overwrite out"
            )
        from vaelab.workflows.compare import compare
        from vaelab.workflows.studies import is_study, resume_all
        from vaelab.workflows.train import resume

        folder = Path(arguments.resume)
        several = is_study(folder)
        if several and overrides:
            raise UserError(
                f"{folder}: is a study of several runs; resume it without settings, or one run with them"
            )
        _hint(
            (lambda: resume_all(folder) and compare([folder]))
            if several
            else (lambda: resume(folder, overrides)),
            folder,
        )
        return
    if not arguments.recipe:
        raise UserError(
            "train: name a recipe (vaelab list) or a .toml file, or --resume a run folder"
        )
    recipes = study(arguments.recipe, overrides)
    out = Path(arguments.out or Path("runs") / Path(arguments.recipe).stem)
    if len(recipes) == 1:
        from vaelab.workflows.train import train

        (recipe,) = recipes.values()
        _hint(lambda: train(recipe, out, overwrite=arguments.overwrite), out)
    else:
        from vaelab.workflows.compare import compare
        from vaelab.workflows.studies import train_all

        _hint(
            lambda: train_all(recipes, out, overwrite=arguments.overwrite) and compare([out]), out
        )


def _hint(work: Callable[[], object], folder: str | Path) -> None:
    """Do the work; after an interruption say how to go on."""
    try:
        work()
    except KeyboardInterrupt as interruption:
        if str(interruption):
            raise KeyboardInterrupt(
                f"{interruption}; go on with: vaelab train --resume {folder}"
            ) from None
        raise


COLUMNS = {"models": " (likelihood, prior, posterior, objective; what it is, the numbers it sets)"}


def _list(arguments: argparse.Namespace) -> None:
    kinds = ("recipes", "data", "models")
    if arguments.what not in (None, *kinds):
        raise UserError(
            f"list: there is no list of {arguments.what}; {nearest(arguments.what, kinds)}"
        )
    for kind in [arguments.what] if arguments.what else kinds:
        rows = _rows(kind)
        width = max(map(len, rows))
        print(f"{kind}{COLUMNS.get(kind, '')}:")
        for name, line in rows.items():
            print(f"  {name:<{width}}  {line}")


def _rows(kind: str) -> dict[str, str]:
    if kind == "recipes":
        return available()
    if kind == "data":
        return {name: part.about for name, part in AXES["data.source"].items()}
    from vaelab.cli.catalogue import listing

    return listing()


def _sample(arguments: argparse.Namespace) -> None:
    from vaelab.plots import exports
    from vaelab.runs import load

    run = load(arguments.run_folder)
    print(exports.write_samples(run, arguments.n, arguments.seed, arguments.out, arguments.label))


def _reconstruct(arguments: argparse.Namespace) -> None:
    from vaelab.plots import exports
    from vaelab.runs import load

    run = load(arguments.run_folder)
    x, y = exports.rows_of(run, arguments.split, arguments.data)
    some = slice(arguments.n)
    print(
        exports.write_reconstructions(run, x[some], None if y is None else y[some], arguments.out)
    )


def _encode(arguments: argparse.Namespace) -> None:
    from vaelab.plots import exports
    from vaelab.runs import load

    run = load(arguments.run_folder)
    x, y = exports.rows_of(run, arguments.split, arguments.data)
    print(exports.save_array(Path(arguments.out), run.vae.encode(x, y), y))


def _fit_prior(arguments: argparse.Namespace) -> None:
    from vaelab.workflows.posthoc_prior import fit_prior

    given = {"components": arguments.components, "overwrite": arguments.overwrite}
    fit_prior(arguments.run_folder, arguments.prior, arguments.out, **given)


def _evaluate(arguments: argparse.Namespace) -> None:
    from vaelab.evaluation.evaluate import METRICS, evaluate, files

    sections = arguments.only.split(",") if arguments.only else tuple(METRICS)
    try:
        found = evaluate(
            arguments.run_folder,
            samples=arguments.samples,
            images=arguments.images,
            sections=sections,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "what was measured is kept; the same command goes on from there"
        ) from None
    print(found)
    print(Path(arguments.run_folder) / files(found.images)[0])


def _doctor(arguments: argparse.Namespace) -> None:
    from vaelab.evaluation.doctor import diagnose, report

    print(report(diagnose(arguments.run_folder), arguments.run_folder))


def _compare(arguments: argparse.Namespace) -> None:
    from vaelab.workflows.compare import compare

    given = {
        "samples": arguments.samples,
        "images": arguments.images,
        "overwrite": arguments.overwrite,
    }
    try:
        compare(
            arguments.runs,
            arguments.out,
            seeds=arguments.seeds,
            overrides=arguments.settings,
            **given,
        )
    except KeyboardInterrupt as interruption:
        done = str(interruption) or "what was evaluated is kept"
        raise KeyboardInterrupt(f"{done}; the same command goes on from there") from None


def _cite(arguments: argparse.Namespace) -> None:
    from vaelab.recipes.citations import bibtex
    from vaelab.runs import load

    run = load(arguments.run_folder)
    print(bibtex(run.recipe, fitted=run.finished and "prior_gain" in run.results))


def _figures(arguments: argparse.Namespace) -> None:
    from vaelab import devices
    from vaelab.data import load as load_data
    from vaelab.plots import gallery
    from vaelab.recipes import override
    from vaelab.runs import Run, load

    grid = arguments.grid or ("linear" if arguments.span else None)
    asked = {
        "lang": arguments.lang,
        "grid": grid,
        "span": arguments.span,
        "points": arguments.points,
    }
    settings = {f"figures.{key}": value for key, value in asked.items() if value}
    runs = [load(folder) for folder in arguments.run_folders]
    runs = [Run(run.folder, override(run.recipe, settings)) for run in runs]
    with devices.using(devices.threads(0)[0]):
        for run in runs:
            gallery.plot(run, load_data(run.recipe.data), print)


class _Parser(argparse.ArgumentParser):
    """argparse with one-line errors."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="vaelab",
        description="Train, measure and look at variational autoencoders.",
        epilog=COMMANDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"vaelab {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="command", parser_class=_Parser
    )

    def command(
        name: str, run: Callable[[argparse.Namespace], None], about: str, epilog: str = ""
    ) -> _Parser:
        sub: _Parser = commands.add_parser(
            name,
            help=about,
            description=about,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=run)
        return sub

    train = command(
        "train", _train, "train a recipe, measure it, draw its pictures", _settings_help()
    )
    train.add_argument("recipe", nargs="?", help="a name from `vaelab list`, or a .toml file")
    train.add_argument("--out", help="the run folder (default: runs/RECIPE)")
    train.add_argument("--resume", metavar="RUN", help="go on with this run instead")
    train.add_argument(
        "--overwrite", action="store_true", help="replace the run that is in the folder"
    )
    train.add_argument(
        "--lang", choices=("en", "pt"), help="language of the pictures: the same as --figures.lang"
    )

    listing = command("list", _list, "recipes, data sets and models, a line each")
    listing.add_argument("what", nargs="?", help="recipes, data or models")

    sample = command(
        "sample", _sample, "decode samples of the prior: a picture, or numbers with --out x.npy"
    )
    _run_argument(sample)
    sample.add_argument("-n", type=_count, default=64, help="how many (default 64)")
    sample.add_argument("--seed", type=int, default=0, help="the same seed, the same samples")
    sample.add_argument(
        "--label", type=int, help="the class to sample, where the model is conditional"
    )
    sample.add_argument("--out", help=".png, .npy or .csv (default: into the run folder)")

    reconstruct = command(
        "reconstruct",
        _reconstruct,
        "encode and decode images: a picture, or numbers with --out x.npy",
    )
    _run_argument(reconstruct)
    reconstruct.add_argument("-n", type=_count, default=10, help="how many (default 10)")
    reconstruct.add_argument("--out", help=".png, .npy or .csv (default: into the run folder)")
    _data_arguments(reconstruct)

    encode = command("encode", _encode, "write the posterior means of images")
    _run_argument(encode)
    encode.add_argument("--out", required=True, help=".npy, .npz (z and labels y) or .csv")
    _data_arguments(encode)

    fit = command(
        "fit-prior",
        _fit_prior,
        "fit a prior to the codes of a run: better samples, and how far it was",
    )
    _run_argument(fit)
    fit.add_argument(
        "--prior", default="mixture", help="mixture (default), flow, spline-flow or vamp"
    )
    fit.add_argument(
        "--components",
        type=_count,
        default=100,
        help="of a mixture, or pseudo-inputs (default 100)",
    )
    fit.add_argument("--out", help="the new run folder (default: RUN+PRIOR)")
    fit.add_argument(
        "--overwrite", action="store_true", help="replace the run that is in the folder"
    )

    evaluate = command(
        "evaluate", _evaluate, "measure a run: likelihood, latent space, samples, disentangling"
    )
    _run_argument(evaluate)
    evaluate.add_argument(
        "--samples", type=_count, default=1000, help="importance weights an image (default 1000)"
    )
    evaluate.add_argument(
        "--images", type=_count, default=0, help="only so many test images (default: all)"
    )
    evaluate.add_argument(
        "--only", metavar="SECTIONS", help="of likelihood,latent,samples,disentangling"
    )

    doctor = command(
        "doctor", _doctor, "say in plain sentences what is wrong with a run and what to try"
    )
    _run_argument(doctor)

    compare = command(
        "compare",
        _compare,
        "runs or recipes against the first: differences with intervals, pictures, cost",
    )
    compare.add_argument(
        "runs", metavar="RUN", nargs="+", help="a run folder, a study, or a recipe (trained first)"
    )
    compare.add_argument(
        "--seeds", type=int, default=0, help="train each N times, with the seeds 0 to N-1"
    )
    compare.add_argument(
        "--out",
        metavar="FOLDER",
        help="default: runs/A-vs-B, with --seeds runs/A-vs-B-seeds; for a study alone, without --seeds, its own",
    )
    compare.add_argument(
        "--samples",
        type=_count,
        default=0,
        help="importance weights an image (default: at least 100)",
    )
    compare.add_argument(
        "--images", type=_count, default=0, help="only so many test images (default: all)"
    )
    compare.add_argument(
        "--overwrite", action="store_true", help="replace runs of other recipes in the folder"
    )

    _run_argument(command("cite", _cite, "BibTeX for exactly the methods that a run used"))

    figures = command("figures", _figures, "draw the pictures of runs again")
    figures.add_argument("run_folders", metavar="RUN", nargs="+", help="run folders")
    figures.add_argument("--lang", choices=("en", "pt"), help="language of the labels")
    figures.add_argument(
        "--grid", choices=("quantile", "linear"), help="spacing of the latent manifold"
    )
    figures.add_argument("--span", help="the linear manifold reaches from -SPAN to SPAN")
    figures.add_argument("--points", help="images in the latent scatter")
    return parser


def _run_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_folder", metavar="RUN", help="a run folder")


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="test",
        help="of the run's own data",
    )
    parser.add_argument("--data", help="other data: a file or folder, all of it")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return int(text)


def _settings(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Take ``--section.field value`` and ``--section.field=value`` out of the words; a switch needs no value."""
    switches = {field.key for field in fields() if isinstance(field.default, bool)}
    settings: dict[str, str] = {}
    others: list[str] = []
    left = deque(words)
    while left:
        word = left.popleft()
        key, equals, value = word.partition("=")
        if not (key.startswith("--") and "." in key):
            others.append(word)
            continue
        key = key.removeprefix("--").replace("-", "_")
        if not equals:
            if key in switches and (not left or left[0].lower() not in SWITCH):
                value = "true"
            elif left:
                value = left.popleft()
            else:
                raise UserError(f"{word}: expected a value behind it; see vaelab train --help")
        settings[key] = value
    return settings, others


def _no_such_argument(command: str, word: str) -> str:
    if command == "train" and word.startswith("--"):
        name = word.removeprefix("--").partition("=")[0].replace("-", "_")
        keys = [f"--{field.key}" for field in fields()]
        return f"there is no such setting; {nearest(word, [key for key in keys if key.endswith(f'.{name}')] or keys)}"
    return f"vaelab {command} has no such argument; see vaelab {command} --help"


def _settings_help() -> str:
    """Every setting of a recipe with its default and meaning, for the help."""
    lines = ["settings, as --section.field VALUE over the recipe's own (shown: defaults):"]
    for field in fields():
        default = (
            ",".join(map(str, field.default))
            if isinstance(field.default, tuple)
            else str(field.default)
        )
        meaning = f"{field.about} ({' | '.join(field.choices)})" if field.choices else field.about
        lines.append(f"  --{field.key} {default or repr(default)}\n        {meaning}")
    return "\n".join(lines)
