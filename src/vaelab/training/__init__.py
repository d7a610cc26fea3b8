"""Training without a run folder: a `Step` is the model and its objective, `epochs` trains it.

`epochs` is a generator of `Epoch` records, each with what a resume needs; saving, printing and
stopping early are the business of the loop that reads them. `terms` measures distortion and rate of
held-out images. Optimisers and schedules are functions that recipes name.
"""

from vaelab.training.checkpoint import DivergenceError, Facts, History, State, Tensors
from vaelab.training.loop import Epoch, batch_sizes, epochs, precision_of
from vaelab.training.ranks import ALONE, Ranks, connected, join
from vaelab.training.schedules import learning_rate, numbers
from vaelab.training.step import Step
from vaelab.training.stopping import best_epoch, counting, exhausted, validated
from vaelab.training.validation import Terms, terms

__all__ = [
    "ALONE",
    "DivergenceError",
    "Epoch",
    "Facts",
    "History",
    "Ranks",
    "State",
    "Step",
    "Tensors",
    "Terms",
    "batch_sizes",
    "best_epoch",
    "connected",
    "counting",
    "epochs",
    "exhausted",
    "join",
    "learning_rate",
    "numbers",
    "precision_of",
    "terms",
    "validated",
]
