"""Each rule of the doctor finds the fault of a run made for it and passes a healthy run."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import scipy.stats
import torch
from conftest import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Laplace, Normal

import vaelab
from vaelab.errors import UserError
from vaelab.evaluation import results
from vaelab.evaluation.doctor import (
    RULES,
    Evidence,
    Finding,
    diagnose,
    diagnosis,
    evidence,
    report,
    say,
    training,
)
from vaelab.evaluation.doctor.finding import said as said_of
from vaelab.evaluation.doctor.likelihood import fit_of
from vaelab.evaluation.doctor.rules import TABLES
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.sections import latent, samples
from vaelab.language import Lang
from vaelab.recipes import override, table

Look = Callable[[str], Evidence]
COMMAND = re.compile(r"--[a-z]+\.[a-z_]+(?: [\d.]*\d)?|vaelab [a-z-]+")

BINARY = {"data.treatment": "dynamic"}
FEW = BINARY | {"data.validation": 0.8}  # 260 images to learn from
RUNS: dict[str, dict[str, Any]] = {
    "healthy": BINARY
    | {
        "model.hidden": [64],
        "train.epochs": 60,
        "train.schedule": "constant",
        "objective.warmup": 5.0,
    },
    "healthy codes": BINARY
    | {
        "model.variant": "gumbel",
        "model.hidden": [64],
        "model.latent": 4,
        "model.codes": 8,
        "train.epochs": 40,
    },
    "grey": {"model.hidden": [64], "train.epochs": 20},
    "beta 50": BINARY | {"objective.beta": 50.0},
    "beta-vae": BINARY | {"model.variant": "beta-vae"},
    "slow warm-up": BINARY | {"objective.warmup": 30.0},
    "sigma 1": {"model.likelihood": "gaussian", "model.sigma": 1.0, "train.epochs": 5},
    "gaussian": {"model.likelihood": "gaussian-optimal", "train.epochs": 10},
    "gaussian on bits": {
        "data.treatment": "threshold",
        "model.likelihood": "gaussian-optimal",
        "train.epochs": 1,
    },
    "poisson on digits": {
        "data.treatment": "counts",
        "model.likelihood": "poisson",
        "train.epochs": 5,
    },
    "memorised": FEW
    | {
        "data.treatment": "threshold",
        "model.variant": "ae",
        "model.hidden": [256],
        "model.latent": 8,
    }
    | {
        "train.epochs": 60,
        "train.schedule": "constant",
        "train.batch": 32,
        "train.learning_rate": 1e-2,
    },
    "too short": BINARY | {"train.schedule": "constant", "train.epochs": 5},
    "poisson counts": {
        "data.treatment": "counts",
        "model.likelihood": "poisson",
        "train.epochs": 20,
    }
    | {"train.learning_rate": 5e-3},
    "one factor": {
        "model.likelihood": "gaussian",
        "model.sigma": 0.2,
        "model.latent": 20,
        "model.hidden": [64],
    }
    | {"train.epochs": 20, "train.batch": 16, "train.learning_rate": 5e-3},
    "vq": BINARY
    | {"model.variant": "vq-vae", "model.hidden": [64], "model.latent": 2, "model.codes": 64}
    | {"train.epochs": 2, "train.learning_rate": 5e-3},
}


def arrays(name: str) -> np.ndarray[Any, Any] | None:
    """Data of which more is known than of digits, where a run needs them."""
    rng = np.random.default_rng(0)
    match name:
        case "poisson counts":
            return rng.poisson(4.0, (600, 8, 8)).astype(np.float32)
        case "one factor":  # how bright a ramp is; and noise of 0.05
            ramp = rng.uniform(size=(800, 1, 1)) * np.linspace(0, 1, 64).reshape(8, 8)
            return (ramp + rng.normal(0, 0.05, (800, 8, 8))).astype(np.float32)
        case _:
            return None


@pytest.fixture(scope="module")
def undrawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Like `quick`, for runs that several tests share.

    The classifier trains briefly and has its own cache.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.plots.gallery.snapshot", lambda *_: None)
        patch.setattr("vaelab.devices._idle_cores", lambda: 1.0)
        patch.setattr("vaelab.evaluation.classifier.SHOWN", (2000, 2000))
        patch.setenv("VAELAB_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def look(undrawn: None, tmp_path_factory: pytest.TempPathFactory) -> Look:
    """What there is to be seen of one of RUNS, trained when it is first asked for."""

    @cache
    def evidence(name: str) -> Evidence:
        folder, made = tmp_path_factory.mktemp("run"), arrays(name)
        if made is not None:
            np.save(folder / "data.npy", made)
        source = {} if made is None else {"data.source": str(folder / "data.npy")}
        return seen(vaelab.train(tiny(RUNS[name] | source), folder / "run", quiet=True))

    return evidence


def seen(run: vaelab.Run) -> Evidence:
    few = Evaluator(run, images=500, n_samples=500)
    sections = {"latent": latent.measure(few), "samples": samples.measure(few)}
    return Evidence(run.recipe, run.history, Evaluator(run), sections)


def verdicts(e: Evidence) -> dict[str, str]:
    return {finding.rule: finding.verdict for finding in diagnose(e.evaluator.run, e.sections)}


def judged(e: Evidence, rule: str) -> Finding:
    finding = RULES[rule](e)
    assert finding is not None
    assert finding.rule == rule
    speaks_both_languages(finding)
    return finding


def speaks_both_languages(finding: Finding) -> None:
    english, portuguese = (
        (finding.name(lang), finding.text(lang), finding.tries(lang)) for lang in get_args(Lang)
    )
    assert english == (finding.rule, finding.says, finding.remedy)
    assert english[1] != portuguese[1]
    assert not re.search(r"[{}]|nan|\d\.\d", portuguese[1])  # a decimal comma
    assert not re.search(r"[{}]", finding.says + "".join(finding.remedy + portuguese[2]))
    # Settings and commands are the same; only the words between them are translated.
    assert COMMAND.findall(english[2]) == COMMAND.findall(portuguese[2])


BAD = [say("samples are worse")]


# --- runs made to trigger a rule, and healthy ones ------------------------------------------------


def test_healthy_runs_are_told_nothing_by_any_rule(look: Look) -> None:
    found = [verdicts(look(name)) for name in ("healthy", "healthy codes")]
    # Its learning rate fell to 0, so this cannot be judged.
    assert found[1].pop("too few epochs") == "remark"
    assert all(set(each.values()) == {"fine"} for each in found), found
    # and no rule was spared but those for tables
    assert {rule for each in found for rule in each} == set(RULES) - TABLES


@pytest.mark.parametrize(
    ("name", "rule", "says", "remedy"),
    [
        ("beta 50", "posterior collapse", "weighted by beta = 50", "--objective.beta 1"),
        (
            "sigma 1",
            "posterior collapse",
            "sigma is 1, where 0.",
            "--model.likelihood gaussian-optimal",
        ),
        ("slow warm-up", "warm-up", "beta was 0.0", "--objective.warmup 1"),
        ("beta 50", "beta", "distortion + 50 rate", "--model.variant beta-vae"),
        ("sigma 1", "likelihood", "scale is 1, but 0.", "--model.likelihood gaussian-optimal"),
        ("gaussian on bits", "likelihood", "All values are 0 or 1", "--model.likelihood bernoulli"),
        (
            "poisson on digits",
            "likelihood",
            "times their mean",
            "--model.likelihood negative-binomial",
        ),
        ("memorised", "saturated outputs", "certain", "--model.dropout"),
        ("memorised", "holes", "mismatch between aggregate posterior and prior", "fit-prior"),
        ("memorised", "overfitting", "memorises them", "--train.patience"),
        ("too short", "too few epochs", "still falling", "--train.epochs 10"),
        ("vq", "unused codes", "of the 64 values", "--model.codes"),
        ("one factor", "unused dimensions", "of 20 latent dimensions", "--model.latent"),
    ],
)
def test_a_run_made_for_a_rule_is_found_out(
    look: Look, name: str, rule: str, says: str, remedy: str
) -> None:
    finding = judged(look(name), rule)
    assert finding.verdict == "fault"
    assert says in finding.says
    assert remedy in finding.remedy


def test_a_sigma_below_the_rounding_of_grey_levels_is_saturated(look: Look) -> None:
    """The sigma is set by hand.

    To learn one takes images that a decoder can reproduce to a level, and many epochs.
    """
    e = look("gaussian")
    assert judged(e, "saturated outputs").verdict == "fine"
    # Digits have 17 levels; the standard deviation of rounding to them is 0.289 levels.
    for levels, verdict in ((0.28, "fault"), (0.30, "fine")):
        run = vaelab.load(e.evaluator.run.folder)
        run.vae.decoder.get_buffer("log_sigma").fill_(math.log(levels / 16))
        assert (
            judged(dataclasses.replace(e, evaluator=Evaluator(run)), "saturated outputs").verdict
            == verdict
        )


def test_grey_cross_entropy_and_a_chosen_beta_are_remarks_and_the_run_is_healthy(
    look: Look,
) -> None:
    grey, beta = look("grey"), look("beta-vae")
    assert verdicts(grey)["likelihood"] == "remark"
    assert "fault" not in verdicts(grey).values()
    assert report(diagnose(grey.evaluator.run, grey.sections)).startswith("No fault was found")
    remark = judged(beta, "beta")
    assert remark.verdict == "remark"
    assert "distortion + 4 rate" in remark.says
    plain = dataclasses.replace(
        beta, recipe=override(beta.recipe, {"model.variant": "vae", "objective.beta": 4.0})
    )
    assert judged(plain, "beta").verdict == "fault"


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("gaussian", "likelihood"),
        ("sigma 1", "saturated outputs"),
        ("memorised", "likelihood"),
        ("vq", "beta"),
        ("beta 50", "overfitting"),
    ],
)
def test_a_rule_keeps_to_its_own_fault(look: Look, name: str, rule: str) -> None:
    finding = RULES[rule](look(name))
    assert finding is None or finding.verdict == "fine"


def test_what_follows_from_a_graver_fault_is_no_fault_beside_it(look: Look) -> None:
    collapsed, warming = verdicts(look("beta 50")), verdicts(look("slow warm-up"))
    assert judged(look("beta 50"), "unused dimensions").verdict == "fault"
    assert collapsed["posterior collapse"] == "fault"
    assert {collapsed["unused dimensions"], collapsed["holes"]} == {"follows"}
    assert judged(look("slow warm-up"), "beta").verdict == "fault"
    assert warming["warm-up"] == "fault"
    assert warming["beta"] == "follows"


@pytest.mark.parametrize(("name", "said"), [("elbo", True), ("beta-tc", False)])
def test_a_collapse_is_laid_to_beta_only_where_beta_weighs_the_rate(
    look: Look, name: str, said: bool
) -> None:
    e = look("beta 50")
    entries = [entry | {"beta": 6.0} for entry in e.history]
    finding = judged(with_history(e, entries, objective__name=name), "posterior collapse")
    assert ("weighted by beta = 6" in finding.says) == said


def test_a_rate_that_tells_no_image_from_another_is_a_collapse_too(look: Look) -> None:
    """As free bits can bring about: posteriors that are alike, and off the prior."""
    e = look("healthy")
    assert e.look[2] > math.log(2)
    for information, verdict in ((0.6, "fault"), (0.8, "fine")):
        section = {"latent": {"mutual_information": information}}
        finding = judged(dataclasses.replace(e, sections=section), "posterior collapse")
        assert finding.verdict == verdict
        assert ("at a rate of" in finding.says) == (verdict == "fault")


# --- histories: what is known of them exactly -----------------------------------------------------


def history(
    unseen: list[float], seen: list[float] | None = None, split: str = "validation"
) -> list[dict[str, Any]]:
    seen = seen or unseen
    return [
        {"epoch": t, "beta": 1.0, "train": {"loss": a}, split: {"loss": b}}
        for t, (a, b) in enumerate(zip(seen, unseen, strict=True), 1)
    ]


def with_history(e: Evidence, entries: list[dict[str, Any]], **recipe: Any) -> Evidence:
    wanted = {key.replace("__", "."): value for key, value in recipe.items()}
    return dataclasses.replace(e, history=entries, recipe=override(e.recipe, wanted))


@pytest.fixture
def noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the last epoch is known as well as that of MNIST's 10,000 test images."""
    monkeypatch.setattr(Evidence, "loss", lambda *_: Estimate(103.9, 0.27))


