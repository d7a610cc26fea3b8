"""Rows given to a trained run: scored, filled in, encoded, reconstructed, sampled."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import vaelab
from vaelab.cli.main import main
from vaelab.errors import UserError

CITIES = ("Évora", "Porto", "Faro")
HEADER = ["id", "height", "income", "children", "member", "city", "since", "unit", "class"]


def people(n: int = 240, seed: int = 0) -> list[list[str]]:
    """Rows of every kind: city and class decide the rest; a tenth of the cells is empty."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        kind = int(rng.integers(3))
        day = np.datetime64("2020-01-01") + int(rng.integers(300)) + 365 * kind
        cells = [
            f"{rng.normal(170 + 5 * kind, 4):.1f}",
            f"{np.exp(rng.normal(7 + kind, 1.2)):.2f}",
            f"{rng.poisson(0.5 + kind)}",
            "yes" if rng.random() < 0.2 + 0.3 * kind else "no",
            CITIES[kind] if rng.random() < 0.9 else CITIES[int(rng.integers(3))],
            str(day),
        ]
        cells = ["" if rng.random() < 0.1 else cell for cell in cells]
        rows.append([f"p{i:04d}", *cells, "m", "abc"[kind]])
    return rows


def write(path: Path, rows: list[list[str]], header: list[str] = HEADER) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> vaelab.Run:
    folder = tmp_path_factory.mktemp("people")
    source = write(folder / "people.csv", people())
    settings = {"data.source": str(source), "train.epochs": 60, "model.hidden": [32]}
    return vaelab.train(vaelab.recipe("table", settings), folder / "run", quiet=True)


def test_the_types_of_columns_are_inferred(run: vaelab.Run) -> None:
    assert run.schema is not None
    assert {column.name: column.kind for column in run.schema.columns} == {
        "id": "identifier",
        "height": "real",
        "income": "positive",
        "children": "count",
        "member": "binary",
        "city": "categorical",
        "since": "date",
        "unit": "constant",
        "class": "label",
    }


def test_scores_carry_the_id_and_the_label_and_sum_to_the_whole(
    run: vaelab.Run, tmp_path: Path
) -> None:
    new, out = write(tmp_path / "new.csv", people(20, 1)), tmp_path / "scores.csv"
    assert main(["score", str(run.folder), str(new), "--out", str(out), "--samples", "50"]) == 0
    rows = read(out)
    assert [row["id"] for row in rows] == [f"p{i:04d}" for i in range(20)]
    assert {row["class"] for row in rows} <= {*"abc"}
    for row in rows:
        parts = [float(value) for name, value in row.items() if name.startswith("surprise of")]
        assert sum(parts) == pytest.approx(float(row["score"]), abs=1e-4)
        assert 0 < float(row["p"]) <= 1


def test_a_row_with_a_planted_cell_is_odd_and_the_column_is_named(run: vaelab.Run) -> None:
    rows = people(30, 2)
    rows[3][1], rows[4][6] = "99999.0", "1890-01-01"
    found = vaelab.score(run, _written(run, rows), samples=50)
    assert {*np.argsort(-found.score)[:2]} == {3, 4}
    assert found.culprit[3] == "height"
    assert found.culprit[4] == "since"
    assert found.odd[[3, 4]].all()


def test_a_score_does_not_depend_on_the_other_rows_the_order_or_the_call(run: vaelab.Run) -> None:
    rows = people(12, 3)
    together = vaelab.score(run, _written(run, rows), samples=20).score
    backwards = vaelab.score(run, _written(run, rows[::-1]), samples=20).score
    alone = vaelab.score(run, _written(run, rows[5:6]), samples=20).score
    assert (together == backwards[::-1]).all()
    assert alone == together[5]
    assert (vaelab.score(run, _written(run, rows), samples=20).score == together).all()


