"""Which figures a run gets: by the shape of its data, its latent space and its classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import tiny
from PIL import Image
from plot_helpers import coarse

import vaelab
from vaelab.plots import displayed, gallery
from vaelab.plots.latent_pages import class_pages, dimension_pages
from vaelab.plots.view import STEPS, View, between, chosen, classes_in, latent_title, sample_title
from vaelab.runs import Run
from vaelab.workflows import exports
from vaelab.workflows.given import given

__all__ = ["coarse"]


def trained(tmp_path: Path, settings: dict[str, Any], **arrays: np.ndarray) -> Run:
    if arrays:
        np.savez(tmp_path / "data.npz", **arrays)
        settings |= {"data.source": str(tmp_path / "data.npz")}
    settings = {"train.epochs": 1, "model.likelihood": "gaussian-learned"} | settings
    return vaelab.train(tiny(settings), tmp_path / "run", quiet=True)


def names(run: Run) -> set[str]:
    return {path.name for path in (run.folder / "figures").iterdir()}


@pytest.fixture
def plain_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train without figures, where they are not the claim."""
    monkeypatch.setattr("vaelab.plots.gallery.plot", lambda *_: None)


DIMENSIONS = {"kl.png", "spread.png", "dimensions.png"}
CLASSES = {"loss-by-class.png", "class-means.png"}
COMMON = {"losses.png", "latent.png", "reconstructions.png"} | DIMENSIONS
TABLES = COMMON | {"columns.png", "traversals.png"}
IMAGES = (
    COMMON
    | {"samples.png", "data.png", "interpolation.png", "overview.png", "epochs"}
    | {"progress.gif"}
)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((12, 9), IMAGES | {"manifold.png"}),
        ((2, 9, 9), IMAGES | {"manifold.png"}),
        ((28, 1), IMAGES | {"manifold.png"}),
        ((64, 3), IMAGES | {"manifold.png"}),
        ((3, 64), IMAGES | {"manifold.png"}),
        ((40,), IMAGES | {"manifold.png"}),
        ((300, 16), IMAGES | {"manifold.png"}),
        ((6,), TABLES),
        ((1,), TABLES),
    ],
)
def test_every_shape_gets_figures_of_a_usual_size(
    tmp_path: Path, shape: tuple[int, ...], expected: set[str]
) -> None:
    x = np.random.default_rng(0).normal(size=(60, *shape)).astype(np.float32)
    run = trained(tmp_path, {}, x=x)
    assert names(run) == expected
    for path in (run.folder / "figures").rglob("*.*"):
        with Image.open(path) as page:
            assert max(page.size) < 1300, path.name


@pytest.mark.usefixtures("plain_run")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"kl", "spread", "dimensions", "traversals"}),
        ({"model.prior": "vamp"}, {"spread", "dimensions", "traversals"}),
        ({"model.posterior": "iaf"}, {"dimensions", "traversals"}),
        ({"model.posterior": "full-covariance"}, {"spread", "dimensions", "traversals"}),
        (
            {"model.variant": "cvae", "model.prior": "per-class"},
            {"kl", "spread", "dimensions", "traversals"},
        ),
        ({"model.variant": "ae"}, {"dimensions", "traversals"}),
        ({"model.posterior": "sphere", "model.prior": "sphere"}, {"dimensions"}),
        ({"model.variant": "two-level"}, {"dimensions"}),
        ({"model.variant": "vq-vae"}, set()),
    ],
)
def test_a_model_gets_the_figures_of_dimensions_that_it_has(
    tmp_path: Path, settings: dict[str, Any], expected: set[str]
) -> None:
    """The KL of a dimension needs a closed form, and discrete codes have no dimensions."""
    run = trained(tmp_path, {"model.latent": 3} | settings)
    view = View(run, run.data)
    assert set(dimension_pages(view)) == expected
    means = set() if settings.get("model.variant") == "vq-vae" else {"class-means"}
    assert set(class_pages(view)) == {"loss-by-class"} | means


def test_signals_have_traversals_and_class_means_as_curves(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 64, 3)).astype(np.float32), np.arange(60) % 3
    run = trained(tmp_path, {"model.latent": 3}, x=x, y=y)
    assert names(run) >= DIMENSIONS | CLASSES | {"traversals.png"}


