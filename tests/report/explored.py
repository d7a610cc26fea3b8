"""What the tests of the explorer share: small runs of every kind, their pages, an opened page.

A run is trained, and its page written, when a test first asks for it.
"""

from __future__ import annotations

import base64
import io
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mixed_table
import numpy as np
import pytest
import torch
from conftest import tiny
from PIL import Image

import vaelab
from vaelab.models import build
from vaelab.report import explorer
from vaelab.runs import create

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

SCREENS = {"phone": (390, 800), "tablet": (768, 1000), "desk": (1440, 900)}
ATTACKS = (
    "</script><script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "javascript:window.hit=1",
)
AROUND = ((0.02, 0.02), (0.85, 0.02), (0.85, 0.98), (0.02, 0.98))  # a lasso

KEPT = tempfile.TemporaryDirectory(prefix="vaelab-explored-")
FOLDER = Path(KEPT.name)
REAL = {"model.likelihood": "gaussian"}
LONG = {"train.epochs": 25, "train.learning_rate": 5e-3, "model.hidden": [64]}
KINDS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "conv": {"model.network": "conv", "model.hidden": [4, 8], "model.latent": 5},
    "conv16": {"model.network": "conv", "model.hidden": [4, 8], "model.latent": 16},
    "resnet": {"model.network": "resnet", "model.hidden": [4, 8], "model.latent": 3},
    "ae": {"model.posterior": "point"},
    "trained-vae": LONG,
    "trained-ae": LONG | {"model.posterior": "point"},
    "vq": {"model.variant": "vq-vae", "model.latent": 4},
    "large": {},
    "colour": {"data.source": "colour.npz", "model.latent": 3} | REAL,
    "wide": {"data.source": "wide.npz", "model.network": "conv", "model.hidden": [4, 8]},
    "table": {"data.source": "table.csv"} | REAL,
    "waves": {"data.source": "waves.npz", "model.latent": 1} | REAL,
    "mixed": {"data.source": "mixed.csv"} | LONG | mixed_table.SETTINGS,
    "attack": {"data.source": "attack.csv"} | REAL,
}


@cache
def data() -> Path:
    """A folder of small files: colour and grey images that are not square, tables, signals,
    and a table whose classes are attacks.
    """  # fmt: skip
    folder, rng = FOLDER / "data", np.random.default_rng(0)
    folder.mkdir()
    y = rng.integers(0, 3, 120)
    colour = rng.integers(0, 256, (120, 10, 16, 3)).astype(np.uint8)
    colour[np.arange(120), :, :, y] = 250
    np.savez(folder / "colour.npz", x=colour, y=y)
    np.savez(folder / "wide.npz", x=colour[..., 0], y=y)
    time = np.linspace(0, 6, 40)
    waves = np.sin(time * (1 + y[:, None]) + rng.normal(0, 0.3, (120, 1))).astype(np.float32)
    np.savez(folder / "waves.npz", x=waves, y=y)
    rows = rng.normal(0, 1, (120, 4)) + y[:, None]
    lines = [
        ",".join(f"{v:.3f}" for v in row) + f",kind{k}" for row, k in zip(rows, y, strict=True)
    ]
    (folder / "table.csv").write_text("\n".join(["long name,b,<b>c</b>,d,class", *lines]) + "\n")
    for k, name in enumerate(ATTACKS):
        quoted = name.replace('"', '""')
        lines[k::3] = [f'{line.rpartition(",")[0]},"{quoted}"' for line in lines[k::3]]
    mixed_table.write(folder / "mixed.csv")
    (folder / "attack.csv").write_text("\n".join(["a,b,c,d,class", *lines]) + "\n")
    return folder


@cache
def run_of(kind: str) -> vaelab.Run:
    """A small trained run of a kind."""
    settings = {"train.epochs": 1} | KINDS[kind]
    if "data.source" in settings:
        settings["data.source"] = str(data() / settings["data.source"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.plots.gallery.snapshot", lambda *_: None)
        return vaelab.train(tiny(settings), FOLDER / kind, quiet=True)


@cache
def page_of(kind: str) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        if kind == "large":  # with a limit as low as that, a small model is too large
            patch.setattr("vaelab.export.model.LARGEST", 100)
        return explorer.write([run_of(kind)], lang="en")


@cache
def pictures(count: int) -> Path:
    """A file of images (28, 28), as easily compressed as digits: bars of every place and angle."""
    path, rng = FOLDER / f"bars-{count}.npz", np.random.default_rng(0)
    y = np.arange(200 + count) % 10
    angle = np.pi * y / 10 + rng.normal(0, 0.1, len(y))
    offset = rng.normal(0, 3, len(y))
    across = np.arange(28) - 13.5
    distance = (
        across[:, None] * np.cos(angle)[:, None, None]
        + across * np.sin(angle)[:, None, None]
        - offset[:, None, None]
    )
    inside = np.hypot(across[:, None], across) < 10
    x = (255 * np.clip(2.5 - np.abs(distance), 0, 1) * inside).astype(np.uint8)
    np.savez(path, x=x[:200], y=y[:200], x_test=x[200:], y_test=y[200:])
    return path


@cache
def untrained(recipe: str, count: int) -> vaelab.Run:
    """A run of a built-in recipe's network with random weights, and `count` test images."""
    settings = {"data.source": str(pictures(count)), "train.threads": 1}
    folder = FOLDER / f"{recipe}-{count}"
    folder.mkdir()
    run = create(folder, vaelab.recipe(recipe, settings))
    torch.manual_seed(0)
    vae = build(run.recipe.model, (28, 28), run.data.levels)
    run.save_best(vae.eval(), 0, run.data)
    return run


class Opened:
    """A page in a browser, with everything that it asked for or complained of."""

    def __init__(
        self, browser: Browser, path: Path, hash: str = "", screen: str = "desk", **options: Any
    ) -> None:
        self.asked: list[str] = []
        self.wrong: list[str] = []
        self.page: Page = browser.new_page(**options)
        self.show(screen)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.goto(path.as_uri() + hash)
        self.until("document.documentElement.dataset.ready")

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.wrong == [], self.wrong
        assert len([url for url in self.asked if not url.startswith("blob:")]) == 1
        assert self.page.locator("#error").is_hidden()
        assert self.page.evaluate("window.hit") is None
        self.page.close()

    def show(self, screen: str) -> None:
        width, height = SCREENS[screen]
        self.page.set_viewport_size({"width": width, "height": height})

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

    def pixels(self, selector: str = ".decoded canvas") -> np.ndarray[Any, Any]:
        """The grey levels of a canvas, (H, W)."""
        image = io.BytesIO(base64.b64decode(self.canvas(selector).partition(",")[2]))
        return np.asarray(Image.open(image).convert("L"))

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
            self.page.mouse.move(x, y, steps=2)
        self.page.mouse.up()
        if shift:
            self.page.keyboard.up("Shift")
