"""Sources, splits and the one line that every mistake earns."""

from __future__ import annotations

import csv
import gzip
import io
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import vaelab
from vaelab import data
from vaelab.data import reading
from vaelab.errors import UserError
from vaelab.recipes import Data
from vaelab.recipes.custom import permit
from vaelab.seeding import numpy_generator


def load(path: Path | str, **overrides: Any) -> data.Dataset:
    return data.load(Data(source=str(path), **{"test": 0.0, "validation": 0.0} | overrides))


def refused(path: Path | str, **overrides: Any) -> str:
    """Return the error message, which has to be one line that says what to do.

    It is a statement, a semicolon and a remedy.
    """
    with pytest.raises(UserError) as caught:
        load(path, **overrides)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message
    return message


def idx_bytes(x: np.ndarray) -> bytes:
    return struct.pack(f">{1 + x.ndim}I", 0x0800 | x.ndim, *x.shape) + x.tobytes()


def npy_bytes(x: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, x)
    return buffer.getvalue()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# --- arrays ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "shape"),
    [
        ((6, 5, 7), (5, 7)),
        ((6, 3, 5, 7), (3, 5, 7)),
        ((6, 5, 7, 3), (3, 5, 7)),
        ((6, 5, 7, 4), (4, 5, 7)),
        ((6, 5, 7, 1), (5, 7)),
        ((6, 1, 5, 7), (5, 7)),
        ((6, 3, 4, 4), (3, 4, 4)),
        ((6, 9), (9,)),
    ],
)
def test_every_layout_becomes_channels_first(
    tmp_path: Path, stored: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    x = np.arange(np.prod(stored), dtype=np.uint8).reshape(stored)
    np.save(tmp_path / "mine.npy", x)
    found = load(tmp_path / "mine.npy")
    assert (found.name, found.shape, found.levels) == ("mine", shape, 256)
    assert found.train.x.dtype == torch.uint8
    expected = np.moveaxis(x, 3, 1) if len(stored) == 4 and stored[1] == 5 else x
    assert np.array_equal(found.train.x.numpy(), expected.reshape(6, *shape))
    assert found.train.y is None


@pytest.mark.parametrize(
    ("x", "levels"),
    [
        (np.full((4, 2, 3), 9, np.uint8), 256),
        (np.full((4, 2, 3), 9, np.int64), 256),
        (np.eye(4, dtype=np.uint16).reshape(4, 2, 2), 2),
        (np.eye(4, dtype=np.uint8).reshape(4, 2, 2), 2),
        (np.eye(4, dtype=bool).reshape(4, 2, 2), 2),
        (np.eye(4, dtype=bool), 2),
        (np.full((4, 5), 9, np.uint8), 256),
        (np.full((4, 5), 9, np.int64), None),
        (np.full((4, 2, 3), 300, np.int64), None),
        (np.full((4, 2, 3), -1, np.int8), None),
        (np.full((4, 2, 3), 0.5, np.float16), None),
        (np.full((4, 2, 3), 0.5, ">f8"), None),
    ],
)
def test_the_type_decides_between_levels_and_real_values(
    tmp_path: Path, x: np.ndarray, levels: int | None
) -> None:
    np.save(tmp_path / "x.npy", x)
    found = load(tmp_path / "x.npy")
    assert found.levels == levels
    assert found.train.x.dtype == (torch.uint8 if levels else torch.float32)
    assert np.array_equal(found.train.x.numpy(), x.astype(np.float32))


def test_the_data_stay_in_the_user_s_units_and_grey_levels_take_no_scale(tmp_path: Path) -> None:
    np.save(tmp_path / "real.npy", np.full((4, 3), 51.0))
    np.save(tmp_path / "grey.npy", np.full((4, 3, 3), 51, np.uint8))
    assert torch.equal(load(tmp_path / "real.npy", scale=255.0).train.x, torch.full((4, 3), 51.0))
    assert "data.scale" in refused(tmp_path / "grey.npy", scale=255.0)
    assert "data.scale" in refused("digits", scale=16.0)


def test_npz_with_labels_and_a_test_set_of_its_own(tmp_path: Path) -> None:
    x, y = np.arange(60, dtype=np.uint8).reshape(10, 2, 3), np.arange(10)
    np.savez_compressed(tmp_path / "own.npz", x=x, y=y, x_test=x[:4], y_test=y[:4].astype(float))
    found = load(tmp_path / "own.npz", test=0.5, validation=0.2)
    assert [len(split.x) for split in found.splits().values()] == [8, 2, 4]
    assert np.array_equal(found.test.x.numpy(), x[:4])
    for split in found.splits().values():
        assert split.y is not None
        assert split.y.dtype == torch.int64
        assert torch.equal(split.x[:, 0, 0], 6 * split.y)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"z": np.ones((3, 2)), "w": np.ones(3)}, "contains no array x"),
        ({"x": np.ones((3, 2)), "y": np.ones(4)}, "labels of shape (4,) for 3 images"),
        ({"x": np.ones((3, 2)), "y": np.array([0, 0.5, 1])}, "labels are not integers"),
        ({"x": np.ones((3, 2)), "y": np.array([0, np.nan, 1])}, "labels are not integers"),
        ({"x": np.ones((3, 2)), "y_test": np.ones(3)}, "y_test without x_test"),
        ({"x": np.ones((3, 2)), "x_test": np.ones((3, 4))}, "one shape"),
        ({"x": np.ones((3, 2)), "x_test": np.ones((3, 2), np.uint8)}, "one type"),
    ],
)
def test_npz_mistakes(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:
    np.savez(tmp_path / "own.npz", **arrays)
    assert says in refused(tmp_path / "own.npz")


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.ones((3, 2), complex), "type complex128"),
        (np.array([["a", "b"]]), "type <U1"),
        (np.ones(5), "shape (5,)"),
        (np.ones((1, 2, 3, 4, 5)), "shape (1, 2, 3, 4, 5)"),
        (np.ones((0, 8, 8)), "shape (0, 8, 8)"),
        (np.ones((8, 0)), "shape (8, 0)"),
        (np.array([[0, 1], [np.nan, np.inf]]), "2 values, first at (1, 0)"),
        (np.array([[0, 1e300]]), "1 values, first at (0, 1)"),
    ],
)
def test_arrays_nothing_can_learn_from(tmp_path: Path, x: np.ndarray, says: str) -> None:
    np.save(tmp_path / "x.npy", x)
    assert says in refused(tmp_path / "x.npy")


