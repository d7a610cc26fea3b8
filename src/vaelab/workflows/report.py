"""`write_report`: the pages of one run, of several side by side, and of all below a folder.

RUN/report.html            everything about a run on one page
report-A-B.html            runs side by side
FOLDER/index.html          a table of all runs below a folder
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vaelab import devices
from vaelab.data import Dataset
from vaelab.errors import UserError
from vaelab.files import claim, put, write_atomic
from vaelab.language import Lang
from vaelab.plots import View
from vaelab.recipes import Code
from vaelab.report.run import index as index_page
from vaelab.report.run import page as run_page
from vaelab.report.run import several as runs_page
from vaelab.report.run.prepared import Prepared, in_language
from vaelab.runs import CONFIG, REPORT, Run, load
from vaelab.seeding import untouched
from vaelab.workflows.console import Console

SECONDS = 3.0  # between two pages of a training, at least
SHARE = 0.02  # of the time of a training that its pages may take


def write_report(
    what: str | Path | Run | Collection[str | Path | Run],
    out: str | Path | None = None,
    *,
    lang: Lang | None = None,
    code: Code = (),
    quiet: bool = False,
) -> Path:
    """Write a report as one HTML file, which needs no network.

    Args:
        what: A run, several runs, or a folder with runs below it.
        out: The file; by default report.html in the folder of a run, index.html in a folder of
            runs, and report-A-B.html in the current folder for several runs.
        lang: The language; by default that of the figures of the first run.
        code: The Python files that the models may run.
        quiet: Whether to print no notes, such as that the data of a run could not be read.

    Returns:
        The path of the page.

    Raises:
        UserError: There is no such run, or the page cannot be written.
    """
    alone = isinstance(what, str | Path | Run)
    given = [what] if isinstance(what, str | Path | Run) else [*what]
    if not given:
        raise UserError("report: name a run, several runs, or a folder with runs")
    with devices.using(devices.threads(0)[0]), untouched():
        if len(given) == 1 and _is_folder_of_runs(given[0]):
            return _write_index(Path(str(given[0])), out, lang, code)
        runs = [one if isinstance(one, Run) else load(one, code=code) for one in given]
        for line in (line for run in runs for line in Prepared(run).notes):
            Console(quiet).say(f"note: {line}")
        if alone or len(runs) == 1:
            return _write_run(runs[0], out, lang)
        return _write_runs(runs, out, lang)


def write_finished(view: View, data: Dataset, say: Callable[[str], None]) -> None:
    """Write the report of a run whose training has just ended, from the view of its figures.

    A report that fails must not lose the run: the reason is printed, and all else is kept.
    """
    view.run.data = data
    try:
        say(f"report: {run_page.write(view.run, view)}")
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "the run is finished and saved, but its report is not; vaelab report writes it"
        ) from None
    except Exception as error:  # whatever a page of any data and model may raise
        say(f"note: the report could not be written ({error}); vaelab report tries it again")


class Watch:
    """Keep the report of a training fresh, within a small share of the training's time."""

    def __init__(self, data: Dataset, say: Callable[[str], None]) -> None:
        self.data, self.say, self.next = data, say, 0.0

    def __call__(self, run: Run) -> None:
        """Write the page of the epochs so far, unless the last one was written just before."""
        began = time.monotonic()
        if began < self.next:
            return
        fresh = Run(run.folder, run.recipe)  # reads what was written since
        fresh.data = self.data
        try:
            with untouched():
                path = fresh.write(REPORT, run_page.build(fresh, watched=True).encode())
        except Exception as error:  # a page never ends a training
            self.say(f"note: the report is not kept fresh ({error})")
            self.next = math.inf
            return
        if not self.next:
            self.say(f"watch the training: {path}")
        now = time.monotonic()
        self.next = now + max(SECONDS, (now - began) / SHARE)


@contextmanager
def kept_fresh(run: Run, data: Dataset, say: Callable[[str], None]) -> Iterator[Watch]:
    """Yield what keeps the report of a training fresh.

    Where the training ends early, the whole page is written, which no longer reloads itself.
    """
    watch = Watch(data, say)
    try:
        yield watch
    except BaseException:
        if watch.next:  # a page was written
            # What ended the training matters more than a page that cannot be written now.
            with suppress(Exception, KeyboardInterrupt), untouched():
                fresh = Run(run.folder, run.recipe)
                fresh.data = data
                run_page.write(fresh)
        raise


def _is_folder_of_runs(one: str | Path | Run) -> bool:
    return (
        not isinstance(one, Run)
        and Path(one).is_dir()
        and not any((Path(one) / name).exists() for name in ("recipe.toml", CONFIG, "last.pt"))
    )


def _write_index(folder: Path, out: str | Path | None, lang: Lang | None, code: Code) -> Path:
    if out is None:
        claim(folder, [index_page.INDEX])
    place = folder if out is None else Path(out).parent
    page = index_page.build(folder, lang, place, code=code).encode()
    return put(folder, index_page.INDEX, page) if out is None else write_atomic(Path(out), page)


def _write_run(run: Run, out: str | Path | None, lang: Lang | None) -> Path:
    if lang:
        run = in_language(run, lang)
    if out is None:
        run.check_writable()
        claim(run.folder, [REPORT])
        return run_page.write(run)
    return write_atomic(Path(out), run_page.build(run, inside=False).encode())


def _write_runs(runs: list[Run], out: str | Path | None, lang: Lang | None) -> Path:
    page = runs_page.build(runs, lang or runs[0].recipe.figures.lang)
    if out is None:
        out = f"report-{'-'.join(_names(runs))}.html"
    return write_atomic(Path(out), page.encode())


def _names(runs: Iterable[Run]) -> list[str]:
    names = runs_page.distinct([run.folder for run in runs])
    return [name.replace("/", "-") for name in names]
