"""Data frames and arrays that are trained on, kept in the cache folder for their runs."""

from __future__ import annotations

import hashlib
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np

from vaelab import devices
from vaelab.errors import UserError, needed
from vaelab.files import write_atomic


def folder() -> Path:
    """Return the folder of stored tables."""
    return devices.cache() / "tables"


def stored(data: Any) -> Path:
    """Write a pandas data frame or an array into the cache folder, and return the file.

    Its name is the hash of its content: the same data are stored once. A data frame becomes a
    Parquet file, which keeps its dtypes, and an array a .npy file.

    Raises:
        UserError: It is neither, or its columns cannot be stored.
    """
    content = io.BytesIO()
    if hasattr(data, "to_parquet"):
        needed("pyarrow", "to train on a data frame")
        data = data.rename(columns=str)
        for name in data.columns[data.dtypes == "category"]:  # Parquet keeps categories of texts
            data[name] = data[name].cat.rename_categories(str)
        try:
            data.to_parquet(content, index=False, engine="pyarrow")
        except (TypeError, ValueError) as error:  # pyarrow's own errors are of these
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"data.source: the data frame cannot be stored ({reason}); give each column values "
                "of one type, and another name"
            ) from None
        what, ending = f"data frame of {len(data):,} rows", "parquet"
    elif isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        np.save(content, data)
        what, ending = f"array of shape {data.shape}", "npy"
    else:
        raise UserError(
            "data.source: expected a name, a path, a pandas data frame or an array of numbers, got "
            f"{type(data).__name__}"
        )
    path = folder() / f"{hashlib.sha256(content.getbuffer()).hexdigest()[:16]}.{ending}"
    if not path.exists():
        write_atomic(path, content.getvalue())
    print(f"the {what} is kept as {path}", file=sys.stderr)
    return path
