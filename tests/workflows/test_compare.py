"""Comparisons: what is paired, what is judged, what is said, which runs are trained."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from conftest import TINY, contents, outcome

import vaelab
from vaelab.evaluation import entries, paired
from vaelab.evaluation.metrics.estimates import Estimate, Metric
from vaelab.evaluation.results import Evaluation
from vaelab.report.comparison import cells, pictures
from vaelab.report.comparison import page as comparison_page
from vaelab.runs import Run
from vaelab.workflows import compare as comparison
from vaelab.workflows.compare import compare
from vaelab.workflows.studies import train_all

BRIEF: dict[str, Any] = TINY | {"train.epochs": 1}
METRICS = {
    "likelihood": {
        "loss": Metric("nats per image", "lower"),
        "distortion": Metric("nats per image", "lower"),
        "ess": Metric(),
    },
    "latent": {
        "probe_accuracy": Metric("share", "higher"),
        "sample_nll_excess": Metric("nats per image", "lower"),
        "rate": Metric("nats per image"),
    },
    "samples": {
        "frechet": Metric(better="lower"),
        "ssim": Metric(better="higher"),
    },
}

ALL = {"loss", "distortion", "probe_accuracy", "sample_nll_excess", "frechet", "ssim"}

Sections = dict[str, dict[str, Any]]


def mean(each: Any) -> Estimate:
    x = np.asarray(each, dtype=np.float64)
    return Estimate(float(x.mean()), float(x.std(ddof=1) / len(x) ** 0.5), x)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Runs on digits, each different from "vae" in one setting; one epoch, without pictures."""
    different: dict[str, dict[str, Any]] = {
        "vae": {},
        "wide": {"model.hidden": [24]},
        "ae": {"model.variant": "ae"},
        "binary": {"data.treatment": "threshold"},
        "split": {"data.split_seed": 1},
        "longer": {"train.epochs": 2, "train.batch": 128},
        "gaussian": {"model.likelihood": "gaussian"},
    }
    out = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.plot", lambda *_: None)
        patch.setattr("vaelab.plots.gallery.snapshot", lambda *_: None)
        recipes = {
            name: vaelab.recipe("quickstart", BRIEF | settings)
            for name, settings in different.items()
        }
        return {
            name: vaelab.train(recipe, out / name, quiet=True) for name, recipe in recipes.items()
        }


