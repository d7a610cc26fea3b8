"""Codes and rows as files of numbers: .npy, .npz with labels, .csv."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from vaelab.data.frames import encoded
from vaelab.data.schema import Array, Cells
from vaelab.errors import UserError
from vaelab.files import write_atomic

NUMBERS = (".npy", ".npz", ".csv")


def save_codes(path: Path, z: Tensor, labels: Array | None, others: Cells) -> Path:
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


def save_array(path: Path, rows: Tensor, labels: Array | None = None) -> Path:
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
