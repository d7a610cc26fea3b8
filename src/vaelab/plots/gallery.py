"""From a run folder to its pictures: which images, which codes, which files. How they are drawn is in figures.py."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vaelab.data import Batches, Dataset, Split, load, load_all
from vaelab.data.dataset import spread
from vaelab.errors import UserError
from vaelab.files import write_atomic
from vaelab.models.build import support
from vaelab.models.core import VAE
from vaelab.plots import figures
from vaelab.recipes import table
from vaelab.runs import Run
from vaelab.seeding import derive, generator

STEPS = 11  # of an interpolation, both ends counted
GRID = 20  # images along each side of a manifold
FRAMES = 60  # at most, in the animation
EPOCHS = 200  # with more, not every one has a picture


def draw(run: Run, data: Dataset, say: Callable[[str], None]) -> None:
    """Write every picture that fits into figures/: most need image data, the manifold a 2-D latent space."""
    settings, vae = run.recipe.figures, run.vae.cpu()
    lang, seed = settings.lang, run.recipe.train.seed
    x, y = treated(run, data.levels, data.test)
    some = spread(len(x), settings.points)
    labels = None if y is None else y[some]
    codes = vae.encode(x[some], labels).numpy()
    pages = {"losses": figures.losses(run.history, lang)}
    embedding = None
    if codes.shape[1] > 2 and len(codes) > 3:
        say(f"t-SNE of {len(codes):,} codes ...")
        embedding = figures.tsne(codes, derive(seed, "t-SNE") % 2**32)
    pages["latent"] = figures.latent(codes, labels, lang, embedding)

    if drawable(data.shape):
        show = partial(displayed, run)
        few, shown = spread(len(x), settings.examples), spread(len(x), 10)
        pairs = show(x[few]), show(vae.reconstruct(x[few], None if y is None else y[few]))
        samples = show(vae.sample(settings.samples, seed))
        ends = _ends(x, y)  # (R, 2)
        first, last = (x[column] for column in ends.T)
        line = torch.stack([_walk(vae, x[pair], None if y is None else y[pair]) for pair in ends])
        pages |= {
            "data": figures.examples(show(x[shown]), None if y is None else y[shown], lang),
            "reconstructions": figures.reconstructions(*pairs, lang),
            "samples": figures.samples(samples, lang),
            "interpolation": figures.interpolation(
                show(line), lang, show(torch.stack([first, last], 1))
            ),
        }
        grid = None
        if is_plane(run):
            axis = figures.grid_axis(GRID, settings.grid, settings.span)
            grid = show(vae.decode(figures.grid_points(axis))), axis
            pages["manifold"] = figures.manifold(*grid, lang)
        pages["overview"] = figures.overview(
            run.history, *pairs, samples, codes, labels, lang, _title(run), embedding, grid
        )
    for name, page in pages.items():
        run.write(f"figures/{name}.png", figures.png(page))
    frames = [
        Image.open(path) for path in sorted((run.folder / "figures" / "epochs").glob("*.png"))
    ]
    frames = [
        frame for frame in frames if frame.size == frames[-1].size
    ]  # figures.samples may have changed on resume
    if frames:
        chosen = np.unique(np.linspace(0, len(frames) - 1, FRAMES).round().astype(int))
        run.write("figures/progress.gif", figures.animation([frames[i] for i in chosen]))
    say(
        f"pictures: {run.folder / 'figures'}: {', '.join(sorted(pages))}{', progress.gif' if frames else ''}"
    )


def _title(run: Run) -> str:
    """The recipe, and what of its model a reader would not expect of it."""
    name, model = run.recipe.name, run.recipe.model
    variant = [Path(model.variant).stem] if model.variant not in ("vae", name) else []
    prior = [f"prior {model.prior}"] if model.prior != table.row(model.variant).prior else []
    return ", ".join([name, *variant, *prior])


def is_plane(run: Run) -> bool:
    """Whether the latent space is a plane that a grid of decoded codes can show."""
    settings = run.recipe.model
    everywhere = table.part("model.posterior", settings.posterior).space == "reals"
    return run.vae.latent == 2 and everywhere and not settings.conditional


def _walk(vae: VAE, ends: Tensor, y: figures.Array | None) -> Tensor:
    """What lies between the codes of two images, (STEPS, *shape); where conditional, each half as its end's class."""
    a, b = vae.encode(ends, y)
    codes = a + torch.linspace(0, 1, STEPS)[:, None] * (b - a)  # (S, L)
    return vae.decode(codes, None if y is None else y[np.linspace(0, 1, STEPS).round().astype(int)])


