"""The card of a run in a notebook: its numbers, and two of the pictures in its folder."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from vaelab.language import local, text
from vaelab.recipes import Recipe

REPORT, EXPLORER = "report.html", "explorer.html"  # the pages of a run, in its folder
PICTURES = ("reconstructions", "samples", "columns")  # in figures/
WIDTH = 420  # pixels of a picture, at most
SIDE_BY_SIDE = "display:flex;flex-wrap:wrap;align-items:start;gap:12px"
STYLE = "border:1px solid #8886;border-radius:8px;padding:12px 16px;max-width:900px"


def card(folder: Path, recipe: Recipe, results: Mapping[str, Any]) -> str:
    """Return the card as static HTML; `results` are those of results.json, if there are any."""
    lang = recipe.figures.lang

    def t(key: str) -> str:
        return escape(text("card", key, lang))

    model = recipe.model
    facts = {
        t("model"): f"{model.variant}, {model.network}, z: {model.latent}",
        t("data"): Path(recipe.data.source).name,
    }
    for key in ("loss", "distortion", "rate"):
        if key in results:
            facts[t(key)] = f"{local(f'{results[key]:.2f}', lang)} nats"
    if not results:
        facts[t("state")] = text("card", "unfinished", lang)
    page = folder / REPORT
    if page.is_file():
        facts[t("report")] = str(page)
    rows = "".join(
        f'<tr><th style="text-align:left;padding-right:1em">{name}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    pictures = "".join(_picture(folder / "figures" / f"{name}.png", t(name)) for name in PICTURES)
    return (
        f'<div style="{STYLE}"><strong>{escape(recipe.name)}</strong><table>{rows}</table>'
        f'<div style="{SIDE_BY_SIDE}">{pictures}</div></div>'
    )


def _picture(path: Path, alt: str) -> str:
    """Return a figure of the run, reduced; "" where there is none that can be read."""
    with suppress(OSError, ValueError), Image.open(path) as image:
        image.thumbnail((WIDTH, 2 * WIDTH))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG")
        data = base64.b64encode(buffer.getvalue()).decode()
        return f'<img src="data:image/png;base64,{data}" alt="{alt}" style="max-width:100%">'
    return ""
