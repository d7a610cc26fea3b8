"""`Run`: an opened run folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import torch

import vaelab  # the front door to lower rooms, which import this one
from vaelab.data import Dataset, Form, Schema, guess
from vaelab.data import load as load_data
from vaelab.errors import UserError, quoted
from vaelab.files import FORMAT, Payload, note, opened, put, remove_scratch
from vaelab.language import Lang
from vaelab.models import VAE
from vaelab.recipes import Recipe, files_of, to_toml
from vaelab.runs.archives import origin
from vaelab.runs.card import card
from vaelab.runs.shared import CONFIG, WEIGHTS, closed, is_card
from vaelab.runs.stored import (
    Environment,
    Results,
    Row,
    Time,
    is_history,
    packed,
    read_state,
    read_weights,
    rebuilt,
    state_content,
    upgraded,
)
from vaelab.training import Facts, History, State, Tensors

FITTED = "fit-prior.json"


class Run:
    """An opened run folder. `vae` is the model with the best weights, in evaluation mode.

    The folder may also be a model card, or one that a .zip was unpacked into; both are only read.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder, self.recipe = folder, recipe

    def __repr__(self) -> str:
        return f"Run({str(self.origin)!r}, recipe {self.recipe.name!r})"

    def __reduce__(self) -> tuple[type[Run], tuple[Path, Recipe]]:
        """Another process reads the folder again."""
        return Run, (self.folder, self.recipe)

    def _repr_html_(self) -> str:
        """Return what a notebook shows of the run."""
        return card(self.folder, self.recipe, self.results if self.finished else {})

    # --- what was trained

    @cached_property
    def vae(self) -> VAE:
        """The model with the best weights, in evaluation mode."""
        try:
            return rebuilt(self.recipe, *self._best)
        except RuntimeError:
            recipe = self._shown(CONFIG if is_card(self.folder) else "recipe.toml")
            raise UserError(
                f"{self._shown(self.weights.name)}: does not fit {recipe} or the Python files it "
                "names; restore what was changed"
            ) from None

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What the best weights are for: the shape and values of the data; the epoch."""
        return self._best[0]

    @property
    def form(self) -> Form:
        """What the rows of the data are: images, signals or rows of a table."""
        found: Form | None = self.contract.get("form")
        return found or guess(tuple(self.contract["shape"]))

    @cached_property
    def schema(self) -> Schema | None:
        """The columns of the table, if it was read by their types."""
        return msgspec.convert(self.contract.get("schema"), Schema | None)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes by label, empty where labels are plain numbers."""
        return tuple(self.contract.get("class_names", ()))

    @cached_property
    def data(self) -> Dataset:
        """The data of the run, split as in its training; read once."""
        try:
            return load_data(self.recipe.data).in_memory()
        except UserError as error:
            if is_card(self.folder):
                raise UserError(f"{error} (a model card holds no data)") from None
            raise

    @cached_property
    def unread(self) -> str:
        """Why the data cannot be read, "" where they can."""
        try:
            self.data  # noqa: B018  # reads the data, or raises
        except UserError as error:
            return str(error)
        return ""

    @property
    def weights(self) -> Path:
        """The file of the best weights."""
        return self.folder / (WEIGHTS if is_card(self.folder) else "best.safetensors")

    @cached_property
    def _best(self) -> tuple[dict[str, Any], Tensors]:
        """Contract and weights of the best epoch, verified by their checksum."""
        contract, weights = read_weights(
            self.weights, self._weights_again, self._shown(self.weights.name)
        )
        if contract["format"] < FORMAT:
            return upgraded(contract, weights, self.recipe.data.scale)
        return contract, weights

    def explore(
        self,
        other: Run | str | Path | None = None,
        *,
        points: int = 10_000,
        lang: Lang | None = None,
    ) -> Any:
        """Return the latent explorer of the run; a notebook shows it in the cell.

        Args:
            other: A second run of the same data, beside it.
            points: The number of test images at most.
            lang: The language in which the page opens; None for that of the figures.
        """
        return vaelab.explore(self, other, points=points, lang=lang)

    def score(self, data: Any, **options: Any) -> Any:
        """Return how odd each row is (`vaelab.score`); for a data frame as a data frame."""
        found = vaelab.score(self, data, **options)
        return found.frame() if hasattr(data, "iloc") else found

    def impute(self, data: Any, **options: Any) -> Any:
        """Return `vaelab.impute`; for a data frame one or, with `draws`, a list of them."""
        found = vaelab.impute(self, data, **options)
        if hasattr(data, "iloc"):
            return found.frames() if found.multiple else found.frames()[0]
        return found

    def sample(self, n: int, *, seed: int = 0, label: int | None = None) -> Any:
        """Return n samples: of a table a data frame (`vaelab.sample_rows`), else E[x|z]."""
        if self.schema is not None:
            return vaelab.sample_rows(self, n, seed=seed, label=label).frame()
        return self.vae.sample(n, seed, label)

    # --- how it went

    @property
    def history(self) -> History:
        """metrics.jsonl: one dictionary per epoch."""
        rows = self._lines("metrics.jsonl", Row)
        if not is_history(rows):
            raise self._damaged("metrics.jsonl")
        return rows

    @property
    def times(self) -> list[dict[str, float]]:
        """times.jsonl: seconds per epoch; empty where the file is missing or damaged.

        Nothing depends on them.
        """
        try:
            return self._lines("times.jsonl", Time)
        except UserError:
            return []

    @property
    def environment(self) -> Facts:
        """environment.json; empty where it is missing or damaged, as no result depends on it."""
        try:
            found: Facts = json.loads((self.folder / "environment.json").read_bytes())
            msgspec.convert(found, Environment)
        except (OSError, ValueError, RecursionError, msgspec.ValidationError):
            return {}
        return found

    @property
    def results(self) -> dict[str, Any]:
        """results.json: distortion and rate of the best weights on the test images."""
        rows = self._lines("results.json", Results)
        if len(rows) != 1:
            raise self._damaged("results.json")
        return rows[0]

    @property
    def finished(self) -> bool:
        """Whether the run was trained to its end and measured."""
        return (self.folder / "results.json").is_file()

    @property
    def _weights_again(self) -> str:
        """The remedy for missing weights: training goes on only where no epoch was finished yet."""
        if closed(self.folder):
            return "get another copy of it"
        if (self.folder / FITTED).exists():
            return "run vaelab fit-prior again"
        if not (self.folder / "metrics.jsonl").exists():
            return f"no epoch was finished yet: {self.resume_command}"
        recipe, folder = quoted(self.folder / "recipe.toml"), quoted(self.folder)
        command = f"vaelab train {recipe} --out {folder} --overwrite{self._code}"
        return f"restore it from a copy, or train again: {command}"

    @property
    def origin(self) -> Path:
        """What the user named: the folder, or the .zip that it was unpacked from."""
        return origin(self.folder)

    def _shown(self, name: str) -> Path:
        """The path of a file in messages."""
        return self.origin / name

    @property
    def resume_command(self) -> str:
        """The command that continues this run, to be pasted into a shell."""
        return f"vaelab train --resume {quoted(self.origin)}{self._code}"

    @property
    def _code(self) -> str:
        """The options that permit the Python files of the recipe."""
        return "".join(f" --code {quoted(file)}" for file in files_of(self.recipe))

    def _lines(self, name: str, form: Any) -> list[dict[str, Any]]:
        """The lines of a file of JSON objects; each must have this form."""
        with opened(self.folder / name, self._repair("write it again"), self._shown(name)) as file:
            lines = file.read().splitlines()
        try:
            rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
            msgspec.convert(rows, list[form])
        except (ValueError, RecursionError, msgspec.ValidationError):
            raise self._damaged(name) from None
        return rows

    def _damaged(self, name: str) -> UserError:
        repair = self._repair("delete it and write it again")
        return UserError(f"{self._shown(name)}: is damaged; {repair}")

    def _repair(self, action: str) -> str:
        if is_card(self.folder):
            return "a model card has no training history; use the run folder that it is of"
        if closed(self.folder):
            return "get another copy of the archive"
        fitted = (self.folder / FITTED).exists()  # such a run cannot be resumed
        return "run vaelab fit-prior again" if fitted else f"{action} with {self.resume_command}"

    # --- writing

    @property
    def read_only(self) -> str:
        """Why no file can be written into the folder, "" where it can (checked without writing)."""
        allowed = os.access(self.folder, os.W_OK | os.X_OK)
        return closed(self.folder) or ("" if allowed else "cannot be written (no permission)")

    def check_writable(self, remedy: str = "name a place with --out") -> None:
        """Raise `UserError` where no file can be written into the folder."""
        if reason := self.read_only:
            raise UserError(f"{self.origin}: {reason}; {remedy}")

    def beside(self, name: str) -> Path:
        """Return the path of a file of the folder that a user asks for, listed as written here."""
        self.check_writable()
        note(self.folder, name)
        return self.folder / name

    def write(self, name: str, payload: Payload) -> Path:
        """Write one file of the run atomically, and list it as written by vaelab."""
        if name != "recipe.toml" and not (self.folder / "recipe.toml").is_file():
            raise UserError(
                f"{self.folder}: is no longer a run, it was moved or deleted meanwhile; "
                "if it was moved, continue it there with vaelab train --resume"
            )
        return put(self.folder, name, payload)

    def write_lines(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write one JSON object per line."""
        self.write(name, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def reopen(self, recipe: Recipe) -> Run:
        """The same folder with more to do: its recipe is replaced, and it counts as unfinished."""
        remove_scratch(self.folder)
        (self.folder / "results.json").unlink(missing_ok=True)
        run = Run(self.folder, recipe)
        run.write("recipe.toml", to_toml(recipe).encode())
        return run

    def save_best(self, vae: VAE, epoch: int, data: Dataset) -> None:
        """Write the weights, and what a reader must know to use them."""
        self.write("best.safetensors", packed(vae, self.recipe, data, epoch))

    def save_state(self, tensors: Tensors, facts: Facts) -> None:
        """Write last.pt: a flat dictionary of tensors, and all else as JSON under "facts"."""
        content = state_content(tensors, {"recipe": to_toml(self.recipe)} | facts)
        self.write("last.pt", lambda file: torch.save(content, file))

    def state(self) -> State | None:
        """What last.pt holds, on the CPU; None where training has not got that far."""
        path = self.folder / "last.pt"
        if (self.folder / FITTED).exists():
            raise UserError(
                f"{self.folder}: its prior was fitted by vaelab fit-prior, which cannot resume; "
                "run that command again, or resume the run that it was fitted to"
            )
        if not path.exists() and not (self.folder / "metrics.jsonl").exists():
            return None
        return read_state(path)
