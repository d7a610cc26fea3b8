"""What was trained: the recipe, the model, the data, the machine, and how to make it again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from vaelab.data import Dataset
from vaelab.errors import quoted
from vaelab.language import Lang, text
from vaelab.models import layers
from vaelab.recipes import (
    Recipe,
    bibtex,
    built_in,
    changes,
    fields,
    flatten,
    reference,
    table,
)
from vaelab.report.run.prepared import Prepared
from vaelab.runs import FITTED

INCIDENTAL = ("figures.", "data.dir", "train.threads", "train.device")  # of no result
SHOWN = (  # settings that a reader looks for, besides those that were changed
    "data.source", "data.treatment", "model.variant", "model.likelihood", "model.prior",
    "model.posterior", "model.network", "model.hidden", "model.latent", "objective.name",
    "objective.beta", "objective.warmup", "train.epochs", "train.batch", "train.optimiser",
    "train.learning_rate", "train.schedule", "train.seed",
)  # fmt: skip


def what_was_trained(prepared: Prepared) -> dict[str, Any]:
    """Return the recipe, the layers, the data and the machine, as rows of texts."""
    run = prepared.run
    recipe, environment = run.recipe, run.environment
    base = {key: old for key, (old, _) in changed(recipe).items()}
    data = None if prepared.unread else prepared.view.data
    rows = [
        (key, written(value), written(base[key]) if key in base else None)
        for key, value in portable(recipe).items()
        if "." in key
    ]
    return {
        "about": about(run.recipe, prepared.lang),
        "shown": [row for row in rows if row[0] in SHOWN or row[2] is not None],
        "settings": rows,
        "intro": prepared.t(_intro(recipe, len(base)), changed=len(base)),
        "layers": [
            (*row[:3], _count(row[3], prepared) if row[3] else "")
            for row in (layers(run.vae) if prepared.trained else ())
        ],
        "parameters": sum(p.numel() for p in run.vae.parameters()) if prepared.trained else 0,
        "data": _data(prepared, data),
        "notes": [without_folders(note) for note in data.notes] if data else [],
        "environment": _environment(prepared, environment),
    }


def _intro(recipe: Recipe, changed: int) -> str:
    """The key of the sentence on what was changed."""
    key = "trained_built_in" if built_in(recipe) else "trained_custom"
    return key if changed > 1 else f"{key}_{changed}"


def changed(recipe: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return what differs from the built-in recipe, or of another recipe from the defaults."""
    if built_in(recipe):
        found = changes(recipe)
    else:
        default = {field.key: field.default for field in fields()}
        default |= table.row(recipe.model.variant).laid_out()
        new = flatten(recipe)
        pairs = {key: (value, new[key]) for key, value in default.items()}
        found = {key: pair for key, pair in pairs.items() if written(pair[0]) != written(pair[1])}
    return {key: pair for key, pair in found.items() if not key.startswith(INCIDENTAL)}


def about(recipe: Recipe, lang: Lang) -> str:
    """What the recipe says of itself; not the line of a built-in one on a page in Portuguese."""
    ours = (found := built_in(recipe)) is not None and found.about == recipe.about
    return "" if ours and lang != "en" else recipe.about


def portable(recipe: Recipe) -> dict[str, Any]:
    """Return the settings for a page, which others may receive: of a whole path only its end."""
    return {
        key: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for key, value in flatten(recipe).items()
    }


def without_folders(line: str) -> str:
    """Return a line with only the last part of each whole path.

    >>> without_folders("data.source: /home/me/rows.csv: is missing; see https://a.org/b")
    'data.source: rows.csv: is missing; see https://a.org/b'
    """
    return re.sub(r"(?<![\w./:~])~?/(?:[^/:;,'\"]+/)*(?=[^\s/])", "", line)


