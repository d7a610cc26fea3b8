"""A comparison for the eye and for other programs: Markdown, CSV, JSON, pictures, and all of it in one HTML file."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from matplotlib.figure import Figure

from vaelab.data.dataset import spread
from vaelab.evaluation.intervals import Interval
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.paired import COST, LEVEL, Comparison, Row
from vaelab.files import write_atomic
from vaelab.plots import (
    Look,
    Pixels,
    chosen,
    classes_of_runs,
    displayed,
    drawable,
    encode,
    is_plane,
    latent_grid,
    rows,
    side_by_side,
    side_by_side_images,
    treated,
)
from vaelab.runs import Run

if TYPE_CHECKING:
    from jinja2 import Environment

TITLES = {
    "latent": "Latent space",
    "samples": "Samples and reconstructions",
}  # of sections that are not called so
MARKS = {"better": "✓ better", "worse": "✗ worse", "no difference shown": "≈ no difference shown"}


def write(comparison: Comparison, out: Path) -> list[Path]:
    """Every file of a comparison."""
    runs = {name: entry.runs[0] for name, entry in comparison.entries.items()}
    drawn = pictures(runs)
    panels = {
        kind: {whose: encode(page) for whose, page in alone.items()}
        for kind, (_, alone) in drawn.items()
    }
    files = {f"figures/{kind}.png": encode(together) for kind, (together, _) in drawn.items()}
    files["comparison.md"] = markdown(comparison).encode()
    files["comparison.csv"] = table_csv(comparison).encode()
    files["comparison.json"] = (json.dumps(record(comparison), indent=1) + "\n").encode()
    files["comparison.html"] = html(comparison, panels).encode()
    return [write_atomic(out / name, payload) for name, payload in files.items()]


def pictures(runs: Mapping[str, Run]) -> dict[str, tuple[Figure, dict[str, Figure]]]:
    """Return the figures of a comparison by kind: one of all runs, and one of each for a page.

    There are latent codes; samples and reconstructions unless the data are tables; and the manifold
    where every latent space is a plane. Their number and the seed are those of the first run, the
    language is the page's.
    """
    first = next(iter(runs.values())).recipe
    look = Look("en", first.figures.size)
    codes, samples, originals, again = {}, {}, {}, {}
    for name, run in runs.items():
        split = run.data.test
        labels = None if split.y is None else split.y.numpy()
        some = spread(len(split.x), first.figures.points)
        x, y = treated(run, run.data.levels, split, some)
        codes[name] = run.vae.encode(x, y).numpy(), y
        if drawable(run.vae.shape):
            few = chosen(labels, len(split.x), first.figures.examples)
            x, y = treated(run, run.data.levels, split, few)
            originals[name] = displayed(run, x)
            again[name] = displayed(run, run.vae.reconstruct(x, y))
            made = run.vae.sample(first.figures.samples, first.train.seed)
            samples[name] = displayed(run, made)
    normal = [name for name, run in runs.items() if run.recipe.model.prior == "normal"]
    classes = classes_of_runs(runs.values())
    pages = {"latent": _both(codes, lambda some: side_by_side(some, normal, classes, look=look))}
    if samples:
        title = look.text("samples")
        pages["samples"] = _both(
            samples, lambda some: side_by_side_images(some, look=look, title=title)
        )
        page = rows(reconstructed(originals, again, look.text("original")), look=look)
        pages["reconstructions"] = page, {", ".join(runs): page}
    if samples and all(is_plane(run) for run in runs.values()):
        grids = {name: grid[0] for name, run in runs.items() if (grid := latent_grid(run))}
        title = look.text("manifold")
        pages["manifold"] = _both(
            grids, lambda some: side_by_side_images(some, look=look, title=title)
        )
    return pages


def reconstructed(
    originals: Mapping[str, Pixels], again: Mapping[str, Pixels], word: str
) -> dict[str, Pixels]:
    """Return rows of as many images as all runs have: originals, and below them reconstructions.

    Runs that were shown the same originals share a row of them, called by `word`, with a number
    where there are several.
    """
    count = min(map(len, originals.values()))
    sharing: dict[bytes, list[str]] = {}
    for name, x in originals.items():
        sharing.setdefault(x[:count].tobytes(), []).append(name)
    found = {}
    for i, names in enumerate(sharing.values(), 1):
        found[f"{word} {i}" if len(sharing) > 1 else word] = originals[names[0]][:count]
        found |= {name: again[name][:count] for name in names}
    return found


def _both(
    runs: dict[str, Any], draw: Callable[[dict[str, Any]], Figure]
) -> tuple[Figure, dict[str, Figure]]:
    return draw(runs), {name: draw({name: one}) for name, one in runs.items()}


# --- for people -------------------------------------------------------------------------------------------------


def markdown(comparison: Comparison) -> str:
    """The whole comparison but its pictures, columns aligned so that it can be read as it is."""
    return _templates(False).get_template("comparison.md").render(_context(comparison))


def brief(comparison: Comparison) -> str:
    """For the terminal: the numbers of which one can be better, the cost, and what the intervals cover."""
    return _templates(False).get_template("comparison.txt").render(_context(comparison))


def html(comparison: Comparison, panels: Mapping[str, Mapping[str, bytes]]) -> str:
    """One file that asks for no other: no script, the pictures (kind -> whose -> PNG) within."""
    encoded = {
        kind: {whose: base64.b64encode(page).decode() for whose, page in pages.items()}
        for kind, pages in panels.items()
    }
    return (
        _templates(True)
        .get_template("comparison.html")
        .render(_context(comparison), pictures=encoded)
    )


@cache
def _templates(escape: bool) -> Environment:
    from jinja2 import (  # here, for nothing else needs it
        Environment,
        PackageLoader,
        StrictUndefined,
    )

    environment = Environment(
        loader=PackageLoader("vaelab.report"),
        autoescape=escape,  # of what is imported too: the words that page and Markdown share
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["aligned"] = aligned
    return environment


def _context(comparison: Comparison) -> dict[str, Any]:
    """What the templates are filled with."""
    names = comparison.names
    judged = [row for row in comparison.rows if row.metric.better]
    notes = list(dict.fromkeys(reason for row in judged for reason in row.reasons if reason))
    sections: dict[str, list[tuple[Row, str, list[Cell]]]] = {}
    for row in comparison.rows:
        title = TITLES.get(row.section, row.section.capitalize())
        sections.setdefault(title, []).append((row, _about(row), cells(row, notes)))
    verdicts = [
        row for rows in sections.values() for row in rows if any(cell.verdict for cell in row[2])
    ]
    costs = {name: entry.cost for name, entry in comparison.entries.items()}
    unlike = {key: values for key, values in comparison.unlike.items() if key not in COST}
    unjudged = {reason: [row.key for row in judged if reason in row.reasons] for reason in notes}
    return {
        "names": names,
        "seeds": comparison.seeds,
        "level": f"{100 * comparison.level:.4g} %",
        "marks": MARKS,
        "summary": {
            name: {
                word: [row.key for row in judged if row.verdicts[i] == word]
                for word in (*MARKS, "")
            }
            for i, name in enumerate(names)
            if i
        },
        "with_interval": (count := sum(any(row.intervals) for row in judged)),
        "by_chance": f"{(1 - LEVEL) * count:.2g}",
        "sections": sections,
        "tables": {title: _lines(names, rows) for title, rows in sections.items()},
        "judged": [[line[0], *line[3:]] for line in _lines(names, verdicts)] if verdicts else [],
        "notes": notes,
        "unjudged": unjudged,
        "unlike": unlike,
        "unlike_cost": {key: values for key, values in comparison.unlike.items() if key in COST},
        "compared": comparison.compared,
        "same": comparison.same,
        "cost": [
            ["", *names],
            *([key, *(_cost(costs[name][key], key) for name in names)] for key in costs[names[0]]),
        ],
        "noted": comparison.noted,
        "protocol": comparison.protocol,
    }


class Cell(NamedTuple):
    """One run's number in a row, as texts."""

    value: str  # "" where it has none
    difference: str  # to the first, with its interval
    verdict: str  # a word of MARKS, or ""
    note: int  # the number, from 1, of the reason why there is no verdict; 0: none


