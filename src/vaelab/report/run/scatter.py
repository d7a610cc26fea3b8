"""The latent space of a page: points with the image of each, or densities of one dimension."""

from __future__ import annotations

import base64
import io
import zlib
from typing import Any, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw
from torch import Tensor

from vaelab.data.dataset import spread
from vaelab.errors import UserError
from vaelab.export import Arrays
from vaelab.language import text
from vaelab.plots import (
    MARKERS,
    Array,
    Labels,
    Pixels,
    density,
    displayed,
    drawable,
    latent_title,
    pca,
)
from vaelab.report.cells import columns
from vaelab.report.run.images import Picture
from vaelab.report.run.prepared import Prepared

SIDE = 32  # pixels of the longer side of the image of a point, at most
ROOM = 1_300_000  # bytes of all images, compressed
PROBED = 100  # images whose compressed size is measured
LEAST = 300  # points, whatever the size of their images
STATIC = 720  # pixels of the static picture


class Colour(NamedTuple):
    """A class: its name, its colour on white and on black, and the number of its marker."""

    name: str
    light: str
    dark: str
    marker: int


def latent(prepared: Prepared, arrays: Arrays) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what the template and what the script need to show the codes of test images."""
    which = _points(prepared)
    x, y = prepared.view.rows(which)
    z = prepared.view.codes[0]
    if len(which) < len(z):
        z = prepared.run.vae.encode(x, y).numpy()
    classes, index = _classes(prepared, y, len(z))
    shown: dict[str, Any] = {
        "title": latent_title(prepared.run),
        "count": len(which),
        "classes": classes,
        "densities": None,
        "picture": None,
        "axes": ("z₁", "z₂"),
        "missing": "",
    }
    said = [prepared.t("latent_intro", title=shown["title"], count=len(which))]
    shown["said"] = said
    if not np.isfinite(z).all():
        return shown | {"missing": prepared.t("latent_not_finite")}, None
    if z.shape[1] == 1:
        return shown | {"densities": _densities(prepared, z[:, 0], y, classes)}, None
    points = z.astype(np.float64)
    if z.shape[1] > 2:
        try:
            points, shares = pca(z)
        except UserError as error:
            return shown | {"missing": str(error)}, None
        names = [
            text("figures", "component", prepared.lang, n=n, share=float(100 * share))
            for n, share in enumerate(shares[:2], 1)
        ]
        shown["axes"] = tuple(names)
        share = prepared.say(f"{100 * shares[:2].sum():.0f}")
        said.append(prepared.t("latent_plane", share=share))
    model = prepared.run.recipe.model
    circles = [1, 2] if model.prior == "normal" and model.posterior != "point" else []
    shown["picture"] = _static(points, index, classes, prepared)
    if circles:
        said.append(prepared.t("latent_circles"))
    images = drawable(prepared.run)
    document = {
        "points": arrays.fixed(points.T),  # (2, N)
        "classes": arrays.add(index),
        "index": arrays.add(which.astype(np.float32)),
        "named": [one._asdict() for one in classes],
        "axes": shown["axes"],
        "circles": circles,
        "images": arrays.add(_small(prepared, x)) if images else None,
        "values": None if images else arrays.add(x.numpy()),
        "columns": [] if images else columns(prepared.view.tabular.schema),
    }
    return shown, document


def _points(prepared: Prepared) -> Array:
    """Return the indices of the test images that are shown: as many as their pictures allow."""
    n = len(prepared.view.data.test.x)
    wanted = prepared.run.recipe.figures.points
    if not drawable(prepared.run):
        return spread(n, wanted)
    some = _small(prepared, prepared.view.rows(spread(n, PROBED))[0])
    each = len(zlib.compress(some.tobytes(), 6)) / len(some)
    return spread(n, min(wanted, max(LEAST, int(ROOM / each))))


def _small(prepared: Prepared, x: Tensor) -> Pixels:
    """Return small pictures of images, (N, H, W, 1) where all are grey, else (N, H, W, 3)."""
    pictures = displayed(prepared.run, x, SIDE)
    return pictures if np.ptp(pictures, axis=-1).any() else pictures[..., :1]


def _classes(prepared: Prepared, y: Labels, n: int) -> tuple[list[Colour], Array]:
    """Return the classes that have points, and for each point the number of its class."""
    classes, index = [], np.zeros(n, np.uint8)
    others = prepared.view.classes.others
    for i, (name, colour, marker, mask) in enumerate(prepared.view.classes.groups(y, n)):
        rest = text("figures", "others", prepared.lang, count=others) if others else ""
        classes.append(Colour(name or rest, colour, lighter(colour), MARKERS.index(marker)))
        index[mask] = i
    return classes, index


def lighter(colour: str) -> str:
    """Return a colour that can be seen on black: a dark one is mixed with white.

    >>> lighter("#d88900"), lighter("#001414")
    ('#d88900', '#969e9e')
    """
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    light = float(parts @ [0.2126, 0.7152, 0.0722])
    share = float(np.clip((110 - light) / 160, 0, 1))
    mixed = np.rint(parts + share * (255 - parts)).astype(int)
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _static(points: Array, index: Array, classes: list[Colour], prepared: Prepared) -> Picture:
    """Draw the points on a transparent sheet, for a page without scripts."""
    low, high = points.min(0), points.max(0)
    middle, reach = (low + high) / 2, max(float((high - low).max()), 1e-6) * 0.53
    at = (points - middle) / (2 * reach) * [1, -1] * STATIC + STATIC / 2
    sheet = Image.new("RGBA", (STATIC, STATIC), (255, 255, 255, 0))
    pen = ImageDraw.Draw(sheet)
    radius = 2.0 if len(points) > 3000 else 3.5
    order = np.random.default_rng(0).permutation(len(points))
    for i in order:
        a, b = at[i]
        pen.ellipse((a - radius, b - radius, a + radius, b + radius), classes[index[i]].light)
    buffer = io.BytesIO()
    sheet.quantize(32, dither=Image.Dither.NONE).save(buffer, "PNG")
    src = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return Picture(src, STATIC, STATIC, prepared.t("alt_latent", count=len(points)))


def _densities(prepared: Prepared, z: Array, y: Labels, classes: list[Colour]) -> dict[str, Any]:
    """Return the density of the codes of each class as outlines, one below the other."""
    low, high = float(z.min()), float(z.max())
    room = 0.1 * (high - low) or 1.0
    at = np.linspace(low - room, high + room, 160)
    groups = prepared.view.classes.groups(y, len(z))
    curves = [density(z[mask], at) for _, _, _, mask in groups]
    top = max(float(curve.max()) for curve in curves) or 1.0
    width, each = 640.0, 34.0
    x = (at - at[0]) / (at[-1] - at[0]) * width
    ridges = []
    for i, (curve, (name, light, dark, _)) in enumerate(zip(curves, classes, strict=True)):
        base = 70 + i * each
        line = " ".join(f"{a:.1f},{base - 64 * v / top:.1f}" for a, v in zip(x, curve, strict=True))
        ridges.append((name, light, dark, f"0,{base} {line} {width:g},{base}", base))
    ticks = [
        ((value - at[0]) / (at[-1] - at[0]) * width, prepared.say(f"{value:g}"))
        for value in MaxNLocator(nbins=6, steps=[1, 2, 5, 10]).tick_values(low, high)
        if at[0] <= value <= at[-1]
    ]
    return {"ridges": ridges, "ticks": ticks, "width": width, "height": 70 + each * len(ridges)}
