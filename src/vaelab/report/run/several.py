"""Runs side by side on one page: their numbers in columns, their curves over one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vaelab.export import Arrays
from vaelab.language import Lang
from vaelab.plots import displayed, drawable, squarest
from vaelab.recipes import flatten
from vaelab.report.page import finite, render
from vaelab.report.run import shown
from vaelab.report.run.curves import together
from vaelab.report.run.headline import Number, copies, numbers
from vaelab.report.run.images import Picture, picture, scale_of, sheet
from vaelab.report.run.prepared import Prepared, in_language
from vaelab.report.run.trained import INCIDENTAL, portable, written
from vaelab.runs import Run

EXAMPLES = 8  # test images whose reconstructions are shown


def build(runs: Sequence[Run], lang: Lang) -> str:
    """Return one page of several runs as one HTML file."""
    named = distinct([run.folder for run in runs])
    prepared = {
        name: Prepared(in_language(run, lang)) for name, run in zip(named, runs, strict=True)
    }
    first = next(iter(prepared.values()))
    columns = {name: numbers(one) for name, one in prepared.items()}
    histories = {name: one.history for name, one in prepared.items() if one.history}
    charts = together(histories, lang, first.unit) if histories else []
    document = {
        "kind": "runs",
        "name": " ".join(named),
        "charts": [chart.document() for chart in charts],
        "copies": copies(columns, lang),
        "data": {
            name: {"recipe": portable(one.run.recipe), "results": one.results}
            for name, one in prepared.items()
        },
    }
    return render(
        "report",
        finite(document),
        Arrays(),
        script="report",
        lang=lang,
        kind="runs",
        title=" · ".join(named),
        reload=0,
        names=named,
        rows=_rows(columns),
        settings=_settings(prepared),
        charts=[(chart, chart.drawn(lang), chart.said(lang)) for chart in charts],
        **_pictures(prepared),
    )


def distinct(folders: Sequence[Path]) -> list[str]:
    """Return the last part of each path, or as many last parts as tell the paths apart.

    >>> distinct([Path("a/run"), Path("b/run")])
    ['a/run', 'b/run']
    """
    parts = [folder.resolve().parts for folder in folders]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-count:]) for one in parts]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({i})" for i, name in enumerate(names, 1)]


def _rows(
    columns: Mapping[str, Sequence[Number]],
) -> list[tuple[Number, str, list[Number | None]]]:
    """Return each number that a run has, its unit where all share it, and the value of each run."""
    known = [{one.name: one for one in numbers} for numbers in columns.values()]
    found = []
    for name in dict.fromkeys(name for of in known for name in of):
        each = [of.get(name) for of in known]
        there = [one for one in each if one]
        units = {one.unit for one in there}
        found.append((there[0], units.pop() if len(units) == 1 else "", each))
    return found


def _settings(prepared: Mapping[str, Prepared]) -> list[tuple[str, list[str]]]:
    """Return the settings in which the runs differ, with the value of each run."""
    flat = [flatten(one.run.recipe) for one in prepared.values()]
    keys = [key for key in flat[0] if "." in key and not key.startswith(INCIDENTAL)]
    shown = [portable(one.run.recipe) for one in prepared.values()]
    return [
        (key, [written(of[key]) for of in shown])
        for key in keys
        if len({written(of[key]) for of in flat}) > 1
    ]


def _pictures(prepared: Mapping[str, Prepared]) -> dict[str, Any]:
    """Return reconstructions of the same test images, and samples, of the runs that have them."""
    drawn = {name: one for name, one in prepared.items() if _has_pictures(one)}
    samples: list[tuple[str, Picture]] = []
    for name, one in drawn.items():
        made = displayed(one.run, one.view.samples)
        alt = f"{name}: {one.t('alt_samples', count=len(made))}"
        samples.append((name, picture(sheet(made, squarest(made)), alt, scale_of(made))))
    same = len({_data(one) for one in drawn.values()}) == 1
    return {
        "samples": samples,
        "images": shown.same_images(drawn, EXAMPLES) if same else None,
        "smooth": any(one.run.form == "signal" for one in drawn.values()),
    }


def _has_pictures(one: Prepared) -> bool:
    return one.trained and drawable(one.run) and not one.unread


def _data(one: Prepared) -> tuple[object, ...]:
    """What tells the test data of runs apart."""
    data = one.view.data
    return data.shape, len(data.test.x), data.test.checksum()
