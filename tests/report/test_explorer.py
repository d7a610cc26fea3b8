"""The latent explorer in a browser, from file://, on small runs of every kind.

It is one file, asks nothing of the network, and every gesture changes what it should.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from conftest import tiny
from PIL import Image

import vaelab
from vaelab.errors import UserError
from vaelab.language import TEXTS
from vaelab.report import explorer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
ATTACKS = (
    "</script><script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "javascript:window.hit=1",
)
SCREENS = {"phone": (390, 800), "tablet": (768, 1000), "desk": (1440, 900)}

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)


def data(folder: Path) -> dict[str, str]:
    """Small files of each form: colour images that are not square, a table, signals, attacks."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    colour = rng.integers(0, 256, (120, 10, 16, 3)).astype(np.uint8)
    colour[np.arange(120), :, :, y] = 250
    np.savez(folder / "colour.npz", x=colour, y=y)
    time = np.linspace(0, 6, 40)
    waves = np.sin(time * (1 + y[:, None]) + rng.normal(0, 0.3, (120, 1))).astype(np.float32)
    np.savez(folder / "waves.npz", x=waves, y=y)
    rows = rng.normal(0, 1, (120, 4)) + y[:, None]
    lines = [
        ",".join(f"{v:.3f}" for v in row) + f",kind{k}" for row, k in zip(rows, y, strict=True)
    ]
    (folder / "table.csv").write_text("\n".join(["long name,b,<b>c</b>,d,class", *lines]) + "\n")
    for k, name in enumerate(ATTACKS):
        lines[k::3] = [line[: line.rindex(",")] + ",'" + name + "'" for line in lines[k::3]]
    attack = [line.replace('"', '""').replace(",'", ',"').replace("'", '"') for line in lines]
    (folder / "attack.csv").write_text("\n".join(["a,b,c,d,class", *attack]) + "\n")
    return {name: str(folder / name) for name in ("colour.npz", "waves.npz", "table.csv",
                                                  "attack.csv")}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, vaelab.Run]:
    folder = tmp_path_factory.mktemp("explored")
    files = data(folder)
    real = {"model.likelihood": "gaussian"}
    recipes: dict[str, dict[str, Any]] = {
        "mlp": {},
        "conv": {"model.network": "conv", "model.hidden": [4, 8], "model.latent": 5},
        "ae": {"model.posterior": "point"},
        "vq": {"model.variant": "vq-vae", "model.latent": 4},
        "colour": {"data.source": files["colour.npz"], "model.latent": 3} | real,
        "table": {"data.source": files["table.csv"]} | real,
        "waves": {"data.source": files["waves.npz"], "model.latent": 1} | real,
        "attack": {"data.source": files["attack.csv"]} | real,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.plots.gallery.snapshot", lambda *_: None)
        return {
            name: vaelab.train(tiny(settings), folder / name, quiet=True)
            for name, settings in recipes.items()
        }


@pytest.fixture(scope="module")
def pages(runs: dict[str, vaelab.Run]) -> dict[str, Path]:
    return {name: explorer.write([run], lang="en") for name, run in runs.items()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()


class Opened:
    """A page in a browser, with everything that it asked for or complained of."""

    def __init__(
        self, browser: Browser, path: Path, hash: str = "", screen: str = "desk", **options: Any
    ) -> None:
        width, height = SCREENS[screen]
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page: Page = browser.new_page(viewport={"width": width, "height": height}, **options)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.goto(path.as_uri() + hash)
        self.until("document.documentElement.dataset.ready")

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.wrong == []
        assert len([url for url in self.asked if not url.startswith("blob:")]) == 1
        assert self.page.locator("#error").is_hidden()
        assert self.page.evaluate("window.hit") is None
        self.page.close()

    def until(self, condition: str) -> None:
        """Wait for a condition; Playwright's own waiting evaluates text, which the page forbids."""
        for _ in range(500):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(condition)

    @property
    def hash(self) -> dict[str, str]:
        text = self.page.evaluate("location.hash.slice(1)")
        return dict(part.split("=", 1) for part in text.split("&")) if text else {}

    def canvas(self, selector: str = ".decoded canvas") -> str:
        """The picture on a canvas, as text."""
        found = self.page.locator(selector).first
        return str(found.evaluate("canvas => canvas.toDataURL()"))

    def drag(self, *places: tuple[float, float], on: str = ".plane", shift: bool = False) -> None:
        """Drag along places, given in shares of an element's width and height."""
        where: Locator = self.page.locator(on).first
        where.scroll_into_view_if_needed()
        box = where.bounding_box()
        assert box
        at = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in places]
        if shift:
            self.page.keyboard.down("Shift")
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        for x, y in at[1:]:
            self.page.mouse.move(x, y, steps=4)
        self.page.mouse.up()
        if shift:
            self.page.keyboard.up("Shift")


AROUND = ((0.02, 0.02), (0.85, 0.02), (0.85, 0.98), (0.02, 0.98))


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", ["mlp", "conv", "ae", "vq", "colour", "table", "waves"])
def test_every_kind_of_run_opens_whole(
    browser: Browser, pages: dict[str, Path], name: str, screen: str
) -> None:
    with Opened(browser, pages[name], screen=screen) as opened:
        page = opened.page
        assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen][0]
        inked = "canvas => new Set(canvas.getContext('2d').getImageData(0, 0, canvas.width, "
        inked += "canvas.height).data).size"
        opened.until(f"({inked})(document.querySelector('.plane canvas')) > 20")
        for tab in page.get_by_role("tab").all():
            tab.click()
        assert page.locator(".row").count() == (0 if name == "vq" else tab_rows(name))
        assert page.locator(".decoded").is_visible() == (name != "vq")
        opened.drag(*AROUND, shift=True)
        assert page.locator(".tiles button").count() > 5


