"""Build the documentation site: ``python docs/build.py [FOLDER]``, by default into site/.

The pages lie in the site as they lie in the repository, so that their links hold in both: README.md
is the front page, docs/theory.md becomes docs/theory.html. A warning, a dead link or a page that
no list below names stops the build.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w
from links import faults
from reference import reference

ROOT = Path(__file__).parents[1]
NAV = {  # a folder stands for those of its pages that are not named before
    "Home": ["README.md"],
    "Tutorials": [
        "docs/first-steps.md",
        "docs/course/README.md",
        "docs/course/en",
        "docs/course/pt",
    ],
    "How-to": [
        "docs/how-to/choose-a-model.md",
        "docs/data.md",
        "docs/tables.md",
        "docs/images.md",
        "docs/signals.md",
        "docs/how-to/read-the-report.md",
        "docs/pages.md",
        "docs/how-to/score-new-data.md",
        "docs/how-to/resume.md",
        "docs/how-to/train-on-a-gpu.md",
        "docs/extending.md",
        "docs/how-to",
        "docs/how-to/cite.md",
    ],
    "Explanation": [
        "docs/theory.md",
        "docs/numbers.md",
        "docs/trust.md",
        "docs/speed.md",
        "docs/speedrun.md",
        "docs/systems.md",
        "docs/LOG.md",
    ],
    "Reference": [
        "docs/models.md",
        "docs/reference/settings.md",
        "docs/reference/command-line.md",
        "docs/run-folder.md",
        "docs/figures.md",
        "docs/glossary.md",
        "docs/reference/bibliography.md",
        "docs/reference",
    ],
    "Gallery": ["docs/gallery"],
    "Project": ["CHANGELOG.md", "CONTRIBUTING.md", "AGENTS.md"],
}
GROUPS = {  # folders whose pages stand below a title of their own
    "docs/course/en": "Lessons",
    "docs/course/pt": "Lições em português",
    "docs/reference": "Python",
}
LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\(([^)#\s:]+)(#[^)\s]*)?\)")


def build(site: Path) -> None:
    """Build all pages in a temporary folder, check them, and put them in the place of `site`."""
    if site.exists() and not (site / "llms.txt").is_file():
        raise SystemExit(f"{site}: is no site of an earlier build; choose another folder")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder).resolve()
        pages, built = work / "pages", work / "site"
        collect(pages)
        nav = navigation(pages)
        settings = tomllib.loads((ROOT / "docs" / "zensical.toml").read_text("utf-8"))
        settings["project"]["nav"] = nav
        (work / "zensical.toml").write_text(tomli_w.dumps(settings), "utf-8")
        command = [sys.executable, "-m", "zensical", "build", "--strict"]
        path = os.pathsep.join([str(ROOT / "src"), *sys.path])  # griffe looks for vaelab there
        environment = os.environ | {"PYTHONPATH": path}
        done = subprocess.run(command, cwd=work, env=environment, text=True, capture_output=True)
        told = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr).partition("Traceback")[0]
        if done.returncode:
            raise SystemExit(told)
        for page in built.glob("docs/course/pt/*.html"):
            text = page.read_text("utf-8").replace('<html lang="en"', '<html lang="pt-BR"', 1)
            page.write_text(text, "utf-8")
        for name in ("404.html", "sitemap.xml"):  # of use only where the site's address is known
            (built / name).unlink()
        if found := faults(built):
            raise SystemExit("\n".join(found))
        index(pages, built, nav)
        shutil.rmtree(site, ignore_errors=True)
        shutil.move(built, site)


def collect(pages: Path) -> None:
    """Copy all pages, what they link to, and the generated reference."""
    sources = ("*.py", "zensical.toml", "__pycache__", ".*")
    shutil.copytree(ROOT / "docs", pages / "docs", ignore=shutil.ignore_patterns(*sources))
    for name in (name for names in NAV.values() for name in names):
        if "/" not in name and (ROOT / name).exists():
            shutil.copy(ROOT / name, pages)
    for page in sorted(pages.rglob("*.md")):
        page.write_text(linked(page.read_text("utf-8"), page, pages), "utf-8")
    for name, text in reference().items():
        page = pages / "docs" / "reference" / name
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, "utf-8")


def linked(text: str, page: Path, pages: Path) -> str:
    """Copy what a page links to beyond docs/; a folder is no page, so its name loses its link."""
    here = (ROOT / page.relative_to(pages)).parent

    def target(link: re.Match[str]) -> str:
        there = (here / link[2]).resolve()
        if there.is_file() and there.is_relative_to(ROOT):
            copy = pages / there.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists():
                shutil.copy(there, copy)
        return link[1] if there.is_dir() else link[0]

    return LINK.sub(target, text)


def navigation(pages: Path) -> list[dict[str, Any]]:
    """The pages by section, with their headings as titles; a section of one page shows no list."""
    found = sorted(pages.rglob("*.md"), key=lambda page: page.with_suffix(""))
    left = {str(page.relative_to(pages)): page for page in found}
    named = {name for names in NAV.values() for name in names}
    nav: list[dict[str, Any]] = []
    for section, names in NAV.items():
        entries: list[dict[str, Any]] = []
        for name in names:
            folder = [page for page in left if page.startswith(f"{name}/") and page not in named]
            titled = [
                {title(left.pop(page).read_text("utf-8")): page}
                for page in folder or [name]
                if page in left
            ]
            entries += [{GROUPS[name]: titled}] if titled and name in GROUPS else titled
        nav += [{section: entries}] if entries else []
        places = [place for entry in entries for place in entry.values()]
        if len(places) == 1 and isinstance(places[0], str):
            page = pages / places[0]
            page.write_text(f"---\nhide:\n  - navigation\n---\n{page.read_text('utf-8')}", "utf-8")
    if left:
        raise SystemExit(f"docs/build.py: NAV names no place for {', '.join(left)}")
    return nav


def title(text: str) -> str:
    """The first heading of a page."""
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    return heading[1].replace("`", "") if heading else "Untitled"


def index(pages: Path, built: Path, nav: list[dict[str, Any]]) -> None:
    """Write llms.txt (https://llmstxt.org), beside the pages as the Markdown that it links to."""
    about = re.search(r"^\*\*(.+?)\*\*$", (pages / "README.md").read_text("utf-8"), re.M | re.S)
    lines = ["# vaelab", "", f"> {' '.join(about[1].split())}" if about else ""]
    for section in nav:
        for heading, entries in section.items():
            lines += ["", f"## {heading}", "", *_entries(pages, built, entries)]
    (built / "llms.txt").write_text("\n".join([*lines, ""]), "utf-8")


def _entries(pages: Path, built: Path, entries: list[dict[str, Any]]) -> Iterator[str]:
    for name, page in (pair for entry in entries for pair in entry.items()):
        if isinstance(page, list):
            yield from _entries(pages, built, page)
            continue
        text = (pages / page).read_text("utf-8")
        if "\n::: " in text:  # generated: its text stands in the docstrings
            page = page.removesuffix(".md") + ".html"
        else:
            shutil.copy(pages / page, built / page)
        yield f"- [{name}]({page}): {opening(text)}"


def opening(text: str) -> str:
    """The first sentence of a page below its heading, as plain text."""
    paragraphs = re.sub(r"^(```.*?^```|<!--.*?-->|#.*?|\|.*?)$", "", text, flags=re.M | re.S)
    first = next((p for p in paragraphs.split("\n\n") if p.strip()), "")
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", r"\1", " ".join(first.split()))
    return plain.partition(". ")[0].rstrip(".:") + "."


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "site")
    build(parser.parse_args().folder.resolve())
