"""The run folder: everything that a run leaves behind, and all that later commands need.

    recipe.toml         the resolved recipe with every setting spelled out
    environment.json    versions, threads, device and command
    metrics.jsonl       one line per epoch, in nats per image; independent of the clock
    times.jsonl         seconds per epoch, and the peak memory of training
    best.safetensors    the weights of the best epoch (without validation: of the last one)
    last.pt             the state that a resume needs: tensors and JSON, read as plain data
    results.json        the best weights on the test images; its presence marks a finished run
    fit-prior.json      only where the prior was fitted after the training: to which run
    evaluation*.json    what `vaelab evaluate` measured, and evaluation*.npz: per image
    figures/            the figures
    .vaelab             the list of all these files: what vaelab wrote, and so may delete

Every file is replaced atomically, so a kill at any moment leaves the old one or the new one.
Opening a run executes nothing that its files contain or name.
"""

from vaelab.files import FORMAT
from vaelab.runs.card import EXPLORER, REPORT
from vaelab.runs.folders import FILES, check_free, create, default_folder, load, recover
from vaelab.runs.run import FITTED, Run
from vaelab.runs.shared import CONFIG, WEIGHTS, is_card
from vaelab.runs.stored import checksum

__all__ = [
    "CONFIG",
    "EXPLORER",
    "FILES",
    "FITTED",
    "FORMAT",
    "REPORT",
    "WEIGHTS",
    "Run",
    "check_free",
    "checksum",
    "create",
    "default_folder",
    "is_card",
    "load",
    "recover",
]
