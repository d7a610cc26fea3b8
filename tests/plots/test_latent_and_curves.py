"""Scatters, densities, manifolds and training curves show what they are given."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from plot_helpers import CODES, EN, LABELS_OF, PT, coarse, history, pictures, png_size, texts
from scipy.stats import gaussian_kde, norm

from vaelab.errors import UserError
from vaelab.plots import classes_of, encode
from vaelab.plots.classes import GREY, MOST, SHOWN
from vaelab.plots.curves import has_rate, losses
from vaelab.plots.latent import Embedding, apart, density, latent, pca, side_by_side
from vaelab.plots.manifold import grid_axis, grid_points, manifold
from vaelab.plots.style import COLOURS
from vaelab.plots.tsne import tsne

__all__ = ["coarse"]


def legend(figure: object) -> list[str]:
    return [text.get_text() for key in figure.legends for text in key.get_texts()]  # type: ignore[attr-defined]  # any artist


# ---------------------------------------------------------------- classes


def test_a_class_keeps_its_colour_whatever_classes_occur() -> None:
    names = ("benign", "malignant", "unknown")
    classes = classes_of(np.array([0, 1, 2]), names)
    for present in ([0, 1], [1, 2], [2]):
        groups = classes.groups(np.array(present * 5), 5 * len(present))
        assert [(name, colour) for name, colour, _, _ in groups] == [
            (names[i], COLOURS[i]) for i in present
        ]
    assert classes_of(np.array([0]), names).labels == (0, 1, 2)  # also one of no example
    assert classes.named(np.array([2, 0])) == ["unknown", "benign"]


@pytest.mark.parametrize("k", [1, 10, 26, MOST])
def test_up_to_thirty_classes_differ_in_colour_or_marker_and_stand_in_the_legend(k: int) -> None:
    y = np.arange(300) % k
    classes = classes_of(y, [f"letter {i}" for i in range(k)])
    assert len(set(classes.styles)) == k
    figure = latent(CODES[:, 2:4], y, classes, look=EN, title="")
    assert legend(figure) == [f"letter {i}" for i in range(k)]
    assert len(figure.axes) == 1  # no colour bar


def test_of_more_classes_the_most_frequent_have_colours_and_the_others_are_counted() -> None:
    y = np.concatenate([np.arange(200), np.repeat(np.arange(50, 50 + SHOWN), 3)])
    classes = classes_of(y)
    assert classes.labels == tuple(range(50, 50 + SHOWN))
    assert classes.others == 200 - SHOWN
    z = np.random.default_rng(0).normal(size=(len(y), 2))
    figure = latent(z, y, classes, look=EN, title="")
    assert legend(figure)[-1] == "191 other classes"
    assert classes.groups(y, len(y))[0][1] == GREY


def test_a_hundred_thousand_classes_are_no_trouble() -> None:
    y = np.arange(100_000)
    assert classes_of(y).others == 100_000 - SHOWN


@pytest.mark.parametrize("y", [None, np.arange(300) % 3 == 0, np.arange(300) % 20])
@pytest.mark.parametrize("dims", [1, 2, 5])
def test_labels_may_be_missing_booleans_or_many(y: np.ndarray | None, dims: int) -> None:
    figure = latent(CODES[:, 2 : 2 + dims], y, classes_of(y), look=PT, title="")
    assert png_size(encode(figure))
    assert bool(figure.legends) == (y is not None and dims > 1)


def test_panels_share_colours_and_one_legend() -> None:
    one, other = LABELS_OF[:150] % 3, LABELS_OF[150:] % 3 + 1
    classes = classes_of(np.concatenate([one, other]))
    runs = {"a": (CODES[:150, 2:4], one), "b": (CODES[150:, 2:4], other)}
    figure = side_by_side(runs, ["a", "b"], classes, look=EN)
    assert legend(figure) == ["0", "1", "2", "3", EN.text("prior")]
    shades = []
    for ax in figure.axes:
        (points,) = [c for c in ax.collections if isinstance(c, PathCollection)]
        shades.append({tuple(colour[:3]) for colour in points.get_facecolors()})
    assert len(shades[0] & shades[1]) == 2
    assert len(shades[0] | shades[1]) == 4


# ---------------------------------------------------------------- codes


@pytest.mark.parametrize(
    "z", [np.zeros((1, 1)), np.ones((1, 2)), np.zeros((1, 5)), np.full((9, 7), 0.1), CODES[:2, :4]]
)
def test_one_code_or_constant_codes_are_drawn(z: np.ndarray) -> None:
    y = np.zeros(len(z), dtype=int)
    embedding = Embedding(tsne(z), y) if z.shape[1] > 2 else None
    assert png_size(encode(latent(z, y, classes_of(y), embedding, look=EN, title="")))


def test_codes_that_cannot_be_shown_are_refused() -> None:
    with pytest.raises(UserError, match="3 latent codes but 2 labels"):
        latent(np.zeros((3, 2)), np.zeros(2), look=EN, title="")
    with pytest.raises(UserError, match="finite latent codes"):
        latent(np.full((3, 2), np.nan), None, look=EN, title="")


def test_a_density_is_the_kernel_estimate_and_integrates_to_one() -> None:
    values = np.random.default_rng(0).normal(2, 3, 4000)
    at = np.linspace(-14, 18, 300)
    found = density(values, at)
    assert found.sum() * (at[1] - at[0]) == pytest.approx(1, abs=1e-3)
    assert np.abs(found - gaussian_kde(values)(at)).max() < 0.05 * found.max()
    assert np.isfinite(density(np.zeros(5), np.linspace(-1, 1, 300))).all()


def test_one_latent_dimension_has_a_ridge_for_each_class_under_its_name() -> None:
    classes = classes_of(LABELS_OF)
    (ax,) = latent(CODES[:, 10:11], LABELS_OF, classes, look=EN, title="").axes
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == [f"{digit}" for digit in range(10)]
    assert [line.get_color() for line in ax.lines] == COLOURS
    for line, base in zip(ax.lines, ax.get_yticks(), strict=True):
        assert line.get_ydata()[0] == pytest.approx(base, abs=0.2 * abs(ax.get_yticks()[1]))


def test_explained_variance_is_that_of_the_singular_values() -> None:
    points, share = pca(CODES + 3)
    centred = CODES - CODES.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(share, singular**2 / (singular**2).sum(), atol=1e-12)
    expected = (CODES + 3) @ axes[:2].T
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-8)
    total = 100 * share[:2].sum()
    shown = " ".join(texts(latent(CODES + 3, None, look=EN, title="")))
    assert f"({total:.1f}% of" in shown


def test_prior_circles_are_centred_on_z_zero_in_principal_coordinates_too() -> None:
    z = np.random.default_rng(0).normal(size=(400, 5)) * 0.1 + np.array([7, 0, 0, 0, 0])
    points, _ = pca(np.concatenate([z, np.zeros((1, 5))]))
    np.testing.assert_allclose(points[-1], 0, atol=1e-12)
    runs = {"plane": (z[:, :2], None), "more": (z, None), "line": (z[:, :1], None)}
    figure = side_by_side(runs, [*runs], look=PT)
    for ax in figure.axes[:2]:
        assert [(patch.center, patch.radius) for patch in ax.patches] == [((0, 0), 1), ((0, 0), 2)]
        limits = (*ax.get_xlim(), *ax.get_ylim())
        assert limits[0] <= -2
        assert limits[1] >= 2
    assert png_size(encode(figure))


def test_class_names_are_pushed_apart_and_those_apart_already_stay() -> None:
    places = np.array([[0.0, 0.0], [0.0, 0.0], [0.1, 0.0], [9.0, 9.0]])
    moved = apart(places, 1.0)
    gaps = np.linalg.norm(moved[:, None] - moved, axis=-1) + 9 * np.eye(4)
    assert gaps.min() > 0.98
    assert np.abs(moved[3] - places[3]).max() < 0.01


# ---------------------------------------------------------------- the plane decoded


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_quantile_axis_is_the_normal_inverse_cdf_and_linear_axis_reaches_the_span(n: int) -> None:
    np.testing.assert_allclose(grid_axis(n), norm.ppf((np.arange(n) + 0.5) / n), atol=1e-12)
    linear = grid_axis(n, "linear", 1.5)
    assert linear.shape == (n,)
    assert linear.sum() == pytest.approx(0, abs=1e-12)
    assert n == 1 or (linear[0], linear[-1]) == (-1.5, 1.5)
    with pytest.raises(UserError, match="at least 1"):
        grid_axis(0)


@pytest.mark.parametrize("grid", ["quantile", "linear"])
def test_manifold_has_z1_to_the_right_z2_upwards_and_round_ticks(grid: str) -> None:
    axis = grid_axis(6, grid, 1.5)
    points = (255 * norm.cdf(grid_points(axis))).astype(np.uint8)
    for which in (0, 1):
        shown = np.broadcast_to(points[:, which, None, None, None], (36, 17, 20, 3))
        (ax,) = manifold(shown, axis, look=EN).axes
        pixels = np.asarray(ax.images[0].get_array())[..., 0].astype(int)
        middle = [n // 2 for n in pixels.shape]
        seen = pixels[middle[0]] if which == 0 else pixels[::-1, middle[1]]
        assert (np.diff(seen) >= 0).all()
        ticks = ax.get_xticks() if which == 0 else ax.get_yticks()
        names = ax.get_xticklabels() if which == 0 else ax.get_yticklabels()
        assert len(ticks) >= 3
        for tick, name in zip(ticks, names, strict=True):
            place = (tick + 0.5) / 20 - 0.5 if which == 0 else 5.5 - (tick + 0.5) / 17
            z = float(name.get_text().replace("−", "-"))
            assert z == pytest.approx(np.interp(place, np.arange(6), axis), abs=1e-6)
            assert z == round(z, 1)
    with pytest.raises(UserError, match="needs 9 images"):
        manifold(pictures(8), grid_axis(3), look=EN)


# ---------------------------------------------------------------- training curves


@pytest.mark.parametrize(
    ("epochs", "held_out"), [(1, "test"), (1, None), (3, "validation"), (30, "test"), (500, "test")]
)
def test_losses_draw_every_split_over_whole_epochs(epochs: int, held_out: str | None) -> None:
    figure = losses(history(epochs, held_out), look=PT)
    assert png_size(encode(figure))
    assert len(figure.axes) == 3  # beta is constant
    for ax, part in zip(figure.axes, ("loss", "distortion", "rate"), strict=True):
        assert len(ax.lines) == 1 + bool(held_out)
        expected = [entry["train"][part] for entry in history(epochs)]
        np.testing.assert_allclose(ax.lines[0].get_ydata(), expected)
        ticks = ax.get_xticks()
        assert len(ticks)
        assert np.array_equal(ticks, np.round(ticks))


def notes(ax: object) -> str:
    return "".join(text.get_text() for text in ax.texts)  # type: ignore[attr-defined]  # any artist


def test_a_far_first_epoch_is_written_not_drawn_and_a_near_one_is_drawn() -> None:
    total, _, rate = losses(history(20), look=PT).axes
    assert total.get_ylim()[1] < 165
    assert "↑ época 1, treino: 165,0" in notes(total)
    assert rate.get_ylim()[0] > 15
    assert "↓ época 1, treino: 15,0" in notes(rate)
    level = history(20)
    level[0] = level[1] | {"epoch": 1}
    total = losses(level, look=EN).axes[0]
    assert not notes(total)
    assert total.get_ylim()[1] > level[0]["test"]["loss"]


def test_a_spike_is_written_and_does_not_flatten_the_curve() -> None:
    entries = history(30)
    entries[20]["train"] = {"loss": 4e30, "distortion": 4e30, "rate": 20.0}
    total = losses(entries, look=EN).axes[0]
    assert total.get_ylim()[1] < 200
    assert "↑ epoch 21, training: 4e+30" in notes(total)
    for epoch in (10, 15, 22):
        entries[epoch]["train"] = {"loss": -9e3, "distortion": -9e3, "rate": 20.0}
    total = losses(entries, look=EN).axes[0]
    assert total.get_ylim()[0] > 0
    assert "and 3 more" in notes(total)


def test_a_steep_but_steady_descent_is_drawn_whole() -> None:
    entries = history(200)
    for entry in entries:
        entry["train"] = {"loss": 100 + 60 / entry["epoch"], "distortion": 1, "rate": 1}  # type: ignore[operator]  # a number
        del entry["test"]
    total = losses(entries, look=EN).axes[0]
    assert total.get_ylim()[1] >= 130


def test_losses_survive_what_training_may_yield() -> None:
    broken = history(8)
    broken[3]["train"] = {"loss": float("nan"), "distortion": float("inf"), "rate": 0.0}
    del broken[5]["test"]
    constant = [
        {"epoch": e, "beta": 0.0, "train": {"loss": -1.0, "distortion": -1.0, "rate": 0.1}}
        for e in range(1, 30)
    ]
    for entries in (broken, constant):
        assert png_size(encode(losses(entries, look=EN)))
    with pytest.raises(UserError, match="history is empty"):
        losses([], look=EN)


def test_a_model_without_a_rate_has_the_distortion_alone() -> None:
    entries = history(5)
    for entry in entries:
        for split in ("train", "test"):
            entry[split] = {"loss": 80.0, "distortion": 80.0, "rate": 0.0}
    assert not has_rate(entries)
    (ax,) = losses(entries, look=EN).axes
    assert ax.get_title() == EN.text("distortion")
    assert not any("KL" in text or "prior" in text for text in texts(ax.figure))


def test_beta_has_an_axis_where_it_changes() -> None:
    *_, rate, beta = losses(history(10, beta=0.2), look=PT).axes
    assert beta.get_ylabel() == PT.text("beta")
    np.testing.assert_allclose(beta.lines[0].get_ydata(), np.minimum(1, 0.2 * np.arange(1, 11)))
    assert rate.get_zorder() > beta.get_zorder()
