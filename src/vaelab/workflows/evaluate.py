"""`evaluate`: measure a run, store the results, and plot what they add to the run's figures."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from vaelab import devices
from vaelab.errors import UserError, nearest
from vaelab.evaluation import (
    METRICS,
    WEIGHTS,
    Evaluation,
    Evaluator,
    Results,
    Section,
    damage,
    missing,
    protocol,
    rounded,
    stored_name,
)
from vaelab.evaluation.sections.samples import neighbours
from vaelab.files import absolute
from vaelab.plots import View, displayed, drawable, encode, look_of, nll_by_class, rows
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.seeding import untouched
from vaelab.workflows.console import Console

SAMPLES = 1000  # importance weights per image


def evaluate(
    run: Run | str | Path,
    *,
    samples: int = SAMPLES,
    images: int = 0,
    sections: str | Collection[str] = tuple(METRICS),
    seed: int = 0,
    out: str | Path | None = None,
    code: str | Path | Collection[str | Path] = (),
    quiet: bool = False,
) -> Evaluation:
    """Measure the best weights of a run on its test images.

    Stored sections with the same weights and the same protocol are not measured again. Each section
    is written when it is finished.

    Args:
        run: A run or its folder.
        samples: The number K of importance weights per image, for the section likelihood.
        images: The number of test images, evenly spaced; 0 for all.
        sections: The names of the sections to measure.
        seed: The random seed of all measurements.
        out: The folder of the results; None for the run folder.
        code: The Python files that the model may run.
        quiet: Whether to print nothing.

    Returns:
        The evaluation; `print` shows its summary.

    Raises:
        UserError: There is no such section or run, or `out` cannot be used.
    """
    if isinstance(run, str | Path):
        run = load_run(run, code=code)
    names = _checked(sections, samples, images)
    evaluator = Evaluator(run, images=images, seed=seed, quiet=quiet)
    if images >= len(evaluator.data.test.x):
        evaluator = replace(evaluator, images=0)
    console = Console(quiet)
    results = Results(run, protocol(evaluator), absolute(out, "out") if out else None)
    if results.unkept:
        console.say(f"note: {results.unkept}; results are only printed; set --out FOLDER")
    if run.data.note:
        console.say(run.data.note)
    for line in damage(run):
        console.say(f"note: {line}")
    known = not results.unkept
    with devices.using(devices.threads(run.recipe.train.threads)[0]), untouched():
        for name, numbers in missing(evaluator, names, samples, results.sections, console.say):
            results.keep({name: numbers})
            _plot(evaluator, results, name, numbers)
            if known and results.unkept:
                console.say(f"note: {results.unkept}; results are only printed")
                known = False
    found = rounded({n: results.sections[stored_name(n, samples)] for n in METRICS if n in names})
    path = None if results.unkept else results.path
    return Evaluation(results.protocol | {WEIGHTS: samples}, found, path)


def _checked(sections: str | Collection[str], samples: int, images: int) -> list[str]:
    """Return the names of the sections, after a check of all arguments."""
    names = [sections] if isinstance(sections, str) else [*sections]
    for name in names:
        if name not in METRICS:
            raise UserError(f"sections (--only): there is no {name!r}; {nearest(name, METRICS)}")
    if samples < 1 or images < 0:
        raise UserError(f"samples, images: expected at least 1 and 0, got {samples} and {images}")
    return names


def _plots(evaluator: Evaluator, name: str, numbers: Section) -> Iterator[tuple[str, Figure]]:
    """Yield the figures that a section adds to those of the run, by name.

    The samples that are nearest to a training image, above that image; and the nll of each class.
    """
    run, look = evaluator.run, look_of(evaluator.run)
    if name == "samples" and drawable(run):
        pairs = neighbours(evaluator)
        yield (
            "neighbours",
            rows({look.text(k): displayed(run, x) for k, x in pairs.items()}, look=look),
        )
    if name.startswith("likelihood") and len(numbers.get("nll_by_class", {})) > 1:
        view = View(run, evaluator.data)
        yield "nll-by-class", nll_by_class(view, numbers["nll_by_class"], numbers["nll"])


def _plot(evaluator: Evaluator, results: Results, name: str, numbers: Section) -> None:
    """Write the figures of a section in the formats of the run."""
    if results.unkept:
        return
    try:
        for figure, page in _plots(evaluator, name, numbers):
            for kind in evaluator.run.recipe.figures.format:
                results.write(f"figures/{figure}.{kind}", encode(page, kind))
    except UserError as error:
        results.unkept = str(error)
