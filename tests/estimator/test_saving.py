"""An estimator as a run folder, and a run as an estimator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from estimators import numbers, people, small

import vaelab
from vaelab.errors import UserError
from vaelab.estimator import VAETransformer


def test_a_run_of_a_data_frame_opens_scores_and_evaluates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaelab.evaluation.annealing.TEMPERATURES", 5)
    frame = people()
    vae = small().fit(frame)
    run = vaelab.load(vae.to_run(tmp_path / "run", frame).folder)
    assert run.finished
    assert run.recipe.name == "run"
    assert len(run.history) == vae.n_iter_ == 2
    scored = vaelab.score(run, frame, samples=5)
    np.testing.assert_allclose(-scored.score, vae.score_samples(frame), rtol=1e-4)
    found = vaelab.evaluate(run, sections=["likelihood"], samples=20, images=4, quiet=True)
    assert "nll" in str(found)
    again = VAETransformer.from_run(run, samples=5)
    assert np.array_equal(again.transform(frame), vae.transform(frame))
    assert again.offset_ == vae.offset_
    assert [*again.feature_names_in_] == [*frame.columns]


def test_a_run_of_images(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 36)).astype(np.uint8)
    vae = small(recipe="quickstart", shape=(6, 6)).fit(pixels)
    run = vae.to_run(tmp_path / "run", pixels)
    assert run.data.shape == (6, 6)
    again = VAETransformer.from_run(tmp_path / "run", samples=5)
    assert np.array_equal(again.transform(pixels), vae.transform(pixels))


def test_other_rows_are_refused_and_leave_no_folder(tmp_path: Path) -> None:
    x = numbers()
    vae = small().fit(x)
    with pytest.raises(UserError, match="not what the estimator was fitted to"):
        vae.to_run(tmp_path / "run", x[1:])
    assert not (tmp_path / "run").exists()
    vae.to_run(tmp_path / "run", x[::-1])  # the order of the rows does not matter
    with pytest.raises(UserError, match="holds a run already"):
        vae.to_run(tmp_path / "run", x)
    vae.to_run(tmp_path / "run", x, overwrite=True)