def seeds(epochs: int = 20) -> list[list[dict[str, Any]]]:
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "seeds-mlp-20d.json"
    return [run["history"][:epochs] for run in json.loads(path.read_text())["runs"]]


def test_mlp_20d_has_epochs_enough_at_20_and_too_few_at_8_and_never_overfits(
    look: Look, noise: None
) -> None:
    """The histories are those measured on MNIST with ten seeds.

    They have no validation images, so the rules look at test images.
    """
    for entries in seeds():
        e = with_history(look("healthy"), entries, objective__warmup=0.0)
        assert judged(e, "too few epochs").verdict in ("fine", "remark")
        assert judged(e, "overfitting").verdict == "fine"
        assert "These are test images" in judged(e, "overfitting").says
    faults = [
        judged(
            with_history(look("healthy"), entries, objective__warmup=0.0), "too few epochs"
        ).verdict
        == "fault"
        for entries in seeds(8)
    ]
    assert len(faults) == 10
    assert sum(faults) >= 8  # of the three last points of a curve one cannot always be sure


@pytest.mark.parametrize(
    ("b", "verdict"), [(100.0, "fault"), (40.0, "remark"), (5.0, "fine"), (-100.0, "fine")]
)
def test_a_curve_a_plus_b_over_epoch_gains_what_it_says(
    look: Look, noise: None, b: float, verdict: str
) -> None:
    """From epoch 20 to 25 the gain is b / 20 - b / 25 = b / 100 nats.

    A fault starts at twice 0.27 nats, a remark at 0.3.
    """
    e = with_history(
        look("healthy"), history([90 + b / t for t in range(1, 21)]), objective__warmup=0.0
    )
    finding = judged(e, "too few epochs")
    assert finding.verdict == verdict
    assert f"should gain {b / 100:.1f} nats" in finding.says


