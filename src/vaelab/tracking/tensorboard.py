"""TensorBoard: scalars, figures, settings, and codes in its projector, as files of the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vaelab.errors import quoted
from vaelab.files import note
from vaelab.tracking.protocol import Finished, Opened, Start
from vaelab.tracking.records import about

EVENTS = "events.out.tfevents.*"
FRAMES = 10  # pictures of the progress; TensorBoard shows no more of one name
AXES = 3  # the projector shows nothing of codes that have fewer dimensions; the others are 0
# Settings that say nothing; TensorBoard would show a column for each.
EMPTY: tuple[object, ...] = ("", (), [])
MEASURED = ("results/loss", "results/distortion", "results/rate")


class TensorBoard:
    """Write TensorBoard's files into the run folder."""

    def begin(self, start: Start) -> Opened:
        from torch.utils.tensorboard import SummaryWriter
        from torch.utils.tensorboard.summary import hparams

        self.folder = start.folder
        there = any(start.folder.glob(EVENTS))
        self.last, self.epochs = 0, start.settings["train.epochs"]
        self.between = -(-self.epochs // FRAMES)
        self.writer = SummaryWriter(str(start.folder))
        settings = {
            key: _plain(value) for key, value in start.settings.items() if value not in EMPTY
        }
        for summary in hparams(settings, dict.fromkeys(MEASURED, 0.0)):
            self._file.add_summary(summary)
        self.writer.flush()
        self._note()
        shown = f"tensorboard --logdir {quoted(start.folder.parent)}"
        return Opened(f"records in {start.folder}; look at them with: {shown}", there)

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        if not self.last:  # what a killed process wrote of this epoch or later is hidden
            self._restart(number)
        self.last = number
        self._scalars(values, number)
        frame = self.folder / "figures" / "epochs" / f"{number:04d}.png"
        if (self.epochs - number) % self.between == 0 and frame.is_file():
            self._picture("progress", frame, number)
        self.writer.flush()

    def results(self, finished: Finished) -> None:
        step = finished.epochs
        self._scalars(finished.results, step)
        for name, path in finished.figures.items():
            self._picture(f"figures/{name}", path, step)
        pictures, codes = finished.pictures, finished.codes
        missing = max(0, AXES - codes.shape[1])
        self.writer.add_embedding(
            np.pad(codes, ((0, 0), (0, missing))),
            finished.labels,
            None if pictures is None else torch.tensor(pictures).movedim(3, 1) / 255,
            global_step=step,
            tag="codes",
        )

    def end(self, finished: bool) -> None:
        self.writer.close()
        self._note()

    @property
    def _file(self) -> Any:
        """What takes whole summaries."""
        return self.writer.file_writer

    def _restart(self, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        begun = SessionLog(status=SessionLog.START)
        self._file.add_event(Event(step=step, session_log=begun))

    def _scalars(self, values: Mapping[str, float], step: int) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        for name, value in values.items():
            self._file.add_summary(scalar_pb(name, value, about(name)), step)

    def _picture(self, name: str, path: Path, step: int) -> None:
        """Write a PNG file as it is."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        with Image.open(path) as image:
            width, height = image.size
        picture = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes()
        )
        self._file.add_summary(Summary(value=[Summary.Value(tag=name, image=picture)]), step)

    def _note(self) -> None:
        """List the files as written by vaelab, so that a new run in this folder replaces them."""
        found = [*self.folder.glob(EVENTS), *self.folder.glob("projector_config.pbtxt")]
        found += self.folder.glob("[0-9]*/codes/*")
        for path in found:
            note(self.folder, path.relative_to(self.folder).as_posix())


def _plain(value: object) -> str | float | bool:
    return value if isinstance(value, str | int | float | bool) else str(value)
