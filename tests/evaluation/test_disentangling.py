"""Disentanglement scores of codes whose scores are known, and of small runs.

The codes are perfect, rotated, random, duplicated or shared between factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from conftest import tiny
from torch import nn

import vaelab
from vaelab.evaluation.evaluator import Evaluator
from vaelab.evaluation.metrics import fixed_factors
from vaelab.evaluation.metrics.estimates import Estimate, resampled
from vaelab.evaluation.metrics.factors import (
    BINS,
    Integers,
    Reals,
    dci,
    disentanglement_completeness,
    mig,
    modularity,
    mutual_information,
    sap,
)
from vaelab.evaluation.metrics.fixed_factors import beta_vae_score, factor_vae_score
from vaelab.evaluation.sections import disentangling
from vaelab.evaluation.sections.disentangling import METRICS, scores
from vaelab.models import VAE
from vaelab.models.posteriors import Delta, diagonal

SIZES = (3, 4, 5)  # values of three factors
# The second code is the third factor, and so on.
MISCODED = np.array([[2.0, 0, 0], [0, 0, -0.1], [0, 30, 0]])


def grid(*sizes: int, times: int = 1) -> Integers:
    """Every combination of factors, as often as `times`: (times * product of sizes, F)."""
    return np.tile(np.stack(np.unravel_index(np.arange(math.prod(sizes)), sizes), 1), (times, 1))


def normal(*shape: int, seed: int = 0) -> Reals:
    return np.random.default_rng(seed).normal(size=shape)


def drawn(n: int, *sizes: int, seed: int = 0) -> Integers:
    return np.random.default_rng(seed).integers(sizes, size=(n, len(sizes)))


def rotated(factors: Integers, degrees: float) -> Reals:
    """Two factors, centred, turned into each other."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (factors - factors.mean(0)) @ np.array([[cos, -sin], [sin, cos]])


def every_score(z: Reals, v: Integers, others: Reals, truth: Integers) -> dict[str, float]:
    """The plain functions by name, each as one number."""
    forests = dci(z, v, others, truth)
    return {
        "mig": mig(z, v),
        "modularity": modularity(z, v),
        "sap": sap(z, v, others, truth),
        "dci_disentanglement": forests.disentanglement,
        "dci_completeness": forests.completeness,
        "dci_informativeness": forests.informativeness.value,
        "factor_vae_score": factor_vae_score(z, v, others, truth).value,
        "beta_vae_score": beta_vae_score(z, v, others, truth).value,
    }


# --- perfect codes --------------------------------------------------------------------------------


def test_permuted_and_scaled_factors_score_one_and_noise_beside_them_changes_nothing() -> None:
    """SAP alone stays below 1: it reaches 1 - mean 1 / V, as a constant code is right that often.

    Noise dimensions have no modularity, so modularity is not compared.
    """
    v = grid(*SIZES, times=50)  # (3000, 3)
    best = dict.fromkeys(set(METRICS) - {"dci_accuracy", "factor_information"}, 1.0)
    best["sap"] = 1 - np.mean([1 / size for size in SIZES])
    perfect = v @ MISCODED
    assert every_score(perfect, v, perfect, v) == pytest.approx(best, abs=1e-12)

    noisy = np.hstack([perfect, normal(len(v), 3)])
    found = every_score(noisy, v, noisy, v)
    del found["modularity"], best["modularity"]
    # The information that the best of 3 noise dimensions seems to carry: 4 standard deviations,
    # each sqrt((20 - 1) (V - 1) / 2) / N.
    margin = {"mig": 4 * math.sqrt(19 * 4 / 2) / len(v) / math.log(3)}
    # The same for the balanced accuracy; the worst case is three values that occur 1,000 times
    # each.
    margin["sap"] = 4 * math.sqrt(2 / 9 / len(v))
    for name, value in best.items():
        assert found[name] == pytest.approx(value, abs=margin.get(name, 1e-12)), name


