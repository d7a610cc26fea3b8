"""What the tests of figures share: data, and how a figure is read back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from sklearn.datasets import load_digits

from vaelab.plots import style

DIGITS = load_digits()
CODES = DIGITS.data[:300] - DIGITS.data[:300].mean(0)
LABELS_OF = DIGITS.target[:300]
EN, PT = style.Look("en"), style.Look("pt")


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pixels, so that the tests are fast. Modules of this folder import it."""
    monkeypatch.setitem(style.DPI, "column", 60)
    monkeypatch.setitem(style.DPI, "slide", 40)


def pictures(n: int, h: int = 28, w: int = 28, seed: int = 0) -> np.ndarray:
    """Pictures of colour noise, (n, h, w, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (n, h, w, 3)).astype(np.uint8)


def history(
    epochs: int, held_out: str | None = "test", beta: float | None = None
) -> list[dict[str, object]]:
    entries = []
    for epoch in range(1, epochs + 1):
        rate, distortion = 25 - 10 / epoch**2, 80 + 70 / epoch**2
        parts = {"loss": rate + distortion, "distortion": distortion, "rate": rate}
        weight = 1.0 if beta is None else min(1.0, beta * epoch)
        entry: dict[str, object] = {"epoch": epoch, "beta": weight, "train": parts}
        entries.append(
            entry | ({held_out: {k: v + 1 for k, v in parts.items()}} if held_out else {})
        )
    return entries


def texts(figure: Figure) -> set[str]:
    """Every text of a figure that has a letter in it."""
    figure.draw_without_rendering()
    found = {t.get_text() for t in figure.findobj(Text) if t.get_visible()}
    return {text for text in found if any(c.isalpha() for c in text)}


def png_size(data: bytes) -> tuple[int, int]:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert picture.format == "PNG"
    return picture.size
