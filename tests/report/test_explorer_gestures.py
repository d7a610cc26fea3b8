"""The gestures of the latent explorer: each changes what it should, in a browser, from file://."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from conftest import needs_chromium
from explored import AROUND, Opened, page_of, run_of
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = needs_chromium


def test_the_first_gesture_moves_something(browser: Browser) -> None:
    with Opened(browser, page_of("mlp")) as opened:
        box = opened.page.locator(".plane").bounding_box()
        assert box
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        opened.page.mouse.move(box["x"] + box["width"] / 2 + 5, box["y"] + box["height"] / 2)
        opened.until("!document.querySelector('.ghost').hidden")


def test_the_address_restores_everything(browser: Browser) -> None:
    with Opened(browser, page_of("conv")) as opened:
        page = opened.page
        page.get_by_label("value of z₁").fill("1")
        page.get_by_label("Colour").select_option("distortion")
        opened.drag(*AROUND, shift=True)
        page.get_by_role("tab", name="Samples").click()
        page.get_by_role("button", name="Large type").click()
        first, picture = opened.hash, opened.canvas()
        url = page.url
    with Opened(browser, page_of("conv"), "#" + url.partition("#")[2]) as again:
        assert again.canvas() == picture
        assert again.page.get_by_role("tab", name="Samples").get_attribute("aria-selected")
        again.page.get_by_role("tab", name="Region").click()
        assert again.page.locator(".tiles button").count() > 5
        assert {**again.hash, "tab": "samples"} == first
        assert "large" in again.page.evaluate("document.documentElement.className")


def test_an_image_in_the_address_moves_the_point_to_its_code(browser: Browser) -> None:
    with Opened(browser, page_of("mlp")) as opened:
        opened.page.get_by_role("spinbutton").fill("5")
        opened.page.get_by_role("spinbutton").blur()
        assert opened.hash == {"image": "5"}
        chosen = opened.page.locator(".code").inner_text(), opened.canvas()
    with Opened(browser, page_of("mlp"), "#image=5") as again:
        assert (again.page.locator(".code").inner_text(), again.canvas()) == chosen
        again.page.get_by_label("value of z₁").fill("2")
        assert "z1" in again.hash


MOVES = """(place) => {
    const model = document.getElementById("explorer").models[0];
    const { decode } = model;
    let count = 0;
    model.decode = (...values) => { count += 1; return decode.apply(model, values); };
    const target = document.querySelector(place);
    for (let i = 0; i < 20; i++) {
        if (target.type === "range") {
            target.value = String(i / 20);
            target.dispatchEvent(new Event("input"));
        } else {
            const where = { clientX: 300 + i, clientY: 300, pointerId: 1, pointerType: "mouse" };
            target.dispatchEvent(new PointerEvent("pointermove", where));
        }
    }
    const before = count;
    return new Promise((tell) => requestAnimationFrame(() => {
        delete model.decode;
        tell([before, count]);
    }));
}"""


def test_many_moves_within_a_frame_are_decoded_once(browser: Browser) -> None:
    with Opened(browser, page_of("conv")) as opened:  # without strips, which are open in a plane
        for place in (".plane", ".row input"):
            assert opened.page.evaluate(MOVES, place) == [0, 1]


def test_undo_redo_and_reset(browser: Browser) -> None:
    with Opened(browser, page_of("mlp")) as opened:
        page, start = opened.page, opened.canvas()
        opened.drag((0.5, 0.5), (0.6, 0.6))
        moved = opened.canvas()
        page.get_by_label("value of z₁").fill("2")
        last = opened.canvas()
        assert len({start, moved, last}) == 3
        page.keyboard.press("Control+z")
        assert opened.canvas() == moved
        page.keyboard.press("Control+z")
        assert opened.canvas() == start
        page.keyboard.press("Control+Shift+Z")
        assert opened.canvas() == moved
        page.get_by_role("button", name="Reset").click()
        assert opened.canvas() == start
        assert opened.hash == {}


def test_keys_alone_move_zoom_and_select(browser: Browser) -> None:
    with Opened(browser, page_of("mlp")) as opened:
        page, before = opened.page, opened.canvas()
        page.locator(".plane").focus()
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("ArrowUp")
        assert opened.canvas() != before
        page.keyboard.press("+")
        page.keyboard.press("Enter")
        assert int(opened.hash["image"]) >= 0
        assert page.locator(".terms").inner_text().count("nats") == 2
        opened.until("location.hash.includes('view1')")
        page.keyboard.press("?")
        assert page.get_by_role("dialog").is_visible()
        page.keyboard.press("Escape")
        assert page.get_by_role("dialog").count() == 0
        opened.until("document.querySelector('.unseen').textContent.includes('class')")


def test_thumbnails_appear_past_a_zoom(browser: Browser) -> None:
    with Opened(browser, page_of("colour")) as opened:
        for _ in range(4):
            opened.page.get_by_role("button", name="Zoom in").click()
        before = opened.canvas(".plane canvas")
        assert float(opened.hash["view1"].split(",")[2]) > 5
        opened.page.get_by_role("button", name="Show everything").click()
        opened.until("!location.hash.includes('view1')")
        opened.page.wait_for_timeout(50)
        assert opened.canvas(".plane canvas") != before


def test_the_plane_can_be_decoded(browser: Browser) -> None:
    with Opened(browser, page_of("mlp"), "#fade=0", color_scheme="light") as opened:
        assert dark(opened) < 0.1
        opened.page.get_by_role("button", name="Decode the plane").click()
        for _ in range(100):
            if dark(opened) > 0.5:
                break
            opened.page.wait_for_timeout(30)
        assert dark(opened) > 0.5
        assert opened.hash["map"] == "1"


def dark(opened: Opened) -> float:
    """The share of dark pixels of the plane."""
    return float((opened.pixels(".plane canvas") < 150).mean())


def test_a_lasso_counts_its_images_and_saves_them(browser: Browser) -> None:
    with Opened(browser, page_of("mlp")) as opened:
        page = opened.page
        page.get_by_role("button", name="Lasso").click()
        opened.drag((0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99))
        total = len(run_of("mlp").data.test.x)
        said = page.locator(".region h3").inner_text()
        count = int(said.split()[0])
        assert total * 0.9 <= count <= total
        with page.expect_download() as download:
            page.get_by_role("button", name="Download as CSV").click()
        lines = download.value.path().read_text("utf-8").splitlines()
        assert lines[0].startswith("index,class,z1,z2,")
        assert len(lines) == count + 1
        table = np.array([[float(v) for v in line.split(",")[2:4]] for line in lines[1:]])
        which = [int(line.split(",")[0]) for line in lines[1:]]
        split = run_of("mlp").data.test
        z = run_of("mlp").vae.encode(split.x[which].float() / 16, split.y[which]).numpy()
        assert np.abs(table - z).max() < 1e-3


def test_sliders_are_sorted_and_open_traversals(browser: Browser) -> None:
    with Opened(browser, page_of("conv")) as opened:
        page = opened.page
        nats = [float(text.split()[0]) for text in page.locator(".nats").all_inner_texts()]
        assert nats == sorted(nats, reverse=True)
        before = opened.canvas()
        page.locator(".row input").first.fill("2.5")
        assert opened.canvas() != before
        page.locator(".row .name").first.click()
        assert page.locator(".row .strip .cell").count() == 9
        page.locator(".row .strip .cell").first.click()
        assert page.locator(".row output").first.inner_text() != "2.50"


def test_a_drawn_image_is_encoded(browser: Browser) -> None:
    with Opened(browser, page_of("mlp")) as opened:
        page, before = opened.page, opened.canvas()
        opened.drag((0.3, 0.2), (0.7, 0.2), (0.45, 0.8), on=".pad")
        assert opened.canvas() != before
        assert opened.hash["image"] == "-2"
        said = page.locator(".said").inner_text()
        assert "Rate" in said
        assert "Distortion" in said
        url = page.url
    with Opened(browser, page_of("mlp"), "#" + url.partition("#")[2]) as again:
        assert "Rate" in again.page.locator(".said").inner_text()
        again.page.get_by_label("Open a file").set_input_files(
            {"name": "a.png", "mimeType": "image/png", "buffer": png()}
        )
        again.until(f"location.hash !== '#{url.partition('#')[2]}'")


def png() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((30, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_changed_row_of_a_table_is_encoded(browser: Browser) -> None:
    with Opened(browser, page_of("table")) as opened:
        assert "long name" in opened.page.locator(".fields").inner_text()
        assert "<b>c</b>" in opened.page.locator(".fields").inner_text()
        cells = opened.page.locator(".readout .cells")
        before = cells.inner_text()
        opened.page.get_by_label("long name").fill("5")
        opened.page.get_by_label("long name").blur()
        assert cells.inner_text() != before
        assert "row" in opened.page.locator("h1").inner_text()


def test_interpolation_becomes_png_and_gif(browser: Browser) -> None:
    with Opened(browser, page_of("mlp")) as opened:
        page = opened.page
        page.get_by_role("button", name="Interpolate").click()
        opened.drag((0.3, 0.3), (0.7, 0.6))
        assert {"a1", "b1"} <= opened.hash.keys()
        assert page.locator(".path .cell").count() == 11
        for kind, magic in (("PNG", b"\x89PNG"), ("GIF", b"GIF89a")):
            with page.expect_download() as download:
                page.get_by_role("button", name=f"Save {kind}").click()
            assert download.value.path().read_bytes().startswith(magic)
        page.get_by_label("spherical").check()
        assert opened.hash["curved"] == "1"


def test_samples_and_directions_move_the_point(browser: Browser) -> None:
    with Opened(browser, page_of("mlp"), "#tab=samples") as opened:
        page = opened.page
        before = opened.canvas()
        page.locator(".samples .cell").nth(3).click()
        assert opened.canvas() != before
        page.get_by_role("button", name="More samples").click()
        assert opened.hash["page"] == "1"
        mean = opened.canvas()
        page.get_by_label("Sample p(x|z)").check()
        assert opened.canvas() != mean
        page.get_by_label("Sample p(x|z)").uncheck()
        page.get_by_role("tab", name="Directions").click()
        page.get_by_label("From").select_option("3")
        page.get_by_label("to", exact=True).select_option("8")
        page.get_by_label("strength").fill("1")
        assert opened.canvas() != mean
        page.get_by_role("button", name="Back to 0").click()
        assert opened.canvas() == mean


def test_what_was_hardly_seen_is_dimmed(browser: Browser) -> None:
    with Opened(browser, page_of("ae"), "#z1=500,500") as opened:
        opacity = "canvas => Number(canvas.style.opacity)"
        decoded = opened.page.locator(".decoded canvas")
        assert decoded.evaluate(opacity) < 0.5
        assert "99%" in opened.page.locator(".thin").inner_text()
        opened.page.get_by_label("Dim where codes are rare").uncheck()
        assert decoded.evaluate(opacity) == 1
        assert opened.page.locator(".thin").is_hidden()


def test_language_theme_and_contrast(browser: Browser) -> None:
    with Opened(browser, page_of("mlp"), color_scheme="light") as opened:
        page = opened.page
        page.get_by_role("button", name="Português").click()
        assert page.get_by_role("tab", name="Amostras").is_visible()
        assert page.evaluate("document.documentElement.lang") == "pt-BR"
        paper = "getComputedStyle(document.querySelector('.left')).backgroundColor"
        light = page.evaluate(paper)
        picture = opened.canvas(".plane canvas")
        page.get_by_role("button", name="Claro ou escuro").click()
        page.wait_for_timeout(50)
        assert page.evaluate(paper) != light
        assert opened.canvas(".plane canvas") != picture
        assert opened.hash["theme"] == "dark"
        assert opened.hash["lang"] == "pt"
