"""vaelab: train, measure and look at variational autoencoders.

    >>> import vaelab
    >>> recipe = vaelab.recipe("quickstart", {"train.epochs": 1})
    >>> recipe.model.latent
    2

``vaelab.train(recipe)`` returns a `Run`; ``run.vae`` encodes, decodes, reconstructs and samples; ``vaelab.load``
opens a run folder; ``vaelab.evaluate``, ``vaelab.diagnose`` and ``vaelab.compare`` say what it is worth. What needs
torch is looked up on first use, so ``import vaelab`` does not import it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vaelab.errors import UserError
from vaelab.recipes import Recipe, recipe, study
from vaelab.recipes.table import Row

if TYPE_CHECKING:
    from vaelab.evaluation.doctor import diagnose
    from vaelab.evaluation.evaluate import evaluate
    from vaelab.models import VAE, Draw
    from vaelab.runs import Run, load
    from vaelab.training import Epoch, Step, epochs
    from vaelab.workflows.compare import compare
    from vaelab.workflows.posthoc_prior import fit_prior
    from vaelab.workflows.studies import train_all
    from vaelab.workflows.train import resume, train

__version__ = "0.1.0"
__all__ = [
    "VAE",
    "Draw",
    "Epoch",
    "Recipe",
    "Row",
    "Run",
    "Step",
    "UserError",
    "compare",
    "diagnose",
    "epochs",
    "evaluate",
    "fit_prior",
    "load",
    "recipe",
    "resume",
    "study",
    "train",
    "train_all",
]

_NEED_TORCH = {
    "VAE": "models",
    "Draw": "models",
    "Epoch": "training",
    "Step": "training",
    "epochs": "training",
    "Run": "runs",
    "load": "runs",
    "train": "workflows.train",
    "resume": "workflows.train",
    "train_all": "workflows.studies",
    "compare": "workflows.compare",
    "evaluate": "evaluation.evaluate",
    "diagnose": "evaluation.doctor",
    "fit_prior": "workflows.posthoc_prior",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module 'vaelab' has no attribute {name!r}")
    return getattr(import_module(f"vaelab.{_NEED_TORCH[name]}"), name)
