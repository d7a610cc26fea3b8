"""The results of `evaluate`: metrics with their protocol, and the files that store them.

evaluation.json    the protocol, then the sections: a number, or {"value", "error"} if it has a
                   standard error
evaluation.npz     the value of each test image, for metrics that are means over test images

File names state what differs from the default: evaluation-500 uses 500 test images and
evaluation-seed-1 uses another seed. A file with another protocol (another version of vaelab, other
data or weights) is renamed with a digest of that protocol. The likelihood has one section for each
K, named likelihood-K. The section second-opinion holds estimates that do not depend on K.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaelab import __version__
from vaelab.errors import UserError, quoted
from vaelab.evaluation import latex
from vaelab.evaluation.encoding import Protocol, Section, digest, encoded, load, plain
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.sections import METRICS
from vaelab.evaluation.text import summary, table
from vaelab.files import merging, write_atomic
from vaelab.language import Lang
from vaelab.runs import Run

WEIGHTS = "importance_samples"  # the name of K in the protocol


@dataclass
class Evaluation:
    """The metrics of a run: section -> name -> `Estimate`, number, text, list or dictionary.

    `protocol` lists what they depend on. `path` is the file that stores them, or None if it could
    not be written. `str` gives a summary, `table` every metric with its meaning.
    """

    protocol: Protocol
    sections: dict[str, Section] = field(default_factory=dict)
    path: Path | None = None

    @property
    def images(self) -> int:
        """The number of test images that were measured; 0 for all."""
        return 0 if self.protocol["images"] == "all" else int(self.protocol["images"])

    def __str__(self) -> str:
        return self.summary()

    def summary(self, lang: Lang = "en") -> str:
        """Return the main metrics with standard errors and units, and notes (in English)."""
        return summary(self.protocol, self.sections, lang)

    def table(self, lang: Lang = "en") -> str:
        """Return every metric with its standard error, unit and meaning, and the notes."""
        return table(self.protocol, self.sections, lang)

    def facts(self) -> dict[str, Any]:
        """Return protocol and sections in the types of JSON, as the file holds them."""
        return {"protocol": self.protocol, "sections": plain(self.sections)}

    def latex(self, lang: Lang = "en", every: bool = False) -> str:
        """Return the numbers of the summary, or every number, as a LaTeX table (booktabs)."""
        return latex.table(self.protocol, self.sections, lang, every)


class Results:
    """The stored results of one protocol, in the run folder or in another folder.

    `unkept` is the reason why results cannot be written, or "".
    """

    def __init__(self, run: Run, protocol: Protocol, out: Path | None = None) -> None:
        self.run, self.protocol, self.folder = run, protocol, out or run.folder
        self.stem, self.unkept = stem(protocol), ""
        self.sections = _merged(run.folder, protocol)
        if out:
            self.sections |= _merged(out, protocol)
        self._check()

    @property
    def path(self) -> Path:
        """The JSON file of the results."""
        return self.folder / f"{self.stem}.json"

    def keep(self, sections: dict[str, Section]) -> None:
        """Store sections; those that another process stored in the meantime are preserved."""
        self.sections |= sections
        if self.unkept:
            return
        try:
            with merging(self.folder):
                self.sections = _merged(self.folder, self.protocol) | self.sections
                self._set_aside()
                columns, document = encoded(self.protocol, self.sections)
                self.write(f"{self.stem}.npz", columns)
                self.write(f"{self.stem}.json", document)
        except UserError as error:
            self.unkept = str(error)

    def write(self, name: str, payload: bytes) -> None:
        """Write a file beside the results."""
        if self.folder == self.run.folder:
            self.run.write(name, payload)
        else:
            write_atomic(self.folder / name, payload)

    def _check(self) -> None:
        """Check that the results can be written, before anything is measured."""
        if self.folder != self.run.folder:
            if self.path.exists() and load(self.path) is None:
                raise UserError(f"out: {self.path} is not an evaluation; choose another folder")
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(
                    f"out: {self.folder}: cannot be created ({error.strerror}); "
                    "choose another folder"
                ) from None
            if not os.access(self.folder, os.W_OK | os.X_OK):
                self.unkept = f"{self.folder}: cannot be written (no permission)"
        elif reason := self.run.read_only:
            self.unkept = f"{self.run.origin}: {reason}"

    def _set_aside(self) -> None:
        """Rename a file of another protocol with the digest of that protocol."""
        there = load(self.path)
        if there is None or there[0] == self.protocol:
            return
        name = f"{self.stem}-{digest(there[0])}"
        columns, document = encoded(*there)
        self.write(f"{name}.npz", columns)
        self.write(f"{name}.json", document)


def protocol(evaluator: Evaluator) -> Protocol:
    """Return everything except K that the results depend on.

    Between runs that are compared, only `weights` may differ.
    """
    run, data = evaluator.run, evaluator.run.recipe.data
    return {
        "vaelab": __version__,
        "weights": weights(run),
        "source": Path(data.source).name,
        "split": "test",
        "images": evaluator.images or "all",
        "checksum": evaluator.data.test.checksum(),
        "train_checksum": evaluator.data.train.checksum(),
        "treatment": data.treatment,
        "likelihood": run.recipe.model.likelihood,
        "seed": evaluator.seed,
        "form": run.form,
    }


def weights(run: Run) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the file of the weights."""
    run.contract  # noqa: B018  # raises a user error where the file is missing or damaged
    return hashlib.sha256(run.weights.read_bytes()).hexdigest()[:16]


