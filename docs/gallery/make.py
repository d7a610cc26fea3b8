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
from typing import Any

from PIL import Image

import vaelab
from vaelab.cli.main import main as command

HERE = Path(__file__).parent
RUNS = Path("runs") / "gallery"
PICTURES = HERE.parent / "img"
POINTS = "2000"  # images in an explorer: pages that are kept in the repository are small


TRAINED: dict[str, tuple[str, ...]] = {  # run -> recipe and settings
    "mlp-2d": ("mlp-2d",),
    "autoencoder-2d": ("mlp-2d", "--model.variant", "ae"),
    "cnn-16d": ("cnn-16d",),
    "sprites": ("sprites",),
    "mlp-20d": ("mlp-20d",),
    "quickstart": ("quickstart",),
}
EVALUATED = ("mlp-2d", "mlp-20d", "quickstart")  # the others would take many minutes
PAGES = {  # page -> command and runs
    "explorer-mlp-2d": ("explore", "mlp-2d"),
    "explorer-vae-and-autoencoder": ("explore", "mlp-2d", "autoencoder-2d"),
    "explorer-cnn-16d": ("explore", "cnn-16d"),
    "explorer-sprites": ("explore", "sprites"),
    "report-mlp-20d": ("report", "mlp-20d"),
    "report-quickstart": ("report", "quickstart"),
}


def train() -> None:
    """Train and evaluate the runs that are missing."""
    for name, words in TRAINED.items():
        if not (RUNS / name).exists():
            run("train", *words, "--out", RUNS / name)
        if name in EVALUATED:
            run("evaluate", RUNS / name, "--quiet")


def write() -> None:
    """Write the pages."""
    for name, (word, *runs) in PAGES.items():
        few = ("--points", POINTS, "--no-open") if word == "explore" else ()
        run(word, *(RUNS / one for one in runs), "--out", HERE / f"{name}.html", *few)


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
    """What the README and the page of the gallery show of the pages."""
    film()
    with opened("report-mlp-20d", 1280, 860) as page:
        page.screenshot(path=PICTURES / "report.png")
    for name in PAGES:
        with opened(name, 1280, 800) as page:
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            small = shot.resize((640, 400), Image.Resampling.LANCZOS)
            small.quantize(128).save(HERE / f"{name}.png", optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", action="store_true", help="only the pictures")
    if not parser.parse_args().pictures:
        train()
        write()
    pictures()
    total = sum(path.stat().st_size for path in HERE.glob("*.html")) / 2**20
    print(f"{len(PAGES)} pages, {total:.1f} MiB, by vaelab {vaelab.__version__}")


if __name__ == "__main__":
    main()
