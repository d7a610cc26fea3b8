"""What all tests share: one thread, for the tensors are tiny, and the same chance every time."""

from __future__ import annotations

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("vaelab", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("vaelab")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
