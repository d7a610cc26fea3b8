"""Samples and reconstructions of a run as files that a user asks for."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from matplotlib.figure import Figure
from torch import Tensor

from vaelab.data.numbers import NUMBERS, save_array
from vaelab.errors import UserError
from vaelab.files import write_atomic
from vaelab.plots import images, series
from vaelab.plots.gallery import samples_page
from vaelab.plots.pixels import signals
from vaelab.plots.style import Format, Labels, encode, plain
from vaelab.plots.view import displayed, drawable, look_of, sample_title
from vaelab.runs import Run

ENDINGS = tuple(f".{kind}" for kind in get_args(Format))


def write_samples(run: Run, n: int, seed: int, out: str | None, label: int | None = None) -> Path:
    """Write n samples of the prior, of one class where a label is given: a picture or numbers."""
    x = run.vae.sample(n, seed, label)
    name = word = "samples"
    if label is not None:
        word = run.class_names[label] if label < len(run.class_names) else f"{label}"
        name = "samples-label-" + re.sub(r"[^\w.-]+", "-", word)

    def page() -> Figure:
        look = look_of(run)
        if run.form == "signal":
            return series.signals(signals(x.numpy()), look=look, title=sample_title(run))
        if label is None:
            return samples_page(run, x)
        title = f"{look.text('samples')}, {look.text('class')} {plain(word, 24)}"
        return images.samples(displayed(run, x), look=look, title=title)

    return _write(run, name, x, out, page)


def write_reconstructions(run: Run, x: Tensor, y: Labels, out: str | None) -> Path:
    """Write rows x (N, *shape) beside their reconstructions: a picture, or numbers."""
    again, look = run.vae.reconstruct(x, y), look_of(run)

    def page() -> Figure:
        if run.form == "signal":
            return series.signal_pairs(signals(x.numpy()), signals(again.numpy()), look=look)
        return images.reconstructions(displayed(run, x), displayed(run, again), look=look)

    return _write(run, "reconstructions", again, out, page)


def _write(run: Run, name: str, x: Tensor, out: str | None, page: Callable[[], Figure]) -> Path:
    """Write into the run folder unless `out` names a file, whose ending says what is written."""
    path = Path(out) if out else run.beside(f"{name}.{'png' if drawable(run) else 'npy'}")
    if path.suffix in NUMBERS:
        return save_array(path, x)
    if path.suffix not in ENDINGS:
        raise UserError(
            f"--out {path}: cannot write {path.suffix or 'without an ending'}; use .png, .pdf, "
            ".svg, .npy, .npz or .csv"
        )
    if not drawable(run):
        raise UserError(
            f"--out {path}: data of shape {run.vae.shape} have no picture; use .npy or .csv"
        )
    kind = next(kind for kind in get_args(Format) if path.suffix == f".{kind}")
    return write_atomic(path, encode(page(), kind))
