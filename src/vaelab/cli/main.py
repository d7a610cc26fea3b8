"""The entry of the command line: one command, and every failure as a line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import vaelab
from vaelab.cli import help, listing, look, measure, output, pages, rows, train
from vaelab.cli.arguments import Command, parse
from vaelab.cli.wording import as_flags
from vaelab.errors import UserError, nearest
from vaelab.recipes import permit

COMMANDS: dict[str, Command] = (
    train.COMMANDS
    | measure.COMMANDS
    | rows.COMMANDS
    | look.COMMANDS
    | pages.COMMANDS
    | listing.COMMANDS
)
EXHAUSTED = ("out of memory", "allocate memory", "size calculation overflowed")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 on bad input, 130 when interrupted."""
    output.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    command = COMMANDS.get(words[0] if words else "")
    given = [word.partition("=")[0][2:].replace("-", "_") for word in words if word[:2] == "--"]
    settings = [key for key in given if "." in key]
    try:
        _carry_out(words)
        sys.stdout.flush()
    except UserError as error:
        text = as_flags(str(error), command, settings) if command else str(error)
        output.complain(text)
        return 2
    except KeyboardInterrupt as interruption:
        output.complain(f"interrupted; {str(interruption) or 'nothing more was saved'}")
        return 130
    except BrokenPipeError:  # the reader of the output has seen enough, as head has
        output.abandon()
    except OSError as error:
        if not error.filename:
            output.abandon()
        where = error.filename or "standard output or a file"
        output.complain(f"{where}: {error.strerror or error}; check the path and the free space")
        return 2
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(t in str(error) for t in EXHAUSTED)):
            raise
        remedy = command.memory if command else "choose a smaller run"
        output.complain(f"there is not enough memory; {remedy}")
        return 2
    return 0


def _carry_out(words: Sequence[str]) -> None:
    name, *rest = words or ["--help"]
    if name in ("-h", "--help"):
        print(help.overview(COMMANDS))
    elif name == "--version":
        print(f"vaelab {vaelab.__version__}")
    elif name == "help":
        _help(rest)
    elif name not in COMMANDS:
        raise UserError(f"{name}: there is no such command; {nearest(name, COMMANDS, 'vaelab')}")
    elif {"-h", "--help", "--help-all"} & set(rest):
        print(help.of_command(COMMANDS[name], complete="--help-all" in rest))
    else:
        arguments = parse(name, COMMANDS[name], rest)
        permit(*getattr(arguments, "code", ()))
        COMMANDS[name].run(arguments)


def _help(words: Sequence[str]) -> None:
    topics = {**COMMANDS, "settings": None}
    if not words:
        print(help.overview(COMMANDS))
    elif words[0] == "settings":
        print(help.settings())
    elif words[0] in COMMANDS:
        print(help.of_command(COMMANDS[words[0]]))
    else:
        raise UserError(f"help: there is no topic {words[0]!r}; {nearest(words[0], topics)}")
