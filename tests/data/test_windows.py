"""Windows of long signals: every step in its place, and none in two splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vaelab.data import Dataset, load, load_all, load_series
from vaelab.data.windows import cut, starts
from vaelab.errors import UserError
from vaelab.recipes import Data


def loaded(folder: Path, x: np.ndarray, **given: Any) -> Dataset:
    np.save(folder / "x.npy", x)
    return load(Data(source=str(folder / "x.npy"), **given))


@settings(max_examples=40)
@given(steps=st.integers(5, 60), window=st.integers(1, 5), stride=st.integers(1, 7))
def test_windows_hold_the_steps_from_their_start_on(steps: int, window: int, stride: int) -> None:
    x = np.arange(2 * steps).reshape(steps, 2)
    first, found = starts(steps, window, stride), cut(x, window, stride)
    assert found.shape == (len(first), 2, window)
    for start, one in zip(first, found, strict=True):
        np.testing.assert_array_equal(one, x[start : start + window].T)
    assert first[-1] + window <= steps < first[-1] + window + stride


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stride=st.integers(0, 12),
    test=st.sampled_from([0.1, 0.25]),
    validation=st.sampled_from([0.1, 0.3]),
)
def test_no_step_is_in_two_splits_and_the_splits_follow_one_another(
    stride: int, test: float, validation: float, tmp_path: Path
) -> None:
    """The value of a step is its number, so the windows say which steps they hold."""
    steps = np.arange(400, dtype=np.float32)
    found = loaded(tmp_path, steps, window=16, stride=stride, test=test, validation=validation)
    train, held, last = (
        set(split.x.flatten().tolist()) for split in (found.train, found.validation, found.test)
    )
    assert max(train) < min(held) <= max(held) < min(last)
    assert min(last) == 400 - round(test * 400)
    assert found.form == "signal"
    assert found.shape == (16,)


def test_channels_are_columns_whichever_axis_is_time(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    by_step = loaded(tmp_path, x, window=20)
    by_channel = loaded(tmp_path, x.T, window=20)
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b,c", comments="")
    table = load(Data(source=str(tmp_path / "x.csv"), window=20))
    assert by_step.shape == by_channel.shape == table.shape == (3, 20)
    assert torch.equal(by_step.train.x[0], torch.from_numpy(x[:20].T))
    assert torch.equal(by_channel.train.x, by_step.train.x)
    torch.testing.assert_close(table.train.x, by_step.train.x)
    assert table.form == "signal"
    assert by_step.notes == (
        "windows of 20 steps, one every 5, within blocks of time: "
        "243 training, 27 validation, 30 test steps",
    )
    assert "axes (channels, time): 3 channels of 300 steps" in by_channel.notes


def test_short_windows_of_many_channels_keep_their_axes(tmp_path: Path) -> None:
    assert loaded(tmp_path, np.ones((300, 9)), window=4).shape == (9, 4)


def test_all_windows_of_a_new_signal_are_read_in_order(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(100.0))
    found, levels, _ = load_all(Data(source=str(tmp_path / "x.npy"), window=10, stride=7), None)
    assert found.x[:, 0].tolist() == starts(100, 10, 7).tolist()
    assert levels is None


def test_a_long_signal_is_read_as_a_whole(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    settings = Data(source=str(tmp_path / "x.npy"), window=10)
    for layout in (x, x.T):
        np.save(tmp_path / "x.npy", layout)
        assert torch.equal(load_series(settings)[0], torch.from_numpy(x))
    x[5, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(UserError, match="not all values are finite"):
        load_series(settings)


@pytest.mark.parametrize(
    ("shape", "given", "message"),
    [
        ((50, 3, 9), {}, r"shape \(50, 3, 9\), and cuts one long signal .*; set data.window to 0"),
        ((100,), {"test": 0.1}, "the 10 test steps .* fewer than a window of 16; .* to 2"),
        ((10,), {"test": 0, "validation": 0}, "the 10 training steps"),
    ],
)
def test_what_cannot_be_cut_is_refused(
    shape: tuple[int, ...], given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"data.window: .*{message}"):
        loaded(tmp_path, np.ones(shape), window=16, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": 8, "form": "table"}, "data.window: cuts signals, not tables"),
        ({"stride": 8}, "data.stride: is the distance of windows"),
    ],
)
def test_settings_of_windows_that_make_no_sense(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Data(**given)
