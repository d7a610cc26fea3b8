"""trackio: a database on this machine, which its own dashboard shows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from vaelab.tracking.protocol import Finished, Opened, Start

PROJECT = "vaelab"


class Trackio:
    """Write a run of the project vaelab."""

    def begin(self, start: Start) -> Opened:
        import trackio
        from trackio.utils import TRACKIO_DIR

        name = f"{start.name}-{start.id[:6]}"  # trackio finds a run again by its name
        there = False
        with suppress(ValueError):  # there is no such project yet
            there = any(run.name == name for run in trackio.Api().runs(PROJECT))
        self.run: Any = trackio.init(
            PROJECT,
            name,
            config=dict(start.settings),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        shown = f"trackio show --project {PROJECT}"
        return Opened(f"records in {TRACKIO_DIR}; look at them with: {shown}", there)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=number)

    def results(self, finished: Finished) -> None:
        import trackio

        figures = finished.figures.items()
        pictures = {f"figures/{name}": trackio.Image(str(path)) for name, path in figures}
        self.run.log(finished.results | pictures, step=finished.epochs)

    def end(self, finished: bool) -> None:
        import trackio

        trackio.finish()