def test_a_curve_of_noise_alone_is_rarely_called_a_trend(look: Look, noise: None) -> None:
    """The slope of a line has to exceed 2.5 standard errors.

    By Student's t with 2 degrees of freedom, chance alone reaches this in 6.5 % of cases.
    """
    rng = np.random.default_rng(0)
    base = look("healthy")
    found = []
    for _ in range(200):
        e = with_history(
            base,
            history(list(100 + rng.normal(0, 1, 16)), list(range(16, 0, -1))),
            objective__warmup=0.0,
        )
        found.append(
            (
                judged(e, "too few epochs").verdict == "fault",
                judged(e, "overfitting").verdict == "fault",
            )
        )
    short, over = np.mean(found, axis=0)
    sure = 3 * math.sqrt(0.065 * 0.935 / 200)
    assert short < 0.065 + sure
    assert over < 0.065 + sure


def test_a_gain_has_the_standard_error_of_the_line_and_a_run_that_was_stopped_wants_patience(
    look: Look, noise: None
) -> None:
    rng, x = np.random.default_rng(0), 1 / np.arange(16, 21)
    curve = list(90 + 100 / np.arange(1, 21) + rng.normal(0, 0.1, 20))
    line = scipy.stats.linregress(x, curve[15:])
    base, share = look("healthy"), 1 / 20 - 1 / 25
    said = said_of(Estimate(line.slope * share, line.stderr * share))
    assert said != said_of(
        Estimate(line.slope * share, line.stderr * share * training._certain(5) / evidence.SURE)
    )
    for epochs, patience, remedy in ((20, 0, "--train.epochs 40"), (100, 3, "--train.patience 6")):
        given = {"train__epochs": epochs, "train__patience": patience, "objective__warmup": 0.0}
        finding = judged(with_history(base, history(curve), **given), "too few epochs")
        assert finding.remedy == remedy
        assert f"another 5 epochs should gain {said} nats" in finding.says


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle"])
def test_a_falling_learning_rate_makes_the_end_flat_and_the_run_is_not_called_healthy(
    look: Look, schedule: str
) -> None:
    curve = history([90 + 100 / t for t in range(1, 21)])
    finding = judged(
        with_history(look("healthy"), curve, train__schedule=schedule, train__epochs=20),
        "too few epochs",
    )
    assert finding.verdict == "remark"
    assert finding.remedy.startswith("--train.epochs 40")