def test_an_array_written_by_python_2_loads_without_a_warning(tmp_path: Path) -> None:
    content = npy_bytes(np.arange(6.0).reshape(2, 3))
    (tmp_path / "old.npy").write_bytes(content.replace(b"(2, 3), }  ", b"(2L, 3L), }"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert load(tmp_path / "old.npy").train.x.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not seen


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    pickled = np.array([Payload(trap)], dtype=object)
    np.save(tmp_path / "object.npy", pickled, allow_pickle=True)
    np.savez(tmp_path / "object.npz", x=pickled)
    for name in ("raw.npy", "raw.npz", "raw.csv"):
        (tmp_path / name).write_bytes(pickle.dumps(Payload(trap)))
    with zipfile.ZipFile(tmp_path / "raw_member.npz", "w") as archive:
        archive.writestr("x.npy", pickle.dumps(Payload(trap)))
    for name in ("object.npy", "object.npz", "raw.npy", "raw.npz", "raw.csv", "raw_member.npz"):
        assert name in refused(tmp_path / name)
    assert not trap.exists()
    pickle.loads(pickle.dumps(Payload(trap))).close()  # the trap does work
    assert trap.exists()


# --- CSV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "x", "y"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]], None),
        ("a,b\n1,2\n\n3,4", [[1, 2], [3, 4]], None),
        ("\ufeffa, Label ,b\n1,7,2\n3,8.0,4\n", [[1, 2], [3, 4]], [7, 8]),
        ("0,1,target\r\n1,2,5\r\n", [[1, 2]], [5]),
        ("x,y,class\n1,2,5\n", [[1, 2]], [5]),
        ('"1","-2e1"\n', [[1, -20]], None),
    ],
)
def test_csv(tmp_path: Path, text: str, x: list[list[float]], y: list[int] | None) -> None:
    (tmp_path / "t.csv").write_text(text, "utf-8")
    found = load(tmp_path / "t.csv")
    assert found.levels is None
    assert found.train.x.tolist() == x
    assert (None if found.train.y is None else found.train.y.tolist()) == y


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2\n3,x\n", "line 2, column 2: 'x' is not a number"),
        ("1,oops\n3,4\n", "line 1, column 2: 'oops'"),
        ("1,2\n3,\n", "line 2, column 2: the cell is empty"),
        ("1,2\n\n3\n", "line 3 has 1 columns, the first row has 2"),
        ("a,b\n", "contains no row of numbers"),
        ("", "contains no rows"),
        ("label\n1\n", "contains no column of numbers"),
        ("1,2\n3,nan\n", "the cell is empty"),
        ("1,\0\n", "column 2"),
    ],
)
def test_csv_mistakes(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "t.csv").write_text(text, "utf-8")
    assert says in refused(tmp_path / "t.csv")


