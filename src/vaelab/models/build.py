"""From the names in a recipe to a model.

Every part of a model is made by the same rule: it is a class or function, and it gets the arguments
that it names (`inject`). The names that can be asked for are

    every setting of ``[model]``, such as `latent` and `hidden`
    shape, levels, classes   of the data: of one row, of grey (else None), how many (else 0)
    units                    of the data, where they are not those of the networks (else None)
    schema                   the columns of a table that is read by their types (else None)
    size                     L, the dimensions of z as a vector
    inputs, outputs          for a network: what its decoder takes; P, what an element needs
    network, features        for a posterior: its encoder network, the width of what that returns
    network                  for a likelihood: its decoder network
    encoder                  for a prior: the posterior
    prior                    for a posterior: the prior, which is then made first
    vae                      for an objective
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from vaelab import devices
from vaelab.data import Batches, Form, Schema, fits, guess
from vaelab.errors import UserError
from vaelab.models.columns import Features
from vaelab.models.draw import Draw
from vaelab.models.likelihoods import Likelihood, Mixed
from vaelab.models.networks import (
    ConditionalDecoder,
    ConditionalEncoder,
    LogCounts,
    LowestLevel,
    Networks,
)
from vaelab.models.posteriors import Posterior
from vaelab.models.units import Standardised, Units
from vaelab.models.vae import VAE
from vaelab.recipes import NUMBERS, Model, Objective, code, part
from vaelab.recipes.parts import NETWORKS

STARTERS = 2000  # images, at most, that data-dependent initialisation looks at


def inject(part: Callable[..., Any], known: Mapping[str, Any]) -> Any:
    """Call `part` with those of the known values that its arguments name.

    >>> inject(lambda latent, codes: latent * codes, {"latent": 2, "codes": 3, "sigma": 1.0})
    6
    """
    names = _names(part)
    _check_known(part, names, known)
    return part(**{name: known[name] for name in names})


def build(
    settings: Model,
    shape: tuple[int, ...],
    levels: int | None = None,
    classes: Sequence[int] = (),
    units: Units | None = None,
    form: Form | None = None,
    schema: Schema | None = None,
) -> VAE:
    """Build the model that a recipe asks for, in evaluation mode, with weights from torch's current
    generator.

    Args:
        settings: The model section of a recipe.
        shape: The shape of one row of the data.
        levels: The number of grey levels, None for real values.
        classes: The labels that a conditional model will know.
        units: The user's units, where they are not those of the networks (`units_of`).
        form: What a row is; None where the shape tells (`vaelab.data.guess`).
        schema: The columns of a table that is read by their types.

    Raises:
        UserError: If a part does not fit the data, or asks for a value that does not exist.
    """
    _check_form(settings.network, shape, form or guess(shape))
    likelihood = code("model.likelihood", settings.likelihood, Likelihood)
    posterior = code("model.posterior", settings.posterior, Posterior)
    make_prior = code("model.prior", settings.prior, nn.Module)
    if settings.conditional and not classes:
        raise UserError(
            "model.conditional: these data have no labels; add labels y, "
            "or choose another model.variant"
        )
    classes = tuple(sorted(classes)) if settings.conditional else ()
    known: dict[str, Any] = msgspec.structs.asdict(settings)
    known |= {"shape": shape, "levels": levels, "classes": len(classes)}
    known |= {"units": units, "schema": schema}
    known["size"] = inject(posterior.size, known)
    known["inputs"] = inject(posterior.decoded, known) + len(classes)
    known["outputs"] = inject(likelihood.outputs, known)
    networks = (
        _networks(settings.network, known) if schema is None else _of_columns(settings, known)
    )
    encode, decode = _wrapped(networks, likelihood, known)

    for_encoder = {"network": encode, "features": networks.features}
    if "prior" in _names(posterior):
        prior = inject(make_prior, known)
        encoder = inject(posterior, known | for_encoder | {"prior": prior})
        decoder = inject(likelihood, known | {"network": decode})
    else:
        encoder = inject(posterior, known | for_encoder)
        decoder = inject(likelihood, known | {"network": decode})
        prior = inject(make_prior, known | {"encoder": encoder})
    if units is not None and schema is None:
        decoder.units = Units(units.shift.clone(), units.scale.clone())
    return VAE(encoder, decoder, prior, shape, classes)


def _check_form(network: str, shape: tuple[int, ...], form: Form) -> None:
    """Refuse a network that is not made for such data."""
    takes = part("model.network", network).takes
    if form in takes:
        return
    fitting = [name for name, other in NETWORKS.items() if form in other.takes]
    fitting.sort(key=lambda name: len(NETWORKS[name].takes))  # those made for the form first
    other = next((one for one in takes if fits(shape, one)), "")
    raise UserError(
        f"model.network: {network} needs {takes[0]}s, these data are {form}s of shape {shape}; "
        f"set model.network to {' or '.join(fitting)}"
        + (f", or data.form to {other} if they are {other}s" if other else "")
    )


def _networks(name: str, known: Mapping[str, Any]) -> Networks:
    """The encoder and decoder networks of that name; a custom one is tried out on zeros."""
    found = inject(code("model.network", name), known)
    try:
        networks = Networks(found.encoder, found.features, found.decoder)
    except AttributeError as error:
        raise UserError(
            f"model.network: {name}: {error}; "
            "return vaelab.models.Networks(encoder, features, decoder)"
        ) from None
    if ".py:" in name:
        shape, inputs, outputs = known["shape"], known["inputs"], known["outputs"]
        for network, before, after in (
            (networks.encoder, shape, (networks.features,)),
            (networks.decoder, (inputs,), (outputs, *shape)),
        ):
            _check_shapes(name, network, before, after)
    return networks


def _of_columns(settings: Model, known: Mapping[str, Any]) -> Networks:
    """The encoder of features of a row and the decoder to the outputs of its columns."""
    schema = known["schema"]
    inward = {**known, "shape": (Features.width(schema),)}
    outward = {**known, "shape": (Mixed.total(schema),), "outputs": 1}
    encoder = _networks(settings.network, inward)
    decoder = _networks(settings.network, outward)
    return Networks(encoder.encoder, encoder.features, decoder.decoder)


@torch.no_grad()
def _check_shapes(
    name: str, network: nn.Module, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    try:
        found = tuple(network.eval()(torch.zeros(2, *before)).shape)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"model.network: {name}: cannot take shape {(2, *before)} ({error}); "
            "correct it, or set model.network to mlp"
        ) from None
    if found != (2, *after):
        raise UserError(
            f"model.network: {name}: turns shape {(2, *before)} into {found}, not {(2, *after)}; "
            "correct it there"
        )


def _wrapped(
    networks: Networks, likelihood: type[Likelihood], known: Mapping[str, Any]
) -> tuple[nn.Module, nn.Module]:
    """The two networks, given labels, a part or a transformation of their input where the model
    needs that.
    """
    encode, decode = networks.encoder, networks.decoder
    shape, classes, units = known["shape"], known["classes"], known["units"]
    schema = known["schema"]
    if classes:
        seen = shape if schema is None else (Features.width(schema),)
        encode = ConditionalEncoder(encode, seen, classes)
        decode = ConditionalDecoder(decode, classes)
    if known["inputs"] - classes < known["size"]:
        decode = LowestLevel(decode, known["inputs"] - classes)
    if likelihood.support == "counts":
        encode = LogCounts(encode)
    if schema is not None:
        encode = Features(encode, schema, Units(units.shift.clone(), units.scale.clone()))
    elif units is not None:
        encode = Standardised(encode, Units(units.shift.clone(), units.scale.clone()))
    return encode, decode


def support(settings: Model) -> str:
    """Return where the x of a recipe's likelihood lives: unit, real, counts or levels
    (`likelihoods.Support`).
    """
    found: str = code("model.likelihood", settings.likelihood, Likelihood).support
    return found


def start(vae: VAE, images: Batches) -> None:
    """Initialise the parts that have a method `start_from_images` from some of the training images.

    Draws from torch's current generator, if there is such a part.
    """
    begins = [
        begin
        for module in vae.modules()
        if callable(begin := getattr(module, "start_from_images", None))
    ]
    if not begins:
        return
    device, row = images.x.device, images.x[0].numel() * 4
    index = torch.randperm(len(images))[: devices.at_once(row, STARTERS)].to(device)
    stream = torch.Generator(device).manual_seed(int(torch.randint(2**62, ())))
    for begin in begins:
        begin(images(index, stream).cpu())


class Goal(nn.Module):
    """The objective of a recipe: a function of the table, or a module with weights of its own, and
    what it takes.

    The arguments that it names beside the draw are weights of ``[objective]`` at their current,
    scheduled values, and `images`, the number of training images.
    """

    def __init__(self, settings: Objective, vae: VAE) -> None:
        super().__init__()
        found = code("objective.name", settings.name)
        self.function = inject(found, {"vae": vae}) if inspect.isclass(found) else found
        call = self.function.forward if isinstance(self.function, nn.Module) else self.function
        self.asked = [name for name in _names(call) if name != "draw"]
        _check_known(found, self.asked, (*NUMBERS, "images"))

    def forward(self, draw: Draw, numbers: Mapping[str, float]) -> Tensor:
        """Return nats per image (B,), to be maximised, less the posterior's penalty."""
        value: Tensor = self.function(draw, **{name: numbers[name] for name in self.asked})
        return value if draw.penalty is None else value - draw.penalty


def _names(part: Callable[..., Any]) -> list[str]:
    return [*inspect.signature(part).parameters]


def _check_known(part: Callable[..., Any], names: Iterable[str], known: Iterable[str]) -> None:
    for name in names:
        if name not in known:
            title = getattr(part, "__name__", "a part")
            raise UserError(
                f"{title}: asks for {name!r}, which does not exist; "
                f"name its arguments from {', '.join(known)}"
            )
