"""The pictures of a comparison: one figure of all runs, and one figure of each run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from vaelab.data.dataset import spread
from vaelab.language import Lang
from vaelab.plots import (
    Look,
    Pixels,
    chosen,
    classes_of_runs,
    displayed,
    drawable,
    is_plane,
    latent_grid,
    rows,
    side_by_side,
    side_by_side_images,
)
from vaelab.runs import Run
from vaelab.runs.rows import treated


def pictures(
    runs: Mapping[str, Run], lang: Lang = "en"
) -> dict[str, tuple[Figure, dict[str, Figure]]]:
    """Return the figures of a comparison by kind: one of all runs, and one of each run.

    The kinds are latent codes, samples and reconstructions (unless the data are tables), and the
    manifold (if all latent spaces are planes). The settings `figures` and the seed of the first run
    apply to all, except their language, which is that of the page.
    """
    first = next(iter(runs.values())).recipe
    look = Look(lang, first.figures.size)
    codes, samples, originals, again = {}, {}, {}, {}
    for name, run in runs.items():
        split = run.data.with_measured().test
        labels = None if split.y is None else split.y.numpy()
        some = spread(len(split.x), first.figures.points)
        x, y = treated(run, run.data.levels, split, some)
        codes[name] = run.vae.encode(x, y).numpy(), y
        if drawable(run):
            few = chosen(labels, len(split.x), first.figures.examples)
            x, y = treated(run, run.data.levels, split, few)
            originals[name] = displayed(run, x)
            again[name] = displayed(run, run.vae.reconstruct(x, y))
            made = run.vae.sample(first.figures.samples, first.train.seed)
            samples[name] = displayed(run, made)
    normal = [name for name, run in runs.items() if run.recipe.model.prior == "normal"]
    classes = classes_of_runs(runs.values())
    pages = {"latent": _both(codes, lambda some: side_by_side(some, normal, classes, look=look))}
    if samples:
        title = look.text("samples")
        pages["samples"] = _both(
            samples, lambda some: side_by_side_images(some, look=look, title=title)
        )
        page = rows(reconstructed(originals, again, look.text("original")), look=look)
        pages["reconstructions"] = page, {", ".join(runs): page}
    if samples and all(is_plane(run) for run in runs.values()):
        grids = {name: grid[0] for name, run in runs.items() if (grid := latent_grid(run))}
        title = look.text("manifold")
        pages["manifold"] = _both(
            grids, lambda some: side_by_side_images(some, look=look, title=title)
        )
    return pages


def reconstructed(
    originals: Mapping[str, Pixels], again: Mapping[str, Pixels], word: str
) -> dict[str, Pixels]:
    """Return rows of images: originals, and below them the reconstructions of each run.

    All rows have the same length. Runs with the same originals share one row of originals, which is
    named `word`, with a number if there are several such rows.
    """
    count = min(map(len, originals.values()))
    sharing: dict[bytes, list[str]] = {}
    for name, x in originals.items():
        sharing.setdefault(x[:count].tobytes(), []).append(name)
    found = {}
    for i, names in enumerate(sharing.values(), 1):
        found[f"{word} {i}" if len(sharing) > 1 else word] = originals[names[0]][:count]
        found |= {name: again[name][:count] for name in names}
    return found


def _both(
    runs: dict[str, Any], draw: Callable[[dict[str, Any]], Figure]
) -> tuple[Figure, dict[str, Figure]]:
    return draw(runs), {name: draw({name: one}) for name, one in runs.items()}
