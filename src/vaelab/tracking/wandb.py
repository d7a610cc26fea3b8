"""Weights & Biases: offline, in the folder wandb, unless WANDB_MODE says otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaelab.tracking.protocol import Finished, Opened, Start

PROJECT = "vaelab"
CLOSED = "closed-by-vaelab"  # in the folder of a session: it was not killed, which would empty it


class WandB:
    """Write a run of the project vaelab."""

    def begin(self, start: Start) -> Opened:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        mode: Any = os.environ.get("WANDB_MODE", "offline")
        folder = Path(os.environ.get("WANDB_DIR", "."))
        before = sorted((folder / "wandb").glob(f"offline-run-*-{start.id}"))
        self.run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=start.name,
            id=start.id,
            resume="allow",
            dir=str(folder),
            mode=mode,
            config=dict(start.settings),
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_stats=True,
                x_disable_machine_info=True,
            ),
        )
        self.place = Path(self.run.dir).parent
        if not self.run.offline:
            return Opened(f"records in {self.run.url}", self.run.resumed)
        every = self.place.parent / f"offline-run-*-{start.id}"  # a resumed run has several
        where = f"records in {self.place}; send them with: wandb sync {every}"
        return Opened(where, bool(before) and (before[-1] / CLOSED).exists())

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=number)

    def results(self, finished: Finished) -> None:
        import wandb

        figures = finished.figures.items()
        pictures = {f"figures/{name}": wandb.Image(str(path)) for name, path in figures}
        self.run.log(pictures, step=finished.epochs)
        self.run.summary.update(finished.results)

    def end(self, finished: bool) -> None:
        self.run.finish(exit_code=0 if finished else 1)
        (self.place / CLOSED).touch()
