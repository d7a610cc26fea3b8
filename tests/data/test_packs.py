"""A pack holds what its source holds, and is read as if it were in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mixed_table import write
from PIL import Image

import vaelab
from vaelab import data, devices
from vaelab.data import Batches, Dataset, files, load, mapped, packing
from vaelab.data.dataframes import Parquet
from vaelab.data.mapped import Mapped, shuffled
from vaelab.errors import UserError
from vaelab.recipes import Data, permit
from vaelab.seeding import generator

RNG = np.random.default_rng
CPU = torch.device("cpu")


def levels(folder: Path) -> dict[str, Any]:
    x = RNG(0).integers(0, 256, (60, 5, 4), np.uint8)
    np.savez(folder / "x.npz", x=x, y=RNG(1).integers(0, 3, 60), factors=np.arange(60)[:, None] % 4)
    return {"source": str(folder / "x.npz")}


def real(folder: Path) -> dict[str, Any]:
    np.save(folder / "x.npy", RNG(0).normal(size=(60, 4, 4, 3)))
    return {"source": str(folder / "x.npy")}


def binary(folder: Path) -> dict[str, Any]:
    np.save(folder / "x.npy", RNG(0).random((60, 4, 4)) < 0.5)
    return {"source": str(folder / "x.npy")}


def signal(folder: Path) -> dict[str, Any]:
    np.save(folder / "x.npy", RNG(0).integers(-300, 300, (900, 2), np.int16))
    return {"source": str(folder / "x.npy"), "window": 20}


def folders(folder: Path) -> dict[str, Any]:
    """Photographs of two sizes in classes, in a training and a test set."""
    for i in range(40):
        place = folder / "photos" / ("test" if i % 4 == 0 else "train") / f"class {i % 3}"
        place.mkdir(parents=True, exist_ok=True)
        pixels = RNG(i).integers(0, 256, (6, 8 + i % 2, 3), np.uint8)
        Image.fromarray(pixels).save(place / f"{i}.png")
    return {"source": str(folder / "photos"), "resize": 6}


def text(folder: Path) -> dict[str, Any]:
    write(folder / "t.csv", 300)
    return {"source": str(folder / "t.csv"), "treatment": "columns"}


def numbers(folder: Path) -> dict[str, Any]:
    table = pandas.DataFrame(RNG(0).normal(size=(90, 3)), columns=["a", "b", "c"])
    table.assign(label=np.arange(90) % 3).to_csv(folder / "t.csv", index=False)
    return {"source": str(folder / "t.csv")}


def parquet(folder: Path) -> dict[str, Any]:
    """Columns whose types differ from one row group to the next."""
    days = pandas.to_datetime("2024-01-01") + pandas.to_timedelta(np.arange(90), "D")
    table = pandas.DataFrame({
        "whole": pandas.array([None if i > 80 else i * 7 % 50 + 3 for i in range(90)], "float64"),
        "real": RNG(0).normal(size=90),
        "day": days.where(np.arange(90) < 70, days + pandas.Timedelta("3h")),
        "word": ["red", "green", "blue"] * 30,
        "truth": [None if i == 85 else i % 2 == 0 for i in range(90)],
        "size": pandas.Categorical(["s", "m", "l"] * 30, ["s", "m", "l"], ordered=True),
    })  # fmt: skip
    table.to_parquet(folder / "t.parquet", row_group_size=25)
    return {"source": str(folder / "t.parquet"), "treatment": "columns"}


SOURCES = (levels, real, binary, signal, folders, text, numbers, parquet)


def packed(folder: Path, source: dict[str, Any], **more: Any) -> Data:
    """Pack a source; the settings of a training on the pack."""
    data.pack(Data(**source), folder / "pack")
    kept = {key: value for key, value in source.items() if key in ("treatment", "window")}
    return Data(**kept | {"source": str(folder / "pack")} | more)


@pytest.mark.parametrize("source", SOURCES)
def test_a_pack_holds_the_splits_of_its_source(
    source: Callable[[Path], dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the number of its files, and the pieces that are converted at once."""
    monkeypatch.setattr(packing, "SHARD", 1000)
    monkeypatch.setattr(packing, "PIECE", 300)
    given = source(tmp_path)
    there, here = load(packed(tmp_path, given)), load(Data(**given))
    for name, split in here.splits().items():
        mine = there.splits()[name]
        assert isinstance(mine.x, Mapped)
        torch.testing.assert_close(mine.x[:], split.x[:], rtol=0, atol=0, equal_nan=True)
        for part, other in zip(mine[1:], split[1:], strict=True):
            assert (part is None and other is None) or torch.equal(part, other)
    same = {"shape", "levels", "factors", "class_names", "features", "form", "schema"}
    assert {k: v for k, v in there._asdict().items() if k in same} == {
        k: v for k, v in here._asdict().items() if k in same
    }
    assert here.notes == there.notes[1:]
    assert not [*(tmp_path / "pack").glob("scratch*")]