Measure = Callable[[Callable[[Run], Sections]], None]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Let a function of the run stand for its evaluation; no pictures."""

    def begin(sections: Callable[[Run], Sections]) -> None:
        def evaluate(run: Run, **given: Any) -> Evaluation:
            return Evaluation({"importance_samples": given["samples"]}, sections(run))

        monkeypatch.setattr(comparison, "evaluate", evaluate)
        monkeypatch.setattr(paired, "METRICS", METRICS)
        monkeypatch.setattr(comparison_page, "pictures", lambda *_: {})

    return begin


def of(found: Mapping[str, Sections]) -> Callable[[Run], Sections]:
    return lambda run: found[run.folder.name]


# Images differ far more from one another than runs do.
IMAGES = np.random.default_rng(0).gamma(4, 20, 200)


def loss(shift: float, noise: int = 0) -> Sections:
    return {
        "likelihood": {
            "loss": mean(IMAGES + shift + np.random.default_rng(noise).normal(0, 0.5, 200))
        }
    }


# ---------------------------------------------------------------- single runs, image by image


def test_planted_differences_are_found_because_images_are_paired(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    """0.3 nats are a tenth of a standard error of either mean.

    They are six standard errors of the mean of the differences.
    """
    measured(of({"vae": loss(0), "wide": loss(-0.3, 1), "longer": loss(0.3, 2)}))
    found = compare([runs["vae"], runs["wide"], runs["longer"]], tmp_path, quiet=True)
    row = found.row("likelihood", "loss")
    assert row.verdicts == ["", "better", "worse"]
    assert row.values[0]
    assert row.values[0].error
    assert row.values[0].error > 2.5
    for interval, shift in zip(row.intervals[1:], (-0.3, 0.3), strict=True):
        assert interval
        assert interval.low < shift < interval.high
        assert interval.high - interval.low < 0.4


def test_higher_can_be_better_and_what_has_no_better_side_is_not_judged(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    def latent(right: float, rate: float) -> Sections:
        return {
            "latent": {
                "probe_accuracy": mean(np.arange(200) < right),
                "rate": mean(IMAGES.round() + rate),
            }
        }

    measured(of({"vae": latent(100, 0), "wide": latent(150, 0.5)}))
    found = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert found.row("latent", "probe_accuracy").verdicts == ["", "better"]
    rate = found.row("latent", "rate")
    assert rate.verdicts == ["", ""]
    assert rate.intervals[1] == (0.5, 0.5, 0.5)


def test_the_same_numbers_twice_show_no_difference(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    measured(lambda run: loss(0) | {"latent": {"probe_accuracy": mean(np.arange(200) % 2)}})
    found = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert [row.verdicts[1] for row in found.rows] == ["no difference shown"] * 2
    assert all(row.intervals[1] == (0, 0, 0) for row in found.rows)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        (Estimate(3.0), Estimate(2.0), "--seeds 5"),
        (3.0, 2.0, "--seeds 5"),
        (Estimate(3.0, 0.0), Estimate(2.0, 0.0), "--seeds 5"),
        (Estimate(3.0, 0.1), None, "lacks it"),
        (Estimate(3.0, 0.1), Estimate(float("nan"), 0.1), "lacks it"),
        (mean(np.arange(20.0)), mean(np.arange(30.0)), "different numbers of images"),
        (mean(np.arange(50) < 25), mean(np.arange(50) < 30), "fewer than 10 images"),
    ],
)
def test_without_an_interval_there_is_no_winner_but_a_reason(
    first: Any, second: Any, says: str, runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    measured(of({"vae": {"samples": {"frechet": first}}, "wide": {"samples": {"frechet": second}}}))
    row = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True).row("samples", "frechet")
    assert row.verdicts == ["", ""]
    assert row.intervals == [None, None]
    assert says in row.reasons[1]
    assert says in (tmp_path / "comparison.md").read_text("utf-8")


def test_what_is_no_mean_over_images_is_compared_by_its_errors(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    found = {"vae": Estimate(30.0, 0.6), "wide": Estimate(28.0, 0.8), "longer": Estimate(27.0, 0.8)}
    measured(lambda run: {"samples": {"frechet": found[run.folder.name]}})
    both = compare([runs["vae"], runs["wide"]], tmp_path / "2", quiet=True).row(
        "samples", "frechet"
    )
    assert both.verdicts == ["", "better"]  # 2 standard errors
    three = compare([runs[name] for name in found], tmp_path / "3", quiet=True).row(
        "samples", "frechet"
    )
    assert three.verdicts == ["", "no difference shown", "better"]  # at 97.5 % 2.24 are needed


def test_any_winner_in_a_row_of_several_is_a_matter_of_five_percent() -> None:
    """Four runs have the same true value, so there are three differences to one reference.

    All of them together may find a winner in 5 % of cases.
    """
    rng, won, times = np.random.default_rng(0), [], 300
    facts = {"test images": "the same", "treatment": "grey", "scale": "1"}
    run: Any = SimpleNamespace(recipe=vaelab.recipe("quickstart"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paired, "METRICS", {"latent": METRICS["latent"]})
        # The values are normal, and this is faster.
        patch.setattr(paired, "bootstrap", lambda x, level: paired.t_interval(x, level))
        for _ in range(times):
            sections = [{"latent": {"probe_accuracy": mean(rng.normal(size=40))}} for _ in range(4)]
            columns = {
                f"{i}": entries.Entry([run], [Evaluation({}, of)], facts, "", {})
                for i, of in enumerate(sections)
            }
            found = paired.comparison(columns, 0)
            won.append(set(found.rows[0].verdicts) & {"better", "worse"} != set())
    assert found.level == pytest.approx(1 - 0.05 / 3)
    assert np.mean(won) < 0.05 + 4 * (0.05 * 0.95 / times) ** 0.5
    assert np.mean(won) > 0.05 - 4 * (0.05 * 0.95 / times) ** 0.5


# ---------------------------------------------------------------- what must not be compared


@pytest.mark.parametrize(
    ("other", "refused", "judged", "says"),
    [
        (
            "binary",
            ALL,
            set(),
            "not the same treatment: grey and threshold",
        ),
        ("split", ALL, set(), "not the same test images"),
        ("ae", {"loss"}, {"frechet"}, "does not bound −log p(x)"),
        (
            "gaussian",
            {"loss", "distortion", "sample_nll_excess"},
            {"probe_accuracy", "frechet"},
            "nats of cross-entropies",
        ),
        ("longer", set(), {"loss", "probe_accuracy", "frechet"}, ""),
    ],
)
def test_numbers_on_different_ground_have_no_winner(
    other: str, refused: set[str], judged: set[str], says: str,
    runs: dict[str, Run], measured: Measure, tmp_path: Path,
) -> None:  # fmt: skip
    def sections(run: Run) -> Sections:
        each = mean(
            IMAGES
            + 5 * (run.folder.name == other)
            + np.arange(200) % 2 * (run.folder.name == other)
        )
        return {
            "likelihood": {"loss": each, "distortion": each},
            "latent": {"probe_accuracy": each, "sample_nll_excess": each},
            "samples": {"frechet": each, "ssim": each},
        }

    measured(sections)
    found = compare([runs["vae"], runs[other]], tmp_path, quiet=True)
    assert {row.key for row in found.rows if row.verdicts[1]} == judged
    assert {row.key for row in found.rows if row.reasons[1]} == refused
    assert all(
        says in row.reasons[1] and row.intervals[1] is None
        for row in found.rows
        if row.key in refused
    )
    assert says in (tmp_path / "comparison.md").read_text("utf-8").replace("\n", " ")


def test_samples_are_not_compared_through_different_eyes(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    def sections(run: Run) -> Sections:
        value = 1.0 + (run.folder.name == "wide")
        eyes = {"weights": run.folder.name, "accuracy": 1.0}
        return {
            "samples": {
                "classifier": eyes,
                "frechet": Estimate(value, 0.1),
                "ssim": Estimate(value, 0.1),
            }
        }

    measured(sections)
    found = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert "classifiers" in found.row("samples", "frechet").reasons[1]
    assert found.row("samples", "ssim").intervals[1] is not None


def test_probabilities_cross_entropies_and_densities_are_told_apart(runs: dict[str, Run]) -> None:
    names = ("vae", "binary", "gaussian")
    looks = {n: entries.checked(runs[n].data, runs[n].recipe.data) for n in names}
    kinds = {name: entries._nats(runs[name], found.binary) for name, found in looks.items()}
    assert kinds == {
        "vae": "cross-entropies of grey levels, not a likelihood",
        "binary": "probabilities",
        "gaussian": "densities",
    }


def test_what_was_not_the_same_is_said(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    measured(lambda run: loss(0))
    found = compare([runs["vae"], runs["longer"]], tmp_path, quiet=True)
    assert found.unlike == {
        "epochs": {"vae": "1", "longer": "2"},
        "batch": {"vae": "64", "longer": "128"},
    }
    assert found.same["seed"] == "42"
    assert found.compared == {}
    for name in ("comparison.md", "comparison.html"):
        text = (tmp_path / name).read_text("utf-8")
        assert "epochs: 1 for vae, 2 for longer" in text
        above = text.partition("What the intervals cover")[0]
        assert "(vae / longer): epochs 1 / 2; batch 64 / 128." in above
    found = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert found.unlike == {}
    assert found.compared == {"model.hidden": {"vae": "16", "wide": "24"}}
    assert (
        "Different"
        not in (tmp_path / "comparison.html").read_text("utf-8").partition("What the")[0]
    )


def test_epochs_that_were_asked_for_and_not_trained_are_said(
    runs: dict[str, Run], a_copy: Path, measured: Measure, tmp_path: Path
) -> None:
    """As where early stopping ended it; otherwise the number stands there once."""
    measured(lambda run: loss(0))
    lines = (a_copy / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    (a_copy / "metrics.jsonl").write_text("".join(lines[:2]), "utf-8")
    found = compare([runs["vae"], a_copy], tmp_path / "out", quiet=True)
    assert found.unlike["epochs"] == {"vae": "1", "run": "3 (2 trained)"}
    assert "epochs trained" not in {**found.unlike, **found.same}


def test_where_it_ran_may_be_damaged(
    runs: dict[str, Run], a_copy: Path, measured: Measure, tmp_path: Path
) -> None:
    measured(lambda run: loss(0))
    for damaged in ("[]", '{"packages": []}', "{", "3"):
        (a_copy / "environment.json").write_text(damaged)
        found = compare([runs["vae"], a_copy], tmp_path / "out", quiet=True)
        assert {found.unlike[key]["run"] for key in entries.COST} == {"not recorded"}


def test_results_that_say_nothing_are_named_with_a_remedy(
    runs: dict[str, Run], a_copy: Path, measured: Measure, tmp_path: Path
) -> None:
    measured(lambda run: loss(0))
    (a_copy / "results.json").write_text("{}\n")
    with pytest.raises(vaelab.UserError, match=rf"{a_copy / 'results.json'}: .*delete it"):
        compare([runs["vae"], a_copy], tmp_path / "out", quiet=True)


@pytest.mark.parametrize(
    ("top", "dtype", "kind"),
    [
        (255, np.uint8, "probabilities"),
        (1, np.uint8, "probabilities"),
        (1, np.float32, "probabilities"),
        (254, np.uint8, "cross-entropies of grey levels, not a likelihood"),
    ],
)
def test_black_and_white_are_probabilities_however_they_are_stored(
    top: int, dtype: Any, kind: str, quick: None, tmp_path: Path
) -> None:
    """254 of 255 levels is nearly white."""
    x = (np.random.default_rng(0).random((60, 4, 4)) < 0.5) * top
    np.save(tmp_path / "x.npy", x.astype(dtype))
    run = vaelab.train(
        vaelab.recipe("quickstart", BRIEF | {"data.source": str(tmp_path / "x.npy")}),
        tmp_path / "run",
    )
    assert entries._nats(run, entries.checked(run.data, run.recipe.data).binary) == kind


# ---------------------------------------------------------------- with seeds


def test_with_seeds_recipes_are_trained_alike_and_paired_seed_by_seed(
    quick: None, measured: Measure, tmp_path: Path
) -> None:
    """The interval is that of scipy's paired t test.

    The runs equal those that the recipes train separately.
    """
    found = {
        "a": {"quickstart": [3.0, 5.0, 4.0], "mlp-2d": [2.5, 4.6, 3.4]},
        "frechet": {"quickstart": [9.0, 1.0, 5.0], "mlp-2d": [5.0, 4.0, 1.0]},
    }

    def sections(run: Run) -> Sections:
        name, seed = run.folder.parent.name, run.recipe.train.seed
        return {
            "likelihood": {"loss": mean(found["a"][name][seed] + IMAGES - IMAGES.mean())},
            "samples": {"frechet": found["frechet"][name][seed]},
        }

    measured(sections)
    of_both = compare(["quickstart", "mlp-2d"], tmp_path, seeds=3, overrides=BRIEF, quiet=True)
    for (section, key), values in {
        ("likelihood", "loss"): found["a"],
        ("samples", "frechet"): found["frechet"],
    }.items():
        row = of_both.row(section, key)
        wanted = scipy.stats.ttest_rel(values["mlp-2d"], values["quickstart"]).confidence_interval(
            0.95
        )
        assert row.intervals[1]
        assert row.intervals[1][1:] == pytest.approx(wanted)
        assert row.values == [
            pytest.approx((np.mean(v), np.std(v, ddof=1), None)) for v in values.values()
        ]
    assert of_both.row("likelihood", "loss").verdicts == ["", "better"]
    assert of_both.row("samples", "frechet").verdicts == ["", "no difference shown"]
    for name in ("quickstart", "mlp-2d"):
        for seed in range(3):
            assert vaelab.load(tmp_path / name / f"seed-{seed}").recipe.train.seed == seed
    alone = vaelab.train(
        vaelab.recipe("mlp-2d", BRIEF | {"train.seed": 2}), tmp_path / "alone", quiet=True
    )
    assert outcome(alone.folder) == outcome(tmp_path / "mlp-2d" / "seed-2")
    assert "variation between trainings" in (tmp_path / "comparison.md").read_text("utf-8").replace(
        "\n", " "
    )


def test_a_comparison_with_seeds_goes_on_where_it_was(
    quick: None, measured: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(lambda run: loss(run.recipe.train.seed))
    given: dict[str, Any] = {"seeds": 2, "overrides": BRIEF | {"train.epochs": 2}, "quiet": True}
    left = iter(range(5))

    def snapshot(*_: Any) -> None:
        if next(left, None) is None:  # in the second epoch of the third run
            raise KeyboardInterrupt("here")

    with monkeypatch.context() as patch:
        patch.setattr("vaelab.plots.gallery.snapshot", snapshot)
        with pytest.raises(KeyboardInterrupt):
            compare(["quickstart", "mlp-2d"], tmp_path / "out", **given)
    before = {
        name: contents(tmp_path / "out" / name / "seed-0") for name in ("quickstart", "mlp-2d")
    }
    assert not vaelab.load(tmp_path / "out" / "quickstart" / "seed-1").finished
    assert not (tmp_path / "out" / "mlp-2d" / "seed-1").exists()
    compare(["quickstart", "mlp-2d"], tmp_path / "out", **given)
    assert {
        name: contents(tmp_path / "out" / name / "seed-0") for name in ("quickstart", "mlp-2d")
    } == before
    compare(["quickstart", "mlp-2d"], tmp_path / "whole", **given)
    for name in ("quickstart", "mlp-2d"):
        for seed in ("seed-0", "seed-1"):
            assert outcome(tmp_path / "out" / name / seed) == outcome(
                tmp_path / "whole" / name / seed
            )


def test_a_recipe_without_seeds_is_trained_with_its_own_and_another_recipe_is_not_taken_for_it(
    quick: None, measured: Measure, tmp_path: Path
) -> None:
    measured(lambda run: loss(0))
    compare(["quickstart", "mlp-2d"], tmp_path, overrides=BRIEF, quiet=True)
    assert vaelab.load(tmp_path / "mlp-2d").recipe.train.seed == 42
    other = BRIEF | {"model.hidden": [20]}
    with pytest.raises(
        vaelab.UserError, match=r"contains a run of another recipe \(model.hidden 16, not 20\)"
    ):
        compare(["quickstart", "mlp-2d"], tmp_path, overrides=other, quiet=True)
    found = compare(["quickstart", "mlp-2d"], tmp_path, overrides=other, overwrite=True, quiet=True)
    assert found.entries["mlp-2d"].runs[0].recipe.model.hidden == (20,)


# ---------------------------------------------------------------- which runs, under which names


def test_names_are_as_short_as_they_can_be(
    runs: dict[str, Run], quick: None, tmp_path: Path
) -> None:
    paths = [("r", "a", "seed-0"), ("r", "b", "seed-0"), ("c",)]
    assert list(comparison._named([(parts, runs["vae"]) for parts in paths])) == [
        "a/seed-0",
        "b/seed-0",
        "c",
    ]
    study = train_all(vaelab.study("vae-vs-ae-2d", BRIEF), tmp_path / "study", quiet=True)
    found = comparison._expand(tmp_path / "study", {}, False) + comparison._expand(
        str(runs["ae"].folder), {}, False
    )
    assert list(comparison._named(found)) == [
        "study/vae",
        "study/ae",
        f"{runs['ae'].folder.parent.name}/ae",
    ]
    assert list(study) == ["vae", "ae"]
    (tmp_path / "mine.toml").write_text("[runs.one]\n[runs.two.model]\nlatent = 3\n")
    assert list(comparison._named(comparison._expand(tmp_path / "mine.toml", {}, False))) == [
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    ("what", "given", "says"),
    [
        (["vae"], {}, "at least two"),
        ([], {}, "at least two"),
        (["vae", "vae"], {}, "named twice"),
        (["vae", "ae"], {"seeds": 1}, "at least 2, got 1"),
        (["vae", "ae"], {"seeds": -3}, "at least 2, got -3"),
        (["vae", "ae"], {"overrides": {"train.epochs": 3}}, "is already trained"),
        (
            ["vae", "ae"],
            {"overrides": {"objective.bta": 2}},
            "objective.bta: there is no such setting; did you mean",
        ),
        ("nowhere", {}, "there is no such recipe"),
        (Path("no/such"), {}, "there is no such run folder"),
        (["vae", 3], {}, "expected runs, their folders or recipes, got 3"),
        (3, {}, "got 3"),
        (["vae", "mlp-2dd"], {}, "did you mean 'mlp-2d'"),
        (["vae", "no/such"], {}, "there is no such run folder"),
        (["vae", "ae"], {"out": "ae"}, "contains a run; choose another folder"),
        (["vae", "ae"], {"out": "ae/recipe.toml"}, "cannot be created"),
        (["vae", "ae"], {"out": "ae/recipe.toml/in"}, "cannot be created"),
    ],
)
def test_misuse_is_one_line_and_changes_nothing(
    what: Any,
    given: dict[str, Any],
    says: str,
    runs: dict[str, Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nor is anything evaluated before."""
    monkeypatch.setattr(comparison, "evaluate", lambda *_, **__: pytest.fail("evaluated"))
    before = {name: contents(run.folder) for name, run in runs.items()}
    words = [runs.get(word, word) for word in what] if isinstance(what, list) else what
    out = runs["ae"].folder.parent / given.get("out", tmp_path / "out")
    with pytest.raises(vaelab.UserError, match=says) as error:
        compare(words, out, **{key: value for key, value in given.items() if key != "out"})
    assert "\n" not in str(error.value)
    assert {name: contents(run.folder) for name, run in runs.items()} == before
    assert not (tmp_path / "out").exists()


