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
from torch.nn.functional import conv2d, conv_transpose2d, pad, pixel_shuffle

from vaelab.models.operations import apply

FEW = 4  # channels of which most of a vector register remains empty in a transposed convolution


class Conv2d(nn.Conv2d):
    """nn.Conv2d, whose output lies channels last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if _plain(x) else channels_last(x))


class Doubling(nn.ConvTranspose2d):
    """The transposed convolution with 4x4 taps and stride 2 that doubles images to `size`, whose
    halves are rounded down.

    oneDNN computes it slowly where y has few channels, which it spreads over a vector register.
    There a block of 4x4 pixels of y is 16 channels of a convolution of x, of stride 2 as well,

        y[4i + a, 4j + b] = sum_{k, l = 0..3} x[2i + k - 1, 2j + l - 1] w[a + 3 - 2k, b + 3 - 2l],

    w = 0 outside its taps, which are then arranged (Shi et al. 2016, arXiv:1609.05158). It
    multiplies four times as often, by zero mostly, and takes a third of the time.
    """

    def __init__(self, before: int, after: int, size: tuple[int, int]) -> None:
        super().__init__(before, after, 4, 2, 1, output_padding=(size[0] % 2, size[1] % 2))

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        if _plain(x):
            return super().forward(x, output_size)
        assert self.bias is not None
        given: list[Tensor] = [channels_last(x), self.weight, self.bias]
        if torch.is_autocast_enabled("cpu"):
            given = [tensor.to(torch.get_autocast_dtype("cpu")) for tensor in given]
        y: Tensor = apply(_Doubled, *given, self.output_padding)
        return y


class Flatten(nn.Flatten):
    """nn.Flatten of images, whose gradient lies channels last."""

    def forward(self, x: Tensor) -> Tensor:
        if _plain(x):
            return super().forward(x)
        same: Tensor = apply(_Same, x)
        return super().forward(same)


def channels_last(x: Tensor) -> Tensor:
    """Return images (B, C, H, W) as a tensor of the same shape with strides (HWC, 1, WC, C)."""
    rows = x.permute(0, 2, 3, 1).flatten(2)  # copies, unless they lie so
    pixels: Tensor = rows.unflatten(2, (x.shape[3], x.shape[1]))
    return pixels.permute(0, 3, 1, 2)


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
        """Nothing is needed in the backward pass."""

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
        shifted = pad(weight, [3] * 4).unfold(2, 4, 2).unfold(3, 4, 2)  # (..., k, l, a, b)
        taps = shifted.flip(2, 3).permute(1, 4, 5, 0, 2, 3).flatten(0, 2)
        height, width = 2 * x.shape[2] + more[0], 2 * x.shape[3] + more[1]
        edge = 1 if height % 4 or width % 4 else 0  # of blocks around y that no pixel fills
        blocks = conv2d(x, taps, bias.repeat_interleave(16), 2, 1 + 2 * edge)
        y = pixel_shuffle(blocks, 4)[:, :, 4 * edge :, 4 * edge :]
        return y[:, :, :height, :width].contiguous()

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
