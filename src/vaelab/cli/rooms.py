"""The rooms of the package in their order, and the tree of them for the documents."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1]

# A room imports only from rooms that stand above it.
ROOMS = (
    "errors",
    "screen",
    "launchers",
    "files",
    "seeding",
    "devices",
    "language",
    "recipes",
    "data",
    "models",
    "training",
    "runs",
    "evaluation",
    "plots",
    "export",
    "report",
    "tracking",
    "workflows",
    "estimator",
    "cli",
    "__main__",
)


def tree() -> str:
    """Every room and file of the package with the first sentence of its docstring, in order."""
    lines = ["```", "src/vaelab/"]
    for room in ROOMS:
        folder = PACKAGE / room
        if not folder.is_dir():
            lines.append(_line(f"{room}.py", folder.with_suffix(".py"), 1))
            continue
        lines.append(_line(f"{room}/", folder / "__init__.py", 1))
        lines += _below(folder, 2)
    return "\n".join([*lines, "```"]) + "\n"


def _below(folder: Path, depth: int) -> list[str]:
    """The files of a folder, then its folders with what is in them."""
    entries = sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name))
    lines = []
    for path in entries:
        if path.is_dir() and (path / "__init__.py").exists():
            lines += [_line(f"{path.name}/", path / "__init__.py", depth), *_below(path, depth + 1)]
        elif path.suffix == ".py" and path.name != "__init__.py":
            lines.append(_line(path.name, path, depth))
    return lines


def _line(name: str, path: Path, depth: int) -> str:
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    sentence = said.partition("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".")
    return f"{'  ' * depth + name:<26}{sentence}"