def test_a_parquet_file_is_read_in_pieces_as_it_is_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(parquet(tmp_path)["source"])
    whole = files.source_of(pandas.read_parquet(path))
    (at_once,) = whole.chunks()
    monkeypatch.setattr("vaelab.data.dataframes.CELLS", 60)
    pieces = Parquet(path)
    assert [*pieces.chunks()][-1].lines[-1] == pieces.rows == 90
    assert (pieces.names, pieces.dtypes, pieces.orders) == (whole.names, whole.dtypes, whole.orders)
    for i, column in enumerate(at_once.columns):
        assert [*column] == [cell for chunk in pieces.chunks() for cell in chunk.columns[i]]


# ---------------------------------------------------------------- order and reading


def test_an_order_by_blocks_has_every_row_once_and_is_that_of_its_stream() -> None:
    rows, row = 100_001, 10_000  # blocks of 26 rows, 6,656 rows in a buffer
    order = shuffled(rows, row, generator(0, "order", 3))
    assert torch.equal(order.sort()[0], torch.arange(rows))
    assert torch.equal(order, shuffled(rows, row, generator(0, "order", 3)))
    assert not torch.equal(order, shuffled(rows, row, generator(0, "order", 4)))


def test_neighbours_in_the_file_are_far_apart_and_batches_look_like_the_whole() -> None:
    """Of a file that is sorted by ten classes, a batch holds almost as many of each as a random
    sample would: blocks add no more than the variance of a sample of so many blocks.
    """
    rows, row, batch = 200_000, 5_000, 128
    size, buffer = mapped.BLOCK // row, mapped.BLOCK // row * mapped.BLOCKS
    order = shuffled(rows, row, generator(1, "order", 1))
    near = (order.diff().abs() < 2).double().mean()
    assert near < 5 / buffer  # 2 / buffer is what a random order of a buffer gives
    classes = order * 10 // rows
    shares = torch.stack([
        (piece == 0).double().mean() for piece in classes.split(batch) if len(piece) == batch
    ])  # fmt: skip
    expected = 0.1 * 0.9 * (1 / batch + 1 / mapped.BLOCKS)
    assert shares.var() < 1.2 * expected
    assert size > 1


def test_rows_of_few_blocks_have_the_order_of_rows_in_memory() -> None:
    assert torch.equal(
        shuffled(1000, 784, generator(0, "order", 1)),
        torch.randperm(1000, generator=generator(0, "order", 1)),
    )


def rows_of(x: np.ndarray, pieces: int, which: np.ndarray | None = None) -> Mapped:
    return Mapped(np.array_split(x, pieces), 0, 255, True, "0", which)


@settings(max_examples=30, deadline=None)
@given(
    pieces=st.integers(1, 5),
    workers=st.integers(0, 3),
    at_once=st.integers(1, 300),
    batch=st.integers(1, 13),
    seed=st.integers(0, 99),
)
def test_what_is_read_ahead_is_what_an_index_reads(
    pieces: int, workers: int, at_once: int, batch: int, seed: int
) -> None:
    x = RNG(seed).integers(0, 256, (50, 3, 2), np.uint8)
    which = np.sort(RNG(seed).permutation(50)[:41])
    rows, known = rows_of(x, pieces, which), torch.from_numpy(x[which])
    batches = torch.randperm(41, generator=torch.Generator().manual_seed(seed)).split(batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "AHEAD", at_once)
        found = [*rows.ahead(batches, workers)]
    for index, one in zip(batches, found, strict=True):
        assert torch.equal(one, known[index])
        assert torch.equal(rows[index], known[index])
    assert torch.equal(torch.cat([*rows.split(7)]), known)
    assert torch.equal(rows[-1], known[-1])
    assert torch.equal(rows.part(torch.arange(41) % 2 == 0)[:], known[::2])


@pytest.mark.parametrize("shards", [1, 3])
def test_a_row_that_is_not_there_is_an_error_and_no_other_row(shards: int) -> None:
    x = RNG(0).integers(0, 256, (20, 3), np.uint8)
    for rows in (rows_of(x, shards), rows_of(x, shards, np.arange(5, 12))):
        assert torch.equal(rows[-1], rows[len(rows) - 1])
        assert torch.equal(rows[-len(rows)], rows[0])
        for index in (len(rows), -len(rows) - 1, torch.tensor([0, len(rows)]), torch.tensor([-1])):
            with pytest.raises(IndexError, match=f"of {len(rows)}$"):
                rows[index]


