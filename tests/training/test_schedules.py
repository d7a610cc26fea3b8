"""Beta and the learning rate as functions of time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaelab.errors import UserError
from vaelab.recipes import Objective, Train, recipe
from vaelab.recipes.parts import SCHEDULES
from vaelab.recipes.table import NUMBERS
from vaelab.training import schedules
from vaelab.training.schedules import learning_rate, numbers

ULP = 1 + 4 * 2**-53  # a few roundings
weights = st.floats(0, 1e6)
peaks = st.floats(1e-12, 1e6)
# Of a million steps the last begins at 1 - 1e-6; closer to 1 a cosine is 0 in floating point.
shares = st.floats(0, 1 - 2**-20)


def beta(settings: Objective, time: float, epochs: int) -> float:
    return numbers(settings, time, epochs)["beta"]


def test_what_grows_is_what_is_named_and_nothing_else() -> None:
    given = {"beta": 4.0, "gamma": 3.0, "alpha": 0.5, "capacity": 25.0, "bits": 2.0}
    settings = Objective(**given, k=5, m=2, grows=("capacity", "bits"), warmup=10.0)
    half = numbers(settings, 5.0, 20)
    assert half == given | {"k": 5, "m": 2, "capacity": 12.5, "bits": 1.0}
    assert tuple(half) == NUMBERS


def test_beta_is_constant_unless_told_otherwise() -> None:
    assert {beta(Objective(beta=4.0), time, 20) for time in (0.0, 0.5, 19.99)} == {4.0}


@pytest.mark.parametrize(
    ("time", "wanted"), [(0.0, 0.0), (2.5, 1.0), (5.0, 2.0), (10.0, 4.0), (15.0, 4.0)]
)
def test_linear_warm_up_reaches_beta_at_its_end_and_stays(time: float, wanted: float) -> None:
    assert beta(Objective(beta=4.0, warmup=10.0), time, 20) == wanted


def test_a_warm_up_longer_than_the_training_is_not_shortened() -> None:
    assert beta(Objective(warmup=40.0), 20.0, 20) == 0.5


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        (0, 0),
        (0.25, 1),
        (0.5, 2),
        (1, 4),
        (1.5, 4),
        (1.999, 4),
        (2, 0),
        (2.5, 2),
        (3, 4),
        (6, 0),
        (7.999, 4),
    ],
)
def test_cycles_rise_over_their_first_half_and_stay_over_their_second(
    time: float, wanted: float
) -> None:
    assert beta(Objective(beta=4.0, cycles=4), time, 8) == pytest.approx(wanted, abs=1e-12)


@given(weights, shares, st.integers(1, 500), st.floats(0, 1000), st.integers(0, 20), st.booleans())
def test_beta_stays_between_nothing_and_itself(
    weight: float, share: float, epochs: int, warmup: float, cycles: int, cyclical: bool
) -> None:
    settings = (
        Objective(beta=weight, cycles=cycles) if cyclical else Objective(beta=weight, warmup=warmup)
    )
    assert 0 <= beta(settings, share * epochs, epochs) <= weight


@given(weights, st.floats(0.01, 100), st.floats(0, 200), st.floats(0, 200))
def test_warm_up_never_falls(weight: float, warmup: float, one: float, two: float) -> None:
    settings, (early, late) = Objective(beta=weight, warmup=warmup), sorted([one, two])
    assert beta(settings, early, 100) <= beta(settings, late, 100)


@given(st.integers(1, 8), st.integers(0, 7), shares, shares)
def test_within_a_cycle_beta_never_falls(cycles: int, which: int, one: float, two: float) -> None:
    epochs = cycles  # a cycle an epoch, so that its ends are exact
    early, late = sorted([one, two])
    start = which % cycles
    if start + late < start + 1:  # not rounded up into the next
        settings = Objective(cycles=cycles)
        assert beta(settings, start + early, epochs) <= beta(settings, start + late, epochs)


@given(peaks, shares)
def test_a_constant_learning_rate_is_constant(peak: float, share: float) -> None:
    assert learning_rate(Train(learning_rate=peak))(share) == peak


@pytest.mark.parametrize(
    ("schedule", "progress", "wanted"),
    [
        ("cosine", 0.0, 1.0),
        ("cosine", 1 / 3, 0.75),
        ("cosine", 0.5, 0.5),
        ("cosine", 2 / 3, 0.25),
        ("cosine", 1.0, 0.0),
        ("linear", 0.0, 1.0),
        ("linear", 0.25, 0.75),
        ("linear", 1.0, 0.0),
        ("one-cycle", 0.0, 0.04),
        ("one-cycle", 0.1, 0.28),  # a third of the rise is a quarter of the way
        ("one-cycle", 0.15, 0.52),
        ("one-cycle", 0.3, 1.0),
        ("one-cycle", 0.65, 0.500002),
        ("one-cycle", 1.0, 4e-6),
        ("warmup-stable-decay", 0.0, 0.04),
        ("warmup-stable-decay", 0.025, 0.52),
        ("warmup-stable-decay", 0.05, 1.0),
        ("warmup-stable-decay", 0.6, 1.0),
        ("warmup-stable-decay", 0.8, 0.5),
        ("warmup-stable-decay", 1.0, 0.0),
    ],
)
def test_the_learning_rate_at_exact_points(schedule: str, progress: float, wanted: float) -> None:
    settings = Train(learning_rate=2e-3, schedule=schedule)
    assert learning_rate(settings)(progress) == pytest.approx(2e-3 * wanted, rel=1e-12, abs=1e-18)


@given(peaks, shares, st.sampled_from([*SCHEDULES]))
def test_the_learning_rate_is_positive_and_never_above_its_peak(
    peak: float, share: float, schedule: str
) -> None:
    assert 0 < learning_rate(Train(learning_rate=peak, schedule=schedule))(share) <= peak * ULP


@given(shares, shares)
def test_cosine_only_falls(one: float, two: float) -> None:
    settings, (early, late) = Train(schedule="cosine"), sorted([one, two])
    assert learning_rate(settings)(early) >= learning_rate(settings)(late) / ULP


@given(shares, shares)
def test_one_cycle_rises_over_its_first_thirty_percent_and_falls_over_the_rest(
    one: float, two: float
) -> None:
    settings, (early, late) = Train(schedule="one-cycle"), sorted([one, two])
    assert learning_rate(settings)(0.3 * early) <= learning_rate(settings)(0.3 * late) * ULP
    assert (
        learning_rate(settings)(0.3 + 0.7 * early)
        >= learning_rate(settings)(0.3 + 0.7 * late) / ULP
    )


def test_one_cycle_has_no_jump_at_its_peak() -> None:
    settings = Train(schedule="one-cycle")
    assert learning_rate(settings)(0.3 - 1e-9) == pytest.approx(
        learning_rate(settings)(0.3), rel=1e-9
    )


ENDS = {
    "constant": 1.0,
    "cosine": 0.0,
    "linear": 0.0,
    "one-cycle": 4e-6,
    "warmup-stable-decay": 0.0,
}  # of the peak


def test_every_schedule_ends_where_it_says() -> None:
    assert ENDS.keys() == SCHEDULES.keys()
    for name, end in ENDS.items():
        assert learning_rate(Train(learning_rate=2.0, schedule=name))(1.0) == pytest.approx(
            2.0 * end, abs=1e-15
        )


CUSTOM = (
    "def halved(peak, progress): return peak / 2\ndef doubled(peak, progress): return 2 * peak\n"
)


def test_a_training_keeps_its_schedule_and_the_next_one_reads_a_file_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CUSTOM)
    settings = recipe("quickstart", {"train.schedule": f"{path}:halved"}).train
    before = learning_rate(settings)
    path.write_text("def halved(peak, progress): return peak / 2 * (1 - progress)\n")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # a clock may be too coarse to tell
    assert before(0.5) == settings.learning_rate / 2
    assert learning_rate(settings)(0.5) == settings.learning_rate / 4


def test_a_custom_schedule_stays_between_0_and_the_peak(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(CUSTOM)
    halved = recipe("quickstart", {"train.schedule": f"{path}:halved"}).train
    schedules.check(halved)
    assert learning_rate(halved)(0.3) == halved.learning_rate / 2
    doubled = recipe("quickstart", {"train.schedule": f"{path}:doubled"}).train
    with pytest.raises(UserError, match=r"train\.schedule: .*doubled gives the learning rate"):
        schedules.check(doubled)