def test_mutual_information_says_which_dimension_knows_which_factor() -> None:
    """On the whole grid: all of H(v) = ln V + (V - 1) / 2N, the correction included, or nothing."""
    v = grid(*SIZES, times=2)
    entropies = [math.log(size) + (size - 1) / (2 * len(v)) for size in SIZES]
    wanted = np.zeros((4, 3))  # L is not F, so an exchange of the two would show
    wanted[[0, 1, 2], [0, 2, 1]] = np.array(entropies)[[0, 2, 1]]
    np.testing.assert_allclose(
        mutual_information(np.hstack([v @ MISCODED, v[:, :1] * 0]), v), wanted, atol=1e-12
    )


def test_more_values_than_bins_leave_a_perfect_code_below_one() -> None:
    """With 40 values in 20 bins, two in each, MIG = (ln 40 - ln 2) / ln 40.

    This holds up to the bias correction, which is of order 1 / N.
    """
    v = grid(40, times=1000)
    assert mig(v.astype(float), v) == pytest.approx(math.log(BINS) / math.log(40), abs=40 / len(v))


# --- information that is known --------------------------------------------------------------------


@pytest.mark.parametrize("flipped", [0.5, 0.2, 0.02])
def test_information_through_a_noisy_channel_is_ln_2_less_its_entropy(flipped: float) -> None:
    rng, n = np.random.default_rng(0), 20_000
    v = rng.integers(2, size=(n, 1))
    z = np.abs(v - (rng.random((n, 1)) < flipped)) * 5.0
    surprise = -np.log([flipped, 1 - flipped])  # of a flip, of none
    wanted = math.log(2) - flipped * surprise[0] - (1 - flipped) * surprise[1]
    error = abs(surprise[0] - surprise[1]) * math.sqrt(flipped * (1 - flipped) / n) + 1 / n
    assert mutual_information(z, v)[0, 0] == pytest.approx(wanted, abs=4 * error)


def test_independent_codes_are_hardly_thought_to_know_anything() -> None:
    """The estimate is below 0.01 nats on average at N = 10,000.

    Without the correction, counts alone would give (20 - 1) (40 - 1) / 2N = 0.037.
    """
    assert mutual_information(normal(10_000, 10), drawn(10_000, 40)).mean() < 0.01
    uniform = np.random.default_rng(1).random((20_000, 20))
    assert mutual_information(uniform, drawn(20_000, 40)).mean() < 4 * math.sqrt(
        19 * 39 / 2
    ) / 20_000 / math.sqrt(20)


# --- rotated codes --------------------------------------------------------------------------------


def test_two_factors_rotated_by_45_degrees_have_no_gap_and_cannot_be_told_apart() -> None:
    """Both dimensions carry equal information about both factors.

    Gaps are 0, importances are even, and the FactorVAE and beta-VAE scores are 1 / 2.
    Informativeness stays 1, because the two dimensions together still determine both factors.
    """
    v = grid(6, 6, times=50)
    z = rotated(v, 45).round(12)  # sums that are equal stay equal
    # With noise, no two variances of a group are equal.
    noisy, others = (z + 1e-3 * normal(*z.shape, seed=seed) for seed in (0, 1))
    found = every_score(z, v, z, v) | {
        score.__name__: score(noisy, v, others, v).value
        for score in (factor_vae_score, beta_vae_score)
    }
    assert found["mig"] == pytest.approx(0, abs=1e-12)
    assert found["modularity"] == pytest.approx(0, abs=1e-12)
    assert found["sap"] == pytest.approx(0, abs=1e-12)
    assert found["dci_informativeness"] == 1
    # Every tree splits first on either dimension: of 20 trees a share s on the first, so 1 - H(s) /
    # ln 2 is about 2 (s - 1/2)^2 / ln 2.
    for name in ("dci_disentanglement", "dci_completeness"):
        assert found[name] < 2 * (4 * 0.5 / math.sqrt(20)) ** 2 / math.log(2), name
    for name in ("factor_vae_score", "beta_vae_score"):
        assert found[name] == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 2000)), name


