"""The pages of the latent explorer: one file for every kind of run, whole, readable and safe."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from conftest import needs_chromium
from explored import AROUND, ATTACKS, SCREENS, Opened, page_of, run_of

import vaelab
from vaelab.errors import UserError
from vaelab.language import texts
from vaelab.report import explorer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"

KINDS_OPENED = ["mlp", "conv", "ae", "vq", "large", "colour", "table", "mixed", "waves"]
STORED = ("vq", "large")  # what Python decoded, as the page cannot

pytestmark = needs_chromium


@pytest.mark.parametrize("kind", KINDS_OPENED)
def test_every_kind_of_run_opens_whole(browser: Browser, kind: str) -> None:
    with Opened(browser, page_of(kind), screen="phone") as opened:
        page = opened.page
        for screen, (width, _) in SCREENS.items():
            opened.show(screen)
            opened.until(f"document.querySelector('.plane canvas').clientWidth < {width}")
            opened.page.wait_for_timeout(50)
            assert len(np.unique(opened.pixels(".plane canvas"))) > 20
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator(".decoded, .readout .cells").is_visible()
        for tab in page.get_by_role("tab").all():
            tab.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator(".row").count() == (0 if kind in STORED else tab_rows(kind))
        opened.drag(*AROUND, shift=True)
        assert page.locator(".tiles button, .region .cells button").count() > 5


def tab_rows(kind: str) -> int:
    return {"conv": 5, "colour": 3, "mixed": 3, "waves": 1}.get(kind, 2)


def test_two_runs_are_linked_by_the_image(browser: Browser, tmp_path: Path) -> None:
    path = explorer.write([run_of("mlp"), run_of("ae")], str(tmp_path / "two.html"), lang="en")
    with Opened(browser, path) as opened:
        opened.page.get_by_role("spinbutton").fill("11")
        opened.page.get_by_role("spinbutton").blur()
        for caption in opened.page.locator(".compared figcaption").all_inner_texts():
            assert caption.startswith("selected: test image 11")
        first, second = opened.page.locator(".code").all_inner_texts()
        assert first != second
        assert opened.hash == {"image": "11"}  # which alone moves both points
    shutil.copytree(run_of("mlp").folder, tmp_path / "copy")
    page = str(vaelab.explore(run_of("mlp"), tmp_path / "copy"))
    assert f"<title>{run_of('mlp').folder.name} · copy" in page  # of one name: their folders
    with pytest.raises(UserError, match="explore two runs of the same data"):
        explorer.write([run_of("mlp"), run_of("table")], str(tmp_path / "no.html"))


def test_names_from_a_run_folder_cannot_become_code(browser: Browser, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(run_of("attack").folder, tmp_path / "run"))
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
@pytest.mark.parametrize("kind", ["mlp", "conv", "mixed"])
def test_axe_finds_no_serious_violation(browser: Browser, kind: str, scheme: str) -> None:
    """The whole page is judged once, and below the tabs whatever each of them shows."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed here: npm ci in web/")
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    page.goto(page_of(kind).as_uri())
    page.wait_for_function("document.documentElement.dataset.ready")
    page.add_script_tag(path=AXE)
    run = "(part) => axe.run(part, {resultTypes: ['violations']})"
    for tab in ("image", "region", "path", "samples", "directions", "about"):
        page.click(f"#tab-{tab}")
        found = page.evaluate(run, "html" if tab == "image" else ".below")["violations"]
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
    assert asked <= texts("explorer")["en"].keys()


def test_the_command_writes_the_page_and_says_when_no_browser_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from vaelab.cli.main import main
    from vaelab.files import written

    folder = shutil.copytree(run_of("mlp").folder, tmp_path / "run")
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


def test_a_notebook_shows_the_explorer_in_the_cell(browser: Browser, tmp_path: Path) -> None:
    shown = run_of("mlp").explore(points=20)._repr_html_()
    assert shown == vaelab.explore(run_of("mlp"), points=20)._repr_html_()
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