def tab_rows(name: str) -> int:
    return {"conv": 5, "colour": 3, "waves": 1}.get(name, 2)


def test_dragging_decodes_in_the_same_frame(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"]) as opened:
        before = opened.canvas()
        opened.page.evaluate(
            """() => {
              window.spent = [];
              let start = 0;
              addEventListener("pointermove", () => { start = performance.now(); }, true);
              addEventListener("pointermove", () => spent.push(performance.now() - start));
            }"""
        )
        opened.drag((0.3, 0.3), (0.7, 0.7), (0.2, 0.6), (0.6, 0.2), (0.4, 0.5))
        assert opened.canvas() != before
        assert len(opened.hash["z1"].split(",")) == 2
        spent = sorted(opened.page.evaluate("spent"))
        assert spent[int(0.95 * len(spent))] < 16  # ms from the gesture to the picture


def test_the_first_gesture_moves_something(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"]) as opened:
        box = opened.page.locator(".plane").bounding_box()
        assert box
        opened.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        opened.page.mouse.move(box["x"] + box["width"] / 2 + 5, box["y"] + box["height"] / 2)
        assert opened.page.locator(".ghost").is_visible()


def test_the_address_restores_everything(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["conv"]) as opened:
        page = opened.page
        page.get_by_label("value of z₁").fill("1")
        page.get_by_label("Colour").select_option("distortion")
        opened.drag(*AROUND, shift=True)
        page.get_by_role("tab", name="Samples").click()
        page.get_by_role("button", name="Large type").click()
        first, picture = opened.hash, opened.canvas()
        url = page.url
    with Opened(browser, pages["conv"], "#" + url.partition("#")[2]) as again:
        assert again.canvas() == picture
        assert again.page.get_by_role("tab", name="Samples").get_attribute("aria-selected")
        again.page.get_by_role("tab", name="Region").click()
        assert again.page.locator(".tiles button").count() > 5
        assert {**again.hash, "tab": "samples"} == first
        assert "large" in again.page.evaluate("document.documentElement.className")


def test_undo_redo_and_reset(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"]) as opened:
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


def test_keys_alone_move_zoom_and_select(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"]) as opened:
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


def test_thumbnails_appear_past_a_zoom(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["colour"]) as opened:
        for _ in range(4):
            opened.page.get_by_role("button", name="Zoom in").click()
        before = opened.canvas(".plane canvas")
        assert float(opened.hash["view1"].split(",")[2]) > 5
        opened.page.get_by_role("button", name="Show everything").click()
        opened.until("!location.hash.includes('view1')")
        opened.page.wait_for_timeout(50)
        assert opened.canvas(".plane canvas") != before


def test_the_plane_can_be_decoded(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"], "#fade=0", color_scheme="light") as opened:
        assert dark(opened.canvas(".plane canvas")) < 0.1
        opened.page.get_by_role("button", name="Decode the plane").click()
        for _ in range(100):
            if dark(opened.canvas(".plane canvas")) > 0.5:
                break
            opened.page.wait_for_timeout(30)
        assert dark(opened.canvas(".plane canvas")) > 0.5
        assert opened.hash["map"] == "1"


def dark(url: str) -> float:
    """The share of dark pixels of a canvas."""
    image = Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L")
    return float((np.asarray(image) < 150).mean())


def test_a_lasso_counts_its_images_and_saves_them(
    browser: Browser, pages: dict[str, Path], runs: dict[str, vaelab.Run]
) -> None:
    with Opened(browser, pages["mlp"]) as opened:
        page = opened.page
        page.get_by_role("button", name="Lasso").click()
        opened.drag((0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99))
        total = len(runs["mlp"].data.test.x)
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
        split = runs["mlp"].data.test
        z = runs["mlp"].vae.encode(split.x[which].float() / 16, split.y[which]).numpy()
        assert np.abs(table - z).max() < 1e-3


def test_sliders_are_sorted_and_open_traversals(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["conv"]) as opened:
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


def test_a_drawn_image_is_encoded(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"]) as opened:
        page, before = opened.page, opened.canvas()
        opened.drag((0.3, 0.2), (0.7, 0.2), (0.45, 0.8), on=".pad")
        assert opened.canvas() != before
        assert opened.hash["image"] == "-2"
        said = page.locator(".said").inner_text()
        assert "Rate" in said
        assert "Distortion" in said
        url = page.url
    with Opened(browser, pages["mlp"], "#" + url.partition("#")[2]) as again:
        assert "Rate" in again.page.locator(".said").inner_text()
        again.page.get_by_label("Open a file").set_input_files(
            {"name": "a.png", "mimeType": "image/png", "buffer": png()}
        )
        again.until(f"location.hash !== '#{url.partition('#')[2]}'")


def png() -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((30, 50)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_changed_row_of_a_table_is_encoded(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["table"]) as opened:
        assert "long name" in opened.page.locator(".fields").inner_text()
        assert "<b>c</b>" in opened.page.locator(".fields").inner_text()
        before = opened.canvas()
        opened.page.get_by_label("long name").fill("5")
        opened.page.get_by_label("long name").blur()
        assert opened.canvas() != before
        assert "row" in opened.page.locator("h1").inner_text()


def test_interpolation_becomes_png_and_gif(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"]) as opened:
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


def test_samples_and_directions_move_the_point(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"], "#tab=samples") as opened:
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


def test_what_was_hardly_seen_is_dimmed(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["ae"], "#z1=500,500") as opened:
        opacity = "canvas => Number(canvas.style.opacity)"
        decoded = opened.page.locator(".decoded canvas")
        assert decoded.evaluate(opacity) < 0.5
        assert "99 %" in opened.page.locator(".thin").inner_text()
        opened.page.get_by_label("Dim where codes are rare").uncheck()
        assert decoded.evaluate(opacity) == 1
        assert opened.page.locator(".thin").is_hidden()


def test_language_theme_and_contrast(browser: Browser, pages: dict[str, Path]) -> None:
    with Opened(browser, pages["mlp"], color_scheme="light") as opened:
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


def test_two_runs_are_linked_by_the_image(
    browser: Browser, runs: dict[str, vaelab.Run], tmp_path: Path
) -> None:
    path = explorer.write([runs["mlp"], runs["ae"]], str(tmp_path / "two.html"), lang="en")
    with Opened(browser, path) as opened:
        opened.page.get_by_role("spinbutton").fill("11")
        opened.page.get_by_role("spinbutton").blur()
        for caption in opened.page.locator(".compared figcaption").all_inner_texts():
            assert caption.startswith("selected: test image 11")
        first, second = (opened.hash[key] for key in ("z1", "z2"))
        assert first != second
    shutil.copytree(runs["mlp"].folder, tmp_path / "copy")
    page = str(vaelab.explore(runs["mlp"], tmp_path / "copy"))
    assert f"<title>{runs['mlp'].folder.name} · copy" in page  # of one name: their folders
    with pytest.raises(UserError, match="explore two runs of the same data"):
        explorer.write([runs["mlp"], runs["table"]], str(tmp_path / "no.html"))


def test_names_from_a_run_folder_cannot_become_code(
    browser: Browser, runs: dict[str, vaelab.Run], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(runs["attack"].folder, tmp_path / "run"))
    recipe = (folder / "recipe.toml").read_text("utf-8")
    for key, attack in zip(("about", "name"), ATTACKS[:2], strict=True):
        recipe = re.sub(f"^{key} = .*$", lambda _, k=key, a=attack: f"{k} = {json.dumps(a)}",
                        recipe, count=1, flags=re.M)  # fmt: skip
    (folder / "recipe.toml").write_text(recipe, "utf-8")
    path = explorer.write([vaelab.load(folder)], lang="en")
    for attack in ATTACKS[:2]:
        assert attack not in path.read_text("utf-8")
    with Opened(browser, path) as opened:
        for tab in opened.page.get_by_role("tab").all():
            tab.click()
        assert ATTACKS[1] in opened.page.locator("h1").inner_text()
        assert ATTACKS[0] in opened.page.locator(".about").inner_text()
        legend = opened.page.locator(".legend").inner_text()
        assert all(attack[:20] in legend for attack in ATTACKS)
        opened.drag(*AROUND, shift=True)
        assert opened.page.locator("img").count() == 0
        assert opened.page.locator("a").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["mlp", "conv"])
def test_axe_finds_no_serious_violation(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed here: npm ci in web/")
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(pages[name].as_uri())
    page.wait_for_function("document.documentElement.dataset.ready")
    page.add_script_tag(path=AXE)
    for tab in ("image", "region", "path", "samples", "directions", "about"):
        page.click(f"#tab-{tab}")
        found = page.evaluate("axe.run()")["violations"]
        bad = [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found
               if v["impact"] in ("serious", "critical")]  # fmt: skip
        assert bad == [], tab
    context.close()


def test_every_text_that_the_script_asks_for_is_in_the_catalogue() -> None:
    source = Path(__file__).parents[2] / "web/src/explorer"
    code = "\n".join(path.read_text("utf-8") for path in source.rglob("*.ts"))
    asked = set(re.findall(r'words\.t\(\s*"(\w+)"', code)) | set(
        re.findall(r'"((?:key|tip|fact)_\w+)"', code)
    )
    assert len(asked) > 100
    assert asked <= TEXTS["explorer"].keys()


def test_the_command_writes_the_page_and_says_when_no_browser_opens(
    runs: dict[str, vaelab.Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from vaelab.cli.main import main
    from vaelab.files import written

    folder = shutil.copytree(runs["mlp"].folder, tmp_path / "run")
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)))
    assert main(["explore", str(folder), "--points", "50"]) == 0
    said = capsys.readouterr()
    assert said.out.strip() == str(folder / "explorer.html")
    assert "no browser" in said.err
    assert opened == [(folder / "explorer.html").as_uri()]
    assert "explorer.html" in written(folder)
    out = tmp_path / "other.html"
    assert main(["explore", str(folder), "--out", str(out), "--no-open", "--lang", "pt"]) == 0
    assert "explorador latente" in out.read_text("utf-8")
    assert len(opened) == 1
    (folder / ".vaelab").unlink()
    assert main(["explore", str(folder), "--no-open"]) == 2
    assert "was not written by vaelab" in capsys.readouterr().err


def test_a_notebook_shows_the_explorer_in_the_cell(
    browser: Browser, runs: dict[str, vaelab.Run], tmp_path: Path
) -> None:
    shown = vaelab.explore(runs["mlp"], points=20)._repr_html_()
    assert "<script" not in shown
    cell = tmp_path / "cell.html"
    cell.write_text(f"<!doctype html><title>a notebook</title>{shown}", "utf-8")
    page = browser.new_page()
    page.goto(cell.as_uri())
    frame = page.frame_locator("iframe")
    frame.get_by_role("button", name="Zoom in").click()
    frame.get_by_role("tab", name="Samples").click()
    assert frame.locator(".samples .cell").count() == 40
    assert frame.locator("#error").is_hidden()
    page.close()
