"""Random number streams. Every random number belongs to a seed, a purpose and an epoch.

Each purpose (weights, order, data, noise, evaluation, ...) has its own stream, which starts again
in every epoch. So the order of the images does not depend on how much noise the model draws, and an
interrupted run continues exactly where it stopped. Nothing here reads or changes the global
generators of torch or NumPy, so threads do not disturb one another; only the training loop draws
from torch's global generators, because that is fastest (see `untouched`).
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

CPU = torch.device("cpu")


def derive(seed: int, purpose: str, epoch: int = 0) -> int:
    """Return a 63-bit seed for one purpose in one epoch.

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
    """Return a torch generator for one purpose in one epoch."""
    return torch.Generator(device).manual_seed(derive(seed, purpose, epoch))


def numpy_generator(seed: int, purpose: str) -> np.random.Generator:
    """Return a NumPy generator (PCG64) for one purpose.

    >>> [int(numpy_generator(0, purpose).integers(100)) for purpose in ("order", "noise")]
    [51, 26]
    """
    return np.random.Generator(np.random.PCG64([seed, *purpose.encode()]))


def seeded(seed: int, purpose: str, epoch: int = 0) -> Stream:
    """Return a context inside which torch draws from the stream of this seed, purpose and epoch.

    Distributions, initialisers and dropout take no generator. Inside the context they get one, in
    this thread alone; torch's global generators are neither read nor changed. The numbers are those
    that ``torch.manual_seed`` would give. A context that is entered again continues its stream.

    >>> before = torch.get_rng_state()
    >>> with seeded(0, "noise"):
    ...     first = torch.distributions.Normal(0.0, 1.0).sample((3,))
    >>> with seeded(0, "noise"):
    ...     torch.equal(first, torch.randn(3))
    True
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    return Stream(derive(seed, purpose, epoch))


class Mode(TorchDispatchMode):
    """A dispatch mode of torch that is never compiled, and does not import the compiler for that.

    To keep its compiler out of `__torch_dispatch__`, torch imports it, which takes almost as long
    as torch itself. Here that waits until something has been compiled.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch is to leave that to `__enter__`

    def __enter__(self) -> Self:
        if "torch._dynamo" in sys.modules:
            _keep_uncompiled(type(self))  # type: ignore[arg-type]  # mypy: no hashable class
        super().__enter__()  # type: ignore[no-untyped-call]  # torch gives it no types
        return self


@cache
def _keep_uncompiled(mode: type[Mode]) -> None:
    apart = torch.compiler.disable(mode.__torch_dispatch__)
    mode.__torch_dispatch__ = apart  # type: ignore[method-assign]  # as torch does


class Stream(Mode):
    """Hand a generator of our own to every random operation of torch, whichever Python or C++ code
    calls it.

    A dispatch mode belongs to the thread that enters it. Operations that take no generator are
    refused if they would draw, rather than left to draw from the global one.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch gives it no types
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in func.tags or kwargs.get("generator"):
            return func(*args, **kwargs)
        if func is torch.ops.aten.native_dropout.default:
            return self._dropout(*args, **kwargs)
        seedable = _with_generator(func)
        if seedable is not None:
            return seedable(*args, **kwargs, generator=self._generator(args, kwargs))
        if _draws(func, args, kwargs):
            raise NotImplementedError(f"{func}: takes no generator, so it cannot be seeded")
        return func(*args, **kwargs)

    def _generator(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.Generator:
        """The stream of the device on which an operation runs."""
        tensor = next((arg for arg in args if isinstance(arg, torch.Tensor)), None)
        named = torch.device(kwargs.get("device") or torch.get_default_device())
        device = named if tensor is None else tensor.device
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]

    def _dropout(
        self, x: torch.Tensor, p: float, train: bool | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """aten::native_dropout, the one common operation without a generator: output and mask."""
        if train is False or p == 0:
            return x.clone(), torch.ones_like(x, dtype=torch.bool)
        mask = torch.empty_like(x).bernoulli_(1 - p, generator=self._generator((x,), {}))
        return x * mask * (1 / (1 - p) if p < 1 else 0.0), mask.bool()


@cache
def _with_generator(func: Any) -> Callable[..., Any] | None:
    """The overload of an operation that takes the same arguments and a generator; None if there is
    none.
    """
    names = {argument.name for argument in func._schema.arguments} | {"generator"}
    packet = func.overloadpacket
    for overload in (func, *(getattr(packet, name) for name in packet.overloads())):
        if {argument.name for argument in overload._schema.arguments} == names:
            return overload  # type: ignore[no-any-return]  # torch.ops has no types
    return None


def _draws(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operation without a generator draws: attention does so only if its dropout is
    above 0.
    """
    given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False))
    default = {argument.name: argument.default_value for argument in func._schema.arguments}
    return bool((default | given | dict(kwargs)).get("dropout_p", 1.0))


@contextmanager
def untouched() -> Iterator[None]:
    """Restore torch's global generators, of the CPU and of the current GPU, on leaving: for the
    training loop.
    """
    with torch.random.fork_rng(
        [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    ):
        yield
