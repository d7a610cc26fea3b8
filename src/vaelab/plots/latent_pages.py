"""From a run to the figures of its latent dimensions and of its classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure

from vaelab.data.dataset import spread
from vaelab.evaluation import read
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.language import decimal
from vaelab.plots import columns, dimensions, images, series
from vaelab.plots.by_class import by_class
from vaelab.plots.dimensions import named
from vaelab.plots.effects import effects
from vaelab.plots.pixels import signals
from vaelab.plots.style import Array, Labels
from vaelab.plots.view import (
    NO_PRIOR,
    STEPS,
    View,
    decoded,
    half_each,
    is_discrete,
    is_plane,
)
from vaelab.recipes import table
from vaelab.runs import Run
from vaelab.seeding import seeded

ROWS = {"image": 10, "signal": 5}  # dimensions of a traversal, at most
SIGMAS = np.linspace(-3, 3, 13)  # of a traversal
PAIRS = 10  # of class means, at most
MEASURED = 2000  # images whose loss is computed for the figure by class

Pages = dict[str, Figure]


def dimension_pages(view: View) -> Pages:
    """Return the figures of single latent dimensions; discrete codes have none."""
    run, look, found = view.run, view.look, view.posterior
    pages: Pages = {}
    if found.z is None:
        return pages
    if found.rates is not None:
        rates = found.rates.mean(0, dtype=np.float64)
        pages["kl"] = dimensions.kl(rates, found.activity, found.order, look=look, unit=view.unit)
    if found.scales is not None:
        pages["spread"] = dimensions.spread(
            found.means, found.scales, found.order, look=look, normal=found.prior is None
        )
    codes, prior = _code_names(run)
    names = look.text(codes), look.text(prior)
    pages["dimensions"] = dimensions.histograms(
        found.z, found.prior, found.order, look=look, names=names
    )
    return pages | _traversals(view)


def _code_names(run: Run) -> tuple[str, str]:
    """The keys of what a run's codes and the distribution that it samples are called."""
    model, objective = run.recipe.model, run.recipe.objective.name
    random = "random" in table.part("model.posterior", model.posterior).traits
    free = model.posterior == "point" and objective in NO_PRIOR and model.prior == "normal"
    return "aggregate" if random else "codes", "normal" if free else "the_prior"


def _traversals(view: View) -> Pages:
    """The most informative dimensions decoded, all others at the code of the first example.

    A latent line or plane is decoded as a whole instead. Of a table, how its columns change.
    """
    run, look, found = view.run, view.look, view.posterior
    kind, title = view.data.form, look.text(f"traversals_{view.data.form}")
    if kind == "table":
        changed = effects(view)
        if changed is None:
            return {}
        return {"traversals": columns.changes(changed, view.tabular.schema, look=look, title=title)}
    space = table.part("model.posterior", run.recipe.model.posterior).space
    if space != "reals" or is_plane(run, (1, 2)):
        return {}
    x, y = view.rows(view.first)
    base = run.vae.encode(x, y).numpy()[0]
    chosen = found.order[: ROWS[kind]]
    z = np.tile(base, (len(chosen), len(SIGMAS), 1))  # (R, S, L)
    for walk, j in zip(z, chosen.tolist(), strict=True):
        walk[:, j] = found.axis(j, SIGMAS)
    labels = None if y is None else y.repeat(z[..., 0].size)
    names = [named(int(j)) for j in chosen]
    flat = z.reshape(-1, z.shape[-1])
    if found.rates is not None:
        names = [
            f"{name}: {decimal(f'{found.rates[:, j].mean():.2f}', look.lang)} nats"
            for name, j in zip(names, chosen, strict=True)
        ]
    return {"traversals": _strips(view, flat, labels, names, _heads(view), title)}


def _heads(view: View) -> list[str]:
    """The standard deviations above the columns of a traversal, where they are whole."""
    lang = view.look.lang
    return [decimal(f"{s:g}", lang) if s == round(s) else "" for s in SIGMAS.tolist()]


