"""nn.Linear, with the matrix products of torch or those of oneDNN, whichever are faster.

torch multiplies float32 matrices with MKL, which leaves half the speed of processors that are not
Intel's unused. oneDNN comes with torch and does not: on an AMD core with AVX-512 the products of a
784-400 layer at batch 128 take half as long; on an Intel core, or an AMD core without AVX-512, they
take a tenth to a third longer.
Both are float32 and differ in the order of their sums. A run measures the products of its own
layers once and keeps to its choice (`using`); everything else uses torch's own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from vaelab.models.operations import apply

WORTHWHILE = 2**22  # multiplications; below, the call costs more than it saves
MARGIN = 0.9  # of the usual way's time, which another must beat: noise must not choose
ROUNDS, PAIRS = 4, 3  # measurements; in each round it must
ENOUGH = 0.1  # seconds, after which no third round begins, nor a fourth
_products: ContextVar[str] = ContextVar("products", default="torch")  # of this thread


class Linear(nn.Linear):
    """y = x W^T + b for x (N, in), as nn.Linear: the same parameters, initialisation and state."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling() or not by_onednn(x, self.weight):
            return linear(x, self.weight, self.bias)
        return _product(x, self.weight, self.bias)


def product(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, columns: bool = False
) -> Tensor:
    """x W^T + b for x (N, in), without a way back; stored by columns if asked for.

    Which of the two is faster depends on how x and the weight are stored. In bfloat16 torch uses
    oneDNN itself, but adds the bias in passes of its own.
    """
    if columns:
        rows = product(weight, x).t()
        return rows if bias is None else rows.add_(bias)
    half = bias is not None and x.dtype == torch.bfloat16 and x.device.type == "cpu" and BFLOAT16
    return (_onednn if half or by_onednn(x, weight) else linear)(x, weight, bias)


def by_onednn(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN is to compute x W^T, in float32."""
    return (
        _products.get() == "onednn"
        and x.dim() == 2
        and len(x) * weight.numel() >= WORTHWHILE
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


@contextmanager
def using(products: str) -> Iterator[None]:
    """Inside, this thread uses the products of "torch" or "onednn" (torch where it is missing)."""
    token = _products.set(products if AVAILABLE else "torch")
    try:
        yield
    finally:
        _products.reset(token)


def fastest(device: torch.device, model: nn.Module, rows: int) -> str:
    """Whose products are faster here, "torch" or "onednn", by a measurement of some 50 ms.

    It measures the products of a training step, forward and backward, in those layers of the model
    that are large enough for oneDNN at this number of rows; where there are none it is "torch".
    oneDNN is chosen only if it is clearly faster in each of several rounds, so that a busy moment
    does not change the choice; within a process it stays the same.
    """
    layers = [tuple(m.weight.shape) for m in model.modules() if isinstance(m, Linear)]
    large = tuple(sorted(shape for shape in layers if rows * math.prod(shape) >= WORTHWHILE))
    if device.type != "cpu" or not AVAILABLE or not large:
        return "torch"
    return _measured(large, rows, torch.get_num_threads())


@cache
def _measured(layers: tuple[tuple[int, int], ...], rows: int, threads: int) -> str:
    """The faster of the two for layers (outputs, inputs) at so many rows."""
    triples = [
        (torch.ones(rows, inputs), torch.ones(outputs, inputs), torch.ones(rows, outputs))
        for outputs, inputs in layers
    ]

    def seconds(multiply: Callable[..., Tensor]) -> float:
        begun = time.perf_counter()
        for x, weight, grad in triples:
            multiply(x, weight, None)
            multiply(grad, weight.t(), None)  # as in the backward pass
            multiply(grad.t(), x.t(), None)
        return time.perf_counter() - begun

    return "onednn" if _faster(partial(seconds, _onednn), partial(seconds, linear)) else "torch"


@cache
def bfloat16_pays(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 faster than float32.

    A processor is measured, for some 20 ms: one that has no such instructions takes up to ten times
    as long. Of a GPU it is what its driver says.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    square = torch.ones(512, 512)
    halves = square.bfloat16()
    ways: list[Callable[..., Tensor]] = [linear, _onednn] if AVAILABLE else [linear]

    def seconds(multiply: Callable[..., Tensor], x: Tensor) -> float:
        begun = time.perf_counter()
        multiply(x[:128], x, None)
        return time.perf_counter() - begun

    return _faster(
        lambda: seconds(linear, halves), lambda: min(seconds(way, square) for way in ways)
    )


def _faster(challenger: Callable[[], float], holder: Callable[[], float]) -> bool:
    """Whether what takes challenger() seconds is clearly faster in each of several rounds."""
    holder(), challenger()  # the first call of either is slow
    begun = time.perf_counter()
    for i in range(ROUNDS):
        pairs = [(holder(), challenger()) for _ in range(PAIRS)]
        holders, challengers = zip(*pairs, strict=True)
        if min(challengers) > MARGIN * min(holders):
            return False
        if i and time.perf_counter() - begun > ENOUGH:
            break
    return True


class _Product(torch.autograd.Function):
    """x W^T + b by oneDNN. Its backward pass is the same product, so it is differentiable."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return _onednn(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, bias = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)
        ctx.biased = bias is not None

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        multiply = _product if torch.is_grad_enabled() else _onednn  # the former is differentiable
        dx = multiply(grad, weight.t(), None) if ctx.needs_input_grad[0] else None
        dweight = multiply(grad.t(), x.t(), None) if ctx.needs_input_grad[1] else None
        return dx, dweight, grad.sum(0) if ctx.biased else None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, weight: Tensor, bias: Tensor | None
    ) -> tuple[Tensor, int]:
        """Under torch.vmap, for which oneDNN has no rule, torch's own product."""
        return torch.vmap(linear, in_dims)(x, weight, bias), 0

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, dweight: Tensor, dbias: Tensor | None) -> Tensor:
        x, weight = ctx.saved_tensors
        tangent = linear(x, weight).new_zeros(()) if dbias is None else dbias
        if dx is not None:
            tangent = tangent + linear(dx, weight)
        return tangent if dweight is None else tangent + linear(x, dweight)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = apply(_Product, x, weight, bias)
    return product


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _works() -> bool:
    """Whether this torch has the operator, which is not public, and it does what we expect."""
    x, weight, bias = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3), torch.arange(4.0)
    try:
        return torch.equal(_onednn(x, weight, bias), linear(x, weight, bias))
    except (AttributeError, RuntimeError):
        return False


def _works_in_bfloat16() -> bool:
    """Whether the processor has what oneDNN needs for bfloat16, as an operator not public says."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False


AVAILABLE = torch.backends.mkldnn.is_available() and _works()
BFLOAT16 = AVAILABLE and _works_in_bfloat16()