# --- images ---------------------------------------------------------------------------------------


def picture(path: Path, x: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(x).save(path, **options)


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "webp", "PNG"])
def test_grey_images_stay_grey(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    x = rng.integers(256, size=(4, 5, 7), dtype=np.uint8)
    for i in (2, 0, 3, 1):
        picture(
            tmp_path / f"{i}.{suffix}", x[i], **({"lossless": True} if suffix == "webp" else {})
        )
    (tmp_path / ".hidden.png").write_bytes(b"not an image")
    (tmp_path / "notes.txt").write_text("ignored")
    found = load(tmp_path)
    assert found.levels == 256
    if suffix == "webp":  # webp knows no grey
        assert found.shape == (3, 5, 7)
    else:
        assert found.shape == (5, 7)
        assert np.array_equal(found.train.x.numpy(), x)


def test_colour_comes_channels_first_and_makes_grey_neighbours_colour(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    colour, grey = (
        rng.integers(256, size=(5, 3, 3), dtype=np.uint8),
        rng.integers(256, size=(5, 3), dtype=np.uint8),
    )
    picture(tmp_path / "a.png", colour)
    picture(tmp_path / "b.png", grey)
    found = data.load(Data(source=str(tmp_path), test=0.0, validation=0.0))
    assert found.shape == (3, 5, 3)
    assert np.array_equal(
        found.train.x.numpy(),
        np.stack([colour, np.dstack([grey] * 3)]).transpose(0, 3, 1, 2),
    )


def test_sub_folders_are_classes_in_order(tmp_path: Path) -> None:
    for name, values in {"b": (3, 4), "a": (1, 2), "c": (5,)}.items():
        for value in values:
            picture(tmp_path / name / f"{value}.png", np.full((2, 2), value, np.uint8))
    (tmp_path / "empty").mkdir()
    found = load(tmp_path)
    assert found.train.x[:, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert found.train.y is not None
    assert found.train.y.tolist() == [0, 0, 1, 1, 2]


def test_image_folder_mistakes(tmp_path: Path) -> None:
    assert "no usable file" in refused(tmp_path)
    picture(tmp_path / "a.png", np.zeros((2, 3), np.uint8))
    picture(tmp_path / "b.png", np.zeros((3, 3), np.uint8))
    assert "a.png has 2 x 3, b.png has 3 x 3" in refused(tmp_path)
    (tmp_path / "b.png").write_bytes(b"GIF87 or so")
    assert "b.png: not a readable image" in refused(tmp_path)
    picture(tmp_path / "b.png", np.zeros((2, 3), np.uint16))
    assert "b.png: more than 8 bits" in refused(tmp_path)
    picture(
        tmp_path / "b.png", np.random.default_rng(0).integers(256, size=(99, 99), dtype=np.uint8)
    )
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:3000])
    assert "b.png: not a readable image" in refused(tmp_path)
    (tmp_path / "b.png").unlink()
    picture(tmp_path / "sub" / "c.png", np.zeros((2, 3), np.uint8))
    assert "beside sub-folders" in refused(tmp_path)


# --- IDX ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("prefix", ["", "emnist-letters-"])
def test_idx_folder(tmp_path: Path, rng: np.random.Generator, pack: Any, prefix: str) -> None:
    x, y = rng.integers(256, size=(9, 4, 5), dtype=np.uint8), np.arange(9, dtype=np.uint8)
    suffix = ".gz" if pack is gzip.compress else ""
    (tmp_path / f"{prefix}train-images-idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(x[:6])))
    (tmp_path / f"{prefix}train-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(y[:6])))
    found = load(tmp_path)
    assert len(found.train.x) == 6
    (tmp_path / f"{prefix}t10k-images.idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(x[6:])))
    (tmp_path / f"{prefix}t10k-labels.idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(y[6:])))
    found = load(tmp_path)
    assert torch.equal(found.test.x, torch.from_numpy(x[6:]))
    assert found.test.y is not None
    assert found.test.y.tolist() == [6, 7, 8]


def test_idx_mistakes(tmp_path: Path, rng: np.random.Generator) -> None:
    x, y = rng.integers(256, size=(6, 4, 5), dtype=np.uint8), np.arange(6, dtype=np.uint8)
    images, labels = tmp_path / "train-images-idx3-ubyte", tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(y[:5]))
    images.write_bytes(idx_bytes(y))
    assert "labels where IDX images should be" in refused(tmp_path)
    images.write_bytes(idx_bytes(x)[:-1])
    assert "only 119 bytes of values where 120 were announced" in refused(tmp_path)
    images.write_bytes(b"")
    assert "something else where IDX images should be" in refused(tmp_path)
    images.write_bytes(gzip.compress(idx_bytes(x))[:-9])
    assert "train-images-idx3-ubyte: not a readable IDX file" in refused(tmp_path)
    images.write_bytes(idx_bytes(x))
    assert "labels of shape (5,) for 6 images" in refused(tmp_path)
    (tmp_path / "more-images-idx3-ubyte").write_bytes(idx_bytes(x))
    assert "both training files" in refused(tmp_path)
    (tmp_path / "more-images-idx3-ubyte").unlink()
    images.rename(tmp_path / "t10k-images-idx3-ubyte")
    assert "only a test set" in refused(tmp_path)


# --- names, paths and permissions -----------------------------------------------------------------


def test_sources_that_are_none(tmp_path: Path) -> None:
    assert "did you mean 'mnist'?" in refused("mnits")
    assert "data.source" in refused("")
    assert "data.source" in refused(tmp_path / "nowhere.npy")
    refused("nul\0byte")
    refused("~nobody-of-that-name/x.npy")
    refused("x" * 5000)
    (tmp_path / "t.xlsx").touch()
    assert "cannot read .xlsx" in refused(tmp_path / "t.xlsx")
    (tmp_path / "t").touch()
    assert "without extension" in refused(tmp_path / "t")


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 3)))

    def deny(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")  # root, who may run this, is denied nothing

    monkeypatch.setattr(Path, "open", deny)
    assert "x.npy: cannot be read (permission denied)" in refused(tmp_path / "x.npy")
    monkeypatch.setattr(Path, "iterdir", deny)
    assert "permission denied" in refused(tmp_path)


# --- splits ---------------------------------------------------------------------------------------


def test_digits() -> None:
    found = load("digits", test=0.1, validation=0.1)
    assert (found.name, found.shape, found.levels) == ("digits", (8, 8), 17)
    assert [len(split.x) for split in found.splits().values()] == [1455, 162, 180]
    assert max(int(split.x.max()) for split in found.splits().values()) == 16


def ids(split: data.Split) -> list[int]:
    return split.x[:, 0].int().tolist()


def test_splits_are_disjoint_complete_seeded_and_in_the_order_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(1000.0)[:, None])
    splits = {
        seed: load(tmp_path / "x.npy", test=0.2, validation=0.25, split_seed=seed)
        for seed in (0, 1)
    }
    for found in splits.values():
        parts = [ids(split) for split in found.splits().values()]
        assert [len(part) for part in parts] == [600, 200, 200]
        assert sorted(i for part in parts for i in part) == list(range(1000))
        assert all(part == sorted(part) for part in parts)
    assert ids(splits[0].test) != ids(splits[1].test)
    again = load(tmp_path / "x.npy", test=0.2, validation=0.25, split_seed=1)
    assert ids(again.train) == ids(splits[1].train)
    # The test set does not depend on what is held out for validation.
    assert ids(load(tmp_path / "x.npy", test=0.2, split_seed=1).test) == ids(splits[1].test)


def test_every_purpose_has_a_stream_of_its_own() -> None:
    draws = {
        numpy_generator(seed, purpose).integers(2**63)
        for seed in (0, 1)
        for purpose in ("test", "validation", "fixed")
    }
    assert len(draws) == 6


def test_without_holding_out_the_order_is_that_of_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(9.0)[:, None])
    found = load(tmp_path / "x.npy")
    assert ids(found.train) == list(range(9))
    assert found.validation.x.shape == found.test.x.shape == (0, 1)


