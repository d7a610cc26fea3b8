"""From a run to its figures: which ones its data and its model get, and their files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vaelab.data.dataset import spread
from vaelab.models import VAE
from vaelab.plots import columns, curves, frames, images, latent, manifold, series
from vaelab.plots.charts import COLUMNS
from vaelab.plots.classes import classes_of
from vaelab.plots.latent_pages import class_pages, dimension_pages
from vaelab.plots.overview import Pictures, overview
from vaelab.plots.pixels import signals
from vaelab.plots.style import Array, Labels, encode, unwritable
from vaelab.plots.tsne import tsne
from vaelab.plots.view import (
    View,
    between,
    class_rows,
    decoded,
    displayed,
    drawable,
    half_each,
    is_discrete,
    latent_grid,
    latent_title,
    look_of,
    sample_count,
    sample_title,
)
from vaelab.recipes import table
from vaelab.runs import Run

FRAMES = 60  # at most, in the animation
EPOCHS = 200  # with more, not every one has a frame

Pages = dict[str, Figure]


def plot(view: View, say: Callable[[str], None]) -> None:
    """Write every figure that fits the run into its folder figures/; none without a format."""
    run, data = view.run, view.data
    if not run.recipe.figures.format:
        return
    run.vae.cpu()
    pages = {"losses": curves.losses(run.history, look=view.look, unit=view.unit)}
    codes, y = view.codes
    embedding = _embedding(view, say)
    pages["latent"] = latent.latent(
        codes, y, view.classes, embedding, look=view.look, title=latent_title(run)
    )
    match data.form:
        case "image":
            pages |= _image_pages(view) | _summary_pages(view, embedding)
        case "signal":
            pages |= _signal_pages(view) | _summary_pages(view, embedding)
        case "table":
            pages |= _table_pages(view)
    pages |= dimension_pages(view) | class_pages(view)
    for name, page in pages.items():
        for kind in run.recipe.figures.format:
            run.write(f"figures/{name}.{kind}", encode(page, kind))
    moving = _animate(run)
    _report(run, sorted(pages), moving, say)


def _embedding(view: View, say: Callable[[str], None]) -> latent.Embedding | None:
    """The t-SNE of figures.tsne of the codes, evenly spread; None for few codes or dimensions."""
    run, (codes, y) = view.run, view.codes
    if codes.shape[1] < 3 or len(codes) < 4:
        return None
    some = spread(len(codes), run.recipe.figures.tsne)
    of = "" if len(some) == len(codes) else f" of {len(codes):,} (figures.tsne)"
    say(f"t-SNE of {len(some):,} codes{of} ...")
    points = tsne(codes[some])
    return latent.Embedding(points, None if y is None else y[some])


def _report(run: Run, names: list[str], moving: bool, say: Callable[[str], None]) -> None:
    shape = run.vae.shape
    if len(shape) == 3 and shape[0] not in (1, 3, 4) and run.form == "image":
        say(f"note: figures show the mean of the {shape[0]} channels of an image")
    if run.form == "table" and shape[0] > COLUMNS:
        say(f"note: figures show the first {COLUMNS} of {shape[0]:,} columns")
    if missing := unwritable((run.recipe.name, *run.class_names)):
        say(
            f"note: no font of this system has the characters {missing}: figures show their code "
            "points; install a font that has them, such as Noto Sans"
        )
    files = ", ".join([*names, *(["progress.gif"] if moving else [])])
    say(f"figures: {run.folder / 'figures'}: {files}")


def _image_pages(view: View) -> Pages:
    run, look = view.run, view.look
    x, names = view.examples
    originals, again = (displayed(run, part) for part in view.pairs)
    pages = {
        "data": images.examples(displayed(run, x), names, look=look),
        "reconstructions": images.reconstructions(originals, again, look=look),
        "samples": samples_page(run, view.samples),
    }
    if not is_discrete(run):
        walks = np.stack([decoded(run, codes, y) for codes, y in _walks(view)])
        ends = np.stack([displayed(run, view.rows(pair)[0]) for pair in view.walks])
        pages["interpolation"] = images.interpolation(walks, look=look, originals=ends)
    return pages


def _signal_pages(view: View) -> Pages:
    run, look = view.run, view.look
    x, names = view.examples
    originals, again, made = (signals(part.numpy()) for part in (*view.pairs, view.samples))
    pages = {
        "data": series.signals(signals(x.numpy()), names, title=look.text("examples"), look=look),
        "reconstructions": series.signal_pairs(originals, again, look=look),
        "samples": series.signals(made, title=sample_title(run), look=look),
    }
    if not is_discrete(run):
        walks = np.stack([signals(run.vae.decode(z, y).numpy()) for z, y in _walks(view)])
        title = look.text("interpolation")
        pages["interpolation"] = series.signal_steps(walks, title=title, look=look)
    return pages


def _walks(view: View) -> Iterator[tuple[Array, Labels]]:
    """Codes of the steps of each walk, and their labels, each half those of its end."""
    for pair in view.walks:
        ends, y = view.rows(pair)
        yield between(view.run, ends, y), None if y is None else half_each(y)


def _table_pages(view: View) -> Pages:
    look, (schema, data, x, again, made) = view.look, view.tabular
    title = sample_title(view.run)
    return {
        "columns": columns.columns(schema, data, made, look=look, title=title),
        "reconstructions": columns.pairs(schema, x, again, look=look),
    }


def _summary_pages(view: View, embedding: latent.Embedding | None) -> Pages:
    """The overview; and the manifold where the latent space is a plane or a line."""
    run, look, grid = view.run, view.look, latent_grid(view.run)
    codes, y = view.codes
    x, xhat, made = (displayed(run, part) for part in (*view.pairs, view.samples))
    pictures = Pictures(x, xhat, made, sample_count(run, run.vae)[1])
    titles = (_title(view), sample_title(run), latent_title(run))
    pages = {
        "overview": overview(
            run.history, pictures, codes, y, view.classes, embedding, grid,
            look=look, titles=titles, unit=view.unit,
        )
    }  # fmt: skip
    if grid:
        pages["manifold"] = manifold.manifold(*grid, look=look)
    return pages


def _title(view: View) -> str:
    """The recipe, its variant, what of its model a reader would not expect of it, and its data."""
    name, model = view.run.recipe.name, view.run.recipe.model
    variant = Path(model.variant).stem
    prior = [f"prior {model.prior}"] if model.prior != table.row(model.variant).prior else []
    parts = [variant, *prior, view.data.name]
    return ", ".join([name, *(part for part in parts if part != name)])


def samples_page(run: Run, x: Tensor) -> Figure:
    """Return a page of samples of the prior: of a conditional model a row for each class."""
    look, pictures, counts = look_of(run), displayed(run, x), class_rows(run.vae, len(x))
    if counts is None:
        return images.samples(pictures, look=look, title=sample_title(run))
    names = classes_of(run.vae.classes.numpy(), run.class_names).named(run.vae.classes.numpy())
    parts = np.split(pictures, np.cumsum(counts)[:-1])
    return images.rows(
        dict(zip(names, parts, strict=True)), look=look, title=look.text("samples_class")
    )


def is_frame(epoch: int, epochs: int) -> bool:
    """Return whether the epoch gets a frame: at most about `EPOCHS` do, the last among them.

    >>> [epoch for epoch in range(1, 1001) if is_frame(epoch, 1000)][-3:]
    [990, 995, 1000]
    """
    return (epochs - epoch) % -(-epochs // EPOCHS) == 0


def snapshot(run: Run, vae: VAE, x: Tensor, y: Tensor | None, epoch: int) -> None:
    """Write the frame of an epoch: images x (N, *shape) reconstructed, and the same noise decoded.

    A table has no frames, nor has a run without figures.
    """
    if not (run.recipe.figures.format and drawable(run)):
        return
    n, columns = sample_count(run, vae)
    made = vae.sample(n, run.recipe.train.seed)
    first, second, third = (
        displayed(run, part, frames.TILE) for part in (x, vae.reconstruct(x, y), made)
    )
    frame = frames.frame(first, second, third, epoch, columns)
    buffer = io.BytesIO()
    frame.save(buffer, "PNG")
    run.write(f"figures/epochs/{epoch:04d}.png", buffer.getvalue())


def _animate(run: Run) -> bool:
    """Write progress.gif of the frames of one size (figures.* may have changed)."""
    paths = sorted((run.folder / "figures" / "epochs").glob("*.png"))
    shown = [Image.open(path) for path in paths]
    shown = [frame for frame in shown if frame.size == shown[-1].size]
    if not shown:
        return False
    some = [shown[i] for i in spread(len(shown), FRAMES)]
    run.write("figures/progress.gif", frames.animation(some))
    return True
