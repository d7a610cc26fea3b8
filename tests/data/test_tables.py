"""Tables as people have them: what is read as what, what is left out, and that both are said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vaelab import data
from vaelab.data import checking
from vaelab.errors import UserError
from vaelab.recipes import Data

ROWS = np.random.default_rng(0).random((60, 6)).round(5)
NAMES = [f"f{i}" for i in range(6)]


def write(
    path: Path,
    head: list[object] | None,
    rows: np.ndarray | list[list[object]],
    separator: str = ",",
    decimal: str = ".",
    encoding: str = "utf-8",
    end: str = "\n",
) -> str:
    lines = [[*map(str, head)]] if head else []
    lines += [[str(cell).replace(".", decimal) for cell in row] for row in rows]
    path.write_bytes(end.join([*(separator.join(line) for line in lines), ""]).encode(encoding))
    return str(path)


def load(source: str, **settings: object) -> data.Dataset:
    return data.load(Data(source=source, test=0.0, validation=0.0, **settings))


def test_the_same_numbers_come_out_of_every_dialect(tmp_path: Path) -> None:
    for i, (separator, decimal, encoding, end) in enumerate(
        [
            (",", ".", "utf-8", "\n"),
            (";", ",", "utf-8", "\n"),
            (";", ".", "utf-8-sig", "\r\n"),
            ("\t", ".", "utf-16", "\n"),
            ("\t", ",", "utf-8", "\r\n"),
            ("|", ".", "latin-1", "\n"),
        ]
    ):
        head = ["größe", *NAMES[1:]] if encoding != "latin-1" else NAMES
        source = write(tmp_path / f"{i}.csv", head, ROWS, separator, decimal, encoding, end)
        found = load(source)
        np.testing.assert_array_equal(found.train.x.numpy(), ROWS.astype(np.float32))
        assert "60 rows of 6 columns" in found.notes[0]


def test_quotes_blank_lines_and_trailing_separators_change_nothing(tmp_path: Path) -> None:
    lines = ['"a, b";c;', "", *(f'"{a}";{b};' for a, b in ROWS[:, :2]), "", ""]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    np.testing.assert_array_equal(load(str(tmp_path / "t.csv")).train.x, ROWS[:, :2].astype("f4"))


def test_a_file_that_is_no_utf_8_is_read_and_the_encoding_named(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", ["größe", "b"], ROWS[:, :2], encoding="cp1252")
    assert "cp1252" in load(source).notes[0]


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ([*range(6)], "ascend evenly"),
        ([*range(1, 7)], "ascend evenly"),
        ([*np.linspace(400, 1800, 6).round(1)], "ascend evenly"),
        ([1998, 1999, 2000, 2001, 2002, 2003], "ascend evenly"),
        ([500, 720, 1200, 90, 4000, 5], "far outside"),
        (NAMES, ""),
    ],
)
def test_a_header_of_numbers_is_no_sample(tmp_path: Path, head: list[object], says: str) -> None:
    found = load(write(tmp_path / "t.csv", head, ROWS))
    assert len(found.train.x) == 60
    assert says in found.notes[0]


def test_without_a_header_every_row_is_data_and_that_is_said(tmp_path: Path) -> None:
    found = load(write(tmp_path / "t.csv", None, ROWS))
    assert len(found.train.x) == 60
    assert "no header: row 1 is read as data" in found.notes[0]
    ramps = np.arange(60)[:, None] + np.arange(6.0)  # whose rows all ascend evenly
    assert len(load(write(tmp_path / "r.csv", None, ramps)).train.x) == 60


@pytest.mark.parametrize("first", ["", "Unnamed: 0", "index", "id"])
@pytest.mark.parametrize("names", [NAMES, [*range(6)]])
@pytest.mark.parametrize("start", [0, 1])
def test_a_column_that_numbers_the_rows_is_left_out(
    tmp_path: Path, first: str, names: list[object], start: int
) -> None:
    rows = [[i + start, *row] for i, row in enumerate(ROWS)]
    found = load(write(tmp_path / "t.csv", [first, *names], rows))
    np.testing.assert_array_equal(found.train.x.numpy(), ROWS.astype(np.float32))
    assert "it numbers the rows" in found.notes[0]


def test_a_column_without_a_name_that_is_no_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column 1 has no name"):
        load(write(tmp_path / "t.csv", ["", *NAMES[1:]], ROWS))


def test_a_column_y_beside_x_or_with_many_values_is_a_feature(tmp_path: Path) -> None:
    counts = (ROWS[:, :3] * 5000).round().astype(int)
    for head, rows in (
        (["x", "y", "z"], counts),
        (["x", "y"], ROWS[:, :2]),
        (["a", "y"], counts[:, :2]),
    ):
        found = load(write(tmp_path / "t.csv", head, rows))
        assert found.train.x.shape == (60, len(head))
        assert found.train.y is None
        assert "'y' is read as a feature" in found.notes[0]
        assert "data.labels y" in found.notes[0]


def test_the_setting_decides_what_the_labels_are(tmp_path: Path) -> None:
    rows = [[*row, i % 3] for i, row in enumerate(ROWS[:, :3])]
    source = write(tmp_path / "t.csv", ["a", "b", "c", "y"], rows)
    assert load(source).classes() == (0, 1, 2)
    assert "labels: column 'y'" in load(source).notes[0]
    assert load(source, labels="none").train.x.shape == (60, 4)
    with pytest.raises(UserError, match="has no column 'yy'; did you mean 'y'"):
        load(source, labels="yy")


def test_words_are_classes_with_names(tmp_path: Path) -> None:
    words = ["barolo", "grignolino", "barbera"]
    rows = [[*row, words[i % 3]] for i, row in enumerate(ROWS)]
    found = load(write(tmp_path / "t.csv", [*NAMES, "Class"], rows))
    assert found.class_names == ("barbera", "barolo", "grignolino")
    assert found.train.y is not None
    assert found.train.y[:3].tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("Paris", "column 'f2': 'Paris' is not a number; remove the column"),
        ("", "column 'f2': the cell is empty"),
        ("NA", "column 'f2': the cell is empty ('NA')"),
    ],
)
def test_words_and_empty_cells_are_refused_with_their_place(
    tmp_path: Path, cell: str, says: str
) -> None:
    rows: list[list[object]] = [[*row] for row in ROWS]
    rows[1][2] = cell
    with pytest.raises(UserError) as caught:
        load(write(tmp_path / "t.csv", NAMES, rows))
    assert f"line 3, {says}" in str(caught.value)


@pytest.mark.parametrize(
    ("head", "separator", "decimal"),
    [(None, ";", ","), (None, " ", "."), (None, "   ", "."), (["#", *NAMES], " ", ".")],
)
def test_separators_are_found_without_a_header_too(
    tmp_path: Path, head: list[object] | None, separator: str, decimal: str
) -> None:
    found = load(write(tmp_path / "t.csv", head, ROWS, separator, decimal))
    np.testing.assert_array_equal(found.train.x.numpy(), ROWS.astype(np.float32))


def test_a_header_of_falling_numbers_is_no_sample(tmp_path: Path) -> None:
    found = load(write(tmp_path / "t.csv", [9 - i for i in range(6)], ROWS))
    assert found.train.x.shape == (60, 6)


def test_a_column_y_of_decimal_commas_is_a_feature(tmp_path: Path) -> None:
    found = load(write(tmp_path / "t.csv", ["a", "b", "c", "d", "e", "y"], ROWS, ";", ","))
    assert found.train.y is None
    assert found.shape == (6,)
    assert "'y' is read as a feature" in found.notes[0]


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["", "Unnamed: 0"], [range(60), range(60)]),
        (["Unnamed: 0.1", "Unnamed: 0"], [range(60), range(60)]),
        ([""], [np.random.default_rng(1).permutation(60)]),
        ([""], [range(2, 182, 3)]),
    ],
)
def test_indices_of_tables_saved_twice_shuffled_or_filtered_are_left_out(
    tmp_path: Path, names: list[object], columns: list[object]
) -> None:
    rows = [[*index, *row] for *index, row in zip(*columns, ROWS, strict=True)]
    found = load(write(tmp_path / "t.csv", [*names, *NAMES], rows))
    np.testing.assert_array_equal(found.train.x.numpy(), ROWS.astype(np.float32))
    assert found.notes[0].count("is left out") == len(names)


def test_a_first_column_that_counts_is_named_where_there_is_no_header(tmp_path: Path) -> None:
    found = load(write(tmp_path / "t.csv", None, [[i, *row] for i, row in enumerate(ROWS)]))
    assert "column 1 counts the rows" in found.notes[0]


def test_words_with_raised_digits_are_names_of_classes(tmp_path: Path) -> None:
    rows = [[i, "²" if i % 2 else "m²"] for i in range(20)]
    assert {*load(write(tmp_path / "t.csv", ["a", "class"], rows)).class_names} == {"²", "m²"}


def test_underscores_are_not_read_as_numbers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a number"):
        load(write(tmp_path / "t.csv", ["a", "b"], [[f"1_{i}", i] for i in range(9)]))


def test_a_header_of_words_and_even_numbers_is_a_header(tmp_path: Path) -> None:
    rows = [[f"S{i % 2}", *row] for i, row in enumerate(ROWS)]
    source = write(tmp_path / "t.csv", ["sample", 400, 410, 420, 430, 440, 450], rows)
    with pytest.raises(UserError, match=r"line 2, column 'sample': 'S0' .* data.labels sample"):
        load(source)
    assert load(source, labels="sample").class_names == ("S0", "S1")


def test_the_line_by_which_excel_names_the_separator_is_no_row(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", NAMES, ROWS, ";", ",")
    Path(source).write_text("sep=;\n" + Path(source).read_text())
    np.testing.assert_array_equal(load(source).train.x.numpy(), ROWS.astype(np.float32))


@pytest.mark.parametrize("cell", ["1.000,5", "1 000", '"1,000"', '"1,000.5"', "12.345.678"])
def test_separators_of_thousands_are_named(tmp_path: Path, cell: str) -> None:
    separator = "," if '"' in cell else ";"
    (tmp_path / "t.csv").write_text(f"a{separator}b\n" + f"{cell}{separator}{cell}\n" * 9)
    with pytest.raises(UserError, match="without separators of thousands"):
        load(str(tmp_path / "t.csv"))


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([["0,637", "0,27", "St. Pauli"], ["0,041", "1,5", "Altona"]] * 5, "label"),
        ([["0,637", "0,27", "01.03.2021"], ["0,041", "1,5", "02.03.2021"]] * 5, "label"),
        ([["0", "0", "a"]] * 300 + [["0,637", "1,5", "b"]] * 5, "label"),  # a sensor at rest
    ],
)
def test_decimal_commas_are_found_beside_words_dates_and_whole_numbers(
    tmp_path: Path, rows: list[list[object]], labels: str
) -> None:
    lines = ["a;b;label", *(";".join(map(str, row)) for row in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = load(str(tmp_path / "t.csv"), labels=labels)
    wanted = np.array([[float(str(c).replace(",", ".")) for c in row[:2]] for row in rows], "f4")
    np.testing.assert_array_equal(found.train.x.numpy(), wanted)
    assert "decimal commas" in found.notes[0]


def test_a_quote_that_is_not_closed_is_refused_where_it_begins(tmp_path: Path) -> None:
    rows = [[*row, "red"] for row in ROWS[:, :2]]
    rows[40][2] = '"5 inch'
    source = write(tmp_path / "t.csv", ["a", "b", "label"], rows)
    with pytest.raises(UserError, match="line 42: a quote is not closed"):
        load(source)


@pytest.mark.parametrize(
    ("words", "encoding", "says"),
    [
        (["猫狗", "重量"], "gbk", "unknown encoding .*save it as UTF-8"),
        (["Кошка", "Вес"], "cp1251", "unknown encoding .*save it as UTF-8"),
        (["猫犬", "重量"], "cp932", "unknown encoding.*save it as UTF-8"),
        (["Müller", "Weiß"], "utf-16-le", "zero bytes.*save it as UTF-8"),
        (["Müller", "Weiß"], "cp1252", ""),
    ],
)
def test_names_in_an_encoding_that_cannot_be_told_are_refused(
    tmp_path: Path, words: list[str], encoding: str, says: str
) -> None:
    rows = [[*row, words[i % 2]] for i, row in enumerate(ROWS[:, :2])]
    source = write(tmp_path / "t.csv", ["a", "b", "label"], rows, encoding=encoding)
    if says:
        with pytest.raises(UserError, match=says):
            load(source)
    else:
        assert load(source).class_names == tuple(words)


@pytest.mark.parametrize("separator", [",", "\t", " "])
def test_the_sign_before_a_header_of_numpy_is_no_name(tmp_path: Path, separator: str) -> None:
    kinds = np.arange(len(ROWS)) % 3
    names = separator.join(["label", "a", "b"])
    table = np.c_[kinds, ROWS[:, :2]]
    np.savetxt(tmp_path / "t.csv", table, delimiter=separator, header=names, fmt="%g")
    found = load(str(tmp_path / "t.csv"))
    assert found.train.y is not None
    np.testing.assert_array_equal(found.train.y, kinds)


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("name", ["id", "index", "#"])
@pytest.mark.parametrize("kind", ["shuffled", "words"])
def test_a_column_that_names_the_rows_is_left_out_wherever_it_stands(
    tmp_path: Path, place: int, name: str, kind: str
) -> None:
    numbers = np.random.default_rng(1).permutation(60) + 842_302
    cells = [f"P-{n}" if kind == "words" else n for n in numbers]
    rows = [[*row] for row in ROWS[:, :2]]
    for row, cell in zip(rows, cells, strict=True):
        row.insert(place, cell)
    head: list[object] = ["a", "b"]
    head.insert(place, name)
    found = load(write(tmp_path / "t.csv", head, rows))
    np.testing.assert_array_equal(found.train.x.numpy(), ROWS[:, :2].astype("f4"))
    assert f"column '{name}' is left out" in found.notes[0]


def test_names_of_rows_as_r_writes_them_and_a_header_that_ends_with_a_comma(
    tmp_path: Path,
) -> None:
    rows: list[list[object]] = [[f"car {i}", *row] for i, row in enumerate(ROWS)]
    named = load(write(tmp_path / "r.csv", [*NAMES], rows))
    np.testing.assert_array_equal(named.train.x.numpy(), ROWS.astype("f4"))
    assert "names of the rows" in named.notes[0]
    ended = load(write(tmp_path / "k.csv", [*NAMES, ""], ROWS))
    np.testing.assert_array_equal(ended.train.x.numpy(), ROWS.astype("f4"))


def test_empty_columns_at_the_end_are_no_columns(tmp_path: Path) -> None:
    rows = [[*row, "", "", ""] for row in ROWS]
    found = load(write(tmp_path / "t.csv", [*NAMES, "", "", ""], rows))
    np.testing.assert_array_equal(found.train.x.numpy(), ROWS.astype("f4"))


def test_labels_that_are_one_number_are_one_class(tmp_path: Path) -> None:
    rows = [[*row, ("007", "7", "07")[i % 3]] for i, row in enumerate(ROWS)]
    found = load(write(tmp_path / "t.csv", [*NAMES, "label"], rows))
    assert "(1 class;" in found.notes[0]
    assert len(found.classes()) == 1


def test_two_columns_of_the_name_of_the_labels_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "t.csv", ["kind", "kind", *NAMES[2:]], ROWS)
    with pytest.raises(UserError, match="several columns 'kind'; rename"):
        load(source, labels="kind")


def test_columns_that_float32_hardly_resolves_are_named() -> None:
    rng = np.random.default_rng(0)
    seconds = 1.7e12 + 10 * np.arange(60)
    x = np.c_[seconds, 47.37 + 1e-5 * rng.normal(size=60), rng.normal(size=60), np.full(60, 2021)]
    found = checking.check(data.Arrays(x.astype(np.float32)), Data(source="x", test=0.0), "x.npy")
    assert [note[:8] for note in found.notes] == ["column 1", "column 2"]
    assert all("subtract a constant" in note for note in found.notes)
