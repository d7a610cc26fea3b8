"""vaelab trains, evaluates and shows variational autoencoders.

    >>> import vaelab
    >>> recipe = vaelab.recipe("quickstart", {"train.epochs": 1})
    >>> recipe.model.latent
    2

`train` trains a recipe and returns a `Run`, `load` opens a run folder, a model card or a .zip of
either; ``run.vae`` encodes, decodes, reconstructs and samples. `evaluate`, `diagnose`, `compare`
and `codes` measure runs, `write_report` shows them on a page, `explore` shows a latent space,
`write_card` writes a folder to share, `export_model` files for other programs, `fit_prior` improves
the samples of a run. `sweep` trains many settings and seeds at the same time. `Step` and `epochs`
are the training loop without a run folder. Names that need torch are imported when they are first
used, so ``import vaelab`` is quick.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaelab import recipes
from vaelab.errors import UserError
from vaelab.recipes import Code, Recipe, Row

if TYPE_CHECKING:
    from vaelab.evaluation.doctor import diagnose
    from vaelab.models import VAE, Draw
    from vaelab.report.explorer import explore
    from vaelab.runs import Run, load
    from vaelab.tracking import Tracker
    from vaelab.training import Epoch, Step, epochs
    from vaelab.workflows.card import write_card
    from vaelab.workflows.codes import codes
    from vaelab.workflows.compare import compare
    from vaelab.workflows.evaluate import evaluate
    from vaelab.workflows.export import export_model
    from vaelab.workflows.fitting import recipe_for
    from vaelab.workflows.impute import impute
    from vaelab.workflows.pack import pack
    from vaelab.workflows.posthoc_prior import fit_prior
    from vaelab.workflows.report import write_report
    from vaelab.workflows.sample import sample_rows
    from vaelab.workflows.score import score
    from vaelab.workflows.score_steps import score_steps
    from vaelab.workflows.studies import train_all
    from vaelab.workflows.sweep import Sweep, sweep
    from vaelab.workflows.track import track
    from vaelab.workflows.train import resume, train

__version__ = "0.2.0"
__all__ = [
    "VAE",
    "Draw",
    "Epoch",
    "Recipe",
    "Row",
    "Run",
    "Step",
    "Sweep",
    "Tracker",
    "UserError",
    "codes",
    "compare",
    "diagnose",
    "epochs",
    "evaluate",
    "explore",
    "export_model",
    "fit_prior",
    "impute",
    "load",
    "pack",
    "recipe",
    "recipe_for",
    "resume",
    "sample_rows",
    "score",
    "score_steps",
    "study",
    "sweep",
    "track",
    "train",
    "train_all",
    "write_card",
    "write_report",
]

_NEED_TORCH = {
    "VAE": "models",
    "Draw": "models",
    "Epoch": "training",
    "Step": "training",
    "epochs": "training",
    "Run": "runs",
    "load": "runs",
    "Tracker": "tracking",
    "track": "workflows.track",
    "train": "workflows.train",
    "resume": "workflows.train",
    "train_all": "workflows.studies",
    "Sweep": "workflows.sweep",
    "sweep": "workflows.sweep",
    "codes": "workflows.codes",
    "compare": "workflows.compare",
    "evaluate": "workflows.evaluate",
    "export_model": "workflows.export",
    "diagnose": "evaluation.doctor",
    "fit_prior": "workflows.posthoc_prior",
    "impute": "workflows.impute",
    "recipe_for": "workflows.fitting",
    "sample_rows": "workflows.sample",
    "score": "workflows.score",
    "score_steps": "workflows.score_steps",
    "explore": "report.explorer",
    "pack": "workflows.pack",
    "write_card": "workflows.card",
    "write_report": "workflows.report",
}


def recipe(
    name: str | Path, overrides: Mapping[str, Any] | None = None, *, code: Code = ()
) -> Recipe:
    """Read the recipe of a built-in name or of a TOML file, and apply `overrides` to it.

    ``data.source`` may be a pandas data frame or an array: it is kept as a file in the cache folder
    under the hash of its content, and the recipe names that file.

    Args:
        name: A built-in recipe (`vaelab list recipes`), or the path of a TOML file.
        overrides: Settings such as ``{"train.epochs": 40}``.
        code: The Python files that the recipe may run; those in `overrides` may run anyway.

    Raises:
        UserError: A name, type, value or combination is not valid, or the recipe trains several
            runs (that is a `study`).
    """
    return recipes.recipe(name, _with_file(overrides), code=code)


def study(
    name: str | Path, overrides: Mapping[str, Any] | None = None, *, code: Code = ()
) -> dict[str, Recipe]:
    """Read the runs of a recipe by name: one for most, several where it has ``[runs.NAME]`` tables.

    A ``[runs.NAME]`` table has precedence over the rest of the file, `overrides` over both; the
    arguments are those of `recipe`.
    """
    return recipes.study(name, _with_file(overrides), code=code)


def _with_file(overrides: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The same settings with a path for data in memory."""
    source = (overrides or {}).get("data.source", "")
    if isinstance(source, str):
        return overrides
    if not isinstance(source, Path):
        source = import_module("vaelab.data.stored").stored(source)
    return {**(overrides or {}), "data.source": str(source)}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module 'vaelab' has no attribute {name!r}")
    collecting = gc.isenabled()
    gc.disable()  # an import makes no garbage, and looking for it takes a sixth of the time
    try:
        return getattr(import_module(f"vaelab.{_NEED_TORCH[name]}"), name)
    finally:
        if collecting:
            gc.enable()
