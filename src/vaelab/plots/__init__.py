"""Figures of runs: pure functions from arrays to pages, and which pages a run gets.

Functions such as `latent`, `losses` and `rows` take arrays and return a `Figure`; `encode`
makes a file of it, the same bytes for the same input. `picture` turns data into small pictures of
bounded size. `gallery.plot` writes all figures of
a run, `pages` returns those that a user asks for by a command.
"""

from vaelab.plots.classes import MARKERS, Classes, classes_of
from vaelab.plots.dimensions import named
from vaelab.plots.images import rows, side_by_side_images
from vaelab.plots.latent import density, pca, side_by_side
from vaelab.plots.latent_pages import SIGMAS, nll_by_class
from vaelab.plots.pixels import SIDE, Pixels, gap, picture, squarest, tiles
from vaelab.plots.style import COLOURS, Array, Labels, Look, encode, localise
from vaelab.plots.view import (
    TABLE,
    View,
    between,
    chosen,
    class_rows,
    classes_of_runs,
    decoded,
    displayed,
    drawable,
    half_each,
    is_discrete,
    is_plane,
    latent_grid,
    latent_title,
    look_of,
    sample_title,
    unit_of,
)

__all__ = [
    "COLOURS",
    "MARKERS",
    "SIDE",
    "SIGMAS",
    "TABLE",
    "Array",
    "Classes",
    "Labels",
    "Look",
    "Pixels",
    "View",
    "between",
    "chosen",
    "class_rows",
    "classes_of",
    "classes_of_runs",
    "decoded",
    "density",
    "displayed",
    "drawable",
    "encode",
    "gap",
    "half_each",
    "is_discrete",
    "is_plane",
    "latent_grid",
    "latent_title",
    "localise",
    "look_of",
    "named",
    "nll_by_class",
    "pca",
    "picture",
    "rows",
    "sample_title",
    "side_by_side",
    "side_by_side_images",
    "squarest",
    "tiles",
    "unit_of",
]
