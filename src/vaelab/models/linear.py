"""nn.Linear, with the matrix products of oneDNN where the CPU has them.

torch multiplies float32 matrices with MKL, which on processors that are not Intel's leaves half of their speed unused.
oneDNN comes with torch and does not: on an AMD core with AVX-512 the products of a 784-400 layer at batch 128 take half
as long. The numbers are float32 either way; only the order of the sums differs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

WORTHWHILE = 2**22  # multiplications; below, calling costs more than it saves


class Linear(nn.Linear):
    """y = x W^T + b for x (N, in), as nn.Linear: the same parameters, initialisation and state."""

    def forward(self, x: Tensor) -> Tensor:
        plain = (
            x.device.type == "cpu"
            and x.dtype == self.weight.dtype == torch.float32
            and x.dim() == 2
        )
        special = torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling()
        if ONEDNN and plain and not special and len(x) * self.weight.numel() >= WORTHWHILE:
            return _product(x, self.weight, self.bias)
        return linear(x, self.weight, self.bias)


class _Product(torch.autograd.Function):
    """x W^T + b by oneDNN; the backward pass is made of the same product, so it can be differentiated again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        return _onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        dx = _product(grad, weight.t(), None) if ctx.needs_input_grad[0] else None
        dweight = _product(grad.t(), x.t(), None) if ctx.needs_input_grad[1] else None
        return dx, dweight, grad.sum(0) if ctx.biased else None


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = _Product.apply(x, weight, bias)  # type: ignore[no-untyped-call]  # torch gives apply no types
    return product


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return product


def _works() -> bool:
    """Whether this torch has the operator, which is no part of its public interface, and it does what we think."""
    x, weight, bias = torch.arange(6.0).view(2, 3), torch.arange(12.0).view(4, 3), torch.arange(4.0)
    try:
        return torch.equal(_onednn(x, weight, bias), linear(x, weight, bias))
    except (AttributeError, RuntimeError):
        return False


ONEDNN = torch.backends.mkldnn.is_available() and _works()
