"""The rooms of the package: which stand above which, how large their files and functions are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from vaelab.cli.rooms import PACKAGE, ROOMS

FILE, FUNCTION, ROOT = 330, 60, 12  # lines of a file, lines of a function, files in the root
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[str]:
    """The modules of vaelab that a file names in an import, wherever the import stands."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vaelab"):
            names = [f"vaelab.{alias.name}" for alias in node.names]
            found += names if node.module == "vaelab" else [str(node.module)]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.startswith("vaelab")]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_rooms_above(path: Path) -> None:
    here = room(path)
    if here == "__init__":  # the front door looks its names up on first use
        return
    for module in imports(ast.parse(path.read_text("utf-8"))):
        there = [*module.split("."), "__init__"][1]
        if there in ("__init__", "__version__"):
            continue
        if (here, there) == ("evaluation", "plots"):  # until evaluate's figure moves out of it
            continue
        assert ROOMS.index(there) <= ROOMS.index(here), f"{here} imports {module}"


def test_no_import_goes_in_a_circle() -> None:
    """Between files too, wherever the import stands, and none for types alone."""
    names = {
        path: ".".join(("vaelab", *path.relative_to(PACKAGE).with_suffix("").parts))
        for path in MODULES
    }
    names = {path: name.removesuffix(".__init__") for path, name in names.items()}
    graph: dict[str, set[str]] = {}
    for path, name in names.items():
        text = path.read_text("utf-8")
        if name != "vaelab":
            assert "TYPE_CHECKING" not in text, name
            graph[name] = {there for there in imports(ast.parse(text)) if there in names.values()}
    doors = {name for path, name in names.items() if path.name == "__init__.py"}
    for name in doors & graph.keys():  # a front door imports the files behind it
        graph[name] = {there for there in graph[name] if not f"{there}.".startswith(f"{name}.")}
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " imports ".join([*way[way.index(name) :], name])
        if name not in done:
            for there in graph.get(name, ()):
                visit(there, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("room", [room for room in ROOMS if (PACKAGE / room).is_dir()])
def test_a_room_says_what_it_is_and_what_is_public_in_it(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8"))
    assert len(ast.get_docstring(tree) or "") > 40
    if room != "cli":  # whose one public name is `main`
        assert "__all__" in ast.dump(tree)


def test_the_root_is_small() -> None:
    assert len([path for path in PACKAGE.iterdir() if path.is_file()]) <= ROOT


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_read_in_one_sitting_and_a_function_on_one_screen(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION, f"{node.name}: {lines} lines"
