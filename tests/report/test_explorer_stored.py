"""The explorer of a model that cannot run in the page shows what Python decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from conftest import needs_chromium
from explored import Opened, page_of, run_of
from torch import Tensor

from vaelab.export import Arrays
from vaelab.plots.posterior import posterior_of
from vaelab.plots.view import classes_in, displayed
from vaelab.report.explorer import gathered
from vaelab.report.explorer.stored import SAMPLES, stored
from vaelab.runs.rows import treated

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from vaelab import Run

STORED = ("vq", "large")

pytestmark = needs_chromium


def grey(run: Run, x: Tensor) -> np.ndarray:
    """The grey levels of one row (1, *shape), as a page shows them."""
    return displayed(run, x, gathered.TILE)[0, ..., 0].astype(int)


@pytest.mark.parametrize("kind", STORED)
def test_the_reconstruction_of_the_selected_image_is_that_of_pytorch(
    browser: Browser, kind: str
) -> None:
    run = run_of(kind)
    with Opened(browser, page_of(kind)) as opened:
        for image in (0, 7):
            opened.page.get_by_role("spinbutton").fill(str(image))
            opened.page.get_by_role("spinbutton").blur()
            x, y = treated(run, run.data.levels, run.data.test, np.array([image]))
            wanted = grey(run, run.vae.reconstruct(x, y))
            assert np.abs(opened.pixels() - wanted).max() <= 1
            assert np.abs(opened.pixels(".compared canvas") - grey(run, x)).max() <= 1
            assert "distortion" in opened.page.locator(".terms").inner_text()
            assert "Distortion" in opened.page.locator(".said").inner_text()
        assert "Decoded by Python" in opened.page.locator(".thin").inner_text()


@pytest.mark.parametrize("kind", STORED)
def test_tabs_without_anything_to_show_are_not_there(browser: Browser, kind: str) -> None:
    with Opened(browser, page_of(kind), "#tab=path") as opened:
        page = opened.page
        names = page.get_by_role("tab").all_inner_texts()
        directions = ["Directions"] if kind == "large" else []
        assert names == ["Test image", "Region", "Samples", *directions, "About this run"]
        assert page.get_by_role("tab", selected=True).inner_text() == "Test image"
        page.get_by_role("tab", selected=True).press("ArrowLeft")
        assert page.get_by_role("tab", selected=True).inner_text() == "About this run"
        page.get_by_role("tab", name="Samples").click()
        assert page.locator(".samples .cell").count() == SAMPLES
        for name in directions:
            page.get_by_role("tab", name=name).click()
            assert page.locator(".directions .cell").count() == 10
            assert page.locator(".directions").get_by_role("slider").count() == 0


@pytest.mark.parametrize("kind", STORED)
def test_what_cannot_be_encoded_is_not_asked_for(browser: Browser, kind: str) -> None:
    with Opened(browser, page_of(kind), "#image=-1") as opened:
        page = opened.page
        assert page.locator(".pad").count() == 0
        assert page.locator("input[type=file]").count() == 0
        said = page.locator(".own").inner_text().lower()
        assert "draw" not in said
        assert "drop" not in said
        page.get_by_role("button", name="Random test image").click()
        assert int(opened.hash["image"]) >= 0


@pytest.mark.parametrize("kind", STORED)
def test_each_reason_is_said_once(browser: Browser, kind: str) -> None:
    reason = "Codes are discrete" if kind == "vq" else "million parameters"
    with Opened(browser, page_of(kind), "#tab=about") as opened:
        assert opened.page.locator("body").inner_text().count(reason) == 1


def test_two_runs_offer_the_tabs_of_the_active_one(browser: Browser) -> None:
    from vaelab.report import explorer

    path = explorer.write(
        [run_of("mlp"), run_of("vq")], str(page_of("mlp").with_name("pair.html")), lang="en"
    )
    with Opened(browser, path, "#tab=path") as opened:
        assert opened.page.get_by_role("tab", name="Interpolate").is_visible()
        opened.drag((0.3, 0.3), (0.4, 0.4), on=".run:nth-child(2) .plane")
        opened.until("location.hash.includes('active=1')")
        assert opened.page.get_by_role("tab", name="Interpolate").is_hidden()
        assert opened.page.locator(".path").count() == 0


def test_a_page_holds_as_many_reconstructions_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("large")
    images = gathered.shown(run, run.data, 1000)
    codes = posterior_of(run, images.x, images.y, terms=True)
    classes = classes_in(run.data)
    whole = stored(run, images, codes, classes, Arrays())
    assert whole["which"] == list(range(len(images.x)))
    monkeypatch.setattr("vaelab.report.explorer.stored.BUDGET", 1000)
    few = stored(run, images, codes, classes, Arrays())
    assert 5 < len(few["which"]) < len(images.x)
    assert few["which"][0] == 0


def test_the_terms_of_a_posterior_are_those_of_the_model() -> None:
    run = run_of("large")
    x, y = treated(run, run.data.levels, run.data.test, np.arange(5))
    found = posterior_of(run, x, y, terms=True)
    assert found.z is not None
    with torch.no_grad():
        log_px = run.vae.decoder(torch.from_numpy(found.z)).log_prob(x)
    np.testing.assert_allclose(found.distortion, -log_px, rtol=1e-4)
    np.testing.assert_allclose(found.rate, np.sum(found.rates, 1), rtol=1e-4)
