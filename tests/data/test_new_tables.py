"""Rows of another table, read by the columns of the one that was trained on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from vaelab import data
from vaelab.data import sources
from vaelab.data.frames import encoded
from vaelab.errors import UserError
from vaelab.recipes import Data

rng = np.random.default_rng(0)
N = 40
HEAD = ["a", "word", "price", "when", "yes"]
ROWS = [
    [
        f"{rng.normal():.3f}", "xyz"[i % 3], f"${rng.integers(1000, 9999):,}",
        f"{1 + i % 28:02d}.03.2021", ["TRUE", "FALSE"][i % 3 > 0],
    ]
    for i in range(N)
]  # fmt: skip


def write(path: Path, head: list[str], rows: list[list[str]]) -> data.Source:
    lines = [";".join(head), *(";".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return data.source_of(path)


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> data.Schema:
    path = tmp_path_factory.mktemp("rows") / "t.csv"
    write(path, HEAD, ROWS)
    found = data.load(Data(source=str(path), treatment="columns", test=0, validation=0))
    assert found.schema is not None
    kinds = [column.kind for column in found.schema.columns]
    assert kinds == ["real", "categorical", "real", "date", "binary"]
    return found.schema


def test_columns_are_matched_by_name_and_what_differs_is_said(
    tmp_path: Path, schema: data.Schema
) -> None:
    x = data.read_rows(write(tmp_path / "a.csv", HEAD, ROWS), schema).x
    order = [3, 0, 2, 4]
    rows = [[row[i] for i in order] + ["more"] for row in ROWS]
    found = data.read_rows(
        write(tmp_path / "b.csv", [*(HEAD[i] for i in order), "extra"], rows), schema
    )
    np.testing.assert_array_equal(found.x[:, [0, 2, 3, 4]], x[:, [0, 2, 3, 4]])
    assert np.isnan(found.x[:, 1]).all()
    assert found.others == {"extra": ["more"] * N}
    said = " ".join(found.notes)
    assert "not there are read as empty: word" in said
    assert "does not know are carried along: extra" in said
    assert "another order" in said


def test_values_that_were_never_seen_are_counted(tmp_path: Path, schema: data.Schema) -> None:
    rows = [[*row] for row in ROWS]
    rows[3][1] = "new"
    found = data.read_rows(write(tmp_path / "t.csv", HEAD, rows), schema)
    assert found.x[3, 1] == 3
    assert "column 'word': values that training never saw: 1" in found.notes


def test_a_far_outlier_is_taken_and_an_infinite_number_is_not(
    tmp_path: Path, schema: data.Schema
) -> None:
    rows = [[*row] for row in ROWS]
    rows[3][0] = "1e300"
    found = data.read_rows(write(tmp_path / "t.csv", HEAD, rows), schema)
    assert 1e5 < found.x[3, 0] < 1e8
    assert any("column 'a': 1 cells are further than 1e+06 ranges" in n for n in found.notes)
    rows[4][0] = "-inf"
    with pytest.raises(UserError, match=r"t.csv: column 'a': line 6 has an infinite number"):
        data.read_rows(write(tmp_path / "t.csv", HEAD, rows), schema)


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        (0, "tall", r"line 5, column 'a': 'tall' is not a number as in the rest"),
        (2, "cheap", r"line 5, column 'price': 'cheap' is not a number as in the rest"),
        (3, "soon", r"line 5, column 'when': 'soon' is no date as in the rest"),
    ],
)
def test_a_cell_that_does_not_fit_its_column_is_refused_with_its_place(
    tmp_path: Path, schema: data.Schema, column: int, cell: str, says: str
) -> None:
    rows = [[*row] for row in ROWS]
    rows[3][column] = cell
    with pytest.raises(UserError, match=says):
        data.read_rows(write(tmp_path / "t.csv", HEAD, rows), schema)


def test_two_columns_of_a_name_are_refused(tmp_path: Path, schema: data.Schema) -> None:
    with pytest.raises(UserError, match="two columns 'a'; rename"):
        data.read_rows(write(tmp_path / "t.csv", ["a", "a", *HEAD[2:]], ROWS), schema)


def test_plain_and_iso_cells_and_data_frames_say_the_same(
    tmp_path: Path, schema: data.Schema
) -> None:
    x = data.read_rows(write(tmp_path / "a.csv", HEAD, ROWS), schema).x
    plain: list[list[Any]] = [
        [a, w, p[1:].replace(",", ""), f"2021-03-{d[:2]}", y.title()] for a, w, p, d, y in ROWS
    ]
    found = data.read_rows(write(tmp_path / "b.csv", HEAD, plain), schema).x
    np.testing.assert_array_equal(found, x)
    df = pandas.DataFrame(
        [[float(a), w, int(p), pandas.Timestamp(d), y == "True"] for a, w, p, d, y in plain],
        columns=HEAD,
    )
    np.testing.assert_array_equal(data.read_rows(data.source_of(df), schema).x, x)


def test_columns_without_a_name_are_found_again(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", ["a", "", "b"], [[r[0], f"{i}.5", r[1]] for i, r in
        enumerate(ROWS)])  # fmt: skip
    found = data.load(Data(source=source.origin, treatment="columns", test=0, validation=0))
    assert found.schema is not None
    np.testing.assert_array_equal(
        data.read_rows(data.source_of(source.origin), found.schema).x, found.train.x
    )


def test_blocks_of_plain_numbers_and_others_give_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = []
    for i in range(200):
        cells = [f"{rng.normal():.4f}", str(i % 5), f"{i / 8}"]
        if i % 29 == 7:
            cells[0] = ""
        if i in (60, 61, 150):
            cells[2] = '"7.5"'
        if i == 90:
            cells = ["", "", ""]
        lines.append(",".join(cells) + "\n" * (1 + (i == 120)))
    path = tmp_path / "t.csv"
    path.write_text("a,b,c\n" + "".join(lines))
    settings = Data(source=str(path), treatment="columns", test=0, validation=0)
    whole = data.load(settings)
    assert len(whole.train.x) == 199
    for cells_at_once in (3, 30, 90):
        monkeypatch.setattr(sources, "CELLS", cells_at_once)
        found = data.load(settings)
        np.testing.assert_array_equal(found.train.x, whole.train.x)
        assert found.schema == whole.schema
    with path.open("a") as file:
        file.write("1,2,3\n" * 40 + "1,word,3\n")
    with pytest.raises(UserError, match=r"line 243: 'word' is not a number"):
        data.load(settings)


def test_without_pandas_text_files_are_read_and_written_and_others_say_what_to_install(
    tmp_path: Path, schema: data.Schema, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("pandas", "pyarrow", "pyarrow.parquet"):
        monkeypatch.setitem(sys.modules, package, None)
    rows = data.read_rows(write(tmp_path / "t.csv", HEAD, ROWS), schema)
    cells = schema.cells(rows.x, rows.others)
    (tmp_path / "out.csv").write_bytes(encoded(tmp_path / "out.csv", cells))
    again = data.read_rows(data.source_of(tmp_path / "out.csv"), schema)
    np.testing.assert_array_equal(again.x, rows.x)
    (tmp_path / "t.parquet").write_bytes(b"")
    install = r"is needed to .*; install it: pip install 'vaelab\[tables\]'"
    with pytest.raises(UserError, match=f"pandas {install}"):
        data.source_of(tmp_path / "t.parquet")
    with pytest.raises(UserError, match=f"pandas {install}"):
        encoded(tmp_path / "out.parquet", cells)


def test_words_and_holes_under_other_treatments_name_the_recipe(
    tmp_path: Path,
) -> None:
    for cells, says in ((["x", "2"], "'x' is not a number"), (["", "2"], "the cell is empty")):
        (tmp_path / "t.csv").write_text("a,b\n1,2\n" + ",".join(cells) + "\n3,4\n")
        with pytest.raises(UserError, match=f"line 3, column 'a': {says}.* the recipe table"):
            data.load(Data(source=str(tmp_path / "t.csv")))


def test_a_signal_in_a_text_file_keeps_its_form(tmp_path: Path) -> None:
    x = rng.normal(size=(30, 16)).round(4)
    np.savetxt(tmp_path / "t.csv", x, delimiter=",", fmt="%.4f")
    found = data.load(Data(source=str(tmp_path / "t.csv"), form="signal"))
    assert (found.form, found.shape) == ("signal", (16,))
