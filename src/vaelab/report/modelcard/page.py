"""The files of a model card: README.md, config.json, weights, results, pictures and licence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from vaelab import __version__
from vaelab.data import KINDS
from vaelab.evaluation import described, headlines, meaning, remarks
from vaelab.language import text
from vaelab.recipes import AXES, built_in, files_of
from vaelab.report.markdown import block, escaped, table
from vaelab.report.modelcard.header import header, split
from vaelab.report.modelcard.licences import Licence
from vaelab.report.page import environment
from vaelab.report.run.headline import Number, numbers
from vaelab.report.run.prepared import Prepared
from vaelab.report.run.trained import again, cited, portable, what_was_trained
from vaelab.runs import CONFIG, FITTED, WEIGHTS, Run

PICTURES = (  # figures of a run, in the order of the card
    "samples", "columns", "reconstructions", "manifold", "traversals", "interpolation", "latent",
    "losses",
)  # fmt: skip
AGAIN = 'run = vaelab.train(vaelab.load("folder").recipe, "runs/again")'
COLUMNS = 50  # of a table that are listed, at most
ROWS_OF_DATA = ("reconstructions",)  # figures that would show single rows of a table


def build(run: Run, licence: Licence) -> dict[str, bytes]:
    """Return the files of the model card of a run by their names, README.md in the run's language.

    No path of this machine is in them: of each only the last part.
    """
    prepared = Prepared(run)
    files = {WEIGHTS: run.weights.read_bytes(), CONFIG: _config(run)}
    if run.finished:
        files["results.json"] = (run.folder / "results.json").read_bytes()
    if prepared.evaluation and prepared.evaluation.path:
        for path in (prepared.evaluation.path, prepared.evaluation.path.with_suffix(".npz")):
            files[path.name] = path.read_bytes()
    pictures = [name for name in PICTURES if _picture(run, name).is_file()]
    if run.form == "table":
        pictures = [name for name in pictures if name not in ROWS_OF_DATA]
    files |= {f"figures/{name}.png": _picture(run, name).read_bytes() for name in pictures}
    files["LICENSE"] = licence.text.encode()
    files["README.md"] = _readme(prepared, licence, pictures).encode()
    return files


def _picture(run: Run, name: str) -> Path:
    return run.folder / "figures" / f"{name}.png"


def _config(run: Run) -> bytes:
    """The recipe and the data contract, as config.json has them."""
    recipe: dict[str, Any] = {}
    for key, value in portable(run.recipe).items():
        section, _, name = key.rpartition(".")
        (recipe.setdefault(section, {}) if section else recipe)[name] = value
    recipe["data"]["dir"] = ""
    known = ("form", "shape", "levels", "range", "display", "classes", "class_names", "epoch")
    contract = {name: run.contract[name] for name in (*known, "schema") if name in run.contract}
    document = {
        "library_name": "vaelab",
        "vaelab_version": __version__,
        "recipe": msgspec.to_builtins(recipe),
        "data": contract,
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _readme(prepared: Prepared, licence: Licence, pictures: Sequence[str]) -> str:
    run, lang, rows = prepared.run, prepared.lang, prepared.form == "table"

    def t(key: str, **values: object) -> str:
        return text("modelcard", key, lang, rows, **values)

    found, evaluation = numbers(prepared), prepared.evaluation
    what, recipe = what_was_trained(prepared), run.recipe
    notes = remarks(evaluation.sections, rows) if evaluation else []
    if not evaluation and recipe.model.likelihood == "bernoulli" and not recipe.data.binary:
        notes = [t("not_a_likelihood")]
    context = {
        "t": t,
        "header": header(prepared, found, licence),
        "name": escaped(recipe.name),
        "about": escaped(what["about"]),
        "variant": escaped(Path(recipe.model.variant).stem),
        "source": escaped(Path(recipe.data.source).name),
        "version": __version__,
        "form": prepared.form,
        "pictures": pictures,
        "usage": block(_usage(prepared), "python"),
        "shell": block(_shell(prepared)),
        "taken": [escaped(line) for line in _taken(prepared)],
        "numbers": _numbers(prepared, found),
        "evaluated": evaluation is not None,
        "finished": run.finished,
        "split": t(f"split_{split(prepared)}"),
        "protocol": escaped(described(evaluation.protocol, lang)) if evaluation else "",
        "notes": [escaped(note) for note in notes],
        "random": not prepared.is_point,
        "command": block(again(prepared)["train"]) if _is_command(run) else "",
        "fitted": (run.folder / FITTED).exists(),
        "python": block(AGAIN, "python"),
        "custom": [escaped(Path(file).name) for file in files_of(recipe)],
        "settings": table(
            (t("setting"), t("value")), [(key, value) for key, value, _ in what["shown"]]
        ),
        "facts": [(escaped(key), escaped(value)) for key, value in what["data"]],
        "machine": [(escaped(key), escaped(value)) for key, value in what["environment"]],
        "data_licence": escaped(_data_licence(run)),
        "licence": escaped(licence.name),
        "citation": block(cited(prepared)["bibtex"], "bibtex"),
    }
    return environment(escape=False).get_template("modelcard.md").render(context)


def _usage(prepared: Prepared) -> str:
    """Python that uses the model, and runs as it stands."""
    run = prepared.run
    size, label = ", ".join(map(str, prepared.shape)), ", label=0" if len(run.vae.classes) else ""
    lines = ["import vaelab", "", 'run = vaelab.load("folder")  # this folder, or a .zip of it']
    if run.schema is not None:
        return "\n".join([*lines, f"rows = run.sample(5{label})  # a pandas data frame"])
    y = f", [{int(run.vae.classes[0])}] * 5" if label else ""
    label = label.replace("0", str(int(run.vae.classes[0]))) if label else ""
    return "\n".join(
        [
            *lines,
            f"x = run.sample(5{label})  # (5, {size})",
            f"z = run.vae.encode(x{y})  # (5, {run.vae.latent})",
            f"again = run.vae.reconstruct(x{y})  # (5, {size})",
        ]
    )


def _shell(prepared: Prepared) -> str:
    """Commands that use the model."""
    drawn = "png" if prepared.form != "table" else "csv"
    lines = [
        f"vaelab sample folder --out samples.{drawn}",
        "vaelab encode folder --data FILE --out codes.csv",
    ]
    if prepared.run.schema is not None:
        lines.append("vaelab score folder FILE --out scores.csv")
    return "\n".join(lines)


def _is_command(run: Run) -> bool:
    """Whether one command trains the run again."""
    fitted = (run.folder / FITTED).exists()
    return fitted or (built_in(run.recipe) is not None and "/" not in run.recipe.name)


def _data_licence(run: Run) -> str:
    known = AXES["data.source"].get(run.recipe.data.source)
    return known.licence if known else ""


def _taken(prepared: Prepared) -> list[str]:
    """What the model takes and returns: its columns, or the shape and the values of x."""
    run, lang = prepared.run, prepared.lang
    if run.schema is not None:
        named = [f"{column.name} ({KINDS[column.kind].about})" for column in run.schema.modelled]
        rest = len(named) - COLUMNS
        return named[:COLUMNS] + ([text("modelcard", "more", lang, count=rest)] if rest > 0 else [])
    low, high = (prepared.say(f"{end:.4g}") for end in run.contract["range"])
    size = " × ".join(map(str, prepared.shape))
    lines = [text("modelcard", "values", lang, size=size, low=low, high=high)]
    if prepared.form == "image":
        lines.append(prepared.t(f"treatment_{run.recipe.data.treatment}"))
    return lines


def _numbers(prepared: Prepared, found: Sequence[Number]) -> str:
    """The headline numbers as a table."""
    rows = []
    for one in found:
        section, name = next(pair for pair in headlines() if pair[1] == one.key.rpartition(".")[2])
        said = meaning(section, name, prepared.lang, rows=prepared.form == "table")
        value = f"{one.value} ± {one.error}" if one.error else one.value
        rows.append((one.name, value, one.unit, said.about))
    head = [text("modelcard", key, prepared.lang) for key in ("number", "value", "unit", "meaning")]
    return table(head, rows, numbers=[1])
