"""The help: of the program, of a command, of the settings. Lines of at most 80 columns."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from vaelab.cli.arguments import Command, Option
from vaelab.recipes import Field, fields, sections

WIDTH = 80
LISTS = {  # what `vaelab list` lists, and the setting that it is for
    "recipes": "", "data": "data.source", "models": "model.variant", "networks": "model.network",
    "likelihoods": "model.likelihood", "priors": "model.prior", "posteriors": "model.posterior",
    "objectives": "objective.name", "optimisers": "train.optimiser", "schedules": "train.schedule",
}  # fmt: skip
EXAMPLES = """\
examples:
  vaelab train quickstart              digits of 8x8 pixels, a few seconds
  vaelab train mlp-20d                 MNIST: downloaded once if it is not here
  vaelab train cnn-16d --train.epochs 40 --objective.beta 4 --out runs/beta4
  vaelab train my-recipe.toml --data.source faces.npy
  vaelab train --resume runs/beta4     continue after Ctrl-C or a power cut
  vaelab train mlp-20d --model.variant iwae --objective.k 50
  vaelab sample runs/cvae --label 7    a conditional model: only sevens
  vaelab evaluate runs/mlp-20d         likelihood, latent space, samples
  vaelab doctor runs/mlp-20d           what is wrong, and what to try
  vaelab compare runs/mlp-2d runs/cnn-16d
  vaelab compare mlp-2d cnn-16d --seeds 5

vaelab looks for MNIST in --data.dir, $VAELAB_DATA_DIR and the user's cache,
and downloads it if it is in none of them. vaelab COMMAND --help prints the
options of a command. vaelab help settings prints every setting of a training,
vaelab help environment the environment variables and exit codes, vaelab help
json what --json prints."""
JSON = (
    "With --json a command prints one JSON document on stdout: an object with the keys below, or "
    "with the key error if it failed. Everything else that it prints goes to stderr; exit codes "
    "are the same. NaN and infinite numbers are null."
)
VARIABLES = {
    "VAELAB_DATA_DIR": "a folder in which named data sets are looked for, after --data.dir",
    "VAELAB_CACHE_DIR": "the folder of downloads, classifiers and data frames (default: vaelab in "
    "the user's cache folder)",
    "OMP_NUM_THREADS": "the number of threads of torch, where --train.threads is 0",
    "CUDA_VISIBLE_DEVICES": "the GPUs that torch sees; empty for none",
    "NO_COLOR": "vaelab prints no colours in any case, so this and FORCE_COLOR change nothing",
    "COLUMNS": "the width of the live line of a training",
    "BROWSER": "the program that vaelab explore opens a page with",
}
CODES = {
    "0": "it went well, or the reader of the output closed it early",
    "1": "a fault of vaelab, with a traceback: please report it, with the output of vaelab info",
    "2": "bad input, a file that cannot be read or written, or too little memory: one line on "
    "stderr says what is wrong and what to do",
    "130": "interrupted by Ctrl-C, SIGTERM or SIGHUP; one line says what is saved",
}


def overview(commands: Mapping[str, Command]) -> str:
    """The help of ``vaelab`` alone."""
    lines = ["usage: vaelab COMMAND [arguments]", ""]
    lines += ["Train, evaluate and look at variational autoencoders.", "", "commands:"]
    for name, command in commands.items():
        lines += columns(name, command.about, 14)
    return "\n".join([*lines, "", EXAMPLES])


def of_command(command: Command, complete: bool = False) -> str:
    """The help of a command, with the commonly used settings or with all of them."""
    first, *others = command.usage
    lines = [f"usage: {first}", *(f"       {other}" for other in others), ""]
    lines += wrapped(f"{command.about[0].upper()}{command.about[1:]}.", 0, 0)
    places = [option for option in command.options if not option.name.startswith("-")]
    named = [option for option in command.options if option.name.startswith("-")]
    lines += ["", *(line for option in places for line in _option(option))] if places else []
    lines += ["", "options:", *(line for option in named for line in _option(option))]
    lines += columns("--help", "print this help", 20)
    if command.settings:
        lines += columns("--help-all", "print this help with all settings", 20)
        lines += ["", settings(complete, command.sections)]
    return "\n".join(lines)


def settings(complete: bool = True, only: Sequence[str] = ()) -> str:
    """The settings by section, with their defaults; `complete`: all of them, with all choices.

    `only` are the sections that are shown; all where it is empty.
    """
    which = "All settings" if complete else "Commonly used settings (all: vaelab train --help-all)"
    lines = [f"{which}, with their defaults:"]
    for section, struct in sections().items():
        if only and section not in only:
            continue
        shown = [f for f in fields() if f.key.startswith(f"{section}.") and (complete or f.common)]
        title = (inspect.getdoc(struct) or "").partition("\n")[0].rstrip(".")
        lines += ["", *wrapped(f"[{section}] {title}", 0, 2)] if shown else []
        lines += [line for field in shown for line in _setting(field, complete)]
    return "\n".join(lines)


def environment() -> str:
    """The environment variables that change what vaelab does, and the exit codes."""
    lines = ["Environment variables:", ""]
    lines += [line for name, about in VARIABLES.items() for line in columns(name, about, 20)]
    lines += ["", "Exit codes:", ""]
    return "\n".join(
        [*lines, *(x for code, about in CODES.items() for x in columns(code, about, 20))]
    )


def documents(commands: Mapping[str, Command]) -> str:
    """The keys of the document that each command prints with ``--json``."""
    lines = wrapped(JSON, 0, 0)
    for name, command in commands.items():
        lines += ["", f"{name}:"]
        lines += [line for key, about in command.keys.items() for line in columns(key, about, 14)]
    return "\n".join(lines)


TOPICS: dict[str, Callable[[Mapping[str, Command]], str]] = {
    "settings": lambda _: settings(),
    "environment": lambda _: environment(),
    "json": documents,
}


def columns(name: str, text: str, width: int) -> list[str]:
    """A name and its text beside it, or below it where the name is too long."""
    if len(name) + 4 > width + 2:
        return [f"  {name}", *wrapped(text, width + 2, width + 2)]
    first, *rest = wrapped(text, width + 2, width + 2)
    return [f"  {name:<{width}}{first[width + 2 :]}", *rest]


def wrapped(text: str, first: int, rest: int) -> list[str]:
    """The text in lines of at most 80 columns, indented by `first`, then by `rest`."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=" " * first, subsequent_indent=" " * rest,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _option(option: Option) -> Iterator[str]:
    default = f" (default: {option.default})" if option.default not in (None, "", (), 0) else ""
    yield from columns(f"{option.name} {option.value}".strip(), option.about + default, 20)
    for name, meaning in option.choices.items():
        yield from wrapped(f"{name}: {meaning}", 22, 26)


def _setting(field: Field, complete: bool) -> Iterator[str]:
    yield f"  --{field.key} {shown(field.default)}"
    yield from wrapped(field.about, 4, 4)
    listing = next((kind for kind, key in LISTS.items() if key == field.key), "")
    if listing and (not complete or not field.choices):
        yield f"    choices: vaelab list {listing}"
    else:
        for name, part in field.choices.items():
            yield from wrapped(f"{name}: {part.about}", 4, 8)


def shown(default: object) -> str:
    """A default as it would be typed."""
    if isinstance(default, Sequence) and not isinstance(default, str):
        return ",".join(map(str, default)) or "''"
    return str(default).lower() if isinstance(default, bool) else str(default) or "''"
