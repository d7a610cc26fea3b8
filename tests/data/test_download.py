"""MNIST from a mirror: a local server stands for the internet."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from mirror import Server

from vaelab import data
from vaelab.data import mnist
from vaelab.data.download import File
from vaelab.errors import UserError
from vaelab.recipes import Data


def _files() -> dict[str, bytes]:
    """The four files of a small MNIST, 20 + 10 images."""
    rng = np.random.default_rng(0)
    files = {}
    for role, n in (("train", 20), ("t10k", 10)):
        images, labels = (
            rng.integers(256, size=(n, 28, 28), dtype=np.uint8),
            rng.integers(10, size=n, dtype=np.uint8),
        )
        files[f"{role}-images-idx3-ubyte"] = (
            struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
        )
        files[f"{role}-labels-idx1-ubyte"] = struct.pack(">2I", 0x801, n) + labels.tobytes()
    return files


FILES = _files()


@pytest.fixture(autouse=True)
def _small(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server has the small MNIST, and its hashes are those that are expected."""
    server.files = {f"{name}.gz": gzip.compress(content) for name, content in FILES.items()}
    files = tuple(
        File(f"{name}.gz", len(content), hashlib.sha256(content).hexdigest(), content=True)
        for name, content in FILES.items()
    )
    source = mnist.SOURCES["mnist"]._replace(files=files)
    monkeypatch.setitem(mnist.SOURCES, "mnist", source)


def use(monkeypatch: pytest.MonkeyPatch, server: Server, *mirrors: str) -> None:
    from_there(monkeypatch, *map(server.mirror, mirrors))


def from_there(monkeypatch: pytest.MonkeyPatch, *mirrors: str) -> None:
    source = mnist.SOURCES["mnist"]._replace(mirrors=mirrors)
    monkeypatch.setitem(mnist.SOURCES, "mnist", source)


def cached(cache: Path) -> set[str]:
    return {path.name for path in cache.rglob("*") if path.is_file() or path.name.startswith(".")}


def refused(**settings: str) -> str:
    with pytest.raises(UserError) as caught:
        data.load(Data(source="mnist", **settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


ALL = {f"{name}.gz" for name in FILES}


@pytest.mark.parametrize("first", [(), ("missing",), ("corrupt",), ("broken",), ("long",)])
def test_what_one_mirror_fails_to_give_the_next_one_does(
    cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch, first: tuple[str, ...]
) -> None:
    use(monkeypatch, server, *first, "good")
    found = data.load(Data(source="mnist"))
    assert [len(split.x) for split in found.splits().values()] == [18, 2, 10]
    assert found.levels == 256
    assert cached(cache) == ALL
    assert len(server.requests) == 4 * (1 + len(first))
    data.load(Data(source="mnist"))  # from the cache this time
    assert len(server.requests) == 4 * (1 + len(first))


@pytest.mark.parametrize(
    ("mirror", "says"),
    [("corrupt", "not the file it should be"), ("missing", "HTTP 404"), ("broken", "Error")],
)
def test_nothing_wrong_stays_in_the_cache(
    cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch, mirror: str, says: str
) -> None:
    use(monkeypatch, server, mirror, mirror)
    message = refused()
    assert message.count(says) == 2
    assert cached(cache) == set()


def test_without_a_network_the_message_says_where_the_files_go(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_there(monkeypatch, "http://127.0.0.1:9/", "http://127.0.0.1:9/again/")
    message = refused()
    for part in (*ALL, "ConnectionError", "data.dir", "VAELAB_DATA_DIR", str(cache), "digits"):
        assert part in message
    assert cached(cache) == set()


def test_a_cache_that_cannot_be_written_is_named(
    cache: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server, "good")
    cache.write_text("a file where a folder should be")
    assert str(cache) in refused()
    assert server.requests == []


def put(folder: Path, pack: bool = False) -> None:
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / (f"{name}.gz" if pack else name)).write_bytes(
            gzip.compress(content) if pack else content
        )


@pytest.mark.parametrize("inner", ["", "mnist"])
@pytest.mark.parametrize("pack", [False, True])
def test_local_files_are_found_without_a_network(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inner: str, pack: bool
) -> None:
    from_there(monkeypatch)
    put(tmp_path / "here" / inner, pack)
    data.load(Data(source="mnist", dir=str(tmp_path / "here")))
    refused()
    monkeypatch.setenv("VAELAB_DATA_DIR", str(tmp_path / "here"))
    data.load(Data(source="mnist"))
    (tmp_path / "empty").mkdir()
    data.load(Data(source="mnist", dir=str(tmp_path / "empty")))


def test_local_files_are_verified_too(cache: Path, tmp_path: Path) -> None:
    put(tmp_path / "here")
    path = tmp_path / "here" / "train-images-idx3-ubyte"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    message = refused(dir=str(tmp_path / "here"))
    assert str(path) in message
    assert "sha256" in message
    assert path.exists()  # what the user put there is the user's to delete


def test_a_folder_that_is_not_there(cache: Path, tmp_path: Path) -> None:
    assert "data.dir: there is no folder" in refused(dir=str(tmp_path / "nowhere"))
    assert "data.dir" in refused(dir="~nobody-of-that-name")
