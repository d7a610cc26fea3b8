"""Tables out of the program: files with a header, and data frames with the dtypes that came in."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.dates import microseconds
from vaelab.data.schema import KINDS, Array, Cells, Column, Schema
from vaelab.data.sources import needed
from vaelab.errors import UserError

WRITTEN = (".csv", ".tsv", ".parquet")


def encoded(path: Path, cells: Mapping[str, Sequence[Any]]) -> bytes:
    """Return the content of a .csv, .tsv or .parquet file with these columns.

    Raises:
        UserError: The path has another ending.
    """
    match path.suffix.lower():
        case ".csv" | ".tsv":
            buffer = io.StringIO(newline="")
            separator = "\t" if path.suffix.lower() == ".tsv" else ","
            writer = csv.writer(buffer, delimiter=separator, lineterminator="\n")
            writer.writerow(cells)
            writer.writerows(zip(*(map(_text, column) for column in cells.values()), strict=True))
            return buffer.getvalue().encode()
        case ".parquet":
            pandas = needed("pandas", "to write Parquet files")
            needed("pyarrow", "to write Parquet files")
            content = io.BytesIO()
            pandas.DataFrame(dict(cells)).to_parquet(content, index=False)
            return content.getvalue()
        case suffix:
            raise UserError(
                f"--out {path}: cannot write {suffix or 'a file without ending'}; use "
                f"{', '.join(WRITTEN)}"
            )


def _text(value: Any) -> str:
    """A number in a file: eight significant digits, and nothing where there is none."""
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.8g}"
    return str(value)


def typed(schema: Schema, x: Array, others: Cells | None = None) -> dict[str, Any]:
    """Return the columns that x (N, D) stands for as arrays of their types, in the schema's order.

    Numbers are int64 where the column has whole ones and no cell is empty, else float64; dates are
    datetime64; categories are texts, or numbers or truth values where all are; None or NaN is an
    empty cell.

    Args:
        schema: The columns.
        x: The rows.
        others: The cells of the columns that are no part of x, by name.
    """
    cells, found, at = schema.cells(x, others), dict[str, Any](), 0
    for column in schema.columns:
        if column.modelled:
            found[column.name] = _values(column, x[:, at], cells[column.name])
            at += 1
        elif column.name in cells:
            found[column.name] = _parsed(cells[column.name], column.dtype)
    return found


def _values(column: Column, x: Array, cells: Sequence[str]) -> Any:
    if KINDS[column.kind].words:
        return _parsed(cells, column.dtype)
    values = column.numbers(x)
    if column.kind == "date":
        moments = [None if np.isnan(v) else microseconds(v, column.format) for v in values]
        return np.array(moments, "datetime64[us]")
    if column.notation and column.dtype:  # words in a data frame, and words again
        return np.array([cell or None for cell in cells], dtype=object)
    if column.decimals == 0 and not np.isnan(values).any():
        return values.astype(np.int64)
    return values


def _parsed(cells: Sequence[str], dtype: str) -> Any:
    """Texts as whole numbers, numbers or truth values where all are; None for an empty cell."""
    filled = [cell for cell in cells if cell]
    if filled and {*filled} <= {"True", "False"} and dtype != "str":
        return np.array([None if not c else c == "True" for c in cells], dtype=object)
    for kind in (int, float):
        try:
            numbers = [kind(cell) for cell in filled]
        except ValueError:
            continue
        if "_" in "".join(filled) or any(c[:1] == "0" and c[1:2].isdigit() for c in filled):
            break
        if len(filled) == len(cells):
            return np.array(numbers)
        found = iter(numbers)
        return np.array([float(next(found)) if cell else np.nan for cell in cells])
    return np.array([cell or None for cell in cells], dtype=object)


def frame(schema: Schema, x: Array, others: Cells | None = None) -> Any:
    """Return a pandas data frame of what x (N, D) stands for, with the dtypes of the frame that the
    schema was inferred from where the values have them.
    """
    pandas = needed("pandas", "to return data frames")
    found = pandas.DataFrame(typed(schema, x, others))
    for column in schema.columns:
        if column.name in found and column.dtype and str(found[column.name].dtype) != column.dtype:
            series = found[column.name]
            whole = column.dtype.startswith(("int", "uint", "bool"))
            if whole and series.isna().any():
                continue  # such a dtype has no missing values
            try:
                found[column.name] = (
                    pandas.Categorical(series, categories=[*_parsed(column.values, "")])
                    if column.dtype == "category"
                    else series.astype(column.dtype)
                )
            except (TypeError, ValueError):
                continue  # a carried column of a newer table with other values
    return found
