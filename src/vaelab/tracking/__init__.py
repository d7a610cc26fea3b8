"""Trackers: the records of a run, sent on to TensorBoard, MLflow, Weights & Biases or trackio."""

from vaelab.tracking.protocol import Finished, Opened, Start, Tracker
from vaelab.tracking.sending import Sending, sending
from vaelab.tracking.table import TRACKERS, Tracked, trackers_of

__all__ = [
    "TRACKERS",
    "Finished",
    "Opened",
    "Sending",
    "Start",
    "Tracked",
    "Tracker",
    "sending",
    "trackers_of",
]