def test_a_misfit_has_to_be_beyond_the_chance_of_the_images(look: Look) -> None:
    """Of few images with residuals of very different sizes the scale that fits is hardly known."""
    e = look("sigma 1")
    assert judged(e, "likelihood").verdict == "fault"
    fit = fit_of(e)
    assert fit is not None
    assert fit.misfits
    assert not fit._replace(error=fit.beta).misfits
    x, element, _ = e.look
    squares = (x - element.loc)[0].double().square().flatten(1).mean(1)
    assert fit.error == pytest.approx(float(squares.std() / len(squares) ** 0.5 / squares.mean()))


def test_what_follows_from_a_fault_is_said_to_be_part_of_it(look: Look) -> None:
    e = look("beta 50")
    findings = diagnose(e.evaluator.run, e.sections)
    follow = [finding.rule for finding in findings if finding.verdict == "follows"]
    assert "unused dimensions" in follow
    text = report(findings, "runs/x")
    assert f"Consequences of the faults above: {', '.join(follow)}." in text
    assert "To try a setting, run: vaelab train runs/x/recipe.toml SETTING --out NEW" in text
    assert "To try a setting" not in report(
        [Finding("holes", "fault", BAD, "vaelab fit-prior runs/x --prior flow")]
    )


def test_quantised_codes_that_collapsed_keep_their_model(look: Look) -> None:
    e = look("vq")
    silent = dataclasses.replace(
        e, sections={"latent": {"mutual_information": Estimate(0.1, 0.01)}}
    )
    finding = judged(silent, "posterior collapse")
    assert finding.verdict == "fault"
    assert "--model.latent 4" in finding.remedy
    assert "variant" not in finding.remedy


