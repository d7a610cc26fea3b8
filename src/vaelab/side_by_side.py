"""Several runs from one recipe file: the same images, order and budget; then their pictures and numbers together.

OUT/NAME/               a run folder each
OUT/side_by_side.json   the numbers
OUT/figures/            latent.png, samples.png and, in two dimensions, manifold.png: a panel for each run
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from vaelab import figures, gallery
from vaelab.data import load as load_data
from vaelab.errors import UserError
from vaelab.evaluation.latent import neighbours_agree
from vaelab.evaluation.samples import nearest_distance
from vaelab.lang import label
from vaelab.recipe import Recipe
from vaelab.run import Run, check_free, create, locked, write_atomic
from vaelab.training import Job, resume

STUDY = "study.json"  # the names of a study's runs, in order
SAMPLES = 1000  # samples of the prior, and test images, whose distances are measured

Numbers = dict[str, Any]


def train_all(recipes: Mapping[str, Recipe], out: str | Path, *, overwrite: bool = False) -> dict[str, Run]:
    """Train each recipe into ``out/NAME``, then `compare` them. Raises as `training.train` does."""
    out = Path(out)
    if is_study(out):
        if not overwrite:
            raise UserError(
                f"{out}: holds a study already; continue it with vaelab train --resume {out}, "
                "replace it with --overwrite, or choose another --out"
            )
    elif (out / "recipe.toml").exists():
        raise UserError(f"{out}: holds a run; a study of several wants a folder of its own: choose another --out")
    else:
        check_free(out, overwrite)
    jobs = {name: Job(recipe) for name, recipe in recipes.items()}
    with locked(out):
        write_atomic(out / STUDY, (json.dumps(list(jobs)) + "\n").encode())
        for name, job in jobs.items():
            with locked(out / name):
                create(out / name, job.recipe, overwrite)
    return resume_all(out)


def resume_all(out: str | Path) -> dict[str, Run]:
    """Train what is left to train of a study, then `compare` its runs."""
    out = Path(out)
    with locked(out):
        try:
            names = [str(name) for name in json.loads((out / STUDY).read_text("utf-8"))]
        except (OSError, ValueError, TypeError):
            raise UserError(f'{out / STUDY}: is damaged; write the names of the runs into it, as ["a", "b"]') from None
        runs = {name: resume(out / name) for name in names}
        compare(runs, out)
    return runs


def is_study(folder: Path) -> bool:
    """Whether `train_all` made this folder."""
    return (folder / STUDY).is_file()


def compare(runs: Mapping[str, Run], out: str | Path) -> dict[str, Numbers]:
    """Write and print the numbers of runs that learned the same data, and draw them in one picture each."""
    out = Path(out)
    shapes = {name: run.vae.shape for name, run in runs.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(f"{out}: these runs learned data of different shapes ({shapes}); name runs of the same data")
    numbers = {name: _numbers(run) for name, run in runs.items()}
    write_atomic(out / "side_by_side.json", (json.dumps(numbers, indent=2) + "\n").encode())
    width = max(18, *(len(name) + 2 for name in runs))
    print(f"\n{'':28}" + "".join(f"{name:>{width}}" for name in runs))
    for row in dict.fromkeys(row for columns in numbers.values() for row in columns):
        cells = (columns.get(row, "") for columns in numbers.values())
        print(f"{row.replace('_', ' '):28}" + "".join(f"{_cell(cell):>{width}}" for cell in cells))
    for name, page in _pages(runs).items():
        print(write_atomic(out / "figures" / f"{name}.png", figures.png(page)))
    return numbers


def _numbers(run: Run) -> Numbers:
    """What a run cost, what it reached on the test images, and how its prior samples lie to the data.

    Distances are Euclidean, in pixel values, to the nearest image of the other kind: mean and standard error over the
    samples or test images. `samples_to_data` grows where samples are no digits, `data_to_samples` where digits have no
    samples. Reconstructions of the same test images show how near the decoder comes when the codes are right, so what
    samples lose against reconstructions is the fault of the latent space: its holes. `neighbours_agree` is the share
    of test images whose class a vote of the 15 nearest training codes gets right.
    """
    data = load_data(run.recipe.data)
    train, train_labels = gallery.treated(run, data.levels, data.train)
    test, labels = gallery.treated(run, data.levels, data.test)
    agree: Numbers = {}
    if labels is not None and train_labels is not None:
        codes = run.vae.encode(train, train_labels), run.vae.encode(test, labels)
        agree["neighbours_agree"] = neighbours_agree(codes[0], train_labels, codes[1], labels)
    seconds = [row["seconds"] for row in run.times]
    test = test[:SAMPLES]
    samples = run.vae.sample(SAMPLES, run.recipe.train.seed)
    reconstructions = run.vae.reconstruct(test, None if labels is None else labels[:SAMPLES])
    return {
        "parameters": run.results["parameters"],
        "epochs": len(run.history),
        "seconds_per_epoch": median(seconds) if seconds else "",
        "distortion": run.results["distortion"],
        "rate": run.results["rate"],
        "loss": run.results["loss"],
        "bound": run.results.get("bound", ""),
        "samples_to_data": _distance(samples, train),
        "reconstructions_to_data": _distance(reconstructions, train),
        "data_to_samples": _distance(test, samples),
        "data_to_own_reconstruction": _spread((test - reconstructions).flatten(1).norm(dim=1)),
    } | agree


def _distance(x: Tensor, among: Tensor) -> list[float]:
    return _spread(nearest_distance(x, among))


def _spread(values: Tensor) -> list[float]:
    """Mean and its standard error."""
    return [float(values.mean()), float(values.std() / len(values) ** 0.5)]


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"{value[0]:.3f} ± {value[1]:.3f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _pages(runs: Mapping[str, Run]) -> dict[str, Figure]:
    """One picture for the latent spaces, one for the samples, and one for the manifolds of 2-D runs."""
    settings = next(iter(runs.values())).recipe.figures
    latent, samples, manifolds = {}, {}, {}
    for name, run in runs.items():
        x, y = gallery.images(run, "test", None)
        some = gallery.spread(len(x), settings.points)
        shown = None if y is None else y[some]
        latent[name] = run.vae.encode(x[some], shown).numpy(), shown
        if gallery.drawable(run.vae.shape):
            samples[name] = gallery.displayed(run, run.vae.sample(settings.samples, run.recipe.train.seed))
            if gallery.is_plane(run):
                grid = figures.grid_points(figures.grid_axis(gallery.GRID, settings.grid, settings.span))
                manifolds[name] = gallery.displayed(run, run.vae.decode(grid))
    normal = [name for name, run in runs.items() if run.recipe.model.prior == "normal"]
    pages = {"latent": figures.side_by_side(latent, settings.lang, normal)}
    if samples:
        pages["samples"] = figures.side_by_side_images(samples, settings.lang)
    if len(manifolds) == len(runs):
        pages["manifold"] = figures.side_by_side_images(manifolds, settings.lang, label("manifold", settings.lang))
    return pages
