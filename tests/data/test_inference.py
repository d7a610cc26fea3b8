"""What the columns of a table are taken for, and that a careful person would say the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from vaelab import data
from vaelab.data import Schema
from vaelab.errors import UserError
from vaelab.recipes import Data

N = 60
rng = np.random.default_rng(0)
REAL = rng.normal(size=N).round(3)
DAYS = rng.integers(0, 1000, N)


def loaded(path: Path, cells: list[object], name: str = "v", **settings: object) -> data.Dataset:
    """A semicolon table of these cells and a column of real numbers."""
    lines = [f"{name};other", *(f"{c};{REAL[i % N]}" for i, c in enumerate(cells))]
    (path / "t.csv").write_text("\n".join(lines) + "\n")
    return data.load(
        Data(source=str(path / "t.csv"), treatment="columns", test=0, validation=0, **settings)
    )


def column(found: data.Dataset, name: str = "v") -> data.Column:
    assert found.schema is not None
    return next(c for c in found.schema.columns if c.name == name)


def moments(form: str) -> list[object]:
    start = datetime(2021, 1, 1)
    return [(start + timedelta(days=int(d), seconds=int(421 * d))).strftime(form) for d in DAYS]


CASES: dict[str, tuple[list[object], str]] = {
    "reals": ([*REAL], "real"),
    "prices": ([*np.exp(REAL).round(2)], "positive"),
    "heavy tails": ([*rng.standard_t(1, 300).round(3)], "heavy"),
    "counts": ([*rng.poisson(2, N)], "count"),
    "counts written as floats": ([f"{c}.0" for c in rng.poisson(2, N)], "count"),
    "marks": ([1 + i % 5 for i in range(N)], "ordinal"),
    "years": ([1990 + i % 30 for i in range(N)], "real"),
    "unix times": ([*(1_700_000_000 + rng.integers(0, 10**6, N))], "real"),
    "far from zero": ([f"{1e9 + v:.4f}" for v in REAL], "real"),
    "TRUE and FALSE": ([("TRUE", "FALSE")[i % 3 > 0] for i in range(N)], "binary"),
    "zero and one": ([i % 2 for i in range(N)], "binary"),
    "two numbers": ([(-1, 1)[i % 3 > 1] for i in range(N)], "binary"),
    "words": ([("rot", "grün", "blau")[i % 3] for i in range(N)], "categorical"),
    "None among words": (
        [("None", "Attached", "Detached")[i % 3] for i in range(N)],
        "categorical",
    ),
    "few post codes": ([("01067", "10115", "80331")[i % 3] for i in range(N)], "categorical"),
    "post codes": ([f"{v:05d}" for v in rng.integers(1000, 99999, N)], "text"),
    "telephone numbers": ([f"+49{v}" for v in rng.integers(10**9, 10**10, N)], "text"),
    "names": ([f"Person {i}" for i in range(N)], "identifier"),
    "numbered": ([*range(1, N + 1)], "identifier"),
    "one value": (["x"] * N, "constant"),
    "nothing": ([""] * N, "constant"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_column_is_what_a_careful_person_takes_it_for(tmp_path: Path, case: str) -> None:
    cells, kind = CASES[case]
    assert column(loaded(tmp_path, cells)).kind == kind


@pytest.mark.parametrize("name", ["customer_id", "Kundennummer", "orderId", "house nr", "key"])
def test_a_name_tells_that_whole_numbers_name_the_rows(tmp_path: Path, name: str) -> None:
    cells: list[object] = [*(10_000 + rng.permutation(5000)[:N])]
    assert column(loaded(tmp_path, cells, name), name).kind == "identifier"
    assert column(loaded(tmp_path, cells)).kind == "real"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("%Y-%m-%d", "year-month-day"),
        ("%Y-%m-%d %H:%M", "year-month-day hour:minute"),
        ("%Y-%m-%dT%H:%M:%S", "year-month-day hour:minute:second"),
        ("%Y-%m-%dT%H:%M:%SZ", "year-month-day hour:minute:second"),
        ("%d.%m.%Y", "day.month.year"),
        ("%d.%m.%y %H:%M:%S", "day.month.year hour:minute:second"),
        ("%d/%m/%Y", "day/month/year"),
        ("%m/%d/%Y", "month/day/year"),
        ("%m/%d/%y %I:%M %p", "month/day/year hour:minute AM"),
        ("%d %b %Y", "day month year"),
        ("%B %d, %Y", "month day, year"),
        ("%Y%m%d", "yearmonthday"),
        ("%Y-%m", "year-month"),
        ("%H:%M", "hour:minute"),
    ],
)
def test_dates_are_read_said_and_written_as_they_came(tmp_path: Path, form: str, said: str) -> None:
    cells = moments(form)
    found = loaded(tmp_path, cells)
    assert column(found).kind == "date"
    assert any(f"v [{said}]" in note for note in found.notes)
    assert isinstance(found.schema, Schema)
    again = found.schema.cells(found.train.x.numpy())["v"]
    if "%S" not in form:  # float32 keeps days to some seconds over three years
        assert again == cells
    else:
        read = [datetime.strptime(c, form) for c in again]
        for one, cell in zip(read, cells, strict=True):
            assert abs(one - datetime.strptime(str(cell), form)).total_seconds() <= 6


def test_dates_of_one_zone_are_read_as_moments(tmp_path: Path) -> None:
    found = loaded(tmp_path, [f"2021-01-{1 + i % 28:02d}T01:00:00+02:00" for i in range(N)])
    assert column(found).cells(found.train.x[:1, 0].numpy()) == ["2020-12-31T23:00:00Z"]


def test_a_day_that_may_be_a_month_is_said(tmp_path: Path) -> None:
    found = loaded(tmp_path, [f"{1 + i % 12:02d}/{1 + i % 11:02d}/2020" for i in range(N)])
    assert any("v [day/month/year]" in note for note in found.notes)


@pytest.mark.parametrize(
    ("cells", "first"),
    [
        ([f"{abs(v):.1f} %" for v in REAL], abs(REAL[0]).round(1)),
        ([f"{round(abs(v) * 10)}%" for v in REAL], round(abs(REAL[0]) * 10)),
        ([f"{v:.3f} kg" for v in REAL], REAL[0]),
        ([f"{'-' * bool(v < 0)}${abs(v * 9000):,.2f}" for v in REAL], REAL[0] * 9000),
        ([f"R$ {abs(v) * 9e6:,.0f}" for v in REAL], abs(REAL[0]) * 9e6),
        ([f"{abs(v) * 9e6:,.0f}" for v in REAL], abs(REAL[0]) * 9e6),
        ([f"{abs(v) * 9e6:,.0f}".replace(",", " ") for v in REAL], abs(REAL[0]) * 9e6),
        ([f"{abs(v) * 9e6:,.0f}".replace(",", "'") for v in REAL], abs(REAL[0]) * 9e6),
        ([f"{v * 9e6:,.0f}".replace(",", ".") + " €" for v in REAL], REAL[0] * 9e6),
        ([f"{v:.3f}".replace("-", "−") for v in REAL], REAL[0]),
        ([f"{v:.3f}%".replace(".", ",") for v in REAL], REAL[0]),
    ],
)
def test_units_and_marks_of_thousands_are_read_said_and_written(
    tmp_path: Path, cells: list[object], first: float
) -> None:
    found = loaded(tmp_path, cells)
    v = column(found)
    assert v.kind in ("real", "positive", "count")
    assert float(found.train.x[0, 0]) == pytest.approx(first, rel=1e-6, abs=0.6)
    again = v.cells(found.train.x[:, 0].numpy())
    if abs(first) < 1e6:
        assert [c.replace("−", "-") for c in again] == [str(c).replace("−", "-") for c in cells]
    if "−" not in str(cells):
        assert any("is read as" in note for note in found.notes)


@pytest.mark.parametrize(
    "cells",
    [
        [f"{i % 7}{'abc'[i % 3]}" for i in range(N)],  # forms of a school
        [f"{1 + i % 4}a" for i in range(N)],
        [f"B-{i % 5}" for i in range(N)],
        [("<=50K", ">50K", "?")[i % 3] for i in range(N)],
    ],
)
def test_names_with_digits_are_no_numbers(tmp_path: Path, cells: list[object]) -> None:
    assert column(loaded(tmp_path, cells)).kind in ("categorical", "binary")


@pytest.mark.parametrize("mark", ["NA", "?", "", "-", "None", ".", "n/a", "#N/A", "unknown", "NaN"])
def test_marks_of_empty_cells_are_known_among_numbers(tmp_path: Path, mark: str) -> None:
    found = loaded(tmp_path, [mark if i % 7 == 3 else v for i, v in enumerate(REAL)])
    assert column(found).kind == "real"
    assert column(found).holes == 9
    assert found.train.x[:, 0].isnan().sum() == 9
    assert not mark or any(f"read as empty cells: {mark!r} 9" in note for note in found.notes)


def test_other_marks_are_named_by_the_user(tmp_path: Path) -> None:
    cells: list[object] = ["keine" if i % 7 == 3 else v for i, v in enumerate(REAL)]
    with pytest.raises(UserError, match=r"t.csv: column 'v': line 5: 'keine' .* data.missing"):
        loaded(tmp_path, cells)
    assert column(loaded(tmp_path, cells, missing=("keine",))).holes == 9


@pytest.mark.parametrize("word", [">100", "<0.5", "12kg", "1O5", "1.2.3"])
def test_a_word_among_numbers_is_refused_with_its_place(tmp_path: Path, word: str) -> None:
    with pytest.raises(UserError, match=r"t.csv: column 'v': line 6: .* is not a number, most"):
        loaded(tmp_path, [word if i == 4 else v for i, v in enumerate(REAL)])


def test_namibia_is_no_empty_cell(tmp_path: Path) -> None:
    cells: list[object] = [("NA", "DE", "FR", "US")[i % 4] for i in range(N)]
    found = loaded(tmp_path, cells)
    assert column(found).values == ("DE", "FR", "NA", "US")
    assert not found.train.x.isnan().any()
    assert any("'NA' is read as a value" in note for note in found.notes)
    assert column(loaded(tmp_path, cells, missing=("NA",))).holes == 15


def test_a_dash_is_an_empty_cell_among_words_but_beside_a_plus(tmp_path: Path) -> None:
    assert column(loaded(tmp_path, [("-", "a", "b")[i % 3] for i in range(N)])).holes == 20
    assert column(loaded(tmp_path, ["+-"[i % 2] for i in range(N)])).kind == "binary"


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ([f"{v}e-300" for v in REAL], "has numbers .* float32 does not resolve; .* another unit"),
        ([f"{v}e300" for v in REAL], "has numbers from .* which float32 does not resolve"),
        (["inf" if i == 7 else v for i, v in enumerate(REAL)], "line 9 has an infinite number"),
    ],
)
def test_numbers_that_float32_does_not_hold_are_refused(
    tmp_path: Path, cells: list[object], says: str
) -> None:
    with pytest.raises(UserError, match=f"t.csv: column 'v': {says}"):
        loaded(tmp_path, cells)


def test_categories_that_differ_only_in_case_are_said(tmp_path: Path) -> None:
    found = loaded(tmp_path, [("M", "m", "F")[i % 3] for i in range(N)])
    assert any("'M' and 'm' differ only in case" in note for note in found.notes)


def test_labels_are_said_and_with_holes_they_are_a_column(tmp_path: Path) -> None:
    found = loaded(tmp_path, ["xy"[i % 2] for i in range(N)], "label")
    assert found.class_names == ("x", "y")
    assert any("labels: column 'label'" in n and "--data.labels none" in n for n in found.notes)
    cells: list[object] = [("x", "y", "")[i % 3] for i in range(N)]
    found = loaded(tmp_path, cells, "label")
    assert column(found, "label").kind == "binary"
    assert any("read as a feature: it has empty cells" in note for note in found.notes)
    with pytest.raises(UserError, match="the labels, has empty cells; fill them"):
        loaded(tmp_path, cells, "label", labels="label")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "contains no rows"),
        ("\n\n", "contains no rows"),
        ("a,b,c\n", "contains no row of values"),
        ("a,b\n" + ",\n" * 9, "contains no row of values"),
        ("a,a\n1,2\n3,4\n", "has two columns 'a'; rename"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has 3 columns, the first row has 2"),
        (
            "id,name\n" + "".join(f"{i},p{i}\n" for i in range(30)),
            "contains no column to learn from .*id",
        ),
        ('a,b\n1,x\n2,"5 inch\n3,x\n', "line 3: a quote is not closed"),
        ('a,b\n1,x\n2,"5 inch\n3,"7 inch\n', "line 3: a quote is not closed"),
    ],
)
def test_tables_that_cannot_be_read_are_refused_with_the_remedy(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=f"t.csv: {says}"):
        data.load(Data(source=str(tmp_path / "t.csv"), treatment="columns"))


def test_line_breaks_within_quotes_are_part_of_a_word(tmp_path: Path) -> None:
    words = ["fine", "not, so\nfine", 'a "b"\n\nc']
    rows = [f'"{REAL[i]}","{words[i % 3]}"'.replace('"b"', '""b""') for i in range(N)]
    (tmp_path / "t.csv").write_text('"a","what\nis it"\n' + "\n".join(rows) + "\n")
    found = data.load(Data(source=str(tmp_path / "t.csv"), treatment="columns"))
    assert {*column(found, "what\nis it").values} == {*words}


@pytest.mark.parametrize(
    ("head", "rows", "columns"),
    [
        ("wert\n", [f"{v}".replace(".", ",") for v in REAL], 1),
        ("", [f"{v}".replace(".", ",") for v in REAL], 1),
        ("", [f"{i},{i % 7}" for i in range(N)], 2),
        ("x\n", [f"{i},{i % 7}" for i in range(N)], 2),  # R: names of rows, and x
    ],
)
def test_one_column_of_decimal_commas_is_no_table_of_two(
    tmp_path: Path, head: str, rows: list[str], columns: int
) -> None:
    (tmp_path / "t.csv").write_text(head + "\n".join(rows) + "\n")
    found = data.load(
        Data(source=str(tmp_path / "t.csv"), treatment="columns", test=0, validation=0)
    )
    assert isinstance(found.schema, Schema)
    assert len(found.schema.columns) == columns
    if columns == 1:
        np.testing.assert_array_equal(found.train.x[:, 0], REAL.astype("f4"))


def test_one_cell_far_from_a_thousand_others_is_said_and_makes_the_column_heavy(
    tmp_path: Path,
) -> None:
    values = [*np.random.default_rng(0).normal(size=999).round(3), 1e9]
    found = loaded(tmp_path, values)
    assert column(found).kind == "heavy"
    assert any("far from the others" in note for note in found.notes)


@pytest.mark.parametrize("kind", ["categorical", "ordinal", "real"])
def test_a_column_without_two_values_is_constant_whatever_it_is_called(
    tmp_path: Path, kind: str
) -> None:
    assert column(loaded(tmp_path, [5] * 40, **{kind: ("v",)})).kind == "constant"
    assert column(loaded(tmp_path, [""] * 40, **{kind: ("v",)})).kind == "constant"
