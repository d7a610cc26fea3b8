"""From the records in a run folder to trackers: each epoch once, and no failure passes on."""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from itertools import chain, count

import msgspec

from vaelab.errors import UserError, printable, quoted
from vaelab.plots import View
from vaelab.recipes import flatten
from vaelab.runs import Run
from vaelab.tracking.protocol import Finished, Start, Tracker
from vaelab.tracking.records import flat
from vaelab.tracking.table import TRACKERS

NOTES = "tracking.json"
LONG = 160  # characters of an error message that are shown at most


class Sent(msgspec.Struct):
    """What a tracker has received."""

    epochs: int = 0
    results: bool = False


class Notes(msgspec.Struct):
    """tracking.json: the identity of the run at its trackers, and what each has received."""

    id: str
    sent: dict[str, Sent] = {}


@contextmanager
def sending(
    trackers: Sequence[Tracker],
    run: Run,
    say: Callable[[str], None],
    failed: Callable[[str], None] | None = None,
) -> Iterator[Sending]:
    """Begin the run at all trackers; at the end of the block, close it there.

    `failed` receives one line about a tracker that fails; by default it is printed as a note.
    """
    what = Sending(run, say, failed or (lambda text: say(f"note: {text}; the training goes on")))
    try:
        for tracker in trackers:
            what.open(tracker)
        yield what
    finally:
        what.close(finished=False)


class Sending:
    """Send the records of a run folder to the trackers that are open.

    The records are read from the folder, so a training and a finished run have one way. What each
    tracker has received stands in tracking.json of the folder.
    """

    def __init__(self, run: Run, say: Callable[[str], None], failed: Callable[[str], None]) -> None:
        self.run, self.say, self.failed = run, say, failed
        self.trackers: dict[str, Tracker] = {}  # those that are open, by their name
        self.notes = _read(run)

    def open(self, tracker: Tracker) -> None:
        """Begin the run at a tracker, or continue it."""
        recipe, name, opened = self.run.recipe, self._name(tracker), None
        start = Start(recipe.name, self.notes.id, self.run.folder, flatten(recipe))
        self.trackers[name] = tracker
        with self._guarded(name):
            opened = tracker.begin(start)
            if not (opened and opened.continues and name in self.notes.sent):
                self.notes.sent[name] = Sent()
        if opened:
            self.say(f"{name}: {opened.line}")

    def __call__(self) -> None:
        """Send the epochs that a tracker has not received yet."""
        if not self.trackers:
            return
        rows, times = self.run.history, {time["epoch"]: time for time in self.run.times}
        for name, tracker in [*self.trackers.items()]:
            sent = self.notes.sent[name]
            with self._guarded(name):
                for row in rows[sent.epochs :]:
                    tracker.epoch(row["epoch"], flat(row, times.get(row["epoch"], {})))
                    sent.epochs, sent.results = row["epoch"], False
        self._write()

    def finish(self, view: Callable[[], View]) -> None:
        """Send what is left of a finished run, and its results; then close it."""
        self()
        finished = Finished(self.run, view)
        for name, tracker in [*self.trackers.items()]:
            sent = self.notes.sent[name]
            with self._guarded(name):
                if not sent.results:
                    tracker.results(finished)
                    sent.results = True
        if self.trackers:
            self._write()
        self.close(finished=True)

    def close(self, finished: bool) -> None:
        """Close the run at all trackers."""
        for name, tracker in [*self.trackers.items()]:
            with self._guarded(name):
                tracker.end(finished)
        self.trackers = {}

    def _name(self, tracker: Tracker) -> str:
        """A name for notes and messages that no open tracker has."""
        names = (name for name, row in TRACKERS.items() if row.make is type(tracker))
        name = next(names, type(tracker).__name__)
        others = (f"{name}-{i}" for i in count(2))
        return next(free for free in chain([name], others) if free not in self.trackers)

    def _write(self) -> None:
        try:
            self.run.write(NOTES, msgspec.json.format(msgspec.json.encode(self.notes)) + b"\n")
        except UserError as error:  # the training says what is wrong with its folder
            self.say(f"note: {error}")

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        """Let a tracker work; one that fails is left out from then on."""
        try:
            with ExitStack() as quiet:
                if name in TRACKERS:  # packages print between the lines of the training
                    quiet.enter_context(redirect_stdout(io.StringIO()))
                    quiet.enter_context(redirect_stderr(io.StringIO()))
                yield
        except Exception as error:  # whatever a package or a network may raise
            del self.trackers[name]
            later = f"vaelab track {quoted(self.run.folder)} --with {name} sends the rest later"
            self.failed(f"{name} failed ({_short(error)})" + f"; {later}" * (name in TRACKERS))


def _short(error: Exception) -> str:
    """The first line of an error message."""
    text = printable((str(error).strip() or type(error).__name__).splitlines()[0])
    return text if len(text) <= LONG else f"{text[:LONG]} ..."


def _read(run: Run) -> Notes:
    """The notes of a run; new ones where there are none, or they are damaged."""
    try:
        return msgspec.json.decode((run.folder / NOTES).read_bytes(), type=Notes)
    except (OSError, msgspec.DecodeError):
        return Notes(secrets.token_hex(8))
