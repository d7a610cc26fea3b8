"""The operations of torch that a program can do: for each a function that adds its steps.

Views and operations on constants alone need no entry: see `trace`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vaelab.export.builder import Builder, Input, Value
from vaelab.export.convolutions import conv1d, conv2d, conv_transpose2d, upsample_nearest2d
from vaelab.export.reasons import UnknownOperationError

# Elementwise operations: programs have maps of the same names.
UNARY = (
    "abs atan cos exp expm1 lgamma log log1p log_sigmoid neg reciprocal relu round rsqrt sigmoid "
    "silu sin sqrt square tanh"
)
BINARY = "div eq ge gt le lt maximum minimum mul ne pow"


def unary(name: str, b: Builder, x: Input) -> Value:
    return b.map(name, x)


def binary(name: str, b: Builder, x: Input, other: Input) -> Value:
    return b.map(name, x, other)


def where(b: Builder, condition: Input, x: Input, other: Input) -> Value:
    return b.map("where", condition, x, other)


def softplus(b: Builder, x: Input, beta: float = 1) -> Value:
    if beta != 1:
        raise UnknownOperationError(f"softplus(beta={beta})")
    return b.map("softplus", x)


def linear(b: Builder, x: Input, weight: Input, bias: Input | None = None) -> Value:
    if not isinstance(weight, Tensor) or not (bias is None or isinstance(bias, Tensor)):
        raise UnknownOperationError("matmul")
    return b.linear(x, weight, bias)


def batch_norm(
    b: Builder,
    x: Input,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    training: bool,
    momentum: float,
    epsilon: float,
    *_: Any,
) -> Value:
    """Batch normalisation in evaluation mode: an affine map of each channel."""
    if training:
        raise UnknownOperationError("batch_norm(training=True)")
    scale, shift = affine_of(weight, bias, mean, variance, epsilon)
    rank = len(x.shape) if isinstance(x, Value | Tensor) else 2
    shape = (-1, *(1 for _ in range(rank - 2)))
    return b.map("fma", x, scale.float().view(shape), shift.float().view(shape))


def affine_of(
    weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Return scale and shift of a batch normalisation in evaluation mode, in float64."""
    scale = (variance.double() + epsilon).rsqrt()
    scale = scale if weight is None else scale * weight.double()
    shift = -mean.double() * scale
    return scale, shift if bias is None else shift + bias.double()


def add(b: Builder, x: Input, other: Input, alpha: float = 1) -> Value:
    return b.map("add", x, other if alpha == 1 else b.map("mul", other, alpha))


def sub(b: Builder, x: Input, other: Input, alpha: float = 1) -> Value:
    return b.map("sub", x, other if alpha == 1 else b.map("mul", other, alpha))


def clamp(b: Builder, x: Input, low: Input | None = None, high: Input | None = None) -> Value:
    if low is not None:
        x = b.map("maximum", x, low)
    return b.map("minimum", x, high) if high is not None else b.contiguous(x)


def elu(b: Builder, x: Input, alpha: float = 1) -> Value:
    return b.map("elu", x, alpha)


def leaky_relu(b: Builder, x: Input, slope: float = 0.01) -> Value:
    return b.map("leaky_relu", x, slope)


def gelu(b: Builder, x: Input, approximate: str = "none") -> Value:
    if approximate != "none":
        raise UnknownOperationError(f"gelu(approximate={approximate!r})")
    return b.map("gelu", x)


def reduce(name: str, b: Builder, x: Input, dims: Any = None, keep: bool = False) -> Value:
    return b.reduce(name, x, [dims] if isinstance(dims, int) else dims, keep)


def mean(b: Builder, x: Value, dims: Any = None, keep: bool = False) -> Value:
    total = reduce("sum", b, x, dims, keep)
    return b.map("div", total, x.meta.numel() / total.meta.numel())


def norm(b: Builder, x: Value, order: float = 2, dims: Any = None, keep: bool = False) -> Value:
    if order != 2:
        raise UnknownOperationError(f"linalg_vector_norm(ord={order})")
    return b.map("sqrt", reduce("sum", b, b.map("square", x), dims, keep))


def log_softmax(b: Builder, x: Value, dim: int) -> Value:
    return b.map("sub", x, b.reduce("logsumexp", x, [dim], keep=True))


def softmax(b: Builder, x: Value, dim: int) -> Value:
    return b.map("exp", log_softmax(b, x, dim))


def one_hot(b: Builder, index: Value, classes: int) -> Value:
    return b.map("eq", Value(index.array, index.meta[..., None]), torch.arange(classes))


def embedding(b: Builder, weight: Tensor, index: Value) -> Value:
    return b.linear(one_hot(b, index, len(weight)), weight.T, None)


def take(b: Builder, x: Tensor, index: Sequence[Value | None]) -> Value:
    """x[index] for rows of a constant."""
    if not isinstance(x, Tensor) or len(index) != 1 or not isinstance(index[0], Value):
        raise UnknownOperationError("index")
    rows = embedding(b, x.flatten(1), index[0])
    return Value(rows.array, rows.meta.view(*index[0].shape, *x.shape[1:]))


