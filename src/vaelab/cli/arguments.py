"""From words to options: what a command takes, as data, and how it is read."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from vaelab.errors import UserError, nearest
from vaelab.recipes import SWITCH, fields


class Option(NamedTuple):
    """An argument of a command: ``RUN`` has a place, ``--out`` and ``-n`` have a name."""

    name: str
    about: str
    value: str = ""  # what stands for its value in the help; "" for a switch
    kind: Callable[[str], Any] = str
    default: Any = None
    choices: Mapping[str, str] = {}  # name -> meaning
    number: str = ""  # argparse's nargs: "?" where it may be left out, "+" for one or more
    several: bool = False  # may be repeated
    required: bool = False


Document = Mapping[str, Any]  # what a command found, for --json


class Command(NamedTuple):
    """One command of vaelab: it prints what it found, and returns it as a document."""

    about: str
    options: Sequence[Option]
    run: Callable[[argparse.Namespace], Document]
    usage: Sequence[str]
    keys: Mapping[str, str]  # the keys of its document, and what they hold
    settings: bool = False  # whether it takes --section.name VALUE
    sections: Sequence[str] = ()  # of these sections only; empty: of all
    ranks: bool = False  # whether the processes of torchrun or SLURM share the work
    memory: str = "choose a smaller run"  # what helps where memory runs out


def whole(least: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or len(text) > 18 or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text[:40]!r}"
            )
        return int(text)

    return read


def share(text: str) -> float:
    """Read a share between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, got {text[:40]!r}")
    return value


QUIET = Option("--quiet", "print errors only")
OVERWRITE = Option("--overwrite", "replace the run that is in the folder")
CODE = Option(
    "--code",
    "a Python file that the recipe or run may execute",
    "FILE.py",
    several=True,
    default=(),
)
RUN = Option("RUN", "a run folder, a model card, or a .zip of one")
RUN_KEY = "the run folder"
FILES_KEY = "the paths of the files that were written"
JSON = Option("--json", "print one JSON document; everything else goes to stderr")
LANG = Option(
    "--lang", "language of the labels", "LANG", choices={"en": "English", "pt": "Portuguese"}
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def parse(name: str, command: Command, words: Sequence[str]) -> argparse.Namespace:
    """Read the words behind ``vaelab NAME``; settings come as a dictionary of texts."""
    settings, others = split_settings(words)
    if settings and not command.settings:
        raise UserError(
            f"--{next(iter(settings))}: settings belong to vaelab train, sweep, compare and pack; "
            f"see vaelab {name} --help"
        )
    parser = _Parser(prog=f"vaelab {name}", add_help=False, allow_abbrev=False)
    for option in command.options:
        add(parser, option)
    found, unknown = parser.parse_known_args(others)
    if unknown:
        raise UserError(f"{unknown[0]}: {_unknown(name, command, unknown[0])}")
    found.settings = settings
    return found


def add(parser: argparse.ArgumentParser, option: Option) -> argparse.Action:
    """Let a parser read an option."""
    choices = list(option.choices) or None
    if not option.name.startswith("-"):
        return parser.add_argument(
            option.name.lower(),
            metavar=option.name,
            nargs=option.number or None,
            type=option.kind,
            choices=choices,
        )
    if not option.value:
        return parser.add_argument(option.name, action="store_true")
    return parser.add_argument(
        option.name,
        action="append" if option.several else "store",
        type=option.kind,
        default=[*option.default] if option.several else option.default,
        choices=choices,
        required=option.required,
    )


def _unknown(name: str, command: Command, word: str) -> str:
    if not word.startswith("--"):
        return f"vaelab {name} has no such argument; see vaelab {name} --help"
    options = [option.name for option in command.options if option.name.startswith("--")]
    if not command.settings:
        return f"there is no such option; {nearest(word, options)}"
    last = word.removeprefix("--").partition("=")[0].replace("-", "_")
    keys = [f"--{field.key}" for field in fields()]
    same = [key for key in keys if key.endswith(f".{last}")]
    hint = nearest(word, same or [*options, *keys], "vaelab train --help-all")
    return f"there is no such setting; {hint}"


def split_settings(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Take ``--section.name value`` and ``--section.name=value`` out of the words.

    A switch such as ``--model.batch_norm`` needs no value.
    """
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
            elif left and not left[0].startswith("--"):
                value = left.popleft()
            else:
                raise UserError(f"{word}: expected a value; see vaelab train --help")
        settings[key] = value
    return settings, others
