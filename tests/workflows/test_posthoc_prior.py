"""A prior fitted afterwards: what it gains, what stays, what is refused."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import contents, tiny

import vaelab
from vaelab.cli.main import main
from vaelab.data import Batches
from vaelab.data import load as load_data
from vaelab.errors import UserError
from vaelab.training import terms


@pytest.fixture
def brief(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaelab.workflows.posthoc_prior.STEPS", 300)


def trained(folder: Path, **overrides: Any) -> vaelab.Run:
    given = {
        "train.epochs": 10,
        "model.hidden": [64],
        **{key.replace("__", "."): v for key, v in overrides.items()},
    }
    return vaelab.train(tiny(given), folder / "run", quiet=True)


@pytest.mark.parametrize("prior", ["mixture", "flow", "spline-flow", "vamp"])
def test_a_fitted_prior_gains_what_the_rate_loses_and_leaves_encoder_and_decoder(
    prior: str, brief: None, tmp_path: Path
) -> None:
    old = trained(tmp_path)
    before = contents(old.folder)
    new = vaelab.fit_prior(old.folder, prior, quiet=True)
    assert new.folder.name == f"run+{prior}"
    assert contents(old.folder) == before
    for part in ("encoder", "decoder"):
        weights = getattr(old.vae, part).state_dict()
        assert all(
            torch.equal(weights[name], t) for name, t in getattr(new.vae, part).state_dict().items()
        )
    # Both use the same noise.
    assert new.results["distortion"] == pytest.approx(old.results["distortion"], rel=1e-6)
    gain, error = new.results["prior_gain"]
    data = load_data(new.recipe.data)
    images = Batches(data.test.x, data.levels, new.recipe.data, torch.device("cpu"))
    rates = [[terms(run.vae, images, seed).rate for seed in range(8)] for run in (old, new)]
    lost = torch.tensor(rates[0]).mean() - torch.tensor(rates[1]).mean()
    assert gain == pytest.approx(float(lost), abs=5 * error)
    assert new.vae.sample(3).shape == (3, 8, 8)
    assert vaelab.load(new.folder).recipe.model.prior == prior


def test_codes_of_an_autoencoder_are_far_from_the_normal_and_a_mixture_finds_them(
    brief: None, tmp_path: Path
) -> None:
    old = trained(tmp_path, model__variant="ae")
    new = vaelab.fit_prior(old.folder, "mixture", quiet=True)
    gain, error = new.results["prior_gain"]
    assert gain > 5 * error
    codes = new.vae.encode(load_data(new.recipe.data).test.x / 16)
    samples = new.vae.prior().sample((500,))
    assert (samples.std(0) / codes.std(0) - 1).abs().max() < 0.5


def test_the_command_says_what_was_gained_and_keeps_what_is_there(
    brief: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained(tmp_path).folder
    assert main(["fit-prior", str(folder), "--out", str(tmp_path / "new")]) == 0
    assert (
        "nats likelier under the fitted mixture than under the old normal"
        in capsys.readouterr().out
    )
    before = contents(tmp_path / "new")
    assert main(["fit-prior", str(folder), "--out", str(tmp_path / "new")]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert contents(tmp_path / "new") == before


def test_a_fit_takes_the_steps_that_it_is_given(quick: None, tmp_path: Path) -> None:
    folder = trained(tmp_path).folder
    short, longer = (
        vaelab.fit_prior(folder, "mixture", tmp_path / str(steps), steps=steps, quiet=True)
        for steps in (1, 200)
    )
    assert json.loads((short.folder / "fit-prior.json").read_bytes())["steps"] == 1
    assert longer.results["prior_gain"][0] > short.results["prior_gain"][0]
    with pytest.raises(UserError, match="steps: expected at least 1, got 0"):
        vaelab.fit_prior(folder, "mixture", steps=0, quiet=True)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("sphere", "lives on reals"),
        ("autoregressive", "lives on reals"),
        ("mixtrue", "did you mean 'mixture'"),
    ],
)
def test_a_prior_that_does_not_go_with_the_codes_is_refused(
    prior: str, message: str, brief: None, tmp_path: Path
) -> None:
    folder = trained(tmp_path).folder
    with pytest.raises(UserError, match=message):
        vaelab.fit_prior(folder, prior)
    assert not (tmp_path / f"run+{prior}").exists()


def test_an_autoencoder_cannot_train_with_a_prior_that_would_learn_nothing(
    brief: None, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="fit-prior"):
        trained(tmp_path, model__variant="ae", model__prior="flow")
    recipes = {"one": tiny({"model.variant": "ae", "model.prior": "flow"})}
    with pytest.raises(UserError, match="fit-prior"):
        vaelab.train_all(recipes, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_run_is_never_replaced_by_its_own_refit(brief: None, tmp_path: Path) -> None:
    folder = trained(tmp_path).folder
    before = contents(folder)
    with pytest.raises(UserError, match="is the run itself"):
        vaelab.fit_prior(folder, "mixture", folder, overwrite=True)
    assert contents(folder) == before


def test_what_cannot_be_fitted_is_refused(brief: None, tmp_path: Path) -> None:
    folder = trained(tmp_path).folder
    with pytest.raises(UserError, match="'normal' has nothing to fit"):
        vaelab.fit_prior(folder, "normal")
    ladder = vaelab.train(
        tiny({"model.variant": "ladder", "objective.warmup": 1.0}), tmp_path / "ladder", quiet=True
    )
    with pytest.raises(
        UserError, match="the posterior of a ladder contains the networks of its prior"
    ):
        vaelab.fit_prior(ladder.folder, "top-down")


def test_a_run_with_a_fitted_prior_cites_where_that_comes_from(
    brief: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = vaelab.fit_prior(trained(tmp_path).folder, "mixture", components=3, quiet=True)
    assert new.vae.prior.get_parameter("mean").shape == (3, 2)
    assert main(["cite", str(new.folder)]) == 0
    assert {"dai2019diagnosing", "ghosh2020variational"} <= set(
        re.findall(r"@\w+{(\w+),", capsys.readouterr().out)
    )


class Killed(BaseException):
    """Stands for whatever ends a process without asking it."""


def test_a_fit_killed_at_any_of_its_writes_is_made_again_by_the_same_call(
    brief: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaelab.workflows.posthoc_prior.STEPS", 1)
    folder = trained(tmp_path, train__epochs=1).folder
    whole = vaelab.fit_prior(folder, "mixture", tmp_path / "whole", quiet=True)
    real = vaelab.Run.write
    for survived in range(7):
        left = iter(range(survived))

        def write(run: vaelab.Run, name: str, payload: Any, left: Any = left) -> Path:
            if next(left, None) is None:
                raise Killed
            return real(run, name, payload)

        out = tmp_path / "out"
        with monkeypatch.context() as patch:
            patch.setattr(vaelab.Run, "write", write)
            with contextlib.suppress(Killed):
                vaelab.fit_prior(folder, "mixture", out, quiet=True)
        if not (out / "results.json").exists():
            if survived > 1:
                with pytest.raises(UserError, match="fitted by vaelab fit-prior"):
                    vaelab.resume(out, quiet=True)
            again = vaelab.fit_prior(folder, "mixture", out, quiet=True)
            assert again.results == whole.results
            shutil.rmtree(out)


def test_the_run_in_the_working_folder_gets_a_neighbour(
    brief: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaelab.workflows.posthoc_prior.STEPS", 1)
    folder = trained(tmp_path, train__epochs=1).folder
    monkeypatch.chdir(folder)
    assert vaelab.fit_prior(".", "mixture", quiet=True).folder == tmp_path / "run+mixture"
