"""Samples and reconstructions of a run as files that a user asks for: pictures or numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from vaelab.data.numbers import NUMBERS, save_array
from vaelab.data.schema import Array
from vaelab.errors import UserError
from vaelab.files import write_atomic
from vaelab.recipes import CHOICES
from vaelab.runs import Run

PICTURES = tuple(f".{kind}" for kind in CHOICES["figures.format"])


def write_samples(run: Run, n: int, seed: int, out: str | None, label: int | None = None) -> Path:
    """Write n samples of the prior, of one class where a label is given: a picture or numbers."""
    x = run.vae.sample(n, seed, label)
    name, word = "samples", ""
    if label is not None:
        word = run.class_names[label] if label < len(run.class_names) else f"{label}"
        name = "samples-label-" + re.sub(r"[^\w.-]+", "-", word)

    def picture(kind: Any) -> bytes:
        from vaelab.plots import pages  # see _write

        return pages.sampled(run, x, word, kind)

    return _write(run, name, x, out, picture)


def write_reconstructions(run: Run, x: Tensor, y: Array | None, out: str | None) -> Path:
    """Write rows x (N, *shape) beside their reconstructions: a picture, or numbers."""
    again = run.vae.reconstruct(x, y)

    def picture(kind: Any) -> bytes:
        from vaelab.plots import pages  # see _write

        return pages.reconstructed(run, x, again, kind)

    return _write(run, "reconstructions", again, out, picture)


def _write(
    run: Run, name: str, x: Tensor, out: str | None, picture: Callable[[Any], bytes]
) -> Path:
    """Write into the run folder unless `out` names a file, whose ending says what is written.

    Only a picture, of a kind of figures.format, imports matplotlib: it takes a third of a second.
    """
    drawable = run.form != "table"
    path = Path(out) if out else run.beside(f"{name}.{'png' if drawable else 'npy'}")
    if path.suffix in NUMBERS:
        return save_array(path, x)
    if path.suffix not in PICTURES:
        raise UserError(
            f"--out {path}: cannot write {path.suffix or 'without an ending'}; use .png, .pdf, "
            ".svg, .npy, .npz or .csv"
        )
    if not drawable:
        raise UserError(
            f"--out {path}: data of shape {run.vae.shape} have no picture; use .npy or .csv"
        )
    return write_atomic(path, picture(path.suffix[1:]))
