"""Named data sets: their files, found here or downloaded once, always verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import requests
from tqdm import tqdm

from vaelab import devices
from vaelab.data.reading import PIECE, opened, reading
from vaelab.errors import UserError
from vaelab.recipes import Data

TIMEOUT = 30.0  # seconds without a byte
SPARE = 2**16  # bytes by which a compressed file may exceed its content


class File(NamedTuple):
    """A file as it is published. The length of its hash tells MD5 (32) from SHA-256 (64)."""

    name: str
    size: int  # bytes at most: no more are read
    hash: str
    content: bool = False  # whether size and hash are those of the decompressed content

    @property
    def algorithm(self) -> str:
        return "md5" if len(self.hash) == 32 else "sha256"

    @property
    def names(self) -> tuple[str, ...]:
        """What the file may be called: where the content is verified, it may be unpacked."""
        return (self.name.removesuffix(".gz"), self.name) if self.content else (self.name,)

    def matches(self, path: Path) -> bool:
        """Whether the hash of a file is this one."""
        found = hashlib.new(self.algorithm, usedforsecurity=False)
        left = self.size + 1
        with opened(path) if self.content else path.open("rb") as file:
            while left and (piece := file.read(min(PIECE, left))):
                found.update(piece)
                left -= len(piece)
        return found.hexdigest() == self.hash


class Source(NamedTuple):
    """Where the files of a named data set are published."""

    page: str  # for a person
    mirrors: tuple[str, ...]  # what a file's name is put behind; none: only a person may download
    files: tuple[File, ...]
    hashes: str  # where the hashes are published
    pickled: str = ""  # the same data as a Python pickle, which vaelab never opens


def fetched(sources: Mapping[str, Source], settings: Data) -> list[Path]:
    """The verified files of `settings.source`, in their order.

    They are looked for in `settings.dir`, in VAELAB_DATA_DIR and in the user's cache, in each of
    them in the folder of the set's name and directly; what is nowhere is downloaded into the cache.

    Args:
        sources: The sets of one format by name: where files of several sets have the same name,
            those of the others are passed over.
        settings: The name of the set and the folder that is searched first.

    Raises:
        UserError: `settings.dir` does not exist, a file is not the one that was published, or no
            mirror can be reached.
    """
    source, places = sources[settings.source], _places(settings)
    alike = [file for other in sources.values() for file in other.files]
    return [
        _found(file, settings.source, places, [o for o in alike if o.name == file.name])
        or _download(file, settings.source, source, places)
        for file in source.files
    ]


def _places(settings: Data) -> list[Path]:
    folder = settings.dir
    with reading(Path(folder), "folder", "check data.dir"):
        given = Path(folder).expanduser()
        if folder and not given.is_dir():
            raise UserError(
                f"data.dir: there is no folder {folder}; "
                "create it or leave data.dir empty (for a run: in its recipe.toml)"
            )
    roots = [given, Path(os.environ.get("VAELAB_DATA_DIR", "")), devices.cache()]
    return [place for root in roots if root != Path() for place in (root / settings.source, root)]


def _found(file: File, name: str, places: list[Path], alike: list[File]) -> Path | None:
    for path in (place / called for place in places for called in file.names):
        with reading(path, "file"):
            if not path.is_file():
                continue
            if file.matches(path):
                return path
            if not any(other.matches(path) for other in alike):
                raise UserError(
                    f"{path}: not the {file.name} of {name} (its {file.algorithm} differs); "
                    "delete it, and vaelab looks for it elsewhere"
                )
    return None


def _download(file: File, name: str, source: Source, places: list[Path]) -> Path:
    folder = devices.cache() / name
    failures = []
    for mirror in source.mirrors:
        url = f"{mirror}{file.name}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Only verified files leave the temporary folder: the cache never has a corrupt one.
            with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
                part = Path(temporary, file.name)
                _fetch(url, part, file.size + (SPARE if file.content else 0))
                with reading(part, "file"):
                    if file.matches(part):
                        return part.replace(folder / file.name)
            failures.append(f"{url}: not the file it should be")
        except UserError:
            failures.append(f"{url}: not the file it should be")
        except OSError as error:  # the disk's errors, and those of requests, which are long
            response = getattr(error, "response", None)
            reason = error.strerror or type(error).__name__
            failures.append(
                f"{url}: {reason if response is None else f'HTTP {response.status_code}'}"
            )
    what = f"could not be downloaded ({'; '.join(failures)})"
    if not source.mirrors:
        what = "was not found, and its publishers have it downloaded by hand"
    if any((place / source.pickled).is_file() for place in places if source.pickled):
        what += f"; {source.pickled} is there, but is a pickle, which vaelab never opens"
    raise UserError(
        f"{name}: {file.name} {what}; get {', '.join(f.name for f in source.files)} "
        f"from {source.page} and put {'it' if len(source.files) == 1 else 'them'} into data.dir, "
        f"VAELAB_DATA_DIR or {folder}, or use data.source digits, which needs no download"
    )


def _fetch(url: str, path: Path, most: int) -> None:
    """Write what the URL returns into a file, `most` bytes of it and no more."""
    plain = {"Accept-Encoding": "identity"}  # else Content-Length is that of a compressed copy
    with requests.get(url, stream=True, timeout=TIMEOUT, headers=plain) as response:
        response.raise_for_status()
        announced = int(response.headers.get("Content-Length", 0))
        left = most
        with (
            path.open("wb") as file,
            tqdm(total=announced, unit="B", unit_scale=True, desc=path.name) as bar,
        ):
            for piece in response.iter_content(2**16):
                left -= len(piece)
                if left < 0:
                    raise UserError(f"{url}: more than {most:,} bytes")
                file.write(piece)
                bar.update(len(piece))
    if announced and path.stat().st_size != announced:
        raise ConnectionError(f"{url}: the connection ended early")