def test_the_weight_at_the_epoch_kept_is_what_counts(look: Look) -> None:
    """In the middle of a cycle beta is not what was asked for."""
    e = look("healthy")
    for beta, verdict in ((0.4, "fault"), (1.0, "fine")):
        entries = [entry | {"beta": beta} for entry in e.history]
        finding = judged(
            with_history(e, entries, objective__warmup=0.0, objective__cycles=2), "beta"
        )
        assert finding.verdict == verdict
        assert verdict == "fine" or (
            "distortion + 0.4 rate" in finding.says and "--objective.cycles 0" in finding.remedy
        )


def test_a_rise_is_overfitting_only_where_training_images_get_better(look: Look) -> None:
    rising = [100 - t if t < 8 else 92 + 0.5 * (t - 8) for t in range(20)]
    falling = [100.0 - t for t in range(20)]
    finding = judged(with_history(look("healthy"), history(rising, falling)), "overfitting")
    assert finding.verdict == "fault"
    assert "Since epoch 9 the loss of validation images has risen by about 5.5 nats" in finding.says
    assert (
        judged(with_history(look("healthy"), history(rising, rising)), "overfitting").verdict
        == "fine"
    )
    assert judged(with_history(look("healthy"), history(falling)), "overfitting").verdict == "fine"
    without = judged(with_history(look("healthy"), history(rising, falling, "test")), "overfitting")
    assert "These are test images" in without.says
    assert "--data.validation" in without.remedy