def test_runs_of_different_shapes_or_unfinished_or_refitted_are_refused(
    quick: None, runs: dict[str, Run], a_copy: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "flat.npy", np.random.default_rng(0).random((60, 5)))
    flat = vaelab.train(
        vaelab.recipe("quickstart", BRIEF | {"data.source": str(tmp_path / "flat.npy")}),
        tmp_path / "flat",
        quiet=True,
    )
    with pytest.raises(vaelab.UserError, match="different shapes"):
        compare([flat, runs["vae"]], tmp_path / "out")
    results = (a_copy / "results.json").read_text()
    (a_copy / "results.json").write_text(json.dumps(json.loads(results) | {"prior_gain": [1, 0.1]}))
    with pytest.raises(vaelab.UserError, match="prior was fitted after training"):
        compare([a_copy, runs["vae"]], tmp_path / "out", seeds=2)
    (a_copy / "results.json").unlink()
    with pytest.raises(
        vaelab.UserError, match="is not finished; finish it with vaelab train --resume"
    ):
        compare([a_copy, runs["vae"]], tmp_path / "out")


def test_the_usual_folder_with_seeds_is_another(
    quick: None, measured: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a page about recipes does not replace one about runs, nor is written into a study."""
    measured(lambda run: loss(run.recipe.train.seed, run.recipe.train.seed + len(run.folder.name)))
    monkeypatch.chdir(tmp_path)
    train_all(vaelab.study("vae-vs-ae-2d", BRIEF), "study", quiet=True)
    compare("study", quiet=True)  # a word alone is a list of one
    compare(["study/vae", "study/ae"], quiet=True)
    compare([Path("study")], seeds=2, quiet=True)
    pages = {path.parent.as_posix() for path in Path().rglob("comparison.html")}
    assert pages == {"study", "runs/vae-vs-ae", "runs/vae-vs-ae-seeds"}


# ---------------------------------------------------------------- what is written


def test_the_cost_is_taken_from_the_training_and_may_be_missing(
    runs: dict[str, Run], a_copy: Path, measured: Measure, tmp_path: Path
) -> None:
    measured(lambda run: loss(0))
    (a_copy / "times.jsonl").write_text(
        "".join(
            json.dumps({"epoch": i, "seconds": s, "peak_mib": 300 + s}) + "\n"
            for i, s in enumerate((1, 9, 2), 1)
        )
    )
    found = compare([a_copy, runs["vae"]], tmp_path / "out", quiet=True)
    cost = found.entries["run"].cost
    assert [cost[key] for key in ("epochs", "seconds per epoch", "seconds of training")] == [
        3,
        2,
        12,
    ]
    assert cost["peak memory, MiB"] == 309
    assert cost["parameters"] == sum(p.numel() for p in runs["vae"].vae.parameters())
    (a_copy / "times.jsonl").unlink()
    found = compare([a_copy, runs["vae"]], tmp_path / "out", quiet=True)
    assert found.entries["run"].cost["seconds per epoch"] is None
    assert "not recorded" in (tmp_path / "out" / "comparison.md").read_text("utf-8")


def test_the_files_say_the_same(runs: dict[str, Run], measured: Measure, tmp_path: Path) -> None:
    measured(of({"vae": loss(0), "wide": loss(-1, 1), "longer": loss(2, 2)}))
    found = compare([runs["vae"], runs["wide"], runs["longer"]], tmp_path, quiet=True)
    row = found.row("likelihood", "loss")
    lines = list(csv.DictReader((tmp_path / "comparison.csv").read_text("utf-8").splitlines()))
    numbers = [line for line in lines if line["section"] == "likelihood"]
    record = json.loads((tmp_path / "comparison.json").read_text())["numbers"]
    for line, entry, name, value, interval in zip(
        numbers, record, found.names, row.values, row.intervals, strict=True
    ):
        assert line["run"] == entry["run"] == name
        assert value
        assert float(line["value"]) == entry["value"] == pytest.approx(value.value, rel=1e-6)
        assert float(line["error"]) == entry["error"] == pytest.approx(value.error, rel=1e-6)
        for key in ("low", "high"):
            wanted = getattr(interval, key) if interval else None
            assert entry[key] == (wanted if wanted is None else pytest.approx(wanted, rel=1e-6))
            assert line[key] == ("" if wanted is None else str(entry[key]))
    assert [line["verdict"] for line in numbers] == ["", "better", "worse"]
    assert {line["number"] for line in lines if line["section"] == "cost"} >= {
        "parameters",
        "seconds per epoch",
    }
    table = next(
        line
        for line in (tmp_path / "comparison.md").read_text("utf-8").splitlines()
        if "| loss" in line
    )
    interval = row.intervals[1]
    assert interval
    wanted = f"{interval.value:+.2f} [{interval.low:.2f}, {interval.high:.2f}]".replace("-", "−")
    assert f" {wanted} | ✓ better |" in table
    assert "✗ worse" in table


def test_a_comparison_that_shows_nothing_in_common_is_still_written(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    """And settings are no rows, nor is what has no better side and is the same."""
    setting = {"likelihood": {"ess": 5, "distortion": None}}
    measured(of({"vae": {"latent": {"rate": 1.0}} | setting, "wide": {"latent": {"rate": 2.0}}}))
    found = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert [row.key for row in found.rows] == ["rate"]
    assert found.row("latent", "rate").values == [Estimate(1.0), Estimate(2.0)]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([Estimate(103.8912, 0.3312), Estimate(151.64, 0.42)], ["103.89 ± 0.33", "151.64 ± 0.42"]),
        ([Estimate(-0.0001, 0.12), Estimate(-2.5, 0.3)], ["0.00 ± 0.12", "−2.50 ± 0.30"]),
        ([Estimate(652824.0), Estimate(12.0)], ["652,824", "12"]),
        ([Estimate(0.123456), Estimate(0.0001)], ["0.1235", "0.0001"]),
        ([Estimate(5.4027, 0.063), Estimate(9e-6, 1e-6)], ["5.403 ± 0.063", "0.0000 ± 0.0000"]),
        ([Estimate(1234.56, 12.0), None], ["1,235 ± 12", ""]),
        ([Estimate(0.0, 0.0), Estimate(0.0, 0.0)], ["0 ± 0", "0 ± 0"]),
    ],
)
def test_numbers_have_two_digits_of_their_error(
    values: list[Estimate | None], wanted: list[str]
) -> None:
    row = paired.Row(
        "latent", "rate", METRICS["latent"]["rate"], ["", ""], values, [None, None], ["", ""], None
    )
    assert [cell.value for cell in cells.cells(row, [])] == wanted


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-5.2, 0.02, "−2.6 [−5.2, 0.0]"),
        (-5.2, -0.02, "−2.61 [−5.20, −0.02]"),
        (0.0004, 8.0, "+4.0002 [0.0004, 8.0000]"),
        (1e-6, 3e-6, "+0.000002 [0.000001, 0.000003]"),
        (0.0, 0.0, "0 [0, 0]"),
    ],
)
def test_an_interval_that_excludes_zero_is_not_shown_as_one_that_includes_it(
    low: float, high: float, wanted: str
) -> None:
    assert cells.interval(paired.Interval((low + high) / 2, low, high)) == wanted


def test_a_stroke_in_a_name_is_no_column() -> None:
    lines = comparison_page.aligned([["number", "a|b"], ["loss", "1"]]).splitlines()
    assert lines[0] == "| number | a\\|b |"
    assert len({len(line) for line in lines}) == 1


def test_names_from_outside_are_text_on_the_page(
    runs: dict[str, Run], a_copy: Path, measured: Measure
) -> None:
    measured(lambda run: loss(0))
    odd = a_copy.rename(a_copy.with_name("<b>&run"))
    compare([odd, runs["vae"]], a_copy.parent / "out", quiet=True)
    page = (a_copy.parent / "out" / "comparison.html").read_text("utf-8")
    assert "&lt;b&gt;&amp;run" in page
    assert "<b>&run" not in page


def test_the_terminal_shows_what_is_judged_its_interval_the_cost_and_where_the_rest_is(
    runs: dict[str, Run], measured: Measure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(of({"vae": loss(0) | {"latent": {"rate": mean(IMAGES)}}, "wide": loss(-0.3, 1)}))
    found = compare([runs["vae"], runs["wide"]], tmp_path)
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if line.startswith("| loss ")]
    first, wide = cells.cells(found.row("likelihood", "loss"), [])
    assert all(text in line for text in (first.value, wide.value, wide.difference, "✓ better"))
    assert "| rate " not in out  # has no better side
    assert f"| {runs['wide'].results['parameters']:,} |" in out.replace("  ", "")
    assert "Each run was trained once." in out
    assert str(tmp_path / "comparison.html") in out


def test_the_terminal_says_what_was_not_the_same_and_why_some_are_not_judged(
    runs: dict[str, Run], measured: Measure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sections(run: Run) -> Sections:
        one = loss(run.folder.name == "ae", len(run.folder.name))
        return one | {"samples": {"frechet": 1.0, "ssim": Estimate(1.0)}}

    measured(sections)
    compare([runs["vae"], runs["longer"], runs["ae"]], tmp_path)
    out = capsys.readouterr().out.replace("\n", " ")
    assert "Different (vae / longer / ae): epochs 1 / 2 / 1; batch 64 / 128 / 64." in out
    assert out.count("does not bound −log p(x)") == 1
    assert "Not judged: loss (not comparable, the loss of an autoencoder" in out
    assert "Not judged: frechet (an interval needs a standard error" in out
    compare([runs["vae"], runs["wide"]], tmp_path / "2", quiet=True)
    measured(lambda run: loss(0))
    compare([runs["vae"], runs["wide"]], tmp_path / "3")
    out = capsys.readouterr().out
    assert "not judged" not in out.lower()
    assert "Different" not in out


def test_where_nothing_is_judged_no_rows_are_counted(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    measured(lambda run: {"latent": {"rate": mean(IMAGES + len(run.folder.name))}})
    compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    for name in ("comparison.md", "comparison.html"):
        text = (tmp_path / name).read_text("utf-8").replace("\n", " ")
        assert "are not comparable" in text
        assert "not corrected for one another" not in text


def test_each_run_s_reconstructions_stand_under_the_images_they_are_of(
    runs: dict[str, Run],
) -> None:
    """Runs that were shown the same share a row of them; runs of another split have their own."""
    drawn: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "rows", lambda images, look: drawn.append(dict(images)))
        pictures.pictures({name: runs[name] for name in ("vae", "split", "wide")})
        pictures.pictures({name: runs[name] for name in ("vae", "wide")})
    assert [list(rows) for rows in drawn] == [
        ["original 1", "vae", "wide", "original 2", "split"],
        ["original", "vae", "wide"],
    ]
    for name, original in {
        "vae": "original 1",
        "wide": "original 1",
        "split": "original 2",
    }.items():
        x = np.asarray(drawn[0][original], dtype=np.float32)[..., 0] / 255  # pixels of 8 bits
        again = runs[name].vae.reconstruct(x).clamp(0, 1).numpy()
        shown = np.asarray(drawn[0][name], dtype=np.float32)[..., 0] / 255
        assert np.allclose(shown, again, atol=0.02)


def test_test_sets_of_different_sizes_are_drawn_in_rows_of_one_length() -> None:
    x, y = np.zeros((5, 2, 2)), np.ones((3, 2, 2))
    rows = pictures.reconstructed({"a": x, "b": y}, {"a": x, "b": y}, "original")
    assert {len(images) for images in rows.values()} == {3}


def test_what_the_evaluations_note_stands_in_the_comparison_and_whose_it_is(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    both, one = (
        {"notes": ["nll: too high on 7% of the images"]},
        {"notes": ["hole_share: left out"]},
    )
    measured(of({"vae": {"likelihood": both, "latent": one}, "wide": loss(0) | {"samples": both}}))
    found = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert found.noted == {
        "nll: too high on 7% of the images": ["vae", "wide"],
        "hole share: left out": ["vae"],
    }
    for name in ("comparison.md", "comparison.html"):
        text = (tmp_path / name).read_text("utf-8")
        assert "vae, wide: nll: too high on 7% of the images" in text
        assert "vae: hole share: left out" in text


def test_an_autoencoder_without_holes_is_explained(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    hole = Estimate(0.1, 0.01)
    measured(
        lambda run: {"latent": {"hole_share": hole, "probe_accuracy": mean(np.arange(200) % 2)}}
    )
    found = compare([runs["vae"], runs["ae"]], tmp_path, quiet=True)
    assert list(found.noted.values()) == [["ae"]]
    assert (
        "ae: hole share: nothing keeps the codes of an autoencoder"
        in (tmp_path / "comparison.md").read_text()
    )
    assert compare([runs["vae"], runs["wide"]], tmp_path, quiet=True).noted == {}


def test_a_difference_that_is_the_same_for_every_seed_is_not_judged() -> None:
    assert paired._difference([Estimate(0.5)] * 3, [Estimate(0.75)] * 3, 0.95)[0] is None
    assert "same for every seed" in paired._difference(
        [Estimate(0.5)] * 3, [Estimate(0.75)] * 3, 0.95
    )[1].text("en")


def test_images_that_the_data_have_stand_beside_the_samples(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    measured(
        lambda run: {
            "samples": {"frechet": Estimate(30.0, 1.0), "frechet_real": Estimate(3.0, 0.5)}
        }
    )
    compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert "real images: 3.00 ± 0.50" in (tmp_path / "comparison.html").read_text("utf-8")


def test_as_many_importance_weights_are_used_as_a_run_was_evaluated_with(
    runs: dict[str, Run], measured: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that comparing does not replace an evaluation by a poorer one."""
    measured(lambda run: loss(0))
    before = {("vae", 0): 500, ("wide", 20): 5000}

    def read(run: Run, images: int) -> Evaluation | None:
        k = before.get((run.folder.name, images))
        return Evaluation({"importance_samples": k}, {"likelihood": {}}) if k else None

    monkeypatch.setattr(comparison, "read", read)
    pair = [runs["vae"], runs["wide"]]
    for given, wanted in (
        ({}, "500"),
        ({"images": 20}, "5000"),
        ({"samples": 7}, "7"),
        ({"images": 30}, "100"),
    ):
        found = compare(pair, tmp_path, quiet=True, **given)
        assert found.protocol["importance samples"] == wanted


# ---------------------------------------------------------------- what a comparison says


def test_a_collapsed_model_wins_nothing(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    def sections(rate: float, loss_shift: float) -> Sections:
        found = loss(loss_shift, 1)
        found["likelihood"]["rate"] = Estimate(rate, 0.01)
        return found

    measured(of({"vae": sections(20.0, 0), "wide": sections(0.1, -5)}))
    found = compare([runs["vae"], runs["wide"]], tmp_path, quiet=True)
    assert found.row("likelihood", "loss").verdicts == ["", ""]
    assert "the latent code of wide has collapsed" in found.findings["wide"]


def test_against_an_autoencoder_the_numbers_of_the_latent_space_are_judged(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    """One sentence states the lesson of report 4.

    It is about reconstructions, samples, and the match of codes and prior.
    """
    metrics = {
        "latent": {"prior_gap_at_least": Metric("nats"), "smoothness": Metric()},
        "samples": {"mse": Metric(better="lower"), "frechet": METRICS["samples"]["frechet"]},
    }

    def numbers(mse: float, frechet: float, gap: float, even: float) -> Sections:
        return {
            "samples": {"mse": Estimate(mse, 1e-3), "frechet": Estimate(frechet, 0.1)},
            "latent": {
                "prior_gap_at_least": Estimate(gap, 0.1),
                "smoothness": Estimate(even, 0.01),
            },
        }

    measured(of({"vae": numbers(0.5, 13, 0.3, 0.9), "ae": numbers(0.4, 17, 55, 0.6)}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paired, "METRICS", metrics)
        found = compare([runs["vae"], runs["ae"]], tmp_path, quiet=True)
    assert found.findings == {
        "ae": "ae is better in reconstruction and is worse in match of codes and prior, "
        "smoothness of interpolations and fidelity of samples compared with vae."
    }


def test_the_log_likelihood_counts_once(
    runs: dict[str, Run], measured: Measure, tmp_path: Path
) -> None:
    """nll, annealing and the ELBO are one question; cross-entropies have only the loss."""
    metrics = {
        "likelihood": {k: Metric("nats", "lower") for k in ("loss", "nll", "ais", "quadrature")}
    }
    measured(lambda run: {"likelihood": {key: mean(IMAGES) for key in metrics["likelihood"]}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paired, "METRICS", metrics)
        grey = compare([runs["vae"], runs["wide"]], tmp_path / "grey", quiet=True)
        same = compare([runs["binary"], runs["gaussian"]], tmp_path / "b", quiet=True)
    assert [row.key for row in grey.rows if row.judged] == ["loss"]
    assert not any(verdict for row in same.rows for verdict in row.verdicts)


def test_two_runs_on_the_same_data_read_them_once(
    runs: dict[str, Run], measured: Measure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(lambda run: loss(0))
    reads: list[object] = []
    load = comparison.load_data

    def counted(settings: Any) -> Any:
        reads.append(settings)
        return load(settings)

    monkeypatch.setattr(comparison, "load_data", counted)
    monkeypatch.setattr("vaelab.runs.run.load_data", counted)
    fresh = [vaelab.load(runs[name].folder) for name in ("vae", "wide")]
    compare(fresh, tmp_path, quiet=True)
    assert len(reads) == 1


def test_texts_of_the_table_are_no_formulas_in_a_spreadsheet(
    runs: dict[str, Run], a_copy: Path, measured: Measure
) -> None:
    measured(lambda run: loss(0))
    odd = a_copy.rename(a_copy.with_name("=1+2"))
    compare([odd, runs["vae"]], a_copy.parent / "out", quiet=True)
    text = (a_copy.parent / "out" / "comparison.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["run"] for row in rows} == {"'=1+2", "vae"}


def test_a_file_of_the_user_is_not_replaced_and_that_is_said_before_the_work(
    runs: dict[str, Run], tmp_path: Path
) -> None:
    (tmp_path / "comparison.md").write_text("mine")
    with pytest.raises(vaelab.UserError, match=r"comparison.md: was not written by vaelab; choose"):
        compare([*runs.values()], tmp_path, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.md"]
    assert (tmp_path / "comparison.md").read_text() == "mine"