def put(b: Builder, x: Tensor, index: Sequence[Tensor | None], values: Value) -> Value:
    """x[index] = values, at constant places of a constant, by copies of what is contiguous."""
    if not isinstance(x, Tensor) or any(isinstance(i, Value) for i in index):
        raise UnknownOperationError("index_put")
    numbers = torch.arange(values.meta.numel()).view(values.shape)
    places = torch.full(x.shape, -1)  # which of the values is where
    places[tuple(slice(None) if i is None else i for i in index)] = numbers
    origin = places.flatten().tolist()
    output, source = b.map("copy", x), b.contiguous(values)
    first = 0
    for i in range(1, len(origin) + 1):
        if i == len(origin) or origin[i] != origin[i - 1] + 1 or origin[i - 1] < 0:
            if origin[first] >= 0:
                part = source.meta.flatten()[origin[first] : origin[i - 1] + 1]
                into = Value(output.array, output.meta.flatten()[first:i])
                b.map("copy", Value(source.array, part), into=into)
            first = i
    return output


def cat(b: Builder, parts: Sequence[Input], dim: int = 0) -> Value:
    shapes = [part.shape for part in parts if isinstance(part, Value | Tensor)]
    dim = dim % len(shapes[0])
    total = sum(shape[dim] for shape in shapes)
    output, start = b.new((*shapes[0][:dim], total, *shapes[0][dim + 1 :])), 0
    for part, shape in zip(parts, shapes, strict=True):
        view = output.meta.narrow(dim, start, shape[dim])
        b.map("copy", part, into=Value(output.array, view))
        start += shape[dim]
    return output


def cross_entropy_with_logits(
    b: Builder,
    x: Input,
    target: Input,
    weight: None = None,
    positive: None = None,
    reduction: int = 0,
) -> Value:
    """(1 - t) x - log sigmoid(x)."""
    if weight is not None or positive is not None or reduction != 0:
        raise UnknownOperationError(f"binary_cross_entropy_with_logits(reduction={reduction})")
    missing = b.map("mul", b.map("sub", 1.0, target), x)
    return b.map("sub", missing, b.map("log_sigmoid", x))


def cross_entropy(
    b: Builder,
    x: Value,
    target: Value,
    weight: None = None,
    reduction: int = 1,
    ignored: int = -100,
) -> Value:
    """-log softmax(x)[target], over dimension 1."""
    if weight is not None or reduction != 0:
        raise UnknownOperationError(f"cross_entropy_loss(reduction={reduction})")
    classes = torch.arange(x.shape[1]).view(-1, *(1 for _ in x.shape[2:]))
    chosen = b.map("eq", Value(target.array, target.meta[:, None]), classes)
    log_p = b.map("where", chosen, log_softmax(b, x, 1), 0.0)
    return b.map("neg", b.reduce("sum", log_p, [1]))


def cast(
    b: Builder, x: Input, like: torch.dtype | Tensor | Value | None = None, *_: Any, **options: Any
) -> Input:
    """A change of type: only that to float64, from it, and that to whole numbers are steps."""
    like = like or options.get("dtype")
    dtype = like.meta.dtype if isinstance(like, Value) else getattr(like, "dtype", like)
    if not isinstance(x, Value):
        return torch.as_tensor(x).to(dtype)
    if dtype in (torch.int64, torch.int32):
        return b.map("trunc", x)
    double = dtype == torch.float64
    if dtype is None or double == (x.meta.dtype == torch.float64):
        return x
    return b.map("copy", x, into=b.new(x.shape, double))


def dropout(b: Builder, x: Value, p: float, training: bool) -> Value:
    if training:
        raise UnknownOperationError("dropout(training=True)")
    return x


OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: partial(unary, name) for name in UNARY.split()},
    **{name: partial(binary, name) for name in BINARY.split()},
    "__and__": partial(binary, "mul"),  # of 0 and 1, as are all truth values here
    "add": add,
    "batch_norm": batch_norm,
    "binary_cross_entropy_with_logits": cross_entropy_with_logits,
    "cat": cat,
    "clamp": clamp,
    "clamp_max": partial(binary, "minimum"),
    "clamp_min": partial(binary, "maximum"),
    "clone": lambda b, x, **_: x,
    "conv1d": conv1d,
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "cross_entropy_loss": cross_entropy,
    "dropout": dropout,
    "elu": elu,
    "embedding": embedding,
    "gelu": gelu,
    "index": take,
    "index_put": put,
    "leaky_relu": leaky_relu,
    "linalg_vector_norm": norm,
    "linear": linear,
    "log_softmax": log_softmax,
    "logsumexp": partial(reduce, "logsumexp"),
    "mean": mean,
    "one_hot": one_hot,
    "rsub": lambda b, x, other, alpha=1: sub(b, other, x, alpha),
    "softmax": softmax,
    "softplus": softplus,
    "sub": sub,
    "sum": partial(reduce, "sum"),
    "to": cast,
    "type_as": cast,
    "upsample_nearest2d": upsample_nearest2d,
    "where": where,
}
