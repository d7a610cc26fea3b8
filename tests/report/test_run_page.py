"""The report of a run in a browser: complete for every kind of run, and alive."""

from __future__ import annotations

import csv
import io
import json
import re
import string
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mixed_table
import msgspec
import numpy as np
import pytest
from browsing import Opened
from conftest import TINY, needs_chromium

import vaelab
from vaelab.language import TEXTS, Lang
from vaelab.recipes import override
from vaelab.report.run import page as run_page
from vaelab.runs import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SECTIONS = (
    "numbers", "trained", "curves", "evolution", "reconstructions", "samples", "latent",
    "dimensions", "traversals", "plane", "cite", "again",
)  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "image": {"train.epochs": 6},
    "autoencoder": {"model.variant": "ae"},
    "conditional": {"model.variant": "cvae", "model.latent": 3},
    "discrete": {"model.variant": "vq-vae", "model.latent": 4, "model.codes": 8},
    "line": {"model.latent": 1},
    "colour": {"data.source": "colour.npz", "model.latent": 3},
    "table": {"data.source": "table.csv", "data.labels": "kind", "data.standardise": True},
    "mixed": {"data.source": "mixed.csv"} | mixed_table.SETTINGS,
    "signal": {"data.source": "signal.npy"},
}
TABLES, PICTURED = ("table", "mixed"), ("evolution", "plane")
EVIL = ("a</script><img src=x onerror=alert(1)>", '"><img src=x onerror=alert(2)>', "javascript:x")

pytestmark = needs_chromium


