"""What the explorer looks like: screenshots of three pages beside those in shots/.

Every panel is compared by itself, as a coarse mosaic in grey: how strongly the found one correlates
with the committed one. To renew the committed pictures after a change of the page, look at them and
commit them:

    VAELAB_SHOTS=1 python -m pytest tests/report/test_explorer_shots.py
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import needs_chromium
from explored import FOLDER, Opened, page_of, run_of
from PIL import Image

from vaelab.report import explorer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SHOTS = Path(__file__).parent / "shots"
RENEW = bool(os.environ.get("VAELAB_SHOTS"))
WIDTH, HEIGHT, SHRINK, COLOURS = 1440, {1: 1240, 2: 1750}, 4, 64  # heights by number of runs
TILE = 6  # pixels of a shrunk picture
# A missing panel has 0; letters a fifth wider, so that lines wrap elsewhere, leave 0.34 and more.
LEAST = 0.3
PAGES = {
    "mlp": ("trained-vae",),
    "table": ("table",),
    "ae-beside-vae": ("trained-ae", "trained-vae"),
}
PANELS = (
    ".plane",
    ".decoded, .readout .cells",
    ".compared",
    ".sliders",
    ".toolbar",
    ".legend",
    ".below",
)
STYLE = """(text) => {
    document.head.append(Object.assign(document.createElement("style"), { textContent: text }));
}"""

pytestmark = needs_chromium


def opened(browser: Browser, name: str) -> Opened:
    """A page in its first state, at a fixed size, without anything that moves by itself."""
    kinds = PAGES[name]
    path = page_of(kinds[0])
    if len(kinds) > 1:
        runs = [run_of(kind) for kind in kinds]
        path = explorer.write(runs, str(FOLDER / f"{name}.html"), lang="en")
    page = Opened(browser, path, "#theme=light&image=0", reduced_motion="reduce")
    page.page.evaluate(STYLE, ".hint { visibility: hidden }")  # dark, it outweighs the points
    page.page.set_viewport_size({"width": WIDTH, "height": HEIGHT[len(kinds)]})
    return page


def shot(page: Opened) -> Image.Image:
    """A screenshot, shrunk, once nothing is painted any more."""
    before = b""
    while (found := page.page.screenshot(animations="disabled")) != before:
        before = found
        page.page.wait_for_timeout(150)
    whole = Image.open(BytesIO(found)).convert("RGB")
    return whole.resize((whole.width // SHRINK, whole.height // SHRINK), Image.Resampling.BOX)


def mosaic(image: Image.Image, box: dict[str, float]) -> np.ndarray[Any, Any]:
    """A part of a picture, a box in pixels of the page, as coarse tiles."""
    left, top = box["x"] / SHRINK, box["y"] / SHRINK
    right = min(image.width, left + box["width"] / SHRINK)
    low = min(image.height, top + box["height"] / SHRINK)
    size = max(3, round((right - left) / TILE)), max(1, round((low - top) / TILE))
    part = image.convert("L").resize(size, Image.Resampling.BOX, (left, top, right, low))
    return np.asarray(part).astype(float).ravel()


def likeness(page: Opened, found: Image.Image, kept: Image.Image) -> dict[str, float]:
    """The correlation of each panel in two pictures, the least of two runs; 0: one is blank."""
    least = dict.fromkeys(PANELS, 1.0)
    for panel in PANELS:
        for where in page.page.locator(panel).all():
            box = where.bounding_box()
            assert box, panel
            first, second = mosaic(found, box), mosaic(kept, box)
            first, second = first - first.mean(), second - second.mean()
            size = np.linalg.norm(first) * np.linalg.norm(second)
            least[panel] = min(least[panel], float(first @ second / size) if size > 1 else 0.0)
    return least


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_it_did(browser: Browser, name: str) -> None:
    with opened(browser, name) as page:
        found = shot(page)
        if RENEW:
            found.quantize(COLOURS).save(SHOTS / f"{name}.png", optimize=True)
        kept = Image.open(SHOTS / f"{name}.png").convert("RGB")
        assert found.size == kept.size
        pixels = np.asarray(found)
        assert pixels.std() > 15  # not blank
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500
        alike = likeness(page, found, kept)
        assert min(alike.values()) >= LEAST, alike


def test_the_comparison_forgives_other_fonts_and_no_missing_panel(browser: Browser) -> None:
    """How the tolerance was found: with wide letters, and without panels."""
    with opened(browser, "mlp") as page:
        kept = Image.open(SHOTS / "mlp.png").convert("RGB")
        page.page.evaluate(STYLE, "body, button, select, input { font-family: monospace }")
        wide = likeness(page, shot(page), kept)
        assert min(wide.values()) >= LEAST, wide
        page.page.evaluate(STYLE, ".plane canvas { visibility: hidden }")
        assert likeness(page, shot(page), kept)[".plane"] < LEAST / 3
        page.page.evaluate(STYLE, f"{', '.join(PANELS)} {{ visibility: hidden }}")
        gone = likeness(page, shot(page), kept)
        assert max(gone.values()) < LEAST / 3, gone
