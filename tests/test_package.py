"""The archives: the same bytes whenever they are built, with all files, and one version."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

import vaelab
from vaelab.recipes import bibtex, recipe

ROOT = Path(__file__).parents[1]
NOT_COPIED = {"docs/gallery", "docs/img", "web/node_modules", "runs", "dist", "build"}


def not_copied(folder: str, names: list[str]) -> list[str]:
    """What a build has no use for, of the names in a folder."""
    here = Path(folder).relative_to(ROOT)
    return [
        name
        for name in names
        if (here / name).as_posix() in NOT_COPIED or name == "__pycache__" or name[0] == "."
    ]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The archives of two copies of the tree that differ in all that should not matter."""
    folder = tmp_path_factory.mktemp("package")
    for number, (mask, clock) in enumerate(((0o022, 1e9), (0o077, 1.7e9))):
        before = os.umask(mask)
        try:
            copy = folder / f"copy{number}"
            shutil.copytree(ROOT, copy, ignore=not_copied, copy_function=shutil.copyfile)
            shutil.copy(ROOT / ".gitignore", copy)
            for path in copy.rglob("*"):
                os.utime(path, (clock, clock))
            subprocess.run(
                [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / f"{number}"],
                cwd=copy, capture_output=True, check=True,
            )  # fmt: skip
        finally:
            os.umask(before)
    return [folder / "0", folder / "1"]


def test_two_builds_give_the_same_bytes(built: list[Path]) -> None:
    one, two = ({path.name: path.read_bytes() for path in each.iterdir()} for each in built)
    name = f"vaelab-{vaelab.__version__}"
    assert one.keys() == {f"{name}.tar.gz", f"{name}-py3-none-any.whl"}
    assert one == two


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built: list[Path]) -> None:
    with ZipFile(next(built[0].glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    here = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "vaelab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == here
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_archive_has_what_builds_and_tests_the_package(built: list[Path]) -> None:
    with tarfile.open(next(built[0].glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = ["LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "Makefile", "pyproject.toml",
              "constraints.txt", "docs/theory.md", "web/package.json"]  # fmt: skip
    wanted += [p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("*.py")]
    assert {*wanted} <= names
    assert not {name for name in names if name.startswith(("docs/gallery", "docs/img"))}


def test_the_archives_are_small(built: list[Path]) -> None:
    """Pictures, notebooks with outputs and result files do not belong into them."""
    sizes = {path.suffix: path.stat().st_size / 2**20 for path in built[0].iterdir()}
    assert sizes[".whl"] < 2
    assert sizes[".gz"] < 4


def test_the_metadata_say_what_is_true(built: list[Path]) -> None:
    with ZipFile(next(built[0].glob("*.whl"))) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        found = Parser().parsestr(wheel.read(name).decode())
    assert found["Version"] == vaelab.__version__
    libraries = (ROOT / "src/vaelab/report/static/LICENSES.txt").read_text("utf-8")
    licences = {"MIT", *re.findall(r"^\S+ [\d.]+ \((.+)\)$", libraries, re.MULTILINE)}
    assert {*found["License-Expression"].split(" AND ")} == licences
    assert found["Requires-Python"] == ">=3.11"
    assert not any("license" in one.lower() for one in found.get_all("Classifier", []))
    assert found.get_payload().startswith("# vaelab")


def test_the_version_stands_the_same_wherever_it_stands() -> None:
    version = vaelab.__version__
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"Version {version}" in bibtex(recipe("quickstart"))
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert heads[0] in ("Unreleased", version)
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]


def test_the_page_of_the_index_has_no_link_that_leads_nowhere(built: list[Path]) -> None:
    with ZipFile(next(built[0].glob("*.whl"))) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
        page = str(Parser().parsestr(wheel.read(name).decode()).get_payload())
    links = re.findall(r"\]\(([^)]*)\)", page)
    assert [link for link in links if not link.startswith("http")] == []
    assert len(page) > len((ROOT / "README.md").read_text("utf-8")) / 2
