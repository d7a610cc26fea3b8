"""Figures of a table with words, dates and holes: which there are, and what they say."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any, cast

import mixed_table
import numpy as np
import pytest
import torch
from conftest import tiny
from matplotlib.figure import Figure
from plot_helpers import EN, PT, texts
from torch.distributions import Independent

import vaelab
from vaelab.plots import View, columns
from vaelab.plots.effects import effects
from vaelab.runs import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("mixed")
    source = {"data.source": str(mixed_table.write(folder / "mixed.csv"))}
    settings = source | mixed_table.SETTINGS | {"train.epochs": 20, "train.learning_rate": 0.01}
    said: list[str] = []
    run = vaelab.train(tiny(settings | {"figures.format": ["png"]}), folder / "run", quiet=True)
    assert said == []
    return run


@pytest.fixture(scope="module")
def view(run: Run) -> View:
    return View(run, run.data.with_measured())


def test_a_table_has_columns_in_place_of_samples(run: Run) -> None:
    names = {path.name for path in (run.folder / "figures").iterdir()}
    assert {"columns.png", "reconstructions.png", "traversals.png"} <= names
    assert not names & {"samples.png", "data.png", "overview.png", "interpolation.png"}
    assert (run.folder / "report.html").is_file()


def test_axes_have_dates_words_and_the_units_of_the_table(view: View) -> None:
    schema, data, _, _, made = view.tabular
    figure = columns.columns(schema, data, made, look=EN, title="?")
    shown = texts(figure)
    assert {"Lisboa", "São Paulo", "<b>Rio</b>", "yes", "no", "$x_1$"} <= shown
    axes = {ax.get_title(): ax for ax in figure.axes}
    dates = [label.get_text() for label in axes["when"].get_xticklabels()]
    assert {text[:4] for text in dates} <= {"2019", "2020", "2021", "2022", "2023"}
    assert axes["income"].get_xscale() == "log"
    low, high = axes["$x_1$"].get_xlim()
    assert 999_000 < low < high < 1_001_000
    assert mixed_table.ATTACK[:10] in " ".join(axes)


@pytest.mark.parametrize("days", [0.1, 2, 25, 60, 600, 725, 4000, 30_000])
def test_a_range_of_dates_of_any_length_has_a_few_ticks(days: float) -> None:
    axis, column = Figure().subplots().xaxis, SimpleNamespace(kind="date")
    columns._scale(axis, cast(Any, SimpleNamespace(column=column)), EN)
    axis.axes.set_xlim(19_723.4, 19_723.4 + days)
    with warnings.catch_warnings(action="error"):
        assert 1 <= len(axis.get_majorticklocs()) <= 6


def test_samples_have_the_noise_of_the_columns(view: View) -> None:
    """Their deviation is nearer to that of the data than the deviation of decoded means is."""
    made = view.tabular.made
    means = view.run.vae.sample(len(made), view.run.recipe.train.seed).numpy()
    at = view.tabular.schema.names.index("$x_1$")
    real = np.nanstd(view.tabular.data[:, at])
    assert abs(made[:, at].std() - real) < 0.3 * real
    assert means[:, at].std() < 0.7 * real
    assert np.isfinite(made).all()


def test_reconstructions_say_what_is_recovered(view: View) -> None:
    schema, _, x, again, _ = view.tabular
    titles = [ax.get_title() for ax in columns.pairs(schema, x, again, look=PT).figure.axes]
    said = dict(title.split("\n") for title in titles)
    assert said["place"].endswith("% recuperados")
    assert said["visits"].startswith("r = ")
    assert "," in said["visits"] or "–" in said["visits"]


def test_effects_are_differences_of_means_and_probabilities(view: View) -> None:
    """The change of a column along a dimension is that of a decoder asked directly."""
    found = effects(view)
    assert found is not None
    names = [columns.quantity_name(view.tabular.schema, found, q) for q in range(len(found[1]))]
    assert "place = Lisboa" in names
    assert "member = yes" in names
    row, j = 0, int(found.dimensions[0])
    z = view.run.vae.encode(*view.rows(np.arange(len(view.data.test.x))))
    ends = view.posterior.axis(j, np.array([-2.0, 2.0]))
    both = []
    for value in ends.tolist():
        moved = z.clone()
        moved[:, j] = value
        with torch.no_grad():
            both.append(view.run.vae.decoder(moved))
    at = view.tabular.schema.names.index("member")
    quantity = found.quantities[names.index("member = yes")]
    cells = torch.full((len(view.tabular.schema.names),), torch.nan)
    cells[at] = 1.0
    chances = []
    for px in both:
        assert isinstance(px, Independent)
        chances.append(px.base_dist.log_prob(cells)[:, at].exp().mean())
    change = float(chances[1] - chances[0]) / quantity.spread
    assert found.change[row, names.index("member = yes")] == pytest.approx(change, abs=1e-5)


def test_both_languages(view: View) -> None:
    schema, data, _, _, made = view.tabular
    found = effects(view)
    assert found is not None
    for look, word in ((EN, "samples"), (PT, "amostras")):
        assert word in texts(columns.columns(schema, data, made, look=look, title="?"))
    assert any(
        "desvios" in text for text in texts(columns.changes(found, schema, look=PT, title=""))
    )