def written_data(folder: Path) -> None:
    """Write small data of other kinds: pictures in colour, tables, signals."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    x = (80 * labels[:, None, None, None] + rng.integers(0, 60, (90, 3, 10, 16))).astype(np.uint8)
    np.savez(folder / "colour.npz", x=x, y=labels)
    rows = [
        [*(f"{value:.3f}" for value in rng.normal(label, 0.4, 4)), f"kind {label}"]
        for label in labels
    ]
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["a", "b", "c", "d", "kind"], *rows])
    mixed_table.write(folder / "mixed.csv")
    waves = np.sin(np.linspace(0, 9, 60) * (1 + labels[:, None]))
    np.save(folder / "signal.npy", (waves + 0.1 * rng.normal(size=(90, 60))).astype(np.float32))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of each kind, with its report; that of images is evaluated."""
    folder = tmp_path_factory.mktemp("runs")
    written_data(folder)
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        for kind, changes in KINDS.items():
            settings = TINY | {"train.schedule": "constant"} | changes
            if source := changes.get("data.source"):
                settings |= {"model.likelihood": "gaussian-learned"} | changes
                settings |= {"data.source": str(folder / source)}
            recipe = vaelab.recipe("quickstart", settings)
            found[kind] = vaelab.train(recipe, folder / kind, quiet=True)
    vaelab.evaluate(found["image"], samples=5, sections=("likelihood", "latent"), quiet=True)
    vaelab.write_report(folder / "image")
    return {kind: vaelab.load(run.folder) for kind, run in found.items()}


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train without figures."""
    monkeypatch.setattr("vaelab.plots.gallery.plot", lambda *_: None)


def page_of(run: Run) -> Path:
    return run.folder / "report.html"


def in_language(run: Run, lang: Lang) -> Run:
    return Run(run.folder, override(run.recipe, {"figures.lang": lang}))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_gets_a_whole_page(
    browser: Browser, runs: Mapping[str, Run], kind: str
) -> None:
    opened = Opened(browser, page_of(runs[kind]))
    page = opened.page
    page.wait_for_selector("html.scripted")
    there = page.locator("section").evaluate_all("all => all.map(one => one.id)")
    wanted = [name for name in SECTIONS if kind not in TABLES or name not in PICTURED]
    if kind == "mixed":
        wanted.insert(2, "columns")
    assert [name for name in there if name != "all"] == wanted
    for name in there:
        assert len(page.locator(f"#{name}").inner_text()) > 40, name
    sizes = page.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert all(sizes)
    assert (len(sizes) > 10) == (kind not in TABLES)
    for width in (1280, 768, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.wrong == []
    assert opened.foreign == []
    page.close()


def test_what_does_not_apply_is_said_in_a_sentence(
    browser: Browser, runs: Mapping[str, Run]
) -> None:
    for kind, section, words in (
        ("autoencoder", "dimensions", "its code is a point"),
        ("discrete", "dimensions", "The codes are discrete"),
        ("discrete", "traversals", "there are no traversals"),
        ("discrete", "plane", "nothing between two of them"),
    ):
        with Opened(browser, page_of(runs[kind])) as page:
            assert words in page.locator(f"#{section} .missing").inner_text(), kind


def test_a_table_has_the_names_of_its_columns(browser: Browser, runs: Mapping[str, Run]) -> None:
    with Opened(browser, page_of(runs["table"])) as page:
        for section in ("reconstructions", "samples"):
            names = page.locator(f"#{section} figcaption").all_inner_texts()
            assert [name[0] for name in names] == ["a", "b", "c", "d"]


def test_a_mixed_table_is_described_and_its_rows_are_listed(
    browser: Browser, runs: Mapping[str, Run]
) -> None:
    run = runs["mixed"]
    assert run.schema is not None
    with Opened(browser, page_of(run)) as page:
        table = page.locator("#columns tbody tr").all_inner_texts()
        said = {line.split("\t")[0]: line for line in table}
        assert list(said) == mixed_table.HEAD
        assert "identifier, not in the model" in said["id"]
        assert "constant" in said["region"]
        assert "1 < 2 < 3 < 4 < 5" in said["mark"]
        assert "log-normal" in said["income"]
        when = next(column for column in run.schema.columns if column.name == "when")
        first, last = when.cells(np.array([when.low, when.high]))
        assert f"{first} to {last}" in said["when"]
        empty = page.locator("#reconstructions .cells td.empty").count()
        assert empty > 0
        assert page.locator("#reconstructions .cells td.filled").count() == empty
        assert "" not in page.locator("#reconstructions td.filled").all_inner_texts()
        assert page.locator("#samples .cells td.empty").count() == 0
        shown = page.locator("#samples .cells td:nth-child(2)").all_inner_texts()
        assert {*shown} <= {*mixed_table.PLACES}
        assert page.locator("#traversals .effects tbody tr").count() == 3
        assert page.locator("img[src=x]").count() == 0
        assert page.locator("main b").count() == 0
        assert mixed_table.ATTACK in page.locator("#columns").inner_text()


def test_a_mixed_table_in_portuguese(
    browser: Browser, runs: Mapping[str, Run], tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    path.write_text(run_page.build(in_language(runs["mixed"], "pt")), "utf-8")
    with Opened(browser, path) as page:
        text = page.locator("main").inner_text()
        for words in ("identificador", "binomial negativa", "célula vazia", "Linhas amostradas"):
            assert words in text
        numbers = page.locator("#samples .cells td:nth-child(3)").all_inner_texts()
        assert all("," in number and "." not in number for number in numbers)


def test_names_do_not_depend_on_the_fonts_of_the_system(
    runs: Mapping[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaelab.plots.style._font", lambda character: "")
    assert "kind 2" in run_page.build(runs["table"])


def test_all_columns_of_the_layers_are_seen(browser: Browser, runs: Mapping[str, Run]) -> None:
    with Opened(browser, page_of(runs["table"]), 1440) as page:
        table = page.locator("table.layers")
        room = table.evaluate("one => one.parentElement.clientWidth - one.scrollWidth")
        assert room >= 0


def test_curves_show_values_zoom_and_hide(browser: Browser, runs: Mapping[str, Run]) -> None:
    run = runs["image"]
    with Opened(browser, page_of(run)) as page:
        chart = page.locator("[data-chart='0']")
        plot = chart.locator("svg").first
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box
        page.mouse.move(box["x"] + box["width"] - 11, box["y"] + 100)
        last = run.history[-1]
        said = chart.locator(".readout").inner_text()
        assert said.startswith("epoch 6:")
        for split in ("train", "validation"):
            assert f"{last[split]['loss']:.1f}" in said
        page.mouse.move(box["x"] + 60, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
        page.mouse.up()
        ends = [page.locator(f"[data-chart='{i}'] svg text").all_text_contents() for i in (0, 1)]
        assert all("6" not in texts for texts in ends)  # all charts show the same epochs
        page.get_by_role("button", name="All epochs").click()
        assert "6" in plot.locator("text").all_text_contents()
        lines = plot.locator("polyline").count()
        page.locator("[data-series='training']").click()
        assert plot.locator("polyline").count() == lines - 1
        plot.focus()
        page.keyboard.press("ArrowRight")
        assert chart.locator(".readout").inner_text().startswith("epoch 1:")
        page.keyboard.press("+")
        page.keyboard.press("ArrowLeft")
        assert not chart.locator(".readout").inner_text().startswith("epoch 6:")


def test_the_slider_and_the_play_button_change_the_picture(
    browser: Browser, runs: Mapping[str, Run]
) -> None:
    with Opened(browser, page_of(runs["image"])) as page:
        picture, epoch = page.locator("[data-picture]"), page.locator("[data-epoch]")
        last = picture.get_attribute("src")
        assert epoch.inner_text() == "6"
        slider = page.locator("[data-frame]")
        slider.focus()
        page.keyboard.press("Home")
        assert epoch.inner_text() == "1"
        assert picture.get_attribute("src") != last
        assert "epoch 1" in (picture.get_attribute("alt") or "")
        page.locator("[data-play]").click()
        epoch.filter(has_text="6").wait_for()
        assert picture.get_attribute("src") == last


def test_the_latent_plane_shows_the_image_under_the_pointer(
    browser: Browser, runs: Mapping[str, Run]
) -> None:
    with Opened(browser, page_of(runs["conditional"])) as page:
        canvas, said = page.locator(".plane canvas").first, page.locator("[data-said]")
        canvas.scroll_into_view_if_needed()
        before = said.inner_text()
        canvas.focus()
        page.keyboard.press("ArrowRight")
        first = said.inner_text()
        assert re.match(r"test example \d+, class \d", first)
        assert page.locator("[data-hovered]").is_visible()
        page.keyboard.press("ArrowRight")
        assert said.inner_text() != first
        page.keyboard.press("Escape")
        assert said.inner_text() == before
        box = canvas.bounding_box()
        assert box
        for step in range(1, 40):  # the pointer finds a point on the way across the plane
            page.mouse.move(box["x"] + step * box["width"] / 40, box["y"] + box["height"] / 2)
            if said.inner_text() != before:
                break
        assert said.inner_text().startswith("test example")
        page.locator("[data-class='3']").click()
        pressed = page.locator("[data-class][aria-pressed='true']")
        assert pressed.evaluate_all("all => all.map(one => one.dataset.class)") == ["3"]


def test_numbers_are_copied_and_downloaded_exactly(
    browser: Browser, runs: Mapping[str, Run]
) -> None:
    run = runs["image"]
    measured = json.loads((run.folder / "evaluation.json").read_text())["sections"]
    with Opened(browser, page_of(run)) as page:
        # Some browsers forbid it on a file:// page.
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(Error()) }")
        field = page.locator(".copy textarea")
        assert not field.is_visible()
        page.get_by_role("button", name="CSV").click()
        field.wait_for()
        chosen = field.evaluate("field => field.selectionEnd - field.selectionStart")
        assert chosen == len(field.input_value())
        rows = {row["number"]: row for row in csv.DictReader(io.StringIO(field.input_value()))}
        for name in ("loss", "distortion", "rate", "nll"):
            known = measured["likelihood-5"][name]
            assert float(rows[f"likelihood.{name}"]["value"]) == known["value"]
            assert float(rows[f"likelihood.{name}"]["error"]) == known["error"]
        for kind, part in (("Markdown", "| Loss (−ELBO) |"), ("LaTeX", r"\begin{tabular}{lrl}")):
            page.get_by_role("button", name=kind).click()
            assert part in field.input_value()
        with page.expect_download() as download:
            page.locator("[data-download]").click()
        data = json.loads(Path(download.value.path()).read_text("utf-8"))
        assert data["results"] == run.results
        assert data["metrics"] == run.history
        assert data["evaluation"]["sections"] == measured


def test_before_an_evaluation_the_numbers_of_the_training_are_shown(
    browser: Browser, runs: Mapping[str, Run]
) -> None:
    run = runs["line"]
    with Opened(browser, page_of(run)) as page:
        for name in ("loss", "distortion", "rate"):
            shown = page.locator(f"[data-number='{name}'] .value").inner_text()
            assert float(shown.replace("−", "-")) == pytest.approx(run.results[name], rel=1e-3)
        assert f"vaelab evaluate {run.folder}" in page.locator("#numbers").inner_text()


@pytest.mark.parametrize("kind", ["image", "table", "mixed", "discrete", "autoencoder"])
def test_a_page_in_portuguese_has_no_english_sentence(
    browser: Browser, runs: Mapping[str, Run], tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "pt.html"
    path.write_text(run_page.build(in_language(runs[kind], "pt")), "utf-8")
    with Opened(browser, path) as page:
        assert page.locator("html").get_attribute("lang") == "pt-BR"
        page.evaluate("document.querySelectorAll('[lang=en]').forEach(one => one.remove())")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        shown = page.locator("body").inner_text()
        alts = page.locator("[alt], [aria-label]").evaluate_all(
            "all => all.map(one => one.getAttribute('alt') ?? one.getAttribute('aria-label'))"
        )
        shown = "\n".join([shown, *alts])
    for texts in TEXTS.values():
        for key, entry in texts.items():
            fixed = [part for part, *_ in string.Formatter().parse(entry["en"]) if part]
            longest = max(fixed, key=len, default="").strip()
            if len(longest) > 14 and longest not in entry["pt"]:
                assert longest not in shown, key
    assert "Reconstruções" in shown


@pytest.mark.skipif(not AXE.exists(), reason="npm ci in web/ installs axe-core")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_obstacle_for_people_with_disabilities(
    browser: Browser, runs: Mapping[str, Run], scheme: Any
) -> None:
    for kind in ("image", "table", "mixed", "line"):
        options = {"color_scheme": scheme, "bypass_csp": True}
        with Opened(browser, page_of(runs[kind]), **options) as page:
            page.wait_for_selector("html.scripted")
            page.add_script_tag(path=str(AXE))
            found = page.evaluate("axe.run()")["violations"]
            serious = [one for one in found if one["impact"] in ("serious", "critical")]
            told = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in serious]
            assert told == [], kind
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_without_scripts_and_on_paper_everything_static_is_there(
    browser: Browser, runs: Mapping[str, Run]
) -> None:
    with Opened(browser, page_of(runs["image"]), java_script_enabled=False) as page:
        assert page.locator("#latent img").is_visible()
        assert page.locator("#curves polyline").count() >= 6
        assert not page.locator(".interactive:visible").count()
        assert page.locator("#evolution img").is_visible()
    with Opened(browser, page_of(runs["image"]), 794) as page:  # A4 at 96 dots an inch
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= 794
        assert not page.locator("nav").is_visible()
        assert page.locator("#all details table").first.is_visible()
        assert page.pdf(format="A4")[:5] == b"%PDF-"


def test_names_and_texts_of_others_stay_text(browser: Browser, tmp_path: Path) -> None:
    name, path = EVIL[0], tmp_path / f"{EVIL[1]}.csv"
    rows = [[i % 7, (i * i) % 5, EVIL[i % 3]] for i in range(60)]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["a", EVIL[2], "kind"], *rows])
    settings = {"data.source": str(path), "data.labels": "kind", "data.standardise": True}
    settings |= {"model.likelihood": "gaussian", "train.epochs": 1}
    recipe = vaelab.recipe("quickstart", TINY | settings)
    recipe = msgspec.structs.replace(recipe, name=name, about=EVIL[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        run = vaelab.train(recipe, tmp_path / EVIL[2], quiet=True)
    vaelab.write_report([run, run.folder], tmp_path / "two.html")
    pages = [page_of(run), tmp_path / "two.html", vaelab.write_report(tmp_path)]
    for page_path in pages:
        opened = Opened(browser, page_path)
        page = opened.page
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        page.wait_for_selector("html.scripted")
        assert page.locator("[onerror]").count() == 0
        links = page.locator("a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        assert all(link[:1] in "#." for link in links)
        assert opened.wrong == []
        assert opened.foreign == []
        page.close()
    assert EVIL[1] in pages[0].read_text("utf-8").replace("&#34;", '"').replace(
        "&lt;", "<"
    ).replace("&gt;", ">")
    assert "<img src=x" not in run._repr_html_()


def test_the_page_of_an_epoch_reloads_itself_until_the_run_is_finished(
    browser: Browser, tmp_path: Path, plain: None
) -> None:
    pages: list[str] = []
    original = Run.write

    def write(run: Run, name: str, payload: Any) -> Path:
        if name == "report.html":
            pages.append(payload.decode())
        return original(run, name, payload)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "write", write)
        patch.setattr("vaelab.workflows.report.SECONDS", 0.0)
        patch.setattr("vaelab.workflows.report.SHARE", 1e9)
        recipe = vaelab.recipe("quickstart", TINY | {"train.epochs": 3})
        vaelab.train(recipe, tmp_path / "run", watch=True, quiet=True)
    assert len(pages) == 4
    refresh = '<meta http-equiv="refresh"'
    assert [refresh in page for page in pages] == [True, True, True, False]
    assert "2 of 3 epochs" in pages[1]
    (tmp_path / "second.html").write_text(pages[1], "utf-8")
    opened = Opened(browser, tmp_path / "second.html")
    assert opened.page.locator("#curves polyline").count()
    assert opened.wrong == []
    opened.page.close()


def test_a_page_no_longer_reloads_itself_after_an_interruption(
    tmp_path: Path, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr("vaelab.workflows.train.measure", interrupted)
    recipe = vaelab.recipe("quickstart", TINY | {"train.epochs": 2})
    with pytest.raises(KeyboardInterrupt, match="its figures are not"):
        vaelab.train(recipe, tmp_path / "run", watch=True, quiet=True)
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert 'http-equiv="refresh"' not in page
    assert "2 of 2 epochs" in page
    assert 'id="latent"' in page


def test_watching_changes_nothing_of_the_run(tmp_path: Path, plain: None) -> None:
    recipe = vaelab.recipe("quickstart", TINY | {"train.epochs": 2})
    runs = [
        vaelab.train(recipe, tmp_path / name, watch=name == "watched", quiet=True)
        for name in ("watched", "alone")
    ]
    for name in ("metrics.jsonl", "results.json", "best.safetensors"):
        assert (runs[0].folder / name).read_bytes() == (runs[1].folder / name).read_bytes()


def test_a_report_that_fails_does_not_lose_the_run(
    tmp_path: Path, plain: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise RuntimeError("no page today")

    monkeypatch.setattr(run_page, "build", fail)
    recipe = vaelab.recipe("quickstart", TINY | {"train.epochs": 1})
    run = vaelab.train(recipe, tmp_path / "run", watch=True)
    assert run.finished
    out = capsys.readouterr().out
    assert "note: the report could not be written (no page today); vaelab report" in out
    assert out.count("no page today") == 2


def test_the_card_of_a_notebook_has_the_numbers_of_the_run(digits_run: Path) -> None:
    run = vaelab.load(digits_run)
    card = run._repr_html_()
    assert f"{run.results['loss']:.2f}" in card
    assert card.count('<img src="data:image/png') == 2
    assert "<script" not in card