def test_a_slight_rotation_lowers_gaps_but_not_the_factor_vae_and_beta_vae_scores() -> None:
    v = grid(6, 6, times=50)
    # Of either factor, tan^2 20 = 13 % of the variance in its own dimension appears in the other.
    z = rotated(v, 20)
    found, straight = every_score(z, v, z, v), every_score(rotated(v, 0), v, rotated(v, 0), v)
    assert found["factor_vae_score"] == found["beta_vae_score"] == 1
    for name in ("mig", "modularity", "sap", "dci_disentanglement", "dci_completeness"):
        assert found[name] < straight[name], name


# --- random codes ---------------------------------------------------------------------------------


def test_codes_that_know_nothing_score_what_chance_does() -> None:
    """Over ten draws of the images, gaps are 0 and D and C are near 0.

    Accuracies are 1 / V for factor values and 1 / F for factors.
    """
    found = []
    for seed in range(10):
        v, truth = drawn(1500, *SIZES, seed=seed), drawn(1000, *SIZES, seed=100 + seed)
        found.append(
            every_score(normal(1500, 4, seed=seed), v, normal(1000, 4, seed=50 + seed), truth)
        )
    columns = {name: np.array([scores[name] for scores in found]) for name in found[0]}
    chance = {
        "dci_informativeness": np.mean([1 / size for size in SIZES]),
        "factor_vae_score": 1 / 3,
    }
    for name, wanted in (chance | {"beta_vae_score": 1 / 3}).items():
        error = columns[name].std(ddof=1) / math.sqrt(10)
        # A t(9) variable exceeds 4.8 once in 1,000.
        assert columns[name].mean() == pytest.approx(wanted, abs=4.8 * error), name
    # A gap is at most what the best dimension carries: 4 standard deviations, as above, of the
    # information and of the balanced accuracy.
    assert columns["mig"].max() < 4 * math.sqrt(19 * 4 / 2) / 1500 / math.log(3)
    assert columns["sap"].max() < 4 * math.sqrt(2 / 9 / 1000)
    # A dimension of noise, too, carries most information about one factor: see the docstring of
    # modularity.
    assert columns["modularity"].mean() > 0.5
    # Importances that lie within 20 % of each other: 1 - H / ln n is about 0.2^2 / (2 ln n).
    assert columns["dci_disentanglement"].max() < 0.2**2 / (2 * math.log(3))
    assert columns["dci_completeness"].max() < 0.2**2 / (2 * math.log(4))


# --- a factor in two dimensions, two factors in one -----------------------------------------------


def test_a_factor_held_twice_has_no_gap_and_is_incomplete_but_disentangled() -> None:
    """MIG and SAP lose that factor; completeness falls by the entropy of its two shares.

    Disentanglement, modularity and the FactorVAE score lose nothing.
    """
    v = grid(*SIZES, times=50)
    z = np.hstack([v, -3 * v[:, :1]]).astype(float)
    assert mig(z, v) == pytest.approx(2 / 3, abs=1e-12)
    assert sap(z, v, z, v) == pytest.approx((0 + 3 / 4 + 4 / 5) / 3, abs=1e-12)
    assert modularity(z, v) == pytest.approx(1, abs=1e-12)
    assert factor_vae_score(z, v, z, v).value == 1

    found = dci(z, v, z, v)
    share = found.importance[0, 0]
    np.testing.assert_allclose(
        found.importance, [[share, 0, 0], [0, 1, 0], [0, 0, 1], [1 - share, 0, 0]], atol=1e-12
    )
    # Each of 20 trees chooses between two equally good dimensions.
    assert share == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(20))
    entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
    assert found.completeness == pytest.approx((1 - entropy / math.log(4) + 1 + 1) / 3, abs=1e-12)
    assert found.disentanglement == pytest.approx(1, abs=1e-12)


