"""Pictures on a page: every pixel in its place, at its size, and none too thin to be drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vaelab.plots.images import draw_picture
from vaelab.plots.pixels import Pixels


def drawn(pixels: Pixels, width: int, height: int) -> Pixels:
    """The dots (height, width, 3) of a page that the picture fills."""
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    ax = figure.add_axes((0, 0, 1, 1))
    draw_picture(ax, pixels)
    ax.set_aspect("auto")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize(("width", "height"), [(230, 138), (233, 141), (61, 40)])
def test_each_pixel_is_in_its_place_at_the_same_size(width: int, height: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 5, 3)).astype(np.uint8)
    dots = drawn(pixels, width, height)
    assert dots.shape == (height, width, 3)
    # All but the dots within 1.5 of an edge, where two pixels may be mixed.
    for i in range(3):
        for j in range(5):
            top, bottom = (int(np.ceil((i + k) * height / 3 + m)) for k, m in ((0, 1.5), (1, -1.5)))
            left, right = (int(np.ceil((j + k) * width / 5 + m)) for k, m in ((0, 1.5), (1, -1.5)))
            part = dots[top:bottom, left:right]
            assert part.size
            assert (part == pixels[i, j]).all(), (i, j)


def test_a_picture_of_more_pixels_than_dots_shows_their_means() -> None:
    checks = np.indices((80, 120)).sum(0) % 2 * 255
    dots = drawn(np.repeat(checks[..., None], 3, 2).astype(np.uint8), 60, 40)
    assert abs(dots[2:-2, 2:-2].astype(int) - 127.5).max() < 16


@pytest.mark.parametrize("shape", [(1, 3000, 3), (3000, 1, 3)])
def test_a_picture_thinner_than_a_dot_is_drawn(shape: tuple[int, int, int]) -> None:
    figure = Figure(figsize=(3, 3), dpi=100)
    draw_picture(figure.subplots(), np.zeros(shape, np.uint8))
    FigureCanvasAgg(figure).draw()