@pytest.mark.parametrize(
    "overrides", [{"test": 0.1}, {"validation": 0.1}, {"test": 0.9}, {"validation": 0.9}]
)
def test_too_few_rows_for_a_split(tmp_path: Path, overrides: dict[str, float]) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 3)))
    assert f"data.{next(iter(overrides))}: 3 rows" in refused(tmp_path / "x.npy", **overrides)


def test_mnist_is_mnist() -> None:
    folder = os.environ.get("VAELAB_DATA_DIR")
    if not folder:
        pytest.skip("VAELAB_DATA_DIR names no folder with MNIST in it")
    found = data.load(Data(source="mnist", dir=folder))
    assert (found.name, found.shape, found.levels) == ("mnist", (28, 28), 256)
    assert [len(split.x) for split in found.splits().values()] == [54_000, 6_000, 10_000]
    assert found.train.y is not None
    assert found.validation.y is not None
    counts = torch.bincount(found.train.y) + torch.bincount(found.validation.y)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


# --- damaged files --------------------------------------------------------------------------------


def _valid() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    x, y = rng.integers(256, size=(4, 6, 5), dtype=np.uint8), np.arange(4)
    files = {"x.npy": npy_bytes(x), "real.npy": npy_bytes(x / 255), "flags.npy": npy_bytes(x > 99)}
    for name, save in (("x.npz", np.savez), ("packed.npz", np.savez_compressed)):
        buffer = io.BytesIO()
        save(buffer, x=x, y=y)
        files[name] = buffer.getvalue()
    text = io.StringIO()
    csv.writer(text).writerows([["a", "b", "label"], *x[:, 0, :3].tolist()])
    files["t.csv"] = text.getvalue().encode()
    for suffix in ("png", "gif", "bmp", "jpg", "webp"):
        buffer = io.BytesIO()
        Image.fromarray(x[0]).save(buffer, format={"jpg": "jpeg"}.get(suffix, suffix))
        files[f"images/a.{suffix}"] = buffer.getvalue()
    files["idx/train-images-idx3-ubyte"] = idx_bytes(x)
    files["idx/train-images-idx3-ubyte.gz"] = gzip.compress(idx_bytes(x), mtime=0)
    return files