def test_columns_are_matched_by_name_and_what_differs_is_said(run: vaelab.Run) -> None:
    rows = people(10, 4)
    order = [6, 5, 4, 3, 2, 1, 0]
    header = [HEADER[i] for i in order] + ["comment"]
    shuffled = [[row[i] for i in order] + ["x"] for row in rows]
    place = run.folder.parent / "shuffled.csv"
    found = vaelab.score(run, write(place, shuffled, header), samples=20)
    assert (found.score == vaelab.score(run, _written(run, rows), samples=20).score).all()
    assert any("matched by name" in note for note in found.notes)
    assert any("carried along: comment" in note for note in found.notes)
    short = write(place, [row[:5] for row in rows], HEADER[:5])
    assert any("read as empty: city, since" in n for n in vaelab.score(run, short).notes)
    with pytest.raises(UserError, match="none of the columns"):
        vaelab.score(run, write(place, [["1", "2"]] * 3, ["a", "b"]))


def test_a_city_that_training_never_saw_is_said_and_surprising(run: vaelab.Run) -> None:
    rows = people(10, 5)
    rows[0][5] = "Lisboa"
    found = vaelab.score(run, _written(run, rows), samples=20)
    assert "column 'city': values that training never saw: 1" in found.notes
    assert found.columns["city"][0] == pytest.approx(np.log(run.schema.modelled[4].rows + 1))  # type: ignore[union-attr]


def test_a_value_that_a_column_cannot_have_makes_its_row_infinitely_odd(run: vaelab.Run) -> None:
    rows = people(10, 5)
    rows[2][3], rows[4][2] = "-3", "-1.00"
    found = vaelab.score(run, _written(run, rows), samples=20)
    assert np.flatnonzero(np.isinf(found.score)).tolist() == [2, 4]
    assert [found.culprit[i] for i in (2, 4)] == ["children", "income"]
    assert "row 3: infinite, most surprising: children" in found.summary()
    assert sum("get an infinite score: 1" in note for note in found.notes) == 2
    filled = vaelab.impute(run, _written(run, rows), samples=20).table()
    assert filled["children"][2].isdigit()


def test_filling_keeps_every_cell_that_was_there_as_it_was_written(
    run: vaelab.Run, tmp_path: Path
) -> None:
    new, out = write(tmp_path / "holes.csv", people(25, 6)), tmp_path / "filled.csv"
    assert main(["impute", str(run.folder), str(new), "--out", str(out), "--samples", "50"]) == 0
    for before, after in zip(read(new), read(out), strict=True):
        assert [*before] == [*after]
        for name, cell in before.items():
            assert after[name] == cell or (cell == "" and after[name] != "")
        assert after["city"] in CITIES
        assert after["member"] in ("yes", "no")
        assert after["children"].isdigit()
        assert len(after["since"]) == 10


def test_several_fillings_are_numbered_and_differ(run: vaelab.Run, tmp_path: Path) -> None:
    new, out = write(tmp_path / "holes.csv", people(25, 6)), tmp_path / "filled.csv"
    assert main(
        ["impute", str(run.folder), str(new), "--out", str(out), "--draws", "3", "--samples", "50"]
    ) == 0  # fmt: skip
    rows = read(out)
    assert [row["imputation"] for row in rows] == ["1"] * 25 + ["2"] * 25 + ["3"] * 25
    assert rows[:25] != [row | {"imputation": "1"} for row in rows[25:50]]


def test_samples_have_the_columns_the_types_and_the_ranges_of_the_table(
    run: vaelab.Run, tmp_path: Path
) -> None:
    out = tmp_path / "synthetic.csv"
    assert main(["sample", str(run.folder), "-n", "200", "--out", str(out)]) == 0
    rows = read(out)
    assert len(rows) == 200
    assert [*rows[0]] == ["height", "income", "children", "member", "city", "since", "unit"]
    heights = [float(row[1]) for row in people() if row[1]]
    for row in rows:
        assert row["city"] in CITIES
        assert row["member"] in ("yes", "no")
        assert row["unit"] == "m"
        assert min(heights) - 0.051 <= float(row["height"]) <= max(heights) + 0.051
        assert "2020-01-01" <= row["since"] <= "2022-12-31"
        assert row["children"] == str(int(row["children"]))


