"""The latent explorer: one HTML file in which a run's encoder and decoder run.

`explore` returns the page, `write` puts it into a run folder. The page of two runs links them by
the index of the test image, so both must have the same test images.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from vaelab import __version__
from vaelab.data import Dataset
from vaelab.errors import UserError
from vaelab.evaluation.metrics.codes import principal_axes
from vaelab.evaluation.metrics.information import ACTIVE
from vaelab.export import Arrays, Ref
from vaelab.files import absolute, claim, put, write_atomic
from vaelab.language import Lang
from vaelab.plots.charts import plain_schema
from vaelab.plots.classes import Classes
from vaelab.plots.posterior import Posterior, posterior_of
from vaelab.plots.style import Array
from vaelab.plots.view import classes_in
from vaelab.recipes import table, to_toml
from vaelab.report.cells import columns
from vaelab.report.explorer import gathered
from vaelab.report.explorer.gathered import POINTS, PRIOR, Shown
from vaelab.report.explorer.programs import programs
from vaelab.report.explorer.stored import stored
from vaelab.report.page import render
from vaelab.report.run.several import distinct
from vaelab.report.run.trained import about
from vaelab.runs import EXPLORER, Run, load

HEIGHT = 860  # pixels of the frame in a notebook


@dataclass(frozen=True)
class Explorer:
    """The latent explorer of one or two runs; a notebook shows it in the cell."""

    page: str = field(repr=False)

    def __str__(self) -> str:
        return self.page

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" title="vaelab explorer" '
            f'style="width: 100%; height: {HEIGHT}px; border: 0" '
            'sandbox="allow-scripts allow-downloads"></iframe>'
        )


def explore(
    run: Run | str | Path,
    other: Run | str | Path | None = None,
    *,
    points: int = POINTS,
    lang: Lang | None = None,
) -> Explorer:
    """Return the latent explorer of a run, or of two runs side by side.

    Args:
        run: A run, or its folder.
        other: A second run, of the same data.
        points: The number of test images at most.
        lang: The language in which the page opens; None for that of the figures.

    Raises:
        UserError: A run has no weights yet, or the two runs have other test images.
    """
    runs = [one if isinstance(one, Run) else load(one) for one in (run, other) if one is not None]
    return Explorer(page_of(runs, points, lang or runs[0].recipe.figures.lang))


def write(
    runs: Sequence[Run], out: str | None = None, *, points: int = POINTS, lang: Lang | None = None
) -> Path:
    """Write the explorer of runs to `out`, by default into the folder of the first.

    Returns:
        The path of the page.

    Raises:
        UserError: As `explore`, or the file cannot be written.
    """
    path = absolute(out, "out") if out else None
    if path is None:
        claim(runs[0].folder, [EXPLORER])
    page = explore(*runs, points=points, lang=lang).page.encode()
    return write_atomic(path, page) if path else put(runs[0].folder, EXPLORER, page)


def page_of(runs: Sequence[Run], points: int, lang: Lang) -> str:
    """Return the HTML of the explorer."""
    arrays, data = Arrays(), [run.data.with_measured() for run in runs]
    if len(runs) > 1:
        _check_same(runs, data)
    images = [gathered.shown(run, one, points) for run, one in zip(runs, data, strict=True)]
    if len(runs) > 1 and not np.array_equal(images[0].which, images[1].which):
        fewer = min((one.which for one in images), key=len)  # the same images in both
        images = [gathered.shown(run, one, len(fewer)) for run, one in zip(runs, data, strict=True)]
    names = next((run.class_names for run in runs if run.class_names), ())
    classes = classes_in(data[0], names)
    titles = [run.recipe.name for run in runs]
    if len(set(titles)) < len(titles):
        titles = distinct([run.folder for run in runs])
    document = {
        "version": __version__,
        "data": _data(runs[0], data[0], images[0], classes, arrays),
        "runs": [
            _run(run, one, its, classes, arrays) | {"name": title}
            for run, one, its, title in zip(runs, data, images, titles, strict=True)
        ],
    }
    return render(
        "explorer", document, arrays, script="explorer", lang=lang, title=" · ".join(titles)
    )


def _check_same(runs: Sequence[Run], data: Sequence[Dataset]) -> None:
    first, second = data
    if first.shape != second.shape or first.test.checksum() != second.test.checksum():
        raise UserError(
            f"{runs[1].folder}: its test images are not those of {runs[0].folder}; "
            "explore two runs of the same data and the same split"
        )


def _columns(run: Run, data: Dataset) -> list[dict[str, Any]]:
    """The columns of a table; of plain numbers by their names, or as x1, x2, ..."""
    names = data.features or tuple(f"x{i + 1}" for i in range(data.shape[0]))
    return columns(run.schema or plain_schema(names))


def _data(
    run: Run, data: Dataset, images: Shown, classes: Classes, arrays: Arrays
) -> dict[str, Any]:
    """What the runs share: the data, its classes and factors."""
    factors = {}
    if data.factors and data.test.factors is not None:
        columns = data.test.factors[images.which].numpy()
        factors = {
            name: arrays.add(columns[:, i].astype(np.float32))
            for i, name in enumerate(data.factors)
        }
    return {
        "name": data.name,
        "form": data.form,
        "shape": list(data.shape),
        "columns": _columns(run, data) if data.form == "table" else [],
        "holes": run.schema is not None,
        "split": data.measured,
        "total": images.total,
        "index": arrays.add(images.which.astype(np.float32)),
        "labels": None if images.y is None else arrays.add(_positions(images.y, classes)),
        "classes": [
            {"label": label, "name": name, "colour": colour, "marker": marker}
            for label, name, (colour, marker) in zip(
                classes.labels, classes.names, classes.styles, strict=True
            )
        ],
        "factors": factors,
    }


def _positions(y: np.ndarray[Any, Any], classes: Classes) -> np.ndarray[Any, Any]:
    """Return the place of each label among the classes; -1 where a label has no colour."""
    place = {label: i for i, label in enumerate(classes.labels)}
    return np.array([place.get(int(label), -1) for label in y], np.int16)


def _run(
    run: Run, data: Dataset, images: Shown, classes: Classes, arrays: Arrays
) -> dict[str, Any]:
    codes = posterior_of(run, images.x, images.y, terms=True)
    z = codes.means if codes.z is None else codes.z
    model = run.recipe.model
    posterior = table.part("model.posterior", model.posterior)
    low, high = run.contract.get("display", run.contract["range"])
    pixels, whole = gathered.embedded(run, images.x)
    parts, reasons = programs(run, images.x, arrays)
    decodes = "decode" in parts
    sampled = gathered.from_prior(run, PRIOR) if decodes else None
    cloud, quantiles = gathered.thinness(z)
    return {
        "folder": run.folder.name,
        "about": {lang: about(run.recipe, lang) for lang in get_args(Lang)},
        "recipe": to_toml(run.recipe),
        "parameters": sum(weight.numel() for weight in run.vae.parameters()),
        "latent": codes.means.shape[1],
        "space": posterior.space,
        "point": "random" not in posterior.traits,
        "prior": model.prior,
        "likelihood": model.likelihood,
        "noise": _noise(run),
        "given": _given(run, classes) if len(run.vae.classes) else None,
        "display": [low, high],
        "levels": _levels(run, data),
        "binary": run.recipe.data.binary,
        "images": {"values": arrays.add(pixels), "whole": whole},
        "mean": arrays.fixed(codes.means.T),
        "std": None if codes.scales is None else arrays.fixed(codes.scales.T),
        "numbers": {
            name: arrays.add(values.astype(np.float32))
            for name, values in gathered.numbers(run, images, codes).items()
        },
        "dimensions": _dimensions(codes, z),
        "pca": _pca(codes, arrays),
        "cloud": arrays.fixed(cloud.T),
        "quantiles": quantiles,
        "samples": None if sampled is None else arrays.fixed(sampled[0].T),
        "stored": None if decodes else stored(run, images, codes, classes, arrays),
        "programs": parts,
        "missing": reasons,
    }


def _noise(run: Run) -> str | None:
    """Return how the page samples p(x|z); None where it shows only the mean."""
    if run.vae.decoder.units is not None:
        return None
    kind = run.recipe.model.likelihood
    return next((name for name in ("bernoulli", "gaussian") if kind.startswith(name)), None)


def _given(run: Run, classes: Classes) -> list[int] | None:
    """Return what a conditional model takes for each class of the data."""
    known = run.vae.classes.tolist()
    return [known.index(label) if label in known else 0 for label in classes.labels] or None


def _levels(run: Run, data: Dataset) -> int:
    """Return how many values a pixel has, by which the page restores x from 8 bits; 0: unknown."""
    if run.recipe.data.binary:
        return 2
    return data.levels or 0 if run.recipe.data.treatment == "grey" else 0


def _dimensions(codes: Posterior, z: Array) -> dict[str, Any]:
    """Return what is known of each dimension: KL in nats, activity, and where its codes lie."""
    return {
        "kl": None if codes.rates is None else codes.rates.mean(0).tolist(),
        "active": (codes.activity > ACTIVE).tolist(),
        "centre": z.mean(0).tolist(),
        "spread": z.std(0).tolist(),
    }


def _pca(codes: Posterior, arrays: Arrays) -> dict[str, Any] | None:
    if codes.means.shape[1] < 3:
        return None
    shares, axes = principal_axes(torch.from_numpy(codes.means))
    place: Ref = arrays.add(axes[:, :2].T.float().numpy())
    return {"axes": place, "shares": shares[:2].tolist()}
