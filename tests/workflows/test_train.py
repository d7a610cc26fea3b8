"""The loop: what it does to the weights, what it writes down, when it stops."""

from __future__ import annotations

import json
import math
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TINY, contents, flags, outcome, state, tiny

import vaelab
from vaelab import devices
from vaelab.cli.main import main
from vaelab.data import Batches
from vaelab.data import load as load_data
from vaelab.models import build
from vaelab.plots import gallery
from vaelab.seeding import generator, seeded, untouched
from vaelab.training import Step, Terms, optimisers, schedules, terms
from vaelab.training import loop as training_loop
from vaelab.workflows import job, studies
from vaelab.workflows import train as training
from vaelab.workflows.console import Console

pytestmark = pytest.mark.usefixtures("quick")

CPU = torch.device("cpu")


def trained(folder: Path, overrides: dict[str, Any] | None = None) -> vaelab.Run:
    return vaelab.train(tiny(overrides), folder / "run", quiet=True)


def untrained(recipe: vaelab.Recipe) -> tuple[vaelab.VAE, dict[str, Batches]]:
    """The model that training starts from, and its data."""
    data = load_data(recipe.data)
    with seeded(recipe.train.seed, "weights"):
        vae = build(recipe.model, data.shape)
    return vae, {
        name: Batches(split.x, data.levels, recipe.data, CPU)
        for name, split in data.splits().items()
    }


def write_npy(folder: Path, *shape: int, seed: int = 0) -> str:
    path = folder / "x.npy"
    np.save(path, np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8))
    return str(path)


def losses(run: vaelab.Run, split: str = "train") -> list[float]:
    return [entry[split]["loss"] for entry in run.history]


# --- chance ---------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    settings = {"model.dropout": 0.1, "data.treatment": "dynamic", "data.shift": 0.1}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        vaelab.train(tiny(settings | {"train.seed": seed}), tmp_path / name, quiet=True)
    one, same, other = (outcome(tmp_path / name) for name in "abc")
    assert one == same
    assert all(
        one[name] != other[name] for name in ("best.safetensors", "last.pt", "metrics.jsonl")
    )