def cells(row: Row, notes: Sequence[str]) -> list[Cell]:
    """The row in texts. The first run is marked better where all others are worse."""
    verdicts = row.verdicts
    verdicts[0] = "better" if all(verdict == "worse" for verdict in verdicts[1:]) else ""
    return [
        Cell(
            _estimate(value) if value else "",
            _interval(interval) if interval else "",
            verdict,
            notes.index(reason) + 1 if reason in notes and row.metric.better else 0,
        )
        for value, interval, verdict, reason in zip(
            row.values, row.intervals, verdicts, row.reasons, strict=True
        )
    ]


def _lines(names: Sequence[str], rows: Sequence[tuple[Row, str, list[Cell]]]) -> list[list[str]]:
    """The rows of a section as a table of texts, under its head."""
    found = [
        [
            "number",
            "better",
            "unit",
            names[0],
            *(w for name in names[1:] for w in (name, f"{name} − {names[0]}", "")),
        ]
    ]
    for row, _, (first, *others) in rows:
        line = [row.key.replace("_", " "), row.metric.better, row.metric.unit, first.value]
        for cell in others:
            line += [
                cell.value,
                cell.difference,
                f"({cell.note})" if cell.note else MARKS.get(cell.verdict, ""),
            ]
        found.append(line)
    return found


