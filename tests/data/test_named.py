"""Every named data set from small files of its true format, by download and put there by hand."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from mirror import Server
from PIL import Image
from scipy.io import savemat

from vaelab import data
from vaelab.data import binary_mnist, celeba, cifar, mnist, omniglot, silhouettes, svhn
from vaelab.data.download import Source
from vaelab.errors import UserError
from vaelab.recipes import AXES, Data

MODULES = (binary_mnist, celeba, cifar, mnist, omniglot, silhouettes, svhn)
SOURCES = {name: module.SOURCES for module in MODULES for name in module.SOURCES}
Array = np.ndarray[Any, Any]
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
KEEP = {"test": 0, "validation": 0}  # the sets' own splits, and nothing held out beside them


class Small(NamedTuple):
    """The files of a small copy of a set, and what is in them, by split."""

    files: dict[str, bytes]
    x: dict[str, Array]
    y: dict[str, Array]
    names: tuple[str, ...] = ()


rng = np.random.default_rng(0)


def pixels(*shape: int, levels: int = 256) -> Array:
    return rng.integers(levels, size=shape, dtype=np.uint8)


def as_idx(values: Array) -> bytes:
    head = struct.pack(f">{1 + values.ndim}I", 0x800 | values.ndim, *values.shape)
    return gzip.compress(head + values.tobytes(), mtime=0)


def like_mnist(*names: str) -> Small:
    x = {"train": pixels(12, 28, 28), "test": pixels(6, 28, 28)}
    y = {"train": pixels(12, levels=10), "test": pixels(6, levels=10)}
    files = {
        f"{role}-{kind}-ubyte.gz": as_idx(values[split])
        for role, split in (("train", "train"), ("t10k", "test"))
        for kind, values in (("images-idx3", x), ("labels-idx1", y))
    }
    return Small(files, x, y, names)


def binary() -> Small:
    x = {split: pixels(5, 28, 28, levels=2) for split in ("train", "validation", "test")}
    files = {}
    for split, called in (("train", "train"), ("validation", "valid"), ("test", "test")):
        rows = [" ".join(map(str, row)) + "\n" for row in x[split].reshape(5, 784)]
        files[f"binarized_mnist_{called}.amat"] = "".join(rows).encode()
    return Small(files, x, {})


def tar(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def cifar10() -> Small:
    """Five batches that do not lie in the archive in their order, as in the published one."""
    x = {"train": pixels(20, 3, 32, 32), "test": pixels(6, 3, 32, 32)}
    y = {"train": pixels(20, levels=10), "test": pixels(6, levels=10)}
    records = {
        split: np.concatenate([y[split][:, None], x[split].reshape(-1, 3072)], 1) for split in x
    }
    batches = {
        f"cifar-10-batches-bin/data_batch_{i + 1}.bin": records["train"][
            4 * i : 4 * i + 4
        ].tobytes()
        for i in (0, 3, 4, 2, 1)
    }
    members = {
        "cifar-10-batches-bin/readme.html": b"<html>",
        "cifar-10-batches-bin/batches.meta.txt": ("\n".join(CIFAR10) + "\n\n").encode(),
        **batches,
        "cifar-10-batches-bin/test_batch.bin": records["test"].tobytes(),
    }
    return Small({"cifar-10-binary.tar.gz": tar(members)}, x, y, tuple(CIFAR10))


def cifar100() -> Small:
    x = {"train": pixels(20, 3, 32, 32), "test": pixels(6, 3, 32, 32)}
    y = {"train": pixels(20, levels=100), "test": pixels(6, levels=100)}
    coarse = {split: pixels(len(x[split]), 1, levels=20) for split in x}
    names = tuple(f"thing_{i}" for i in range(100))
    members = {
        f"cifar-100-binary/{split}.bin": np.concatenate(
            [coarse[split], y[split][:, None], x[split].reshape(-1, 3072)], 1
        ).tobytes()
        for split in x
    }
    members["cifar-100-binary/coarse_label_names.txt"] = b"animals\nplants\n"
    members["cifar-100-binary/fine_label_names.txt"] = ("\n".join(names) + "\n").encode()
    return Small({"cifar-100-binary.tar.gz": tar(members)}, x, y, names)


def mat(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, arrays, do_compression=True)
    return buffer.getvalue()


def house_numbers() -> Small:
    x = {"train": pixels(12, 3, 32, 32), "test": pixels(6, 3, 32, 32)}
    y = {"train": np.arange(12) % 10, "test": np.arange(6)}
    files = {
        f"{split}_32x32.mat": mat(
            X=x[split].transpose(2, 3, 1, 0), y=np.where(y[split], y[split], 10)[:, None]
        )
        for split in x
    }
    return Small(files, x, y)


def outlines() -> Small:
    called = {"train": "train", "validation": "val", "test": "test"}
    x = {split: pixels(5, 28, 28, levels=2) for split in called}
    y = {split: np.arange(5) for split in called}
    names = tuple(f"object {i}" for i in range(5))
    rows = {f"{called[s]}_data": x[s].swapaxes(1, 2).reshape(5, 784) for s in x}
    labels = {f"{called[s]}_labels": (y[s] + 1)[:, None].astype(np.uint8) for s in x}
    content = mat(**rows, **labels, classnames=np.array([names], object))
    return Small({"caltech101_silhouettes_28_split1.mat": content}, x, y, names)


def archive(images: Mapping[str, Image.Image], kind: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("__MACOSX/._a.png", "of a Macintosh")
        for name, image in images.items():
            with file.open(name, "w") as entry:
                image.save(entry, kind, quality=95)
    return buffer.getvalue()


def alphabets() -> Small:
    """Characters of blocks of ink of 15 x 15 pixels, which seven pixels show exactly."""
    files, x, y = {}, [], []
    names = ("Braille", "Greek", "Old Church Slavonic")  # by letter, not by archive
    for part, held in (("background", (2, 0)), ("evaluation", (1,))):
        images = {}
        for label in sorted(held):
            for number in range(4):
                ink = pixels(7, 7, levels=2)
                paper = Image.fromarray(
                    np.kron(255 - 255 * ink, np.ones((15, 15))).astype(np.uint8)
                )
                alphabet = names[label].replace(" ", "_")
                name = f"images_{part}/{alphabet}/character01/000{label}_0{number}.png"
                images[name] = paper.convert("1")
                x.append(255 * ink)
                y.append(label)
        files[f"images_{part}.zip"] = archive(images, "PNG")
    return Small(files, {"train": np.stack(x)}, {"train": np.array(y)}, names)


def faces() -> Small:
    """Photographs of one colour in the square, and of another one around it."""
    colours = pixels(9, 3)
    images = {}
    for number, colour in enumerate(colours.tolist(), 1):
        image = Image.new("RGB", (178, 218), (0, 255, 0))
        image.paste(tuple(colour), (8, 28, 170, 190))
        images[f"img_align_celeba/{number:06d}.jpg"] = image
    x = np.broadcast_to(colours[:, :, None, None], (9, 3, 64, 64))
    parts = {"train": x[:4], "validation": x[4:7], "test": x[7:]}
    return Small({"img_align_celeba.zip": archive(images, "JPEG")}, parts, {})


MAKE: dict[str, Callable[[], Small]] = {
    "mnist": like_mnist,
    "fashion-mnist": lambda: like_mnist(*mnist.CLASSES["fashion-mnist"]),
    "kmnist": lambda: like_mnist(*mnist.CLASSES["kmnist"]),
    "binary-mnist": binary,
    "cifar10": cifar10,
    "cifar100": cifar100,
    "svhn": house_numbers,
    "silhouettes": outlines,
    "omniglot": alphabets,
    "celeba": faces,
}
SETTINGS: dict[str, dict[str, Any]] = {"omniglot": {"resize": 7}}
each = pytest.mark.parametrize("name", MAKE)


@pytest.fixture
def given(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Small, Source]]:
    """Make a small set the published one: its hashes, its sizes, and its mirror here."""
    monkeypatch.setattr(celeba, "SPLIT", (4, 3, 2))

    def publish(name: str, mirror: str = "good") -> tuple[Small, Source]:
        small, source = MAKE[name](), SOURCES[name][name]
        assert set(small.files) == {file.name for file in source.files}
        files = []
        for file in source.files:
            content = small.files[file.name]
            content = gzip.decompress(content) if file.content else content
            digest = hashlib.new(file.algorithm, content).hexdigest()
            assert len(digest) == len(file.hash)
            files.append(file._replace(size=len(content), hash=digest))
        mirrors = (server.mirror(mirror),) if source.mirrors else ()
        source = source._replace(files=tuple(files), mirrors=mirrors)
        monkeypatch.setitem(SOURCES[name], name, source)
        server.files = small.files
        return small, source

    return publish


def put(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def load(name: str, **settings: Any) -> data.Dataset:
    return data.load(Data(source=name, **(KEEP | SETTINGS.get(name, {}) | settings)))


def refused(name: str, **settings: Any) -> str:
    with pytest.raises(UserError) as caught:
        load(name, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def check(found: data.Dataset, small: Small) -> None:
    """Every image, in its split and its place, with its label; JPEG changes colours a little."""
    tolerance = 4 if found.name == "celeba" else 0
    for split, images in found.splits().items():
        if split in small.x:
            wanted = small.x[split].astype(int)
            assert images.x.numpy().dtype == np.uint8
            assert images.x.shape == wanted.shape
            assert np.abs(images.x.numpy().astype(int) - wanted).max() <= tolerance
        else:
            assert not len(images.x)
        assert (images.y is not None) == bool(small.y)
        if small.y and split in small.y:
            assert np.array_equal(images.y, small.y[split])
    assert found.class_names == small.names
    assert found.levels == (2 if found.name in ("binary-mnist", "silhouettes") else 256)


def test_every_set_that_is_downloaded_is_tested_here() -> None:
    assert MAKE.keys() == SOURCES.keys()
    for name, sources in SOURCES.items():
        module = AXES["data.source"][name].code.partition(":")[0]
        assert sources is __import__(f"vaelab.{module}", fromlist=["SOURCES"]).SOURCES
        assert AXES["data.source"][name].licence
        assert all(len(file.hash) in (32, 64) for file in sources[name].files)


@each
def test_a_set_is_put_there_by_hand(
    given: Callable[..., tuple[Small, Source]],
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    small, _ = given(name)
    put(tmp_path / "here" / name, small.files)
    monkeypatch.setenv("VAELAB_DATA_DIR", str(tmp_path / "here"))
    check(load(name), small)
    assert server.requests == []


@each
def test_a_set_is_downloaded_once(
    given: Callable[..., tuple[Small, Source]], server: Server, cache: Path, name: str
) -> None:
    small, source = given(name)
    if not source.mirrors:
        message = refused(name)
        for part in ("by hand", source.page, *small.files, "VAELAB_DATA_DIR", str(cache)):
            assert part in message
        assert server.requests == []
        return
    check(load(name), small)
    assert len(server.requests) == len(small.files)
    check(load(name), small)  # from the cache this time
    assert len(server.requests) == len(small.files)


@each
def test_a_damaged_file_is_named_before_it_is_opened(
    given: Callable[..., tuple[Small, Source]], tmp_path: Path, name: str
) -> None:
    small, source = given(name)
    for file in source.files:
        content = small.files[file.name]
        damaged = content[: len(content) // 2] + b"damaged" + content[len(content) // 2 :]
        put(tmp_path / name, small.files | {file.name: damaged})
        message = refused(name, dir=str(tmp_path))
        assert str(tmp_path / name / file.name) in message
        assert file.algorithm in message or "not a readable file" in message


@each
@pytest.mark.parametrize("mirror", ["corrupt", "missing", "broken", "long"])
def test_without_its_mirror_a_set_says_where_to_put_it(
    given: Callable[..., tuple[Small, Source]], cache: Path, name: str, mirror: str
) -> None:
    small, source = given(name, mirror)
    message = refused(name)
    for part in (source.page, *small.files, "data.dir", "VAELAB_DATA_DIR", str(cache), "digits"):
        assert part in message
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_files_of_the_same_name_are_told_apart(
    given: Callable[..., tuple[Small, Source]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MNIST's files lie directly in a folder: they are no damaged files of KMNIST."""
    digits, _ = given("mnist")
    put(tmp_path / "here", digits.files)
    monkeypatch.setenv("VAELAB_DATA_DIR", str(tmp_path / "here"))
    hiragana, _ = given("kmnist")
    check(load("kmnist"), hiragana)
    check(load("mnist"), digits)


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_pickled_version_is_seen_and_not_opened(
    given: Callable[..., tuple[Small, Source]], tmp_path: Path, name: str
) -> None:
    _, source = given(name, "missing")
    put(tmp_path / name, {source.pickled: b"cposix\nsystem\n(S'touch owned'\ntR."})
    message = refused(name, dir=str(tmp_path))
    assert f"{source.pickled} is there, but is a pickle" in message


