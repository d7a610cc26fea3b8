"""Samples, reconstructions and codes of a run as files that a user asks for."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from vaelab.data import Cells
from vaelab.data.frames import encoded
from vaelab.errors import UserError
from vaelab.files import write_atomic
from vaelab.plots import images, series
from vaelab.plots.gallery import samples_page
from vaelab.plots.pixels import signals
from vaelab.plots.style import Array, Format, Labels, encode, plain
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
    if path.suffix in (".npy", ".npz", ".csv"):
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


def save_codes(path: Path, z: Tensor, labels: Labels, others: Cells) -> Path:
    """Write codes z (N, L) as .npy, as .npz with labels, or as a table with a header: z1 .. zL
    behind the carried columns, or the labels.
    """
    if path.suffix in (".npy", ".npz"):
        return save_array(path, z, labels)
    columns: dict[str, Any] = dict(others)
    if labels is not None and not others:
        columns["label"] = labels
    columns |= {f"z{i + 1}": values for i, values in enumerate(z.cpu().numpy().T)}
    return write_atomic(path, encoded(path, columns))


def save_array(path: Path, rows: Tensor, labels: Labels = None) -> Path:
    """Write rows (N, ...) as .npy, as .npz with labels, or as .csv with a line each."""
    buffer = io.BytesIO()
    values: Array = rows.cpu().numpy()
    match path.suffix:
        case ".npy":
            np.save(buffer, values)
        case ".npz":
            np.savez(buffer, z=values) if labels is None else np.savez(buffer, z=values, y=labels)
        case ".csv":
            np.savetxt(buffer, values.reshape(len(values), -1), fmt="%.7g", delimiter=",")
        case _:
            raise UserError(
                f"--out {path}: cannot write a {path.suffix or 'file without ending'}; use .npy, "
                ".npz or .csv"
            )
    return write_atomic(path, buffer.getvalue())
