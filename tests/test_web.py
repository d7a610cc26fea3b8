"""The scripts of the pages: their source is typed, and the committed bundles are made from it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WEB = ROOT / "web"
STATIC = ROOT / "src" / "vaelab" / "report" / "static"
SOURCES = sorted((WEB / "src").rglob("*.ts"))
LONGEST = 330  # lines of a file, as in Python

needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (WEB / "node_modules").is_dir(),
    reason="no Node here, or no packages: make packages",
)


def node(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", *map(str, words)], cwd=WEB, capture_output=True, text=True, check=False
    )


@needs_node
@pytest.mark.parametrize(
    "words",
    [
        ("node_modules/typescript/bin/tsc", "--noEmit"),
        ("node_modules/prettier/bin/prettier.cjs", "--check", "src"),
    ],
    ids=["types", "format"],
)
def test_the_source_is_typed_and_formatted(words: tuple[str, ...]) -> None:
    done = node(*words)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_node
def test_the_committed_scripts_are_bundled_from_the_source(tmp_path: Path) -> None:
    """Else: make pages."""
    done = node("build.mjs", tmp_path)
    assert done.returncode == 0, done.stderr
    fresh = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    committed = [*STATIC.iterdir(), ROOT / "tests" / "export" / "engine.js"]
    assert fresh == {path.name: path.read_text("utf-8") for path in committed}


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_a_script_can_stand_in_a_page_and_asks_for_nothing(path: Path) -> None:
    code = path.read_text("utf-8")
    assert "</script" not in code.lower()
    assert "<!--" not in code
    for word in ("fetch(", "XMLHttpRequest", "WebSocket", "eval(", "new Function", "importScripts"):
        assert word not in code


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(WEB)))
def test_a_source_file_is_read_in_one_sitting_and_puts_no_markup_into_the_page(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= LONGEST
    assert max(map(len, lines)) <= 100
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        ": any",
        "as any",
    ):
        assert all(word not in line for line in lines), word


def test_packages_are_pinned_and_their_lock_names_no_host() -> None:
    package = json.loads((WEB / "package.json").read_text("utf-8"))
    for version in (package["dependencies"] | package["devDependencies"]).values():
        assert version[0].isdigit()
    assert "resolved" not in (WEB / "package-lock.json").read_text("utf-8")
