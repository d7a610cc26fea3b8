"""MNIST (LeCun, Cortes & Burges 1998): found here or downloaded once, always verified."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from tqdm import tqdm

from vaelab import devices
from vaelab.data.dataset import Arrays
from vaelab.data.idx import idx
from vaelab.data.reading import opened, reading
from vaelab.errors import UserError
from vaelab.recipes import Data

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 30.0  # seconds without a byte
LARGEST = 48_000_000  # bytes of the largest file, unpacked: no more is read of any

# sha256 of the content, for the files may have been unpacked, or compressed otherwise.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load(settings: Data) -> Arrays:
    """60,000 training and 10,000 test images, 28 x 28, 256 levels, with labels 0 .. 9.

    vaelab looks for them in `settings.dir`, in VAELAB_DATA_DIR and in the user's cache, in each of
    them both in mnist/ and directly; what is nowhere is downloaded into the cache. Raises
    `UserError` where `settings.dir` does not exist, a file is not MNIST's, or no mirror can be
    reached.
    """
    folder = settings.dir
    with reading(Path(folder), "folder", "check data.dir"):
        roots = [
            Path(folder).expanduser(),
            Path(os.environ.get("VAELAB_DATA_DIR", "")),
            devices.cache(),
        ]
        if folder and not roots[0].is_dir():
            raise UserError(
                f"data.dir: there is no folder {folder}; "
                "create it or leave data.dir empty (for a run: in its recipe.toml)"
            )
    places = [place for root in roots if root != Path() for place in (root / "mnist", root)]
    x, y, x_test, y_test = (
        idx(io.BytesIO(_content(name, places)), 3 if "images" in name else 1, name)
        for name in SHA256
    )
    return Arrays(x, y, x_test, y_test, levels=256)


def _content(name: str, places: list[Path]) -> bytes:
    for path in (place / file for place in places for file in (name, f"{name}.gz")):
        with reading(path, "file"):
            if path.is_file():
                return _verified(path, name)
    return _download(name)


def _verified(path: Path, name: str) -> bytes:
    """The content of a file of MNIST; no more of it is unpacked than the largest file has."""
    with reading(path, "gzip file"), opened(path) as file:
        content = file.read(LARGEST + 1)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise UserError(
            f"{path}: not MNIST's {name} (its sha256 differs); "
            "delete it, and vaelab downloads it again"
        )
    return content


def _download(name: str) -> bytes:
    folder = devices.cache() / "mnist"
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Only verified files leave the temporary folder: the cache never has a corrupt one.
            with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
                part = Path(temporary, f"{name}.gz")
                _fetch(url, part)
                content = _verified(part, name)
                part.replace(folder / part.name)
                return content
        except UserError:
            failures.append(f"{url}: not the file it should be")
        except OSError as error:  # the disk's errors, and those of requests, which are long
            response = getattr(error, "response", None)
            reason = error.strerror or type(error).__name__
            failures.append(
                f"{url}: {reason if response is None else f'HTTP {response.status_code}'}"
            )
    raise UserError(
        f"mnist: {name} could not be downloaded ({'; '.join(failures)}); "
        f"put {', '.join(f'{n}.gz' for n in SHA256)}"
        f" into data.dir, VAELAB_DATA_DIR or {folder}, or use data.source digits, which needs no "
        "download"
    )


def _fetch(url: str, path: Path) -> None:
    """Write what the URL returns into a file, no more than the largest file of MNIST has."""
    with requests.get(url, stream=True, timeout=TIMEOUT) as response:
        response.raise_for_status()
        announced = int(response.headers.get("Content-Length", 0))
        left = LARGEST
        with (
            path.open("wb") as file,
            tqdm(total=announced, unit="B", unit_scale=True, desc=path.name) as bar,
        ):
            for piece in response.iter_content(2**16):
                left -= len(piece)
                if left < 0:
                    raise UserError(f"{url}: more than {LARGEST:,} bytes")
                file.write(piece)
                bar.update(len(piece))
    if announced and path.stat().st_size != announced:
        raise ConnectionError(f"{url}: the connection ended early")
