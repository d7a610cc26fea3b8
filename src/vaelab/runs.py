"""The run folder: all that a run leaves behind, and the only thing that anything after training needs.

    recipe.toml         the resolved recipe, every setting spelled out
    environment.json    versions, threads, device and command
    metrics.jsonl       a line an epoch, in nats per image; nothing in it depends on the clock
    times.jsonl         seconds an epoch, and the memory that training takes, see machine.peak_memory
    best.safetensors    the weights of the best epoch by the beta = 1 validation value (of the last, without validation)
    last.pt             everything needed to go on; tensors and plain values only, loads with weights_only=True
    results.json        the best weights on the test images; there once the run is finished
    evaluation*.json    what `vaelab evaluate` found, and evaluation*.npz: image by image
    figures/            the pictures

Every file is written beside its place and moved there whole, so a kill at any moment leaves the old one or the new one.
"""

from __future__ import annotations

import io
import json
import shutil
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from vaelab.data import Dataset
from vaelab.data import load as load_data
from vaelab.errors import UserError
from vaelab.files import write_atomic
from vaelab.models.build import build
from vaelab.models.core import VAE
from vaelab.recipes import Recipe, parse, to_toml
from vaelab.seeding import untouched
from vaelab.training import Facts, History, State, Tensors

FORMAT = 1  # of best.safetensors and last.pt; raised when an older vaelab could no longer read them
FILES = (
    "recipe.toml",
    "environment.json",
    "metrics.jsonl",
    "times.jsonl",
    "best.safetensors",
    "last.pt",
    "results.json",
)
EXPORTS = tuple(
    f"{name}{ending}" for name in ("samples", "reconstructions") for ending in (".png", ".npy")
)