def test_two_factors_in_one_dimension_are_entangled_but_have_gaps_and_are_complete() -> None:
    """D = 1/3 + 2/3 (1 - ln 2 / ln 3), and modularity is (1 - (H_2 / H_8)^2 / 2 + 1) / 2.

    MIG compares dimensions for each factor and so does not see the entanglement. Two dimensions can
    vote for two factors only, so the FactorVAE score is right for at most 2 of 3.
    """
    v = grid(2, 8, 5, times=40)
    z = np.stack([8.0 * v[:, 0] + v[:, 1], v[:, 2]], 1)
    known, best = (math.log(size) + (size - 1) / (2 * len(v)) for size in (2, 8))
    found = every_score(z, v, z, v)
    assert found["mig"] == pytest.approx(1, abs=1e-12)
    assert found["modularity"] == pytest.approx((1 - (known / best) ** 2 / 2 + 1) / 2, abs=1e-12)
    assert found["dci_disentanglement"] == pytest.approx(
        1 / 3 + 2 / 3 * (1 - math.log(2) / math.log(3)), abs=1e-12
    )
    assert found["dci_completeness"] == found["dci_informativeness"] == 1
    assert found["factor_vae_score"] <= 2 / 3


def test_importance_is_a_share_of_the_information() -> None:
    """Of 16 values one dimension carries ln 8 and the other ln 2: importances of 3/4 and 1/4.

    The order in which a tree splits does not matter. Each tree sees another bootstrap sample of the
    images; their entropies differ by about (16 - 1) / 2N.
    """
    v = grid(16, times=200)
    z = np.hstack([v // 2, v % 2]).astype(float)
    np.testing.assert_allclose(
        dci(z, v, z, v).importance[:, 0], [0.75, 0.25], atol=4 * 15 / (2 * len(v))
    )


def test_disentanglement_and_completeness_are_entropies_of_rows_and_columns() -> None:
    importance = np.array([[0.5, 0, 0], [0.5, 0, 0.25], [0, 1, 0.75], [0, 0, 0]])
    row, other = (-sum(p * math.log(p) for p in (p, 1 - p)) / math.log(3) for p in (1 / 3, 3 / 7))
    column, last = (-sum(p * math.log(p) for p in (p, 1 - p)) / math.log(4) for p in (1 / 2, 1 / 4))
    wanted = (0.5 + 0.75 * (1 - row) + 1.75 * (1 - other)) / 3, (1 - column + 1 + 1 - last) / 3
    assert disentanglement_completeness(importance) == pytest.approx(wanted, abs=1e-12)
    assert disentanglement_completeness(np.ones((4, 3))) == pytest.approx((0, 0), abs=1e-12)
    assert disentanglement_completeness(np.zeros((4, 3))) == (0, 0)


# --- SAP's accuracy -------------------------------------------------------------------------------


def test_sap_counts_every_value_of_a_factor_alike_and_cuts_out_values_in_the_middle() -> None:
    v = np.repeat([[0], [1]], [900, 100], axis=0)
    # Always predicting 0 does not score 0.9 - 0.5.
    assert sap(np.ones((1000, 1)), v, np.ones((1000, 1)), v) == 0
    z = v.astype(float)
    z[:90], z[900:920] = 1, 0  # right for 90 % of the one and 80 % of the other
    assert sap(z, v, z, v) == pytest.approx(0.85 - 0.5, abs=1e-12)
    order = np.random.default_rng(0).permutation(32)
    many = grid(32, times=20)
    assert sap(order[many].astype(float), many, order[many].astype(float), many) == pytest.approx(
        31 / 32, abs=1e-12
    )


def test_sap_and_dci_are_judged_on_the_other_images() -> None:
    """Codes learned on one pair, shuffled on the other: perfect there is worth nothing here."""
    v, truth = grid(4, times=500), grid(4, times=500)
    z, others = v.astype(float), np.random.default_rng(0).permutation(truth).astype(float)
    error = math.sqrt(3 / 16 / 2000)
    assert sap(z, v, others, truth) < 4 * error
    assert dci(z, v, others, truth).informativeness.value == pytest.approx(1 / 4, abs=4 * error)


# --- laws -----------------------------------------------------------------------------------------

MIXED = np.array([[1, 0.7, 0, 0.5], [0, 1, 0.9, 0.5], [0.6, 0, 1, 0.5]])


def entangled(n: int, seed: int) -> tuple[Reals, Integers]:
    v = drawn(n, *SIZES, seed=seed)
    return (v / SIZES) @ MIXED + 0.3 * normal(n, 4, seed=seed + 1), v


def alike(
    before: tuple[Reals, Integers, Reals, Integers], after: tuple[Reals, Integers, Reals, Integers]
) -> None:
    """The scores are exactly equal, up to a regression's tolerance and a forest's randomness.

    The regression stops at slopes of 1e-4, so that one of 3,000 groups may lie near enough to the
    border to change sides. A forest chooses at random among equally good splits, in the order of
    dimensions, and which images a tree sees. With the same seed these choices are the same, so that
    less variation remains than between two seeds. Completeness is compared in the unit of as many
    dimensions as the codes had before.
    """
    one, other = every_score(*before), every_score(*after)
    for name in {*one} - {"dci_disentanglement", "dci_completeness", "dci_informativeness"}:
        about = 1.01 / 3000 if name == "beta_vae_score" else 1e-9
        assert other[name] == pytest.approx(one[name], abs=about), name
        assert 0.02 < one[name] < 0.98, name  # else the claim would say little

    unit = math.log(after[0].shape[1]) / math.log(before[0].shape[1])

    def forests(images: tuple[Reals, Integers, Reals, Integers], unit: float) -> Reals:
        """The three numbers for each of four seeds, (4, 3)."""
        each = [dci(*images, seed=seed) for seed in range(4)]
        return np.array(
            [
                (d.disentanglement, 1 - (1 - d.completeness) * unit, d.informativeness.value)
                for d in each
            ]
        )

    found, again = forests(before, 1), forests(after, unit)
    assert (found.min(0) > 0.02).all()
    assert (found.max(0) < 0.98).all()
    between_seeds = 2 * found.var(0, ddof=1)  # the mean square of the difference of two
    assert (((again - found) ** 2).mean(0) < between_seeds).all()


def test_places_scales_and_signs_of_dimensions_do_not_matter() -> None:
    (z, v), (others, truth) = entangled(1000, 0), entangled(1000, 10)
    change = np.diag([2.0, -0.5, 100, -1e-3])[:, [2, 0, 3, 1]]
    alike((z, v, others, truth), (z @ change, v, others @ change, truth))


def test_a_constant_dimension_changes_nothing_but_the_unit_of_completeness() -> None:
    (z, v), (others, truth) = entangled(1000, 0), entangled(1000, 10)
    alike((z, v, others, truth), (np.insert(z, 0, 7.1, 1), v, np.insert(others, 0, 7.1, 1), truth))


def test_the_same_seed_scores_the_same() -> None:
    z, v = entangled(1000, 0)
    for score in (factor_vae_score, beta_vae_score):
        assert score(z, v, z, v, seed=3) == score(z, v, z, v, seed=3) != score(z, v, z, v, seed=4)
    assert dci(z, v, z, v, seed=3)[:2] == dci(z, v, z, v, seed=3)[:2] != dci(z, v, z, v, seed=4)[:2]


def test_a_single_dimension_is_held_against_nothing() -> None:
    """A code that is the first of two factors: MIG (1 - 0 + 0) / 2, SAP (1 - 1/3 + 0) / 2."""
    v = grid(3, 4, times=50)
    z = v[:, :1].astype(float)
    found = every_score(z, v, z, v)
    assert found["mig"] == pytest.approx(1 / 2, abs=1e-12)
    assert found["sap"] == pytest.approx((1 - 1 / 3) / 2, abs=1e-12)
    assert found["modularity"] == found["dci_completeness"] == 1
    assert found["factor_vae_score"] == 1 / 2


def test_codes_that_are_all_constant_score_nothing() -> None:
    v = drawn(500, *SIZES)
    found = every_score(np.ones((500, 2)), v, np.ones((500, 2)), v)
    assert [
        found[name] for name in ("mig", "modularity", "dci_disentanglement", "dci_completeness")
    ] == [0] * 4
    assert found["sap"] == pytest.approx(0, abs=1e-12)
    assert found["factor_vae_score"] == found["beta_vae_score"] == pytest.approx(1 / 3)


def test_a_factor_of_one_value_has_no_gap_to_count() -> None:
    v = grid(*SIZES, times=3)
    assert mig(v.astype(float), np.insert(v, 1, 4, axis=1)) == pytest.approx(1, abs=1e-12)
    assert mig(v.astype(float), v * 0) == 0


# --- groups ---------------------------------------------------------------------------------------


def test_partners_are_uniform_over_images_of_the_same_value_and_rare_values_are_skipped() -> None:
    v = np.repeat([0, 1, 2], [20, 9, 15])[np.random.default_rng(0).permutation(44)][:, None]
    pairs = []

    def look(z: Reals, rows: Integers, alike: Integers) -> Reals:
        assert rows.shape == alike.shape == (100, 64)
        pairs.append(np.stack([rows, alike], -1).reshape(-1, 2))
        return z[rows[:, 0]]

    features, which = fixed_factors._drawn(
        look, np.arange(44.0)[:, None], v, 300, 64, np.random.default_rng(1)
    )
    seen = np.concatenate(pairs)
    assert len(features) == len(which) == 300
    counts = np.zeros((44, 44))
    np.add.at(counts, tuple(seen.T), 1)
    allowed = (v == v.T) & ~np.eye(44, dtype=bool) & (v != 1)
    assert not counts[~allowed].any()
    expected = np.where(allowed, len(seen) / 35 / np.maximum(1, allowed.sum(1, keepdims=True)), 0)[
        allowed
    ]
    chi_square, cells = ((counts[allowed] - expected) ** 2 / expected).sum(), len(expected)
    assert abs(chi_square - cells) < 4 * math.sqrt(2 * cells)


def test_pairs_of_the_beta_vae_score_share_a_value_each_not_all_the_same() -> None:
    """Each pair shares its own value of the factor; the 64 pairs of a group do not share one value.

    The code is 0 where the first of two bits is 0, and otherwise -1 or 1. Codes of pairs that share
    that bit differ by 1/2 on average, with a variance of 3/4; those of pairs that share the other
    bit differ by 3/4, with a variance of 7/16. Means of 64 pairs are told apart in 90 % of cases
    (normal approximation, at the threshold where the two errors are equal). If all 64 pairs shared
    one value, they would be told apart in 3/4 of cases at most.
    """
    v, rng = grid(2, 2, times=500), np.random.default_rng(0)
    z = v[:, :1] * rng.choice([-1.0, 1.0], (len(v), 1))
    gap = 0.25 * 8 / (math.sqrt(3 / 4) + math.sqrt(7 / 16))
    wanted = (1 + math.erf(gap / math.sqrt(2))) / 2
    # The tolerance allows for 1/64, since numbers of pairs are integers.
    assert beta_vae_score(z, v, z, v).value == pytest.approx(wanted, abs=0.03)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", [mig, modularity])
def test_the_bootstrap_error_is_the_spread_over_fresh_images(
    score: Callable[[Reals, Integers], float],
) -> None:
    values = [score(*entangled(800, seed)) for seed in range(0, 400, 4)]
    z, v = entangled(800, 400)
    # 50 resamples know it to 10 %, 100 values to 7 %; four times both together.
    found = resampled(
        lambda rows: score(z[rows], v[rows]), torch.arange(800), times=disentangling.RESAMPLES
    )
    assert found.error == pytest.approx(np.std(values), rel=0.5)


def test_an_accuracy_has_a_binomial_error_and_informativeness_a_value_for_each_image() -> None:
    (z, v), (others, truth) = entangled(2000, 0), entangled(500, 10)
    found = factor_vae_score(z, v, others, truth)
    assert found.error == pytest.approx(math.sqrt(found.value * (1 - found.value) / 3000), rel=1e-3)
    forests = dci(z, v, others, truth)
    assert forests.informativeness.each is not None
    assert forests.informativeness.each.shape == (500,)
    assert forests.informativeness.value == pytest.approx(
        np.mean([accuracy.value for accuracy in forests.accuracy])
    )


# --- of a run -------------------------------------------------------------------------------------

NUMBERS = {name for name in METRICS if name not in ("dci_accuracy", "factor_information")}


def sprites(folder: Path, **given: Any) -> Evaluator:
    settings = {
        "data.source": "sprites",
        "data.size": 16,
        "data.images": 600,
        "model.latent": 3,
        "train.epochs": 1,
    }
    return Evaluator(vaelab.train(tiny(settings | given), folder / "run", quiet=True))


# With these settings a model soon uses some of its dimensions.
LEARNS = {"train.epochs": 15, "train.learning_rate": 1e-2, "objective.beta": 0.1}


def number(value: Estimate | float) -> float:
    return value.value if isinstance(value, Estimate) else value


def test_a_small_run_on_sprites_has_every_score(tmp_path: Path, quick: None) -> None:
    subject = sprites(
        tmp_path, **{"data.images": 3000, "data.test": 0.2, "train.epochs": 8, "model.hidden": [64]}
    )
    found = disentangling.measure(subject)
    assert set(found) == {*METRICS, "notes"}
    assert all(0 <= number(found[name]) <= 1 for name in NUMBERS)
    assert np.array(list(found["factor_information"].values())).shape == (5, 3)
    assert (
        list(found["dci_accuracy"])
        == list(found["factor_information"])
        == ["shape", "scale", "rotation", "x", "y"]
    )
    # A model learns first where a white shape is: the accuracy exceeds chance, 1 / 32, by at least
    # 5 standard errors.
    for place in ("x", "y"):
        assert found["dci_accuracy"][place].value > 1 / 32 + 5 * math.sqrt(1 / 32 / 600)
    assert any("rotation" in note for note in found["notes"])
    again = disentangling.measure(Evaluator(subject.run))
    assert all(
        found[name] == again[name] for name in ("sap", "mig", "beta_vae_score", "dci_completeness")
    )


@pytest.mark.parametrize("variant", ["ae", "cvae", "svae", "gumbel", "two-level"])
def test_models_of_every_kind_are_measured_and_few_images_cost_two_scores(
    variant: str, tmp_path: Path, quick: None
) -> None:
    found = disentangling.measure(sprites(tmp_path, **{"model.variant": variant} | LEARNS))
    numbers = NUMBERS - {"factor_vae_score", "beta_vae_score"}
    assert set(found) == {*numbers, "dci_accuracy", "factor_information", "notes"}
    assert all(0 <= number(found[name]) <= 1 for name in numbers)
    assert any("too few images" in note for note in found["notes"])
    assert any("conditional on the label" in note for note in found["notes"]) == (variant == "cvae")


def test_data_without_factors_get_a_reason(digits_run: Path) -> None:
    found = disentangling.measure(Evaluator(vaelab.load(digits_run)))
    assert list(found) == ["notes"]
    assert "no known factors" in found["notes"][0]


def test_factors_of_ones_own_count_and_constant_ones_do_not(tmp_path: Path, quick: None) -> None:
    """A .npz file of 4 x 4 images that are bright on one side or the other.

    The side is factor 1; factor 2 is always 0.
    """
    side = np.random.default_rng(0).integers(2, size=300)
    x = np.zeros((300, 4, 4), np.uint8)
    x[:, :, :2], x[:, :, 2:] = 255 * side[:, None, None], 255 * (1 - side)[:, None, None]
    np.savez(tmp_path / "own.npz", x=x, factors=np.stack([side, 0 * side], 1))
    run = vaelab.train(
        tiny({"data.source": str(tmp_path / "own.npz"), "model.variant": "ae"}),
        tmp_path / "run",
        quiet=True,
    )
    found = disentangling.measure(Evaluator(run))
    assert list(found["dci_accuracy"]) == ["1"]
    assert found["dci_informativeness"].value == 1
    assert not {"modularity", "dci_disentanglement", "factor_vae_score", "beta_vae_score"} & set(
        found
    )
    assert any("1 of 2 factors" in note for note in found["notes"])
    assert any("need two" in note for note in found["notes"])


def test_used_dimensions_are_those_whose_mean_moves_whatever_the_scale() -> None:
    """Means vary by 1, by 0.05 and 0.3 of the posterior's width, and not at all.

    A mean that varies by 0.05 of the width has 2.5e-3 of the posterior's variance.
    """
    means = torch.from_numpy(normal(5000, 4)).float() * torch.tensor([1, 0.05, 0.3, 0])
    for q, wanted in (
        (lambda x: diagonal(x, torch.zeros_like(x)), [True, False, True, False]),
        (lambda x: Delta(1e-6 * x), [True, True, True, False]),
    ):
        encoder = nn.Identity()
        encoder.forward = q  # type: ignore[assignment]
        vae = VAE(encoder, nn.Identity(), nn.Identity(), (4,))
        vae.__dict__["row_bytes"] = 4  # without parameters there is nothing to measure it by
        subject = SimpleNamespace(vae=vae, x_test=means, test=SimpleNamespace(y=None), seed=0)
        found = disentangling._used(cast(Evaluator, subject), q(means).mean.double().numpy())
        assert found.tolist() == wanted


def test_dimensions_that_are_not_used_know_nothing_and_a_model_that_uses_none_is_not_scored(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = sprites(tmp_path)
    monkeypatch.setattr(disentangling, "_used", lambda *_: np.array([True, False, True]))
    found = disentangling.measure(subject)
    information = np.array([*found["factor_information"].values()])
    assert (information[:, 1] == 0).all()
    assert (information[:, [0, 2]].sum(0) > 0).all()
    assert found["notes"][0].startswith("1 of 3 dimensions")
    monkeypatch.setattr(disentangling, "_used", lambda *_: np.zeros(3, bool))
    found = disentangling.measure(subject)
    assert list(found) == ["notes"]
    assert found["notes"][0].startswith("3 of 3 dimensions")


def test_what_would_take_too_long_is_left_out_and_said() -> None:
    v = drawn(300, 2, 3)
    found = scores(normal(300, 101), v, normal(300, 101, seed=1), v)
    assert set(found) == {
        "mig",
        "sap",
        "modularity",
        "factor_vae_score",
        "factor_information",
        "notes",
    }
    assert found["mig"].error is None
    assert "101 dimensions" in found["notes"][0]


def test_information_is_measured_on_held_out_images_and_others_up_to_ten_thousand() -> None:
    v, truth = drawn(300, 2, 3), drawn(200, 2, 3, seed=1)
    z, others = normal(300, 2), normal(200, 2, seed=1)
    together = mig(np.vstack([z, others]), np.vstack([v, truth]))
    assert scores(z, v, others, truth)["mig"].value == pytest.approx(together, abs=1e-12)
