"""Batch normalisation by the statistics of all processes, here of a single one, is torch's."""

from __future__ import annotations

import copy

import pytest
import torch

from vaelab.models import batch


@pytest.mark.parametrize("momentum", [0.1, 0.5, 0.0, None])
@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 2, 4)])
def test_a_converted_layer_keeps_the_statistics_of_torchs(
    momentum: float | None, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_sum", lambda tensor: tensor)  # over one process
    kind = torch.nn.BatchNorm1d if len(shape) == 2 else torch.nn.BatchNorm2d
    plain = kind(3, momentum=momentum).double()
    converted = copy.deepcopy(plain)
    batch.convert(converted)
    assert isinstance(converted, batch.BatchNorm)
    for _ in range(3):
        x = torch.randn(shape, dtype=torch.float64) * 2 + 1
        with batch.divided(batch.Parts([shape[0]], 0)):
            y = converted(x)
        torch.testing.assert_close(y, plain(x))
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(converted.state_dict()[name], value)
