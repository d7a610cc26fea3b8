"""`write_card`: a folder with the model of a run, which a model hub takes as it is."""

from __future__ import annotations

from pathlib import Path

from vaelab import devices
from vaelab.errors import UserError, quoted
from vaelab.files import absolute, put, remove_written, written
from vaelab.language import Lang
from vaelab.recipes import Code
from vaelab.report.modelcard import NONE, build, licence_of
from vaelab.report.run.prepared import in_language
from vaelab.runs import CONFIG, Run, load
from vaelab.seeding import untouched
from vaelab.workflows.console import Console


def write_card(
    run: Run | str | Path,
    out: str | Path,
    *,
    license: str | Path = NONE,
    lang: Lang | None = None,
    overwrite: bool = False,
    code: Code = (),
    quiet: bool = False,
) -> Path:
    """Write the model card of a run: a folder for a model hub, which `load` opens like a run.

    It holds README.md (numbers with standard errors, use, limits, training, citation; its header
    has the form of the Hugging Face hub), config.json (the recipe and what the model takes),
    model.safetensors, the results, pictures and LICENSE, but no path of this machine.

    Args:
        run: A run, or its folder.
        out: The folder of the card: a new or an empty one.
        license: The licence of the weights: a name such as "mit" or "cc-by-4.0", or a file with its
            text; "none" where none is chosen, which reserves all rights.
        lang: The language of README.md; None for that of the figures.
        overwrite: Whether to replace a card in the folder.
        code: The Python files that the model may run.
        quiet: Whether to print no notes.

    Returns:
        The folder.

    Raises:
        UserError: The run has no weights, there is no such licence, or the folder holds other
            files.
    """
    run = run if isinstance(run, Run) else load(run, code=code)
    folder, licence = absolute(out, "out"), licence_of(str(license))
    _check_free(folder, overwrite)
    with devices.using(devices.threads(0)[0]), untouched():
        files = build(in_language(run, lang) if lang else run, licence)
    folder.mkdir(parents=True, exist_ok=True)
    remove_written(folder)
    for name, content in files.items():
        put(folder, name, content)
    for line in _notes(run, files, str(license)):
        Console(quiet).say(f"note: {line}")
    return folder


def _check_free(folder: Path, overwrite: bool) -> None:
    """Raise where the card would replace files that are none of a card."""
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if not there and not folder.exists():
        return
    if CONFIG in written(folder) and "recipe.toml" not in there:
        if not overwrite:
            raise UserError(f"out: {folder} holds a card already; replace it with overwrite=True")
    elif there or not folder.is_dir():
        raise UserError(f"out: {folder} is no empty folder; choose another one")


def _notes(run: Run, files: dict[str, bytes], licence: str) -> list[str]:
    """What whoever publishes the card must know."""
    notes = []
    if licence == NONE:
        notes.append("no licence was chosen: all rights are reserved; choose one, as --license mit")
    if not any(name.startswith("evaluation") for name in files):
        command = f"vaelab evaluate {quoted(run.origin)}"
        notes.append(f"the numbers have no standard errors; measure them first with {command}")
    if run.schema is not None:
        notes.append(
            "names, categories and ranges of the columns are in the card, single rows are not"
        )
    elif any(name.startswith("figures/reconstructions") for name in files):
        notes.append("the pictures show test data; publish them only if you may")
    return notes