def test_codes_and_reconstructions_have_a_header_and_carry_what_names_the_row(
    run: vaelab.Run, tmp_path: Path
) -> None:
    new, codes, again = (
        write(tmp_path / "n.csv", people(9, 7)),
        tmp_path / "z.csv",
        tmp_path / "r.csv",
    )
    assert main(["encode", str(run.folder), "--data", str(new), "--out", str(codes)]) == 0
    first = read(codes)[0]
    assert {"id", "class", "z1", f"z{run.vae.latent}"} <= first.keys()
    assert first["id"] == "p0000"
    assert main(["reconstruct", str(run.folder), "--data", str(new), "--out", str(again)]) == 0
    assert [*read(again)[0]] == HEADER
    assert len(read(again)) == 9


def test_the_area_under_the_curve_needs_two_values(
    run: vaelab.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = people(40, 8)
    for row in rows[:4]:
        row[1] = "20.0"
    labelled = [[*row, str(int(i < 4))] for i, row in enumerate(rows)]
    new = write(run.folder.parent / "labelled.csv", labelled, [*HEADER, "strange"])
    command = ["score", str(run.folder), str(new), "--samples", "20"]
    assert main([*command, "--labels", "strange"]) == 0
    printed = capsys.readouterr().out
    for name in ("score", "ratio", "gaussian", "pca", "forest"):
        assert f"AUC {name}: " in printed
    assert "arXiv:1810.09136" in printed
    assert main([*command, "--labels", "city"]) == 2
    assert main([*command, "--labels", "class"]) == 2
    assert "3 different values" in capsys.readouterr().err


def test_too_few_held_out_rows_are_said(run: vaelab.Run) -> None:
    found = vaelab.score(run, _written(run, people(5, 9)), samples=10, rate=0.001)
    assert not found.odd.any()
    assert "too few for a rate of 0.001" in found.summary()


@pytest.mark.parametrize("command", ["impute", "score"])
def test_bad_tables_are_one_line_and_exit_code_2(
    run: vaelab.Run, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write(tmp_path / "bad.csv", [["p1", "tall"]], ["id", "height"])
    out = [] if command == "score" else ["--out", str(tmp_path / "o.csv")]
    assert main([command, str(run.folder), str(bad), *out]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "line 2, column 'height': 'tall' is not a number" in said


def test_frames_go_in_and_come_out(run: vaelab.Run) -> None:
    frame = pandas.read_csv(write(run.folder.parent / "f.csv", people(15, 10)))
    assert len(run.score(frame, samples=10)) == 15
    filled = run.impute(frame, samples=10)
    assert [*filled.columns] == HEADER
    assert not filled.isna().any().any()
    assert len(run.impute(frame, samples=10, draws=2)) == 2
    made = run.sample(50)
    assert made["height"].dtype == "float64"
    assert made["children"].dtype == "int64"
    assert made["since"].dtype.kind == "M"


def _written(run: vaelab.Run, rows: list[list[str]]) -> Path:
    return write(run.folder.parent / "new.csv", rows)


def test_a_path_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "people.csv", people(60))
    out = tmp_path / "run"
    assert main(["train", str(source), "--out", str(out), "--train.epochs", "1"]) == 0
    printed = capsys.readouterr().out
    assert "by the recipe table" in printed
    assert "positive (log-normal): income" in printed
    assert vaelab.load(out).recipe.name == "people"


@pytest.mark.parametrize(
    ("shape", "recipe", "settings"),
    [
        ((50, 6), "table", {}),
        ((50, 300), "signal", {}),
        ((50, 3, 128), "signal", {}),
        ((4000,), "signal", {"data.window": 256}),
        ((50, 28, 28), "images-32", {"data.resize": 0, "data.flip": False}),
        ((50, 3, 64, 64), "images-64", {"data.resize": 0, "data.flip": False}),
    ],
)
def test_the_recipe_fits_the_shape(
    shape: tuple[int, ...], recipe: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    from vaelab.workflows.fitting import fitting

    np.save(tmp_path / "x.npy", np.zeros(shape, np.float32))
    found = fitting(str(tmp_path / "x.npy"))
    assert (found.recipe, found.settings) == (recipe, settings)
