"""Figures of runs: pure functions from arrays to pages, and which pages a run gets.

Functions such as `latent`, `losses` and `rows` take arrays and return a `Figure`; `encode`
makes a file of it, the same bytes for the same input. `picture` turns data into small pictures of
bounded size; `form` decides what data of a shape are shown as. `gallery.plot` writes all figures of
a run, `exports` writes what a user asks for by a command.
"""

from vaelab.plots.classes import Classes, classes_of
from vaelab.plots.images import rows, side_by_side_images
from vaelab.plots.latent import side_by_side
from vaelab.plots.latent_pages import nll_by_class
from vaelab.plots.pixels import Pixels, form, picture
from vaelab.plots.style import Look, encode
from vaelab.plots.view import (
    View,
    chosen,
    classes_of_runs,
    displayed,
    drawable,
    is_plane,
    latent_grid,
    look_of,
    treated,
)

__all__ = [
    "Classes",
    "Look",
    "Pixels",
    "View",
    "chosen",
    "classes_of",
    "classes_of_runs",
    "displayed",
    "drawable",
    "encode",
    "form",
    "is_plane",
    "latent_grid",
    "look_of",
    "nll_by_class",
    "picture",
    "rows",
    "side_by_side",
    "side_by_side_images",
    "treated",
]