def is_frame(epoch: int, epochs: int) -> bool:
    """Whether the epoch gets a picture: each of at most EPOCHS, else about as many, evenly spread, and the last.

    >>> [epoch for epoch in range(1, 1001) if is_frame(epoch, 1000)][-3:]
    [990, 995, 1000]
    """
    return (epochs - epoch) % -(-epochs // EPOCHS) == 0


def snapshot(run: Run, vae: VAE, x: Tensor, y: Tensor | None, epoch: int) -> None:
    """One frame: the images x (N, *shape) reconstructed and the same noise decoded after every epoch."""
    if not drawable(vae.shape):
        return
    settings = run.recipe.figures
    pairs = displayed(run, x), displayed(run, vae.reconstruct(x, y))
    samples = displayed(run, vae.sample(settings.samples, run.recipe.train.seed))
    frame = figures.frame(*pairs, samples, epoch, settings.lang)
    buffer = io.BytesIO()
    frame.save(buffer, "PNG")
    run.write(f"figures/epochs/{epoch:04d}.png", buffer.getvalue())


def treated(run: Run, levels: int | None, split: Split) -> tuple[Tensor, figures.Array | None]:
    """The images of a split as the model sees them, (N, *shape) on the CPU, and their labels."""
    batches = Batches(split.x, levels, run.recipe.data, torch.device("cpu"))
    x = batches(torch.arange(len(batches)), generator(run.recipe.train.seed, "pictures"))
    return x, None if split.y is None else split.y.numpy()


def images(run: Run, split: str, other: str | None) -> tuple[Tensor, figures.Array | None]:
    """Images and labels for a trained run: a split of its own data, or all of another file or folder."""
    settings, shape = run.recipe.data, tuple(run.contract["shape"])
    if other is None:
        data = load(settings)
        if not len(data.splits()[split].x):
            raise UserError(
                f"--split {split}: the run held no images out for it; choose another split"
            )
        return treated(run, data.levels, data.splits()[split])
    found, levels = load_all(
        msgspec.structs.replace(settings, source=other), run.contract["levels"]
    )
    if found.x.shape[1:] != shape:
        wanted, got = ("x".join(map(str, sizes)) for sizes in (shape, found.x.shape[1:]))
        raise UserError(
            f"--data {other}: images of shape {got}, but the run learned {wanted}; resize them"
        )
    x, y = treated(run, levels, found)
    (low, high), (least, most) = run.contract["range"], (float(x.min()), float(x.max()))
    unbounded = run.contract["levels"] is None and support(run.recipe.model) == "real"
    slack = high - low if unbounded else 0.0  # real values may go somewhat beyond what was seen
    if least < low - slack or most > high + slack:
        raise UserError(
            f"--data {other}: values from {least:g} to {most:g}, but the run learned {low:g} to {high:g}; "
            "bring them to the same scale"
        )
    return x, y


def drawable(shape: tuple[int, ...]) -> bool:
    """Whether data of this shape are images that a picture can show: (H, W) or 1, 3 or 4 channels."""
    return len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3, 4))


def displayed(run: Run, images: Tensor) -> figures.Array:
    """Images for the eye, in [0, 1]: real values are scaled by the range of the training images."""
    low, high = run.contract["range"]
    shown: figures.Array = ((images.cpu() - low) / ((high - low) or 1.0)).clamp(0, 1).numpy()
    return shown


def write_samples(run: Run, n: int, seed: int, out: str | None, label: int | None = None) -> Path:
    """n decoded samples of the prior, of one class where a label is given, as a picture or as numbers."""
    x = run.vae.sample(n, seed, label)
    return _write(
        run, "samples", x, out, lambda: figures.samples(displayed(run, x), run.recipe.figures.lang)
    )


def write_reconstructions(run: Run, x: Tensor, y: figures.Array | None, out: str | None) -> Path:
    """Images x (N, *shape) over their reconstructions as a picture, or the reconstructions as numbers."""
    found, lang = run.vae.reconstruct(x, y), run.recipe.figures.lang
    return _write(
        run,
        "reconstructions",
        found,
        out,
        lambda: figures.reconstructions(displayed(run, x), displayed(run, found), lang),
    )


def _write(run: Run, name: str, x: Tensor, out: str | None, page: Callable[[], Figure]) -> Path:
    """Into the run folder unless `out` says otherwise; as a picture where that can be, or where `out` ends so."""
    path = (
        Path(out)
        if out
        else run.folder / (f"{name}.png" if drawable(run.vae.shape) else f"{name}.npy")
    )
    if path.suffix not in (".png", ".npy", ".npz", ".csv"):
        raise UserError(
            f"--out {path}: cannot write {path.suffix or 'without an ending'}; use .png, .npy, .npz or .csv"
        )
    if path.suffix != ".png":
        return save_array(path, x)
    if not drawable(run.vae.shape):
        raise UserError(
            f"--out {path}: data of shape {run.vae.shape} are no images; use .npy or .csv"
        )
    return write_atomic(path, figures.png(page()))


def save_array(path: Path, rows: Tensor, labels: figures.Array | None = None) -> Path:
    """Write rows (N, ...) as .npy, as .npz with labels, or as .csv with a row each."""
    buffer = io.BytesIO()
    values = rows.cpu().numpy()
    match path.suffix:
        case ".npy":
            np.save(buffer, values)
        case ".npz":
            np.savez(buffer, z=values) if labels is None else np.savez(buffer, z=values, y=labels)
        case ".csv":
            np.savetxt(buffer, values.reshape(len(values), -1), fmt="%.7g", delimiter=",")
        case _:
            raise UserError(
                f"--out {path}: cannot write a {path.suffix or 'file without ending'}; use .npy, .npz or .csv"
            )
    return write_atomic(path, buffer.getvalue())


def _ends(x: Tensor, y: figures.Array | None) -> figures.Array:
    """Indices (R, 2) of up to five pairs of images to walk between; of different classes where there are labels."""
    ends = np.arange(len(x))[:10] if y is None else np.unique(y, return_index=True)[1][:10]
    if len(ends) < 2:
        ends = np.array([0, len(x) - 1])
    pairs: figures.Array = ends[: len(ends) // 2 * 2].reshape(-1, 2)
    return pairs
