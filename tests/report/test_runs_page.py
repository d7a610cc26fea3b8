"""Several runs: side by side on one page, and all of a folder in a table."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from browsing import Opened
from conftest import TINY, needs_chromium

import vaelab
from vaelab.cli.main import main
from vaelab.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs and a damaged one, one of them deeper."""
    out = tmp_path_factory.mktemp("all")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        for name, latent in (("wide", 9), ("deeper/narrow", 2)):
            recipe = vaelab.recipe("quickstart", TINY | {"model.latent": latent})
            vaelab.train(recipe, out / name, quiet=True)
    (out / "damaged").mkdir()
    (out / "damaged" / "recipe.toml").write_text("name = ")
    return out


def test_the_index_sorts_and_links_the_reports(browser: Browser, folder: Path) -> None:
    assert main(["report", str(folder)]) == 0
    for width in (390, 1280):
        opened = Opened(browser, folder / "index.html", width)
        page = opened.page
        page.wait_for_selector("html.scripted")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        names = page.locator("tbody th")
        assert names.all_inner_texts() == ["deeper/narrow", "wide"]
        head = page.get_by_role("button", name="dimensions")
        head.click()
        assert names.all_inner_texts() == ["deeper/narrow", "wide"]
        head.click()
        assert names.all_inner_texts() == ["wide", "deeper/narrow"]
        assert page.locator("th[aria-sort='descending']").count() == 1
        links = page.locator("tbody a").evaluate_all("all => all.map(one => one.href)")
        assert links == [
            (folder / name / "report.html").as_uri() for name in ("wide", "deeper/narrow")
        ]
        assert page.locator("tbody svg").count() == page.locator("tbody img").count() == 2
        right = page.locator("tbody img").first.evaluate("e => e.getBoundingClientRect().right")
        assert right <= width  # samples are seen without scrolling the table
        assert "damaged" in page.locator("ul").inner_text()
        assert opened.wrong == []
        assert opened.foreign == []
        page.close()


def test_an_index_never_replaces_a_file_of_someone_else(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "wide", tmp_path / "wide")
    (tmp_path / "index.html").write_text("mine")
    with pytest.raises(UserError, match="was not written by vaelab"):
        vaelab.write_report(tmp_path)
    assert (tmp_path / "index.html").read_text() == "mine"
    with pytest.raises(UserError, match="holds no runs"):
        vaelab.write_report(tmp_path / "wide" / "figures")


def test_an_index_elsewhere_links_the_reports(folder: Path, tmp_path: Path) -> None:
    page = vaelab.write_report(folder, tmp_path / "far" / "index.html").read_text("utf-8")
    links = [unquote(one) for one in re.findall(r'href="(\./[^"]*)"', page)]
    assert len(links) == 2
    assert all((tmp_path / "far" / one).resolve().is_file() for one in links)


def test_a_report_never_replaces_a_file_of_someone_else(digits_run: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(
        digits_run, tmp_path / "copy", ignore=shutil.ignore_patterns("report.html", ".vaelab")
    )
    (copy / "report.html").write_text("mine")
    with pytest.raises(UserError, match="was not written by vaelab"):
        vaelab.write_report(copy)
    assert (copy / "report.html").read_text() == "mine"


def test_runs_side_by_side_have_their_numbers_and_the_same_images(
    browser: Browser, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [folder / "wide", folder / "deeper" / "narrow"]
    assert main(["report", *map(str, runs), "--lang", "en"]) == 0
    opened = Opened(browser, tmp_path / "report-wide-narrow.html", 1280)
    page = opened.page
    page.wait_for_selector("html.scripted")
    row = page.locator("#numbers tr", has_text="Loss").locator("td")
    for cell, run in zip(row.all_inner_texts(), runs, strict=True):
        loss = vaelab.load(run).results["loss"]
        assert float(cell.replace("−", "-")) == pytest.approx(loss, rel=1e-3)
    assert "9" in page.locator("tr", has_text="model.latent").inner_text()
    assert page.locator("#reconstructions tr").count() == 3
    assert page.locator("[data-chart='0'] polyline").count() == 4
    page.locator("[data-series='wide (training)']").click()
    assert page.locator("[data-chart='0'] polyline").count() == 3
    assert opened.wrong == []
    assert opened.foreign == []
    page.close()


def test_a_report_goes_where_it_is_asked_to(folder: Path, tmp_path: Path) -> None:
    before = (folder / "wide" / "report.html").read_bytes()
    out = tmp_path / "page.html"
    assert main(["report", str(folder / "wide"), "--out", str(out), "--lang", "pt"]) == 0
    assert "Espaço latente" in out.read_text("utf-8")
    assert (folder / "wide" / "report.html").read_bytes() == before
    assert main(["report", str(folder / "missing")]) == 2
