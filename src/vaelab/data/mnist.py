"""MNIST (LeCun, Cortes and Burges 1998): found on this machine or downloaded once, and always verified."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pooch

from vaelab import devices
from vaelab.data.dataset import Arrays
from vaelab.data.files import idx, reading, unpack
from vaelab.errors import UserError

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 30.0  # seconds without a byte

# sha256 of the content: a mirror, or whoever unpacked the files, may have compressed them otherwise.
SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load(folder: str = "") -> Arrays:
    """60,000 training and 10,000 test images, 28 x 28, 256 levels, with labels 0 .. 9.

    Looked for in `folder`, in VAELAB_DATA_DIR and in the user's cache, in each both in mnist/ and directly;
    what is nowhere is downloaded into the cache. Raises `UserError` where `folder` does not exist, a file is not
    MNIST's, or no mirror can be reached.
    """
    with reading(Path(folder), "folder", "check data.dir"):
        roots = [
            Path(folder).expanduser(),
            Path(os.environ.get("VAELAB_DATA_DIR", "")),
            devices.cache(),
        ]
        if folder and not roots[0].is_dir():
            raise UserError(
                f"data.dir: there is no folder {folder}; create it or leave data.dir empty (a run: in recipe.toml)"
            )
    places = [place for root in roots if root != Path() for place in (root / "mnist", root)]
    x, y, x_test, y_test = (
        idx(_content(name, places), 3 if "images" in name else 1, name) for name in SHA256
    )
    return Arrays(x, y, x_test, y_test, levels=256)


def _content(name: str, places: list[Path]) -> bytes:
    for path in (place / file for place in places for file in (name, f"{name}.gz")):
        with reading(path, "file"):
            if path.is_file():
                return _verified(path, name)
    return _download(name)


def _verified(path: Path, name: str) -> bytes:
    content = unpack(path)
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise UserError(
            f"{path}: not MNIST's {name} (its sha256 is another); delete it, and it is downloaded anew"
        )
    return content


def _download(name: str) -> bytes:
    folder = devices.cache() / "mnist"
    fetch = pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT)
    failures = []
    for mirror in MIRRORS:
        url = f"{mirror}{name}.gz"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Only what was verified leaves the temporary folder, in one step: nothing corrupt is ever in the cache.
            with TemporaryDirectory(dir=folder, prefix=".download-") as temporary:
                part = Path(temporary, f"{name}.gz")
                fetch(url, str(part), None)
                content = _verified(part, name)
                part.replace(folder / part.name)
                return content
        except UserError:
            failures.append(f"{url}: not the file it should be")
        except (
            OSError
        ) as error:  # the disk's errors, and those of requests, whose text is a paragraph
            response = getattr(error, "response", None)
            reason = (
                error.strerror or type(error).__name__
                if response is None
                else f"HTTP {response.status_code}"
            )
            failures.append(f"{url}: {reason}")
    raise UserError(
        f"mnist: {name} could not be downloaded ({'; '.join(failures)}); put {', '.join(f'{n}.gz' for n in SHA256)}"
        f" into data.dir, VAELAB_DATA_DIR or {folder}, or use data.source digits, which needs no download"
    )
