"""What the pictures promise: every pixel and every word in its place, and the same bytes for the same input."""

from __future__ import annotations

import io
import string
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy.stats import norm
from sklearn.datasets import load_digits

from vaelab.errors import UserError
from vaelab.plots import figures
from vaelab.plots.labels import LABELS, Lang, decimal, label

SHAPES = [(28, 28), (3, 20, 28), (1, 7, 5), (4, 9, 9)]
DIGITS = load_digits()
CODES = DIGITS.data[:300] - DIGITS.data[:300].mean(0)
LABELS_OF = DIGITS.target[:300]


def images(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(n).random((n, *shape))


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
    """Every word of a figure; tick labels that are numbers are no words."""
    figure.draw_without_rendering()
    found = {t.get_text() for t in figure.findobj(Text) if t.get_visible()}
    return {text for text in found if any(c.isalpha() for c in text)}


def is_png(data: bytes) -> tuple[int, int]:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    assert picture.format == "PNG"
    return picture.size


ALL = {
    "examples": lambda lang: figures.examples(images(10, 28, 28), LABELS_OF[:10], lang),
    "losses": lambda lang: figures.losses(history(6, "validation", beta=0.2), lang),
    "reconstructions": lambda lang: figures.reconstructions(images(4, 28, 28), images(4, 28, 28), lang),
    "samples": lambda lang: figures.samples(images(16, 28, 28), lang),
    "latent-1": lambda lang: figures.latent(CODES[:, 10:11], LABELS_OF, lang),
    "latent-2": lambda lang: figures.latent(CODES[:, 10:12], LABELS_OF, lang),
    "latent-64": lambda lang: figures.latent(CODES, LABELS_OF, lang, CODES[:, 10:12]),
    "manifold": lambda lang: figures.manifold(images(9, 28, 28), figures.grid_axis(3), lang),
    "interpolation": lambda lang: figures.interpolation(images(12, 28, 28).reshape(3, 4, 28, 28), lang),
    "side_by_side": lambda lang: figures.side_by_side(
        {"1": (CODES[:, 2:4], LABELS_OF), "2": (CODES, None)}, lang, ["1"]
    ),
    "side_by_side_images": lambda lang: figures.side_by_side_images({"1": images(4, 8, 8), "2": images(9, 8, 8)}, lang),
    "overview": lambda lang: figures.overview(
        history(5), images(12, 9, 9), images(12, 9, 9), images(5, 9, 9), CODES[:, 10:12], LABELS_OF, lang, "?",
        grid=(images(9, 9, 9), figures.grid_axis(3)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_same_input_same_bytes_without_date_or_version(name: str) -> None:
    first = figures.png(ALL[name]("en"))
    assert is_png(first)
    assert first == figures.png(ALL[name]("en"))
    assert not set(Image.open(io.BytesIO(first)).info) - {"dpi"}


@pytest.mark.parametrize("name", ALL)
def test_no_english_is_left_in_a_portuguese_figure(name: str) -> None:
    english, portuguese = texts(ALL[name]("en")), texts(ALL[name]("pt"))
    assert len(english) == len(portuguese)
    assert portuguese
    symbols = {text for text in english if text.startswith("$")}
    assert english & portuguese <= symbols | {"original"}


def test_every_label_has_both_languages_and_the_same_slots() -> None:
    for key, words in LABELS.items():
        assert set(words) == set(get_args(Lang)), key
        slots = [
            {name for _, name, _, _ in string.Formatter().parse(text) if name}
            for text in words.values()
        ]
        assert slots[0] == slots[1], key
        values = dict.fromkeys(slots[0], 1.5)
        for lang in words:
            assert "{" not in label(key, lang, **values)
            assert label(key, lang, **values).strip()
    assert decimal("-0.5", "pt") == "-0,5"
    assert decimal("-0.5", "en") == "-0.5"
    with pytest.raises(UserError, match="choose one of: en, pt"):
        label("epoch", "fr")


def test_tiles_put_every_pixel_in_its_place() -> None:
    x = images(5, 4, 6)
    picture = figures.tiles(x, columns=3, gap=2)
    assert picture.shape == (2 * 4 + 2, 3 * 6 + 2 * 2, 3)
    seen = np.zeros(picture.shape[:2], dtype=bool)
    for i in range(5):
        top, left = i // 3 * 6, i % 3 * 8
        for channel in range(3):
            np.testing.assert_array_equal(
                picture[top : top + 4, left : left + 6, channel], x[i].astype(np.float32)
            )
        seen[top : top + 4, left : left + 6] = True
    assert (picture[~seen] == 1).all()
    assert figures.tiles(x, columns=5, gap=0).shape == (4, 30, 3)


def test_colour_is_kept_transparency_lies_on_white_and_values_are_clipped() -> None:
    x = images(2, 3, 4, 6)
    np.testing.assert_array_equal(
        figures.tiles(x, 1, 0)[:4], x[0].transpose(1, 2, 0).astype(np.float32)
    )
    clear = np.concatenate([x, np.zeros((2, 1, 4, 6))], axis=1)
    assert (figures.tiles(clear, 1, 0) == 1).all()
    extreme = np.array([[[-1.0, 2.0, np.nan, np.inf]]])
    np.testing.assert_array_equal(figures.tiles(extreme, 1, 0)[0, :, 0], [0, 1, 0.5, 1])


@pytest.mark.parametrize("bad", [(3, 64), (3, 2, 8, 8), (0, 8, 8), (3, 1, 1, 8, 8)])
def test_data_that_are_no_images_are_refused_in_words(bad: tuple[int, ...]) -> None:
    for draw in (lambda x: figures.samples(x, "en"), lambda x: figures.reconstructions(x, x, "en")):
        with pytest.raises(UserError, match="expected images"):
            draw(np.zeros(bad))


def test_sizes_that_do_not_agree_are_refused_in_words() -> None:
    with pytest.raises(UserError, match="one shape"):
        figures.reconstructions(images(3, 8, 8), images(2, 8, 8), "en")
    with pytest.raises(UserError, match="needs 9 images"):
        figures.manifold(images(8, 8, 8), figures.grid_axis(3), "en")
    with pytest.raises(UserError, match="3 latent codes but 2 labels"):
        figures.latent(np.zeros((3, 2)), np.zeros(2), "en")
    with pytest.raises(UserError, match="finite latent codes"):
        figures.latent(np.full((3, 2), np.nan), None, "en")
    with pytest.raises(UserError, match="history is empty"):
        figures.losses([], "en")
    with pytest.raises(UserError, match="at least one frame"):
        figures.animation([])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [1, 13])
def test_image_figures_take_every_kind_of_image(shape: tuple[int, ...], n: int) -> None:
    x = images(n, *shape)
    rows = {"a": x, "b": x[:1]}
    ends = images(2 * n, *shape).reshape(n, 2, *shape)
    steps = images(3 * n, *shape).reshape(n, 3, *shape)
    if len(shape) == 3:
        drawn = figures.interpolation(steps, "en", ends)
    else:
        drawn = figures.interpolation(
            steps[:, :, None], "en", ends[:, :, None]
        )  # (R, S, 1, H, W) is grey too
    for figure in (
        drawn,
        figures.examples(x, None, "pt"),
        figures.examples(x, ["cat"] * n, "en", columns=3),
        figures.reconstructions(x, 1 - x, "pt"),
        figures.samples(x, "pt"),
        figures.side_by_side_images(rows, "pt", "title"),
        figures.manifold(images(n * n, *shape), figures.grid_axis(n), "pt"),
    ):
        width, height = is_png(figures.png(figure))
        assert min(width, height) > 60
    page = figures.frame(x, 1 - x, x, 3, "pt")
    assert page.mode == "RGB"


def test_reconstructions_stand_under_their_originals_in_rows_of_at_most_ten() -> None:
    x = np.stack([np.full((28, 28), i / 40) for i in range(16)])
    figure = figures.reconstructions(x, x + 0.5, "en")
    (ax,) = figure.axes
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["original", "reconstruction"] * 2
    centres = ax.get_yticks()
    shown = ax.images[0]
    left, right, bottom, top = shown.get_extent()
    assert right - left == 8 * 28 + 7  # two double rows of eight

    def grey(column: int, y: float) -> float:
        """What is seen at data coordinates, whatever the resolution it was drawn at."""
        pixels = np.asarray(shown.get_array())
        row = int((y - top) / (bottom - top) * pixels.shape[0])
        return (
            pixels[row, int((column * 29 + 14 - left) / (right - left) * pixels.shape[1]), 0] / 255
        )

    for i in range(16):
        above, below = centres[2 * (i // 8) : 2 * (i // 8) + 2]
        assert grey(i % 8, above) == pytest.approx(i / 40, abs=0.01)
        assert grey(i % 8, below) == pytest.approx(min(i / 40 + 0.5, 1), abs=0.01)


@pytest.mark.parametrize(
    ("n", "columns", "rows"), [(64, 8, 8), (16, 4, 4), (1, 1, 1), (7, 3, 3), (12, 4, 3)]
)
def test_samples_fill_a_near_square_grid(n: int, columns: int, rows: int) -> None:
    (ax,) = figures.samples(images(n, 10, 10), "en").axes
    left, right, bottom, top = ax.images[0].get_extent()
    assert (right - left, bottom - top) == (11 * columns - 1, 11 * rows - 1)


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_quantile_axis_is_the_normal_inverse_cdf_and_linear_axis_reaches_the_span(n: int) -> None:
    np.testing.assert_allclose(figures.grid_axis(n), norm.ppf((np.arange(n) + 0.5) / n), atol=1e-12)
    linear = figures.grid_axis(n, "linear", 1.5)
    assert linear.shape == (n,)
    assert linear.sum() == pytest.approx(0, abs=1e-12)
    assert n == 1 or (linear[0], linear[-1]) == (-1.5, 1.5)
    with pytest.raises(UserError, match="at least 1"):
        figures.grid_axis(0)


@pytest.mark.parametrize("grid", ["quantile", "linear"])
def test_manifold_has_z1_to_the_right_and_z2_upwards(grid: str) -> None:
    axis = figures.grid_axis(6, grid)
    points = figures.grid_points(axis)
    decoded = norm.cdf(points)[:, :, None, None] * np.ones(
        (1, 1, 17, 20)
    )  # one image is z1, the other z2
    for which in (0, 1):
        figure = figures.manifold(decoded[:, which], axis, "en")
        (ax,) = figure.axes
        pixels = np.asarray(ax.images[0].get_array())[..., 0].astype(int)
        seen = pixels[pixels.shape[0] // 2] if which == 0 else pixels[::-1, pixels.shape[1] // 2]
        assert (np.diff(seen) >= 0).all()
        assert seen[0] == round(255 * norm.cdf(axis[0]))
        # A tick on an image names the z that image was decoded from.
        ticks = ax.get_xticks() if which == 0 else ax.get_yticks()
        names = ax.get_xticklabels() if which == 0 else ax.get_yticklabels()
        for tick, name in zip(ticks, names, strict=True):
            place = (tick + 0.5) / 20 - 0.5 if which == 0 else 5.5 - (tick + 0.5) / 17
            z = float(name.get_text().replace("−", "-"))
            assert z == pytest.approx(np.interp(place, np.arange(6), axis), abs=0.006)
        assert len(ticks) == 5


def test_explained_variance_is_that_of_the_singular_values() -> None:
    points, share = figures.pca(CODES + 3)
    centred = CODES - CODES.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(share, singular**2 / (singular**2).sum(), atol=1e-12)
    expected = (CODES + 3) @ axes[:2].T
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-8)
    total = 100 * share[:2].sum()
    assert f"({total:.1f}% of" in " ".join(texts(figures.latent(CODES + 3, None, "en")))
    with pytest.raises(UserError, match="one dimension"):
        figures.pca(CODES[:, :1])


def test_prior_circles_are_centred_on_z_zero_in_principal_coordinates_too() -> None:
    z = np.random.default_rng(0).normal(size=(400, 5)) * 0.1 + np.array([7, 0, 0, 0, 0])
    points, _ = figures.pca(np.concatenate([z, np.zeros((1, 5))]))
    np.testing.assert_allclose(points[-1], 0, atol=1e-12)
    figure = figures.side_by_side(
        {"plane": (z[:, :2], None), "more": (z, None), "line": (z[:, :1], None)},
        "pt",
        ["plane", "more", "line"],
    )
    for ax in figure.axes[:2]:
        assert [(patch.center, patch.radius) for patch in ax.patches] == [((0, 0), 1), ((0, 0), 2)]
        limits = (*ax.get_xlim(), *ax.get_ylim())
        assert limits[0] <= -2
        assert limits[1] >= 2
    assert is_png(figures.png(figure))


def test_panels_share_colours_and_one_legend() -> None:
    one, other = LABELS_OF[:150] % 3, LABELS_OF[150:] % 3 + 1
    figure = figures.side_by_side(
        {"a": (CODES[:150, 2:4], one), "b": (CODES[150:, 2:4], other)}, "en", "ab"
    )
    names = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert names == ["0", "1", "2", "3", label("prior", "en")]
    shades = [
        {tuple(colour[:3]) for colour in ax.collections[0].get_facecolors()} for ax in figure.axes
    ]
    assert len(shades[0] & shades[1]) == 2
    assert len(shades[0] | shades[1]) == 4


@pytest.mark.parametrize(
    "labels",
    [
        None,
        np.arange(300) % 3 == 0,
        np.linspace(0, 1, 300),
        np.arange(300) % 20,
        np.array(list("abc") * 100),
    ],
)
def test_labels_may_be_missing_many_or_words(labels: np.ndarray | None) -> None:
    for dims in (1, 2, 5):
        figure = figures.latent(CODES[:, 2 : 2 + dims], labels, "pt")
        assert is_png(figures.png(figure))
        many = labels is not None and len(np.unique(labels)) > 10
        assert len(figure.axes) == 1 + many  # a colour bar in the place of a legend
        assert bool(figure.legends) == (labels is not None and not many)


def test_many_words_get_a_scale_as_well() -> None:
    words = np.array([f"class {i % 12}" for i in range(300)])
    assert is_png(figures.png(figures.latent(CODES[:, 2:4], words, "en")))


@pytest.mark.parametrize(
    "z", [np.zeros((1, 1)), np.ones((1, 2)), np.zeros((1, 5)), np.full((9, 7), 0.1), CODES[:2, :4]]
)
def test_one_code_or_constant_codes_are_drawn(z: np.ndarray) -> None:
    embedding = figures.tsne(z, 0) if z.shape[1] > 2 else None
    assert is_png(figures.png(figures.latent(z, np.zeros(len(z), dtype=int), "en", embedding)))


def test_tsne_is_the_same_each_time_and_keeps_neighbours() -> None:
    first = figures.tsne(CODES[:120], 3)
    assert first.shape == (120, 2)
    np.testing.assert_array_equal(first, figures.tsne(CODES[:120], 3))
    distance = np.linalg.norm(first[:, None] - first[None], axis=-1) + 1e9 * np.eye(120)
    assert (LABELS_OF[:120][distance.argmin(1)] == LABELS_OF[:120]).mean() > 0.8
    for n in (3, 4, 8):
        assert np.isfinite(figures.tsne(CODES[:n], 0)).all()


def test_losses_draw_every_split_over_whole_epochs() -> None:
    for epochs, held_out in ((1, "test"), (1, None), (3, "validation"), (30, "test")):
        figure = figures.losses(history(epochs, held_out), "pt")
        assert is_png(figures.png(figure))
        assert len(figure.axes) == 3  # beta is constant
        for ax, part in zip(figure.axes, ("loss", "distortion", "rate"), strict=True):
            assert len(ax.lines) == 1 + bool(held_out)
            expected = [entry["train"][part] for entry in history(epochs)]
            np.testing.assert_allclose(ax.lines[0].get_ydata(), expected)
            ticks = ax.get_xticks()
            assert len(ticks)
            assert np.array_equal(ticks, np.round(ticks))


def test_a_far_first_epoch_is_written_not_drawn_and_a_near_one_is_drawn() -> None:
    total, _, rate = figures.losses(history(20), "pt").axes
    assert total.get_ylim()[1] < 165
    assert "↑ época 1, treino: 165,0" in "".join(t.get_text() for t in total.texts)
    assert rate.get_ylim()[0] > 15
    assert "↓ época 1, treino: 15,0" in "".join(t.get_text() for t in rate.texts)
    level = history(20)
    level[0] = level[1] | {"epoch": 1}
    total = figures.losses(level, "en").axes[0]
    assert not "".join(t.get_text() for t in total.texts)
    assert total.get_ylim()[1] > level[0]["test"]["loss"]


def test_losses_survive_what_training_may_yield() -> None:
    broken = history(8)
    broken[3]["train"] = {"loss": float("nan"), "distortion": float("inf"), "rate": 0.0}
    del broken[5]["test"]
    constant = [
        {"epoch": e, "beta": 0.0, "train": {"loss": 1.0, "distortion": 1.0, "rate": 0.0}}
        for e in (1, 2, 3, 4, 5)
    ]
    for entries in (broken, constant):
        assert is_png(figures.png(figures.losses(entries, "en")))


def test_beta_has_an_axis_where_it_changes() -> None:
    *_, rate, beta = figures.losses(history(10, beta=0.2), "pt").axes
    assert label("beta", "pt") == beta.get_ylabel()
    np.testing.assert_allclose(beta.lines[0].get_ydata(), np.minimum(1, 0.2 * np.arange(1, 11)))
    assert rate.get_zorder() > beta.get_zorder()


def test_overview_has_the_panels_it_is_given() -> None:
    x = images(12, 3, 20, 28)
    grid = (images(9, 3, 20, 28), figures.grid_axis(3))
    for codes, extra, panels in (
        (CODES[:, 2:4], {"grid": grid}, 5),
        (CODES, {"embedding": CODES[:, 2:4]}, 5),
        (CODES, {}, 4),
        (CODES[:, 10:11], {}, 4),
    ):
        figure = figures.overview(history(4), x, x, x, codes, LABELS_OF, "pt", "run", **extra)
        assert len(figure.axes) == panels
        assert len(figure.legends) == 1
        assert is_png(figures.png(figure))[0] > 2000


def test_frames_differ_by_epoch_and_make_one_looping_animation() -> None:
    x = images(10, 28, 28)
    frames = [figures.frame(x, x * i / 4, images(64, 28, 28) * i / 4, i, "pt") for i in range(1, 5)]
    assert len({page.size for page in frames}) == 1
    pixels = np.asarray(frames[0])
    assert (pixels[0] == 255).all()
    assert (pixels == 0).any()
    data = figures.animation(frames)
    assert data == figures.animation(frames)
    with Image.open(io.BytesIO(data)) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (4, frames[0].size, 0)
        durations, errors = [], []
        for i, page in enumerate(frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
            errors.append(
                np.abs(np.asarray(gif.convert("RGB"), dtype=int) - np.asarray(page)).max()
            )
        assert durations == [250, 250, 250, 2000]
        assert max(errors) == 0  # grey levels survive
    with pytest.raises(UserError, match="one size"):
        figures.animation([frames[0], figures.frame(x, x, x, 1, "en")])
    colours = [
        figures.frame(y, y, y, i, "en") for i in (1, 2) for y in [images(3, 3, 8, 8) * i / 2]
    ]
    with Image.open(io.BytesIO(figures.animation(colours))) as gif:
        assert gif.n_frames == 2
        assert np.abs(np.asarray(gif.convert("RGB"), dtype=int) - np.asarray(colours[0])).mean() < 3
    single = figures.animation(frames[:1])
    assert Image.open(io.BytesIO(single)).size == frames[0].size


def test_frames_show_the_images_enlarged_pixel_by_pixel() -> None:
    x = images(2, 28, 28)
    page = np.asarray(figures.frame(x, x, x, 1, "en"))[..., 0]
    expected = (x[0].astype(np.float32) * 255 + 0.5).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    windows = np.lib.stride_tricks.sliding_window_view(page, (56, 56))
    hits = np.argwhere((windows[:, 16] == expected).all(axis=(1, 2)))
    assert len(hits) == 3  # as original, as reconstruction, as sample, all at the left margin


def test_the_reader_s_own_style_neither_leaks_in_nor_is_changed() -> None:
    import matplotlib

    plain = figures.png(ALL["latent-2"]("en"))
    with matplotlib.rc_context(
        {"axes.facecolor": "black", "font.size": 30, "xtick.direction": "in"}
    ):
        before = dict(matplotlib.rcParams)
        assert figures.png(ALL["latent-2"]("en")) == plain
        assert dict(matplotlib.rcParams) == before


def test_importing_the_figures_loads_no_heavy_library() -> None:
    code = "import sys, vaelab.plots.figures; print({'torch', 'sklearn', 'matplotlib.pyplot'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"


def test_class_names_are_pushed_apart_and_those_apart_already_stay() -> None:
    places = np.array([[0.0, 0.0], [0.0, 0.0], [0.1, 0.0], [9.0, 9.0]])
    moved = figures._apart(places, 1.0)
    gaps = np.linalg.norm(moved[:, None] - moved, axis=-1) + 9 * np.eye(4)
    assert gaps.min() > 0.98
    assert np.abs(moved[3] - places[3]).max() < 0.01
