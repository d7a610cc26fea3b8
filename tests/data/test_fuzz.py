"""Tables of any text and any bytes: they are read, or refused as a user's error, and soon."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaelab import data
from vaelab.errors import UserError
from vaelab.recipes import Data

QUICK = settings(
    max_examples=120,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
CELLS = st.one_of(
    st.sampled_from(
        ["", "NA", "?", "-", "None", "1", "1.5", "-2", "1e5", "1e999", "inf", "nan", "1,5", "$1",
         "1 %", "01", "2021-01-01", "31.12.2020", "12:30", "x", "ü", '"', '""', '"a', 'a"b', "+49",
         "1.234.567", "−1", "TRUE", "٣", "1_000", "0x1", "\x00", "\ufeff", "9" * 400, "#", "sep=;",
         "0001-01-01", "9999-12-31T23:59:59+23:59", "1e-320", "\x1c", "\u2028", "\r"]
    ),
    st.text(max_size=6),
    st.floats().map(str),
    st.integers().map(str),
)  # fmt: skip
ROWS = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=12)
)
GOOD = "id;größe;n;wort;tag\n" + "".join(
    f'{i};{i / 7:.3f};{i % 4};"{"ab;"[i % 3]}";{1 + i % 28:02d}.{1 + i % 12:02d}.2020\n'.replace(
        ".3", ",3"
    )
    for i in range(40)
)


def check(path: Path) -> None:
    """Read as a table to train on, as plain numbers, and as rows for a run of another table."""
    start = time.monotonic()
    for treatment in ("columns", "grey"):
        try:
            found = data.load(
                Data(source=str(path), treatment=treatment, test=0, validation=0, labels="none")
            )
        except UserError:
            continue
        x = found.train.x.numpy()
        assert np.isfinite(x[~np.isnan(x)]).all()
        if found.schema is not None:
            cells = found.schema.cells(x)
            assert all(len(column) == len(x) for column in cells.values())
            again = data.read_rows(data.source_of(path), found.schema)
            np.testing.assert_array_equal(again.x, x)
    with contextlib.suppress(UserError):
        data.read_rows(data.source_of(path), SCHEMA)
    assert time.monotonic() - start < 10


def _schema() -> data.Schema:
    kinds = ("real", "count", "categorical", "date")
    return data.Schema(
        tuple(
            data.Column(name=f"column {i + 1}", kind=kind, values=("a", "b"), format="%d.%m.%Y")
            for i, kind in enumerate(kinds)
        )
    )


SCHEMA = _schema()


@QUICK
@given(ROWS, st.sampled_from(",;\t| "), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_any_cells_are_read_or_refused(
    tmp_path: Path, rows: list[list[str]], separator: str, end: str, last: bool
) -> None:
    text = end.join(separator.join(row) for row in rows) + end * last
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    check(tmp_path / "t.csv")


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    check(tmp_path / "t.csv")


@QUICK
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=3)), min_size=1, max_size=5),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
)
def test_a_damaged_table_is_read_or_refused(
    tmp_path: Path, damage: list[tuple[int, bytes]], encoding: str
) -> None:
    content = bytearray(GOOD.encode(encoding))
    for at, piece in damage:
        content[at : at + len(piece)] = piece
    (tmp_path / "t.csv").write_bytes(content)
    check(tmp_path / "t.csv")