class Run:
    """A run folder, opened. `vae` is the best model, ready for use on the CPU."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, recipe {self.recipe.name!r})"

    @cached_property
    def vae(self) -> VAE:
        """The model with the weights of best.safetensors, in evaluation mode."""
        path = self.folder / "best.safetensors"
        with untouched():  # its first weights are drawn, only to be replaced
            contract = self.contract
            vae = build(
                self.recipe.model,
                tuple(contract["shape"]),
                contract["levels"],
                contract.get("classes", ()),
            )
        try:
            vae.load_state_dict(safetensors.torch.load_file(path))
        except (RuntimeError, OSError, safetensors.SafetensorError):
            raise UserError(
                f"{path}: does not fit {self.folder / 'recipe.toml'}; restore the two together"
            ) from None
        return vae.eval()

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What the weights in best.safetensors are for: shape, range and classes of the data; and their epoch."""
        path = self.folder / "best.safetensors"
        if not path.exists():
            raise UserError(
                f"{path}: is missing; no epoch was finished here yet: vaelab train --resume {self.folder}"
            )
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                contract: dict[str, Any] = json.loads(file.metadata()["vaelab"])
            foreign = contract["format"] != FORMAT
        except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError):
            foreign = True
        if foreign:
            raise UserError(
                f"{path}: holds no weights that this vaelab wrote, or is truncated; restore it or train anew"
            )
        return contract

    @cached_property
    def data(self) -> Dataset:
        """The data of the run, split as in its training; read once."""
        return load_data(self.recipe.data)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes by label, empty where labels are plain numbers."""
        return tuple(self.contract.get("class_names", ()))

    @property
    def history(self) -> History:
        """metrics.jsonl: one dictionary an epoch."""
        return self._lines("metrics.jsonl")

    @property
    def environment(self) -> Facts:
        """environment.json; empty where it is missing or damaged, because no result depends on it."""
        try:
            found = json.loads((self.folder / "environment.json").read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def times(self) -> list[dict[str, float]]:
        """times.jsonl: seconds an epoch. Nothing depends on them, so they may be missing or damaged: then none."""
        try:
            return self._lines("times.jsonl")
        except UserError:
            return []

    @property
    def results(self) -> dict[str, Any]:
        """results.json: distortion and rate of the best weights on the test images."""
        lines = self._lines("results.json")
        return lines[0]

    @property
    def finished(self) -> bool:
        return (self.folder / "results.json").exists()

    def write(self, name: str, payload: bytes) -> Path:
        """Write one file of the run, whole or not at all."""
        return write_atomic(self.folder / name, payload)

    def write_lines(self, name: str, rows: Sequence[dict[str, Any]]) -> None:
        self.write(name, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def reopen(self, recipe: Recipe) -> Run:
        """The same folder with more to do: its recipe is replaced and it counts as unfinished."""
        (self.folder / "results.json").unlink(missing_ok=True)
        run = Run(self.folder, recipe)
        run.write("recipe.toml", to_toml(recipe).encode())
        return run

    def save_best(self, vae: VAE, epoch: int, data: Dataset) -> None:
        """The weights, and what they are for, whatever code reads them later."""
        contract = {
            "format": FORMAT,
            "shape": vae.shape,
            "levels": data.levels,
            "range": data.span(self.recipe.data.treatment),
            "display": data.display(self.recipe.data.treatment),
            "classes": vae.classes.tolist(),
            "epoch": epoch,
        }
        weights = {name: tensor.contiguous().cpu() for name, tensor in vae.state_dict().items()}
        # One key: safetensors writes several in an order that changes from time to time.
        self.write(
            "best.safetensors", safetensors.torch.save(weights, {"vaelab": json.dumps(contract)})
        )

    def save_state(self, tensors: Tensors, facts: Facts) -> None:
        """last.pt: a flat dictionary of tensors, and all else as JSON under "facts".

        Flat, because pickle writes one object met twice otherwise than two equal ones, and so the same state after a
        resume would be other bytes.
        """
        facts = {"format": FORMAT, "recipe": to_toml(self.recipe)} | facts
        buffer = io.BytesIO()
        torch.save(
            {name: tensor.cpu().clone() for name, tensor in tensors.items()}
            | {"facts": json.dumps(facts)},
            buffer,
        )
        self.write("last.pt", buffer.getvalue())

    def state(self) -> State | None:
        """What last.pt holds, on the CPU; None where training has not got so far yet."""
        path = self.folder / "last.pt"
        if not path.exists():
            if (self.folder / "metrics.jsonl").exists():
                raise UserError(
                    f"{path}: is missing, so the run cannot go on; restore it, or train anew with --overwrite"
                )
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what torch says of a foreign pickle is said below
                tensors = torch.load(path, map_location="cpu", weights_only=True)
            facts = json.loads(tensors.pop("facts"))
            foreign = facts["format"] != FORMAT or not all(
                isinstance(t, torch.Tensor) for t in tensors.values()
            )
        except Exception:  # torch's reader raises whatever a damaged pickle makes it run into
            foreign = True
        if foreign:
            raise UserError(
                f"{path}: is no state that this vaelab wrote, or is truncated; restore it, or train anew"
            )
        return tensors, facts

    def _lines(self, name: str) -> list[dict[str, Any]]:
        path = self.folder / name
        if not path.exists():
            raise UserError(
                f"{path}: is missing; write it again with vaelab train --resume {self.folder}"
            )
        try:
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        except (OSError, ValueError):
            rows = []
        if not rows or not all(isinstance(row, dict) for row in rows):
            raise UserError(
                f"{path}: is truncated or no file of vaelab's; restore it or train anew with --overwrite"
            )
        return rows


def load(folder: str | Path) -> Run:
    """Open a run folder.

    Raises `UserError` where the folder holds no run, or where one of its files is missing, truncated or foreign.
    """
    folder = Path(folder)
    path = folder / "recipe.toml"
    try:
        if not folder.is_dir():
            raise UserError(f"{folder}: there is no such run folder; vaelab train makes one")
        if not path.is_file():
            inner = sorted(inside.parent.name for inside in folder.glob("*/recipe.toml"))
            hint = (
                f"it holds the runs {', '.join(inner)}: name one, as {folder / inner[0]}"
                if inner
                else "check the path"
            )
            raise UserError(f"{path}: is missing, so {folder} is no run; {hint}")
        return Run(folder, parse(path.read_text("utf-8"), str(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); restore it, or check the path"
        ) from None


def check_free(folder: Path, overwrite: bool) -> None:
    """Raise `UserError` where a run must not begin: in a run, unless told to overwrite, and in a foreign folder."""
    if not folder.is_dir():
        return
    if (folder / "recipe.toml").exists():
        begun = {
            "recipe.toml",
            "environment.json",
        }  # with no more than these there is nothing to lose
        if not overwrite and any((folder / name).exists() for name in FILES if name not in begun):
            raise UserError(
                f"{folder}: holds a run already; continue it with vaelab train --resume {folder}, "
                "replace it with --overwrite, or choose another --out"
            )
    elif any(not inside.name.startswith(".") for inside in folder.iterdir()):
        raise UserError(f"{folder}: holds files that are no run; choose an empty folder with --out")


def create(folder: Path, recipe: Recipe, overwrite: bool = False) -> Run:
    """Begin a run in an empty folder, or in place of an earlier run where told to overwrite."""
    check_free(folder, overwrite)
    shutil.rmtree(folder / "figures", ignore_errors=True)
    for path in (
        path for ending in ("json", "npz") for path in folder.glob(f"evaluation*.{ending}")
    ):
        path.unlink()
    for name in (
        *EXPORTS,
        *reversed(FILES),
    ):  # recipe.toml last: as long as it is there the folder is known as a run
        (folder / name).unlink(missing_ok=True)
    run = Run(folder, recipe)
    run.write("recipe.toml", to_toml(recipe).encode())
    return run
