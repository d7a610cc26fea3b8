"""What the machine says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import tiny

import vaelab
from vaelab import devices

LINUX = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="only Linux says how much memory is used"
)


@LINUX
@pytest.mark.parametrize("torn", [0, 300])
def test_the_peak_of_memory_is_what_was_needed_since_whatever_was_held_or_freed_before(
    torn: int,
) -> None:
    """Tensors of 100 MiB; page tables and what Python allocates meanwhile are far less than 5."""
    held = torch.ones(50 * 2**18)
    freed = [
        torch.ones(2**18) for _ in range(torn)
    ]  # pieces of 1 MiB, which the heap may keep when they are freed
    del freed
    peak = devices.peak_memory(torch.device("cpu"))
    torch.ones(100 * 2**18)
    assert peak() == pytest.approx(100, abs=5)
    del held


@LINUX
def test_the_peak_of_a_training_is_that_of_its_model_and_not_of_what_was_trained_before(
    quick: None, tmp_path: Path
) -> None:
    """The 8.4 million weights more of the larger model have gradients and two moments: 96 MiB. Then the heap: what is
    freed between may lie where the next tensor does not fit."""

    def peak(name: str, settings: dict[str, Any]) -> float:
        return vaelab.train(tiny(settings), tmp_path / name, quiet=True).times[-1]["peak_mib"]

    large = {"model.hidden": [2000, 2000], "train.epochs": 1}
    first, second = peak("first", {}), peak("second", {})
    assert peak("large", large) > 90
    assert abs(second - first) < 10
    assert abs(peak("after the large one", {}) - first) < 10
