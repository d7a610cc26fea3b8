"""The header of a model card: what a hub reads of it, in the terms of the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vaelab.recipes import part
from vaelab.report.modelcard.licences import Licence
from vaelab.report.run.headline import Number
from vaelab.report.run.prepared import Prepared

HUB = {  # data sets -> their names on the hub
    "mnist": "ylecun/mnist",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
    "cifar100": "uoft-cs/cifar100",
    "svhn": "ufldl-stanford/svhn",
}
FORMS = {"image": "images", "signal": "time-series", "table": "tabular"}


def header(prepared: Prepared, numbers: Sequence[Number], licence: Licence) -> str:
    """Return the header as YAML, with the numbers as a model-index.

    The format has no place for errors, so each number has its standard error, its unit and its
    protocol in `args`, which may hold anything.
    """
    run = prepared.run
    source, model = run.recipe.data.source, run.recipe.model
    stem, variant = Path(source).stem, Path(model.variant).stem
    task = _task(prepared)
    found: dict[str, Any] = {
        **licence.header,
        "library_name": "vaelab",
        "pipeline_tag": task,
        "tags": [*dict.fromkeys(["vaelab", "vae", variant, FORMS[run.form], "pytorch"])],
    }
    if source in HUB:
        found["datasets"] = [HUB[source]]
    data = {"type": HUB.get(source, stem), "name": stem, "split": split(prepared)}
    if numbers:
        found["model-index"] = [
            {
                "name": run.recipe.name,
                "results": [
                    {
                        "task": {"type": task, "name": task.replace("-", " ")},
                        "dataset": data,
                        "metrics": [_metric(prepared, one) for one in numbers],
                    }
                ],
            }
        ]
    return str(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=100))


def split(prepared: Prepared) -> str:
    """Return the split of the data that the numbers are measured on."""
    return "test" if prepared.unread else prepared.run.data.measured


def _task(prepared: Prepared) -> str:
    """Return the task of the hub that the model is found under."""
    if prepared.run.form != "image":
        return "feature-extraction"
    model = prepared.run.recipe.model
    samples = "random" in part("model.posterior", model.posterior).traits
    if samples and not model.conditional:
        return "unconditional-image-generation"
    return "image-feature-extraction"


def _metric(prepared: Prepared, one: Number) -> dict[str, Any]:
    """Return one entry of the model-index."""
    error = one.found.error
    args: dict[str, Any] = {"unit": one.unit} if one.unit else {}
    if error is not None:
        args["standard_error"] = _short(error)
    if prepared.evaluation is not None and "." in one.key:
        asked = ("images", "importance_samples", "seed", "treatment")
        args |= {name: prepared.evaluation.protocol[name] for name in asked}
    metric = {"type": one.key.rpartition(".")[2], "value": _short(one.found.value)}
    return {**metric, "name": one.name} | ({"args": args} if args else {})


def _short(value: float) -> float:
    return float(f"{value:.6g}")
