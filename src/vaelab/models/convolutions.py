"""Convolutions as torch's, laid out for the caches of a CPU.

oneDNN, which convolves for torch on CPUs, is fastest where the channels of a pixel are neighbours
in memory ("channels last"). Given another layout, it rearranges its arguments at every call and is
up to a third slower, and an elementwise product of two layouts takes thirty times as long as one of
equals. These layers keep to channels last, in gradients too. Parameters, initialisation and state
are those of torch's layers, and so is the function, up to rounding. On other devices, and in a
program that is compiled or exported, they are torch's layers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pixel_shuffle

FEW = 8  # channels; fewer leave most of a vector register empty where oneDNN transposes


class Conv2d(nn.Conv2d):
    """nn.Conv2d, whose output lies channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if _plain(x) else channels_last(x))


class Doubling(nn.ConvTranspose2d):
    """The transposed convolution with 4x4 taps and stride 2 that doubles images to `size`, whose
    halves are rounded down.

    With a margin of one pixel around y it is

        y[2i + a, 2j + b] = sum_{k, l in {0, 1}} x[i - k, j - l] w[2k + a, 2l + b],  a, b in {0, 1},

    a 2x2 convolution of x with four outputs (a, b) for each channel of y, which are then arranged
    (Shi et al. 2016, arXiv:1609.05158). Where y has few channels, it is computed in this way: a
    third of the time of oneDNN's transposed convolution, which fills a register with the channels.
    """

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        super().__init__(before, after, 4, 2, 1, output_padding=(size[0] % 2, size[1] % 2))

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if _plain(x):
            return super().forward(x, output_size)
        tensors = channels_last(x), self.weight, self.bias
        if torch.is_autocast_enabled("cpu"):
            kind = torch.get_autocast_dtype("cpu")
            tensors = tuple(tensor.to(kind) for tensor in tensors)
        doubled: Tensor = _Doubled.apply(*tensors, self.output_padding)
        return doubled


class Flatten(nn.Flatten):
    """nn.Flatten of images, whose gradient lies channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if _plain(x) else _Same.apply(x))


def channels_last(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) as a tensor of the same shape with strides (HWC, 1, WC, C)."""
    rows = x.permute(0, 2, 3, 1).flatten(2)  # copies, unless they lie so
    return rows.unflatten(2, (x.shape[3], x.shape[1])).permute(0, 3, 1, 2)


def _plain(x: Tensor) -> bool:
    return torch.compiler.is_compiling() or x.device.type != "cpu"


class _Same(torch.autograd.Function):
    """x; its gradient is laid out channels last."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return channels_last(grad)

    @staticmethod
    def jvp(ctx: Any, dx: Tensor) -> Tensor:
        return dx.view_as(dx)


class _Doubled(torch.autograd.Function):
    """The layer `Doubling`; its gradients are torch's."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor, more: tuple[int, int]) -> Tensor:
        if weight.shape[1] >= FEW:
            return conv_transpose2d(x, weight, bias, 2, 1, more)
        quarters = weight.unflatten(3, (2, 2)).unflatten(2, (2, 2)).flip(2, 4)
        taps = quarters.permute(1, 3, 5, 0, 2, 4).flatten(0, 2)  # (4 after, before, 2, 2)
        y = pixel_shuffle(conv2d(x, taps, bias.repeat_interleave(4), padding=1), 2)
        height, width = 2 * x.shape[2] + more[0], 2 * x.shape[3] + more[1]
        return y[:, :, 1 : height + 1, 1 : width + 1].contiguous()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.more = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad = channels_last(grad)
        needed = [*ctx.needs_input_grad[:2], False]  # for the bias, oneDNN takes long in bfloat16
        dx, dweight, _ = torch.ops.aten.convolution_backward(
            grad, x, weight, None, [2, 2], [1, 1], [1, 1], True, ctx.more, 1, needed
        )
        return dx, dweight, grad.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], x: Tensor, weight: Tensor, bias: Tensor, more: Any
    ) -> tuple[Tensor, int]:
        """Under torch.vmap, torch's own layer."""

        def doubled(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return conv_transpose2d(x, weight, bias, 2, 1, more)

        return torch.vmap(doubled, in_dims[:3])(x, weight, bias), 0

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, dweight: Tensor, dbias: Tensor, _: None) -> Tensor:
        x, weight = ctx.saved_tensors
        tangent = weight.new_zeros((1, 1, 1)) if dbias is None else dbias.view(-1, 1, 1)
        if dx is not None:
            tangent = tangent + conv_transpose2d(dx, weight, None, 2, 1, ctx.more)
        if dweight is not None:
            tangent = tangent + conv_transpose2d(x, dweight, None, 2, 1, ctx.more)
        return tangent
