"""What every page promises: a bounded size, both languages, the same bytes, and text as text."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from typing import get_args

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from plot_helpers import CODES, EN, LABELS_OF, PT, coarse, history, pictures, png_size, texts

from vaelab.errors import UserError
from vaelab.plots import classes_of, columns, encode, style
from vaelab.plots.by_class import by_class
from vaelab.plots.charts import plain_schema
from vaelab.plots.curves import losses
from vaelab.plots.dimensions import histograms, kl, spread
from vaelab.plots.effects import Effects, Quantity
from vaelab.plots.frames import animation, frame
from vaelab.plots.images import (
    examples,
    interpolation,
    reconstructions,
    rows,
    samples,
    side_by_side_images,
    strips,
)  # fmt: skip
from vaelab.plots.latent import Embedding, latent, side_by_side
from vaelab.plots.manifold import grid_axis, manifold
from vaelab.plots.overview import Pictures, overview
from vaelab.plots.series import (
    signal_pairs,
    signal_scores,
    signal_steps,
    signals,
)  # fmt: skip
from vaelab.plots.style import Look, plain

__all__ = ["coarse"]
TEN = classes_of(LABELS_OF)
VARIED = np.argsort(-CODES.var(0))


def of_dimensions(n: int, look: Look) -> list[Figure]:
    """The figures of n latent dimensions, of which some are not active."""
    z, order = np.resize(CODES[:, VARIED] / 8, (300, n)), np.arange(n)
    names = look.text("aggregate"), look.text("the_prior")
    return [
        kl(z.var(0), z.var(0), order, look=look),
        spread(z, np.abs(z), order, look=look),
        histograms(z, None, order, look=look, names=names),
    ]


def of_classes(n: int, look: Look) -> Figure:
    values, title = np.arange(n) * 1.5, look.text("loss_by_class")
    return by_class([f"{i}" for i in range(n)], values, values / 9, 20.5, look=look, title=title)


def of_quantities(dimensions: int, quantities: int) -> Effects:
    """The changes of as many quantities of the columns of numbers."""
    names = [Quantity(f"{q % 6}", q % 6, None, 1.0) for q in range(quantities)]
    change = np.sin(np.arange(dimensions)[:, None] + np.arange(quantities))
    return Effects(np.arange(dimensions), names, change)


NUMBERS = plain_schema(tuple("012345"))
MANY_NUMBERS = plain_schema(tuple(map(str, range(CODES.shape[1]))))
WAVES = np.sin(np.linspace(0, 9, 40)[None, :, None] * np.arange(1, 25)[:, None, None] / 4) * [1, 2]

ALL = {
    "examples": lambda look: examples(pictures(10), list("0123456789"), look=look),
    "losses": lambda look: losses(history(6, "validation", beta=0.2), look=look),
    "reconstructions": lambda look: reconstructions(pictures(4), pictures(4), look=look),
    "samples": lambda look: samples(pictures(16), look=look, title=look.text("samples")),
    "rows": lambda look: rows({look.text("sample"): pictures(3), "1": pictures(2)}, look=look),
    "latent-1": lambda look: latent(
        CODES[:, 10:11], LABELS_OF, TEN, look=look, title=look.text("latent")
    ),
    "latent-2": lambda look: latent(
        CODES[:, 10:12], LABELS_OF, TEN, look=look, title=look.text("latent")
    ),
    "latent-64": lambda look: latent(
        CODES, LABELS_OF, TEN, Embedding(CODES[:, 10:12], LABELS_OF), look=look, title=""
    ),
    "manifold": lambda look: manifold(pictures(9), grid_axis(3), look=look),
    "traversal": lambda look: manifold(pictures(6), grid_axis(6), look=look),
    "interpolation": lambda look: interpolation(pictures(12).reshape(3, 4, 28, 28, 3), look=look),
    "side_by_side": lambda look: side_by_side(
        {"1": (CODES[:, 2:4], LABELS_OF), "2": (CODES, None)}, ["1"], TEN, look=look
    ),
    "side_by_side_images": lambda look: side_by_side_images(
        {"1": pictures(4), "2": pictures(9)}, look=look, title=look.text("samples")
    ),
    "signals": lambda look: signals(WAVES, look=look, title=look.text("samples")),
    "signal_pairs": lambda look: signal_pairs(WAVES[:7], WAVES[:7] + 0.1, look=look),
    "signal_scores": lambda look: signal_scores(
        WAVES[0], np.exp(WAVES[0, :, 0]), WAVES[0, :, 0] > 0.5, 2.0, look=look
    ),
    "signal_steps": lambda look: signal_steps(
        WAVES.reshape(4, 6, 40, 2), look=look, title=look.text("interpolation")
    ),
    "columns": lambda look: columns.columns(
        NUMBERS, CODES[:, 2:8], CODES[9:, 2:8], look=look, title=look.text("samples")
    ),
    "pairs": lambda look: columns.pairs(NUMBERS, CODES[:, 2:8], CODES[:, 2:8] + 1, look=look),
    "kl": lambda look: of_dimensions(20, look)[0],
    "spread": lambda look: of_dimensions(64, look)[1],
    "histograms": lambda look: of_dimensions(64, look)[2],
    "learned prior": lambda look: histograms(
        CODES[:, :1], CODES[:, 2:3], np.arange(1), look=look, names=("1", look.text("the_prior"))
    ),
    "by_class": lambda look: of_classes(10, look),
    "strips": lambda look: strips(
        pictures(12).reshape(3, 4, 28, 28, 3), ["1", "2", "3"], ["", "-1", "", "1"], look=look,
        title=look.text("traversals_image"),
    ),
    "changes": lambda look: columns.changes(
        of_quantities(3, 6), NUMBERS, look=look, title=look.text("traversals_table")
    ),
    "overview": lambda look: overview(
        history(5), Pictures(pictures(12), pictures(12), pictures(5)), CODES[:, 10:12], LABELS_OF,
        TEN, grid=(pictures(9), grid_axis(3)), look=look, titles=("?", look.text("samples"), "1"),
    ),
}  # fmt: skip
MANY = {
    "tall": lambda look: samples(pictures(64, 128, 1), look=look, title="a title"),
    "wide": lambda look: examples(pictures(30, 2, 128), ["x"] * 30, look=look),
    "many": lambda look: samples(pictures(2000, 8, 8), look=look, title=""),
    "long": lambda look: reconstructions(pictures(300, 8, 8), pictures(300, 8, 8), look=look),
    "rows": lambda look: rows({f"{i} " * 40: pictures(40, 8, 8) for i in range(30)}, look=look),
    "runs": lambda look: side_by_side(
        {f"{i}" * 90: (CODES, None) for i in range(8)}, [], look=look
    ),
    "grids": lambda look: side_by_side_images(
        {f"{i}": pictures(64, 64, 2) for i in range(8)}, look=look
    ),
    "walks": lambda look: interpolation(
        pictures(110, 128, 2).reshape(10, 11, 128, 2, 3), look=look
    ),
    "channels": lambda look: signals(np.ones((99, 30, 12)), look=look, title=""),
    "columns": lambda look: columns.pairs(MANY_NUMBERS, CODES, CODES, look=look),
    "changes": lambda look: columns.changes(of_quantities(16, 60), NUMBERS, look=look, title=""),
    "one dimension": lambda look: of_dimensions(1, look)[2],
    "dimensions": lambda look: of_dimensions(300, look)[2],
    "bars": lambda look: of_dimensions(300, look)[0],
    "classes": lambda look: of_classes(99, look),
    "strips": lambda look: strips(
        pictures(130, 128, 2).reshape(10, 13, 128, 2, 3), ["x" * 40] * 10, look=look, title=""
    ),
    "plane": lambda look: manifold(pictures(100, 128, 2), grid_axis(10), look=look),
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_same_input_same_bytes_without_date_or_version(name: str) -> None:
    first = encode(ALL[name](EN))
    assert png_size(first)
    assert first == encode(ALL[name](EN))
    assert not set(Image.open(io.BytesIO(first)).info) - {"dpi"}


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_pdf_and_svg_are_the_same_bytes_too(kind: style.Format) -> None:
    first = encode(ALL["latent-2"](EN), kind)
    assert first == encode(ALL["latent-2"](EN), kind)
    assert first.startswith(b"%PDF" if kind == "pdf" else b"<?xml")
    assert b"20" + b"26-" not in first  # no date
    with pytest.raises(UserError, match="choose png, pdf or svg"):
        encode(ALL["latent-2"](EN), "gif")  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("name", ["latent-64", "overview", "samples"])
def test_a_page_is_drawn_once_for_each_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    draw = Figure.draw
    monkeypatch.setattr(Figure, "draw", lambda self, to: (drawn.append(self), draw(self, to)))
    page = ALL[name](EN)
    assert drawn == []
    for kind in ("png", "svg"):
        encode(page, kind)
    assert drawn == [page, page]


def test_a_t_sne_says_of_how_many_codes_it_is() -> None:
    embedding = Embedding(CODES[:100, 10:12], LABELS_OF[:100])
    page = latent(CODES, LABELS_OF, TEN, embedding, look=PT, title="")
    assert "t-SNE de 100 códigos" in texts(page)


@pytest.mark.parametrize("name", ALL)
def test_no_english_is_left_in_a_portuguese_figure(name: str) -> None:
    english, portuguese = texts(ALL[name](EN)), texts(ALL[name](PT))
    assert len(english) == len(portuguese)
    symbols = {text for text in english if text.startswith("z")}
    assert english & portuguese <= symbols | {"original"}


@pytest.mark.parametrize("size", get_args(style.Size))
@pytest.mark.parametrize("name", [*ALL, *(f"many {name}" for name in MANY)])
def test_no_page_is_larger_than_its_size_allows(name: str, size: style.Size) -> None:
    look = Look("en", size)
    make = MANY[name.removeprefix("many ")] if name.startswith("many ") else ALL[name]
    width, height = make(look).get_size_inches()
    assert width <= look.width + 1e-6
    assert height <= look.height + 1e-6


NAMES = ["run_$SEED_$LR", "cost $5 to $9", r"\frac{1}{0}", "_hidden", "a\nb\tc", "<b>&", "^_$"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_text_wherever_it_is_shown(name: str) -> None:
    shown = plain(name)
    y = np.arange(300) % 2
    both = classes_of(y, [name, "other"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (
            side_by_side({name: (CODES[:, 2:4], y)}, [], both, look=EN),
            latent(CODES[:, 2:3], y, both, look=EN, title=""),
            rows({name: pictures(2)}, look=EN),
            examples(pictures(2), [name, name], look=EN),
            side_by_side_images({name: pictures(2), "b": pictures(2)}, look=EN),
            overview(
                history(2), Pictures(pictures(2), pictures(2), pictures(2)), CODES[:, 2:4], y,
                both, look=EN, titles=(name, "", ""),
            ),
        ):  # fmt: skip
            assert encode(figure)
            assert any(shown[:11] in text for text in texts(figure)) or shown == "^_$"
    assert "\n" not in shown


def test_characters_that_no_font_has_are_shown_as_code_points_without_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours = [face for face in style.fonts.fontManager.ttflist if face.name == "DejaVu Sans"]
    monkeypatch.setattr(style.fonts.fontManager, "ttflist", ours)
    style._font.cache_clear()
    try:
        assert plain("実験 a") == "U+5B9FU+9A13 a"
        assert style.unwritable(("実験 実", "a")) == "実験"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert encode(side_by_side({"実験": (CODES, None)}, [], look=EN))
    finally:
        style._font.cache_clear()


def test_a_font_of_the_system_that_has_the_characters_is_used() -> None:
    """STIX comes with matplotlib and has a letter that DejaVu Sans lacks."""
    stix = style._characters(style.fonts.findfont("STIXGeneral"))
    ours = style._characters(style.fonts.findfont("DejaVu Sans"))
    letter = next(chr(c) for c in sorted(stix - ours) if chr(c).isprintable() and c < 0xE000)
    assert plain(letter) == letter
    figure = samples(pictures(1), look=EN, title=letter)
    (text,) = [t for t in figure.texts if t.get_text() == letter]
    assert text.get_fontfamily()[1:] == [style._font(letter)]


def test_the_style_of_the_user_neither_leaks_in_nor_is_changed() -> None:
    before = encode(ALL["latent-2"](EN))
    own = {"axes.facecolor": "black", "font.size": 30, "text.usetex": False, "svg.hashsalt": "x"}
    with matplotlib.rc_context(own):
        kept = dict(matplotlib.rcParams)
        assert encode(ALL["latent-2"](EN)) == before
        assert dict(matplotlib.rcParams) == kept


def test_importing_the_figures_loads_neither_sklearn_nor_pyplot() -> None:
    code = (
        "import sys, vaelab.plots.gallery; print({'sklearn', 'matplotlib.pyplot'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_frames_have_no_words_and_make_one_looping_animation() -> None:
    x = np.broadcast_to(pictures(10)[..., :1], (10, 28, 28, 3))
    frames = [frame(x, x // i, x[:9] // i, i) for i in range(1, 5)]
    assert len({page.size for page in frames}) == 1
    data = animation(frames)
    assert data == animation(frames)
    with Image.open(io.BytesIO(data)) as gif:
        assert (gif.n_frames, gif.size, gif.info["loop"]) == (4, frames[0].size, 0)
        durations = []
        for i, page in enumerate(frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
            shown = np.asarray(gif.convert("RGB"), dtype=int)
            assert np.abs(shown - np.asarray(page.convert("RGB"))).max() == 0  # greys survive
        assert durations == [250, 250, 250, 2000]
    for bad in ([], [frames[0], frame(x[:4], x[:4], x, 1)]):
        with pytest.raises(UserError, match="at least one frame, all of one size"):
            animation(bad)
    colours = [frame(pictures(3), pictures(3), pictures(3), i) for i in (1, 2)]
    assert {page.mode for page in colours} == {"RGB"}
    grey = frame(x[:3], x[:3], x[:3], 3)
    assert grey.mode == "L"
    with Image.open(io.BytesIO(animation([*colours, grey]))) as gif:
        assert gif.n_frames == 3


def test_frames_show_small_images_enlarged_pixel_by_pixel() -> None:
    x = np.broadcast_to(pictures(2)[..., :1], (2, 28, 28, 3))
    page = np.asarray(frame(x, x, x, 1))
    expected = x[0, ..., 0].repeat(2, 0).repeat(2, 1)
    windows = np.lib.stride_tricks.sliding_window_view(page, (56, 56))
    assert len(np.argwhere((windows[:, 16] == expected).all(axis=(1, 2)))) == 3


def test_rows_of_different_lengths_keep_their_pictures() -> None:
    x = pictures(5, 8, 8)
    (ax,) = rows({"a": x[:3], "b": x[3:]}, look=EN).axes
    shown = np.asarray(ax.images[0].get_array())
    scale = len(shown) // 17  # two rows of 8 pixels, one between them
    for i, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]):
        top, left = 9 * row * scale, 9 * column * scale
        tile = shown[top : top + 8 * scale : scale, left : left + 8 * scale : scale]
        np.testing.assert_array_equal(tile, x[i])
    assert (shown[9 * scale :, 18 * scale :] == 255).all()


def test_titles_that_are_wider_than_the_page_are_broken() -> None:
    @style.page
    def narrow(look: style.Look) -> Figure:
        figure = Figure(figsize=(2, 2), layout="constrained")
        figure.subplots().set_title("Codes decoded across the latent plane")
        return figure

    title = narrow(look=style.Look()).axes[0].title
    assert title.get_text() == "Codes decoded across\nthe latent plane"


@pytest.mark.parametrize("most", [12, 24])
def test_names_without_a_font_are_cut_to_their_length_on_the_page(most: int) -> None:
    for name in ("x" * 60, "हिन्दी" * 9, "ラーメン" * 9, "a"):
        assert len(style.plain(name, most)) <= most
