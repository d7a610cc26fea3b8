"""The index of a folder of runs: a table of all of them, which can be sorted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from vaelab.errors import UserError
from vaelab.export import Arrays
from vaelab.language import Lang
from vaelab.plots import drawable
from vaelab.recipes import Code
from vaelab.report.page import render
from vaelab.report.run import shown
from vaelab.report.run.curves import sparkline
from vaelab.report.run.images import Picture
from vaelab.report.run.prepared import Prepared, in_language
from vaelab.runs import REPORT, Run, load

INDEX = "index.html"
NUMBERS = ("loss", "distortion", "rate")


class Cell(NamedTuple):
    """A number of the table: as it is shown, and as it is sorted; both "" where it is missing."""

    text: str
    value: str


class Row(NamedTuple):
    """A run of the table."""

    name: str
    link: str  # relative to the index, "" where the run has no report
    data: str
    model: str
    numbers: list[Cell]
    curve: str
    thumbnail: Picture | None
    finished: bool


def build(folder: Path, lang: Lang | None, place: Path, *, code: Code = ()) -> str:
    """Return the index of all runs below a folder as one HTML file, for the folder `place`.

    Its language is by default that of the figures of the first run.

    Raises:
        UserError: There is no run below the folder.
    """
    rows, unread = [], []
    for path in found(folder):
        try:
            run = load(path, code=code)
            lang = lang or run.recipe.figures.lang
            rows.append(_row(folder, place, in_language(run, lang)))
        except UserError as error:
            unread.append(str(error))
    if not rows and not unread:
        raise UserError(f"{folder}: holds no runs; name a run, or a folder that holds some")
    return render(
        "report",
        {"kind": "index", "name": folder.resolve().name},
        Arrays(),
        script="report",
        lang=lang or "en",
        kind="index",
        title=folder.resolve().name,
        reload=0,
        rows=rows,
        unread=unread,
    )


def found(folder: Path) -> list[Path]:
    """Return the run folders below a folder; none below a run, and no hidden ones."""
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[Path]:
    for place, below, files in os.walk(folder):
        if "recipe.toml" in files:
            yield Path(place)
            below.clear()
        below[:] = [name for name in below if name[0] != "."]


def _row(folder: Path, place: Path, run: Run) -> Row:
    prepared = Prepared(run)
    inside = run.folder.relative_to(folder)
    model, times = run.recipe.model, run.times
    last: dict[str, Any] = {}
    if prepared.history:
        entry = prepared.history[-1]
        last = entry[next(s for s in ("validation", "test", "train") if s in entry)]
    values: list[float | None] = [float(model.latent), float(len(prepared.history))]
    values += [(prepared.results or last).get(name) for name in NUMBERS]
    for key in ("likelihood.nll", "latent.active_units"):
        number = prepared.number(key)
        values.append(None if number is None else number.value)
    values.append(sum(row["seconds"] for row in times) if times else None)
    return Row(
        inside.as_posix(),
        _link(run.folder / REPORT, place),
        Path(run.recipe.data.source).name,
        Path(model.variant).name,
        [_cell(prepared, value) for value in values],
        sparkline(prepared.history) if prepared.history else "",
        _thumbnail(prepared),
        run.finished,
    )


def _link(page: Path, place: Path) -> str:
    """Return the address of a page as seen from a folder, "" where there is no such page."""
    if not page.is_file():
        return ""
    try:
        return f"./{quote(Path(os.path.relpath(page.resolve(), place.resolve())).as_posix())}"
    except ValueError:  # on another drive of Windows
        return page.resolve().as_uri()


def _cell(prepared: Prepared, value: float | None) -> Cell:
    if value is None:
        return Cell("", "")
    text = f"{value:.0f}" if value == round(value) else f"{value:.2f}"
    return Cell(prepared.say(text), repr(float(value)))


def _thumbnail(prepared: Prepared) -> Picture | None:
    """Return samples of a run; None where it has none, or needs code that may not run."""
    try:
        if prepared.trained and drawable(prepared.run):
            return shown.thumbnail(prepared.run)
    except UserError:
        return None
    return None
