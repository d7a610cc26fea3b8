"""The page of a comparison in a browser.

It is one file, asks nothing of the network, cuts nothing off and shows the numbers of the CSV.
"""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from browsing import Opened
from conftest import TINY, needs_chromium

import vaelab
from vaelab.evaluation import paired
from vaelab.evaluation.metrics.estimates import Estimate, Metric
from vaelab.evaluation.results import Evaluation
from vaelab.language import TEXTS
from vaelab.plots import style
from vaelab.report.comparison import page as comparison_page
from vaelab.runs import Run
from vaelab.workflows import compare as comparison

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LONG = "trustworthiness_of_a_very_long_name"
WIDTHS = {"phone": 390, "desk": 1280}
METRICS = {
    "likelihood": {"loss": Metric("nats per image", "lower")},
    "latent": {"knn_accuracy": Metric("share", "higher")},
    "samples": {
        "frechet": Metric(better="lower"),
        LONG: Metric(better="higher"),
    },
}

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two comparisons with made-up numbers: of two runs with pictures, of six with long names.

    Of the six, the second is clearly better than the first, and the third clearly worse.
    """
    out, rng = tmp_path_factory.mktemp("pages"), np.random.default_rng(0)

    def evaluate(run: Run, **given: Any) -> Evaluation:
        each = rng.normal(-1234, 30, 150) + {"1": -99, "2": 99}.get(run.folder.name[-1], 0)
        found = {
            "likelihood": {"loss": Estimate(float(each.mean()), 2.5, each)},
            "latent": {"knn_accuracy": Estimate(float(rng.random()), 0.01)},
            "samples": {
                "frechet": None if "ae" in run.folder.name else 1234.5,
                LONG: float(rng.random()),
            },
        }
        return Evaluation({"importance_samples": given["samples"]}, found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.plots.gallery.snapshot", lambda *_: None)
        patch.setitem(style.DPI, "column", 60)  # drawn sooner
        patch.setattr(comparison, "evaluate", evaluate)
        patch.setattr(paired, "METRICS", METRICS)
        patch.setitem(TEXTS["metrics"], f"samples.{LONG}", {"en": "a number without an error"})
        recipes = vaelab.study("vae-vs-ae-2d", TINY | {"train.epochs": 1})
        runs = [vaelab.train(recipe, out / name, quiet=True) for name, recipe in recipes.items()]
        names = [f"a-run-of-a-rather-long-name-{i}" for i in range(6)]
        many = [vaelab.load(shutil.copytree(runs[0].folder, out / "many" / name)) for name in names]
        comparison.compare(runs, out / "two", quiet=True)
        patch.setattr(comparison_page, "pictures", lambda *_: {})
        comparison.compare(many, out / "six", quiet=True)
    return {"two": out / "two", "six": out / "six"}


def opened_page(browser: Browser, folder: Path, width: int, scheme: Any = "light") -> Opened:
    return Opened(browser, folder / "comparison.html", width, color_scheme=scheme)


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("which", ["two", "six"])
def test_the_page_is_whole_and_fits(
    browser: Browser, pages: dict[str, Path], which: str, width: int
) -> None:
    opened = opened_page(browser, pages[which], width)
    page = opened.page
    assert opened.wrong == []
    assert [url for url in opened.asked if not url.startswith("data:")] == [opened.url]
    assert page.locator("script").count() == 0
    images = page.evaluate(
        "[...document.images].map(i => [i.complete, i.naturalWidth, i.alt, i.clientWidth])"
    )
    assert len(images) == (
        7 if which == "two" else 0
    )  # latent, samples, manifold of each; reconstructions of both
    assert all(
        complete and natural > 100 and alt and shown > 100
        for complete, natural, alt, shown in images
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    texts = "[...document.querySelectorAll('td .value, td .difference')]"
    assert page.evaluate(
        f"{texts}.every(text => text.scrollWidth <= text.clientWidth)"
    )  # none runs into the next cell
    beyond = page.evaluate(
        "w => [...document.querySelectorAll('main *')]"
        ".filter(e => e.getBoundingClientRect().right > w + 1)"
        ".map(e => e.outerHTML.slice(0, 80))",
        width,
    )
    assert beyond == []
    page.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_the_page_shows_the_numbers_of_the_csv(
    browser: Browser, pages: dict[str, Path], width: int
) -> None:
    page = opened_page(browser, pages["two"], width).page
    lines = list(csv.DictReader((pages["two"] / "comparison.csv").read_text("utf-8").splitlines()))
    checked = 0
    for line in lines:
        row = page.locator(f'tr[data-number="{line["section"]}.{line["number"]}"]')
        cell = row.locator(f'td[data-run="{line["run"]}"]')
        shown = cell.locator(".value").inner_text()
        if not line["value"]:
            assert shown in ("–", "not recorded")
            continue
        assert near(shown.split(" ± ")[0], line["value"])
        if line["section"] != "cost" and line["error"]:
            assert near(shown.split(" ± ")[1], line["error"])
        if line["low"]:
            interval = (
                cell.locator(".difference")
                .inner_text()
                .replace("[", "")
                .replace("]", "")
                .replace(",", " ")
            )
            for text, key in zip(interval.split(), ("difference", "low", "high"), strict=True):
                assert near(text, line[key])
        verdicts = cell.locator(".verdict")
        if line["verdict"]:
            assert line["verdict"] in verdicts.inner_text()
        checked += 1
    assert checked >= 12
    page.close()


def near(shown: str, exact: str) -> bool:
    """Whether a text is the number, rounded to the digits that it has."""
    text = shown.replace("−", "-").replace(",", "")
    digits = len(text.partition(".")[2])
    return abs(float(text) - float(exact)) <= 0.5001 * 10**-digits


def test_verdicts_are_words_and_rows_are_named_for_those_who_cannot_see(
    browser: Browser, pages: dict[str, Path]
) -> None:
    for width in WIDTHS.values():
        page = opened_page(browser, pages["six"], width).page
        assert page.get_by_role("rowheader", name="loss", exact=False).count() == 1
        assert page.get_by_role("table").count() == 4
        assert page.get_by_role("heading", level=1).count() == 1
        verdicts = page.locator(".verdict").all_inner_texts()
        assert verdicts
        assert all(
            any(word in text for word in ("better", "worse", "no difference shown"))
            for text in verdicts
        )
        for link in page.locator("td a").all():
            target = link.get_attribute("href")
            assert target
            assert page.locator(target).count() == 1
        page.close()


def contrast(one: str, other: str) -> float:
    """Of two CSS colours, WCAG 2: (L1 + 0.05) / (L2 + 0.05)."""

    def luminance(colour: str) -> float:
        parts = [
            int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")
        ]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_are_both_readable(
    browser: Browser, pages: dict[str, Path], scheme: str
) -> None:
    page = opened_page(browser, pages["six"], 1280, scheme).page
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (contrast(paper, "rgb(255, 255, 255)") < 1.5) == (scheme == "light")
    for selector in (
        "body",
        ".quiet",
        ".difference",
        "th small",
        ".better .verdict",
        ".worse .verdict",
    ):
        found = page.locator(selector)
        assert found.count(), selector
        colour = found.first.evaluate("e => getComputedStyle(e).color")
        assert contrast(colour, paper) >= 4.5, selector  # level AA
    page.close()


def test_on_paper_nothing_is_cut_off(browser: Browser, pages: dict[str, Path]) -> None:
    page = opened_page(browser, pages["two"], 794).page  # A4 at 96 dots an inch
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 794
    assert page.pdf(format="A4")[:5] == b"%PDF-"
    page.close()
