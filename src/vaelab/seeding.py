"""Chance, made of a seed, a purpose and an epoch, and of nothing else.

Every random number belongs to a purpose (weights, order, data, noise, evaluation, ...) and each purpose has a stream
of its own, started afresh every epoch. So the order of the images does not depend on how much noise the model drew,
and an interrupted run goes on exactly where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CPU = torch.device("cpu")


def derive(seed: int, purpose: str, epoch: int = 0) -> int:
    """A 63-bit seed for one purpose in one epoch.

    >>> derive(42, "order", 1) == derive(42, "order", 1)
    True
    >>> derive(42, "order", 1) == derive(42, "noise", 1)
    False
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{epoch}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(
    seed: int, purpose: str, epoch: int = 0, device: torch.device = CPU
) -> torch.Generator:
    """A generator of its own for one purpose in one epoch."""
    return torch.Generator(device).manual_seed(derive(seed, purpose, epoch))


@contextmanager
def seeded(seed: int, purpose: str, epoch: int = 0) -> Iterator[None]:
    """Inside, torch's global generators start from this seed; afterwards they are as they were before.

    Distributions and dropout draw from the global generators and take no other, so this is their purpose's stream.
    """
    with untouched():
        torch.manual_seed(derive(seed, purpose, epoch))
        yield


@contextmanager
def untouched() -> Iterator[None]:
    """Afterwards torch's global generators, of the CPU and of the GPU in use, are as they were before."""
    with torch.random.fork_rng(
        [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    ):
        yield
