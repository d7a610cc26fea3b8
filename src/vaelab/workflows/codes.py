"""`codes`: shift and scale of the codes of a run, and how well they decode."""

from __future__ import annotations

import json
from pathlib import Path

from vaelab import devices
from vaelab.data import spread
from vaelab.evaluation import Codes, Evaluator, measured_codes
from vaelab.files import write_atomic
from vaelab.runs import Run
from vaelab.runs import load as load_run
from vaelab.seeding import untouched


def codes(
    run: Run | str | Path,
    *,
    images: int = 0,
    seed: int = 0,
    out: str | Path | None = None,
    code: tuple[str | Path, ...] = (),
) -> dict[str, Codes]:
    """Measure the codes of a run's training images, and of those that its results are measured on.

    Args:
        run: A run or its folder.
        images: The number of images of each, evenly spaced; 0 for all.
        seed: The random seed of the samples of q(z|x).
        out: A file for all numbers, as JSON; None for none.
        code: The Python files that the model may run.

    Returns:
        The codes by the name of the split.
    """
    if isinstance(run, str | Path):
        run = load_run(run, code=code)
    evaluator = Evaluator(run, seed=seed)
    splits = {
        "training": (evaluator.x_train, evaluator.train.y),
        run.data.measured: (evaluator.x_test, evaluator.test.y),
    }
    found = {}
    low, high = run.contract["range"]
    with devices.using(devices.threads(run.recipe.train.threads)[0]), untouched():
        for name, (x, y) in splits.items():
            some = spread(len(x), images or len(x))
            labels = None if y is None else y[some]
            found[name] = measured_codes(evaluator.vae, x[some], labels, (low, high), seed)
    if out:
        write_atomic(Path(out), as_json(found).encode())
    return found


def as_json(found: dict[str, Codes]) -> str:
    """Return all numbers as JSON: split -> name -> [value, standard error]."""
    return json.dumps({name: one.facts() for name, one in found.items()}, indent=2) + "\n"
