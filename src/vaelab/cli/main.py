"""The entry of the command line: one command, and every failure as a line and an exit code."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence

import vaelab
from vaelab.cli import (
    completion,
    help,
    info,
    listing,
    look,
    measure,
    output,
    pack,
    pages,
    rows,
    sweep,
    train,
)
from vaelab.cli.arguments import JSON, Command, Document, parse
from vaelab.cli.wording import as_flags
from vaelab.errors import UserError, nearest
from vaelab.launchers import alone
from vaelab.recipes import permit

COMMANDS: dict[str, Command] = {
    name: command._replace(options=[*command.options, JSON])
    for name, command in (
        train.COMMANDS
        | sweep.COMMANDS
        | pack.COMMANDS
        | measure.COMMANDS
        | rows.COMMANDS
        | look.COMMANDS
        | pages.COMMANDS
        | listing.COMMANDS
        | info.COMMANDS
    ).items()
}
COMMANDS |= completion.of(COMMANDS)
EXHAUSTED = ("out of memory", "allocate memory", "size calculation overflowed")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 on success, 2 on bad input, 130 when interrupted.

    With ``--json`` stdout gets one JSON document: what the command found, or its error.
    """
    output.prepare()
    words = list(sys.argv[1:] if argv is None else argv)
    command = COMMANDS.get(words[0] if words else "")
    given = [word.partition("=")[0][2:].replace("-", "_") for word in words if word[:2] == "--"]
    settings = [key for key in given if "." in key]
    try:
        _answer(words)
        sys.stdout.flush()
    except UserError as error:
        return _failed(words, as_flags(str(error), command, settings) if command else str(error))
    except KeyboardInterrupt as interruption:
        what = str(interruption) or "nothing more was saved"
        return _failed(words, f"interrupted; {what}", 130)
    except BrokenPipeError:  # the reader of the output has seen enough, as head has
        output.abandon()
    except OSError as error:
        if not error.filename:
            output.abandon()
        where = error.filename or "standard output or a file"
        why = error.strerror or error
        return _failed(words, f"{where}: {why}; check the path and the free space")
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(t in str(error) for t in EXHAUSTED)):
            raise
        remedy = command.memory if command else "choose a smaller run"
        return _failed(words, f"there is not enough memory; {remedy}")
    return 0


def process() -> int:
    """Run `main` as a process of its own."""
    code = main()
    gc.freeze()  # Python ends with a search for garbage, among all that was imported: half a second
    return code


def _answer(words: Sequence[str]) -> None:
    if JSON.name not in words:
        _run(words)
        return
    with contextlib.redirect_stdout(sys.stderr):
        document = _run(words)
    output.emit(document)


def _failed(words: Sequence[str], text: str, code: int = 2) -> int:
    output.complain(text)
    if JSON.name in words:
        with contextlib.suppress(OSError, ValueError):  # nobody reads stdout any more
            output.emit({"error": text})
            sys.stdout.flush()
    return code


def _run(words: Sequence[str]) -> Document:
    name, *rest = [word for word in words if word != JSON.name] or ["--help"]
    if name in ("-h", "--help"):
        return _shown(help.overview(COMMANDS))
    if name == "--version":
        print(f"vaelab {vaelab.__version__}")
        return {"version": vaelab.__version__}
    if name == "help":
        return _shown(_help(rest))
    if name not in COMMANDS:
        raise UserError(f"{name}: there is no such command; {nearest(name, COMMANDS, 'vaelab')}")
    if {"-h", "--help", "--help-all"} & set(rest):
        return _shown(help.of_command(COMMANDS[name], complete="--help-all" in rest))
    arguments = parse(name, COMMANDS[name], rest)
    if not COMMANDS[name].ranks:
        alone(name)
    permit(*getattr(arguments, "code", ()))
    return COMMANDS[name].run(arguments)


def _shown(text: str) -> Document:
    print(text)
    return {"help": text}


def _help(words: Sequence[str]) -> str:
    if not words:
        return help.overview(COMMANDS)
    (topic, *_) = words
    if topic in COMMANDS:
        return help.of_command(COMMANDS[topic])
    if topic not in help.TOPICS:
        raise UserError(
            f"help: there is no topic {topic!r}; {nearest(topic, {**COMMANDS, **help.TOPICS})}"
        )
    return help.TOPICS[topic](COMMANDS)
