"""Runs and model cards in .zip files: unpacked into a temporary folder, for reading only.

Only files that a run or a card consists of are unpacked, under the names that they have there. So
no name in an archive leads out of the folder, a pickle (last.pt), a Python file or another archive
stays where it is, and nothing of an archive is executed.
"""

from __future__ import annotations

import atexit
import re
import shutil
import stat
import tempfile
from functools import cache
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo, is_zipfile

from vaelab.errors import UserError

WANTED = re.compile(
    r"recipe\.toml|(environment|results|fit-prior|config)\.json|(metrics|times)\.jsonl"
    r"|(best|model)\.safetensors|evaluation[\w-]*\.(json|npz)"
    r"|figures/(epochs/)?\w[\w-]*\.(png|pdf|svg|gif)",
    re.ASCII,
)
HEADS = ("recipe.toml", "config.json")  # a run or a card is where one of these is
MOST = 10_000  # files
RATIO, FREE = 100, 2**26  # bytes unpacked for each byte of an archive; and bytes that always may be

_origins: dict[Path, Path] = {}  # the folders of this process, and the archives that they are from


def unpacked(path: Path) -> Path:
    """Return a folder with the files of the run or card in a .zip; it ends with the process.

    The files lie flat in the archive, or below one folder.

    Raises:
        UserError: It holds no run, is damaged, or grows beyond what the files of a run can.
    """
    if not is_zipfile(path):
        raise UserError(
            f"{path}: there is no such run folder (it is a file, but no .zip of one); name a folder"
        )
    try:
        with ZipFile(path) as archive:
            files = _files(path, archive)
            folder = Path(tempfile.mkdtemp(dir=_home())) / path.stem
            for name, entry in files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("xb") as sink:
                    shutil.copyfileobj(source, sink)
    except UserError:
        raise
    except Exception as error:  # whatever the reader raises for a damaged archive, and full disks
        reason = str(error) or type(error).__name__
        raise UserError(f"{path}: cannot be unpacked ({reason}); get another copy of it") from None
    _origins[folder] = path
    return folder


def origin(folder: Path) -> Path:
    """Return the .zip that a folder was unpacked from, or the folder itself."""
    return _origins.get(folder, folder)


@cache
def _home() -> str:
    """A temporary folder, deleted when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="vaelab-")
    atexit.register(folder.cleanup)
    return folder.name


def _files(path: Path, archive: ZipFile) -> dict[str, ZipInfo]:
    """The files to unpack by their names in the folder, after all checks."""
    entries = archive.infolist()
    inside = _inside(path, [entry.filename for entry in entries])
    found: dict[str, ZipInfo] = {}
    for entry in entries:
        name = entry.filename.removeprefix(inside)
        if not entry.filename.startswith(inside) or not WANTED.fullmatch(name):
            continue
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _refused(path, f"{entry.filename} is a link")
        if name in found:
            raise _refused(path, f"{entry.filename} is in it twice")
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED) or entry.flag_bits & 1:
            raise _refused(path, f"{entry.filename} is encrypted or compressed in a rare way")
        found[name] = entry
    size, limit = sum(entry.file_size for entry in found.values()), path.stat().st_size * RATIO
    if size > max(limit, FREE) or len(found) > MOST:
        raise _refused(path, f"{len(found):,} files of {size:,} bytes, more than a run has")
    return found


def _inside(path: Path, names: list[str]) -> str:
    """What stands before the name of each file of the run: "", or a folder with its slash."""
    places = {name.rpartition("/")[0] for name in names if name.rpartition("/")[2] in HEADS}
    places = {place for place in places if "/" not in place}
    if not places:
        raise UserError(
            f"{path}: holds neither a run nor a model card (no {' and no '.join(HEADS)}); "
            "zip a run folder"
        )
    if len(places) > 1 and "" not in places:
        shown = ", ".join(sorted(places)[:5])
        raise UserError(f"{path}: holds the runs {shown}; unpack it, and name one of them")
    place = "" if "" in places else places.pop()
    return place and f"{place}/"


def _refused(path: Path, reason: str) -> UserError:
    return UserError(f"{path}: was not unpacked: {reason}; zip the files of the run again")