@pytest.mark.parametrize("size", [16, 64, 100])
def test_images_are_resized_where_the_set_has_larger_ones(
    given: Callable[..., tuple[Small, Source]], tmp_path: Path, size: int
) -> None:
    for name, channels in (("celeba", (3,)), ("omniglot", ())):
        put(tmp_path, given(name)[0].files)
        found = load(name, dir=str(tmp_path), resize=size)
        assert found.shape == (*channels, size, size)
        assert f"{size} x {size}" in " ".join(found.notes)
    assert load("omniglot", dir=str(tmp_path), resize=0).shape == (28, 28)
    put(tmp_path, given("cifar10")[0].files)
    assert "data.resize" in refused("cifar10", dir=str(tmp_path), resize=size)
    assert load("cifar10", dir=str(tmp_path), resize=32).shape == (3, 32, 32)


def test_omniglot_tests_on_all_alphabets(
    given: Callable[..., tuple[Small, Source]], tmp_path: Path
) -> None:
    put(tmp_path, given("omniglot")[0].files)
    found = load("omniglot", dir=str(tmp_path), test=0.5)
    assert len(found.train.x) == len(found.test.x) == 6
    assert found.class_names == ("Braille", "Greek", "Old Church Slavonic")


def test_an_archive_that_lacks_something_is_refused(
    given: Callable[..., tuple[Small, Source]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even where its hash is the published one, as only a mistake of vaelab's could make it."""
    empty = tar({"cifar-10-batches-bin/test_batch.bin": bytes(3073)})
    monkeypatch.setitem(MAKE, "cifar10", lambda: Small({"cifar-10-binary.tar.gz": empty}, {}, {}))
    put(tmp_path, given("cifar10")[0].files)
    assert "lacks the images or the names" in refused("cifar10", dir=str(tmp_path))
    odd = dict.fromkeys(binary().files, b"2 3\n")
    monkeypatch.setitem(MAKE, "binary-mnist", lambda: Small(odd, {}, {}))
    put(tmp_path, given("binary-mnist")[0].files)
    assert "not a readable table of zeros and ones" in refused("binary-mnist", dir=str(tmp_path))
