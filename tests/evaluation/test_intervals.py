"""Intervals hold what they promise: simulated often, they cover the truth at their nominal rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from vaelab.evaluation import intervals
from vaelab.evaluation.intervals import Interval, bootstrap, t_interval, unpaired

Array = NDArray[np.float64]
DATA: dict[str, tuple[Callable[[np.random.Generator, int], Array], float]] = {
    "normal": (lambda rng, n: rng.normal(3, 2, n), 3.0),
    "skewed": (lambda rng, n: rng.exponential(1.0, n), 1.0),
    "right or wrong": (lambda rng, n: rng.choice([-1.0, 0.0, 1.0], n, p=[0.1, 0.7, 0.2]), 0.1),
}


def share(held: list[bool]) -> tuple[float, float]:
    """The share and its standard error, were the true one 0.95."""
    return float(np.mean(held)), (0.95 * 0.05 / len(held)) ** 0.5


@pytest.mark.parametrize("name", DATA)
def test_the_bootstrap_covers_the_mean_at_its_nominal_rate(name: str) -> None:
    draw, truth = DATA[name]
    rng, held = np.random.default_rng(0), []
    for seed in range(600):
        found = bootstrap(draw(rng, 200), draws=600, seed=seed)
        assert found
        held.append(found.low <= truth <= found.high)
    covered, error = share(held)
    assert abs(covered - 0.95) < 3.5 * error


def test_each_side_of_the_bootstrap_fails_as_often_where_data_are_skewed() -> None:
    """Each side fails in 2.5 % of cases.

    Percentiles of the same resamples leave the truth above them more than twice as often as below.
    """
    rng, above, below = np.random.default_rng(1), [], []
    for seed in range(1500):
        found = bootstrap(rng.exponential(1.0, 60), draws=400, seed=seed)
        assert found
        above.append(found.high < 1)
        below.append(found.low > 1)
    error = (0.025 * 0.975 / 1500) ** 0.5
    assert np.mean(below) < 0.025 + 4 * error
    assert np.mean(above) < 0.025 + 4 * error


def test_the_bootstrap_is_longer_on_the_side_of_the_skew() -> None:
    skewed = np.random.default_rng(0).exponential(1.0, 100)
    right, left = bootstrap(skewed), bootstrap(-skewed)
    assert right
    assert left
    assert right.high - right.value > 1.1 * (right.value - right.low)
    assert left.value - left.low > 1.1 * (left.high - left.value)


def test_on_normal_values_the_bootstrap_is_student_s_interval() -> None:
    x = np.random.default_rng(0).normal(1, 5, 2000)
    found, wanted = bootstrap(x), t_interval(x)
    assert found
    # A quantile of 4,000 resamples has an error of sqrt(0.025 0.975 / 4000) / phi(1.96) = 0.042
    # standard errors of the mean.
    error = 0.042 * x.std() / len(x) ** 0.5
    np.testing.assert_allclose(found, wanted, rtol=0, atol=4 * error)


def test_resampling_in_blocks_is_resampling_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=37)
    whole = bootstrap(x, draws=1001)
    monkeypatch.setattr(intervals, "BLOCK", 100)
    assert bootstrap(x, draws=1001) == whole


def test_what_cannot_be_resampled_has_no_bootstrap() -> None:
    few, enough = np.zeros(500), np.zeros(500)
    few[:9], enough[:10] = 1, 1
    assert bootstrap(few) is None
    assert bootstrap(1 - few) is None
    assert bootstrap(enough)
    assert bootstrap(np.arange(9.0)) is None
    assert bootstrap([]) is None
    assert bootstrap(np.full(50, 2.5)) == (2.5, 2.5, 2.5)


def test_few_disagreements_do_not_make_a_winner_too_often() -> None:
    """Two equally good models disagree on a dozen of 1,000 images.

    One of them wins in no more than the nominal 5 % of cases, up to 4 standard errors.
    """
    rng, won = np.random.default_rng(0), []
    for seed in range(800):
        x = np.zeros(1000)
        x[:12] = rng.choice([-1.0, 1.0], 12)
        found = bootstrap(x, draws=400, seed=seed)
        won.append(found is not None and found.sign != 0)
    assert np.mean(won) < 0.05 + 4 * (0.05 * 0.95 / 800) ** 0.5


def test_student_s_interval_is_exact_for_five_normal_values() -> None:
    rng = np.random.default_rng(0)
    found = [t_interval(rng.normal(2, 3, 5)) for _ in range(4000)]
    covered, error = share([low <= 2 <= high for _, low, high in found])
    assert abs(covered - 0.95) < 4 * error
    x = rng.normal(size=5)
    np.testing.assert_allclose(
        t_interval(x, 0.9)[1:],
        scipy.stats.t.interval(0.9, 4, x.mean(), scipy.stats.sem(x)),
        rtol=1e-12,
    )


@pytest.mark.parametrize("method", ["t", "bootstrap"])
def test_without_a_difference_one_in_twenty_is_called_a_winner(method: str) -> None:
    rng = np.random.default_rng(0)
    n, times = (5, 4000) if method == "t" else (150, 800)
    signs = []
    for seed in range(times):
        x = rng.normal(size=n)
        found = t_interval(x) if method == "t" else bootstrap(x, draws=400, seed=seed)
        assert found
        signs.append(found.sign)
    won, error = np.mean(np.abs(signs)), (0.05 * 0.95 / times) ** 0.5
    assert abs(won - 0.05) < 4 * error


def test_two_independent_numbers_are_told_apart_at_the_nominal_rate() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 0.3, 4000), rng.normal(1.5, 0.4, 4000)
    covered, error = share(
        [
            i.low <= 0.5 <= i.high
            for i in (unpaired(x, y, (0.3, 0.4)) for x, y in zip(a, b, strict=True))
        ]
    )
    assert abs(covered - 0.95) < 4 * error
    assert unpaired(2.0, 5.0, (3.0, 4.0))[:1] == (3.0,)
    assert unpaired(2.0, 5.0, (3.0, 4.0)).high == pytest.approx(3 + 1.959964 * 5)


def test_a_sign_needs_the_whole_interval_on_one_side() -> None:
    signs = [
        Interval(*i).sign for i in ((1, 0.5, 2), (1, -0.5, 2), (-1, -2, -0.5), (0, 0, 0), (1, 0, 2))
    ]
    assert signs == [1, 0, -1, 0, 0]


def test_a_higher_level_is_a_longer_interval() -> None:
    x = np.random.default_rng(0).normal(size=50)
    for method in (bootstrap, t_interval):
        narrow, wide = method(x, 0.8), method(x, 0.99)
        assert narrow
        assert wide
        assert wide.low < narrow.low < narrow.high < wide.high