VALID = _valid()


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file's name and bytes.

    The bytes are random, or valid ones truncated, overwritten, or with some inserted.
    """
    name = draw(st.sampled_from(sorted(VALID)))
    content = bytearray(VALID[name])
    if draw(st.booleans()):
        for at in draw(st.lists(st.integers(0, len(content) - 1), max_size=6)):
            content[at] = draw(st.integers(0, 255))
        if draw(st.booleans()):
            del content[draw(st.integers(0, len(content))) :]
        at = draw(st.integers(0, len(content)))
        content[at:at] = draw(st.binary(max_size=4))
    else:
        keep = draw(st.integers(0, 12))  # so that some get past the magic number
        content = content[:keep] + draw(st.binary(max_size=200))
    return name, bytes(content)


@settings(
    max_examples=1500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(damaged())
def test_damaged_files_load_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, file: tuple[str, bytes]
) -> None:
    name, content = file
    path = tmp_path_factory.getbasetemp() / "fuzz" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = load(path if path.parent.name == "fuzz" else path.parent)
        except UserError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 (either way is right)
        else:
            assert found.train.x.isfinite().all()
            assert found.levels is None or int(found.train.x.max()) < found.levels
    path.unlink()


def test_words_in_the_label_column_are_numbered_in_alphabetical_order(tmp_path: Path) -> None:
    path = tmp_path / "trees.csv"
    path.write_text("height,label,girth\n" + "1,oak,2\n3,ash,4\n5,elm,6\n7,ash,8\n" * 5)
    split, *_ = data.load_all(Data(source=str(path)), None)
    assert split.x[:2].tolist() == [[1, 2], [3, 4]]
    assert split.y is not None
    assert split.y[:4].tolist() == [2, 0, 1, 0]


def test_the_arrays_of_a_custom_data_set_are_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\nfrom vaelab.data import Arrays\n"
        "X = np.random.default_rng(0).random((50, 4), dtype=np.float32)\n"
        "def mine(settings):\n    return Arrays(X)\n"
    )
    permit(file)
    first, again = (data.load(Data(source=f"{file}:mine")) for _ in range(2))
    assert torch.equal(first.train.x, again.train.x)
    assert torch.equal(first.test.x, again.test.x)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
def test_sparse_matrices_are_refused_as_what_they_are(tmp_path: Path, form: str) -> None:
    matrix = scipy.sparse.eye_array(40, 30, format=form)
    scipy.sparse.save_npz(tmp_path / "x.npz", matrix)
    assert "a sparse matrix" in refused(tmp_path / "x.npz")


def test_settings_that_the_source_cannot_follow_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((30, 4)))
    assert "set data.resize to 0" in refused(tmp_path / "x.npy", resize=8)
    np.save(tmp_path / "images.npy", np.zeros((30, 3, 8, 8), np.uint8))
    assert data.load(Data(source=str(tmp_path / "images.npy"), resize=8)).shape == (3, 8, 8)
    assert "only a table has columns" in refused(tmp_path / "x.npy", labels="y")


def test_labels_none_leaves_out_the_labels_of_any_source(tmp_path: Path) -> None:
    many = np.random.default_rng(0).integers(0, 2, (30, 14))  # several labels for each image
    np.savez(tmp_path / "x.npz", x=np.eye(30), y=many)
    assert load(tmp_path / "x.npz", labels="none").train.y is None
    assert load("digits", labels="none").train.y is None


def test_new_data_need_no_column_of_labels(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("a,b\n" + "1,2\n" * 9)
    split, *_ = data.load_all(Data(source=str(tmp_path / "new.csv"), labels="species"), None)
    assert split.x.shape == (9, 2)


def test_the_only_array_of_an_archive_is_x_and_a_cube_says_which_axis_its_channels_are(
    tmp_path: Path,
) -> None:
    np.savez(tmp_path / "x.npz", volumes=np.random.default_rng(0).random((20, 8, 8, 8)))
    found = load(tmp_path / "x.npz")
    assert found.notes == ("volumes is read as x", "channels first: 8 channels of 8 x 8")


def test_no_memory_is_taken_for_values_that_a_file_cannot_hold(tmp_path: Path) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": (400_000_000, 4)}
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(bytes(64))
    assert "ends before the 1,600,000,000 values" in refused(tmp_path / "x.npy")


def test_too_little_memory_is_named_with_the_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((500, 1000)))

    def empty(count: int, kind: np.dtype) -> np.ndarray:
        raise np._core._exceptions._ArrayMemoryError((count,), kind)

    monkeypatch.setattr(reading.np, "empty", empty)
    assert "not enough memory for the data (2 MB needed); use" in refused(tmp_path / "x.npy")


def test_labels_of_bytes_are_text(tmp_path: Path) -> None:
    y = np.array(["Müller".encode(), b"Meier"] * 30)
    np.savez(tmp_path / "b.npz", x=np.zeros((60, 8, 8), np.uint8), y=y)
    assert data.load(Data(source=str(tmp_path / "b.npz"))).class_names == ("Meier", "Müller")


def test_an_error_in_a_custom_reader_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def read(settings):\n    return {}['x']\n")
    source = f"{tmp_path / 'mine.py'}:read"
    with pytest.raises(vaelab.UserError, match=r"KeyError: 'x' \(mine.py, line 2\); correct it"):
        vaelab.train(vaelab.recipe("quickstart", {"data.source": source}), tmp_path / "run")


# ---------------------------------------------------------------- what the rows are


def signals_of(tmp_path: Path, x: np.ndarray, **settings: Any) -> Any:
    np.save(tmp_path / "x.npy", x)
    return data.load(Data(source=str(tmp_path / "x.npy"), **settings))


def test_signals_are_channels_first_from_any_layout_and_the_channels_are_told(
    tmp_path: Path,
) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3, 40)).astype(np.float32)
    for layout, said in (
        (x, ()),
        (x.transpose(0, 2, 1), ("axes (N, time, channels): 40 steps of 3 channels",)),
        (x[:, :, None], ()),
    ):
        found = signals_of(tmp_path, layout, test=0.2)
        assert (found.form, found.shape, found.notes) == ("signal", (3, 40), said)
        assert torch.equal(found.test.x, signals_of(tmp_path, x, test=0.2).test.x)
    assert signals_of(tmp_path, x[:, :1]).shape == (40,)
    square = signals_of(tmp_path, x[:, :, :3], form="signal")
    assert square.notes == ("axes (N, channels, time): both have length 3",)


def test_a_table_of_a_file_is_one_however_wide_and_a_setting_says_otherwise(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.csv", np.random.default_rng(0).normal(size=(30, 40)), delimiter=",")
    assert data.load(Data(source=str(tmp_path / "x.csv"))).form == "table"
    assert data.load(Data(source=str(tmp_path / "x.csv"), form="signal")).form == "signal"
    assert signals_of(tmp_path, np.ones((30, 40)), test=0.2).form == "signal"
    assert signals_of(tmp_path, np.ones((30, 40)), form="table").form == "table"


@pytest.mark.parametrize(
    ("form", "shape"), [("image", (40,)), ("table", (3, 40)), ("signal", (3, 9, 9))]
)
def test_a_form_that_the_shape_cannot_have_is_refused(
    form: str, shape: tuple[int, ...], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=rf"data.form: rows of shape .* are no {form}s, .* auto"):
        signals_of(tmp_path, np.ones((30, *shape)), form=form)