def test_a_gap_is_held_against_its_own_error(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    e = look("healthy")
    for error, verdict in ((0.1, "remark"), (1.0, "fine")):
        found = {"train": Estimate(100.0, error), "validation": Estimate(102.0, error)}
        monkeypatch.setattr(Evidence, "loss", lambda self, split, found=found: found[split])
        assert judged(e, "overfitting").verdict == verdict


def test_a_warm_up_is_held_against_the_epochs_there_were(look: Look) -> None:
    e = look("healthy")
    entries = [entry | {"beta": 0.5} for entry in history([100.0] * 20)]
    for warmup, verdict in ((19.0, "fine"), (20.0, "fault"), (40.0, "fault")):
        finding = judged(with_history(e, entries, objective__warmup=warmup), "warm-up")
        assert finding.verdict == verdict
        assert verdict == "fine" or "beta was 0.5, not 1" in finding.says


def test_an_unfinished_run_is_told_how_to_go_on(look: Look, tmp_path: Path) -> None:
    run = look("healthy").evaluator.run
    for name in ("recipe.toml", "metrics.jsonl", "best.safetensors"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    (tmp_path / "metrics.jsonl").write_text(
        "".join(json.dumps(entry) + "\n" for entry in run.history[:6])
    )
    finding = next(f for f in diagnose(tmp_path, {}) if f.rule == "too few epochs")
    assert finding.verdict == "fault"
    assert "6 of 60 epochs" in finding.says
    assert finding.remedy == f"vaelab train --resume {tmp_path}"
    with pytest.raises(UserError, match="no such run folder"):
        diagnose(tmp_path / "nowhere")


# --- numbers: where they come from, what they mean ------------------------------------------------


@pytest.mark.parametrize("law", [Normal, Laplace])
def test_the_scale_that_fits_and_what_it_saves_are_those_of_the_log_densities(law: Any) -> None:
    """200 elements have residuals of standard deviation 0.3 under a scale of 1.

    No other scale than the best one gives more nats.
    """
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 0.3, (50, 4))).double()
    zero = torch.zeros(1, 50, 4, dtype=torch.float64)
    fit = fit_of(SimpleNamespace(look=(x, law(zero, torch.ones_like(zero)), 0.0)))  # type: ignore[arg-type]
    assert fit is not None

    def nats(scale: float) -> float:
        return float(law(x.new_zeros(()), x.new_tensor(scale)).log_prob(x).sum(1).mean())

    assert fit.lost == pytest.approx(nats(fit.best) - nats(1.0), rel=1e-9)
    assert nats(fit.best) > max(nats(0.99 * fit.best), nats(1.01 * fit.best))
    assert fit.beta == pytest.approx(fit.best ** -(2 if law is Normal else 1), rel=1e-9)


def test_poisson_counts_fit_a_poisson(look: Look) -> None:
    """The variance equals the mean: 4 in each of 64 elements, the same for all images.

    What the model learns adds to the spread.
    """
    finding = judged(look("poisson counts"), "likelihood")
    assert finding.verdict == "fine"
    spread = float(finding.says.split("counts is ")[1].split()[0])
    # (x - 4)^2 / 4 has mean 1 and variance 2 + 1/4.
    assert spread > 1 - 4 * math.sqrt((2 + 1 / 4) / (60 * 64))


@pytest.mark.parametrize(
    ("stored", "value", "error"),
    [
        (Estimate(3.0, 0.5), 3.0, 0.5),
        (Estimate(3.0), 3.0, None),
        (3, 3.0, None),
    ],
)
def test_a_number_is_read_however_it_was_stored(
    look: Look, stored: Any, value: float, error: float | None
) -> None:
    e = dataclasses.replace(look("healthy"), sections={"latent": {"prior_gap": stored}})
    assert e.number("latent.prior_gap") == Estimate(value, error)


@pytest.mark.parametrize(
    "stored", [None, "text", float("nan"), Estimate(math.nan, 1.0), {"7": 1.0}, [1.0]]
)
def test_what_is_no_number_is_missing(look: Look, stored: Any) -> None:
    e = dataclasses.replace(look("healthy"), sections={"latent": {"prior_gap": stored}})
    assert e.number("latent.prior_gap") is None
    assert e.number("fidelity.frechet") is None


