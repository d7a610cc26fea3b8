"""The pictures of a run: reconstructions, samples, traversals, the latent plane, interpolations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vaelab.plots import (
    SIGMAS,
    Pixels,
    between,
    chosen,
    class_rows,
    classes_of,
    decoded,
    displayed,
    half_each,
    is_discrete,
    is_plane,
    latent_grid,
    named,
    sample_title,
    squarest,
    tiles,
)
from vaelab.report.run.images import Picture, picture, scale_of, sheet
from vaelab.report.run.prepared import DIMENSIONS, EXTREMES, Prepared
from vaelab.runs import Run

APART = 12  # pixels of the page between a test image and the decoded steps


class Row(NamedTuple):
    """A row of pictures under one name."""

    name: str
    pictures: list[Picture]
    about: str = ""


def _small(prepared: Prepared, x: Tensor) -> Pixels:
    """Return pictures of rows of data, reduced to the side that the page has room for."""
    return displayed(prepared.run, x, prepared.side)


def reduced(prepared: Prepared) -> str:
    """Return the sentence for pictures that are smaller than images of the data, else ""."""
    longest = max(displayed(prepared.run, prepared.view.pairs[0][:1]).shape[1:3])
    return prepared.t("reduced", side=prepared.side) if prepared.side < longest else ""


def reconstructions(prepared: Prepared) -> dict[str, Any]:
    """Return test images above their reconstructions: typical ones, the best and the worst."""
    view = prepared.view
    x, again = view.pairs
    which = chosen(view.labels, len(view.data.test.x), len(x))
    names = prepared.classes_of(None if view.labels is None else view.labels[which]) or [""] * len(
        x
    )
    texts = [prepared.t("alt_pair", name=_class(prepared, name)) for name in names]
    best, worst, of = _extremes(prepared)
    return {
        "typical": list(
            zip(_pairs(_small(prepared, x), _small(prepared, again), texts), names, strict=True)
        ),
        "best": best,
        "worst": worst,
        "of": of,
    }


def _pairs(x: Pixels, again: Pixels, texts: list[str]) -> list[Picture]:
    """Return a picture of each image above its reconstruction."""
    scale = scale_of(x)
    return [
        picture(sheet(np.stack(both), 1), text, scale)
        for *both, text in zip(x, again, texts, strict=True)
    ]


def _class(prepared: Prepared, name: str) -> str:
    return f", {prepared.t('class_named', name=name)}" if name else ""


def _extremes(prepared: Prepared) -> tuple[list[Any], list[Any], int]:
    """Return the images with the lowest and the highest distortion, with it, and of how many."""
    indices, distortion = prepared.distortions
    order = np.argsort(distortion, kind="stable")
    count = min(EXTREMES, len(order) // 2)
    found = []
    for some in (order[:count], order[len(order) - count :][::-1]):
        if not count:
            return [], [], len(order)
        x, y = prepared.view.rows(indices[some])
        again = prepared.run.vae.reconstruct(x, y)
        names = prepared.classes_of(y) or [""] * len(x)
        values = [prepared.say(f"{distortion[i]:.1f}") for i in some]
        texts = [
            prepared.t("alt_extreme", name=_class(prepared, name), value=value)
            for name, value in zip(names, values, strict=True)
        ]
        pictures = _pairs(_small(prepared, x), _small(prepared, again), texts)
        found.append(list(zip(pictures, values, strict=True)))
    return found[0], found[1], len(order)


def samples(prepared: Prepared) -> dict[str, Any]:
    """Return samples of the prior: one picture, or of a conditional model a row for each class."""
    run, made = prepared.run, prepared.view.samples
    pictures, counts = _small(prepared, made), class_rows(run.vae, len(made))
    title = sample_title(run)
    if counts is None:
        alt = prepared.t("alt_samples", count=len(made))
        grid = sheet(pictures, squarest(pictures))
        return {"title": title, "rows": [Row("", [picture(grid, alt, scale_of(pictures))])]}
    labels = run.vae.classes.numpy()
    names = classes_of(labels, run.class_names).named(labels)
    parts = np.split(pictures, np.cumsum(counts)[:-1])
    rows = [
        Row(name, [_strip(part, prepared.t("alt_class", name=name))])
        for name, part in zip(names, parts, strict=True)
    ]
    return {"title": title, "rows": rows}


def _strip(pictures: Pixels, alt: str) -> Picture:
    """Return pictures in one row."""
    return picture(sheet(pictures, len(pictures)), alt, scale_of(pictures))


def traversals(prepared: Prepared) -> list[Row]:
    """Return the walks along the most informative dimensions, from the code of one test image.

    There are none where no dimension of a code can change while the others stay.
    """
    if prepared.space != "reals":
        return []
    view, found, rows = prepared.view, prepared.view.posterior, []
    x, y = view.rows(view.first)
    start = prepared.run.vae.encode(x, y).numpy()
    for j in found.order[:DIMENSIONS].tolist():
        z = np.repeat(start, len(SIGMAS), axis=0)
        z[:, j] = found.axis(j, SIGMAS)
        labels = None if y is None else y.repeat(len(SIGMAS))
        pictures = decoded(prepared.run, z, labels, prepared.side)
        strip = _strip(pictures, prepared.t("alt_traversal", name=named(j)))
        about = ""
        if found.rates is not None:
            about = prepared.say(f"{found.rates[:, j].mean():.2f} nats")
        rows.append(Row(named(j), [strip], about))
    return rows


def manifold(prepared: Prepared) -> dict[str, Any] | None:
    """Return the latent plane or line decoded; None where the latent space is neither."""
    if (
        not is_plane(prepared.run, (1, 2))
        or (decoded_grid := latent_grid(prepared.run, prepared.side)) is None
    ):
        return None
    pictures, axis = decoded_grid
    plane = len(pictures) > len(axis)
    grid = tiles(pictures, len(axis), 0) if plane else sheet(pictures, -(-len(axis) // 2))
    low, high = (prepared.say(f"{value:.2f}") for value in (axis[0], axis[-1]))
    alt = prepared.t("alt_plane" if plane else "alt_line", low=low, high=high)
    return {"picture": picture(grid, alt), "low": low, "high": high, "plane": plane}


def interpolations(prepared: Prepared) -> list[Picture]:
    """Return a row for each walk between two test images, which stand at its ends."""
    if is_discrete(prepared.run):
        return []
    rows = []
    for pair in prepared.view.walks:
        ends, y = prepared.view.rows(pair)
        codes = between(prepared.run, ends, y)
        labels = None if y is None else half_each(y)
        images = _small(prepared, ends)
        walk = decoded(prepared.run, codes, labels, prepared.side)
        strips = [sheet(part, len(part)) for part in (images[:1], walk, images[1:])]
        scale = scale_of(images)
        space = np.zeros((len(strips[0]), max(1, round(APART / scale)), 4), np.uint8)
        row = np.concatenate([strips[0], space, strips[1], space, strips[2]], axis=1)
        names = [_class(prepared, name) for name in prepared.classes_of(y) or ("", "")]
        alt = prepared.t("alt_walk", first=names[0], last=names[1], count=len(codes))
        rows.append(picture(row, alt, scale))
    return rows


def is_smooth(prepared: Prepared) -> bool:
    """Whether the browser smooths its pictures: curves of signals, but not pixels of images."""
    return prepared.run.form == "signal"


def same_images(runs: Mapping[str, Prepared], count: int) -> list[Row]:
    """Return test images that the runs share, and a row of each run's reconstructions of them."""
    first = next(iter(runs.values()))
    which = chosen(first.view.labels, len(first.view.data.test.x), count)
    originals = displayed(first.run, first.view.rows(which)[0])
    rows = [Row("", [_strip(originals, first.t("alt_originals", count=len(which)))])]
    for name, one in runs.items():
        x, y = one.view.rows(which)
        made = displayed(one.run, one.run.vae.reconstruct(x, y))
        rows.append(Row(name, [_strip(made, one.t("alt_reconstructed", name=name))]))
    return rows


def thumbnail(run: Run, count: int = 16) -> Picture:
    """Return samples of a run as one small picture."""
    with torch.no_grad():
        pictures = displayed(run, run.vae.sample(count, run.recipe.train.seed), 32)
    return picture(sheet(pictures, squarest(pictures)), "")
