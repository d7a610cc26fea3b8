"""Data frames and files of tables: the same values and types come out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vaelab
from vaelab import data
from vaelab.data.frames import encoded, frame
from vaelab.data.tables import read_table
from vaelab.errors import UserError
from vaelab.recipes import Data

SMALL = {"train.epochs": 1, "model.hidden": [8], "model.latent": 2}
COLUMNS = Data(source="x", treatment="columns")
N = 80
WORDS = ["ada", "bob's", 'c "quoted", word', "two\nlines", "ö€😀", "1", "x y"]


def made(seed: int = 0) -> Any:
    """A data frame with a column of every type, with and without holes."""
    rng = np.random.default_rng(seed)
    hole = rng.random(N) < 0.2
    start = pandas.Timestamp("2020-01-01")
    words = [WORDS[i % len(WORDS)] for i in range(N)]
    days = start + pandas.to_timedelta(rng.integers(0, 500, N), "D")
    hours = start + pandas.to_timedelta(rng.integers(0, 9000, N), "h")
    found = pandas.DataFrame(
        {
            "int64": rng.integers(-500, 900, N),
            "Int64": pandas.array([None if h else i for i, h in enumerate(hole)], "Int64"),
            "int8": rng.integers(0, 100, N).astype("int8"),
            "count": rng.poisson(2, N),
            "float32": rng.normal(size=N).astype("float32"),
            "float64": rng.normal(size=N).round(3),
            "float64 with NaN": np.where(hole, np.nan, rng.normal(size=N).round(3)),
            "far": 1.7e9 + rng.integers(0, 10**6, N),
            "bool": rng.random(N) < 0.4,
            "boolean": pandas.array([None if h else bool(i % 2) for i, h in enumerate(hole)]),
            "bool or None": pandas.Series(
                [None if h else bool(i % 2) for i, h in enumerate(hole)], dtype=object
            ),
            "category": pandas.Categorical(words),
            "category of numbers": pandas.Categorical([3 - i % 3 for i in range(N)]),
            "ordered": pandas.Categorical(
                [None if h else ["low", "high", "mid"][i % 3] for i, h in enumerate(hole)],
                categories=["low", "mid", "high", "never"],
                ordered=True,
            ),
            "str": [None if h else w for h, w in zip(hole, words, strict=True)],
            "object": pandas.Series(words, dtype=object),
            "string": pandas.Series(words, dtype="string"),
            "days": days,
            "hours": pandas.Series(hours).mask(hole),
            "zone": hours.tz_localize("UTC").tz_convert("Europe/Berlin"),
            "constant": ["same"] * N,
            "id": [f"P{i}" for i in range(N)],
        }
    )
    found["str"] = found["str"].astype("str")
    return found


def again(source: Any) -> Any:
    """What a table is once it was numbers."""
    read = read_table(data.source_of(source), COLUMNS)
    assert read.schema is not None
    rows = data.read_rows(data.source_of(source), read.schema)
    np.testing.assert_array_equal(rows.x, read.x)
    return frame(read.schema, rows.x, rows.others)


def test_a_data_frame_comes_out_with_its_values_and_types() -> None:
    df = made()
    found = again(df)
    assert [*found] == [*df]
    pandas.testing.assert_frame_equal(found, df, rtol=1e-6, check_freq=False, check_exact=False)


def test_a_parquet_file_comes_out_with_the_types_that_it_keeps(tmp_path: Path) -> None:
    made().to_parquet(tmp_path / "t.parquet")
    kept = pandas.read_parquet(tmp_path / "t.parquet")
    found = again(tmp_path / "t.parquet")
    pandas.testing.assert_frame_equal(found, kept, rtol=1e-6, check_freq=False)


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_text_and_parquet_files_come_out_with_their_texts(tmp_path: Path, ending: str) -> None:
    df = made()
    path = tmp_path / f"t.{ending}"
    df.to_csv(path, index=False, sep="," if ending == "csv" else "\t")
    read = read_table(data.source_of(path), COLUMNS)
    assert read.schema is not None
    rows = data.read_rows(data.source_of(path), read.schema)
    cells = read.schema.cells(rows.x, rows.others)
    path.write_bytes(encoded(path, cells))
    second = data.read_rows(data.source_of(path), read.schema)
    np.testing.assert_array_equal(second.x, rows.x)
    assert second.others == rows.others
    (tmp_path / "t.parquet").write_bytes(
        encoded(tmp_path / "t.parquet", cells, read.schema.columns)
    )
    typed = pandas.read_parquet(tmp_path / "t.parquet")
    assert typed["int64"].dtype == "int64"
    assert typed["days"].dtype.kind == "M"
    np.testing.assert_allclose(typed["float64"], df["float64"], rtol=1e-6)


def test_ordered_categories_keep_their_order_and_others_are_no_numbers() -> None:
    read = read_table(data.source_of(made()), COLUMNS)
    assert read.schema is not None
    kinds = {column.name: (column.kind, column.values) for column in read.schema.columns}
    assert kinds["ordered"] == ("ordinal", ("low", "mid", "high", "never"))
    assert kinds["category of numbers"] == ("categorical", ("1", "2", "3"))


values = st.one_of(
    st.lists(st.integers(-(10**6), 10**6), min_size=25, max_size=40),
    st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=25, max_size=40),
    st.lists(
        st.one_of(st.none(), st.floats(-1e6, 1e6, width=32, allow_subnormal=False)),
        min_size=25, max_size=40,
    ),
    st.lists(st.one_of(st.none(), st.booleans()), min_size=25, max_size=40),
    st.lists(
        st.one_of(st.none(), st.sampled_from([*WORDS, "None", "NA", "?", "-"])),
        min_size=25, max_size=40,
    ),
    st.lists(
        st.one_of(st.none(), st.datetimes(allow_imaginary=False).map(lambda d: d.date())),
        min_size=25, max_size=40,
    ),
)  # fmt: skip


@settings(max_examples=60, derandomize=True, deadline=None)
@given(values)
def test_any_column_comes_out_with_its_values(cells: list[Any]) -> None:
    df = pandas.DataFrame({"v": cells, "other": np.arange(len(cells)) + 0.5})
    read = read_table(data.source_of(df), COLUMNS)
    assert read.schema is not None
    rows = data.read_rows(data.source_of(df), read.schema)
    found = frame(read.schema, rows.x, rows.others)["v"]
    if read.schema.columns[0].kind == "date":
        return  # out of the range of float32 days
    if df["v"].dtype == bool or df["v"].dtype.kind in "if":
        np.testing.assert_allclose(
            found.astype(float), df["v"].astype(float), rtol=1e-6, atol=1e-6 * 1e6
        )
        if not df["v"].isna().any():
            assert found.dtype == df["v"].dtype
        return
    wanted = df["v"].astype(object).where(df["v"].notna() & (df["v"].astype(str) != "-"), None)
    got = found.astype(object).where(found.notna(), None)
    assert [*map(str, got)] == [*map(str, wanted)]


def test_a_recipe_takes_a_data_frame_and_keeps_its_types(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path))
    df = made()
    first = vaelab.recipe("table", {"data.source": df, "train.epochs": 1})
    assert first.data.source in capsys.readouterr().err
    assert vaelab.recipe("table", {"data.source": made()}).data.source == first.data.source
    assert vaelab.recipe("table", {"data.source": made(1)}).data.source != first.data.source
    run = vaelab.train(vaelab.recipes.override(first, SMALL), tmp_path / "run", quiet=True)
    assert run.schema is not None
    sampled = vaelab.sample_rows(run, 50).frame()
    for name in sampled:
        if name not in ("category of numbers", "object"):  # which Parquet does not keep
            holes = df[name].isna().any()
            assert sampled[name].dtype == df[name].dtype or holes, name
    assert [*sampled["float64"]] == [*sampled["float64"].round(3)]
    assert sampled["int64"].between(df["int64"].min(), df["int64"].max()).all()
    assert {*sampled["ordered"].dropna()} <= {"low", "mid", "high", "never"}
    Path(first.data.source).unlink()
    with pytest.raises(UserError, match=r"give the data frame again: vaelab.recipe\(NAME"):
        vaelab.train(first, tmp_path / "other")


def test_a_recipe_takes_an_array_and_refuses_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAELAB_CACHE_DIR", str(tmp_path))
    x = np.random.default_rng(0).normal(size=(40, 3))
    source = vaelab.recipe("table", {"data.source": x}).data.source
    np.testing.assert_array_equal(np.load(source), x)
    assert vaelab.recipe("table", {"data.source": Path(source)}).data.source == source
    with pytest.raises(UserError, match="expected a name, a path, a pandas data frame or an array"):
        vaelab.recipe("table", {"data.source": [1, 2]})
    mixed = pandas.DataFrame({"a": [1, "b", {}]})
    with pytest.raises(UserError, match="the data frame cannot be stored"):
        vaelab.recipe("table", {"data.source": mixed})