@pytest.mark.parametrize("fails", [False, True])
def test_training_leaves_torch_s_chance_threads_and_signals_as_they_were(
    fails: bool, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    torch.set_num_threads(2)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    chance, threads = torch.get_rng_state(), torch.get_num_threads()
    if fails:
        with pytest.raises(vaelab.UserError):
            trained(tmp_path, {"train.learning_rate": 1e9})
    else:
        trained(tmp_path)
    found = torch.get_num_threads()
    torch.set_num_threads(1)
    assert found == threads
    assert torch.equal(torch.get_rng_state(), chance)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_opening_a_run_leaves_torch_s_chance_as_it_was(digits_run: Path) -> None:
    chance = torch.get_rng_state()
    vaelab.load(digits_run).vae.sample(2)
    assert torch.equal(torch.get_rng_state(), chance)


def test_the_number_of_threads_is_recorded_and_too_many_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    count, warning = devices.threads(500)
    assert count == 500
    assert warning.startswith("500 threads on ")
    monkeypatch.setattr(devices, "threads", lambda asked: (1, warning))
    run = vaelab.train(tiny(), tmp_path / "run")
    assert f"warning: {warning}\n" in capsys.readouterr().out
    assert json.loads((run.folder / "environment.json").read_text())["threads"] == 1


# --- the numbers ----------------------------------------------------------------------------------


def test_the_training_value_is_the_mean_over_images_however_they_fall_into_batches(
    tmp_path: Path,
) -> None:
    """An autoencoder samples no noise, and at this learning rate its weights stay.

    The mean is therefore known exactly.
    """
    source = write_npy(tmp_path, 100, 6, 5)
    recipe = tiny(
        {
            "data.source": source,
            "model.variant": "ae",
            "train.learning_rate": 1e-12,
            "train.batch": 49,
        }
    )
    run = vaelab.train(recipe, tmp_path / "run", quiet=True)
    vae, batches = untrained(recipe)
    assert len(batches["train"]) == 81  # 49 and 32
    for split in ("train", "validation"):
        wanted = terms(vae, batches[split], seed=0)
        for entry in run.history:
            assert entry[split]["loss"] == pytest.approx(wanted.loss, rel=1e-6)
            assert entry[split]["rate"] == 0


def test_the_training_value_is_the_elbo_within_its_standard_error(tmp_path: Path) -> None:
    recipe = tiny({"train.learning_rate": 1e-12, "objective.beta": 7.0, "train.epochs": 2})
    run = vaelab.train(recipe, tmp_path / "run", quiet=True)
    vae, batches = untrained(recipe)
    train = batches["train"]
    with torch.no_grad():
        draw = vae.draw(train(torch.arange(len(train)), generator(0, "test")), 100)
    # The standard error of the mean with one sample per image.
    noise = (-draw.log_px).var(0).sum().sqrt().item() / len(train)
    for entry in run.history:
        found = entry["train"]
        # The loss is reported at beta = 1, whatever is optimised.
        assert found["loss"] == found["distortion"] + found["rate"]
        assert found["rate"] == pytest.approx(draw.rate.mean().item(), rel=1e-5)
        assert abs(found["distortion"] - draw.distortion.mean().item()) < 5 * noise


def test_metrics_are_those_of_the_saved_weights(tmp_path: Path) -> None:
    run = trained(tmp_path)
    _, batches = untrained(run.recipe)
    best = run.history[run.contract["epoch"] - 1]
    assert (
        terms(run.vae, batches["validation"], run.recipe.train.seed).record() == best["validation"]
    )
    test = terms(run.vae, batches["test"], run.recipe.train.seed)
    assert {key: run.results[key] for key in ("loss", "distortion", "rate")} == test.record()
    assert run.results["images"] == len(batches["test"])
    assert run.results["parameters"] == sum(p.numel() for p in run.vae.parameters())


def test_training_helps(tmp_path: Path) -> None:
    assert (
        losses(trained(tmp_path))[-1]
        < losses(trained(tmp_path / "less", {"train.epochs": 1}))[-1] - 2
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"train.schedule": "cosine"},
        {"train.schedule": "one-cycle", "objective.warmup": 2.5},
        {"train.schedule": "constant", "objective.cycles": 2, "objective.beta": 4.0},
    ],
    ids=str,
)
def test_the_schedules_of_the_last_step_of_every_epoch_are_recorded(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    run = trained(tmp_path, settings | {"train.epochs": 4, "train.batch": 128})
    recipe, last = run.recipe, 11 / 12  # 1455 images are 12 batches
    for entry in run.history:
        time = entry["epoch"] - 1 + last
        assert entry["beta"] == pytest.approx(schedules.numbers(recipe.objective, time, 4)["beta"])
        assert entry["learning_rate"] == pytest.approx(
            schedules.learning_rate(recipe.train)(time / 4)
        )
    assert len({(entry["beta"], entry["learning_rate"]) for entry in run.history}) > 1


def test_a_large_beta_lowers_the_rate(tmp_path: Path) -> None:
    rates = [
        trained(tmp_path / str(beta), {"objective.beta": beta, "train.epochs": 8}).results["rate"]
        for beta in (0.1, 20)
    ]
    assert rates[1] < rates[0] / 2


# --- which epoch is best, and when to stop --------------------------------------------------------

OVERFITS = {
    "train.epochs": 25,
    "train.learning_rate": 0.02,
    "train.schedule": "constant",
    "model.hidden": [64],
}


@pytest.fixture
def few(tmp_path: Path) -> str:
    """So few images that a network soon learns them by heart."""
    return write_npy(tmp_path, 60, 12)


def test_the_best_epoch_has_the_lowest_validation_value_at_beta_one(
    few: str, tmp_path: Path
) -> None:
    settings = OVERFITS | {
        "train.learning_rate": 0.05,
        "objective.beta": 4.0,
        "objective.cycles": 3,
    }
    run = trained(tmp_path, settings | {"data.source": few})
    values = losses(run, "validation")
    best = 1 + int(np.argmin(values))
    optimised = [
        e["validation"]["distortion"] + e["beta"] * e["validation"]["rate"] for e in run.history
    ]
    # Otherwise the test would prove nothing.
    assert best not in (1 + np.argmin(optimised), 1 + np.argmin(losses(run)), len(values))
    assert run.contract["epoch"] == run.results["epoch"] == best
    _, batches = untrained(run.recipe)
    assert terms(run.vae, batches["validation"], run.recipe.train.seed).loss == values[best - 1]


def test_without_validation_images_the_last_epoch_counts_and_nothing_is_chosen_on_the_test(
    few: str, tmp_path: Path
) -> None:
    run = trained(tmp_path, OVERFITS | {"data.source": few, "data.validation": 0.0})
    assert all(
        entry.keys() == {"epoch", "beta", "learning_rate", "train", "test"} for entry in run.history
    )
    assert np.argmin(losses(run, "test")) < 20
    assert run.contract["epoch"] == run.results["epoch"] == 25
    assert run.results["loss"] == losses(run, "test")[-1]


def test_patience_stops_that_many_epochs_after_the_best(
    few: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = OVERFITS | {"data.source": few}
    patient = trained(tmp_path / "patient", settings)
    run = vaelab.train(tiny(settings | {"train.patience": 4}), tmp_path / "run")
    assert "stopped early: no lower validation loss for 4 epochs" in capsys.readouterr().out
    assert len(run.history) == run.contract["epoch"] + 4 < 25
    assert losses(run) == losses(patient)[: len(run.history)]  # up to there the same run


# --- steps ----------------------------------------------------------------------------------------


def test_clipping_limits_the_step(tmp_path: Path) -> None:
    """Adam divides by sqrt(v) + 1e-8.

    Where clipping leaves a gradient of 1e-12, a step is 1e-4 of what it would be.
    """
    settings = {"train.epochs": 1, "train.batch": 5000}  # a single step

    def moved(clip: float) -> float:
        run = trained(tmp_path / str(clip), settings | {"train.clip": clip})
        before, _ = untrained(run.recipe)
        pairs = zip(run.vae.parameters(), before.parameters(), strict=True)
        return max((a - b).abs().max().item() for a, b in pairs)

    rate = tiny().train.learning_rate
    assert moved(0.0) == pytest.approx(rate, rel=1e-3)
    assert moved(1e9) == pytest.approx(rate, rel=1e-3)
    assert moved(1e-12) < 2e-4 * rate


def test_epsilon_reaches_adam(tmp_path: Path) -> None:
    """With an epsilon far above any gradient Adam hardly moves."""
    moved = {}
    for epsilon in (1e-8, 1e6):
        settings = {"train.epsilon": epsilon, "train.epochs": 1}
        run = vaelab.train(tiny(settings), tmp_path / str(epsilon), quiet=True)
        pairs = zip(run.vae.parameters(), untrained(tiny())[0].parameters(), strict=True)
        moved[epsilon] = max(float((a - b).detach().abs().max()) for a, b in pairs)
    assert moved[1e6] < 1e-6 < 1e-3 < moved[1e-8]


def test_many_epochs_have_a_picture_each_or_about_two_hundred_with_the_last() -> None:
    for epochs in (1, 200, 201, 399, 3280):
        frames = [epoch for epoch in range(1, epochs + 1) if gallery.is_frame(epoch, epochs)]
        assert frames[-1] == epochs
        assert min(epochs, 100) <= len(frames) <= 200
        assert len({b - a for a, b in pairwise(frames)}) <= 1


def test_bfloat16_trains_as_far_within_its_precision(tmp_path: Path) -> None:
    settings = {"train.epochs": 8, "train.learning_rate": 5e-3}
    half, whole = (
        losses(trained(tmp_path / name, settings | {"train.precision": name}), "validation")
        for name in ("bfloat16", "float32")
    )
    assert half != whole
    assert half[-1] < half[0] - 5
    assert half[-1] == pytest.approx(whole[-1], abs=1.0)


@pytest.mark.parametrize("pays", [True, False])
def test_the_faster_precision_is_chosen_said_and_kept_in_a_resume(
    pays: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the run's: a resume on another machine, where the other is faster, goes on with it."""
    for module in (training_loop.linear, job):
        monkeypatch.setattr(module, "bfloat16_pays", lambda device: pays)
    name = "bfloat16" if pays else "float32"
    chosen, named = (
        vaelab.train(tiny({"train.precision": asked}), tmp_path / asked) for asked in ("auto", name)
    )
    out = capsys.readouterr().out
    assert f"precision: {name}, which this device multiplies faster\n" in out
    assert out.count("precision:") == 1
    assert losses(chosen, "validation") == losses(named, "validation")
    monkeypatch.setattr(training_loop.linear, "bfloat16_pays", lambda device: not pays)
    assert vaelab.resume(chosen.folder).recipe.train.precision == name
    again = studies.standing(tiny({"train.precision": "auto"}), chosen.folder)  # as a sweep asks
    assert again
    assert again.recipe.train.precision == name


def test_bfloat16_that_does_not_pay_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pays in (True, False):
        monkeypatch.setattr(job, "bfloat16_pays", lambda device, pays=pays: pays)
        training.introduce(job.Job(tiny({"train.precision": "bfloat16"}), Console()))
        assert (
            "warning: this device multiplies bfloat16 no" in capsys.readouterr().out
        ) is not pays


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch compiling warns of torch
def test_compiled_networks_train_as_far(tmp_path: Path) -> None:
    for compile_ in (False, True):
        trained(tmp_path / str(compile_), {"train.compile": compile_})
    plain, compiled = (losses(vaelab.load(tmp_path / str(c) / "run")) for c in (False, True))
    assert compiled == pytest.approx(plain, rel=1e-3)
    assert vaelab.load(tmp_path / "True" / "run").vae.sample(2).shape == (2, 8, 8)


def test_a_left_over_image_does_not_upset_batch_normalisation(tmp_path: Path) -> None:
    source = write_npy(tmp_path, 81, 4, 4)  # 65 of them to train on: 64 and 1
    run = trained(tmp_path, {"data.source": source, "model.batch_norm": True, "train.batch": 64})
    assert all(map(math.isfinite, losses(run)))


def test_a_batch_may_be_larger_than_the_data_and_as_small_as_one(tmp_path: Path) -> None:
    source = write_npy(tmp_path, 30, 4, 4)
    for batch in (1, 10_000):
        run = trained(tmp_path / str(batch), {"data.source": source, "train.batch": batch})
        assert all(map(math.isfinite, losses(run)))


def test_a_warm_up_that_never_ends_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for warmup, warned in ((3.0, True), (2.9, False)):
        vaelab.train(tiny({"objective.warmup": warmup}), tmp_path / str(warmup))
        assert ("warning: objective.warmup" in capsys.readouterr().out) is warned


# --- other data -----------------------------------------------------------------------------------


def test_colour_images_of_any_size_train_convolutions(tmp_path: Path) -> None:
    source = write_npy(tmp_path, 40, 20, 28, 3)
    run = trained(
        tmp_path, {"data.source": source, "model.network": "conv", "model.hidden": [4, 8]}
    )
    assert run.vae.shape == (3, 20, 28)
    assert losses(run)[-1] < losses(run)[0]


@pytest.mark.parametrize(
    ("settings", "offset"),
    [
        ({"model.likelihood": "logistic-mixture"}, 0.0),
        ({"model.likelihood": "gaussian", "data.treatment": "dequantised"}, 8.0),
        ({"model.likelihood": "bernoulli", "data.treatment": "dynamic"}, 0.0),
        ({"model.likelihood": "bernoulli"}, None),  # a cross-entropy of grey levels
        ({"model.likelihood": "gaussian"}, None),  # a density of real values
        ({"model.variant": "ae"}, None),
    ],
)
def test_the_end_of_a_training_states_bits_per_dimension_where_there_are_any(
    settings: dict[str, Any],
    offset: float | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = write_npy(tmp_path, 40, 3, 6, 6)
    run = vaelab.train(tiny({"data.source": source} | settings), tmp_path / "run")
    found, printed = run.results.get("bits_per_dim"), capsys.readouterr().out
    if offset is None:
        assert found is None
        assert "bits/dim" not in printed
        return
    assert found == pytest.approx(run.results["loss"] / (3 * 6 * 6 * math.log(2)) + offset)
    assert f"({found:.4g} bits/dim)" in printed


def test_rows_of_numbers_train_and_draw_what_can_be_drawn_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # with pictures
    x = np.random.default_rng(0).normal(3, 5, (200, 7))
    np.savetxt(tmp_path / "x.csv", x, delimiter=",")
    run = trained(
        tmp_path, {"data.source": str(tmp_path / "x.csv"), "model.likelihood": "gaussian"}
    )
    assert losses(run)[-1] < losses(run)[0]
    assert {p.name for p in (run.folder / "figures").rglob("*")} >= {"losses.png", "latent.png"}


# --- a loss that is not finite --------------------------------------------------------------------


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert err.startswith("vaelab: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    "settings",
    [{}, {"train.batch": 5000}, {"train.precision": "bfloat16"}, {"train.clip": 1.0}],
    ids=str,
)
def test_a_loss_that_explodes_stops_the_run_in_one_line(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = flags(TINY | {"train.learning_rate": 1e6} | settings)
    assert main(["train", "quickstart", "--out", str(tmp_path / "run"), *words]) == 2
    err = refusal(capsys)
    for part in ("epoch 1", "no epoch was finished", "set --train.learning_rate to"):
        assert part in err
    assert " is not finite; " in err or " nats per image" in err
    terms = ("rate", "distortion", "loss of the validation images", "weight", "moment")
    assert any(term in err for term in terms)


def test_values_too_large_for_their_likelihood_are_named_at_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", np.full((50, 4), 1e30, np.float32))
    words = flags(TINY | {"data.source": tmp_path / "x.npy", "model.likelihood": "gaussian"})
    assert main(["train", "quickstart", "--out", str(tmp_path / "run"), *words]) == 2
    assert "epoch 1, step 1: the distortion is not finite; " in refusal(capsys)


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian-learned"])
def test_values_of_thousands_are_warned_of_and_named_as_the_cause_with_a_remedy(
    likelihood: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Squares of 1e4 make a loss of 1e8, and after the first steps weights that are not finite."""
    x = np.random.default_rng(0).normal(0, [1e4, 1e3, 1, 0.01], (300, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    settings = {"data.source": tmp_path / "x.npy", "model.likelihood": likelihood}
    words = flags(TINY | settings | {"train.learning_rate": 1e3})
    assert main(["train", "quickstart", "--out", str(tmp_path / "run"), *words]) == 2
    out, err = capsys.readouterr()
    assert "warning: the values reach " in out
    assert "set --data.standardise to true" in err
    assert "learning_rate" not in err


def test_a_loss_far_above_its_start_stops_the_run_though_it_is_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second epoch on the terms are 1e31 nats.

    So are those of the validation images.
    """
    real, steps = Step.forward, iter(range(10**6))

    def forward(self: Any, *arguments: Any) -> Any:
        loss, terms = real(self, *arguments)
        return loss, terms * (1e30 if next(steps) >= 23 else 1)

    with monkeypatch.context() as patch:
        patch.setattr(Step, "forward", forward)
        patch.setattr(training_loop, "written", lambda *_: None)
        with pytest.raises(vaelab.UserError, match=r"epoch 2, .*: the distortion is .*e\+3\d nats"):
            trained(tmp_path)
    assert len(vaelab.load(tmp_path / "run").history) == 1
    measured = Terms(1e31, 0.0)
    monkeypatch.setattr(training_loop, "terms", lambda *_: measured)
    with pytest.raises(vaelab.UserError, match=r"epoch 1: the loss of the validation images is 1e"):
        trained(tmp_path / "other")


def test_a_moment_of_the_optimiser_that_is_not_finite_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights stay finite while Adam divides by an infinite second moment."""
    real = optimisers.make

    def make(*arguments: Any) -> Any:
        adam = real(*arguments)
        step = adam.step

        def spoiled() -> None:
            step()
            for values in adam.state.values():
                values["exp_avg_sq"].fill_(math.inf)

        adam.step = spoiled
        return adam

    monkeypatch.setattr(optimisers, "make", make)
    with pytest.raises(vaelab.UserError, match="a moment of the optimiser is not finite"):
        trained(tmp_path)
    assert not (tmp_path / "run" / "last.pt").exists()
    assert not (tmp_path / "run" / "best.safetensors").exists()


def explode_in(epoch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A learning rate beyond all bounds from the middle of that epoch on."""
    real = schedules.learning_rate
    monkeypatch.setattr(
        schedules,
        "learning_rate",
        lambda s: lambda done: 1e9 if done * s.epochs > epoch - 0.5 else real(s)(done),
    )


def test_after_an_explosion_the_last_good_epoch_is_named_intact_and_loadable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"train.epochs": 3, "train.schedule": "constant"}
    good = vaelab.train(tiny(settings), tmp_path / "good", quiet=True)
    with monkeypatch.context() as patch:
        explode_in(3, patch)
        assert (
            main(["train", "quickstart", "--out", str(tmp_path / "run"), *flags(TINY | settings)])
            == 2
        )
    err = refusal(capsys)
    assert "epoch 3, step " in err
    assert f"the last good checkpoint is epoch 2, {tmp_path / 'run' / 'last.pt'}" in err
    run = vaelab.load(tmp_path / "run")
    assert run.history == good.history[:2]
    assert run.contract["epoch"] == 2
    assert run.vae.sample(3).isfinite().all()
    assert state(run.folder)["epoch"] == 2
    # Once the cause is removed, training continues.
    assert outcome(vaelab.resume(run.folder, quiet=True).folder) == outcome(good.folder)


def test_an_explosion_in_the_last_step_of_an_epoch_is_not_blamed_on_its_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = schedules.learning_rate
    last = 22.5 / 23  # of 23 steps
    monkeypatch.setattr(
        schedules,
        "learning_rate",
        lambda s: lambda done: 1e20 if done * s.epochs % 1 > last - 1 / 23 else real(s)(0),
    )
    with pytest.raises(vaelab.UserError, match=r"is not finite|nats per image") as caught:
        trained(tmp_path)
    assert "epoch 1, step 1:" not in str(caught.value)


def test_an_interruption_after_an_explosion_does_not_save_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks at the loss are 50 steps apart; Ctrl-C comes between two of them."""
    run, steps, real = (
        trained(tmp_path / "good", {"train.batch": 20}),
        iter(range(10_000)),
        schedules.numbers,
    )

    def numbers(*arguments: Any) -> dict[str, float]:
        if next(steps) == 80:
            signal.raise_signal(signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(schedules, "numbers", numbers)
    explode_in(2, monkeypatch)
    with pytest.raises((vaelab.UserError, KeyboardInterrupt)):
        trained(tmp_path, {"train.batch": 20, "train.epochs": 2})
    assert run.vae.sample(1).isfinite().all()
    saved = state(tmp_path / "run")
    for tensor in saved.values():
        assert not torch.is_tensor(tensor) or tensor.isfinite().all()


# --- where the run goes ---------------------------------------------------------------------------


def test_a_run_goes_to_runs_and_its_recipe_s_name_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert vaelab.train(tiny(), quiet=True).folder == Path("runs/quickstart")
    assert main(["train", "quickstart", "--overwrite", *flags(TINY)]) == 0
    assert [p.name for p in (tmp_path / "runs").iterdir()] == ["quickstart"]


COLUMNS = [
    (split, name) for split in ("train", "validation") for name in ("loss", "distortion", "rate")
]


def test_a_quiet_training_prints_nothing_and_another_a_line_an_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path)
    assert capsys.readouterr() == ("", "")
    run = vaelab.train(tiny(), tmp_path / "told")
    out, err = capsys.readouterr()
    assert err == ""
    for entry in run.history:
        line = next(line for line in out.splitlines() if f" {entry['epoch']}/3 " in line)
        terms = [entry[split][name] for split, name in COLUMNS]
        assert line.split()[1:-1] == [f"{value:.2f}" for value in terms]
    assert f"run folder: {run.folder}" in out


def test_a_recipe_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for bad in (
        {"model.variant": "vea"},
        {"data.source": "mnits"},
        {"model.network": "conv", "model.hidden": [1] * 9},
    ):
        with pytest.raises(vaelab.UserError):
            vaelab.train(tiny(bad), tmp_path / "a" / "b", quiet=True)
    assert contents(tmp_path) == {}


def test_few_steps_are_warned_of_with_a_number_of_epochs_that_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """300 images are 2 batches: 20 epochs are 40 steps."""
    settings = {"data.source": write_npy(tmp_path, 300, 4, 4), "train.batch": 128}
    for epochs, warned in ((20, True), (250, False)):
        recipe = tiny(settings | {"train.epochs": epochs})
        job.introduce(job.Job(recipe, Console()))
        assert ("set train.epochs to 250" in capsys.readouterr().out) is warned


def test_steps_train_without_a_folder_and_continue_from_any_state(tmp_path: Path) -> None:
    """The numbers and the weights are those of the run that `vaelab.train` writes."""
    run = trained(tmp_path)
    prepared = job.Job(run.recipe, Console(quiet=True))
    given = {"held_out": {"validation": prepared.validation}}
    states = []
    with untouched():
        for epoch in vaelab.epochs(prepared.step, prepared.train, run.recipe.train, **given):
            tensors, facts = epoch.state()
            states.append(({name: t.clone() for name, t in tensors.items()}, facts))
            assert epoch.whole
    assert epoch.history == run.history
    saved, _ = run.state()
    assert all(torch.equal(saved[name], tensor) for name, tensor in states[-1][0].items())
    again = job.Job(run.recipe, Console(quiet=True))
    with untouched():
        (*_, last) = vaelab.epochs(again.step, again.train, run.recipe.train, states[0], **given)
    assert last.history == run.history
    weights = {name: t for name, t in last.state()[0].items() if not name.startswith("generator")}
    assert all(torch.equal(saved[name], tensor) for name, tensor in weights.items())
    assert contents(tmp_path).keys() == {f"run/{name}" for name in contents(run.folder)} | {"run"}


def test_a_pause_within_an_epoch_changes_nothing() -> None:
    one, other = (job.Job(tiny(), Console(quiet=True)) for _ in range(2))
    with untouched():
        (*_, wanted) = vaelab.epochs(one.step, one.train, tiny().train)
        found = [*vaelab.epochs(other.step, other.train, tiny().train, pause=lambda: True)]
    assert [stand.step for stand in found[:23]] == [*range(1, 24)]
    assert [stand.whole for stand in found[:23]] == [False] * 22 + [True]
    assert found[-1].history == wanted.history


def test_the_best_of_the_module_is_what_the_package_offers() -> None:
    assert vaelab.train is training.train
    assert vaelab.resume is training.resume