def stem(protocol: Protocol) -> str:
    """Return the name of the files of a protocol, without the suffix.

    >>> stem({"images": "all", "seed": 0}), stem({"images": 500, "seed": 1})
    ('evaluation', 'evaluation-500-seed-1')
    """
    images = "" if protocol["images"] == "all" else f"-{protocol['images']}"
    return f"evaluation{images}" + (f"-seed-{protocol['seed']}" if protocol["seed"] else "")


def read(run: Run, images: int = 0, samples: int = 0) -> Evaluation | None:
    """Return the newest complete evaluation of a run's current weights from its folder.

    If none is complete, the newest incomplete one is returned, and None if there is none.

    Args:
        run: The run.
        images: The number of test images; 0 for all.
        samples: The number K of importance weights; 0 for the largest.
    """
    wanted, current = images or "all", weights(run)
    found = [
        (
            set(METRICS) <= {name.partition("-")[0] for name in sections},
            path.stat().st_mtime_ns,
            path,
        )
        for path, (protocol, sections) in _kept(run.folder)
        if protocol["weights"] == current and protocol["images"] == wanted
    ]
    if not found:
        return None
    path = max(found)[2]
    there = load(path)
    return None if there is None else chosen(*there, samples, path)


def chosen(
    protocol: Protocol, stored: dict[str, Section], samples: int, path: Path | None
) -> Evaluation:
    """Return an evaluation with the likelihood of one K (`samples`; 0 for the largest)."""
    counts = [int(name.partition("-")[2]) for name in stored if name.startswith("likelihood-")]
    k = samples or max(counts, default=0)
    sections = {name: stored[key] for name in METRICS if (key := stored_name(name, k)) in stored}
    return Evaluation(protocol | {WEIGHTS: k}, sections, path)


def stored_name(section: str, k: int) -> str:
    """Return the name of a section in the files."""
    return f"likelihood-{k}" if section == "likelihood" else section


def damaged(folder: Path) -> list[Path]:
    """Return the evaluations in a folder that cannot be read, and therefore are not used."""
    return [path for path in _paths(folder) if load(path) is None]


def damage(run: Run) -> list[str]:
    """Return what is said of the damaged evaluations of a run: each file, and the remedy."""
    return [
        f"{path}: it or {path.stem}.npz is damaged, and is not used; delete both, and measure "
        f"again with vaelab evaluate {quoted(run.origin)}"
        for path in damaged(run.folder)
    ]


def _paths(folder: Path) -> list[Path]:
    """Return the files of evaluations in a folder, the oldest first."""
    try:
        return sorted(folder.glob("evaluation*.json"), key=lambda path: path.stat().st_mtime_ns)
    except OSError:
        return []


def _kept(folder: Path) -> Iterator[tuple[Path, tuple[Protocol, dict[str, Section]]]]:
    """Yield the evaluations in a folder that can be read, the oldest first."""
    for path in _paths(folder):
        if (there := load(path)) is not None:
            yield path, there


def _merged(folder: Path, protocol: Protocol) -> dict[str, Section]:
    """Return the sections of a protocol that are stored in a folder."""
    merged: dict[str, Section] = {}
    for _, (other, sections) in _kept(folder):
        if other == protocol:
            merged |= sections
    return merged
