"""Exports to ONNX in half the time, for tests of many."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def one_registry() -> Iterator[None]:
    """Inside, torch parses its table of ONNX operations once, instead of for every export."""
    from torch.onnx._internal.exporter import _registration

    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(_registration.ONNXRegistry.from_torchlib)
        patch.setattr(_registration.ONNXRegistry, "from_torchlib", staticmethod(once))
        yield
