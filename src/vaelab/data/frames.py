"""Tables out of the program: files with a header, and data frames with the dtypes that came in."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from vaelab.data.dates import days, microseconds
from vaelab.data.schema import Array, Cells, Column, Schema
from vaelab.errors import UserError, needed

WRITTEN = (".csv", ".tsv", ".parquet")
TEXTS = ("object", "str", "string")  # dtypes of texts


def encoded(
    path: Path, cells: Mapping[str, Sequence[Any]], columns: Sequence[Column] = ()
) -> bytes:
    """Return the content of a .csv, .tsv or .parquet file with these columns.

    Args:
        path: The file; its ending says which.
        cells: Texts or numbers, by column.
        columns: What is known of columns of texts, for the types of a .parquet file.

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
            texts = {k: v for k, v in cells.items() if len(v) and isinstance(v[0], str)}
            found = framed(texts, columns)
            whole = {k: found[k] if k in texts else v for k, v in cells.items()}
            pandas.DataFrame(whole).to_parquet(content, index=False)
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


def typed(cells: Mapping[str, Sequence[str]], columns: Sequence[Column]) -> dict[str, Array]:
    """Return the columns of a table of texts as arrays of their types.

    Numbers are int64 where the column has whole ones and no cell is empty, else float64; dates are
    datetime64; other cells are texts, or numbers or truth values where all are; None, NaN or NaT is
    an empty cell.

    Args:
        cells: The table, by column.
        columns: What is known of the columns, in any order; others are told by their texts.
    """
    known = {column.name: column for column in columns}
    return {name: _values(column, known.get(name)) for name, column in cells.items()}


def _values(cells: Sequence[str], column: Column | None) -> Array:
    dtype = column.dtype if column else ""
    texts = dtype in TEXTS or dtype.startswith(("category[str", "category[object"))
    if column and column.kind == "date":
        moments = [
            microseconds(days(c, column.format), column.format) if c else None for c in cells
        ]
        return np.array(moments, "datetime64[us]")
    if column and column.notation and not texts:
        number = column.notation.number
        return np.array([number(cell) if cell else np.nan for cell in cells])
    return np.array([cell or None for cell in cells], object) if texts else _parsed(cells)


def _parsed(cells: Sequence[str]) -> Array:
    """Texts as whole numbers, numbers or truth values where all are; None for an empty cell."""
    filled = [cell for cell in cells if cell]
    if filled and {*filled} <= {"True", "False"}:
        found = [cell == "True" if cell else None for cell in cells]
        return np.array(found, bool if len(filled) == len(cells) else object)
    for kind in (int, float):
        try:
            numbers = iter([kind(cell) for cell in filled])
        except ValueError:
            continue
        if "_" in "".join(filled) or any(c[:1] == "0" and c[1:2].isdigit() for c in filled):
            break
        if len(filled) == len(cells):
            return np.array([*numbers])
        return np.array([float(next(numbers)) if cell else np.nan for cell in cells])
    return np.array([cell or None for cell in cells], object)


def frame(schema: Schema, x: Array, others: Cells | None = None) -> Any:
    """Return a pandas data frame of what x (N, D) stands for; see `framed`."""
    return framed(schema.cells(x, others), schema.columns)


def framed(cells: Mapping[str, Sequence[str]], columns: Sequence[Column]) -> Any:
    """Return a table of texts as a pandas data frame, with the dtypes of the frame that the columns
    were inferred from where the values have them.
    """
    pandas = needed("pandas", "to return data frames")
    found = pandas.DataFrame(typed(cells, columns))
    for column in columns:
        if column.name in found and column.dtype and str(found[column.name].dtype) != column.dtype:
            with suppress(TypeError, ValueError):  # other values, or empty cells: as they are
                found[column.name] = _cast(pandas, found[column.name], column)
    return found


def _cast(pandas: Any, series: Any, column: Column) -> Any:
    if column.dtype.startswith("category"):
        values = [value for value in series.drop_duplicates() if not pandas.isna(value)]
        if column.values:
            values = _values(column.values, column).tolist()
        return pandas.Categorical(series, categories=values, ordered=column.kind == "ordinal")
    if column.kind == "date" and "," in column.dtype:  # datetime64[ns, Europe/Berlin]
        unit, _, zone = column.dtype.rstrip("]").partition("[")[2].partition(", ")
        return series.dt.tz_localize("UTC").dt.tz_convert(zone).dt.as_unit(unit)
    plain = column.dtype == "bool" or column.dtype.startswith(("int", "uint"))
    if plain and series.isna().any():
        return series  # such a dtype has no missing values
    return series.astype(column.dtype)
