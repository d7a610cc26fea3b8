"""A table in the explorer: rows as lists of cells, in its units, words and dates, decoded live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mixed_table
import numpy as np
import pytest
from conftest import needs_chromium
from explored import AROUND, Opened, page_of, run_of

from vaelab.data import Array, Column

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium
PARITY = 1e-4  # as in tests/export; the page holds codes with 16 bits


def test_rows_have_the_cells_of_the_table_and_those_that_pytorch_decodes(browser: Browser) -> None:
    run = run_of("mixed")
    assert run.schema is not None
    x = run.data.test.x
    again = run.vae.reconstruct(x).numpy()
    with Opened(browser, page_of("mixed"), "#image=0") as opened:
        assert not opened.page.locator(".readout canvas").count()
        for i in range(min(8, len(x))):
            opened.page.fill("#below input[type=number] >> nth=-1", str(i))
            opened.page.keyboard.press("Enter")
            opened.page.wait_for_timeout(60)
            decoded, given = shown(opened, ".readout")
            for j, column in enumerate(run.schema.modelled):
                assert given[j] == column.cells(x[i : i + 1, j].numpy())[0].replace("-", "−")
                assert same(column, decoded[j], again[i : i + 1, j]), column.name
        empty = opened.page.locator(".readout td.empty").count()
        assert empty == int(x[i].isnan().sum())


def shown(opened: Opened, place: str) -> list[list[str]]:
    """The texts of the rows that are listed at a place."""
    lines = opened.page.locator(f"{place} .cells tbody tr").all()
    cells = [line.locator("td").all_inner_texts() for line in lines]
    return [list(row) for row in zip(*cells, strict=True)]


def same(column: Column, text: str, x: Array) -> bool:
    """Whether a text is that of a cell, but for a rounding of its last digit, and of the code."""
    wanted = column.cells(x)[0]
    if column.values or column.kind == "date":
        return text == wanted
    away = abs(float(text.replace("−", "-")) - float(wanted))
    return away <= 1.01 * column.step + PARITY * abs(float(wanted) - column.origin)


def test_hovering_a_place_lists_its_row_and_the_nearest_one(browser: Browser) -> None:
    with Opened(browser, page_of("mixed")) as opened:
        box = opened.page.locator(".plane").bounding_box()
        assert box
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        opened.page.wait_for_selector(".ghost .cells", state="visible")
        names = opened.page.locator(".ghost tbody th").all_text_contents()
        assert names == [name for name in mixed_table.HEAD if name not in ("id", "region")]
        assert len(shown(opened, ".ghost")) == 2


def test_a_row_is_filled_in_with_words_dates_and_empty_cells(browser: Browser) -> None:
    with Opened(browser, page_of("mixed"), "#image=2") as opened:
        page = opened.page
        field = page.locator(".fields label")
        place = field.filter(has_text="place").locator("select")
        place.select_option(label=mixed_table.PLACES[1])
        field.filter(has_text="when").locator("input").fill("2021-02-03")
        field.filter(has_text="visits").locator("input").fill("")
        page.keyboard.press("Tab")
        page.wait_for_timeout(100)
        original, again = shown(opened, ".results")
        names = page.locator(".results tbody th").all_text_contents()
        at = dict(zip(names, original, strict=True))
        assert (at["place"], at["when"], at["visits"]) == (mixed_table.PLACES[1], "03.02.2021", "")
        assert "" not in again
        assert page.locator(".results td.filled").count() >= 1
        opened.until("location.hash.includes('drawn')")
        address = page.evaluate("location.hash")
    with Opened(browser, page_of("mixed"), address) as opened:
        opened.page.wait_for_timeout(100)
        assert shown(opened, ".results") == [original, again]


def test_samples_traversals_and_regions_are_tables(browser: Browser) -> None:
    with Opened(browser, page_of("mixed")) as opened:
        page = opened.page
        page.click("#tab-samples")
        rows = shown(opened, ".samples")
        assert len(rows) == 40
        assert {row[1] for row in rows} <= {*mixed_table.PLACES}
        before = opened.hash.get("z0")
        page.locator(".samples thead button").nth(3).click()
        page.wait_for_timeout(80)
        assert shown(opened, ".readout")[0] == rows[3]
        assert opened.hash != {"z0": before}
        page.locator(".row .name").first.click()
        assert len(shown(opened, ".row")) == 9
        opened.drag(*AROUND, shift=True)
        page.click("#tab-region")
        assert len(shown(opened, ".region .wide")) > 5
        assert not page.get_by_role("button", name="Decode the plane").count()


@pytest.mark.parametrize("screen", ["phone", "desk"])
def test_a_wide_table_scrolls_in_its_own_place(browser: Browser, screen: str) -> None:
    with Opened(browser, page_of("mixed"), "#image=1", screen=screen) as opened:
        page = opened.page
        for tab in ("image", "samples", "path", "directions"):
            page.click(f"#tab-{tab}")
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, tab


def test_numbers_are_written_as_the_language_does(browser: Browser) -> None:
    with Opened(browser, page_of("mixed"), "#image=1&lang=pt") as opened:
        names = opened.page.locator(".readout tbody th").all_text_contents()
        income = shown(opened, ".readout")[0][names.index("income")]
        assert "," in income
        assert "." not in income
        assert np.isfinite(float(income.replace(",", ".")))


def test_a_table_of_numbers_has_no_empty_cells(browser: Browser) -> None:
    with Opened(browser, page_of("table")) as opened:
        page = opened.page
        fields = page.locator(".fields input")
        assert all(field.input_value() for field in fields.all())  # those of the nearest row
        fields.first.fill("")
        assert "drawn" not in opened.hash
        fields.first.fill("2.5")
        page.keyboard.press("Tab")
        opened.until("location.hash.includes('drawn')")
        assert shown(opened, ".results")[0][0] == "2.5"
