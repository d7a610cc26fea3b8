"""Metrics of synthetic rows: known values, and planted faults that each of them must catch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from vaelab.evaluation.metrics.columns import (
    association_gap,
    associations,
    marginal_distances,
    total_variation,
)
from vaelab.evaluation.metrics.estimates import Estimate
from vaelab.evaluation.metrics.rows import closest, deviations, possible, share_closer
from vaelab.evaluation.metrics.two_samples import classifier_test

Rows = NDArray[np.float64]
WORDS = np.array([False, False, False, True, True])


def table(n: int, seed: int) -> Rows:
    """Three numbers and two categories, all of which depend on one another, with empty cells."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    x = np.stack([z, 1000 * z + 500 * rng.normal(size=n), np.exp(rng.normal(size=n) - z)], 1)
    words = np.stack([z > 0, np.digitize(z + 0.5 * rng.normal(size=n), [-1, 0, 1])], 1)
    x = np.concatenate([x.round(3), words], 1)
    x[rng.random(x.shape) < 0.05] = np.nan
    return x


def shuffled(x: Rows, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(column) for column in x.T], 1)


def differs(one: Estimate, value: float) -> bool:
    """Whether an estimate is more than four standard errors from a value."""
    assert one.error
    return abs(one.value - value) > 4 * one.error


# --- copies ---------------------------------------------------------------------------------------


def test_the_distance_is_gowers_with_robust_deviations() -> None:
    words, scale = np.array([False, True]), np.array([2.0, 1.0])
    among = np.array([[0.0, 1.0], [10.0, 0.0], [np.nan, 0.0]])
    x = np.array([[1.0, 1.0], [10.0, 0.0], [np.nan, 0.0], [4.0, 0.0], [np.nan, np.nan]])
    found = closest(x, among, words, scale)
    np.testing.assert_allclose(found, [0.25, 0.0, 0.0, 0.5, 0.0])


def test_outliers_do_not_change_the_deviations() -> None:
    x = np.random.default_rng(0).normal(5, 3, (10_000, 1))
    x[:100] = 1e9
    assert deviations(x, np.array([False]))[0] == pytest.approx(3, rel=0.05)
    assert deviations(np.zeros((5, 1)), np.array([False]))[0] == 1


def test_rows_that_are_copies_are_caught_and_held_out_rows_are_not() -> None:
    train, held, more = table(500, 0), table(1000, 1), table(1000, 2)
    scale = deviations(train, WORDS)
    real, new = (closest(rows, train, WORDS, scale) for rows in (held, more))
    assert not differs(share_closer(new, real), 0.05)
    copied = more.copy()
    copied[:200] = train[:200]  # a fifth
    found = closest(copied, train, WORDS, scale)
    assert (found == 0).mean() >= 0.2 > (real == 0).mean() + 0.1
    assert differs(share_closer(found, real), 0.05)
    noise = np.random.default_rng(3).normal(0, 0.02, copied[:, :3].shape) * scale[:3]
    copied[:, :3] += noise  # no exact copies
    assert differs(share_closer(closest(copied, train, WORDS, scale), real), 0.05)


def test_the_distance_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, among = table(50, 0), table(70, 1)
    once = closest(x, among, WORDS, np.ones(5))
    monkeypatch.setattr("vaelab.devices.BUDGET", 32 * 70 * 7)
    np.testing.assert_array_equal(once, closest(x, among, WORDS, np.ones(5)))


# --- possible rows --------------------------------------------------------------------------------