def _about(row: Row) -> str:
    """What the number is: in words, its unit, its better side, and what images of the data reach."""
    better = f"{row.metric.better} is better" if row.metric.better else ""
    real = f"real images: {_estimate(row.real)}" if row.real else ""
    return "; ".join(part for part in (row.metric.about, row.metric.unit, better, real) if part)


def _estimate(value: Estimate) -> str:
    digits = _digits(value.value, value.error)
    return _number(value.value, digits) + (
        f" ± {_number(value.error, digits)}" if value.error is not None else ""
    )


def _interval(found: Interval) -> str:
    digits, nearest = (
        _digits(found.value, (found.high - found.low) / 2),
        min(found.low, found.high, key=abs),
    )
    while found.sign and not round(
        nearest, digits
    ):  # an interval without zero must not look like one with it
        digits += 1
    return f"{_number(found.value, digits, '+')} [{_number(found.low, digits)}, {_number(found.high, digits)}]"


def _digits(value: float, spread: float | None) -> int:
    """Decimals: two digits of the error or half interval; without one, four of the value; never more than four."""
    if not spread and value == round(value):
        return 0
    return min(4, max(0, (1 if spread else 3) - math.floor(math.log10(spread or abs(value)))))


def _number(value: float, digits: int, sign: str = "") -> str:
    """With thousands separated and a true minus; no sign before zero."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:{sign if rounded else ''},.{digits}f}".replace("-", "−")


def _cost(value: float | None, key: str) -> str:
    if value is None:
        return "not recorded"
    return f"{value:.3g}" if key.startswith("seconds") and value < 1000 else f"{value:,.0f}"


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table in Markdown from its head and its lines, the first `left` columns to the left; a | in a cell is escaped.

    >>> print(aligned([["number", "a"], ["loss", "1.5"]]))
    | number |   a |
    | ------ | --: |
    | loss   | 1.5 |
    """
    rows = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines = [
        [
            f"{c:<{w}}" if i < left else f"{c:>{w}}"
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        for row in (rows[0], rule, *rows[1:])
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- for programs -----------------------------------------------------------------------------------------------


def numbers(comparison: Comparison) -> list[dict[str, Any]]:
    """A record for each number of each run: value, error, and the difference to the first run; to 7 digits."""

    def short(value: float | None) -> float | None:
        return None if value is None else float(f"{value:.7g}")

    records: list[dict[str, Any]] = []
    for row in comparison.rows:
        what = {
            "section": row.section,
            "number": row.key,
            "unit": row.metric.unit,
            "better": row.metric.better,
        }
        of_runs = zip(
            comparison.names, row.values, row.intervals, row.verdicts, row.reasons, strict=True
        )
        for name, found, interval, verdict, reason in of_runs:
            value, error, _ = found or (None, None, None)
            difference, low, high = map(short, interval or (None, None, None))
            records.append(
                what
                | {"run": name, "value": short(value), "error": short(error)}
                | {
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "verdict": verdict,
                    "reason": reason,
                }
            )
    return records


def table_csv(comparison: Comparison) -> str:
    """`numbers`, a line each; then the cost."""
    records, out = numbers(comparison), io.StringIO()
    writer = csv.DictWriter(out, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    for name, entry in comparison.entries.items():
        writer.writerows(
            {"section": "cost", "number": k, "run": name, "value": v} for k, v in entry.cost.items()
        )
    return out.getvalue()


def record(comparison: Comparison) -> dict[str, Any]:
    """Everything but the pictures, as JSON has it."""
    return {
        "reference": comparison.names[0],
        "seeds": comparison.seeds,
        "level": comparison.level,
        "numbers": numbers(comparison),
        "cost": {name: entry.cost for name, entry in comparison.entries.items()},
        "not_the_same": comparison.unlike,
        "compared": comparison.compared,
        "same": comparison.same,
        "protocol": comparison.protocol,
    }
