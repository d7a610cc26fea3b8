"""The documentation site builds without a warning, and reads from the disk without a network."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_chromium

import vaelab
from vaelab.cli.main import COMMANDS
from vaelab.recipes import fields
from vaelab.recipes.citations import entries

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as `make docs` builds it; a warning or a dead link fails here."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    command = [sys.executable, str(DOCS / "build.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def of_docs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions of docs/build.py and docs/links.py."""
    monkeypatch.syspath_prepend(DOCS)
    return {**runpy.run_path(str(DOCS / "links.py")), **runpy.run_path(str(DOCS / "build.py"))}


def test_the_reference_has_every_public_name_command_setting_and_source(site: Path) -> None:
    reference = site / "docs" / "reference"
    names = (reference / "vaelab.html").read_text("utf-8")
    for name in vaelab.__all__:
        assert f'id="vaelab.{name}"' in names, name
    commands = (reference / "command-line.html").read_text("utf-8")
    for name in COMMANDS:
        assert f'id="vaelab-{name}"' in commands, name
    settings = (reference / "settings.html").read_text("utf-8")
    for field in fields():
        assert f"<code>{field.key}</code>" in settings, field.key
    sources = (reference / "bibliography.html").read_text("utf-8")
    assert sources.count("<em>") == len(entries())


def test_llms_txt_has_a_title_a_summary_and_links_that_lead_somewhere(site: Path) -> None:
    title, _, summary, *lines = (site / "llms.txt").read_text("utf-8").splitlines()
    assert title == "# vaelab"
    assert re.fullmatch(r"> \S.+", summary)
    links = [re.fullmatch(r"- \[(.+?)\]\((.+?)\): .+\.", line) for line in lines if line[:1] == "-"]
    assert len(links) > 25
    for link in links:
        assert link, lines
        assert (site / link[2]).is_file(), link[0]


def test_a_page_that_no_list_names_stops_the_build(of_docs: dict[str, Any], tmp_path: Path) -> None:
    for name in ("README.md", "docs/how-to/new.md"):  # a how-to needs no entry
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("# A title\n")
    assert of_docs["navigation"](tmp_path)[1] == {"How-to": [{"A title": "docs/how-to/new.md"}]}
    (tmp_path / "docs" / "lost.md").write_text("# Lost\n")
    with pytest.raises(SystemExit, match=r"NAV names no place for docs/lost\.md"):
        of_docs["navigation"](tmp_path)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="gone.html">x</a>', "gone.html leads nowhere"),
        ('<a href="index.html#gone">x</a>', "index.html#gone has no such place"),
        ('<img src="index.html" alt="">', "index.html has no alternative text"),
        ('<script src="https://a.org/b.js"></script>', "https://a.org/b.js is loaded from the net"),
        ("<p>A list:\n- without an empty line above</p>", "is not rendered: - w"),
        ('<h2 id="here">x</h2> <a href="#here">x</a> <a href="https://a.org">x</a>', ""),
    ],
)
def test_what_a_reader_would_miss_is_a_fault(
    body: str, fault: str, of_docs: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(f'<meta name="generator" content="x">{body}')
    found = of_docs["faults"](tmp_path)
    assert len(found) == bool(fault)
    assert fault in "".join(found)


# --- in a browser, from the disk, without a network -----------------------------------------------


@pytest.fixture
def offline(browser: Any) -> Iterator[Any]:
    """A page of a browser that is offline, and notes whatever goes wrong in it."""
    context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda said: (
            said.type in ("error", "warning") and page.wrong.append(f"{page.url}: {said.text}")
        ),
    )
    page.on(
        "request",
        lambda asked: (
            asked.url.startswith(("file:", "data:", "blob:")) or page.wrong.append(asked.url)
        ),
    )
    yield page
    context.close()


@needs_chromium
def test_no_page_is_wider_than_a_phone_or_a_screen(
    offline: Any, site: Path, of_docs: dict[str, Any]
) -> None:
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    for path in of_docs["made"](site):
        offline.goto(path.as_uri())
        for width in (390, 1440):
            offline.set_viewport_size({"width": width, "height": 844})
            assert offline.evaluate(over) <= 0, f"{path.relative_to(site)} at {width}"
        if "arithmatex" in path.read_text("utf-8"):
            unset = ".arithmatex:not(:has(.katex-html)), .katex-error"
            assert not offline.locator(unset).count(), path.relative_to(site)
    assert not offline.wrong


@needs_chromium
def test_the_search_works_from_the_disk(offline: Any, site: Path) -> None:
    offline.goto((site / "docs" / "theory.html").as_uri())
    offline.keyboard.press("Control+k")
    offline.keyboard.type("importance")
    first = offline.locator("a[href*='h=importance']").first
    first.wait_for(timeout=10_000)
    first.click()
    offline.wait_for_url("**/*importance*")
    assert "mportance" in offline.locator("article").inner_text()
    assert not offline.wrong


@needs_chromium
def test_the_page_is_light_or_dark_as_the_system_is_until_the_reader_chooses(
    offline: Any, site: Path
) -> None:
    def becomes(least: int, most: int) -> None:
        channel = "+getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"
        offline.wait_for_function(f"{least} <= {channel} && {channel} <= {most}", timeout=5000)

    dark, light = (0, 50), (200, 255)
    offline.emulate_media(color_scheme="dark")
    offline.goto((site / "index.html").as_uri())
    becomes(*dark)
    offline.emulate_media(color_scheme="light")
    becomes(*light)
    for scheme in (light, dark):  # the switch goes from the system's to light, and on to dark
        offline.locator("label[for^=__palette]:visible").click()
        becomes(*scheme)
    assert not offline.wrong