def test_no_thread_outlives_its_iterator_and_its_errors_arrive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def threads() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name.startswith("vaelab reads")]

    rows = rows_of(np.zeros((100, 2), np.uint8), 2)
    batches = torch.arange(100).split(1)
    monkeypatch.setattr(mapped, "AHEAD", 4)
    ahead = rows.ahead(batches, 2)
    next(ahead)
    assert threads()
    ahead.close()  # type: ignore[attr-defined]  # it is a generator
    assert not threads()

    def fails(self: Mapped, index: torch.Tensor) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr(Mapped, "read", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        [*rows.ahead(batches, 2)]
    assert not threads()


TREATED = [
    pytest.param(levels, {"treatment": "fixed"}, id="fixed"),
    pytest.param(levels, {"treatment": "threshold"}, id="threshold"),
    pytest.param(levels, {"treatment": "dynamic", "rotate": 20.0, "flip": True}, id="dynamic"),
    pytest.param(levels, {"treatment": "dequantised", "shift": 0.2}, id="dequantised"),
    pytest.param(levels, {"treatment": "counts"}, id="counts"),
    pytest.param(binary, {"treatment": "fixed"}, id="binary"),
]


@pytest.mark.parametrize(("source", "treatment"), TREATED)
def test_batches_of_a_pack_are_those_of_memory(
    source: Callable[[Path], dict[str, Any]], treatment: dict[str, Any], tmp_path: Path
) -> None:
    given = source(tmp_path)
    here, there = Data(**given | treatment), packed(tmp_path, given, **treatment)
    both = []
    for one in (here, there):
        found = load(one)
        batches = Batches(found.train.x, found.levels, one, CPU, augment=True, y=found.train.y)
        stream = generator(0, "data")
        order = batches.order(0, 1).split(7)
        both.append(torch.cat([batches(index, stream) for index in batches.ahead(order)]))
    assert torch.equal(*both)


def test_real_values_of_a_pack_are_binarised_alike(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", RNG(0).random((50, 5, 3)) * 4)  # rows of an odd number of values
    given = {"source": str(tmp_path / "x.npy")}
    there = packed(tmp_path, given)
    for treatment in ("fixed", "threshold"):
        both = []
        for source in (given["source"], there.source):
            one = Data(source=source, treatment=treatment, scale=4.0)
            batches = Batches(load(one).train.x, None, one, CPU)
            both.append(batches(torch.tensor([3, 0, 17]), generator(0, "data")))
        assert torch.equal(*both)
        assert {*both[0].flatten().tolist()} == {0.0, 4.0}


# ---------------------------------------------------------------- what is refused


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    packed(folder, levels(folder))
    return folder / "pack"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 4}, r"data.window: the pack .* was read with 0, not with 4; leave it out"),
        ({"labels": "y"}, "data.labels: only a table has columns"),
        ({"treatment": "columns"}, "data.treatment: the pack .* holds no columns of a table"),
        ({"scale": 255.0}, "data.scale: .* has 256 grey levels"),
        ({"resize": 8}, "data.resize: only folders of images are resized"),
        ({"form": "table"}, "data.form: rows of shape"),
    ],
)
def test_settings_that_disagree_with_a_pack(
    pack: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load(Data(source=str(pack), **changes))


def test_the_labels_of_a_pack_can_be_left_out(pack: Path) -> None:
    assert load(Data(source=str(pack), labels="none")).train.y is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "train-000.npy").unlink(), "train-000.npy: not a readable file of a pack"),
        (lambda f: cut(f / "train-000.npy"), "train-000.npy: not a readable file of a pack"),
        (lambda f: np.save(f / "train-000.npy", np.zeros(3)), r"holds float64 \(3,\), not uint8"),
        (lambda f: (f / "pack.json").write_text("{"), "pack.json: not a readable pack"),
        (lambda f: (f / "pack.json").write_text('{"format": 9}'), "has format 9, this vaelab"),
        (lambda f: (f / "pack.json").write_text('{"format": 1}'), "pack.json: not a readable pack"),
    ],
)
def test_a_damaged_pack(change: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    there = packed(tmp_path, levels(tmp_path))
    change(tmp_path / "pack")
    with pytest.raises(UserError, match=message + ".*pack its source again"):
        load(there)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_a_value_that_is_not_finite_is_named_with_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "PIECE", 40)
    x = np.ones((30, 2, 2))
    x[17, 1, 0] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(UserError, match=r"x: NaN or infinite .* first at \(17, 1, 0\)"):
        data.pack(Data(source=str(tmp_path / "x.npy")), tmp_path / "pack")
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_weights_of_rows_are_refused_rather_than_lost(tmp_path: Path) -> None:
    code = tmp_path / "own.py"
    code.write_text(
        "import numpy as np\nfrom vaelab.data import Arrays\n"
        "def rows(settings):\n    return Arrays(np.ones((30, 4)), weights=np.ones(30))\n"
    )
    permit(code)
    with pytest.raises(UserError, match="has weights of its rows, which a pack does not hold"):
        data.pack(Data(source=f"{code}:rows"), tmp_path / "pack")
    assert [path.name for path in tmp_path.glob("pack*")] == []


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    given = folders(tmp_path)
    broken = tmp_path / "photos" / "train" / "class 1" / "7.png"
    broken.write_bytes(broken.read_bytes()[:90])
    with pytest.raises(UserError, match=r"7\.png: not a readable image"):
        data.pack(Data(**given), tmp_path / "pack")