def _strips(
    view: View, z: Array, y: Labels, names: list[str], heads: list[str], title: str
) -> Figure:
    """Codes (R * S, L) of R named walks, decoded as pictures or as signals."""
    look, rows = view.look, len(names)
    if view.data.form == "image":
        steps = decoded(view.run, z, y)
        steps = steps.reshape(rows, -1, *steps.shape[1:])
        return images.strips(steps, names, heads, look=look, title=title)
    curves = signals(view.run.vae.decode(z, y).numpy())
    curves = curves.reshape(rows, -1, *curves.shape[1:])
    return series.signal_steps(curves, names, look=look, title=title)


def class_pages(view: View) -> Pages:
    """Return the figures of a run with labels of at least two classes."""
    y = view.codes[1]
    if y is None or len(np.unique(y)) < 2:
        return {}
    pages = {"loss-by-class": _class_page(view, _losses(view), "loss")}
    stored = read(view.run)
    if stored and (found := stored.sections.get("likelihood", {}).get("nll_by_class")):
        pages["nll-by-class"] = nll_by_class(view, found, stored.sections["likelihood"]["nll"])
    if not is_discrete(view.run) and view.data.form != "table":
        pages["class-means"] = _class_means(view)
    return pages


def _class_means(view: View) -> Figure:
    """Codes between the means of two classes, a row for each pair of neighbours."""
    run, look = view.run, view.look
    codes, y = view.codes
    assert y is not None
    known = np.unique(y)
    known = known[spread(len(known), 2 * PAIRS)]
    ends = np.resize(known, (-(-len(known) // 2), 2))  # of an odd number, the first comes again
    means = {label: codes[y == label].mean(0) for label in known.tolist()}
    if table.part("model.posterior", run.recipe.model.posterior).space == "sphere":
        means = {label: mean / np.linalg.norm(mean) for label, mean in means.items()}
    a, b = (torch.from_numpy(np.stack([means[int(i)] for i in side])) for side in ends.T)
    z = run.vae.interpolate(a, b, STEPS).numpy()
    labels = np.concatenate([half_each(pair) for pair in ends])
    names = [" → ".join(view.classes.named(pair)) for pair in ends]
    title = look.text("class_means")
    return _strips(view, z.reshape(-1, z.shape[-1]), labels, names, [], title)


def _losses(view: View) -> tuple[dict[str, Estimate], Estimate]:
    """The loss of test images, one sample of z each: its mean by class, and over all."""
    run = view.run
    x, y = view.rows(spread(len(view.data.test.x), MEASURED))
    assert y is not None
    parts, size = [], run.vae.rows_at_once()
    with torch.no_grad(), seeded(run.recipe.train.seed, "loss by class"):
        for i in range(0, len(x), size):
            draw = run.vae.draw(x[i : i + size], 1, torch.from_numpy(y[i : i + size]))
            parts.append(draw.distortion + draw.rate)
    loss = torch.cat(parts).double().numpy()
    each = {str(label): loss[y == label] for label in np.unique(y)}
    return {label: _mean(values) for label, values in each.items()}, _mean(loss)


def _mean(values: Array) -> Estimate:
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else None
    return Estimate(float(values.mean()), error)


def nll_by_class(view: View, each: Mapping[str, Estimate], mean: Estimate) -> Figure:
    """Return the figure of an evaluation's nll of the images of each label."""
    return _class_page(view, (each, mean), "nll")


def _class_page(view: View, found: tuple[Mapping[str, Estimate], Estimate], what: str) -> Figure:
    each, mean = found
    names = view.classes.named(np.array([int(label) for label in each]))
    values = np.array([one.value for one in each.values()])
    errors = np.array([np.nan if one.error is None else one.error for one in each.values()])
    title = view.look.text(f"{what}_by_class")
    return by_class(names, values, errors, mean.value, look=view.look, title=title, unit=view.unit)
