"""From the names in a recipe to a model: the parts of the table are looked up and given what they ask for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from vaelab.data import Batches
from vaelab.errors import UserError
from vaelab.models import networks
from vaelab.models.core import VAE, Draw
from vaelab.models.likelihoods import Likelihood
from vaelab.models.posteriors import Posterior
from vaelab.recipes import NUMBERS, Model, Objective, code

STARTERS = 2000  # images shown to the parts that begin near the data


def build(
    settings: Model, shape: tuple[int, ...], levels: int | None = None, classes: Sequence[int] = ()
) -> VAE:
    """The model that a recipe asks for, freshly initialised from torch's global generator.

    `shape` and `levels` are those of the data (`data.Dataset`); a conditional model needs the labels it will know.
    """
    if settings.conditional and not classes:
        raise UserError(
            "model.conditional: these data have no labels; add labels y, or choose another model.variant"
        )
    classes = tuple(sorted(classes)) if settings.conditional else ()
    likelihood = code("model.likelihood", settings.likelihood, Likelihood)
    posterior = code("model.posterior", settings.posterior, Posterior)
    prior = code("model.prior", settings.prior, nn.Module)
    known: dict[str, Any] = msgspec.structs.asdict(settings) | {
        "shape": shape, "levels": levels, "classes": len(classes)
    }  # fmt: skip
    known["size"] = supply(posterior.size, known)  # of z, as a vector
    inputs = supply(posterior.decoded, known)  # how much of it the decoder sees
    encode, features, decode = code("model.network", settings.network)(
        settings, shape, inputs + len(classes), supply(likelihood.outputs, known)
    )
    if classes:
        encode, decode = (
            networks.SeesLabel(encode, shape, len(classes)),
            networks.JoinsLabel(decode, len(classes)),
        )
    if inputs < known["size"]:
        decode = networks.First(decode, inputs)
    if likelihood.support == "counts":
        encode = networks.OfCounts(encode)
    encoder = supply(posterior, known | {"network": encode, "features": features})
    decoder = supply(likelihood, known | {"network": decode})
    return VAE(encoder, decoder, supply(prior, known | {"encoder": encoder}), shape, classes)


def support(settings: Model) -> str:
    """Where the x of a recipe's likelihood lives: unit, real, counts or levels (see `likelihoods.Support`)."""
    found: str = code("model.likelihood", settings.likelihood, Likelihood).support
    return found


def start(vae: VAE, images: Batches) -> None:
    """Let the parts that begin near the data see some of it: at most STARTERS images."""
    parts = [
        begin for m in vae.modules() if callable(begin := getattr(m, "start_from_images", None))
    ]
    if not parts:  # images take memory
        return
    device = images.x.device
    index = torch.randperm(len(images))[:STARTERS].to(device)
    chance = torch.Generator(device).manual_seed(int(torch.randint(2**62, ())))
    for begin in parts:
        begin(images(index, chance).cpu())


class Goal(nn.Module):
    """The objective of a recipe: a function of the table, or a module with weights of its own, and what it asks for."""

    def __init__(self, settings: Objective, vae: VAE) -> None:
        super().__init__()
        found = code("objective.name", settings.name)
        self.function = supply(found, {"vae": vae}) if inspect.isclass(found) else found
        call = self.function.forward if isinstance(self.function, nn.Module) else self.function
        self.asked = [name for name in inspect.signature(call).parameters if name != "draw"]
        _check_known(found, self.asked, (*NUMBERS, "images"))

    def forward(self, draw: Draw, numbers: Mapping[str, float]) -> Tensor:
        """Nats per image (B,), to be maximised, less the posterior's penalty; `numbers` as they are now."""
        value: Tensor = self.function(draw, **{name: numbers[name] for name in self.asked})
        return value - draw.penalty


def supply(part: Callable[..., Any], known: Mapping[str, Any]) -> Any:
    """Call `part` with those of the known things that its arguments name.

    >>> supply(lambda latent, codes: latent * codes, {"latent": 2, "codes": 3, "sigma": 1.0})
    6
    """
    names = inspect.signature(part).parameters
    _check_known(part, names, known)
    return part(**{name: known[name] for name in names})


def _check_known(part: Callable[..., Any], names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            title = getattr(part, "__name__", "a part")
            raise UserError(
                f"{title}: there is nothing called {name!r} to give it; there are {', '.join(known)}"
            )
