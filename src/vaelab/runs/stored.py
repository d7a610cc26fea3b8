"""What the files of a run hold: their forms, their checksums, and what is said of a damaged one."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Annotated, Any

import msgspec
import safetensors.torch
import torch
from msgspec import Meta, Struct

from vaelab.data import Dataset, Form, Schema, guess
from vaelab.errors import UserError
from vaelab.files import FORMAT, opened
from vaelab.models import VAE, build, units_of
from vaelab.recipes import Recipe
from vaelab.seeding import seeded
from vaelab.training import Facts, History, State, Tensors

FIRST = 1  # of vaelab 0.1.0, without checksums; of it the weights are read, but not the state
AGAIN = "restore it from a copy, or train again with --overwrite"

# What is checked of a file before anything is made of it. It may hold more.
Size = Annotated[int, Meta(ge=1)]
Row = dict[str, float | dict[str, float]]


class Contract(Struct):
    format: int
    shape: tuple[Size, ...]
    levels: int | None
    range: tuple[float, float]
    display: tuple[float, float]
    classes: tuple[int, ...]
    epoch: int
    class_names: tuple[str, ...] = ()
    schema: Schema | None = None
    form: Form | None = None  # None in runs of earlier versions: the shape tells


class StateFacts(Struct):
    format: int
    recipe: str
    history: list[Row]
    step: int
    data: str
    device: str
    threads: int


class Results(Struct):
    loss: float
    distortion: float
    rate: float
    epoch: int
    images: int
    unit: str
    parameters: int
    prior_gain: tuple[float, float] = (0.0, 0.0)


class Environment(Struct):
    command: list[str] = []
    packages: dict[str, str] = {}
    device: str = ""
    processor: str = ""
    products: str = ""
    threads: int = 0


class Time(Struct):
    epoch: int
    seconds: float
    peak_mib: float = 0.0


class OlderError(Exception):
    """The file has the form of an earlier vaelab."""


def packed(vae: VAE, recipe: Recipe, data: Dataset, epoch: int) -> bytes:
    """Return the file of the weights, with what a reader must know to use them: the contract."""
    weights = {name: tensor.contiguous().cpu() for name, tensor in vae.state_dict().items()}
    contract = {
        "format": FORMAT,
        "shape": vae.shape,
        "levels": data.levels,
        "range": data.span(recipe.data.treatment),
        "display": data.display(recipe.data.treatment),
        "classes": vae.classes.tolist(),
        "class_names": data.class_names,
        "form": data.form,
        "epoch": epoch,
        "schema": msgspec.to_builtins(data.schema),
    }
    contract["checksum"] = checksum(weights, json.dumps(contract))
    # One key: safetensors writes several in an order that changes from time to time.
    return safetensors.torch.save(weights, {"vaelab": json.dumps(contract)})


def read_weights(path: Path, missing: str, shown: Path) -> tuple[Facts, Tensors]:
    """Return contract and weights of a file of weights.

    `missing` is the remedy where there is no such file, `shown` its path in messages.
    """
    with opened(path, missing, shown) as file:
        content = file.read()
    try:
        return unpacked(content)
    except Exception as error:  # whatever the readers raise for a damaged file
        raise _unusable(shown, error) from None


def unpacked(content: bytes) -> tuple[Facts, Tensors]:
    """Return contract and weights from the content of a file, verified by its checksum.

    Raises whatever its readers raise where it is damaged.
    """
    end = 8 + int.from_bytes(content[:8], "little")  # of the header, which is JSON
    contract: Facts = json.loads(json.loads(content[8:end])["__metadata__"]["vaelab"])
    weights = safetensors.torch.load(content)
    if contract["format"] == FIRST and "checksum" not in contract:
        contract = {"classes": [], "display": contract["range"]} | contract
        msgspec.convert(contract, Contract)
    else:
        verify(contract, weights, Contract)
    return contract, weights


def rebuilt(recipe: Recipe, contract: Facts, weights: Tensors) -> VAE:
    """Return the model of a recipe with these weights, in evaluation mode.

    Raises RuntimeError where they do not fit.
    """
    shape = tuple(contract["shape"])
    schema = msgspec.convert(contract.get("schema"), Schema | None)
    kind = (contract.get("form") or guess(shape), schema)
    units = units_of(recipe.data, shape, None, None, *kind)
    with seeded(0, "weights"):  # the initial weights are random, and replaced
        vae = build(recipe.model, shape, contract["levels"], contract["classes"], units, *kind)
    vae.load_state_dict(weights)
    return vae


def upgraded(contract: Facts, weights: Tensors, scale: float) -> tuple[Facts, Tensors]:
    """Return what vaelab 0.1.0 stored, in today's form.

    The data were divided by `scale` (data.scale) before they came to the model, of which it is a
    part today.
    """
    spans = {key: [end * scale for end in contract[key]] for key in ("range", "display")}
    if scale != 1:
        inner = {
            name.replace("encoder.network.", "encoder.network.network."): tensor
            for name, tensor in weights.items()
        }
        units = {"shift": torch.zeros(()), "scale": torch.tensor(scale, dtype=torch.float32)}
        weights = inner | {
            f"{owner}.units.{name}": tensor
            for owner in ("encoder.network", "decoder")
            for name, tensor in units.items()
        }
    return contract | spans | {"format": FORMAT}, weights


def state_content(tensors: Tensors, facts: Facts) -> dict[str, Any]:
    """Return what last.pt holds: tensors, and facts with a checksum of both as JSON.

    A tensor that is a view of a larger one is copied: torch.save would write all of the other.
    """
    own = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
    own = {
        name: tensor if tensor.untyped_storage().nbytes() == tensor.nbytes else tensor.clone()
        for name, tensor in own.items()
    }
    stamped: Facts = {"format": FORMAT, **facts}
    stamped["checksum"] = checksum(own, json.dumps(stamped))
    return own | {"facts": json.dumps(stamped)}


def read_state(path: Path) -> State:
    """Return what last.pt holds, on the CPU, verified by its checksum."""
    with opened(path, f"the run cannot continue without it; {AGAIN}") as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch's about a foreign pickle
                tensors = torch.load(file, map_location="cpu", weights_only=True)
            facts: Facts = json.loads(tensors.pop("facts"))
            verify(facts, tensors, StateFacts)
        except Exception as error:  # torch's reader raises whatever a damaged pickle causes
            raise _unusable(path, error) from None
    return tensors, facts


def _unusable(path: Path, error: Exception) -> UserError:
    """What is said of a binary file that could not be read."""
    if isinstance(error, OlderError):
        remedy = "open it with that version, or train again"
        return UserError(f"{path}: was written by an older vaelab; {remedy}")
    return UserError(f"{path}: is damaged, or not written by vaelab; {AGAIN}")


def verify(facts: dict[str, Any], tensors: Tensors, form: type[Struct]) -> None:
    """Raise where facts and tensors are not those that were saved together."""
    if facts["format"] != FORMAT:
        raise OlderError
    found = facts.pop("checksum")
    if found != checksum(tensors, json.dumps(facts)):
        raise ValueError("checksum")
    msgspec.convert(facts, form)


def checksum(tensors: Tensors, text: str = "") -> str:
    """A hash of names, types, shapes and values of tensors on the CPU, and of a text."""
    digest = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def is_history(rows: History) -> bool:
    """Whether rows of the right form are those of epochs 1, 2, ... with the same entries each."""
    for epoch, row in enumerate(rows, 1):
        splits = {name: value for name, value in row.items() if isinstance(value, dict)}
        if (
            row.keys() != rows[0].keys()
            or not {"epoch", "beta", "learning_rate", "train"} <= row.keys()
            or row["epoch"] != epoch
            or splits.keys() != row.keys() & {"train", "validation", "test"}
            or not all(split.keys() >= {"loss", "distortion", "rate"} for split in splits.values())
        ):
            return False
    return bool(rows)
