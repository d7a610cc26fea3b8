"""Make the pages of this gallery, and the two pictures of pages in the README, from real runs.

    python docs/gallery/make.py            # trains what is missing in runs/gallery: 10 minutes
    python docs/gallery/make.py --pictures # only the pictures, from the pages that are there

It needs MNIST, and Chromium for the pictures.
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

import vaelab
from vaelab.cli.main import main as command

HERE = Path(__file__).parent
RUNS = Path("runs") / "gallery"
PICTURES = HERE.parent / "img"
POINTS = "2000"  # images in an explorer: pages that are kept in the repository are small


class Entry(NamedTuple):
    """A page of the gallery: what is trained, and which page of it."""

    recipe: str
    settings: tuple[str, ...]
    page: str  # explorer or report
    runs: tuple[str, ...] = ("",)  # folders in the run's, of a study


ENTRIES = {
    "explorer-mlp-2d": Entry("mlp-2d", (), "explorer"),
    "explorer-vae-vs-ae-2d": Entry("vae-vs-ae-2d", (), "explorer", ("vae", "ae")),
    "explorer-cnn-16d": Entry("cnn-16d", (), "explorer"),
    "explorer-sprites": Entry("sprites", (), "explorer"),
    "report-mlp-20d": Entry("mlp-20d", (), "report"),
    "report-quickstart": Entry("quickstart", (), "report"),
}


def make(name: str, entry: Entry) -> None:
    """Train and evaluate the runs of a page where they are missing, and write the page."""
    folder = RUNS / entry.recipe
    if not folder.exists():
        run("train", entry.recipe, "--out", folder, *entry.settings)
    runs = [folder / part if part else folder for part in entry.runs]
    for one in runs:
        run("evaluate", one, "--quiet")
    points = ("--points", POINTS, "--no-open") if entry.page == "explorer" else ()
    word = "explore" if entry.page == "explorer" else "report"
    run(word, *runs, "--out", HERE / f"{name}.html", *points)


def run(*words: object) -> None:
    """Carry out a command of vaelab."""
    if command([*map(str, words)]):
        raise SystemExit(f"vaelab {' '.join(map(str, words))} failed")


@contextmanager
def opened(name: str, width: int, height: int) -> Iterator[Any]:
    """A page of the gallery in Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto((HERE / f"{name}.html").as_uri())
        page.wait_for_timeout(1000)
        yield page
        browser.close()


class Film:
    """Pictures of a page, and the GIF that they make."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.times: list[int] = []

    def shoot(self, milliseconds: int) -> None:
        """Add a picture that is shown for so long."""
        shot = Image.open(io.BytesIO(self.page.screenshot()))
        self.frames.append(shot.convert("RGB"))
        self.times.append(milliseconds)

    def save(self, path: Path) -> None:
        palette = self.frames[len(self.frames) // 2].quantize(128)
        shown = [f.quantize(palette=palette, dither=Image.Dither.NONE) for f in self.frames]
        shown[0].save(
            path, save_all=True, append_images=shown[1:], duration=self.times, loop=0, optimize=True
        )


def film() -> None:
    """The explorer in use: a point dragged through the plane, a number as colour, a zoom."""
    with opened("explorer-mlp-2d", 1040, 640) as page:
        reel = Film(page)
        box = page.locator(".plane").bounding_box()

        def at(across: float, down: float) -> tuple[float, float]:
            return box["x"] + across * box["width"], box["y"] + down * box["height"]

        stops = [at(0.5, 0.46), at(0.28, 0.3), at(0.36, 0.42), at(0.55, 0.75), at(0.75, 0.42)]
        reel.shoot(900)
        page.mouse.move(*stops[0])
        page.mouse.down()
        for (a, b), (c, d) in pairwise(stops):
            for i in range(1, 9):
                page.mouse.move(a + (c - a) * i / 8, b + (d - b) * i / 8)
                page.wait_for_timeout(30)
                reel.shoot(90)
        page.mouse.up()
        reel.shoot(600)
        for _ in range(4):
            page.get_by_role("button", name="Zoom in").click()
            page.wait_for_timeout(350)
            reel.shoot(350)
        reel.shoot(1600)
        page.get_by_role("button", name="Show everything").click()
        page.get_by_role("button", name="Decode the plane").click()
        page.wait_for_timeout(1500)
        reel.shoot(2200)
        reel.save(PICTURES / "explorer.gif")


def pictures() -> None:
    """What the README shows of the pages."""
    film()
    with opened("report-mlp-20d", 1280, 860) as page:
        page.screenshot(path=PICTURES / "report.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", action="store_true", help="only the pictures")
    if not parser.parse_args().pictures:
        for name, entry in ENTRIES.items():
            make(name, entry)
    pictures()
    total = sum(path.stat().st_size for path in HERE.glob("*.html")) / 2**20
    print(f"{len(ENTRIES)} pages, {total:.1f} MiB, by vaelab {vaelab.__version__}")


if __name__ == "__main__":
    main()
