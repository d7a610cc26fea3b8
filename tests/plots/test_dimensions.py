"""Figures of latent dimensions and of classes: they show the numbers of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import tiny
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from plot_helpers import EN, coarse, texts
from torch.distributions import kl_divergence

import vaelab
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.plots import latent_pages, nll_by_class
from vaelab.plots.by_class import by_class
from vaelab.plots.dimensions import histograms, kl
from vaelab.plots.pixels import picture
from vaelab.plots.posterior import Posterior, posterior_of
from vaelab.plots.style import encode
from vaelab.plots.view import View
from vaelab.runs import Run

__all__ = ["coarse"]

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Runs on digits with three latent dimensions; one epoch, without figures."""
    folder, made = tmp_path_factory.mktemp("runs"), {}
    rows: dict[str, dict[str, Any]] = {
        "vae": {},
        "ae": {"model.variant": "ae"},
        "sphere": {"model.posterior": "sphere", "model.prior": "sphere"},
        "mixture": {"model.prior": "mixture"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        for name, settings in rows.items():
            recipe = tiny({"train.epochs": 1, "model.latent": 3} | settings)
            made[name] = vaelab.train(recipe, folder / name, quiet=True)
    return made


def view(run: Run) -> View:
    return View(run, run.data)


def test_the_posterior_is_that_of_the_model(runs: dict[str, Run]) -> None:
    run = runs["vae"]
    x, y = view(run).rows(np.arange(9))
    found = posterior_of(run, x, y)
    with torch.no_grad():
        q, p = run.vae.encoder(x), run.vae.prior()
    assert found.rates is not None
    assert found.scales is not None
    np.testing.assert_allclose(found.rates.sum(1), kl_divergence(q, p), rtol=1e-5)
    np.testing.assert_allclose(found.scales, q.stddev, rtol=1e-6)
    np.testing.assert_array_equal(found.means, run.vae.encode(x).numpy())
    again = posterior_of(run, x, y)
    assert found.z is not None
    np.testing.assert_array_equal(found.z, again.z)


def test_what_a_model_lacks_is_none(runs: dict[str, Run]) -> None:
    ae, sphere, mixture = (view(runs[name]).posterior for name in ("ae", "sphere", "mixture"))
    assert (ae.rates, ae.scales, ae.prior) == (None, None, None)
    assert (sphere.rates, sphere.scales) == (None, None)
    assert mixture.rates is None
    assert mixture.prior is not None
    np.testing.assert_array_equal(ae.means, ae.z)


def test_dimensions_are_ordered_by_their_kl_and_else_by_the_variance_of_their_means() -> None:
    means = RNG.normal(size=(50, 3)) * [1, 3, 2]
    assert Posterior(means).order.tolist() == [1, 2, 0]
    rates = np.broadcast_to([0.1, 0.2, 0.9], (50, 3))
    assert Posterior(means, rates=rates).order.tolist() == [2, 1, 0]


def test_traversals_are_in_units_of_the_prior_or_else_of_the_codes() -> None:
    codes, steps = RNG.normal(5, 2, (2000, 2)), np.array([-3.0, 0, 3])
    np.testing.assert_array_equal(Posterior(codes, codes, None, codes).axis(0, steps), steps)
    np.testing.assert_allclose(Posterior(codes, codes).axis(0, steps), [-1, 5, 11], atol=0.5)
    learned = Posterior(codes, codes, codes, codes)
    np.testing.assert_allclose(learned.axis(1, steps), [-1, 5, 11], atol=0.5)


def test_bars_of_the_kl_are_sorted_and_those_of_active_dimensions_in_colour() -> None:
    rates, activity = np.array([0.2, 3.0, 0.01, 1.5]), np.array([0.05, 0.9, 0.001, 0.02])
    figure = kl(rates, activity, np.argsort(-rates), look=EN)
    (ax,) = figure.axes
    assert [bar.get_height() for bar in ax.patches] == sorted(rates, reverse=True)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["z₂", "z₄", "z₁", "z₃"]
    assert len({bar.get_facecolor() for bar in ax.patches[:3]}) == 1
    assert ax.patches[2].get_facecolor() != ax.patches[3].get_facecolor()
    assert {"active, Var(E[z|x]) > 0.01: 3 of 4", "inactive: 1 of 4"} <= texts(figure)
    assert any("(sum: 4.7)" in text for text in texts(figure))


def cells(figure: Figure) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The outlines of the histograms and the curves of the prior, as they are drawn."""
    ax = figure.axes[0]
    bars = next(c for c in ax.collections if isinstance(c, PolyCollection))
    curves = next(c for c in ax.collections if isinstance(c, LineCollection))
    return [np.asarray(p.vertices) for p in bars.get_paths()], [
        np.asarray(s) for s in curves.get_segments()
    ]


def test_histograms_and_the_prior_have_the_same_area_where_they_agree() -> None:
    z = RNG.normal(size=(20_000, 2))
    for prior in (None, RNG.normal(size=(20_000, 2))):
        bars, curves = cells(histograms(z, prior, np.arange(2), look=EN, names=("a", "b")))
        for bar, curve in zip(bars, curves, strict=True):
            heights, across = curve[:, 1] - curve[:, 1].min(), np.diff(curve[:, 0])
            area = float((heights[1:] * across).sum())
            x, y = bar.T
            outline = abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2
            assert outline == pytest.approx(area, rel=0.03)


def test_of_many_dimensions_the_most_informative_are_shown_and_the_rest_is_said() -> None:
    z = RNG.normal(size=(50, 200))
    order = np.arange(200)[::-1]
    figure = histograms(z, None, order, look=EN, names=("a", "b"))
    assert len(cells(figure)[0]) == 24
    assert any("24 most informative of 200" in text for text in texts(figure))
    assert {"z₂₀₀", "z₁₇₇"} <= texts(figure)
    assert "z₁₇₆" not in texts(figure)


def test_a_constant_dimension_and_codes_far_from_the_prior_are_drawn() -> None:
    z = np.stack([np.full(40, 7.0), RNG.normal(500, 1, 40)], 1)
    assert encode(histograms(z, None, np.arange(2), look=EN, names=("a", "b")))
    assert encode(kl(np.zeros(2), z.var(0), np.arange(2), look=EN))


def test_classes_stand_from_the_largest_to_the_smallest_with_their_errors() -> None:
    values, errors = np.array([5.0, 9.0, 7.0]), np.array([0.5, np.nan, 0.25])
    figure = by_class(["a", "b", "c"], values, errors, 6.5, look=EN, title="")
    (ax,) = figure.axes
    order = [label.get_text() for label in ax.get_yticklabels()]
    assert order == ["b", "c", "a"]
    assert np.all(np.diff(ax.get_yticks()) < 0)
    many = by_class(
        [f"{i}" for i in range(99)], np.arange(99.0), np.ones(99), 6.5, look=EN, title=""
    )
    labels = [label.get_text() for label in many.axes[0].get_yticklabels()]
    assert labels[0] == "98"
    assert "0" in labels
    assert "50" not in labels
    assert "30 of 99 classes" in many.axes[0].get_xlabel()


def test_traversals_decode_one_dimension_and_leave_the_others_at_an_image(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, shown = runs["vae"], {}
    monkeypatch.setattr(
        latent_pages.images, "strips", lambda steps, names, *_, **__: shown.update(x=steps, n=names)
    )
    seen = view(run)
    latent_pages.dimension_pages(seen)
    z = run.vae.encode(seen.rows(seen.first)[0]).repeat(13, 1)
    z[:, int(seen.posterior.order[1])] = torch.linspace(-3, 3, 13)
    expected = picture(run.vae.decode(z).numpy(), run.contract["range"])
    np.testing.assert_array_equal(shown["x"][1], expected)
    assert [name[:2] for name in shown["n"]] == [f"z{'₁₂₃'[j]}" for j in seen.posterior.order]


def test_interpolations_begin_and_end_at_the_means_of_two_classes(
    runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: dict[str, Any] = {}
    monkeypatch.setattr(
        latent_pages.images, "strips", lambda steps, names, *_, **__: shown.update(x=steps, n=names)
    )
    for name in ("vae", "sphere"):
        run = runs[name]
        latent_pages.class_pages(view(run))
        codes, y = view(run).codes
        assert y is not None
        mean = codes[y == 3].mean(0, keepdims=True)
        mean = mean / np.linalg.norm(mean) if name == "sphere" else mean
        expected = picture(run.vae.decode(mean).numpy(), run.contract["range"])[0]
        assert np.abs(shown["x"][1, -1].astype(int) - expected).max() <= 1  # rounding of sines
        assert shown["n"][1] == "2 → 3"


def test_the_loss_by_class_is_that_of_its_images(runs: dict[str, Run]) -> None:
    seen = view(runs["ae"])  # an autoencoder has no noise
    each, mean = latent_pages._losses(seen)
    x, y = seen.rows(np.arange(len(seen.data.test.x)))
    with torch.no_grad():
        loss = seen.run.vae.draw(x).distortion.numpy()
    assert mean.value == pytest.approx(float(loss.mean()), rel=1e-5)
    assert each["4"].value == pytest.approx(float(loss[y == 4].mean()), rel=1e-5)
    error = loss[y == 4].std(ddof=1) / (y == 4).sum() ** 0.5
    assert each["4"].error == pytest.approx(float(error), rel=1e-4)


def test_an_evaluation_gives_the_nll_by_class(runs: dict[str, Run]) -> None:
    each = {str(i): Estimate(100.0 + i, 0.5) for i in range(10)}
    figure = nll_by_class(view(runs["vae"]), each, Estimate(104.5, 0.1))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == [str(i) for i in range(9, -1, -1)]


def test_evaluate_writes_it_in_the_formats_of_the_run(runs: dict[str, Run], tmp_path: Path) -> None:
    run = runs["vae"]
    run = Run(run.folder, vaelab.recipes.override(run.recipe, {"figures.format": "png,svg"}))
    vaelab.evaluate(run, sections="likelihood", samples=3, out=tmp_path, quiet=True)
    found = {path.name for path in (tmp_path / "figures").iterdir()}
    assert found == {"nll-by-class.png", "nll-by-class.svg"}