def written(value: Any) -> str:
    """Return the value of a setting as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "–"
    return f"{value:g}" if isinstance(value, float) else str(value) if value != "" else "–"


def _data(prepared: Prepared, data: Dataset | None) -> list[tuple[str, str]]:
    """Return the data set and its treatment as rows; without the data, what is known of them."""
    t, lang, recipe = prepared.t, prepared.lang, prepared.run.recipe
    rows = [(t("data_set"), data.name if data else Path(recipe.data.source).stem)]
    if prepared.shape:
        rows.append((t("data_shape"), " × ".join(map(str, prepared.shape))))
    if data:
        splits = (
            f"{text('figures', k, lang)} {_count(n, prepared)}"
            for k, n in prepared.run.data.sizes.items()
            if n
        )
        labels = len(data.classes())
        classes = t("data_classes", count=labels) if labels else t("data_unlabelled")
        rows += [(t("data_splits"), ", ".join(splits)), (t("data_labels"), classes)]
    treatment = recipe.data.treatment
    rows.append((t("data_treatment"), f"{treatment}: {t(f'treatment_{treatment}')}"))
    moved = [
        t(f"augmented_{name}", by=f"{by:g}")
        for name in ("flip", "rotate", "shift")
        if (by := getattr(recipe.data, name))
    ]
    if moved:
        rows.append((t("augmentation"), ", ".join(moved)))
    return rows


def _count(n: int, prepared: Prepared) -> str:
    return f"{n:,}".replace(",", "." if prepared.lang == "pt" else ",")


def _environment(prepared: Prepared, facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the run was trained on, and how long it took."""
    t, times = prepared.t, prepared.run.times
    rows = []
    if times:
        seconds = sum(row["seconds"] for row in times)
        each = prepared.say(f"{seconds / len(times):.2g}")
        total = prepared.say(f"{seconds:.3g}" if seconds < 1000 else f"{seconds / 60:.0f} min")
        unit = "" if seconds >= 1000 else " s"
        rows.append((t("time"), t("time_each", total=f"{total}{unit}", each=each)))
    peak = max((row.get("peak_mib", 0.0) for row in times), default=0.0)
    if peak:
        rows.append((t("memory"), f"{peak:.0f} MiB"))
    if facts:
        where = t("machine_threads", device=facts["device"], threads=facts["threads"])
        rows.append((t("machine"), f"{where}, {facts['processor']}"))
        rows.append((t("system"), f"Python {facts['python']}, {facts['platform']}"))
        packages = (f"{name} {version}" for name, version in facts["packages"].items())
        rows.append((t("packages"), ", ".join(packages)))
    return rows


def again(prepared: Prepared) -> dict[str, str]:
    """Return the commands that make the run and its numbers again, to be pasted into a shell."""
    run = prepared.run
    recipe, folder = run.recipe, quoted(run.origin)
    if (run.folder / FITTED).exists():
        train = f"vaelab fit-prior RUN --prior {quoted(recipe.model.prior)}"
    elif built_in(recipe) and "/" not in recipe.name:
        settings = "".join(
            f" --{key} {quoted(_argument(portable(recipe)[key]))}" for key in changed(recipe)
        )
        train = f"vaelab train {quoted(recipe.name)}{settings}"
    else:
        train = f"vaelab train {quoted(run.origin / 'recipe.toml')} --out NEW"
    return {
        "train": train,
        "resume": run.resume_command,
        "evaluate": f"vaelab evaluate {folder}",
        "report": f"vaelab report {folder}",
        "doctor": f"vaelab doctor {folder}",
        "explore": f"vaelab explore {folder}",
    }


def _argument(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def cited(prepared: Prepared) -> dict[str, Any]:
    """Return the papers that the run used, in a line each and as BibTeX."""
    run = prepared.run
    entries = bibtex(run.recipe, fitted=(run.folder / FITTED).exists())
    keys = [line.partition("{")[2].rstrip(",") for line in entries.splitlines() if line[:1] == "@"]
    return {"bibtex": entries, "references": [reference(key) for key in keys]}