def test_the_evaluation_in_the_folder_is_used_and_what_is_missing_measured(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = look("memorised").evaluator.run
    before = {"latent": {"prior_gap_at_least": Estimate(123.0, 1.0)}}
    monkeypatch.setattr(diagnosis, "read", lambda _: results.Evaluation({}, before))
    monkeypatch.setattr(latent, "measure", lambda _: pytest.fail("measured again"))
    monkeypatch.setattr(
        samples,
        "measure",
        lambda _: {"frechet": 7.0, "frechet_real": 1.0, "frechet_reconstructions": 2.0},
    )
    (finding,) = (finding for finding in diagnose(run.folder) if finding.rule == "holes")
    assert "123.0 ± 1.0 nats" in finding.says
    assert "samples 7, reconstructions 2, training images 1" in finding.says


def test_holes_are_found_by_the_samples_where_no_distance_of_codes_is_known(look: Look) -> None:
    e = look("memorised")
    distances = {"frechet": 50.0, "frechet_reconstructions": 2.0, "frechet_real": 1.0}
    numbers: dict[str, Any] = {key: Estimate(value, 0.5) for key, value in distances.items()} | {
        "coverage_real": 0.9
    }
    for coverage, verdict in ((0.05, "fault"), (0.3, "remark")):
        sections = {"samples": numbers | {"coverage": coverage}}
        assert judged(dataclasses.replace(e, sections=sections), "holes").verdict == verdict
    # A difference within the errors, and one whose error is unknown.
    for alike in (Estimate(3.0, 1.0), Estimate(50.0, None)):
        sections = {"samples": numbers | {"coverage": 0.05, "frechet": alike}}
        assert judged(dataclasses.replace(e, sections=sections), "holes").verdict == "fine"
    assert RULES["holes"](dataclasses.replace(e, sections={})) is None


def sampled(
    e: Evidence, made: float, again: float, real: float, coverage: float, gap: float
) -> Finding:
    """What `holes` says of such numbers, as sure as those of MNIST's 10,000 test images."""
    measured = {"frechet": made, "frechet_reconstructions": again, "frechet_real": real}
    numbers: dict[str, Any] = {
        key: Estimate(value, 0.03 + value / 150) for key, value in measured.items()
    }
    numbers |= {"coverage": coverage, "coverage_real": 0.95}
    codes = {"prior_gap_at_least": Estimate(gap, 0.01)}
    return judged(dataclasses.replace(e, sections={"samples": numbers, "latent": codes}), "holes")


def test_samples_no_worse_than_blurred_reconstructions_are_no_fault(look: Look) -> None:
    """The numbers are those of report 2's VAE with two latent dimensions.

    Its samples are bad and its reconstructions nearly as bad, which no other prior fixes.
    """
    finding = sampled(look("healthy"), 25.4, 22.6, 0.4, coverage=0.037, gap=0.47)
    assert finding.verdict == "remark"
    assert finding.says.startswith(
        "Samples are worse than reconstructions, and codes and prior do not match."
    )
    assert "--prior flow" in finding.remedy
    worse = sampled(look("healthy"), 25.4, 9.0, 0.4, coverage=0.037, gap=0.47)
    assert worse.verdict == "fault"
    assert worse.says.startswith("Samples are much worse than reconstructions.")


def test_samples_as_far_from_test_images_as_real_ones_are_no_worse_than_reconstructions(
    look: Look,
) -> None:
    """Reconstructions may lie nearer to the test images than any other images do.

    They are reconstructions of these very images.
    """
    assert sampled(look("healthy"), 0.3, 0.0, 0.3, coverage=0.95, gap=-0.01).verdict == "fine"
    blurred = sampled(look("healthy"), 2.0, 0.5, 0.3, coverage=0.5, gap=0.01)
    # Codes follow the prior, so another prior fixes nothing.
    assert (blurred.verdict, blurred.remedy) == ("remark", "")
    assert blurred.says.startswith("Samples are worse than reconstructions. Frechet")


def test_a_mutual_information_at_its_ceiling_is_not_taken_for_a_distance(look: Look) -> None:
    """The prior gap is then too large by what the mutual information lacks; log 180 is 5.2 nats."""
    e = look("healthy")
    for information, known in ((5.1, False), (2.0, True)):
        section = {"latent": {"prior_gap": 40.0, "mutual_information": information}}
        finding = RULES["holes"](dataclasses.replace(e, sections=section))
        assert (finding is not None) == known


def test_how_many_dimensions_may_idle(look: Look) -> None:
    """19 of 50, as in a published model, is a remark; less than a quarter is a fault."""
    for active, verdict in ((50, "fine"), (19, "remark"), (12, "fault")):
        section = {
            "latent": {"active_units": active, "activity": [1.0] * active + [0.0] * (50 - active)}
        }
        assert (
            judged(
                dataclasses.replace(look("healthy"), sections=section), "unused dimensions"
            ).verdict
            == verdict
        )


# --- any model, any evidence ----------------------------------------------------------------------

KEYS = {
    "latent": "active_units activity mutual_information prior_gap prior_gap_at_least hole_share "
    "codes_used",
    "samples": "frechet frechet_reconstructions frechet_real coverage coverage_real",
}
numbers = st.floats(-1e3, 1e3) | st.none() | st.just(math.nan)
values = numbers | st.builds(Estimate, st.floats(-1e3, 1e3), st.none() | st.floats(0, 10))
section = {
    name: st.fixed_dictionaries(
        {},
        optional={
            key: st.lists(st.floats(0, 1), max_size=3) if key == "activity" else values
            for key in keys.split()
        },
    )
    for name, keys in KEYS.items()
}


@pytest.mark.parametrize("name", ["healthy", "vq", "memorised"])
def test_no_number_that_is_missing_or_odd_breaks_a_rule(look: Look, name: str) -> None:
    base = look(name)

    @settings(max_examples=40)
    @given(st.fixed_dictionaries({}, optional=section))
    def holds(sections: dict[str, Any]) -> None:
        e = dataclasses.replace(base, sections=sections)
        findings = [finding for rule in RULES.values() if (finding := rule(e))]
        for finding in findings:
            speaks_both_languages(finding)
            assert finding.says
            assert finding.verdict != "fault" or finding.remedy
            assert "nan" not in finding.says
        assert report(findings) != report(findings, lang="pt")

    holds()


def test_a_report_begins_with_the_whole_and_ends_with_what_was_not_judged() -> None:
    fine, long = (
        Finding("beta", "fine", [say("distortion and rate have the same weights")]),
        Finding("too few epochs", "fine", [say("the gain of the next epoch", gain=0.1)]),
    )
    remark, fault = (
        Finding("likelihood", "remark", [say("a cross-entropy of grey levels is no likelihood")]),
        Finding("holes", "fault", BAD, say("more epochs")),
    )
    begins = {
        "No fault was found: this run is healthy.": [fine, long],
        "No fault was found.": [fine],
        "No fault was found; see the remarks.": [remark, fine],
        "One fault was found.": [fault, remark, fine],
        "2 faults were found, the most severe first.": [fault, fault],
    }
    for begin, findings in begins.items():
        text = report(findings)
        assert text.splitlines()[0] == begin
        judged = {finding.rule for finding in findings}
        silent = [name for name in RULES if name not in judged | TABLES]
        assert text.endswith(
            f"Not judged (not applicable, or insufficient data): {', '.join(silent)}."
        )
    says = "Samples are worse than reconstructions."
    assert f"\nFault: holes\n  {says}\n  Try: more epochs\n" in report([fine, remark, fault])
    assert "No problem found: beta.\n" in report([fine, fault])
    portuguese = report([fault, remark, fine], lang="pt")
    assert portuguese.startswith("Uma falha foi encontrada.\n\nFalha: buracos\n  As amostras são")
    assert "  Tente: mais épocas\n\nObservação: verossimilhança\n" in portuguese
    assert "\nNenhum problema encontrado: beta.\n" in portuguese


@pytest.mark.parametrize("variant", table.ROWS)
def test_every_row_of_the_table_gets_a_report(variant: str, undrawn: None, tmp_path: Path) -> None:
    given = FEW | {
        "model.variant": variant,
        "train.epochs": 1,
        "model.components": 4,
        "model.codes": 6,
    }
    given |= {"model.likelihood": table.ROWS[variant].likelihood or "bernoulli", "model.upper": [2]}
    if table.ROWS[variant].likelihood:
        given |= {"data.treatment": "grey"}
    run = vaelab.train(tiny(given), tmp_path / "run", quiet=True)
    findings = diagnose(run)
    assert [finding.rule for finding in findings] == [
        name for name in RULES if name in {f.rule for f in findings}
    ]
    text = report(findings)
    for finding in findings:
        speaks_both_languages(finding)
        assert finding.rule in text
        assert finding.verdict != "fault" or finding.remedy
    assert text.count("\nTry: ") == 0
    assert text.count("  Try: ") == sum(bool(f.remedy) for f in findings if f.verdict != "fine")