@pytest.mark.usefixtures("plain_run")
def test_large_images_have_frames_of_a_few_hundred_pixels(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (30, 3, 160, 160)).astype(np.uint8)
    run = trained(tmp_path, {"model.hidden": [4]}, x=x)
    frame = run.folder / "figures" / "epochs" / "0001.png"
    with Image.open(frame) as page:
        assert max(page.size) < 700
    assert frame.stat().st_size < 400_000


@pytest.mark.usefixtures("plain_run")
def test_dark_images_of_sixteen_bits_are_shown_from_black_to_white(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = (300 + 2500 * (rng.random((80, 16, 16)) > 0.7)).astype(np.uint16)
    x[0, 0, 0] = 65535  # one hot pixel
    run = trained(tmp_path, {"data.scale": 65535.0}, x=x)
    shown = displayed(run, given(run, None, "train").x)
    assert shown.max() > 200
    assert np.median(shown) < 30


def test_examples_show_one_of_each_class_first() -> None:
    y = np.sort(np.arange(90) % 10)[::-1]
    assert sorted(y[chosen(y, 90, 10)]) == list(range(10))
    assert len(set(chosen(y, 90, 16))) == 16
    assert set(y[chosen(y, 90, 16)[:10]]) == set(range(10))
    assert len(chosen(y, 90, 4)) == 4
    assert len(chosen(np.array([3, 3]), 2, 10)) == 2
    np.testing.assert_array_equal(chosen(None, 90, 3), [0, 44, 89])


def test_a_class_that_the_test_images_lack_keeps_its_place(digits_run: Path) -> None:
    run = vaelab.load(digits_run)
    data = run.data
    few = data._replace(test=data.test.take(data.test.y == 7))
    assert classes_in(few) == classes_in(data)


def test_one_latent_dimension_has_a_decoded_line(tmp_path: Path) -> None:
    run = trained(tmp_path, {"model.latent": 1})
    assert "manifold.png" in names(run)


@pytest.mark.usefixtures("plain_run")
def test_a_run_without_formats_has_no_figures_and_a_report(tmp_path: Path) -> None:
    run = trained(tmp_path, {"figures.format": []})
    assert not (run.folder / "figures").exists()
    assert (run.folder / "report.html").is_file()
    assert "nats" in run._repr_html_()


@pytest.mark.usefixtures("plain_run")
def test_an_autoencoder_has_no_prior_posterior_or_rate_in_its_figures(tmp_path: Path) -> None:
    run = trained(tmp_path, {"model.variant": "ae"})
    for title in (latent_title(run), sample_title(run)):
        assert "prior" not in title
        assert "posterior" not in title


@pytest.mark.usefixtures("plain_run")
def test_walks_on_a_sphere_stay_on_it(tmp_path: Path) -> None:
    settings = {"model.posterior": "sphere", "model.prior": "sphere", "model.latent": 3}
    run = trained(tmp_path, settings)
    x, y, *_ = given(run, None, "test")
    codes = between(run, x[:2], y)
    assert codes.shape == (STEPS, 3)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-5)
    angles = (codes[1:] * codes[:-1]).sum(1)
    assert np.ptp(angles) < 1e-5  # at constant speed


@pytest.mark.usefixtures("plain_run")
def test_samples_of_one_class_have_a_file_of_their_own(tmp_path: Path) -> None:
    run = trained(tmp_path, {"model.variant": "cvae"})
    every, seven = (exports.write_samples(run, 12, 0, None, label) for label in (None, 7))
    assert (every.name, seven.name) == ("samples.png", "samples-label-7.png")
    assert every.read_bytes() != seven.read_bytes()
    vector = exports.write_samples(run, 12, 0, str(tmp_path / "x.pdf"), 7)
    assert vector.read_bytes().startswith(b"%PDF")


def test_formats_sizes_and_languages_and_frames_without_words(a_copy: Path) -> None:
    run = vaelab.load(a_copy)
    before = (a_copy / "figures" / "progress.gif").read_bytes()
    settings = {"figures.format": ["pdf", "svg"], "figures.size": "slide", "figures.lang": "pt"}
    again = Run(a_copy, vaelab.recipes.override(run.recipe, settings))
    gallery.plot(View(again, run.data), lambda line: None)
    for name in ("overview", "losses", "latent"):
        assert (a_copy / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert b"<svg" in (a_copy / "figures" / f"{name}.svg").read_bytes()
    assert (a_copy / "figures" / "progress.gif").read_bytes() == before  # belongs to any language
