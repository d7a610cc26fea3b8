"""The report of a run: everything that its page shows, gathered and rendered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from vaelab import files
from vaelab.errors import UserError
from vaelab.evaluation import METRICS, Estimate, damaged, meaning
from vaelab.export import Arrays
from vaelab.plots import View, displayed, drawable
from vaelab.plots.frames import TILE
from vaelab.report.page import finite, render
from vaelab.report.run import shown
from vaelab.report.run.columns import described, tables
from vaelab.report.run.curves import charts
from vaelab.report.run.dimensions import dimensions
from vaelab.report.run.findings import NOTHING, findings
from vaelab.report.run.headline import copies, numbers
from vaelab.report.run.images import FRAMES, frames, stored
from vaelab.report.run.prepared import Prepared
from vaelab.report.run.scatter import latent
from vaelab.report.run.synthetic import synthetic
from vaelab.report.run.trained import again, cited, portable, what_was_trained, without_folders
from vaelab.runs import EXPLORER, REPORT, Run

HIDDEN, SHOWN = '<p class="explorer" hidden>', '<p class="explorer">'  # around the explorer's link
RELOAD = 5  # seconds after which the page of a training asks for the next one


def write(run: Run, view: View | None = None) -> Path:
    """Write report.html into the run folder and return its path; for `view` see `build`."""
    return run.write(REPORT, build(run, view=view).encode())


def link_explorer(run: Run) -> None:
    """Show the link to the explorer on the report of a run, if vaelab wrote one there.

    Every report has the link; it is hidden where there was no explorer yet.
    """
    path = run.folder / REPORT
    if REPORT in files.written(run.folder) and path.is_file():
        page = path.read_bytes()
        if (shown := page.replace(HIDDEN.encode(), SHOWN.encode(), 1)) != page:
            run.write(REPORT, shown)


def build(run: Run, *, inside: bool = True, watched: bool = False, view: View | None = None) -> str:
    """Return the page of a run as one HTML file, in the language of its figures.

    Args:
        run: The run; it need not be finished.
        inside: Whether the page will be in the run folder, where it can link other pages.
        watched: Whether the run is being trained: the page then asks for its next version every
            few seconds, and leaves out what takes long.
        view: What the figures of the run have computed already.
    """
    prepared, arrays = Prepared(run, view), Arrays()
    found, document = _gathered(prepared, watched)
    if prepared.trained and not watched and not prepared.unread:
        pictures, points = _pictures(prepared, arrays)
        found |= pictures
        document["latent"] = points
    return render(
        "report",
        document,
        arrays,
        script="report",
        lang=prepared.lang,
        kind="run",
        title=run.recipe.name,
        reload=RELOAD if watched and not run.finished else 0,
        explorer=EXPLORER if inside else "",
        explorer_tag=SHOWN if (run.folder / EXPLORER).is_file() else HIDDEN,
        **found,
    )


def _gathered(prepared: Prepared, watched: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what needs no pictures, for the template and for the script."""
    run, headline = prepared.run, numbers(prepared)
    drawn = charts(prepared.history, prepared.lang, prepared.unit) if prepared.history else []
    doctor = findings(prepared) if not watched else NOTHING
    seen = []
    if prepared.trained:
        seen = frames(run.folder, _size(run), 1 if watched else FRAMES)
    found = {
        "headline": headline,
        "finished": run.finished,
        "done": len(prepared.history),
        "epochs": run.recipe.train.epochs,
        "evaluated": prepared.evaluation is not None,
        "charts": [
            (chart, chart.drawn(prepared.lang), chart.said(prepared.lang)) for chart in drawn
        ],
        "doctor": doctor,
        "frames": seen,
        "trained": what_was_trained(prepared),
        "columns": described(prepared),
        "synthetic": synthetic(prepared),
        "all": _all_numbers(prepared),
        "commands": again(prepared),
        "cited": cited(prepared),
        "pictures": None,
        "unread": without_folders(prepared.unread),
        "damaged": [path.name for path in damaged(run.folder)],
        "stored": stored(run.folder) if prepared.unread else [],
        "recipe": run.recipe,
        "unit": prepared.unit,
        "results": prepared.results,
    }
    document = {
        "kind": "run",
        "name": run.recipe.name,
        "charts": [chart.document() for chart in drawn],
        "frames": [{"epoch": epoch, "src": picture.src} for epoch, picture in seen],
        "copies": copies({run.recipe.name: headline}, prepared.lang),
        "data": _data(prepared, doctor),
        "latent": None,
    }
    return found, finite(document)


def _size(run: Run) -> tuple[int, int]:
    """Return height and width of a picture in the frames of a run."""
    if not drawable(run):
        return TILE, TILE
    height, width = displayed(run, torch.zeros(1, *run.vae.shape), TILE).shape[1:3]
    return int(height), int(width)


def _pictures(prepared: Prepared, arrays: Arrays) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return what the weights and the data show."""
    is_table = not drawable(prepared.run)
    points, document = latent(prepared, arrays)
    found: dict[str, Any] = {
        "latent": points,
        "dimensions": dimensions(prepared),
        "table": tables(prepared) if is_table else None,
        "smooth": False,
        "reduced": "",
        "reconstructions": None,
        "samples": None,
        "traversals": [],
        "manifold": None,
        "interpolations": [],
    }
    if not is_table:
        found |= {
            "smooth": shown.is_smooth(prepared),
            "reduced": shown.reduced(prepared),
            "reconstructions": shown.reconstructions(prepared),
            "samples": shown.samples(prepared),
            "manifold": shown.manifold(prepared),
            "traversals": shown.traversals(prepared),
            "interpolations": shown.interpolations(prepared),
        }
    return {"pictures": found}, document


def _all_numbers(prepared: Prepared) -> list[tuple[str, list[tuple[str, ...]]]]:
    """Return every single number of the evaluation by section, with its unit and its meaning."""
    if prepared.evaluation is None:
        return []
    found = []
    for section, values in prepared.evaluation.sections.items():
        rows: list[tuple[str, ...]] = []
        for key in METRICS[section]:
            value = values.get(key)
            if isinstance(value, int | float | Estimate):
                said = meaning(section, key, prepared.lang, rows=prepared.form == "table")
                text = value if isinstance(value, int | Estimate) else f"{value:.4g}"
                rows.append((key, prepared.say(text), said.unit, said.about))
        found.append((section, rows))
    return found


def _data(prepared: Prepared, doctor: dict[str, Any]) -> dict[str, Any]:
    """Return the numbers of the page under the names of the files that they come from."""
    run, evaluation = prepared.run, prepared.evaluation
    try:
        stored = (
            json.loads(evaluation.path.read_text("utf-8"))
            if (evaluation and evaluation.path)
            else None
        )
    except (OSError, ValueError) as error:
        raise UserError(f"{run.folder}: its evaluation cannot be read ({error})") from None
    return {
        "recipe": portable(run.recipe),
        # without the command that was typed: it holds paths of the machine
        "environment": {k: v for k, v in run.environment.items() if k != "command"},
        "metrics": prepared.history,
        "times": run.times,
        "results": prepared.results,
        "evaluation": stored,
        "findings": [vars(note) | {"remedy": "".join(note.remedy)} for note in doctor["notes"]],
    }
