"""Every picture, as pure functions: numpy arrays in, a matplotlib `Figure` (or a Pillow image) out.

Images are (N, H, W) or (N, C, H, W) with C = 1, 3 or 4; values in [0, 1], those outside are clipped. Latent codes
are (N, L), labels (N,) or None. Same input, same bytes. Helpers named `_draw_*` draw onto one Axes, so that the
overview is made of the very panels of the single figures.
"""

from __future__ import annotations

import functools
import io
import math
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import NormalDist
from typing import Any, Literal

import matplotlib
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, ScalarFormatter
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vaelab.errors import UserError
from vaelab.plots.labels import Lang, decimal, label

Array = NDArray[Any]
Labels = Array | None
History = Sequence[Mapping[str, Any]]

# Ten colours far apart (OKLab) to normal, protanopic and deuteranopic eyes alike, found by exchange search, and
# ordered so that the digits that overlap in a latent space (4 7 9, 3 5 8) are the furthest apart.
COLOURS = ["#d88900", "#0014c4", "#00c878", "#ff0089", "#149dd8"]
COLOURS += ["#001414", "#9d27ff", "#276200", "#f0a0f0", "#760062"]
_SPLITS = {"train": "#149dd8", "validation": "#d88900", "test": "#760062"}
_TILE = 0.62  # inches across one image
_LOOK = {
    "figure.dpi": 200,
    "savefig.dpi": "figure",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.formatter.useoffset": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}
_LOCK = threading.RLock()


@contextmanager
def _look() -> Iterator[None]:
    """Our style whatever the reader's own; rcParams belong to the whole process, so one thread at a time."""
    with _LOCK, matplotlib.style.context(["default", _LOOK]):
        yield


class _Comma(ScalarFormatter):
    """Tick labels with the decimal comma of Portuguese."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return decimal(super().__call__(x, pos), "pt")


def _localise(ax: Axes, lang: Lang) -> None:
    if lang == "pt":
        ax.xaxis.set_major_formatter(_Comma())
        ax.yaxis.set_major_formatter(_Comma())


# --- images -----------------------------------------------------------------------------------------------------


def _rgb(images: Array) -> Array:
    """(N, H, W) or (N, C, H, W) -> (N, H, W, 3) in [0, 1]; transparency lies on white, NaN is mid-grey."""
    x = np.asarray(images, dtype=np.float32)
    x = x[:, None] if x.ndim == 3 else x
    if x.ndim != 4 or x.shape[1] not in (1, 3, 4) or not x.size:
        raise UserError(
            f"figures: expected images (N, H, W) or (N, 1, 3 or 4, H, W), got {np.shape(images)}; "
            "data that are not images have only the loss and latent figures"
        )
    x = np.moveaxis(np.nan_to_num(x, nan=0.5).clip(0, 1), 1, -1)
    if x.shape[-1] == 4:
        return x[..., :3] * x[..., 3:] + (1 - x[..., 3:])
    return np.broadcast_to(x, (*x.shape[:3], 3))


def tiles(images: Array, columns: int, gap: int | None = None) -> Array:
    """One picture of N images in reading order, `gap` white pixels between them (None: a thin one).

    Returns (R H + (R-1) gap, columns W + (columns-1) gap, 3) in [0, 1], R = ceil(N / columns); empty places are white.
    """
    x = _rgb(images)
    n, h, w, _ = x.shape
    gap, rows = _gap(images) if gap is None else gap, -(-n // columns)
    sheet = np.ones((rows * columns, h + gap, w + gap, 3), dtype=np.float32)
    sheet[:n, :h, :w] = x
    sheet = sheet.reshape(rows, columns, h + gap, w + gap, 3).swapaxes(1, 2)
    return sheet.reshape(rows * (h + gap), columns * (w + gap), 3)[: -gap or None, : -gap or None]


def _gap(images: Array) -> int:
    return 1 + int(max(np.shape(images)[-2:])) // 40


def _square(images: Array) -> Array:
    """The grid of N images nearest to a square: a full one where that is at most twice as wide as high."""
    side = max(1, math.ceil(math.sqrt(len(images))))
    full = (
        columns
        for columns in range(side, math.isqrt(2 * len(images)) + 1)
        if len(images) % columns == 0
    )
    return tiles(images, next(full, side))


def _pairs(x: Array, xhat: Array) -> tuple[Array, Array]:
    """Originals over reconstructions in double rows of at most ten: the picture, and the middle of each row in it."""
    if np.shape(x) != np.shape(xhat):
        raise UserError(
            f"figures: originals {np.shape(x)} and reconstructions {np.shape(xhat)} must have one shape"
        )
    n, h = len(_rgb(x)), np.shape(x)[-2]
    columns = -(-n // -(-n // 10))  # spread evenly
    strips: list[Array] = []
    middles, top = [], 0
    for i in range(0, n, columns):
        for part, space in ((x, 4 * _gap(x) if i else 0), (xhat, _gap(x))):
            row = tiles(part[i : i + columns], columns)
            strips += [np.ones((space, row.shape[1], 3)), row]
            middles.append(top + space + (h - 1) / 2)
            top += space + h
    return np.concatenate(strips), np.array(middles)


def _enlarge(picture: Array, scale: int) -> NDArray[np.uint8]:
    """A picture in [0, 1] as 8-bit pixels, each `scale` x `scale` of them."""
    return (picture * 255 + 0.5).astype(np.uint8).repeat(scale, 0).repeat(scale, 1)


def _page(
    picture: Array, image: int, title: str = "", left: float = 0.05, top: float = 0.32
) -> tuple[Figure, Axes]:
    """A figure that just holds `picture`, whose images are `image` pixels wide, and inches at its left and top."""
    width = max(picture.shape[1] / image * _TILE, 2.2 if title else 0)
    height = width * picture.shape[0] / picture.shape[1]
    w, h = left + width + 0.05, top + height + 0.05
    figure = Figure(figsize=(w, h))
    ax = figure.add_axes((left / w, 0.05 / h, width / w, height / h))
    _draw_picture(ax, picture)
    figure.text(0.5, 1 - 0.07 / h, title, ha="center", va="top", fontsize=10)
    return figure, ax


def _draw_picture(ax: Axes, picture: Array, title: str = "") -> None:
    """Coordinates are the pixels of `picture`, (0, 0) the centre of the top left one."""
    h, w, _ = picture.shape
    # Enlarged by a whole number first and then only ever reduced: every pixel of an image comes out the same size.
    ax.imshow(_enlarge(picture, -(-1600 // max(h, w))), extent=(-0.5, w - 0.5, h - 0.5, -0.5))
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set_visible(False)


def _mark_pairs(ax: Axes, middles: Array, lang: Lang) -> None:
    ax.set_yticks(
        middles, [label(key, lang) for key in ("original", "reconstruction")] * (len(middles) // 2)
    )
    ax.tick_params(length=0)


@_look()
def examples(x: Array, y: Labels, lang: Lang, columns: int = 5) -> Figure:
    """N examples of the data, `columns` in a row, each under its label."""
    h, w = np.shape(x)[-2:]
    gap = round(0.3 * w)
    title = label("unlabelled" if y is None else "examples", lang)
    figure, ax = _page(tiles(x, columns, gap), w, title, top=0.55)
    for i, name in enumerate([] if y is None else y[: len(x)]):
        row, column = divmod(i, columns)
        _above(ax, f"{name}", (column * (w + gap) + w / 2 - 0.5, row * (h + gap) - 0.5), "center")
    return figure


def _above(
    ax: Axes, text: str, at: tuple[float, float], side: Literal["left", "center", "right"]
) -> None:
    ax.annotate(text, at, (0, 3), textcoords="offset points", ha=side, fontsize=8)


@_look()
def reconstructions(x: Array, xhat: Array, lang: Lang) -> Figure:
    """N originals over their reconstructions, wrapped into double rows of at most ten."""
    picture, middles = _pairs(x, xhat)
    figure, ax = _page(picture, np.shape(x)[-1], left=0.95, top=0.05)
    _mark_pairs(ax, middles, lang)
    return figure


@_look()
def rows(images: Mapping[str, Array]) -> Figure:
    """Rows of N images each, named at the left: originals over each run's reconstructions, samples over neighbours."""
    x = next(iter(images.values()))
    n, h, w = len(_rgb(x)), np.shape(x)[-2], np.shape(x)[-1]
    picture = tiles(np.concatenate([*images.values()]), n)
    figure, ax = _page(picture, w, left=0.2 + 0.075 * max(map(len, images)), top=0.05)
    ax.set_yticks((h - 1) / 2 + (h + _gap(x)) * np.arange(len(images)), [*images])
    ax.tick_params(length=0)
    return figure


@_look()
def samples(x: Array, lang: Lang) -> Figure:
    """N decoded samples of the prior in a near-square grid."""
    figure, _ = _page(_square(x), np.shape(x)[-1], label("samples", lang))
    return figure


@_look()
def interpolation(images: Array, lang: Lang, originals: Array | None = None) -> Figure:
    """R rows of S steps between the codes of two images: (R, S, H, W) or (R, S, C, H, W).

    The first and the last step are the reconstructions of the two images, which stand at the ends of the row
    where `originals` (R, 2, ...) gives them.
    """
    x = np.asarray(images)
    if x.ndim not in (4, 5):
        raise UserError(
            f"figures: expected rows of images (R, S, H, W) or (R, S, C, H, W), got {x.shape}"
        )
    picture, inset = tiles(x.reshape(-1, *x.shape[2:]), x.shape[1]), {"reconstruction": 0}
    if originals is not None:
        first, last = (tiles(np.asarray(originals)[:, i], 1) for i in (0, 1))
        white = np.ones((len(picture), 6 * _gap(x), 3))
        picture = np.concatenate([first, white, picture, white, last], axis=1)
        inset = {"original": 0, "reconstruction": first.shape[1] + white.shape[1]}
    figure, ax = _page(picture, x.shape[-1], label("interpolation", lang), top=0.5)
    for key, pixels in inset.items():
        _above(ax, label(key, lang), (pixels - 0.5, -0.5), "left")
        _above(ax, label(key, lang), (picture.shape[1] - pixels - 0.5, -0.5), "right")
    return figure


@_look()
def side_by_side_images(runs: Mapping[str, Array], lang: Lang, title: str | None = None) -> Figure:
    """The images of several runs (samples, manifolds ...) as near-square grids next to each other, named above.

    The title is left out where there is a single run, a panel of a page that says it once for all.
    """
    pictures = {name: _square(images) for name, images in runs.items()}
    tallest = max(picture.shape[0] / picture.shape[1] for picture in pictures.values())
    apart = ConstrainedLayoutEngine(wspace=0.08)  # further than two tiles of one run
    figure = Figure(figsize=(4 * len(pictures), 4 * tallest + 0.5), layout=apart)
    if len(runs) > 1:
        figure.suptitle(label("samples", lang) if title is None else title, fontsize=11)
    for ax, (name, picture) in zip(_row(figure, len(pictures)), pictures.items(), strict=True):
        _draw_picture(ax, picture, name)
    return figure


def _row(figure: Figure, n: int) -> list[Axes]:
    return list(figure.subplots(1, n, squeeze=False)[0])


# --- the latent plane decoded -----------------------------------------------------------------------------------


def grid_axis(n: int, grid: Literal["quantile", "linear"] = "quantile", span: float = 3.0) -> Array:
    """n ascending values of one latent coordinate.

    ``quantile``: Phi^-1((i + 1/2) / n), the standard normal's quantiles, so that every cell of the grid has the same
    prior probability; ``linear``: from -span to span.
    """
    if n < 1:
        raise UserError(f"figures: a latent grid needs at least 1 image a side, got {n}")
    if grid == "linear":
        return np.linspace(-span, span, n) if n > 1 else np.zeros(1)
    return np.array([NormalDist().inv_cdf((i + 0.5) / n) for i in range(n)])


def grid_points(axis: Array) -> Array:
    """(n*n, 2): the points (z1, z2) of the grid in reading order, z1 to the right and z2 upwards."""
    z2, z1 = np.meshgrid(axis[::-1], axis, indexing="ij")
    return np.stack([z1.ravel(), z2.ravel()], axis=1)


def _draw_manifold(ax: Axes, images: Array, axis: Array, lang: Lang) -> None:
    n, h, w = len(axis), np.shape(images)[-2], np.shape(images)[-1]
    if len(images) != n * n:
        raise UserError(f"figures: a grid of {n} x {n} needs {n * n} images, got {len(images)}")
    gap = 1 if min(h, w) < 16 else 0  # small images run into one another without
    _draw_picture(ax, tiles(images, n, gap))
    # Five ticks, alike on both sides of the middle, and but for the middle at the centre of an image.
    quarter = round((n - 1) / 4)
    at = np.unique([0, quarter, (n - 1) / 2, n - 1 - quarter, n - 1])
    values = np.interp(at, np.arange(n), axis).round(2) + 0.0  # no -0.00
    names = [decimal(f"{value:.2f}", lang).replace("-", "−") for value in values]
    ax.set_xticks(at * (w + gap) + (w - 1) / 2, names)
    ax.set_yticks((n - 1 - at) * (h + gap) + (h - 1) / 2, names)
    ax.set(xlabel="$z_1$", ylabel="$z_2$", title=label("manifold", lang))


@_look()
def manifold(images: Array, axis: Array, lang: Lang) -> Figure:
    """The images (n*n, ...) decoded at `grid_points(axis)` as one picture in latent coordinates."""
    h, w = np.shape(images)[-2:]
    figure = Figure(figsize=(6, 5.4 * h / w + 0.6), layout="constrained")
    _draw_manifold(figure.subplots(), images, axis, lang)
    return figure


# --- latent codes -----------------------------------------------------------------------------------------------


def _codes(z: Array, y: Labels) -> Array:
    z = np.asarray(z, dtype=np.float64)
    if z.ndim != 2 or not z.size or not np.isfinite(z).all():
        raise UserError(
            f"figures: expected finite latent codes (N, L), got {z.shape}; flatten them or train anew"
        )
    if y is not None and len(y) != len(z):
        raise UserError(
            f"figures: {len(z)} latent codes but {len(y)} labels; give one label for each"
        )
    return z


def pca(z: Array) -> tuple[Array, Array]:
    """Codes (N, L), L >= 2, on their two principal axes: points (N, 2) and every axis' share of the variance (L,).

    The axes are those of the centred codes, the points are not centred: their origin is z = 0, the prior's mean.
    """
    z = _codes(z, None)
    if z.shape[1] < 2:
        raise UserError(
            "figures: codes of one dimension have no principal plane; draw their histogram with latent()"
        )
    centred = z - z.mean(0)
    variance, axes = np.linalg.eigh(centred.T @ centred)  # ascending
    variance, axes = variance[::-1].clip(0), axes[:, :-3:-1]
    axes = axes * np.where(
        axes[np.abs(axes).argmax(0), range(2)] < 0, -1, 1
    )  # an eigenvector's sign is arbitrary
    return z @ axes, variance / (variance.sum() or 1.0)


def tsne(z: Array, seed: int) -> Array:
    """t-SNE of codes (N, L), L >= 2: (N, 2); perplexity 30, less for few codes. Tens of seconds for 10,000.

    van der Maaten & Hinton 2008. It starts from `pca`, so the seed matters little.
    """
    z = _codes(z, None)
    start: Array = pca(z)[0]
    if len(z) < 3 or not np.ptp(z, axis=0).any():
        return start
    from sklearn.manifold import TSNE  # only here: it takes a second to import

    # scikit-learn's own PCA start divides by zero for constant codes; this one is the same where both exist.
    start = 1e-4 * (start - start.mean(0)) / start[:, 0].std()
    model = TSNE(
        perplexity=min(30.0, (len(z) - 1) / 3), init=start.astype(np.float32), random_state=seed
    )
    return np.asarray(model.fit_transform(z.astype(np.float32)), dtype=np.float64)


def _classes(*labels: Labels) -> Array:
    """The distinct labels, sorted; none where there are no labels."""
    given = [np.asarray(y) for y in labels if y is not None]
    return np.unique(np.concatenate(given)) if given else np.array([])


def _scale(classes: Array) -> tuple[ScalarMappable, Array]:
    """More classes than there are colours lie on a continuous scale: the scale, and where each class lies on it."""
    values = classes if np.issubdtype(classes.dtype, np.number) else np.arange(len(classes))
    return ScalarMappable(Normalize(values[0], values[-1]), "viridis"), values


def _palette(classes: Array) -> Array:
    """(K, 4): a colour for every class, or the one for codes without labels."""
    if len(classes) <= len(COLOURS):
        return to_rgba_array(COLOURS[: len(classes)] or COLOURS[1])
    scale, values = _scale(classes)
    return np.asarray(scale.to_rgba(values))


def _draw_key(figure: Figure, classes: Array, lang: Lang) -> None:
    """One legend for all the panels, or a colour bar where there are many classes."""
    if len(classes) > len(COLOURS):
        bar = figure.colorbar(
            _scale(classes)[0], ax=figure.axes, label=label("class", lang), shrink=0.8, pad=0.02
        )
        _localise(bar.ax, lang)
    elif len(classes):
        dots = [
            Line2D([], [], color=colour, marker="o", ms=5, ls="")
            for colour in COLOURS[: len(classes)]
        ]
        names = [f"{name}" for name in classes]
        figure.legend(
            dots, names, loc="outside right center", title=label("class", lang), handletextpad=0.1
        )


def _draw_points(ax: Axes, points: Array, y: Labels, classes: Array) -> None:
    n, palette = len(points), _palette(classes)
    colours = palette[np.searchsorted(classes, y) if y is not None else np.zeros(n, dtype=int)]
    order = np.random.default_rng(0).permutation(
        n
    )  # so that no class hides another, however the data are sorted
    size, alpha = float(np.clip(16000 / n, 3, 20)), float(np.clip(60 / n**0.5, 0.5, 0.9))
    ax.scatter(points[order, 0], points[order, 1], size, colours[order], alpha=alpha, linewidths=0)
    ax.set_aspect("equal", adjustable="datalim")
    if np.ptp(points, axis=0).max() <= 1e-6 * max(1, np.abs(points).max()):
        a, b = points[0]  # all in one place: what differs is rounding, and not to be blown up
        ax.update_datalim([(a - 1, b - 1), (a + 1, b + 1)])
    if y is not None and 1 < len(classes) <= len(COLOURS):
        halo = [withStroke(linewidth=2.5, foreground="white")]
        present = [
            (name, colour)
            for name, colour in zip(classes, palette, strict=True)
            if (np.asarray(y) == name).any()
        ]
        middles = np.array(
            [np.median(points[np.asarray(y) == name], axis=0) for name, _ in present]
        )
        places = _apart(middles, 0.045 * np.ptp(points, axis=0).max())
        for (name, colour), (a, b) in zip(present, places, strict=True):
            ax.text(
                a,
                b,
                f"{name}",
                color=colour,
                weight="bold",
                ha="center",
                va="center",
                path_effects=halo,
            )


def _apart(places: Array, distance: float) -> Array:
    """The places (N, 2), pushed away from one another until none is nearer than `distance` to its neighbour."""
    places = places + 1e-3 * distance * np.random.default_rng(0).standard_normal(
        places.shape
    )  # none on another
    for _ in range(200):
        gaps = places[:, None] - places  # (N, N, 2)
        lengths = np.linalg.norm(gaps, axis=-1, keepdims=True) + np.eye(len(places))[..., None] * (
            2 * distance + 1
        )
        push = np.clip(distance - lengths, 0, None) * gaps / lengths
        places = places + 0.5 * push.sum(1)
    return places


def _draw_histogram(ax: Axes, z: Array, y: Labels, classes: Array) -> None:
    edges = np.histogram_bin_edges(z, bins=60)
    apart = y is not None and len(classes) <= len(COLOURS)
    for group, colour in zip(
        [z[np.asarray(y) == name] for name in classes] if apart else [z], COLOURS, strict=False
    ):
        counts = np.histogram(group, edges)[0]
        ax.stairs(counts, edges, fill=True, color=colour, alpha=0.2)
        ax.stairs(counts, edges, color=colour, linewidth=1.2)


def _draw_latent(ax: Axes, z: Array, y: Labels, classes: Array, lang: Lang) -> None:
    """One code: a histogram; two: a scatter; more: the scatter of the first two principal components."""
    if z.shape[1] == 1:
        _draw_histogram(ax, z[:, 0], y, classes)
        ax.set(xlabel="$z_1$", ylabel=label("count", lang), title=label("latent", lang))
    elif z.shape[1] == 2:
        _draw_points(ax, z, y, classes)
        ax.set(xlabel="$z_1$", ylabel="$z_2$", title=label("latent", lang))
    else:
        points, ratio = pca(z)
        _draw_points(ax, points, y, classes)
        first, second, both = (
            float(100 * share) for share in (ratio[0], ratio[1], ratio[:2].sum())
        )
        ax.set_xlabel(label("component", lang, n=1, share=first))
        ax.set_ylabel(label("component", lang, n=2, share=second))
        ax.set_title(label("pca", lang, share=both))
    _localise(ax, lang)


def _draw_embedding(ax: Axes, points: Array, y: Labels, classes: Array, lang: Lang) -> None:
    _draw_points(ax, _codes(points, y), y, classes)
    ax.set(xticks=[], yticks=[], title=label("tsne", lang))  # its distances have no unit


def _draw_prior(ax: Axes, dims: int) -> None:
    """One and two standard deviations of N(0, I), in any orthonormal plane the same circles."""
    for radius in (1, 2):
        if dims > 1:
            ax.add_patch(Circle((0, 0), radius, fill=False, linestyle="--", linewidth=1, zorder=3))
        else:
            ax.vlines(
                [-radius, radius],
                0,
                1,
                "black",
                "--",
                linewidth=1,
                transform=ax.get_xaxis_transform(),
            )


@_look()
def latent(z: Array, y: Labels, lang: Lang, embedding: Array | None = None) -> Figure:
    """Codes (N, L) coloured by class: histogram (L = 1), scatter (L = 2) or PCA, beside `embedding` where given.

    `embedding` (N, 2) is what `tsne` returns: it takes long, so the caller decides.
    """
    z, classes = _codes(z, y), _classes(y)
    figure = Figure(figsize=(6.2 if embedding is None else 11.5, 5.4), layout="constrained")
    axes = _row(figure, 1 if embedding is None else 2)
    _draw_latent(axes[0], z, y, classes, lang)
    if embedding is not None:
        _draw_embedding(axes[1], embedding, y, classes, lang)
    _draw_key(figure, classes, lang)
    return figure


@_look()
def side_by_side(
    runs: Mapping[str, tuple[Array, Labels]], lang: Lang, normal: Collection[str]
) -> Figure:
    """The codes (N, L) and labels of several runs, each on its own scale.

    Those whose prior is N(0, I), named in `normal`, have its circles for measure.
    """
    classes = _classes(*(y for _, y in runs.values()))
    figure = Figure(figsize=(4.6 * len(runs) + 0.8, 5), layout="constrained")
    for ax, (name, (z, y)) in zip(_row(figure, len(runs)), runs.items(), strict=True):
        z = _codes(z, y)
        _draw_latent(ax, z, y, classes, lang)
        if name in normal:
            _draw_prior(ax, z.shape[1])
        ax.set_title(name)
    _draw_key(figure, classes, lang)
    if normal:
        circle = Line2D([], [], color="black", linestyle="--", linewidth=1)
        figure.legend([circle], [label("prior", lang)], loc="outside lower center")
    return figure


# --- training ---------------------------------------------------------------------------------------------------


def _draw_losses(ax: Axes, history: History, part: str, lang: Lang) -> None:
    """One curve per split of `part`: loss, distortion or rate; beside a loss the bound of several samples, dashed."""
    epochs = np.array([entry["epoch"] for entry in history])
    curves: dict[str, Array] = {}
    for split, color in _SPLITS.items():
        for key, style in [(part, "-"), *([("bound", "--")] if part == "loss" else [])]:
            curve = np.array(
                [entry.get(split, {}).get(key, np.nan) for entry in history], dtype=float
            )
            if np.isfinite(curve).any():
                name = (
                    label(split, lang)
                    if key == part
                    else label("bound", lang, split=label(split, lang))
                )
                curves[name] = curve
                ax.plot(
                    epochs,
                    curve,
                    color=color,
                    linestyle=style,
                    marker="o",
                    markersize=2.5,
                    label=name,
                )
    ax.set(title=label(part, lang), xlabel=label("epoch", lang), ylabel=label("nats", lang))
    ax.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    ax.xaxis.set_major_locator(
        MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    )
    ax.grid(axis="y", color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    _localise(ax, lang)
    _limit(ax, curves, int(epochs[0]), lang)


def _limit(ax: Axes, curves: Mapping[str, Array], epoch: int, lang: Lang) -> None:
    """Keep the first epoch from squashing the others: where it lies far out its value is written, not drawn."""
    rest = np.concatenate([curve[1:] for curve in curves.values()])
    rest = rest[np.isfinite(rest)]
    if rest.size < 4 * len(curves) or not np.ptp(rest):
        return
    low, high = rest.min(), rest.max()
    room = (high - low) / 2
    first = {split: float(curve[0]) for split, curve in curves.items() if np.isfinite(curve[0])}
    near = [value for value in first.values() if low - room <= value <= high + room]
    low, high = min([low, *near]), max([high, *near])
    ax.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    far = {split: value for split, value in first.items() if not low <= value <= high}
    notes = [
        f"{'↑' if value > high else '↓'} {label('outside', lang, epoch=epoch, split=split, value=value)}"
        for split, value in far.items()
    ]
    up = any(value > high for value in far.values())
    ax.annotate(
        "\n".join(notes),
        (0.98, 0.98 if up else 0.02),
        xycoords="axes fraction",
        ha="right",
        va="top" if up else "bottom",
        fontsize=8,
        color="0.35",
    )


def _draw_beta(ax: Axes, history: History, lang: Lang) -> None:
    """The weight of the rate on an axis of its own, behind the curves, where it changes."""
    beta = [entry.get("beta", 1.0) for entry in history]
    if len(set(beta)) < 2:
        return
    behind = ax.twinx()
    behind.plot(
        [entry["epoch"] for entry in history], beta, color="0.75", linestyle="--", linewidth=1.2
    )
    behind.set_ylabel(label("beta", lang), color="0.45")
    behind.tick_params(axis="y", colors="0.45")
    behind.set_ylim(0, 1.05 * max(beta))
    behind.spines.right.set(visible=True, color="0.75")
    ax.set_zorder(behind.get_zorder() + 1)
    ax.patch.set_visible(False)
    _localise(behind, lang)


@_look()
def losses(history: History, lang: Lang) -> Figure:
    """Total, distortion and rate over the epochs, in nats per image, for every split in `history`.

    `history` has one ``{"epoch": 1, "beta": 1.0, "train": {"loss", "distortion", "rate"}, "test": {...}}`` per epoch;
    the held-out split is "validation", "test", both or none.
    """
    if not history:
        raise UserError("figures: the history is empty; train for at least one epoch")
    figure = Figure(figsize=(11.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for ax, part in zip(axes, ("loss", "distortion", "rate"), strict=True):
        _draw_losses(ax, history, part, lang)
    _draw_beta(axes[2], history, lang)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


@_look()
def overview(
    history: History,
    x: Array,
    xhat: Array,
    samples: Array,
    z: Array,
    y: Labels,
    lang: Lang,
    title: str = "",
    embedding: Array | None = None,
    grid: tuple[Array, Array] | None = None,
) -> Figure:
    """A run on one page: reconstructions and loss above; samples, latent space and a third panel below.

    The third panel is the manifold where `grid` gives (images, axis), else the `embedding` (N, 2), else room
    for the latent space.
    """
    z, classes = _codes(z, y), _classes(y)
    third = "latent" if grid is None and embedding is None else "third"
    figure = Figure(figsize=(13, 7.6), layout="constrained")
    figure.suptitle(title, fontsize=12)
    panels = figure.subplot_mosaic(
        [["pairs", "pairs", "loss"], ["samples", "latent", third]], height_ratios=[5, 7]
    )
    picture, middles = _pairs(x, xhat)
    _draw_picture(panels["pairs"], picture)
    _mark_pairs(panels["pairs"], middles, lang)
    _draw_losses(panels["loss"], history, "loss", lang)
    panels["loss"].legend()
    _draw_picture(panels["samples"], _square(samples), label("samples", lang))
    _draw_latent(panels["latent"], z, y, classes, lang)
    if grid is not None:
        _draw_manifold(panels["third"], *grid, lang)
    elif embedding is not None:
        _draw_embedding(panels["third"], embedding, y, classes, lang)
    _draw_key(figure, classes, lang)
    return figure


# --- files ------------------------------------------------------------------------------------------------------


@_look()
def png(figure: Figure) -> bytes:
    """The figure as PNG: no date and no version in it, so the same figure is the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)


def frame(x: Array, xhat: Array, samples: Array, epoch: int, lang: Lang) -> Image.Image:
    """One epoch as an RGB image, in a few milliseconds: originals over reconstructions, and samples below.

    Drawn with Pillow alone, for it is called in the middle of training. Small images are enlarged to about 56 pixels.
    """
    scale = max(1, round(56 / max(np.shape(x)[-2:])))
    blocks = {
        "pairs": _enlarge(_pairs(x, xhat)[0], scale),
        "samples": _enlarge(_square(samples), scale),
    }
    heads = {key: label(key, lang) for key in blocks}
    width = max(picture.shape[1] for picture in blocks.values())
    width = max(width, *(math.ceil(_font(14).getlength(head)) for head in heads.values()))
    page = Image.new(
        "RGB", (width + 32, sum(len(picture) + 38 for picture in blocks.values()) + 54), "white"
    )
    pen, top = ImageDraw.Draw(page), 46
    pen.text((16, 16), label("at_epoch", lang, epoch=epoch), "black", _font(22))
    for key, picture in blocks.items():
        pen.text((16, top), heads[key], "black", _font(14))
        page.paste(Image.fromarray(picture), (16, top + 22))
        top += len(picture) + 38
    return page


def animation(frames: Sequence[Image.Image]) -> bytes:
    """The frames as a GIF that loops: four a second, the last one for two seconds, one palette for all.

    The palette adapts to the frames and is the same for all of them, else the colours would flicker.
    """
    if not frames or len({image.size for image in frames}) > 1:
        raise UserError("figures: an animation needs at least one frame, all of one size")
    if all(not np.ptp(np.asarray(image), axis=-1).any() for image in frames):
        first, *others = (image.convert("L") for image in frames)  # grey frames are kept exactly
    else:
        few = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, 8).astype(int))]
        palette = Image.fromarray(np.concatenate([np.asarray(image) for image in few])).quantize(
            256
        )
        first, *others = (
            image.quantize(palette=palette, dither=Image.Dither.NONE) for image in frames
        )
    buffer = io.BytesIO()
    durations = [250] * len(others) + [2000]
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=durations, loop=0)
    return buffer.getvalue()
