"""Convolutions as torch's, laid out for the caches of a CPU.

oneDNN, which convolves for torch on CPUs, is fastest where the channels of a pixel are neighbours
in memory ("channels last"). Given another layout, it rearranges its arguments at every call and is
up to a third slower, and an elementwise product of two layouts takes thirty times as long as one of
equals. These layers keep to channels last, in gradients too. In bfloat16 the gradients of some
weights are matrix products, which are faster than oneDNN's where that was measured. Parameters,
initialisation and state are those of torch's layers, and so is the function, up to rounding. On
other devices, and in a program that is compiled or exported, they are torch's layers.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, pixel_shuffle

from vaelab.models.operations import apply

Size = tuple[int, ...]  # (height, width)
ONE, NONE = (1, 1), (0, 0)
IMAGES = 32  # whose patches are multiplied at once
PATCHES, CHANNELS = 2**20, 32  # numbers in these patches, at most; channels of images, at least
FEW = 4  # channels that leave most of a vector register empty


class Geometry(NamedTuple):
    """Of a convolution, or of a transposed one; each size is (height, width)."""

    stride: Size
    padding: Size
    transposed: bool
    more: Size  # rows and columns of the output of a transposed one that nothing else decides

    def convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """As torch does it."""
        stride, padding, transposed, more = self
        return torch.convolution(x, weight, bias, stride, padding, ONE, transposed, more, 1)


class Conv2d(nn.Conv2d):
    """nn.Conv2d without groups and dilation, whose output lies channels last."""

    def forward(self, x: Tensor) -> Tensor:
        if _plain(x):
            return super().forward(x)
        if _kind(x) != torch.bfloat16:  # the operation below gains nothing
            return super().forward(channels_last(x))
        assert not isinstance(self.padding, str)
        return _convolved(self, x, Geometry(self.stride, self.padding, False, NONE))


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
        return _convolved(self, x, Geometry((2, 2), (1, 1), True, self.output_padding))


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


def _kind(x: Tensor) -> torch.dtype:
    """The type in which a convolution of x is computed; autocast leaves float64 as it is."""
    mixed = torch.is_autocast_enabled("cpu") and x.dtype != torch.float64
    return torch.get_autocast_dtype("cpu") if mixed else x.dtype


def _convolved(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor, geometry: Geometry) -> Tensor:
    given = channels_last(x), layer.weight, layer.bias
    typed = [None if tensor is None else tensor.to(_kind(tensor)) for tensor in given]
    y: Tensor = apply(_Convolution, *typed, geometry)
    return y


class _Convolution(torch.autograd.Function):
    """What `Conv2d` in bfloat16 and `Doubling` compute."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        if geometry.transposed and weight.shape[1] < FEW:
            return _in_blocks(x, weight, bias, geometry.more)
        return geometry.convolved(x, weight, bias)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, ctx.geometry = inputs
        ctx.save_for_backward(x, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        grad, (wants_x, wants_weight, wants_bias, _) = channels_last(grad), ctx.needs_input_grad
        stride, padding, transposed, more = ctx.geometry
        large, small = (grad, x) if transposed else (x, grad)  # images, and what becomes of them
        multiply = wants_weight and _multiplies(large, small, weight.shape[2:], stride)
        needed = wants_x, wants_weight and not multiply, False
        dx, dweight, _ = torch.ops.aten.convolution_backward(
            grad, x, weight, None, stride, padding, ONE, transposed, more, 1, needed
        )
        if multiply:
            dweight = gradient_of_taps(large, small, weight.shape[2:], stride, padding)
        # For the bias of a transposed convolution, oneDNN takes long in bfloat16.
        return dx, dweight, grad.sum((0, 2, 3)) if wants_bias else None, None

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[Any, ...],
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        geometry: Geometry,
    ) -> tuple[Tensor, int]:
        """Under torch.vmap, torch's own layer."""
        return torch.vmap(geometry.convolved, in_dims[:3])(x, weight, bias), 0

    @staticmethod
    def jvp(ctx: Any, dx: Tensor, dweight: Tensor, dbias: Tensor, _: None) -> Tensor:
        x, weight = ctx.saved_tensors
        convolved = cast(Geometry, ctx.geometry).convolved
        tangent = weight.new_zeros((1, 1, 1)) if dbias is None else dbias.view(-1, 1, 1)
        if dx is not None:
            tangent = tangent + convolved(dx, weight, None)
        if dweight is not None:
            tangent = tangent + convolved(x, dweight, None)
        return tangent


def _in_blocks(x: Tensor, weight: Tensor, bias: Tensor | None, more: Size) -> Tensor:
    """The formula of `Doubling` for few channels."""
    shifted = pad(weight, [3] * 4).unfold(2, 4, 2).unfold(3, 4, 2)  # (..., k, l, a, b)
    taps = shifted.flip(2, 3).permute(1, 4, 5, 0, 2, 3).flatten(0, 2)
    height, width = 2 * x.shape[2] + more[0], 2 * x.shape[3] + more[1]
    edge = 1 if height % 4 or width % 4 else 0  # of blocks around y that no pixel fills
    biases = None if bias is None else bias.repeat_interleave(16)
    blocks = conv2d(x, taps, biases, 2, 1 + 2 * edge)
    y = pixel_shuffle(blocks, 4)[:, :, 4 * edge :, 4 * edge :]
    return y[:, :, :height, :width].contiguous()


def gradient_of_taps(x: Tensor, grad: Tensor, size: Size, stride: Size, padding: Size) -> Tensor:
    """Return the gradient of the taps (O, C, h, w) of a convolution y of x; `grad` is that of y.

    It is the product of the patches of x, (hwC, B * pixels of y), with `grad`, (B * pixels, O). A
    few images at a time have a product of their own, so that their patches stay in the caches.
    """
    (h, w), c, outputs = size, x.shape[1], grad.shape[1]
    (above, beside), (down, right) = padding, stride
    products = []
    x, grad = x.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)
    for images, grads in zip(x.split(IMAGES), grad.split(IMAGES), strict=True):
        rows = pad(images, [0, 0, beside, beside, above, above]).flatten(2)
        patches = rows.unfold(2, w * c, right * c).unfold(1, h, down).transpose(3, 4)
        halves = math.gcd(len(images), 2)  # one for each of two threads
        tall = patches.reshape(halves, -1, h * w * c).transpose(1, 2)
        products.append(torch.bmm(tall, grads.reshape(halves, -1, outputs)))
    return torch.cat(products).sum(0).view(h, w, c, outputs).permute(3, 2, 0, 1)


def _multiplies(x: Tensor, grad: Tensor, taps: Size, stride: Size) -> bool:
    """Whether `gradient_of_taps` is faster than oneDNN, whose second thread gains nothing here.

    Where patches overlap more, or do not stay in the caches, it is not.
    """
    patches = IMAGES * math.prod(taps) * x.shape[1] * math.prod(grad.shape[2:])
    small = x.shape[1] >= CHANNELS and min(stride) > 1 and patches <= PATCHES
    return grad.dtype == torch.bfloat16 and small and torch.get_num_threads() > 1
