"""Send the records of a run to trackers after its training."""

from __future__ import annotations

from pathlib import Path

from vaelab import devices
from vaelab.errors import UserError
from vaelab.files import locked
from vaelab.plots import View
from vaelab.recipes import Code
from vaelab.runs import Run, load
from vaelab.seeding import untouched
from vaelab.tracking import Tracked, sending, trackers_of
from vaelab.workflows.console import Console


def track(
    run: Run | str | Path, trackers: Tracked, *, code: Code = (), quiet: bool = False
) -> None:
    """Send the records of a run to trackers; epochs that a tracker already has are not sent again.

    Of a run that is not finished yet, the epochs so far are sent.

    Args:
        run: A run or its folder.
        trackers: Names such as "tensorboard", or a `Tracker`, or several of them.
        code: The Python files that the model may run.
        quiet: Whether to print nothing.

    Raises:
        UserError: There is no such run or tracker, a package is missing, no epoch is finished, or a
            tracker failed.
    """
    found, say = trackers_of(trackers), Console(quiet).say
    if not found:
        raise UserError("track: name a tracker, such as tensorboard")
    opened = run if isinstance(run, Run) else load(run, code=code)
    epochs, failures = len(opened.history), list[str]()
    with (
        locked(opened.folder, "track it when its training has ended"),
        devices.using(devices.threads(0)[0]),
        untouched(),
        sending(found, opened, say, failures.append) as send,
    ):
        send()
        if opened.finished:
            send.finish(lambda: View(opened, opened.data.with_measured()))
    if failures:
        raise UserError(f"{opened.folder}: {'; '.join(failures)}")
    counted = f"{epochs} epoch{'s' * (epochs != 1)}"
    say(f"{opened.folder}: {counted}{' and the results' * opened.finished}")