def test_what_an_interrupted_packing_left_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = real(tmp_path)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packing, "write_atomic", interrupt)
        with pytest.raises(KeyboardInterrupt):
            data.pack(Data(**given), tmp_path / "pack")
    assert (tmp_path / "pack.part" / "train-000.npy").exists()
    assert not (tmp_path / "pack").exists()
    assert isinstance(load(packed(tmp_path, given)), Dataset)
    assert not (tmp_path / "pack.part").exists()


def test_what_is_in_the_way_of_a_pack(tmp_path: Path) -> None:
    given, out = real(tmp_path), tmp_path / "pack"
    out.mkdir()
    with pytest.raises(UserError, match="is there and is no pack; choose another OUT"):
        vaelab.pack(given["source"], out, quiet=True)
    out.rmdir()
    vaelab.pack(given["source"], out, quiet=True)
    with pytest.raises(UserError, match="holds a pack already; add overwrite=True"):
        vaelab.pack(given["source"], out, quiet=True)
    with pytest.raises(UserError, match="is a pack already; train on it"):
        vaelab.pack(out, tmp_path / "other", quiet=True)
    with pytest.raises(UserError, match=r"data\.scale: is no setting of how data are read"):
        vaelab.pack(given["source"], out, {"data.scale": 3}, quiet=True)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds files that are no part of a pack"):
        vaelab.pack(given["source"], out, overwrite=True, quiet=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert isinstance(load(Data(source=str(out))), Dataset), "the pack in the folder is whole"
    assert not (tmp_path / "pack.part").exists()


# ---------------------------------------------------------------- after the training


def test_as_many_rows_as_the_budget_holds_are_evaluated_and_said(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load(Data(source=str(pack)))
    assert found.in_memory().note == ""
    monkeypatch.setattr(devices, "BUDGET", 4 * 20 * 5)  # bytes of five images
    some = found.in_memory()
    assert torch.equal(some.test.x[:], found.test.x[torch.tensor([0, 1, 2, 4, 5])])
    assert some.test.y is not None
    assert len(some.test.y) == 5
    assert some.sizes == {"train": 49, "validation": 5, "test": 6}
    assert some.note == "note: of 6 test images 5 are measured, evenly spaced"


def test_a_pack_tells_rows_from_other_rows(pack: Path, tmp_path: Path) -> None:
    one = load(Data(source=str(pack)))
    assert one.train.checksum() == load(Data(source=str(pack))).train.checksum()
    assert one.train.checksum() != load(Data(source=str(pack), split_seed=1)).train.checksum()
    described = json.loads((pack / "pack.json").read_text())
    described["splits"]["train"]["shards"][0]["crc32"] = "0"
    other = tmp_path / "other"
    other.mkdir()
    for file in pack.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    (other / "pack.json").write_text(json.dumps(described))
    assert one.train.checksum() != load(Data(source=str(other))).train.checksum()


def test_a_table_is_packed_by_its_columns_or_as_numbers(tmp_path: Path) -> None:
    given = numbers(tmp_path)
    vaelab.pack(given["source"], tmp_path / "columns", quiet=True)
    plain = {"data.treatment": "grey", "data.labels": "none"}
    vaelab.pack(given["source"], tmp_path / "numbers", plain, quiet=True)
    assert load(Data(source=str(tmp_path / "columns"), treatment="columns")).schema is not None
    found = load(Data(source=str(tmp_path / "numbers")))
    assert (found.schema, found.shape, found.train.y) == (None, (4,), None)
    recipe = vaelab.recipe_for(tmp_path / "columns", {"train.epochs": 1, "model.hidden": [4]})
    assert vaelab.train(recipe, tmp_path / "run", quiet=True).schema is not None
    for source, treatment in (("columns", "grey"), ("numbers", "columns")):
        with pytest.raises(UserError, match=r"data\.treatment: the pack"):
            load(Data(source=str(tmp_path / source), treatment=treatment))
