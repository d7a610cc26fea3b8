"""Small pictures of data: every pixel in its place, a bounded size, and the right kind."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from vaelab.data import guess
from vaelab.errors import UserError
from vaelab.plots import picture
from vaelab.plots.pixels import SIDE, pairs, signals, square, tiles


def images(n: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(n).random((n, *shape))


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((28, 28), "image"), ((8, 8), "image"), ((3, 24, 18), "image"), ((13, 32, 32), "image"),
        ((7, 5), "image"), ((80, 300), "image"), ((200, 50), "image"),
        ((128, 3), "signal"), ((3, 128), "signal"), ((28, 1), "signal"), ((12, 1000), "signal"),
        ((3, 1, 128), "signal"), ((784,), "signal"), ((10,), "table"), ((1,), "table"),
    ],
)  # fmt: skip
def test_the_shape_tells_what_data_are_where_nothing_else_does(
    shape: tuple[int, ...], kind: str
) -> None:
    assert guess(shape) == kind


def test_signals_are_steps_by_channels() -> None:
    x = images(4, 3, 50)
    np.testing.assert_array_equal(signals(x), np.moveaxis(x, 2, 1))
    np.testing.assert_array_equal(signals(x[:, 0]), x[:, 0, :, None])


def test_values_are_scaled_by_the_span_and_clipped() -> None:
    x = np.array([[[-1.0, 300, np.nan, 2800.0], [3000, 300, 300, 1550]]])
    shown = picture(x, (300, 2800))
    np.testing.assert_array_equal(shown[0, ..., 0], [[0, 0, 128, 255], [255, 0, 0, 128]])
    assert (picture(np.zeros((1, 4, 4)), (0, 0)) == 0).all()  # a constant image


def test_colour_is_kept_and_transparency_lies_on_white() -> None:
    x = images(2, 3, 4, 6)
    expected = np.moveaxis(x, 1, -1) * 255
    assert np.abs(picture(x) - expected).max() <= 0.51
    clear = np.concatenate([x, np.zeros((2, 1, 4, 6))], axis=1)
    assert (picture(clear) == 255).all()


def test_of_other_numbers_of_channels_the_mean_is_shown() -> None:
    x = images(2, 13, 6, 6)
    assert np.abs(picture(x)[..., 0] - 255 * x.mean(1)).max() <= 0.51


def test_large_images_are_reduced_to_means_of_what_they_replace() -> None:
    x = images(2, 3, 512, 256).astype(np.float32)
    shown = picture(x)
    assert shown.shape == (2, SIDE, SIDE // 2, 3)
    blocks = x.reshape(2, 3, SIDE, 4, SIDE // 2, 4).mean((3, 5))
    assert np.abs(shown - 255 * np.moveaxis(blocks, 1, -1)).max() <= 0.51
    assert picture(images(1, 1, 1000, 20)).shape == (1, SIDE, 3, 3)
    assert picture(images(1, 301, 299)).shape == (1, SIDE, 127, 3)
    assert picture(np.full((1, 131, 257), 0.5)).min() == 128  # uneven groups keep the mean


@pytest.mark.parametrize(("n", "shape"), [(200, (28,)), (200, (50,)), (60, (20, 2000))])
def test_pictures_of_signals_take_little_memory(n: int, shape: tuple[int, ...]) -> None:
    x = np.zeros((n, *shape), np.float32)
    tracemalloc.start()
    sheet = square(picture(x, form="signal"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sheet.size < 6e6
    assert peak < 5e7
    assert 0.3 < sheet.shape[0] / sheet.shape[1] < 3


def test_curves_of_signals_have_a_colour_for_each_channel_and_rise_with_the_values() -> None:
    up = np.linspace(0, 1, 60)[:, None] * np.ones(2) * [1, 0.5]
    (shown,) = picture(np.moveaxis(up[None], 1, 2), form="signal")
    blue = (shown[..., 2] > 150) & (shown[..., 1] < 100)
    rows = [int(np.flatnonzero(column).mean()) for column in blue.T[5:-5] if column.any()]
    assert len(rows) > 60
    assert (np.diff(rows) <= 0).all()
    green = (shown[..., 1] > 150) & (shown[..., 0] < 100)
    assert green.any()


@pytest.mark.parametrize("bad", [(3,), (0, 8, 8), (3, 1, 1, 8, 8)])
def test_other_arrays_are_refused(bad: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="expected images or signals"):
        picture(np.zeros(bad))


def test_tiles_put_every_pixel_in_its_place() -> None:
    x = picture(images(5, 4, 6))
    sheet = tiles(x, columns=3, space=2)
    assert sheet.shape == (2 * 4 + 2, 3 * 6 + 2 * 2, 3)
    seen = np.zeros(sheet.shape[:2], dtype=bool)
    for i in range(5):
        top, left = i // 3 * 6, i % 3 * 8
        np.testing.assert_array_equal(sheet[top : top + 4, left : left + 6], x[i])
        seen[top : top + 4, left : left + 6] = True
    assert (sheet[~seen] == 255).all()
    assert tiles(x, columns=5, space=0).shape == (4, 30, 3)


@pytest.mark.parametrize(
    ("n", "columns", "rows"), [(64, 8, 8), (16, 4, 4), (1, 1, 1), (7, 3, 3), (12, 4, 3)]
)
def test_samples_fill_a_near_square_grid(n: int, columns: int, rows: int) -> None:
    sheet = square(picture(images(n, 10, 10)))
    assert sheet.shape[:2] == (11 * rows - 1, 11 * columns - 1)


def test_reconstructions_stand_under_their_originals_in_rows_of_at_most_ten() -> None:
    x = picture(np.stack([np.full((28, 28), i / 40) for i in range(16)]))
    sheet, middles = pairs(x, x + 100)
    assert sheet.shape[1] == 8 * 28 + 7  # two double rows of eight
    for i in range(16):
        above, below = middles[2 * (i // 8) : 2 * (i // 8) + 2]
        across = i % 8 * 29 + 14
        assert sheet[int(above), across, 0] == x[i, 0, 0, 0]
        assert sheet[int(below), across, 0] == x[i, 0, 0, 0] + 100
    with pytest.raises(UserError, match="one shape"):
        pairs(x, x[:2])


def test_a_grid_of_given_columns_has_a_row_for_each_class() -> None:
    x = picture(images(6, 4, 4))
    np.testing.assert_array_equal(square(x, 2), tiles(x, 2))


def test_a_spike_of_a_long_signal_is_drawn() -> None:
    x = np.zeros((1, 50_000, 1), np.float32)
    x[0, 33_333] = 1
    (shown,) = picture(x[..., 0], form="signal")
    reached = (shown[:12] < 150).any((0, 2)).nonzero()[0]  # near the top
    assert len(reached)
    assert abs(reached.mean() / shown.shape[1] - 2 / 3) < 0.03


def test_each_of_many_channels_is_a_row() -> None:
    x = np.zeros((2, 8, 400), np.float32)
    x[:, 1::2] = 1
    shown = picture(x, form="signal")
    assert shown.shape == (2, 72, 96, 3)
    np.testing.assert_array_equal(shown[0, 4::9, 50, 0], [0, 255] * 4)
