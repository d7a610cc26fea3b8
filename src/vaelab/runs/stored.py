"""What the files of a run hold: their forms, their checksums, and what is said of a damaged one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from msgspec import Meta, Struct

from vaelab.data import Form, Schema
from vaelab.errors import UserError
from vaelab.files import FORMAT
from vaelab.training import History, Tensors

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


def unusable(path: Path, error: Exception) -> UserError:
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
