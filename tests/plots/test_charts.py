"""Charts of columns: shares of what is there, in the user's units, on axes that fit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from vaelab.data import Column
from vaelab.plots.charts import VALUES, chart, correlation, recovered

RNG = np.random.default_rng(0)
WORDS = Column(name="w", kind="categorical", values=("a", "b", "c"))


def test_empty_cells_do_not_count() -> None:
    x = np.array([0, 0, 2, np.nan, np.nan])
    one = chart(WORDS, x, np.array([0.0, 1, 2, 1]))
    assert one.names == ("a", "c", "b")  # by falling frequency
    assert_allclose(one.data, [2 / 3, 1 / 3, 0])
    assert_allclose(one.made, [1 / 4, 1 / 4, 1 / 2])


def test_values_in_an_order_keep_it_and_rare_categories_are_counted() -> None:
    ordered = Column(name="o", kind="ordinal", values=("low", "mid", "high"))
    assert chart(ordered, np.array([2.0, 2, 1]), np.zeros(2)).names == ordered.values
    many = Column(name="m", kind="categorical", values=tuple(map(str, range(20))))
    one = chart(many, np.arange(20.0), np.arange(20.0))
    assert (len(one.names), one.others) == (VALUES, 20 - VALUES)


def test_numbers_are_in_the_user_s_units() -> None:
    column = Column(name="x", kind="real", origin=1e6, decimals=2)
    x = RNG.normal(size=500).round(2)
    one = chart(column, x, x)
    assert one.edges[0] <= 1e6 + x.min()
    assert one.edges[-1] >= 1e6 + x.max()
    assert_allclose([one.data.sum(), one.made.sum()], 1)
    assert_allclose(np.diff(one.edges) / 0.01, np.round(np.diff(one.edges)[0] / 0.01), rtol=1e-6)


def test_whole_numbers_have_a_bin_each() -> None:
    x = np.array([0.0, 1, 1, 2, 5])
    one = chart(Column(name="n", kind="count", decimals=0), x, x)
    assert_allclose(one.edges, np.arange(7) - 0.5)
    assert_allclose(one.data, [1 / 5, 2 / 5, 1 / 5, 0, 0, 1 / 5])


def test_only_positive_numbers_with_a_long_tail_have_a_logarithmic_axis() -> None:
    x = np.exp(RNG.normal(0, 2, 400))
    assert chart(Column(name="x", kind="positive"), x, x).log
    assert not chart(Column(name="x", kind="real"), x, x).log
    assert not chart(Column(name="x", kind="positive"), 1 + x / x.max(), x / x.max()).log
    assert_allclose(
        chart(Column(name="x", kind="positive"), x, x).place([x.min(), x.max()]), [0, 1]
    )


@pytest.mark.parametrize("kind", ["real", "heavy", "positive", "count"])
def test_far_samples_do_not_flatten_the_data(kind: str) -> None:
    x = np.abs(RNG.normal(5, 1, 300))
    made = np.concatenate([x, [1e12, np.inf, np.nan]])
    one = chart(Column(name="x", kind=kind), x, made)  # type: ignore[arg-type]
    assert one.edges[-1] < 20
    assert np.isfinite(one.edges).all()


@pytest.mark.parametrize("cells", [np.array([3.0, 3.0]), np.array([np.nan]), np.zeros(0)])
def test_a_column_without_variation_or_cells_has_a_chart(cells: np.ndarray) -> None:
    for column in (WORDS, Column(name="x", kind="real")):
        one = chart(column, cells if column is not WORDS else cells * 0, np.array([0.0, 1.0]))
        assert (np.diff(one.edges) > 0).all()


def test_correlation_is_of_the_cells_that_are_there() -> None:
    x = np.array([1.0, 2, 3, np.nan])
    assert correlation(Column(name="x", kind="real"), x, 2 * np.array([1.0, 2, 3, 9])) == 1
    assert correlation(Column(name="x", kind="real"), x, np.ones(4)) is None
    logs = correlation(Column(name="x", kind="positive"), np.exp(x), np.exp(5 * x))
    assert logs == pytest.approx(1)


def test_recovered_cells_are_counted_by_category() -> None:
    x, again = np.array([0.0, 0, 1, np.nan]), np.array([0.0, 1, 1, 2])
    found = recovered(chart(WORDS, x, x), x, again)
    assert found.share == pytest.approx(2 / 3)
    assert found.frequent == pytest.approx(2 / 3)
    assert_array_equal(found.each, [0.5, 1, np.nan])
