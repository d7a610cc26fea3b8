"""vaelab completion: scripts by which a shell completes commands, options, settings and names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

import vaelab
from vaelab.cli import help
from vaelab.cli.arguments import JSON, Command, Document, Option, add
from vaelab.recipes import AXES, ROWS, Field, available, fields

SHELLS = {
    "bash": 'eval "$(vaelab completion bash)" in ~/.bashrc',
    "zsh": 'eval "$(vaelab completion zsh)" in ~/.zshrc, after compinit',
    "fish": "vaelab completion fish > ~/.config/fish/completions/vaelab.fish",
}
PLACES = {  # what stands for a value in the help, and what completes it
    "RUN": "file", "FOLDER": "directory", "FILE": "file", "FILE.py": "file",
    "PATH": "file", "DATA": "file",
}  # fmt: skip


def of(commands: dict[str, Command]) -> dict[str, Command]:
    """The command that prints scripts for `commands` and for itself."""

    def printed(arguments: argparse.Namespace) -> Document:
        import shtab  # here, for every other command can do without

        text = shtab.complete(_parser(commands | found), arguments.shell)
        print(text)
        return {"shell": arguments.shell, "script": text}

    found = {
        "completion": Command(
            "a script by which the shell completes commands, settings and names",
            [Option("SHELL", "the shell, and where its script belongs", choices=SHELLS), JSON],
            printed,
            ["vaelab completion SHELL"],
            {"shell": "the shell", "script": "the script, as one text"},
        )
    }
    return found


def _parser(commands: Mapping[str, Command]) -> argparse.ArgumentParser:
    """One parser of everything that can be typed."""
    whole = argparse.ArgumentParser("vaelab", description="variational autoencoders")
    whole.add_argument("--version", action="version", version=vaelab.__version__)
    several = whole.add_subparsers()
    topics = several.add_parser("help", help="the help of a command, or on a topic")
    topics.add_argument("topic", choices=[*commands, *help.TOPICS])
    for name, command in commands.items():
        parser = several.add_parser(name, help=_escaped(command.about))
        for option in command.options:
            action = add(parser, option)
            action.help = _escaped(option.about)
            if (values := _values(name, option)) is not None:
                action.complete = values  # type: ignore[attr-defined]  # where shtab looks for it
        if command.settings:
            parser.add_argument("--help-all", action="store_true", help="help with all settings")
        for field in fields() if command.settings else ():
            setting = parser.add_argument(f"--{field.key}", help=_escaped(field.about))
            setting.choices = _choices(field)
    return whole


def _values(command: str, option: Option) -> Any:
    """What completes the value of an option, in the terms of shtab; None for its choices."""
    match option.name:
        case "RECIPE":
            return _names("recipe", [*available(), *AXES["data.source"].keys() - {"PATH"}])
        case "RUN" if command == "compare":
            return _names("run", available())
        case "KIND":
            return _names("kind", help.LISTS, files=False)
    return PLACES.get(option.value or option.name)


def _names(kind: str, names: Iterable[str], *, files: bool = True) -> dict[str, Any]:
    """What completes one of these names, or the path of a file."""
    function, words = f"_vaelab_{kind}" + "_or_file" * files, " ".join(sorted(names))
    bash = f"compgen -W '{words}' -- \"$1\"" + '; compgen -f -- "$1"' * files
    zsh = f"compadd -- {words}" + "; _files" * files
    fish = f"printf '%s\\n' {words}" + "; __fish_complete_path (commandline -ct)" * files
    return {
        "bash": function,
        "zsh": function,
        "fish": f"({function})",
        "preamble": {
            "bash": f"{function}() {{ {bash}; }}",
            "zsh": f"{function}() {{ {zsh} }}",
            "fish": f"function {function}; {fish}; end",
        },
    }


def _choices(field: Field) -> list[str] | None:
    if isinstance(field.default, bool):
        return ["true", "false"]
    names = ROWS if field.key == "model.variant" else field.choices
    return [*names] or None


def _escaped(text: str) -> str:
    return text.replace("%", "%%")  # argparse formats its help
