"""The convolutions that lie channels last are torch's, up to rounding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, vmap

from vaelab.models import convolutions
from vaelab.models.convolutions import (
    FEW,
    IMAGES,
    Conv2d,
    Doubling,
    Flatten,
    channels_last,
    gradient_of_taps,
)

OUTPUTS = [1, FEW - 1, FEW]  # with the last, the transposed convolution is oneDNN's


def pair(layer: nn.Module, plain: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Both in float64, with the same parameters."""
    plain.load_state_dict(layer.state_dict())
    return layer.double(), plain.double()


def doubling(
    outputs: int, size: tuple[int, int] = (6, 8), inputs: int = 2
) -> tuple[nn.Module, nn.Module]:
    more = (size[0] % 2, size[1] % 2)
    plain = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, output_padding=more)
    return pair(Doubling(inputs, outputs, size), plain)


def derivatives(module: nn.Module, x: Tensor) -> list[Tensor]:
    """The output, all gradients of a function of it, and all gradients of those."""
    inputs = [x.clone().requires_grad_(), *module.parameters()]
    y = module(inputs[0])
    slopes = torch.autograd.grad(y.pow(3).sum(), inputs, create_graph=True)
    second = torch.autograd.grad(sum(slope.square().sum() for slope in slopes), inputs)
    return [y, *slopes, *second]