def test_range_category_and_precision_are_checked() -> None:
    real = np.array([[0.5, 0], [2.0, 1], [np.nan, np.nan]])
    x = np.array([[1.0, 0], [0.4, 0], [2.1, 0], [1.05, 1], [1.1, 2], [np.nan, 1]])
    words, steps = np.array([False, True]), np.array([0.1, 0.0])
    found = possible(x, real, words, steps)
    np.testing.assert_array_equal(found[:, 0], [1, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(found[:, 1], [1, 1, 1, 1, 0, 1])


# --- columns and pairs ----------------------------------------------------------------------------

FEW = st.lists(st.integers(-5, 5), min_size=1, max_size=20)


@given(FEW, FEW)
def test_marginal_distances_are_those_of_scipy(a: list[int], b: list[int]) -> None:
    x, y = np.array(a, float), np.array(b, float)
    apart, most = marginal_distances(np.append(x, np.nan), y)
    assert apart == pytest.approx(stats.wasserstein_distance(x, y), abs=1e-12)
    shares = [abs((x <= t).mean() - (y <= t).mean()) for t in range(-5, 6)]
    assert most == pytest.approx(max(shares), abs=1e-12)


def test_total_variation_of_known_shares() -> None:
    a, b = np.array([0.0, 0, 1, np.nan]), np.array([1.0, 1, 2, 2])
    assert total_variation(a, b) == pytest.approx((2 / 3 + 1 / 6 + 1 / 2) / 2)
    assert total_variation(a, a) == 0
    assert np.isnan(total_variation(a, np.array([np.nan])))


def test_associations_are_those_of_scipy() -> None:
    x = table(400, 0)
    x = x[~np.isnan(x).any(1)]
    found = associations(x, WORDS)
    np.testing.assert_allclose(found[:3, :3], stats.spearmanr(x[:, :3]).statistic, atol=1e-12)
    counts = stats.contingency.crosstab(x[:, 3], x[:, 4]).count
    assert found[3, 4] == pytest.approx(stats.contingency.association(counts, "cramer"))
    ranks = stats.rankdata(x[:, 0])
    groups = [ranks[x[:, 4] == code] for code in range(4)]
    between = sum(len(g) * (g.mean() - ranks.mean()) ** 2 for g in groups)
    assert found[0, 4] == pytest.approx((between / len(ranks) / ranks.var()) ** 0.5)
    np.testing.assert_array_equal(found, found.T)


def test_a_constant_or_empty_column_has_no_associations() -> None:
    x = table(100, 0)
    x[:, 1], x[:, 2], x[:, 3] = 3.0, np.nan, 1.0
    found = associations(x, WORDS)
    np.testing.assert_array_equal(found[1:4], np.eye(5)[1:4])


# --- planted faults -------------------------------------------------------------------------------


def test_held_out_rows_pass_all_tests() -> None:
    a, b, c = (table(1000, seed) for seed in (1, 2, 3))
    assert all(not differs(value, 0.5) for value in classifier_test(a, b, WORDS))
    gaps = [association_gap(associations(x, WORDS), associations(b, WORDS)) for x in (a, c)]
    assert max(gaps) < 0.05
    for i in range(3):
        assert marginal_distances(a[:, i], b[:, i])[1] < 1.95 * (2 / 900) ** 0.5  # p = 0.001


def test_shuffled_columns_are_caught_by_pairs_and_classifier_but_not_by_columns() -> None:
    made, real = shuffled(table(1000, 1)), table(1000, 2)
    for i in range(3):
        assert marginal_distances(made[:, i], real[:, i])[1] < 1.95 * (2 / 900) ** 0.5
    for i in (3, 4):
        assert total_variation(made[:, i], real[:, i]) < 0.1
    assert association_gap(associations(made, WORDS), associations(real, WORDS)) > 0.3
    accuracy, area = classifier_test(made, real, WORDS)
    assert accuracy.value > 0.8 < area.value
    assert differs(accuracy, 0.5)
    assert differs(area, 0.5)


def test_a_shifted_column_is_caught_by_columns_but_not_by_pairs() -> None:
    made, real = table(1000, 1), table(1000, 2)
    made[:, 0] += 0.5
    apart, most = marginal_distances(made[:, 0], real[:, 0])
    assert apart == pytest.approx(0.5, abs=0.15)
    assert most > 0.1
    assert association_gap(associations(made, WORDS), associations(real, WORDS)) < 0.05


def test_the_classifier_test_has_the_level_that_its_error_says() -> None:
    """Under the null the AUC deviates from 0.5 by its standard error."""
    rng = np.random.default_rng(0)
    words, scores = np.zeros(2, bool), []
    for seed in range(30):
        a, b = rng.normal(size=(2, 60, 2))
        area = classifier_test(a, b, words, seed)[1]
        assert area.error
        scores.append((area.value - 0.5) / area.error)
    assert abs(np.mean(scores)) < 4 / 30**0.5
    assert 0.5 < np.std(scores) < 2


def test_rows_without_numbers_or_with_many_categories_are_classified() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 600, (2, 200, 1)).astype(float)
    accuracy, _ = classifier_test(a, b, np.array([True]))
    assert not differs(accuracy, 0.5)
