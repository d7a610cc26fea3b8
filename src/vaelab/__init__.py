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
from vaelab.recipe import Recipe, recipe, study
from vaelab.zoo import Row

if TYPE_CHECKING:
    from vaelab.comparison import compare
    from vaelab.core import VAE, Draw
    from vaelab.evaluation.doctor import diagnose
    from vaelab.evaluation.whole import evaluate
    from vaelab.refit import fit_prior
    from vaelab.run import Run, load
    from vaelab.side_by_side import train_all
    from vaelab.training import resume, train

__version__ = "0.1.0"
__all__ = [
    "VAE",
    "Draw",
    "Recipe",
    "Row",
    "Run",
    "UserError",
    "compare",
    "diagnose",
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
    "VAE": "core",
    "Draw": "core",
    "Run": "run",
    "load": "run",
    "train": "training",
    "resume": "training",
    "train_all": "side_by_side",
    "compare": "comparison",
    "evaluate": "evaluation.whole",
    "diagnose": "evaluation.doctor",
    "fit_prior": "refit",
}


def __getattr__(name: str) -> Any:
    if name not in _NEED_TORCH:
        raise AttributeError(f"module 'vaelab' has no attribute {name!r}")
    return getattr(import_module(f"vaelab.{_NEED_TORCH[name]}"), name)