def assert_same(found: list[Tensor], wanted: list[Tensor]) -> None:
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("size", [(8, 12), (6, 8), (7, 8), (8, 5), (9, 11), (2, 3)])
def test_images_are_doubled_as_by_torch(outputs: int, size: tuple[int, int]) -> None:
    layer, plain = doubling(outputs, size)
    x = torch.randn(3, 2, size[0] // 2, size[1] // 2, dtype=torch.float64)
    assert layer(x).shape[2:] == size
    assert_same(derivatives(layer, x), derivatives(plain, x))


@pytest.mark.parametrize("inputs", [1, 3])
@pytest.mark.parametrize("kernel", [(4, 2, 1), (3, 1, 1)])
def test_images_are_convolved_as_by_torch(inputs: int, kernel: tuple[int, int, int]) -> None:
    layer, plain = pair(Conv2d(inputs, 5, *kernel), nn.Conv2d(inputs, 5, *kernel))
    x = torch.randn(3, inputs, 7, 6, dtype=torch.float64)
    assert_same(derivatives(layer, x), derivatives(plain, x))


@pytest.mark.parametrize("batch", [1, 6, IMAGES + 3])
@pytest.mark.parametrize("geometry", [(4, 2, 1), (3, 1, 1), (3, 2, 0)])
@pytest.mark.parametrize("shape", [(7, 6), (8, 9)])
def test_the_gradient_of_the_taps_is_a_product(
    shape: tuple[int, int], geometry: tuple[int, int, int], batch: int
) -> None:
    kernel, stride, padding = geometry
    x = torch.randn(batch, 3, *shape, dtype=torch.float64)
    weight = torch.randn(5, 3, kernel, kernel, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.conv2d(x, weight, None, stride, padding)
    cotangent = torch.randn_like(y)
    (wanted,) = torch.autograd.grad(y, weight, cotangent)
    sizes = (kernel,) * 2, (stride,) * 2, (padding,) * 2
    assert_same([gradient_of_taps(x, cotangent, *sizes)], [wanted])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself, in jacfwd
def test_a_convolution_whose_gradient_is_a_product_can_be_transformed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By default only large ones in bfloat16 are computed so; here all are."""
    monkeypatch.setattr(convolutions, "_multiplies", lambda *_: True)
    geometry = convolutions.Geometry((2, 2), (1, 1), False, (0, 0))
    layer, plain = pair(Conv2d(2, 3, 4, 2, 1), nn.Conv2d(2, 3, 4, 2, 1))
    layer.forward = lambda x: convolutions._convolved(layer, x, geometry)
    x = torch.randn(3, 2, 6, 5, dtype=torch.float64)
    assert_same(derivatives(layer, x), derivatives(plain, x))

    def all_of(module: nn.Module) -> list[Tensor]:
        def loss(weight: Tensor, x: Tensor) -> Tensor:
            return functional_call(module, {"weight": weight}, x).pow(3).sum()

        weight = module.weight.detach()
        weights = torch.stack([weight, -weight])
        return [
            jacrev(loss)(weight, x), jacfwd(loss)(weight, x), hessian(loss)(weight, x),
            vmap(grad(loss), (0, None))(weights, x), vmap(grad(loss))(weights, x[:2, None]),
        ]  # fmt: skip

    assert_same(all_of(layer), all_of(plain))


def test_outputs_and_gradients_lie_channels_last() -> None:
    """Where two layouts meet, an elementwise product takes thirty times as long."""
    met: list[Tensor] = []
    layers = [Conv2d(1, 5, 4, 2, 1), nn.ReLU(), Conv2d(5, 6, 4, 2, 1), nn.ReLU(), Flatten()]
    decoder = [
        nn.Unflatten(1, (6, 3, 4)),
        Doubling(6, 5, (6, 8)),
        nn.ReLU(),
        Doubling(5, 1, (12, 16)),
    ]
    x: Tensor = torch.rand(2, 1, 12, 16)
    for layer in layers + decoder:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            met.append(x)
            x.register_hook(met.append)
    x.square().sum().backward()
    assert len(met) == 6
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in met)


def test_layout_changes_no_value() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(channels_last(x), x)
    assert channels_last(x).stride() == (60, 1, 15, 3)
    assert channels_last(x[:, :1].contiguous()).stride() == (20, 1, 5, 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch itself, in jacfwd
@pytest.mark.parametrize("outputs", [1, FEW])
def test_transforms_of_torch_func_work(outputs: int) -> None:
    layer, plain = doubling(outputs)
    x = torch.randn(2, 2, 3, 4, dtype=torch.float64)

    def all_of(module: nn.Module) -> list[Tensor]:
        whole = nn.Sequential(module, Flatten() if module is layer else nn.Flatten())

        def loss(x: Tensor) -> Tensor:
            return whole(x).pow(3).sum()

        def by_weight(weight: Tensor) -> Tensor:
            return functional_call(module, {"weight": weight}, x)

        weight = module.weight.detach()
        return [
            jacrev(whole)(x), jacfwd(whole)(x), grad(loss)(x), hessian(loss)(x[:1]),
            vmap(whole)(torch.stack([x, 2 * x])), vmap(by_weight)(torch.stack([weight, -weight])),
            vmap(grad(loss))(torch.stack([x, 2 * x])), jacrev(by_weight)(weight),
            jacfwd(by_weight)(weight),
        ]  # fmt: skip

    assert_same(all_of(layer), all_of(plain))


@pytest.mark.parametrize("multiplies", [True, False])
@pytest.mark.parametrize("outputs", [1, FEW, None])
def test_mixed_precision_is_that_of_torch(
    outputs: int | None, multiplies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 has 8 bits, and sums of 32 products are rounded once here and once there."""
    monkeypatch.setattr(convolutions, "_multiplies", lambda *_: multiplies)
    convolution = pair(Conv2d(2, 3, 4, 2, 1), nn.Conv2d(2, 3, 4, 2, 1))
    layer, plain = (module.float() for module in (doubling(outputs) if outputs else convolution))
    x, found = torch.randn(3, 2, 3, 4), []
    for module in (layer, plain):
        leaf = x.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            y = module(leaf)
        assert y.dtype == torch.bfloat16
        y.float().square().sum().backward()
        found.append([y.float(), leaf.grad, *(parameter.grad for parameter in module.parameters())])
    for a, b in zip(*found, strict=True):
        assert (a - b).norm() < 0.02 * b.norm()


def test_mixed_precision_leaves_float64_as_it_is() -> None:
    x = torch.randn(3, 2, 3, 4, dtype=torch.float64)
    for layer, plain in (doubling(1), pair(Conv2d(2, 3, 4, 2, 1), nn.Conv2d(2, 3, 4, 2, 1))):
        with torch.autocast("cpu", torch.bfloat16):
            assert_same([layer(x)], [plain(x)])


def test_exported_programs_hold_torchs_layers() -> None:
    model = nn.Sequential(Conv2d(1, 3, 4, 2, 1), Doubling(3, 1, (7, 8)), Flatten())
    program = torch.export.export(model.eval(), (torch.rand(2, 1, 7, 8),))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert called == {
        "aten.conv2d.default",
        "aten.conv_transpose2d.input",
        "aten.flatten.using_ints",
    }
